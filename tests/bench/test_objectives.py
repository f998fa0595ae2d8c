"""The benchmark of objectives: floors at the exact map, seeds, a mutant, and what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.bench import objectives
from symsi.bench.mean_flow import mean_flow_floor
from symsi.bench.objectives import DIAGONAL, LAW, OBJECTIVES, objective_rows, velocity
from symsi.bench.small_map import Batch
from symsi.models.analytic import gaussian
from symsi.models.exact_map import exact_map
from symsi.training.objectives.flow_maps import diagonal, lagrangian, loss


def batch(count: int = 64, law: Any = LAW) -> Batch:
    return Batch.draw(lambda n, g: law.sample(n, seed=3), count, torch.Generator().manual_seed(0))


def test_the_teacher_is_the_exact_velocity_and_the_interpolant_the_linear_one() -> None:
    held = batch()
    x, rate = held.at(held.t)
    torch.testing.assert_close(velocity(x, held.t), LAW.model().function(x, held.t), rtol=1e-10, atol=1e-10)
    pair = symsi.kernels("linear").functions["schedule"]
    there, speed = torch.func.jvp(
        lambda r: pair(r)["alpha"][:, None] * held.z + pair(r)["beta"][:, None] * held.y,
        (held.t,),
        (torch.ones_like(held.t),),
    )
    torch.testing.assert_close(x, there, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(rate, speed, rtol=1e-12, atol=1e-12)


def test_at_the_exact_map_a_loss_is_nothing_but_its_floor() -> None:
    held, exact = batch(), exact_map(LAW)
    u = exact.function
    same, apart = held.split(DIAGONAL)
    assert (len(same.z), len(apart.z)) == (48, 16)
    floor = DIAGONAL * float(loss(diagonal(u, same.at(same.t)[0], same.t, same.at(same.t)[1])))
    found = {name: float(one.loss(u, u if name == "PFMM" else velocity, held)) for name, one in OBJECTIVES.items()}
    for name in ("LMD", "EMD", "PFMM"):
        assert found[name] < 1e-15, name
    for name in ("LSD", "ESD", "PSD-M"):
        assert found[name] == pytest.approx(floor, rel=1e-9), name
    assert found["MeanFlow"] > floor + 0.1
    assert found["FMM"] > 0.1


def test_times_within_a_horizon_stay_in_order_and_in_bounds() -> None:
    held, near = batch(), batch().within(0.25)
    torch.testing.assert_close(near.t - near.s, 0.25 * (held.t - held.s))
    assert float(near.s.min()) >= 0
    assert float(near.t.max()) <= 1
    assert float(near.t.max()) > 0.9


def test_what_mean_flow_leaves_at_the_exact_map_is_as_predicted() -> None:
    found = mean_flow_floor(LAW, count=20_000)
    assert abs(found["measured"] - found["predicted"]) < 4 * found["error"]
    assert found["error"] < 0.1 * found["predicted"]


def test_on_gaussian_data_it_is_the_velocitys_floor_stretched() -> None:
    """(g_t/g_s)^2 L_b(s), L_b = lambda/g^2 under the linear schedule, over the same s and t."""
    law, count = gaussian([0.0], 0.3), 500
    generator = torch.Generator().manual_seed(0)
    held = Batch.draw(lambda n, g: law.sample(n, int(torch.randint(2**62, (), generator=g))), count, generator)
    g2 = {name: (1 - r).square() + 0.3 * r.square() for name, r in (("s", held.s), ("t", held.t))}
    wanted = (g2["t"] / g2["s"] * 0.3 / g2["s"]).mean()
    assert mean_flow_floor(law, count=count)["predicted"] == pytest.approx(float(wanted), rel=1e-9)


def measured(**asked: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = objective_rows(**asked)["rows"]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_the_same_seed_gives_the_same_bits_and_a_run_says_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    asked: dict[str, Any] = {"names": ("PSD-M", "PFMM"), "steps": 3, "count": 32}
    first = measured(**asked, tick=lambda *at: told.append(at))
    assert first == measured(**asked)
    assert first != measured(**asked, seed=1)
    assert told[-1] == (len(told), len(told))
    assert [row["objective"] for row in first] == ["PSD-M", "PFMM"]


def test_the_identity_errs_by_how_far_the_exact_map_moves() -> None:
    """E(X_{0,1}(z) - z)^2 by the trapezoidal rule over quantiles of z."""
    z = torch.special.ndtri((torch.arange(4000, dtype=torch.float64) + 0.5) / 4000)[:, None]
    wanted = float((exact_map(LAW)(z, 0.0, 1.0) - z).square().mean().sqrt())
    found = objective_rows(["PSD-M"], steps=1, count=8192)["still"]
    assert found["whole"] == pytest.approx(wanted, rel=0.03)
    assert found["between"] < found["whole"]


def test_a_mutated_objective_ends_farther_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def slipped(u: Any, v: Any, held: Batch) -> Tensor:
        """The teacher at s, where the end of the path is at t."""
        return loss(lagrangian(u, lambda y, t: v(y, held.s), held.at(held.s)[0], held.s, held.t))

    asked: dict[str, Any] = {"names": ("LMD",), "steps": 210, "count": 64}
    (right,) = measured(**asked)
    monkeypatch.setattr(objectives, "OBJECTIVES", {"LMD": OBJECTIVES["LMD"]._replace(loss=slipped)})
    (wrong,) = measured(**asked)
    assert wrong["whole"] > 1.5 * right["whole"]
    assert wrong["between"] > 1.5 * right["between"]


def test_what_does_not_fit_is_refused_in_words() -> None:
    with pytest.raises(symsi.SymsiError, match="Did you mean 'LSD'"):
        objective_rows(["LSDD"])
    with pytest.raises(symsi.SymsiError, match="steps and count must be 1 or more; got 0 and 5"):
        objective_rows(["LSD"], steps=0, count=5)


def test_what_was_measured_stands_on_the_page_and_reaches_the_exact_map() -> None:
    root = Path(objectives.__file__).parents[2]
    found = json.loads((root / "symsi" / "figures" / "objectives.json").read_text())
    assert [row["objective"] for row in found["rows"]] == list(OBJECTIVES)
    floor = found["mean_flow_floor"]
    assert abs(floor["measured"] - floor["predicted"]) < 4 * floor["error"]
    page = (root / "docs" / "flow-maps.md").read_text()
    for row in found["rows"]:
        cells = (row["teacher"], row["steps"], f"{row['seconds']:.0f}", f"{row['whole']:.3f}", f"{row['between']:.3f}")
        assert f"| {row['objective']} | {' | '.join(map(str, cells))} |" in page
        assert row["whole"] < (0.02 if row["teacher"] == "velocity" else 0.07)
    assert f"| the identity | | | | {found['still']['whole']:.3f} | {found['still']['between']:.3f} |" in page
    assert f"{floor['measured']:.2f} there, {floor['predicted']:.2f} +- {floor['error']:.2f}" in page
