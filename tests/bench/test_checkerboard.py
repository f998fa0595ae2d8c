"""The checkerboard: its law, the divergence from it, seeds, and what was measured."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import symsi
from symsi.bench import checkerboard
from symsi.bench.checkerboard import PUBLISHED, board, board_rows, divergence


def test_the_board_is_dark_where_row_and_column_agree() -> None:
    x = board(4000, torch.Generator().manual_seed(0))
    cells = torch.floor(x).long() + 2
    assert x.shape == (4000, 2)
    assert bool(((cells >= 0) & (cells < 4) & (cells.sum(1, keepdim=True) % 2 == 0)).all())
    counts = torch.bincount(cells[:, 0] * 4 + cells[:, 1])
    assert sorted((counts > 0).tolist()) == [False] * (len(counts) - 8) + [True] * 8
    assert float(counts[counts > 0].min()) > 430  # of 500, at three standard deviations


def test_data_have_the_divergence_of_their_number_and_others_more() -> None:
    generator = torch.Generator().manual_seed(0)
    count = 65536
    floor = divergence(board(count, generator))
    assert floor == pytest.approx(511 / (2 * count), rel=0.2)  # chi^2 of 511 degrees of freedom: spread 6 %
    white = board(count, generator) + torch.tensor([1.0, 0.0])
    assert divergence(white) == pytest.approx(math.log((count + 512) / 512))
    everywhere = 4 * torch.rand(count, 2, generator=generator) - 2
    assert divergence(everywhere) == pytest.approx(math.log(2), abs=0.02)  # log 2: half of it is in white cells
    half_outside = torch.cat([board(count, generator), torch.full((count, 2), 9.0)])
    assert divergence(half_outside) == pytest.approx(math.log(2), abs=0.02)


def test_the_same_seed_gives_the_same_bits() -> None:
    asked: dict[str, Any] = {"steps": 2, "count": 64, "nfe": (1, 2)}
    told: list[tuple[int, int]] = []
    first, second = board_rows(**asked, tick=lambda *at: told.append(at)), board_rows(**asked)
    assert [row["objective"] for row in first["rows"]] == ["LSD", "PSD-M", "ESD"]
    assert [row["kl"] for row in first["rows"]] == [row["kl"] for row in second["rows"]]
    assert set(first["rows"][0]["kl"]) == set(first["published"]) == {"1", "2"}
    assert told[-1] == (4, 4)


def test_what_does_not_fit_is_refused_in_words() -> None:
    with pytest.raises(symsi.SymsiError, match="unknown objective without a teacher 'LMD'"):
        board_rows(["LMD"])
    with pytest.raises(symsi.SymsiError, match="steps, count and NFE must be 1 or more"):
        board_rows(nfe=())


def test_what_was_measured_stands_on_the_page_beside_what_was_published() -> None:
    root = Path(checkerboard.__file__).parents[2]
    found = json.loads((root / "symsi" / "figures" / "checkerboard.json").read_text())
    assert found["published"] == {str(n): value for n, value in PUBLISHED.items()}
    page = (root / "docs" / "flow-maps.md").read_text()
    for row in found["rows"]:
        cells = " | ".join(f"{row['kl'][str(n)]:.3f}" for n in PUBLISHED)
        assert f"| {row['objective']} | {row['steps']} | {row['seconds']:.0f} | {cells} |" in page
        assert all(value > found["floor"] for value in row["kl"].values())
    assert f"data have {found['floor']:.3f}." in page
    assert f"| LSD, published | | | {' | '.join(f'{value:.3f}' for value in PUBLISHED.values())} |" in page
