"""Quality from shards is that of all samples at once, with few of them held."""

from pathlib import Path

import pytest
import torch

import symsi
from symsi.bench import quality
from symsi.bench.nfe import task
from symsi.bench.quality import quality_of_folder
from symsi.metrics import energy_distance, frechet_distance
from tests.shards.small import draw


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quality") / "out"
    model = symsi.models.load("digits28")
    symsi.sample_shards(
        path,
        model,
        count=45,
        batch=11,  # the last shard is of one sample
        plan=symsi.plan(model, schedule="trigonometric", steps=2),
        conditions={"label": torch.arange(10)},
        progress=False,
    )
    return path


def test_numbers_are_those_of_all_samples_at_once(folder: Path) -> None:
    judge, ticks = task("digits28"), list[int]()
    found = quality_of_folder(folder, tick=lambda done, total: ticks.append(done))
    x = torch.cat([shard.x for shard in symsi.read_samples(folder)])
    features = torch.cat([judge.features(part) for part in torch.split(x, 11)]).double()
    assert found["fd"] == pytest.approx(frechet_distance(features, judge.real), rel=1e-9)
    assert found["energy"] == pytest.approx(energy_distance(features, judge.real[quality._spread(len(judge.real))]))
    labels = torch.arange(45) % 10
    assert judge.classify is not None
    with torch.no_grad():
        assert found["accuracy"] == (judge.classify(x).argmax(1) == labels).double().mean().item()
    assert (found["samples"], found["energy_samples"], ticks) == (45, 45, [11, 22, 33, 44, 45])


def test_indices_are_distinct_and_of_every_part() -> None:
    for count in (2, 7, 4096, 5000, 10**6 + 3):
        chosen = quality._spread(count)
        assert len(chosen) == min(count, 4096)
        assert chosen.diff().gt(0).all()
        assert 0 <= int(chosen[0]) <= int(chosen[-1]) < count
    assert len((quality._spread(10**6) % 10).unique()) == 10


def test_samples_that_a_task_cannot_judge_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(symsi.SymsiError, match=r"digits8 judges samples of shape \(1, 8, 8\)"):
        quality_of_folder(folder, "digits8")
    draw(tmp_path / "out")
    with pytest.raises(symsi.SymsiError, match=r"holds \(2,\)"):
        quality_of_folder(tmp_path / "out")
