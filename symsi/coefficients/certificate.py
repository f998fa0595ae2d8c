"""The certificates: worst errors of tables and kernels, in ulp, of conversions and of bridges between two laws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from sympy import Expr
from torch import Tensor

from symsi.coefficients.kernels import kernels
from symsi.coefficients.measured import Curve, Subject, Worst, errors, measure, shared
from symsi.coefficients.textbook import bridge_definitions, definitions
from symsi.coefficients.two_sided import bridge_kernels
from symsi.errors import SymsiError, unknown
from symsi.interpolants.named_two_sided import ENDS, GAMMAS
from symsi.theory.bridge import Bridge, bridge
from symsi.theory.conversion import Conversion, convert

__all__ = ["BRIDGES", "DIFFUSIONS", "SCHEDULES", "certify", "certify_bridges", "kernel_errors", "pairs"]

SCHEDULES = (
    "linear",
    "trigonometric",
    "vp",
    "ddpm",
    "polynomial",
    "cosine",
    "ve",
    "edm",
    "shifted",
    "lazy(kappa=1/2)",
    "lazy(kappa=1)",
)
DIFFUSIONS = ("ode", "optimal", "alpha")
_DEPENDENT = ("diffusion", "base_diffusion", "drift_state", "drift_input", "drift_prediction")
BRIDGES = tuple(f"{ends}(gamma={gamma})" for ends in ENDS for gamma in GAMMAS)
_BRIDGE_DIFFUSIONS = ("ode", "gamma", "1/2")  # of a constant no end bears the drift: there it has no limit to miss
_GIVEN = (("velocity", "latent"), ("velocity", "score"), ("ends", "latent"), ("ends", "score"))
_MIDDLE = (0.5,)  # where the pieces of encoding-decoding meet


def pairs(schedules: Sequence[str] = SCHEDULES) -> list[tuple[str, str]]:
    """Return every ordered pair, a schedule with itself included."""
    return [(base, target) for base in schedules for target in schedules]


def certify(
    wanted: Sequence[tuple[str, str]], randoms: int = 1000, workers: int = 1, seed: int = 0
) -> Iterator[tuple[list[Worst], Curve]]:
    """Yield the rows of each pair, and its curve, as they are done; `workers` processes share the pairs."""
    return shared(_pair, wanted, randoms, workers, seed)


def certify_bridges(
    wanted: Sequence[str] = BRIDGES, randoms: int = 1000, workers: int = 1, seed: int = 0
) -> Iterator[tuple[list[Worst], Curve]]:
    """Yield the same of each two-sided interpolant, from each two of velocity or ends with latent or score."""
    return shared(_bridge, wanted, randoms, workers, seed)


def kernel_errors(
    conversion: Conversion, name: str, times: Sequence[float]
) -> tuple[tuple[float, float, float, float], ...]:
    """Return (t, ours, textbook, clamped) for float32 times inside (0, 1): errors of one coefficient in float32 ulp.

    `textbook` is the form of `definitions`, `clamped` the same with t 1e-5 away from both ends; inf stands for nan and
    inf. Raises UnknownNameError for a coefficient that a textbook does not define, and SymsiError for a conversion of
    another prediction than velocity or times that do not lie inside its domain.
    """
    if conversion.prediction != "velocity":
        raise SymsiError(
            f"textbook forms are those of a velocity prediction; this conversion has {conversion.prediction}."
        )
    known = definitions(conversion)
    if name not in known:
        raise unknown("coefficient", name, known)
    points = torch.tensor(times, dtype=torch.float32)
    outside = [value for value in points.tolist() if not conversion.start_time < value < 1]
    if outside:
        raise SymsiError(f"times must lie inside ({conversion.start_time:.6g}, 1); got {outside[0]:.6g}.")
    subject = _of_conversion(conversion, {name: known[name]})
    return tuple((time, *found[name]) for time, found in errors(subject, points.tolist()))


def _pair(pair: tuple[str, str], randoms: int, seed: int) -> tuple[list[Worst], Curve]:
    rows: list[Worst] = []
    drawn: Curve = ()
    for diffusion in DIFFUSIONS:
        conversion = convert(*pair, diffusion)
        names = tuple(conversion.coefficients) if diffusion == DIFFUSIONS[0] else _DEPENDENT
        known = definitions(conversion)
        subject = _of_conversion(conversion, {n: known[n] for n in names})
        found, curve = measure(subject, randoms, seed, drawn="velocity_prediction")
        rows += found
        drawn = drawn or curve
    return rows, drawn


def _bridge(name: str, randoms: int, seed: int) -> tuple[list[Worst], Curve]:
    rows: list[Worst] = []
    for given in _GIVEN:
        for diffusion in _BRIDGE_DIFFUSIONS:
            judged = bridge(name, diffusion, given)
            known, first = bridge_definitions(judged), given == _GIVEN[0]
            wanted = [n for n in known if first or n.endswith(("_state", *given))]
            if diffusion != _BRIDGE_DIFFUSIONS[0]:
                wanted = [n for n in wanted if n.startswith(("diffusion", "forward", "backward"))]
            rows += measure(_of_bridge(judged, {n: known[n] for n in wanted}), randoms, seed, around=_MIDDLE)[0]
    return rows, ()


def _of_conversion(conversion: Conversion, textbook: Mapping[str, Expr]) -> Subject:
    functions, pair = kernels(conversion).functions, f"{conversion.base} -> {conversion.target}"

    def ours(points: Tensor) -> dict[str, Tensor]:
        return {n: functions[n](points)[n] for n in textbook}

    return Subject(conversion, textbook, ours, pair, str(conversion.diffusion))


def _of_bridge(judged: Bridge, textbook: Mapping[str, Expr]) -> Subject:
    """The kernels are those that fields run: each field's own, and for the rest those of all coefficients."""
    functions, name = bridge_kernels(judged).functions, f"{judged.interpolant}, given {' and '.join(judged.given)}"

    def ours(points: Tensor) -> dict[str, Tensor]:
        return {n: v for kind in ("", *judged.fields) for n, v in functions[kind](points).items()}

    return Subject(judged.functions, textbook, ours, name, str(judged.epsilon))
