"""Samples into a folder: each process takes the next shard that is missing, draws it, and writes it down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from symsi.errors import SymsiError
from symsi.files import trouble
from symsi.models.flow_map import FlowMap
from symsi.models.pretrained import digest
from symsi.models.protocol import Model, as_device, as_model
from symsi.processes.team import REFUSED, Team
from symsi.sampling.inputs import check_inputs, check_memory, check_plan, read_shape, whole_number
from symsi.sampling.noise import check_seed
from symsi.sampling.sample import sample
from symsi.shards.folder import SUMS, Folder, digest_of, packed, prepare, rows_in_turn, seal
from symsi.shards.lock import locked
from symsi.shards.manifest import Manifest
from symsi.shards.shard import is_there, write_shard
from symsi.solvers.plan import Plan
from symsi.solvers.planning import plan as make_plan

__all__ = ["Drawn", "sample_shards"]

_STEPS = 4  # where no plan is given, as `symsi sample` takes them


@dataclass(frozen=True)
class Drawn:
    """What a process did for a folder: samples it drew, evaluations of each, and what failed, by range of samples.

    `stopped` says that it was asked to stop. `missing` counts the samples that are not there at the end, as rank 0
    sees it, and `silent` the ranks that it gave up; on other ranks they are 0 and ().
    """

    folder: Path
    drawn: int
    nfe: int
    failures: Mapping[range, str]
    stopped: bool
    missing: int
    silent: tuple[int, ...]


def sample_shards(
    folder: str | Path,
    model: Model | FlowMap | Callable[..., Tensor],
    *,
    count: int,
    batch: int = 256,
    plan: Plan | None = None,
    shape: tuple[int, ...] | None = None,
    guidance: float = 1.0,
    conditions: Mapping[str, Any] | None = None,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    progress: bool | None = None,
    stop: Callable[[], bool] = lambda: False,
    again: Collection[range] = (),
    team: Team | None = None,
) -> Drawn:
    """Draw samples 0..count - 1 of a model into a folder, each shard of `batch` samples once, over all processes.

    folder      new, empty, or begun by the same call: then only what is missing is drawn. With a larger count it
                becomes the folder of more samples
    shape       of a sample, if the model does not know it
    plan        as `symsi.plan` and `symsi.fit_solver` give it; default: `symsi.plan(model, steps=4)`
    conditions  tensors of M rows, of which sample i is told row i mod M, or words, numbers and None
    stop        asked before each shard; where it says True, the process ends with what it has
    again       ranges of shards that are there, as `check_shards` names them, to be drawn anew
    team        the processes of the run; default: those that the environment tells of (torchrun, or RANK, WORLD_SIZE,
                MASTER_ADDR and MASTER_PORT), which all call this with the same arguments

    Other arguments are those of `symsi.sample`. Sample i has the noise of (seed, i), and a shard is one batch: the
    bytes of all files are the same for any number of processes, in any order, on one kind of device. Processes share
    nothing but a counter. A shard is written whole or not at all; a model that fails on a shard is reported by its
    range, and the others are drawn.

    Raises SymsiError before anything is drawn for what `symsi.sample` refuses, for a folder that holds another run or
    other files, and where another run works in it; later where the disk is full, a shard that is there is damaged, or
    the other processes are lost.
    """
    known = model.model() if isinstance(model, FlowMap) else as_model(model)
    count, batch = whole_number("count", count, 1), whole_number("batch", batch, 1)
    size, form = read_shape(min(batch, count) if shape is None else (min(batch, count), *shape), known)
    where, kind = as_device(device or known.device or "cpu"), dtype or known.dtype or torch.float32
    rows, words = _split(conditions)
    check_inputs(known, where, kind, guidance, {**words, **rows_in_turn(rows, range(size))}, conditions, size)
    taken = model if isinstance(model, FlowMap) else known
    made = make_plan(taken, shape=form, steps=_STEPS) if plan is None else check_plan(plan, taken, {}, form, guidance)
    check_memory(size, form, kind, where, 0)
    data = packed(rows) if rows else b""
    manifest = Manifest(
        model=known.name,
        weights=digest(known.function.state_dict()) if isinstance(known.function, torch.nn.Module) else "",
        plan=made.hash,
        seed=check_seed(seed),
        count=count,
        batch=batch,
        shape=form,
        dtype=str(kind).removeprefix("torch."),
        guidance=guidance,
        conditions={**words, **({"tensors": digest_of(data)} if rows else {})},
        device=where.type,
        versions={"symsi": version("symsi"), "torch": torch.__version__},
    )
    nfe = made.evaluations

    def draw(span: range) -> Tensor:
        nonlocal nfe
        found = sample(
            model,
            shape=(len(span), *form),
            plan=made,
            guidance=guidance,
            conditions={**words, **rows_in_turn(rows, span)},
            seed=seed,
            first=span.start,
            dtype=kind,
            device=where,
            progress=False,
        )
        nfe = found.nfe
        return found.x

    place, done = Path(folder), False
    with team or Team.join() as team:
        if team.rank == 0:
            _make(place)
        else:
            _greet(team, manifest)
        with locked(place) as lock:
            if team.rank == 0:
                lock.alone()
                prepare(place, manifest, made, data, again)
                done = (place / SUMS).exists() and not Folder(place, manifest, rows).missing()
                lock.share()
                team.say("ready", f"{manifest.identity} {count}")
            else:
                lock.share()
            opened = Folder(place, manifest, rows)
            with tqdm(total=count, desc=known.name, unit="sample", disable=_hidden(team, progress), smoothing=0) as bar:
                drawn, failures, stopped = _share(opened, draw, team, stop, bar, 0, range(manifest.shards))
                if left := _left(opened, team, failures, None if stopped else stop):
                    more, failed, stopped = _share(opened, draw, team, stop, bar, 1, left)
                    drawn, failures = drawn + more, failures | failed
            missing, silent = _finish(opened, team, None if stopped else stop, done)
        return Drawn(place, drawn, nfe, failures, stopped, missing, silent)


def _share(
    folder: Folder,
    draw: Callable[[range], Tensor],
    team: Team,
    stop: Callable[[], bool],
    bar: Any,
    turn: int,
    shards: Sequence[int],
) -> tuple[int, dict[range, str], bool]:
    """Draw `shards` until none is left, or `stop()`; return how many samples, what failed where, and which it was."""
    place, manifest, drawn, failures = folder.path, folder.manifest, 0, dict[range, str]()
    while not stop():
        taken = team.take(turn)
        if taken >= len(shards):
            return drawn, failures, False
        span = manifest.span(shards[taken])
        if not is_there(place, manifest, span):
            try:
                x = draw(span)
            except Exception as error:  # whatever a user's model raises: the other shards are drawn
                failures[span] = f"{type(error).__name__}: {error}" if not isinstance(error, SymsiError) else str(error)
            else:
                write_shard(place, manifest, span, x)
                drawn += len(span)
        bar.update(max(0, span.stop - bar.n))
    return drawn, failures, True


def _left(folder: Folder, team: Team, failures: Mapping[range, str], stop: Callable[[], bool] | None) -> Sequence[int]:
    """Return the shards that are missing when all are taken and nobody failed on them: ranks died that had them.

    They are for a second turn, and no third: what ends one process after the other is not to end all. `stop` is None
    for a process that was stopped: it waits for nobody, and with rank 0 there is no second turn.
    """
    manifest = folder.manifest
    team.say("drawn", " ".join(str(span.start // manifest.batch) for span in failures))
    if stop is None:
        if team.rank == 0:
            team.close()
            team.say("left")
        return ()
    if team.rank:
        return [int(word) for word in team.hear("left", 0, stop).split()]
    told = set(range(team.world)) - team.wait("drawn", range(team.world))
    failed = {int(word) for rank in told for word in team.hear("drawn", rank).split()}
    left = [shard for span in folder.missing() if (shard := span.start // manifest.batch) not in failed]
    team.say("left", " ".join(map(str, left)))
    return left


def _finish(folder: Folder, team: Team, stop: Callable[[], bool] | None, done: bool) -> tuple[int, tuple[int, ...]]:
    """Wait for the others; rank 0 seals a folder that has all and was not `done` at the beginning.

    Return samples that are missing, and ranks given up.

    `stop` is None for a process that was stopped: it waits for nobody; rank 0 lets nobody begin another shard.
    """
    team.say("done")
    if team.rank:
        if stop is not None and not stop():
            team.hear("over", 0, stop)
        return 0, ()
    if stop is None:
        team.close()
    others = tuple(sorted(team.wait("done", range(team.world), stopped=stop is None)))
    missing = sum(map(len, folder.missing()))
    if not missing and not done and stop is not None:
        seal(folder)
    team.say("over")
    return missing, others


def _greet(team: Team, manifest: Manifest) -> None:
    """Wait until rank 0 has made the folder ready. Raises SymsiError where it refused, or was given another run."""
    said = team.hear("ready", 0)
    if said.startswith(REFUSED):
        raise SymsiError(said.removeprefix(REFUSED))
    if said != f"{manifest.identity} {manifest.count}":
        raise SymsiError(f"rank {team.rank} was started with other options, files or versions than rank 0.")


def _make(place: Path) -> None:
    try:
        place.mkdir(exist_ok=True)
    except FileExistsError:
        raise SymsiError(f"{place} is a file; many samples take a folder.") from None
    except OSError as error:
        raise SymsiError(f"cannot make the folder {place}: {trouble(error)}.") from None


def _split(conditions: Mapping[str, Any] | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return conditions that are tensors with rows, and others. Raises SymsiError for what a manifest cannot hold."""
    if not isinstance(conditions, Mapping | None):
        raise SymsiError(f"conditions must be a mapping of names to values; got {type(conditions).__name__}.")
    given = dict(conditions or {})
    rows = {name: value for name, value in given.items() if isinstance(value, Tensor) and value.ndim and len(value)}
    words = {name: value for name, value in given.items() if name not in rows}
    for name, value in words.items():
        if not isinstance(value, (str, int, float)) and value is not None:
            raise SymsiError(
                f"the condition {name!r} is a {type(value).__name__}; a folder takes tensors of one row or more, "
                "words, numbers and None."
            )
    if "tensors" in words:
        raise SymsiError("a folder keeps its tensors under the name 'tensors'; give the condition another one.")
    return rows, words


def _hidden(team: Team, progress: bool | None) -> bool | None:
    if team.rank:
        return True
    return None if progress is None else not progress
