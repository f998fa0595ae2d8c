"""What a theorem claims, sentence by sentence, and what each sentence rests on: checked steps, or a cited source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

__all__ = ["Claim", "Status", "StepKind", "numbers", "share_covered"]


class Status(StrEnum):
    """What a claim rests on."""

    COVERED = "covered"  # every step that names it is proved, and at least one is no mere definition
    CITED = "cited"  # a theorem of the literature, with its source; steps may support it
    OPEN = "open"


class StepKind(StrEnum):
    """Whether a step says anything: the two sides of a definition are the same before anything is checked."""

    PROVED = "proved step"
    DEFINITION = "definition"


@dataclass(frozen=True)
class Claim:
    """One sentence of a theorem's statement; `steps` are the numbers of those that prove it, counted from 1."""

    key: str
    text: str
    status: Status
    steps: tuple[int, ...]
    citation: str = ""

    @property
    def support(self) -> str:
        """What the claim rests on, as a phrase: "covered by steps 1-3", "cited: ...", "open"."""
        if self.status is Status.CITED:
            return f"cited: {self.citation}" + (f"; supported by {_steps(self.steps)}" if self.steps else "")
        by = f" by {_steps(self.steps)}" if self.status is Status.COVERED else ""
        return f"{self.status}{by}"

    def __str__(self) -> str:
        return f"({self.key}) {self.text} [{self.support}]"


def share_covered(claims: Iterable[Claim]) -> float:
    """The fraction of claims that steps cover; 1 where nothing is claimed."""
    found = [claim.status is Status.COVERED for claim in claims]
    return sum(found) / len(found) if found else 1.0


def numbers(steps: Sequence[int]) -> str:
    """Return ascending step numbers with runs drawn together: 1, 3-5."""
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(steps), 1) if b != a + 1), len(steps)]
    runs = [steps[a:b] for a, b in pairwise(starts) if a < b]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _steps(steps: Sequence[int]) -> str:
    return f"step{'' if len(steps) == 1 else 's'} {numbers(steps)}"
