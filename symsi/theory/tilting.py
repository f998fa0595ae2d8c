"""T25: the tilted law p(x) e^(r(x)/lambda)/Z of a reward r at the temperature lambda, and the weights of its samplers.

A Gaussian stays one where r is linear or quadratic; here in one mode, of mean m and variance S. Steps weigh what they
reach by increments that sum to r(x_1)/lambda; candidates of the next state by predictions of its reward, corrected once
the reward is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sympy import Add, Expr, Max, exp, log, sqrt

from symsi.errors import unknown
from symsi.interpolants.rows import Pair
from symsi.theory.gaussian import marginal_variance

__all__ = [
    "POTENTIALS",
    "Tilt",
    "candidate",
    "correction",
    "increments",
    "linear_shift",
    "linear_tilt",
    "mean_weight",
    "offspring",
    "posterior_gain",
    "quadratic_tilt",
    "tilted_weights",
    "twist",
]

POTENTIALS = ("difference", "max", "sum")


@dataclass(frozen=True)
class Tilt:
    """N(mean, variance), and the normaliser Z = e^exponent/sqrt(narrowing), with narrowing = S/variance.

    Sums and products alone, so that arrays of modes may stand for the expressions.
    """

    mean: Expr
    variance: Expr
    exponent: Expr
    narrowing: Expr

    @property
    def normalizer(self) -> Expr:
        """Z = e^exponent/sqrt(narrowing)."""
        return exp(self.exponent) / sqrt(self.narrowing)

    @property
    def log_normalizer(self) -> Expr:
        """log Z = exponent - log(narrowing)/2."""
        return self.exponent - log(self.narrowing) / 2


def linear_tilt(mean: Expr, variance: Expr, slope: Expr, temperature: Expr) -> Tilt:
    """r = a x: N(m + S a/lambda, S), log Z = a m/lambda + a^2 S/(2 lambda^2)."""
    push = slope / temperature
    return Tilt(mean + variance * push, variance, push * mean + push**2 * variance / 2, push**0)


def quadratic_tilt(mean: Expr, variance: Expr, curvature: Expr, centre: Expr, temperature: Expr) -> Tilt:
    """r = -A (x - c)^2/2: N((m + S A c/lambda)/q, S/q), Z = e^(-A (m - c)^2/(2 lambda q))/sqrt(q), q = 1 + S A/lambda.

    So 1/S' = 1/S + A/lambda and m'/S' = m/S + A c/lambda, without a division by S or A.
    """
    pull = curvature / temperature
    narrowing = 1 + variance * pull
    exponent = -pull * (mean - centre) ** 2 / (2 * narrowing)
    return Tilt((mean + variance * pull * centre) / narrowing, variance / narrowing, exponent, narrowing)


def tilted_weights(weights: Sequence[Expr], normalizers: Sequence[Expr]) -> list[Expr]:
    """w_k Z_k/sum_j w_j Z_j, the weights of a tilted mixture; the sum is its Z."""
    total = Add(*(w * z for w, z in zip(weights, normalizers, strict=True)))
    return [w * z / total for w, z in zip(weights, normalizers, strict=True)]


def increments(kind: str, rewards: Sequence[Expr], temperature: Expr) -> list[Expr]:
    """U_k - U_{k-1}, the log-weights of steps to rewards r_1, ..., r_N, where the last is r of the sample itself.

    (r_k - r_{k-1})/lambda with r_0 = 0 for "difference", max_{j <= k} r_j/lambda for "max" and sum_{j <= k} r_j/lambda
    for "sum"; the last is (r_N - what the others add up to)/lambda for all.
    """
    if kind not in POTENTIALS:
        raise unknown("potential", kind, POTENTIALS)
    before = rewards[:-1]
    if kind == "difference":
        steps = [r if k == 0 else r - rewards[k - 1] for k, r in enumerate(before)]
        rest = before[-1] if before else 0
    else:
        gather = Max if kind == "max" else Add
        steps = [gather(*before[: k + 1]) for k in range(len(before))]
        rest = Add(*steps)
    return [step / temperature for step in (*steps, rewards[-1] - rest)]


def mean_weight(weights: Sequence[Expr]) -> Expr:
    """(1/P) sum_i w_i, the factor of the estimate of Z."""
    return Add(*weights) / len(weights)


def offspring(weights: Sequence[Expr], count: Expr) -> list[Expr]:
    """E[N_i] = count w_i/sum_j w_j, how often unbiased resampling to `count` particles keeps each."""
    return [count * w / Add(*weights) for w in weights]


def candidate(carried: Expr, predicted: Expr, reward: Expr, temperature: Expr) -> Expr:
    """log w + (r^ - r)/lambda: a next state by the reward predicted of it, r^, and that of its parent, r."""
    return carried + (predicted - reward) / temperature


def correction(reward: Expr, predicted: Expr, temperature: Expr) -> Expr:
    """(r' - r^)/lambda, once the reward r' of the next state is known."""
    return (reward - predicted) / temperature


def twist(noise: Expr, shift: Expr) -> Expr:
    """|n - s|^2/2 - |n|^2/2 = s (s - 2 n)/2: the log-weight of noise drawn from N(s, 1) for N(0, 1)."""
    return shift * (shift - 2 * noise) / 2


def linear_shift(scale: Expr, gain: Expr, slope: Expr, temperature: Expr) -> Expr:
    """s = L G a/lambda, under which all noise weighs the same where the predicted reward is a (eta + G L n)."""
    return scale * gain * slope / temperature


def posterior_gain(p: Pair, variance: Expr) -> Expr:
    """G = beta Lambda/S: how far eta_X of Gaussian data moves with the state."""
    return p.beta * variance / marginal_variance(p, variance)
