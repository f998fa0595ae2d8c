"""Folders of samples: what `sample` gives a batch, whoever draws them; what goes on, and what is refused."""

import json
import resource
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed import HashStore

import symsi
from symsi.processes.team import Team
from symsi.shards.draw import Drawn
from tests.shards.small import LABELS, MODEL, PLAN, draw, hashes, velocity


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples as one undisturbed process draws them."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    assert draw(folder).missing == 0
    return folder


def ranks(folder: Path, world: int, **options: Any) -> list[Drawn | BaseException]:
    """Draw by threads that are the ranks of one run."""
    store, found = HashStore(), dict[int, Drawn | BaseException]()

    def work(rank: int) -> None:
        try:
            found[rank] = draw(folder, team=Team(store, rank, world, patience=options.pop("patience", 5.0)), **options)
        except BaseException as error:
            found[rank] = error

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[rank] for rank in range(world)]


def test_samples_are_those_of_sample(whole: Path) -> None:
    one = symsi.sample(
        MODEL, shape=22, plan=PLAN, seed=3, batch=5, conditions={"label": LABELS[torch.arange(22) % 3]}, progress=False
    )
    read = symsi.read_samples(whole)
    assert (len(read), read.shape, read.model) == (22, (2,), "small")
    shards = list(read)
    assert [shard.first for shard in shards] == [0, 5, 10, 15, 20]
    assert torch.equal(torch.cat([shard.x for shard in shards]), one.x)
    assert torch.equal(torch.cat([shard.conditions["label"] for shard in shards]), LABELS[torch.arange(22) % 3])


def test_without_a_plan_it_is_one_of_four_steps(tmp_path: Path) -> None:
    found = draw(tmp_path / "out", plan=None)
    assert (found.nfe, found.missing) == (4, 0)
    assert (tmp_path / "out" / "plan.json").read_text() == symsi.plan(MODEL, steps=4).text()


def test_sha256sum_accepts_a_folder(whole: Path) -> None:
    found = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=whole, capture_output=True)
    assert found.returncode == 0, found.stderr
    assert len((whole / "SHA256SUMS").read_text().splitlines()) == len(hashes(whole)) - 1


@pytest.mark.parametrize("world", [2, 3, 8])
def test_any_number_of_processes_writes_the_same_bytes(whole: Path, tmp_path: Path, world: int) -> None:
    found = ranks(tmp_path / "out", world)
    assert all(isinstance(one, Drawn) for one in found), found
    assert sum(one.drawn for one in found) == 22
    assert hashes(tmp_path / "out") == hashes(whole)


def test_a_run_goes_on_where_shards_are_missing(whole: Path, tmp_path: Path) -> None:
    folder, seen = tmp_path / "out", []
    assert draw(folder, stop=lambda: len(seen) == 2 or seen.append(1) is not None).missing == 12
    assert "SHA256SUMS" not in hashes(folder)
    (folder / ".samples-000-x.safetensors").write_text("what a killed process leaves")
    cut = folder / "samples-000000000000-000000000005.safetensors"
    cut.write_bytes(cut.read_bytes()[:-9])
    found = ranks(folder, 2)
    assert sum(one.drawn for one in found) == 12 + 5
    assert hashes(folder) == hashes(whole)
    assert draw(folder).drawn == 0


def test_what_a_rank_leaves_that_is_killed_in_the_same_run_is_removed(whole: Path, tmp_path: Path) -> None:
    left = tmp_path / "out" / ".samples-000000000000-000000000005-x.safetensors"

    def leaves(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        left.write_text("half")
        return velocity(x, t, label)

    draw(tmp_path / "out", model=symsi.Model(leaves, shape=(2,), name="small"))
    assert hashes(tmp_path / "out") == hashes(whole)


def test_more_samples_join_those_that_are_there(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    draw(folder, count=7)
    assert draw(folder).drawn == 22 - 5
    assert hashes(folder) == hashes(whole)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"seed": 4}, "seed 3, and not 4"),
        ({"count": 21}, "count 22, and not 21"),
        ({"batch": 6}, "batch 5, and not 6"),
        ({"plan": symsi.plan(MODEL, schedule="linear", steps=3)}, "plan .*, and not"),
        ({"model": replace(MODEL, name="other")}, "model small, and not other"),
        ({"conditions": {"label": LABELS.flip(0)}}, "conditions .*, and not"),
        ({"dtype": torch.float64}, "dtype float32, and not float64"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_run_is_refused_and_told_what_differs(whole: Path, other: dict[str, Any], says: str) -> None:
    before = hashes(whole)
    with pytest.raises(symsi.SymsiError, match=says):
        draw(whole, **other)
    assert hashes(whole) == before


def test_another_network_is_refused(tmp_path: Path) -> None:
    net = torch.nn.Linear(2, 2)

    class Flow(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
            return self.net(x)

    model = symsi.Model(Flow(), shape=(2,))
    draw(tmp_path / "out", model=model)
    with torch.no_grad():
        net.bias.add_(1)
    with pytest.raises(symsi.SymsiError, match=r"weights .*, and not"):
        draw(tmp_path / "out", model=model)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(symsi.SymsiError, match=r"holds thesis.tex, and no samples"):
        draw(tmp_path)
    with pytest.raises(symsi.SymsiError, match="is a file"):
        draw(tmp_path / "thesis.tex")
    with pytest.raises(symsi.SymsiError, match="cannot make the folder"):
        draw(tmp_path / "no" / "such")


def test_the_second_run_in_a_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "out"

    def meanwhile() -> bool:
        with pytest.raises(symsi.SymsiError, match=r"another run works in .*: process \d+ on .*, since \d{4}-"):
            draw(folder)
        return False

    assert draw(folder, stop=meanwhile).missing == 0
    assert draw(folder).missing == 0  # and none is left


def fails_for(samples: set[int], what: str) -> symsi.Model:
    """The small model, which fails for shards with these samples, told by their labels."""

    def function(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        found = velocity(x, t, label % 100)
        bad = torch.tensor([int(n) // 100 in samples for n in label])
        if bad.any() and what == "raises":
            raise RuntimeError("no such kernel")
        return torch.where(bad[:, None], torch.nan, found)

    return symsi.Model(function, shape=(2,), name="small")


NUMBERED = {"label": torch.arange(22) * 100 + LABELS[torch.arange(22) % 3]}


def test_a_model_that_raises_on_one_shard_is_named_and_the_others_are_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    found = draw(folder, model=fails_for({11}, "raises"), conditions=NUMBERED)
    assert found.failures == {range(10, 15): "RuntimeError: no such kernel"}
    assert (found.drawn, found.missing) == (17, 5)
    assert draw(folder, model=fails_for(set(), ""), conditions=NUMBERED).drawn == 5
    assert symsi.check_shards(folder).whole


def test_a_sample_that_is_not_finite_is_named(tmp_path: Path) -> None:
    found = draw(tmp_path / "out", model=fails_for({11, 14}, "nan"), conditions=NUMBERED)
    assert list(found.failures) == [range(10, 15)]
    assert "nan or inf at step 1, model time 0 for samples 11, 14." in found.failures[range(10, 15)]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    many = {"count": 3000, "batch": 1000}
    with files_of_at_most(4096), pytest.raises(symsi.SymsiError, match=r"cannot write .*samples-.*: file too large"):
        draw(folder, **many)
    assert sorted(hashes(folder)) == ["conditions.safetensors", "manifest.json", "plan.json"]
    assert draw(folder, **many).missing == 0


def test_more_files_than_a_folder_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(symsi.SymsiError, match="take a larger batch"):
        draw(tmp_path / "out", count=10**9, batch=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [[1, 2], torch.tensor(1.0), {"a": 1}], ids=["list", "scalar tensor", "dict"])
def test_conditions_that_no_manifest_holds_are_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(symsi.SymsiError, match="a folder takes tensors"):
        draw(tmp_path / "out", conditions={"label": LABELS, "extra": value})


def test_a_rank_with_other_options_is_refused(tmp_path: Path) -> None:
    store, found = HashStore(), list[BaseException]()

    def other() -> None:
        with pytest.raises(symsi.SymsiError, match="other options") as caught:
            draw(tmp_path / "out", seed=4, team=Team(store, 1, 2, patience=5.0))
        found.append(caught.value)

    thread = threading.Thread(target=other)
    thread.start()
    assert draw(tmp_path / "out", team=Team(store, 0, 2, patience=5.0)).missing == 0
    thread.join()
    assert len(found) == 1


def test_what_rank_0_refuses_all_refuse(whole: Path) -> None:
    found = ranks(whole, 3, seed=4)
    assert all("seed 3, and not 4" in str(error) for error in found)


def test_the_manifest_says_what_makes_the_samples(whole: Path) -> None:
    said = json.loads((whole / "manifest.json").read_text())
    assert {name: said[name] for name in ("seed", "count", "batch", "shape", "dtype")} == {
        "seed": 3,
        "count": 22,
        "batch": 5,
        "shape": [2],
        "dtype": "float32",
    }
    assert said["plan"] == PLAN.hash == symsi.load_plan(whole / "plan.json").hash
    assert said["versions"]["torch"] == torch.__version__


def test_numbers_that_are_not_of_a_reference_s_modes_are_refused_before_the_folder_is_made(tmp_path: Path) -> None:
    law = symsi.Reference("isotropic", torch.tensor(0.5), torch.tensor(0.3))
    stage = symsi.Stage(1, 0.0, [1.0], keep=torch.ones(7))
    plan = symsi.Plan([stage], [0.0, 1.0], spans=(), reference=law)
    with pytest.raises(symsi.PlanError, match=r"shape \(7,\) does not broadcast to the modes \(2,\)"):
        draw(tmp_path / "out", plan=plan)
    assert not (tmp_path / "out").exists()
