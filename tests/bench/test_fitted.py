"""The benchmark of fitted plans that spare guidance or were fitted elsewhere, on an exact model of four classes."""

import pytest
import torch
from torch import Tensor

import symsi
from symsi.bench import fitted, nfe

CLASSES, WIDTH = 4, 0.25


def means(label: Tensor | None, count: int) -> Tensor:
    """Class c is centred at 3 (cos, sin) of c quarter turns; no class is centred at 0."""
    if label is None:
        return torch.zeros(count, 2)
    angle = label.float() * torch.pi / 2
    return 3 * torch.stack([angle.cos(), angle.sin()], 1)


def velocity(x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
    """Of the linear schedule, exact for N(m, w^2) with w = 1/4 of a class and w = 1 of none."""
    t, m = t[:, None].to(x), means(label, len(x)).to(x)
    square = 1.0 if label is None else WIDTH**2
    return m + (t * square - (1 - t)) / ((1 - t) ** 2 + t**2 * square) * (x - t * m)


@pytest.fixture(autouse=True)
def quarters(monkeypatch: pytest.MonkeyPatch) -> None:
    model = symsi.Model(velocity, shape=(2,), unconditional={"label": None}, classes=CLASSES, name="quarters")
    label = torch.arange(2000) % CLASSES
    real = means(label, 2000) + WIDTH * torch.randn(2000, 2, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(fitted, "task", lambda name: nfe.Task(model, lambda x: x, real.double()))


def test_guidance_left_out_of_steps_is_counted_and_compared_with_all_of_it() -> None:
    end, *rows = fitted.guidance_rows("quarters", steps=(3,), samples=60, repeats=2)
    assert (end["nfe"], end["rmse"]) == (128, 0.0)
    assert [(r["unconditional"], r["nfe"]) for r in rows] == [(3, 6), (2, 5), (1, 4)]
    assert rows[0]["fd_ratio"] == 1.0
    assert all(r["fd_ratio"] == pytest.approx(r["fd"] / rows[0]["fd"]) for r in rows)
    assert all(0 < r["rmse"] < 1 for r in rows)


def test_by_channel_small_channels_come_closer() -> None:
    options = {"steps": (1, 2), "samples": 40, "repeats": 2, "calibrations": (16,)}
    rows = list(fitted.channel_rows(**options))
    assert [(r["calibration"], r["by_channel"], r["steps"]) for r in rows] == [
        (16, own, n) for own in (False, True) for n in (1, 2)
    ]
    for one, own in zip(rows[:2], rows[2:], strict=True):
        assert own["rmse"] <= own["worst"]
        assert own["channels"][0] < 0.8 * one["channels"][0]


def test_a_plan_fitted_elsewhere_stands_beside_one_fitted_where_it_is_used() -> None:
    rows = list(fitted.transfer_rows("quarters", steps=(2,), samples=40, repeats=2))
    assert [(r["used"], r["fitted"]) for r in rows] == [
        ("later classes", "later classes"),
        ("later classes", "earlier classes"),
        ("guidance 2", "guidance 2"),
        ("guidance 2", "guidance 1"),
    ]
    assert [r["fd_real"] is None for r in rows] == [True, True, False, False]
    assert rows[2]["rmse"] < rows[3]["rmse"]
