"""Processes that evaluate one network together: each takes some rows of a batch, and all go on with all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed import PrefixStore  # type: ignore[attr-defined]  # public, and not in its __all__

from symsi.errors import SymsiError
from symsi.models.protocol import Model
from symsi.processes.team import Team, not_met

__all__ = ["ALONE", "Ranks"]

_PATIENCE = timedelta(minutes=10)  # with a process that does not answer
_LINGER = 10.0  # seconds for which rank 0, which may serve the store, waits for others at the end


@dataclass(frozen=True)
class Ranks:
    """Rank `rank` of `world` processes that do the same with the same numbers, but for the rows of a network.

    They are those of torch.distributed's default group, made by `join`, or by the caller. What a network says of a
    batch is sent from each to all, so that all take the same decisions; whoever writes files is rank 0. Every call is
    made by all processes, and raises SymsiError where one of them is lost.
    """

    rank: int = 0
    world: int = 1

    @classmethod
    @contextmanager
    def join(cls) -> Iterator[Ranks]:
        """Meet the other processes that the environment tells of, until the end of the context: gloo, of GPUs nccl.

        torchrun sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT; without WORLD_SIZE a process is alone. Raises
        SymsiError where the others cannot be reached.
        """
        with Team.join(_LINGER) as team:
            if team.world == 1:
                yield cls()
                return
            team.say("here")  # gloo stops other threads while it connects, those that give signs of life, too
            if team.rank == 0 and (silent := team.wait("here", range(team.world))):
                raise not_met(team.where, f"rank {min(silent)} did not come")
            store, (rank, world) = PrefixStore("ranks", team.store), (team.rank, team.world)
            try:
                distributed.init_process_group(store=store, rank=rank, world_size=world, timeout=_PATIENCE)
            except (RuntimeError, ValueError) as error:
                raise not_met(team.where, error) from None
            try:
                yield cls(rank, world)
            finally:
                distributed.destroy_process_group()

    def spread(self, function: Callable[..., Tensor], *rows: Tensor) -> Tensor:
        """Return function(*rows), which has a row for each row of these; this process evaluates every `world`-th.

        Gradients reach the `rows` whole, but parameters of the function by this process' rows alone: `sum` adds them.
        """
        if self.world == 1:
            return function(*rows)
        count = len(rows[0])
        share = math.ceil(count / self.world)  # where rows are too few, some are evaluated again, and left out
        own = torch.arange(self.rank, self.rank + share * self.world, self.world) % max(count, 1)
        found = function(*(self._whole(value)[own.to(value.device)] for value in rows))
        if not isinstance(found, Tensor) or found.shape[:1] != own.shape:
            return found  # whoever asked says what is wrong with it
        parts = [torch.empty(found.shape, dtype=found.dtype, device=found.device) for _ in range(self.world)]
        _ask(distributed.all_gather, parts, found.detach().contiguous())
        parts[self.rank] = found
        return torch.stack(parts, 1).flatten(0, 1)[:count]

    def shared(self, model: Model) -> Model:
        """Return the model, evaluated by all processes: what is sampled or fitted by it is so, too."""
        return model if self.world == 1 else replace(model, function=_Shared(model.function, self))

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all processes in the place of each tensor."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        _ask(distributed.all_reduce, flat)
        for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def any(self, said: bool) -> bool:
        """Return whether one of the processes says so."""
        found = torch.tensor([float(said)])
        self.sum([found])
        return bool(found)

    def agree(self, what: str) -> None:
        """Wait for all. Raises SymsiError unless all say the same, naming one that does not."""
        own = torch.tensor([list(sha256(what.encode()).digest())])
        said = self.spread(lambda row: own, torch.zeros(self.world, 1))
        for rank in range(1, self.world):
            if not torch.equal(said[rank], said[0]):
                raise SymsiError(f"rank {rank} was started with other options, files or versions than rank 0.")

    def _whole(self, value: Tensor) -> Tensor:
        """The same numbers, whose gradient is the sum over all processes."""
        if not (value.requires_grad and torch.is_grad_enabled()):
            return value
        value = value.view_as(value)

        def summed(slope: Tensor) -> Tensor:
            slope = slope.clone(memory_format=torch.contiguous_format)
            self.sum([slope])
            return slope

        value.register_hook(summed)  # type: ignore[no-untyped-call]
        return value


ALONE = Ranks()


class _Shared(nn.Module):
    """What a model calls, its rows and those of its conditions spread over processes."""

    def __init__(self, function: Callable[..., Tensor], ranks: Ranks) -> None:
        super().__init__()
        self.function, self.ranks = function, ranks

    def forward(self, x: Tensor, t: Tensor, **conditions: Any) -> Tensor:
        rows = {k: v for k, v in conditions.items() if isinstance(v, Tensor) and v.ndim and len(v) == len(x)}

        def own(x: Tensor, t: Tensor, *told: Tensor) -> Tensor:
            return self.function(x, t, **{**conditions, **dict(zip(rows, told, strict=True))})

        return self.ranks.spread(own, x, t, *rows.values())


def _ask(call: Callable[..., Any], *given: Any) -> None:
    """Make a call of all processes. Raises SymsiError where one is lost."""
    try:
        call(*given)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0][:120]
        raise SymsiError(
            f"lost another process of the run ({reason}). What is written stays; the same command goes on."
        ) from None
