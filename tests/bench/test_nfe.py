"""The benchmark of quality at equal evaluations: what its rows say, on the exact model of real digits."""

import pytest
import torch

import symsi
from symsi.bench import nfe, overhead
from symsi.models.reference import isotropic


@pytest.fixture(scope="module")
def found() -> dict:
    pytest.importorskip("diffusers")
    methods = ["linear Euler", "lazy VP Heun", "lazy VP AB2", "modal PCA AB2", "point mass", "UniPC", "FlowMatchHeun"]
    return nfe.quality_at_nfe("digits8", (3, 4), samples=60, repeats=2, methods=methods, batch=60)


def test_rows_are_at_the_nfe_they_say_and_skip_what_cannot_be(found: dict) -> None:
    rows = {(r["method"], r["nfe"]) for r in found["rows"]}
    assert ("lazy VP Heun", 3) not in rows
    assert ("FlowMatchHeun", 4) not in rows
    assert {("lazy VP Heun", 4), ("FlowMatchHeun", 3), ("UniPC", 3), ("point mass", 4)} <= rows
    assert {r["kind"] for r in found["rows"] if r["method"] in ("UniPC", "FlowMatchHeun")} == {"peer"}


def test_only_deterministic_methods_are_compared_with_the_converged_solution(found: dict) -> None:
    for row in found["rows"]:
        assert (row["rmse_converged"] is None) == (row["method"] == "point mass")
        assert row["us_per_sample"] > 0


def test_modes_beat_linear_euler_by_far_at_four_evaluations(found: dict) -> None:
    energy = {r["method"]: r["energy"] for r in found["rows"] if r["nfe"] == 4}
    assert energy["modal PCA AB2"] < energy["linear Euler"] / 2


def test_converged_samples_are_as_far_from_the_data_as_data_is(found: dict) -> None:
    assert found["converged"]["fd"] == pytest.approx(found["floor"]["fd"], rel=0.3)


def test_every_method_can_be_planned() -> None:
    for method in nfe.CONTENDERS.values():
        law = {"reference": isotropic()} if method.reference else {}
        assert symsi.plan("linear", steps=2, **method.options, **law).evaluations == 2 * method.per_step


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits9",), "Did you mean 'digits8'"),
        (("digits8", (2,), 10, 1), "repeats >= 2"),
        (("digits8", (0,)), "NFE >= 1"),
    ],
)
def test_unfit_arguments_are_refused(arguments: tuple, message: str) -> None:
    name, *rest = arguments
    options = dict(zip(("nfe", "samples", "repeats"), rest, strict=False))
    with pytest.raises(symsi.SymsiError, match=message):
        nfe.quality_at_nfe(name, **options)
    with pytest.raises(symsi.SymsiError, match="Did you mean 'UniPC'"):
        nfe.quality_at_nfe("digits8", methods=["UniPCC"])
    with pytest.raises(symsi.SymsiError, match="a name with NFE"):
        nfe.quality_at_nfe("digits8", methods=["UniPC@six"])


def test_a_method_may_have_nfe_of_its_own() -> None:
    found = nfe.quality_at_nfe(
        "digits8", (2,), samples=10, repeats=2, methods=["linear Euler", "lazy VP AB2, shift 2@1,3"]
    )
    assert [(r["method"], r["nfe"]) for r in found["rows"]] == [
        ("linear Euler", 2),
        ("lazy VP AB2, shift 2", 1),
        ("lazy VP AB2, shift 2", 3),
    ]


def test_a_second_classifier_is_asked_where_there_is_one() -> None:
    with pytest.raises(symsi.SymsiError, match="asks a second classifier, and digits8 has none"):
        nfe.quality_at_nfe("digits8", samples=10, repeats=2, methods=["fitted, features@1"])
    task = nfe.task("fashion28")
    assert task.seen is not None
    images = task.model.shape
    assert task.seen(torch.zeros(2, *images)).shape == (2, 1088)
    assert not torch.equal(task.seen(torch.zeros(2, *images))[:, 1024:], task.features(torch.zeros(2, *images)))


def test_sampling_holds_two_states_for_ab2_and_one_for_euler() -> None:
    buffers = {r["solver"]: r["buffers"] for r in overhead.overhead(("latent",), rounds=1)}
    assert buffers["ab2"] == pytest.approx(2, abs=0.01)
    assert buffers["euler"] == pytest.approx(1, abs=0.01)
    assert buffers["point mass"] == pytest.approx(2, abs=0.01)


def test_few_vectors_are_timed_with_every_solver() -> None:
    rows = {r["solver"]: r for r in overhead.overhead(("64 x 16",), rounds=1)}
    assert set(rows) == {"euler", "ab2", "ab3", "point mass"}
    assert all(r["overhead"] > 0 and r["network_ms"] > 0 for r in rows.values())
    assert rows["ab3"]["buffers"] - rows["ab2"]["buffers"] == pytest.approx(1)


def test_a_table_by_gradient_is_a_peer_of_the_fit_and_both_say_what_they_cost() -> None:
    found = nfe.quality_at_nfe(
        "digits8", samples=20, repeats=2, methods=["fitted, 8 samples@2", "by gradient (as GS)@2", "lazy VP Euler@2"]
    )
    fit, descent, plain = found["rows"]
    assert (fit["kind"], descent["kind"]) == ("ours", "peer")
    assert plain["calibration"] is None
    assert 1000 < fit["calibration"] < descent["calibration"]
    assert max(fit["rmse_converged"], descent["rmse_converged"]) < plain["rmse_converged"]
    assert 0 < fit["recall"] <= 1
