"""The benchmark of what is best for a model: its rows, and what it refuses."""

import pytest

import symsi
from symsi.bench.advice import METHODS, MODELS, distances


def test_each_method_has_a_row_at_each_nfe_and_ddim_only_for_noise() -> None:
    found = distances("mixture", (2, 4), samples=20, fitted=True)
    assert (found["model"], found["samples"]) == ("mixture", 20)
    assert found["doubt"] < 0.01
    ours = [name for name in METHODS if not name.startswith("DDIM")]
    assert [(r["method"], r["nfe"]) for r in found["rows"]] == [(m, n) for m in [*ours, "fitted"] for n in (2, 4)]
    by = {(r["method"], r["nfe"]): r["rms"] for r in found["rows"]}
    assert by["fitted", 4] < by["lazy AB2", 4] < by["lazy AB2", 2]


def test_all_models_of_the_advice_are_there() -> None:
    assert set(MODELS) == {"digits28", "fashion28", "fashion28-noise", "digits8", "8gaussians", "mixture"}


def test_unfit_arguments_are_refused() -> None:
    with pytest.raises(symsi.UnknownNameError, match="Did you mean 'mixture'"):
        distances("mixtures", (2,))
    for options in ({"nfe": (0,)}, {"nfe": ()}, {"nfe": (2,), "samples": 0}):
        with pytest.raises(symsi.SymsiError, match="samples >= 1 and NFE >= 1"):
            distances("mixture", **options)
