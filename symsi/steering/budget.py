"""What a run may spend, and what it has spent: evaluations of the model, calls of the reward, and the best found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from symsi.errors import BudgetError
from symsi.sampling.inputs import whole_number

__all__ = ["Account", "Budget", "Entry", "as_budget"]

_MANY = 1 << 62
_NONE = 0.0  # in a file, of what has no effective sample size


@dataclass(frozen=True)
class Budget:
    """At most `nfe` evaluations of the model and `rewards` calls of the reward, both counted in rows; None: any number.

    A guided model makes two evaluations a row. Raises SymsiError unless they are positive integers.
    """

    nfe: int
    rewards: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        object.__setattr__(self, "nfe", whole_number("nfe of the budget", self.nfe, 1))
        if self.rewards is not None:
            object.__setattr__(self, "rewards", whole_number("rewards of the budget", self.rewards, 1))


def as_budget(spec: Budget | int) -> Budget:
    """Return a budget as it is, or that of so many evaluations."""
    return spec if isinstance(spec, Budget) else Budget(spec)


@dataclass(frozen=True)
class Entry:
    """A level of a run: what was spent until then, the best and the mean reward of the level, and its ESS."""

    level: int
    nfe: int
    reward_calls: int
    best: float
    mean: float
    ess: float


@dataclass
class Account:
    """The one account of a run. `best` (1, *shape) is what had the highest reward of all that was ever rated."""

    budget: Budget
    nfe: int = 0
    reward_calls: int = 0
    best: Tensor | None = None
    best_reward: float = -torch.inf
    best_time: float = 0.0
    entries: list[Entry] = field(default_factory=list)

    @property
    def nfe_left(self) -> int:
        """Evaluations that may still be made."""
        return self.budget.nfe - self.nfe

    @property
    def rewards_left(self) -> int:
        """Calls of the reward that may still be made."""
        return (_MANY if self.budget.rewards is None else self.budget.rewards) - self.reward_calls

    def evaluated(self, rows: int) -> None:
        """Count evaluations. Raises BudgetError, before they are made, beyond the budget."""
        if rows > self.nfe_left:
            raise BudgetError(f"{rows} evaluations would exceed the budget of {self.budget.nfe}: {self.nfe} are spent.")
        self.nfe += rows

    def rated(self, rows: int) -> None:
        """Count calls of the reward. Raises BudgetError, before they are made, beyond the budget."""
        if rows > self.rewards_left:
            raise BudgetError(
                f"{rows} calls of the reward would exceed the budget of {self.budget.rewards}: {self.reward_calls} "
                "are spent. Give Budget(nfe, rewards=...) more, or fewer particles or children."
            )
        self.reward_calls += rows

    def seen(self, x: Tensor, rewards: Tensor, time: float) -> None:
        """Keep the best."""
        top = int(rewards.argmax())
        if float(rewards[top]) > self.best_reward:
            self.best, self.best_reward, self.best_time = x[top : top + 1].clone(), float(rewards[top]), time

    def note(self, level: int, rewards: Tensor, ess: float = torch.nan) -> None:
        """Write the entry of a level."""
        self.entries.append(Entry(level, self.nfe, self.reward_calls, float(rewards.max()), float(rewards.mean()), ess))

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it but the budget as tensors, for a file."""
        numbers = [[e.level, e.nfe, e.reward_calls, e.best, e.mean] for e in self.entries]
        found = {
            "account.spent": torch.tensor([self.nfe, self.reward_calls]),
            "account.best": torch.tensor([self.best_reward, self.best_time], dtype=torch.float64),
            "account.entries": torch.tensor(numbers, dtype=torch.float64).reshape(-1, 5),
            "account.ess": torch.tensor([e.ess for e in self.entries], dtype=torch.float64).nan_to_num(nan=_NONE),
        }
        return found if self.best is None else {**found, "account.x": self.best}

    def restore(self, held: Mapping[str, Tensor]) -> None:
        """Take what `tensors` returned."""
        self.nfe, self.reward_calls = map(int, held["account.spent"])
        self.best_reward, self.best_time = map(float, held["account.best"])
        self.best = held.get("account.x")
        course = zip(held["account.entries"].tolist(), held["account.ess"].tolist(), strict=True)
        self.entries = [
            Entry(int(level), int(nfe), int(calls), best, mean, torch.nan if ess == _NONE else ess)
            for (level, nfe, calls, best, mean), ess in course
        ]
