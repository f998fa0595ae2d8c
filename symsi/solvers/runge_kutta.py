"""Explicit Runge-Kutta methods as rows (Hairer, Norsett, Wanner 1993, II.1): a method is its tableau.

In the coordinate y = scale z in which the drift is integrated, with h the step and f_j the field at Y_j,

    Y_i = y + h sum_{j<i} a_ij f_j  at the share c_i = sum_j a_ij of the step,   y' = y + h sum_j b_j f_j.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import zip_longest

from symsi.solvers.nodes import Nodes
from symsi.solvers.stage import Span, Stage

__all__ = ["DOPRI5", "RK4", "Tableau", "runge_kutta"]


@dataclass(frozen=True)
class Tableau:
    """The order, the lines a_2, a_3, ... and at last b, each as words such as "3/40 9/40"."""

    order: int
    lines: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that what follows an evaluation is explicit, and that a constant field is integrated exactly."""
        assert [len(a) for a in self.a] == list(range(1, len(self.lines) + 1))
        assert self.c[-1] == 1

    @cached_property
    def a(self) -> tuple[tuple[Fraction, ...], ...]:
        """The lines as numbers; the last one is b."""
        return tuple(tuple(map(Fraction, line.split())) for line in self.lines)

    @cached_property
    def c(self) -> tuple[Fraction, ...]:
        """Where each evaluation lies, and at last where the step ends."""
        return (Fraction(0), *map(sum, self.a))  # type: ignore[arg-type]

    @cached_property
    def points(self) -> tuple[Fraction, ...]:
        """The shares of a step at which coefficients are needed, in order, 0 and 1 among them."""
        return tuple(sorted(set(self.c)))


RK4 = Tableau(4, ("1/2", "0 1/2", "0 0 1", "1/6 1/3 1/3 1/6"))  # Kutta 1901
DOPRI5 = Tableau(  # Dormand and Prince 1980, whose seventh evaluation is the next step's first
    5,
    (
        "1/5",
        "3/40 9/40",
        "44/45 -56/15 32/9",
        "19372/6561 -25360/2187 64448/6561 -212/729",
        "9017/3168 -355/33 46732/5247 49/176 -5103/18656",
        "35/384 0 500/1113 125/192 -2187/6784 11/84",
    ),
)


def runge_kutta(nodes: Nodes, method: Tableau) -> tuple[list[Stage], list[Span]]:
    """The rows over `nodes`, which hold `method.points` of every step, in either direction of time.

    A stage goes on from the state before it: its weights are the differences of two lines of the tableau.
    """
    stages, spans, width = [], [], len(method.points) - 1
    for k in range(0, len(nodes.grid) - 1, width):
        h = nodes.grid[k + width] - nodes.grid[k]
        before: tuple[Fraction, ...] = ()
        at = [k + method.points.index(c) for c in method.c]
        for here, there, line in zip(at[:-1], at[1:], method.a, strict=True):
            steps = [
                h * float(a - b) / nodes.scales[there] for a, b in zip_longest(line, before, fillvalue=Fraction(0))
            ]
            before = line
            stages.append(
                Stage(
                    step=k // width + 1,
                    time=nodes.times[here],
                    state=nodes.field[0][here],
                    gains=(nodes.field[1][here],),
                    keep=nodes.scales[here] / nodes.scales[there],
                    weights=tuple(reversed(steps)),
                )
            )
        end = nodes.scales[k + width]
        spans.append(Span(nodes.scales[k] / end, h / end, method.order))
    return stages, spans
