"""The bar: who sees it."""

import pytest

from symsi.sampling import progress
from symsi.sampling.progress import Hidden, bar


class Terminal:
    """What standard error is to be, for all that is asked of it."""

    def __init__(self, terminal: bool) -> None:
        self.isatty = lambda: terminal


@pytest.mark.parametrize(
    ("asked", "terminal", "seen"), [(None, True, True), (None, False, False), (False, True, False)]
)
def test_a_bar_is_shown_where_it_is_asked_for_or_a_terminal_is_there(
    monkeypatch: pytest.MonkeyPatch, asked: bool | None, terminal: bool, seen: bool
) -> None:
    monkeypatch.setattr(progress, "tqdm", dict)
    monkeypatch.setattr(progress.sys, "stderr", Terminal(terminal))
    found = bar("model", 3, asked)
    assert found == {"desc": "model", "total": 3, "unit": "eval"} if seen else isinstance(found, Hidden)


def test_without_a_standard_error_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.sys, "stderr", None)
    with bar("model", 3, None) as hidden:
        assert hidden.update() is None
    assert hidden.total == 3
