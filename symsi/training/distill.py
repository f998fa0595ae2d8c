"""From a U-Net to a flow map in a file: the teacher's plan, training, and what it cost."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from symsi.errors import SymsiError, unknown
from symsi.interpolants.named import NAMED, as_schedule
from symsi.interpolants.named import schedule as named
from symsi.interpolants.schedule import Schedule
from symsi.models.flow_map import FlowMap
from symsi.models.map_net import MapNet
from symsi.models.pretrained import load
from symsi.models.pretrained_map import described_map, load_map, save_map
from symsi.models.protocol import Model
from symsi.models.unet import UNet
from symsi.processes.ranks import ALONE, Ranks
from symsi.solvers.advice import advice
from symsi.solvers.planning import plan
from symsi.training.checkpoint import metadata_of
from symsi.training.distillation import MapRecipe, distill_map
from symsi.training.running import check_weights, reporter, until

__all__ = ["distill"]


def distill(
    model: Model | str | Path,
    output: str | Path | None = None,
    *,
    start: str | Path | None = None,
    minutes: float | None = None,
    log: Callable[[str], None] = lambda line: None,
    force: bool = False,
    ranks: Ranks = ALONE,
    **recipe: Any,
) -> FlowMap:
    """Train a flow map of a U-Net, from trajectories of 8 evaluations, and return it.

        >>> fast = symsi.distill("digits28", "map.safetensors", minutes=60, loss="lmd")
        >>> symsi.sample(fast, shape=64, steps=1)
        >>> symsi.distill("digits28", "better.safetensors", start="map.safetensors", seed=1, steps=1000)

    model     a name or a file as `symsi.models.load` takes it, or a Model of a U-Net, which is left as it is
    output    MAP.safetensors to write. Beside it MAP.checkpoint is written every 50 steps and MAP.trajectories holds
              what the teacher ran: the same call goes on from there after a stop, to the same bits. None keeps no file
    start     a map to go on from, a name or a file, of a network of this form; with another seed it learns from other
              trajectories. None starts as the model, u_{s,s} = v bit for bit
    minutes   stop then at the latest, with the map so far
    log       gets a JSON line every 50 steps, which MAP.log keeps too: the loss, and the error of held-out samples at
              1, 2 and 4 evaluations against the teacher's
    ranks     processes that train together, as `symsi.Ranks.join()` gives them: they share the rows of each batch, the
              map is the same up to rounding, and rank 0 writes the output, in a folder that all see
    recipe    fields of `symsi.training.distillation.MapRecipe`: steps (7000), batch (32), rate (4e-4), loss
              ("regression", or "student", "lmd" or "psd-m" in the last `late` (0.3) of the steps), seed (0), ...

    The map runs where the model is. Its schedule is the lazy one (trigonometric), or a noise network's own
    (`symsi.solvers.advice`), where the teacher takes the fewest evaluations; it steps on the grid of that advice unless
    one is named. Raises SymsiError for a model that is no U-Net, for a start of another form, for options that the
    recipe does not have, and for a loss that is nan, naming the step.
    """
    known = [field.name for field in fields(MapRecipe)]
    for name in recipe:
        if name not in known:
            raise unknown("option of a recipe", name, known)
    if minutes is not None and not minutes > 0:
        raise SymsiError(f"minutes must be positive; got {minutes}.")
    wanted = MapRecipe(**recipe)
    teacher = model if isinstance(model, Model) else load(model)
    if output is None and ranks.world > 1:
        raise SymsiError("processes that train together need an output, in a folder that all see.")
    if output is None:
        with tempfile.TemporaryDirectory() as folder:
            return _run(
                teacher, Path(folder, f"{teacher.name}-map.safetensors"), wanted, start, minutes, log, force, ranks
            )
    return _run(teacher, Path(output), wanted, start, minutes, log, force, ranks)


def _run(
    teacher: Model,
    output: Path,
    recipe: MapRecipe,
    start: str | Path | None,
    minutes: float | None,
    log: Callable[[str], None],
    force: bool,
    ranks: Ranks,
) -> FlowMap:
    own, late, best = teacher.function, until(minutes), advice(teacher)
    check_weights(output, force=force)
    if not isinstance(own, UNet):
        raise SymsiError(f"a map is made from a U-Net such as digits28; {teacher.name} is none.")
    if not _is_named(as_schedule(teacher.schedule)):
        raise SymsiError(
            f"a map's file names the schedule of its teacher, and {teacher.schedule} is none of {', '.join(NAMED)}."
        )
    schedule, path = str(best.schedule), plan(teacher, schedule=best.schedule, solver="ab2", steps=8, grid=best.grid)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        net = MapNet(copy.deepcopy(own), teacher.schedule, schedule, teacher.prediction)
    begun: dict[str, Any] = {} if start is None else _go_on(net, start)
    net = net.to(device=teacher.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    checkpoint, cache = output.with_suffix(".checkpoint"), output.with_suffix(".trajectories")
    report, origin = reporter(output, log, ranks, force=force), str(begun.get("hash", ""))
    run: dict[str, Any] = {"until": late, "ranks": ranks}
    average = distill_map(net, teacher, path, recipe, checkpoint, cache, report, origin, **run)
    ranks.agree("trained")  # rank 0 has written what it says
    said = metadata_of(checkpoint)
    cost = {
        "steps": int(said["step"]),
        "images": int(said["step"]) * recipe.batch,
        "minutes": float(said.get("minutes", 0)),
        "trajectories": int(said.get("trajectories", 0)),
        "teacher_evaluations": int(said.get("trajectories", 0)) * path.evaluations,
    }
    cost = {name: round(value + begun.get("cost", {}).get(name, 0), 1) for name, value in cost.items()}
    changed = {k: v for k, v in asdict(recipe).items() if v != getattr(MapRecipe(), k)}
    if start is not None:
        changed = {"start": Path(start).name} | changed
    note = f"symsi.distill({teacher.name!r}, {', '.join(f'{k}={v!r}' for k, v in changed.items())})"
    how: dict[str, Any] = {"cost": cost, "grid": best.grid, "note": note, "force": force}
    if ranks.rank == 0:
        save_map(output, average, own.config, teacher, schedule, asdict(recipe), **how)
    ranks.agree("written")
    device, dtype = teacher.device or "cpu", teacher.dtype or torch.float32
    return load_map(output, device=device, dtype=dtype)


def _go_on(net: MapNet, start: str | Path) -> dict[str, Any]:
    """Give `net` the weights of a map, and return what that map's file says. Raises SymsiError for another form."""
    other = load_map(start).function
    assert isinstance(other, MapNet)
    if other.net.config != net.net.config or other.conversion != net.conversion:
        raise SymsiError(
            f"a map cannot go on from {start}: that is of a {other.net.config} and {other.conversion}, this of a "
            f"{net.net.config} and {net.conversion}. Leave `start` out to start as the model."
        )
    net.load_state_dict(other.state_dict())
    return described_map(start)


def _is_named(schedule: Schedule) -> bool:
    try:
        return named(str(schedule)) == schedule
    except SymsiError:
        return False
