"""The figures of `symsi bench pipelines`: our scheduler beside diffusers' own."""

import json
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

pytest.importorskip("diffusers")

from symsi.adapters.diffusers.flow_pipeline import FlowPipeline
from symsi.bench import schedulers
from symsi.cli.bench.schedulers import pipelines as command
from symsi.diffusers import LazyFlowMatchScheduler
from symsi.errors import SymsiError
from symsi.metrics import rmse
from symsi.models.analytic import gaussian
from symsi.models.pretrained import load
from symsi.sampling.noise import standard_normal
from symsi.sampling.sample import sample


def test_the_pipeline_around_a_model_samples_as_symsi_does() -> None:
    model = load("digits28")
    labels = torch.arange(4)
    z = standard_normal(0, range(4), 0, (1, 28, 28))
    found = FlowPipeline.of(model, LazyFlowMatchScheduler())(z, 4, label=labels)
    expected = sample(
        model,
        shape=4,
        schedule="trigonometric",
        solver="ab2",
        grid="shifted(shift=2)",
        steps=4,
        progress=False,
        conditions={"label": labels},
    ).x
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)  # times pass through float32 timesteps


def test_a_model_that_is_no_linear_network_is_refused() -> None:
    with pytest.raises(SymsiError, match="a flow pipeline needs a network that predicts the linear velocity"):
        FlowPipeline.of(gaussian([0.0], 1.0).model("vp"), LazyFlowMatchScheduler())


def test_six_steps_of_ours_come_closer_than_twelve_of_eulers() -> None:
    """To the flow's own end, from the same noise."""
    model, labels = load("digits28"), torch.arange(10)
    z = standard_normal(0, range(10), 0, (1, 28, 28))

    def draw(entry: schedulers.Entry, steps: int) -> torch.Tensor:
        return FlowPipeline.of(model, entry.make())(z, steps, label=labels)

    entries = {entry.name: entry for entry in schedulers.QUALITY}
    ours = entries["symsi, default"]
    truth = draw(ours, 30)
    error = {entry.name: rmse(draw(entry, n), truth) for entry, n in ((ours, 6), (entries["FlowMatchEuler"], 12))}
    assert error[ours.name] < 0.7 * error["FlowMatchEuler"]


def test_quality_has_a_row_for_each_scheduler_and_number_of_steps() -> None:
    named = {entry.name: entry for entry in schedulers.QUALITY}
    entries = (
        replace(named["symsi, default"], steps=(1, 4)),
        named["symsi, default, sigmas of the call"],
        replace(named["UniPC, sigmas of the call"], steps=(2,)),
        replace(named["symsi, fitted"], steps=(2,)),
    )
    rows = list(schedulers.quality_in_pipelines(samples=20, repeats=2, calibration=4, entries=entries))
    assert [(r["scheduler"], r["steps"]) for r in rows] == [
        ("symsi, default", 1),
        ("symsi, default", 4),
        ("symsi, default, sigmas of the call", 4),
        ("UniPC, sigmas of the call", 2),
        ("symsi, fitted", 2),
    ]
    assert rows[1]["fd"] < rows[0]["fd"]
    assert rows[2]["fd"] == rows[1]["fd"]
    assert rows[4]["fd"] < rows[3]["fd"]
    assert all(r["fd_spread"] > 0 and 0 <= r["accuracy"] <= 1 for r in rows)


def test_our_noise_keeps_a_gaussians_marginals_and_diffusers_does_not() -> None:
    rows = {(r["scheduler"], r["steps"]): r for r in schedulers.marginals((4, 10), count=4000)}
    for (name, _), row in rows.items():
        if "reference 0.25" in name or "variance 0.25" in name:
            assert row["covariance"] < 5 * row["noise"]
        if "stochastic_sampling" in name:
            assert row["covariance"] > 20 * row["noise"]
    assert abs(rows["symsi, exact, no reference", 10]["variance"] - 1) < 0.3


def test_the_command_prints_every_part_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedulers, "MARGINALS", schedulers.MARGINALS[-1:])
    done = CliRunner().invoke(command, ["--part", "marginals", "--json"])
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["marginals"]) == 3 * len(schedulers.MARGINALS)


def test_step_times_are_ratios_to_diffusers() -> None:
    rows = list(schedulers.step_times((1, 2, 8, 8), steps=3, rounds=1))
    assert [r["ratio"] for r in rows if r["config"] == "FlowMatchEuler"] == [1, 1]
    assert all(r["us"] > 0 for r in rows)
    assert [r["config"] for r in rows] == 2 * [entry.name for entry in schedulers.TIMED]
