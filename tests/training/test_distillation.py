"""Distillation of flow maps: what it starts as, that it goes on to the same bits, and how it stops."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import symsi
from symsi.models.map_net import MapNet
from symsi.models.pretrained_map import load_map, save_map
from symsi.models.unet import Config, UNet
from symsi.models.velocity_field import VelocityField
from symsi.training.distillation import MapRecipe, consistency_loss, distill_map, regression
from symsi.training.trajectories import Trajectories, trajectories

CONFIG = Config(width=8, multipliers=(1, 2), classes=3, heads=2)
RECIPE = MapRecipe(steps=6, batch=4, warmup=2, chunk=8, chunks=2, first=1, grow=3, held_out=4)


def teacher() -> symsi.Model:
    torch.manual_seed(1)
    net = UNet(CONFIG).eval()
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return symsi.Model(
        net.requires_grad_(False), shape=(1, 8, 8), classes=3, unconditional={"label": None}, name="tiny"
    )


def student() -> MapNet:
    own = teacher().function
    assert isinstance(own, UNet)
    torch.manual_seed(0)
    return MapNet(own, "linear", "trigonometric")


def path(model: symsi.Model) -> symsi.Plan:
    return symsi.plan(model, schedule="trigonometric", solver="ab2", steps=4, grid="shifted(shift=2)")


def train(folder: Path, recipe: MapRecipe = RECIPE, **options: object) -> tuple[dict[str, Tensor], list[str]]:
    model, lines = teacher(), []
    cache = folder / "trajectories"
    given = {"every": 2, **options}
    found = distill_map(
        student(),
        model,
        path(model),
        recipe,
        folder / "map.checkpoint",
        cache,
        lines.append,
        **given,  # type: ignore[arg-type]
    )
    return found, lines


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    s, t = torch.rand(2, 5, generator=generator).sort(0).values
    return torch.randn(5, 1, 8, 8, generator=generator), s, t, torch.arange(5) % 3


def test_a_map_starts_as_the_velocity_of_its_model_bit_for_bit() -> None:
    x, s, t, label = inputs()
    kernels = symsi.kernels(symsi.convert("linear", "trigonometric"))
    inner, tau = kernels.model_input(x, s)
    wanted = kernels.velocity(teacher()(inner, tau, label=label), x, s)
    assert torch.equal(student()(x, s, t, label), wanted)
    assert torch.equal(student()(x, s, s, label), wanted)


def test_the_slope_of_a_map_in_its_second_time_starts_as_the_velocity() -> None:
    x, s, t, label = inputs()
    net = student()
    residual = symsi.objectives.lagrangian(
        lambda y, a, b: net(y, a, b, label), lambda y, r: net(x, s, s, label), x, s, t
    )
    assert residual.abs().max() < 1e-5 * net(x, s, s, label).abs().max()


def test_the_teachers_velocities_and_states_agree(tmp_path: Path) -> None:
    model = teacher()
    plan = path(model)
    held = trajectories(model, plan, 0, 3, 5, tmp_path)
    step = plan.grid[1] - plan.grid[0]
    first = held.x[0].float() + step * held.velocity[0].float()
    assert torch.allclose(first, held.x[1].float(), atol=5e-3)
    again = trajectories(model, plan, 0, 3, 5, tmp_path)
    assert torch.equal(held.x, again.x)
    with pytest.raises(symsi.SymsiError, match="another model or plan"):
        trajectories(replace(model, name="other"), plan, 0, 3, 5, tmp_path)


class Off(nn.Module):
    """u = 1 + error on straight paths of velocity 1; it keeps what it was asked."""

    def __init__(self, error: float) -> None:
        super().__init__()
        self.u = nn.Parameter(torch.tensor(1.0 + error))
        self.asked: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, x: Tensor, s: Tensor, t: Tensor, label: Tensor) -> Tensor:
        self.asked.append((x.clone(), s, t))
        return self.u.expand_as(x)


def straight(net: Off, own: bool) -> float:
    times = torch.tensor([0.0, 0.5, 1.0])
    x = times.reshape(3, 1, 1).expand(3, 4, 1).half().contiguous()
    held = Trajectories(x, torch.ones(2, 4, 1).half(), torch.zeros(4).long())
    recipe = MapRecipe(batch=400, noise=0.0, diagonal=0.0)
    return regression(net, held, times, recipe, torch.Generator().manual_seed(0), own=own).item()


def test_the_student_starts_from_where_it_comes_itself() -> None:
    off = Off(0.25)
    plain, own = straight(off, False), straight(off, True)
    (told, s, t), (noise, r, _), (seen, again, end) = off.asked
    torch.testing.assert_close(told, s[:, None])
    torch.testing.assert_close(noise, r[:, None])
    assert plain == pytest.approx(float((0.25**2 * (t - s)).mean()))
    gone = (seen - again[:, None]).flatten() / 0.25  # s - r of those that start from X_{r,s}, 0 of the others
    mine = gone > 1e-6
    assert 0.35 < float(mine.float().mean()) < 0.65
    assert bool((gone <= again + 1e-6).all())
    wanted = 0.25**2 * torch.where(mine, (gone + end - again).square(), end - again)
    assert own == pytest.approx(float(wanted.mean()))
    assert (straight(Off(0.0), False), straight(Off(0.0), True)) == (pytest.approx(0, abs=1e-12),) * 2


def test_between_knots_states_and_velocities_are_those_of_a_cubic_and_at_last_of_a_quadratic() -> None:
    times = torch.tensor([0.0, 0.5, 1.0, 2.0])
    cubic = torch.tensor([1.0, -0.5, 2.0, -1.0])  # x = 1 - t/2 + 2 t^2 - t^3
    powers = torch.stack([times**k for k in range(4)], 1).float()
    slopes = torch.stack([k * times ** max(k - 1, 0) for k in range(4)], 1).float()
    x, v = ((p @ cubic).reshape(4, 1, 1).expand(4, 2, 1).half() for p in (powers, slopes))
    held = Trajectories(x, v[:3], torch.zeros(2).long())
    row, place = torch.tensor([0, 1, 1, 0]), torch.tensor([0.0, 0.5, 1.75, 3.0])
    found, slope = held.at(row, place, times)
    at = torch.tensor([0.0, 0.25, 0.875, 2.0])
    wanted, its = (1 - at / 2 + 2 * at**2 - at**3, -0.5 + 4 * at - 3 * at**2)
    torch.testing.assert_close(found.flatten(), wanted, rtol=0, atol=2e-3)
    torch.testing.assert_close(slope.flatten()[:3], its[:3], rtol=0, atol=6e-3)
    assert float(slope[3]) == pytest.approx(2 * (0.0 - 1.5) / 1 - 0.5, abs=5e-3)


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    wanted, lines = train(whole)
    calls = iter([False, False, True])
    train(broken, until=lambda: next(calls))
    found, _ = train(broken)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert [json.loads(line)["step"] for line in lines] == [2, 4, 6]


def test_training_lowers_the_error_of_held_out_samples(tmp_path: Path) -> None:
    _, lines = train(tmp_path, replace(RECIPE, steps=60, rate=1e-3, ema=0.9), every=30)
    first, last = (json.loads(lines[k])["held_out_rmse"]["1"] for k in (0, -1))
    assert last < first


@pytest.mark.parametrize(
    ("spoil", "words"), [(float("nan"), "loss of step 1 is nan"), (float("inf"), "loss of step 1")]
)
def test_a_loss_that_is_not_finite_stops_the_run_with_its_step(tmp_path: Path, spoil: float, words: str) -> None:
    model = teacher()
    net = student()
    with torch.no_grad():
        net.net.leave[2].bias.fill_(spoil)
    with pytest.raises(symsi.SymsiError, match=words):
        distill_map(net, model, path(model), RECIPE, tmp_path / "map.checkpoint", tmp_path / "c", lambda line: None)
    assert not (tmp_path / "map.checkpoint").exists()


def test_a_batch_of_one_may_have_none_that_starts_from_the_map_itself(tmp_path: Path) -> None:
    _, lines = train(tmp_path, replace(RECIPE, batch=1, loss="student", late=1.0))
    assert json.loads(lines[-1])["step"] == RECIPE.steps


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(symsi.SymsiError, match="another run"):
        train(tmp_path, replace(RECIPE, batch=5))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save_map(
        tmp_path / "map.safetensors", student().state_dict(), CONFIG, teacher(), "trigonometric", {"steps": 0}
    )


def test_a_map_is_read_as_it_was_written(file: Path) -> None:
    x, s, t, label = inputs()
    flow = load_map(file)
    assert torch.equal(flow(x, s, t, label=label), x + (t - s).reshape(-1, 1, 1, 1) * student()(x, s, t, label))
    assert (flow.shape, flow.classes, str(flow.schedule)) == ((1, 8, 8), 3, "trigonometric")
    assert symsi.sample(flow, shape=2, steps=3).nfe == 3


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "cannot read weights"),
        (lambda path: path.write_bytes(path.read_bytes()[:500]), "cannot read weights"),
        (lambda path: path.write_bytes(path.read_bytes()[:-4] + b"\0\0\x80\x3f"), "hash is another"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(file: Path, spoil: Callable[[Path], object], words: str) -> None:
    spoil(file)
    with pytest.raises(symsi.SymsiError, match=words):
        load_map(file)


def test_a_name_that_no_map_has_is_refused() -> None:
    with pytest.raises(symsi.UnknownNameError, match="flow map"):
        load_map("nonsense")


@pytest.mark.parametrize("loss", ["lmd", "psd-m"])
def test_a_late_loss_is_its_objective_with_the_diagonal_kept(tmp_path: Path, loss: str) -> None:
    """From the noise over the whole span, so that the times are known: 0, the middle knot or part of the way, and 1."""
    model, net = teacher(), student()
    plan, recipe = path(model), replace(RECIPE, loss=loss, noise=1.0, whole=1.0, diagonal=0.25 * (loss == "psd-m"))
    held, times = trajectories(model, plan, 0, 6, 5, tmp_path), torch.tensor(plan.grid)
    torch.nn.init.normal_(net.span[2].weight, std=0.1)
    field = VelocityField(model, "trigonometric")
    generator = torch.Generator().manual_seed(3)
    row, dice = torch.randint(6, (4,), generator=generator), torch.rand(4, 4, generator=generator)
    part = torch.rand(4, generator=generator)
    label, same = held.label[row], dice[3] < recipe.diagonal
    place = torch.where(same, dice[1] * 4, 0)
    knot = place.long()
    s = torch.lerp(times[knot], times[knot + 1], place - knot)
    x, velocity = held.at(row, place, times)
    t = torch.where(same, s, 1.0)

    def u(x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        return net(x, s, t, label=label)

    if loss == "lmd":
        residual = symsi.objectives.lagrangian(u, lambda y, r: field(y, r, label=label), x, s, part)
        wanted = (torch.cos(torch.pi / 2 * part).reshape(-1, 1, 1, 1) * residual.square()).mean()
    else:
        residual = symsi.objectives.psd(u, x, s, torch.where(same, s, times[2]), t)
        flat = net(x[:1], s[:1], s[:1], label=label[:1]) - velocity[:1]
        wanted = residual.square().mean() + 0.25 * flat.square().mean()
    found = consistency_loss(net, field, held, times, recipe, torch.Generator().manual_seed(3))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=0)
