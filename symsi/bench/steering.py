"""What steering is worth: distance to the exact tilt of mixtures, and rewards of digits, at equal evaluations."""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from symsi.bench.nfe import task
from symsi.errors import BudgetError, SymsiError, unknown
from symsi.interpolants.lazy import lazy_schedule
from symsi.interpolants.named import schedule
from symsi.metrics import energy_distance, frechet_distance, sampling_floor, weighted_energy_distance
from symsi.models.analytic import Mixture, gaussian, mixture
from symsi.models.features import load_features
from symsi.models.pretrained import WEIGHTS
from symsi.models.reference import isotropic
from symsi.models.rewards import reward as reward_named
from symsi.models.tilted import tilted
from symsi.solvers.grids import carry
from symsi.solvers.plan import Plan
from symsi.solvers.planning import plan
from symsi.steering.steer import steer

__all__ = ["CONTENDERS", "TRANSITIONS", "class_of", "digit_rows", "gaussian_rows", "mixture_rows", "modes"]

_TARGETS = 1500  # samples of the exact tilt
_SLOPE = (2.3, 1.8)
_BOWL, _CENTRE = ((2.1, 0.5), (0.5, 1.6)), (1.9, 1.4)
TRANSITIONS: Mapping[str, Mapping[str, Any]] = {
    "linear ODE": {"preset": "kim2025-linear-ode"},
    "linear SDE": {"preset": "kim2025-linear-sde"},
    "VP SDE": {"preset": "kim2025-vp-sde"},
    "point mass, exact": {"schedule": "lazy(kappa=1)", "diffusion": "optimal", "solver": "exact"},
}
_MULTINOMIAL: Mapping[str, Any] = {"resample": "multinomial", "ess": 1.0}  # at every level, as is common
_FAN_OUT: Mapping[str, Any] = {"method": "smc", "children": 8}
_PLAIN: Mapping[str, Any] = {"method": "smc", "children": 1}
CONTENDERS: Mapping[str, Mapping[str, Any]] = {
    "BoN": {"method": "bon"},
    "SoP": {"method": "sop"},
    "SMC": _PLAIN,
    "SMC, fan-out 8": _FAN_OUT,
    "SMC, fan-out 512, sharp": {"method": "smc", "children": 512, "temperature": 0.1},
    "SVDD": {"method": "svdd"},
    "CoDe": {"method": "code"},
    "RBF": {"method": "rbf"},
    "DTS": {"method": "dts"},
}
_ALONG_ODE = ("BoN", "SoP")


def modes() -> Mixture:
    """Four modes in the plane, which the rewards of the benchmark tilt by 2.3 to 2.6 nats."""
    means = torch.tensor([[-1.4, -0.85], [1.1, -1.0], [-0.85, 1.1], [1.25, 1.05]])
    return mixture(torch.tensor([0.4, 0.3, 0.2, 0.1]), means, torch.full((4,), 0.08))


def _problems() -> dict[str, tuple[Callable[[Tensor], Tensor], Mixture, float]]:
    """Rewards by name with the exact tilt and its log Z."""
    slope, bowl, centre = (torch.tensor(v, dtype=torch.float64) for v in (_SLOPE, _BOWL, _CENTRE))

    def quadratic(x: Tensor) -> Tensor:
        away = x.double() - centre
        return -((away @ bowl) * away).sum(1) / 2

    return {
        "linear": (lambda x: x.double() @ slope, *tilted(modes(), linear=slope)),
        "quadratic": (quadratic, *tilted(modes(), quadratic=(bowl, centre))),
    }


def _modal(model: Any, variance: float, steps: int) -> Plan:
    """Exact steps for N(0, variance I) at revealed shares w_i = 1 - (1 - i/N)^2, up to a sample (T12)."""
    revealed = [1 - (1 - i / steps) ** 2 for i in range(1, steps)]  # the time of lazy(kappa=1) is w
    times = carry(lazy_schedule(kappa=1, variance=variance), schedule("linear"), revealed)
    return plan(
        model,
        diffusion="optimal",
        reference=isotropic(variance),
        grid=[0.0, *times, 1.0],
        last="step",
        shape=model.shape,
    )


def mixture_rows(
    *, steps: Sequence[int] = (5, 10), particles: int = 50, runs: int = 300, children: Sequence[int] = (1, 8)
) -> Iterator[dict[str, Any]]:
    """Yield a row for each reward, transition, number of steps and of children: means over independent runs.

    "distance" is the squared energy distance of the weighted cloud to the exact tilt, "floor" that of as many
    independent samples of it; "log_z_rmse" the error of log Z, "z_ratio" the mean of Z^/Z, each with its spread over
    the runs as a standard error. "nats" is the relative entropy of the tilt to the mixture.
    """
    law = modes()
    model = law.model(prediction="data")
    variance = float(law.covariance.diagonal().mean())
    for name, (reward, tilt, log_z) in _problems().items():
        target = tilt.sample(_TARGETS, seed=1)
        nats = float(reward(target).mean()) - log_z
        equal = torch.zeros(particles, dtype=torch.float64)
        floor = mean(weighted_energy_distance(tilt.sample(particles, seed=2 + s), equal, target) for s in range(100))
        for n in steps:
            ways: dict[str, dict[str, Any]] = {
                "linear SDE": {"preset": "kim2025-linear-sde", "steps": n},
                "linear SDE, multinomial": {"preset": "kim2025-linear-sde", "steps": n, **_MULTINOMIAL},
                "modal kappa = 1": {"plan": _modal(model, variance, n)},
                "point mass, exact": {**TRANSITIONS["point mass, exact"], "steps": n},
                "VP SDE": {"preset": "kim2025-vp-sde", "steps": n},
            }
            for transition, options in ways.items():
                for m in children:
                    begin = time.perf_counter()
                    distances, errors, calls = [], [], 0
                    for seed in range(runs):
                        found = _quietly(
                            model, reward, budget=particles * n, children=m, seed=seed, dtype=torch.float64, **options
                        )
                        distances.append(weighted_energy_distance(found.x, found.log_weights, target))
                        errors.append(float(found.log_normalizer) - log_z)
                        calls = found.reward_calls
                    yield {
                        "reward": name,
                        "nats": nats,
                        "transition": transition,
                        "steps": n,
                        "children": m,
                        "distance": mean(distances),
                        "distance_error": stdev(distances) / math.sqrt(runs),
                        "floor": floor,
                        "log_z_rmse": math.sqrt(mean(e * e for e in errors)),
                        **_ratio(errors),
                        "nfe": particles * n,
                        "reward_calls": calls,
                        "seconds": time.perf_counter() - begin,
                    }


def gaussian_rows(
    *, steps: Sequence[int] = (1, 2, 5), particles: int = 10, runs: int = 2000, children: Sequence[int] = (1, 8)
) -> Iterator[dict[str, Any]]:
    """Yield E[Z^]/Z on Gaussian data in modal coordinates, whose steps are exact, with its standard error."""
    slope, centre = torch.tensor([1.0, 0.5], dtype=torch.float64), torch.zeros(2)
    law = gaussian(centre, torch.full((2,), 0.7))
    _, log_z = tilted(law, linear=slope)
    model = law.model(prediction="data")
    for n in steps:
        way = _modal(model, 0.7, n)
        for m in children:
            errors = []
            for seed in range(runs):
                found = _quietly(
                    model,
                    lambda x: x.double() @ slope,
                    budget=particles * n,
                    children=m,
                    seed=seed,
                    plan=way,
                    dtype=torch.float64,
                )
                errors.append(float(found.log_normalizer) - log_z)
            yield {"steps": n, "children": m, **_ratio(errors)}


def _ratio(errors: Sequence[float]) -> dict[str, float]:
    ratios = [math.exp(e) for e in errors]
    return {"z_ratio": mean(ratios), "z_ratio_error": stdev(ratios) / math.sqrt(len(ratios))}


def digit_rows(
    *,
    model: str = "digits28",
    reward: str = "100*ink",
    budgets: Sequence[int] = (50, 100, 200, 500),
    contenders: Sequence[str] = tuple(CONTENDERS),
    transitions: Sequence[str] = tuple(TRANSITIONS),
    steps: int = 10,
    runs: int = 8,
) -> Iterator[dict[str, Any]]:
    """Yield a row for each contender, transition and budget that carries it: of each run's two best samples.

    The two differ. "reward" is their mean reward, with its standard error over runs; "sure" the share to which the
    judge's classifier, which the reward does not use, gives a class with more than 0.9. "distance" is the energy
    distance to held-out images in the judge's features, and "diversity" the mean distance between samples of different
    runs, over that of the held-out images. For a reward of a class ("class=N") these are of that class, "right" is the
    share that is named so, "fd" the Frechet distance to them and "fd_floor" that of as many of them to the others.
    """
    for known, names in ((CONTENDERS, contenders), (TRANSITIONS, transitions)):
        for name in names:
            if name not in known:
                raise unknown("row of the benchmark", name, known)
    if runs < 2:
        raise SymsiError(f"the benchmark needs runs >= 2 for a spread; got {runs}.")
    judge, wanted = task(model), reward_named(reward)
    label = class_of(reward)
    real = _real(model, label)
    apart = _apart(real)
    for transition in transitions:
        for name in contenders:
            if (transition == "linear ODE") != (name in _ALONG_ODE):
                continue
            for nfe in budgets:
                begin, tops, found_rewards, found = time.perf_counter(), [], [], None
                options = {**TRANSITIONS[transition], **CONTENDERS[name], "steps": steps}
                with suppress(BudgetError):
                    for seed in range(runs):
                        found = _quietly(judge.model, wanted, budget=nfe, seed=seed, **options)
                        best = _two_best(found.rewards)
                        tops.append(found.x[best])
                        found_rewards.append(float(found.rewards[best].mean()))
                if found is None:
                    continue
                images = torch.cat(tops)  # in model units, as the judge was trained
                features = judge.features(images).double()
                assert judge.classify is not None
                with torch.no_grad():
                    chances = judge.classify(images).softmax(1)
                yield {
                    "contender": name,
                    "transition": transition,
                    "budget": nfe,
                    "nfe": found.nfe,
                    "reward_calls": found.reward_calls,
                    "reward": mean(found_rewards),
                    "reward_error": stdev(found_rewards) / math.sqrt(runs),
                    "sure": float((chances.max(1).values > 0.9).double().mean()),
                    **({} if label is None else _of_class(chances, label, features, real)),
                    "distance": energy_distance(features, real),
                    "diversity": _apart(features, runs) / apart,
                    "seconds": time.perf_counter() - begin,
                }


def class_of(reward: str) -> int | None:
    """Return N of the reward "class=N", None of another."""
    return int(reward[-1]) if re.fullmatch(r"class=\d", reward) else None


def _of_class(chances: Tensor, label: int, features: Tensor, real: Tensor) -> dict[str, float]:
    floor = sampling_floor(frechet_distance, real, len(features))
    return {
        "right": float((chances.argmax(1) == label).double().mean()),
        "fd": frechet_distance(features, real),
        "fd_floor": floor.mean,
        "fd_floor_spread": floor.spread,
    }


def _two_best(rewards: Tensor) -> list[int]:
    """The samples of the highest and the second highest reward, which copies of one sample share."""
    order = rewards.argsort(descending=True).tolist()
    return [order[0], next((i for i in order if rewards[i] < rewards[order[0]]), order[-1])]


def _apart(features: Tensor, groups: int | None = None) -> float:
    """The mean distance between rows, of different groups where rows lie group by group."""
    distances = torch.cdist(features, features)
    each = 1 if groups is None else len(features) // groups
    group = torch.arange(len(features)) // each
    return float(distances[group[:, None] != group[None]].mean())


@cache
def _real(model: str, label: int | None) -> Tensor:
    """Features of held-out images, of one class as the judge names them."""
    judge = task(model)
    if label is None:
        return judge.real[:1000]
    head = load_features(WEIGHTS / f"{model}-features.safetensors").classifier.head
    with torch.no_grad():
        named = head(judge.real.float()).argmax(1)
    return judge.real[named == label][:1000]


def _quietly(*arguments: Any, **options: Any) -> Any:
    """steer without a bar, and without the warning of transitions that land in noise, which rows are there to show."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the plan lands")
        return steer(*arguments, progress=False, **options)
