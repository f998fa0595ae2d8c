"""What the tensors of a run are: their shapes, kinds and ranges, which those of a file are held against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from symsi.errors import SymsiError
from symsi.sampling.state import step
from symsi.steering.chain import Chain
from symsi.steering.held import pack

__all__ = ["Form", "Forms", "check", "check_account", "length", "of_cloud", "of_samples", "of_state", "whole"]


class Form(NamedTuple):
    """A tensor's shape, its dtype, and the range of its numbers, by default all that are finite; nan is in none."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float64
    least: float | None = None
    most: float | None = None


Forms: TypeAlias = dict[str, Form]


def whole(*shape: int, least: int = 0, most: int) -> Form:
    """Return the form of whole numbers from `least` to `most`."""
    return Form(shape, torch.long, least, most)


def length(held: Mapping[str, Tensor], name: str) -> int:
    """Return how many rows there are of what may have any number of them, 0 where it is not there."""
    found = held.get(name)
    return 0 if found is None or not found.ndim else len(found)


def of_state(name: str, chain: Chain, held: Mapping[str, Tensor], count: int) -> Forms:
    """Return the forms of a packed state of `count` samples at the level that it tells. Raises SymsiError as `check`.

    What a multistep solver remembers there is seen by taking a row of zeros as far.
    """
    told = f"{name}.about"
    about = {told: whole(2, most=chain.levels)}
    check({key: value for key, value in held.items() if key in about}, about)
    found, level = chain.begin([0]), min(int(held[told][0]), chain.levels - 1)
    nothing = found.z.new_zeros((1, *chain.form))
    for _ in range(level):
        found = step(chain.plan, found, nothing, nothing)
    alike = pack(name, found)
    expected, given = alike.pop(told).tolist(), held[told].tolist()
    if given != expected:
        raise SymsiError(f"its {told} is {given}, and this run has {expected} there.")
    return about | {key: Form((count, *value.shape[1:]), value.dtype) for key, value in alike.items()}


def of_cloud(name: str, chain: Chain, held: Mapping[str, Tensor], count: int) -> Forms:
    """Return the forms of a packed cloud, as `of_state`."""
    data = Form((count, *chain.form), chain.working)
    return {**of_state(name, chain, held, count), f"{name}.said": data, f"{name}.data": data}


def of_samples(chain: Chain, count: int) -> Forms:
    """Return the forms of `count` samples and their rewards, in which every method ends."""
    return {"x": Form((count, *chain.form), chain.working), "rewards": Form((count,))}


def check_account(chain: Chain, held: Mapping[str, Tensor]) -> None:
    """Raise SymsiError unless what was spent is within the chain's budget and the course of it is told in numbers.

    There is a best as soon as something was rated, and samples are.
    """
    mine = {name: value for name, value in held.items() if name.startswith("account.")}
    entries, record = length(mine, "account.entries"), mine.get("account.best", torch.empty(0)).flatten()[:1]
    rated = "x" in held or bool((record > -torch.inf).any())
    check(
        mine,
        {
            "account.spent": Form((2,), torch.long, 0),
            "account.best": Form((2,), least=-torch.inf),
            "account.entries": Form((entries, 5)),
            "account.ess": Form((entries,), least=0),
            **({"account.x": Form((1, *chain.form), chain.working)} if rated else {}),
        },
    )
    nfe, calls = mine["account.spent"].tolist()
    if nfe > chain.account.nfe_left or calls > chain.account.rewards_left:
        raise SymsiError(f"its account has spent {nfe} evaluations and {calls} calls, beyond {chain.account.budget}.")


def check(held: Mapping[str, Tensor], forms: Mapping[str, Form]) -> None:
    """Raise SymsiError, with what is wrong, unless each form has its tensor, and no other is there."""
    for name in forms:
        if name not in held:
            raise SymsiError(f"it holds no {name}.")
    for name, value in held.items():
        if name not in forms:
            raise SymsiError(f"it holds {name[:80]}, which this run has not.")
        form = forms[name]
        if (tuple(value.shape), value.dtype) != (form.shape, form.dtype):
            raise SymsiError(f"its {name} is {_words(value.shape, value.dtype)}, and this run's {_words(*form[:2])}.")
        kind = torch.finfo(value.dtype) if value.is_floating_point() else torch.iinfo(value.dtype)
        least = kind.min if form.least is None else form.least
        most = kind.max if form.most is None else form.most
        wrong = value[~((value >= least) & (value <= most))]
        if len(wrong):
            ends = "finite" if form.most is None else f"from {form.least} to {form.most}"
            raise SymsiError(f"its {name} holds {wrong[0].item()}; here all is {ends}.")


def _words(shape: tuple[int, ...], kind: torch.dtype) -> str:
    return f"{tuple(shape)} in {str(kind).removeprefix('torch.')}"
