"""From fixed seeds the same samples as ever: numbers recorded once, and recorded anew only for a reason that is told.

`python tests/sampling/test_recorded.py > tests/sampling/recorded.json` records them. Processors differ in the last bits
of a network, so they are held to a relative 2e-4; on the machine that recorded them they are the same bits.
"""

import hashlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import symsi
from symsi.calibration.reference import estimate
from symsi.diffusers import LazyDiffusionScheduler, LazyFlowMatchScheduler
from symsi.theory.record import record

RECORDED = Path(__file__).with_name("recorded.json")
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "vp ab2": {"schedule": "trigonometric", "solver": "ab2", "grid": "shifted(shift=2)", "steps": 4},
    "linear euler": {"schedule": "linear", "solver": "euler", "steps": 5},
    "linear heun": {"schedule": "linear", "solver": "heun", "grid": "angle", "steps": 3},
    "scaled vp ab3": {"schedule": "lazy(kappa=0, variance=2)", "solver": "ab3", "grid": "angle", "steps": 6},
    "dpm++2m": {"schedule": "trigonometric", "solver": "dpm++2m", "steps": 5},
    "point mass": {"schedule": "lazy(kappa=1)", "diffusion": "optimal", "solver": "euler-maruyama", "steps": 5},
    "linear sde ab2": {
        "schedule": "linear",
        "diffusion": "alpha",
        "solver": "ab2-maruyama",
        "steps": 5,
        "last": "step",
    },
    "exact": {"schedule": "trigonometric", "diffusion": "kappa=1/2", "solver": "exact", "steps": 4, "last": "step"},
    "modes dct sde": {
        "schedule": "trigonometric",
        "diffusion": "optimal",
        "solver": "exact-ab2",
        "steps": 4,
        "reference": "dct",
    },
    "modes pca": {"schedule": "trigonometric", "solver": "ab2", "steps": 4, "reference": "pca"},
    "modes channel": {"schedule": "linear", "solver": "euler", "steps": 4, "reference": "channel"},
    "guided": {
        "schedule": "trigonometric",
        "solver": "ab2",
        "grid": "log-snr",
        "steps": 4,
        "guidance": 1.7,
        "batch": 2,
    },
}


@cache
def reference(kind: str) -> symsi.Reference:
    data = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(3)).cumsum(-1) * 0.1
    return estimate(data, kind, rank=20 if kind == "pca" else None)


def drawn(name: str) -> Tensor:
    options = dict(CONFIGURATIONS[name])
    if "reference" in options:
        options["reference"] = reference(options["reference"])
    model, labels = symsi.models.load("digits28"), {"label": torch.arange(3)}
    return symsi.sample(model, shape=3, conditions=labels, seed=11, progress=False, **options).x


DERIVED = [
    ("linear", "lazy(kappa=1)", "optimal", "velocity"),
    ("edm", "trigonometric", "ode", "data"),
    ("shifted(shift=3)", "vp", "alpha", "velocity"),
]


def derived(base: str, target: str, diffusion: str, prediction: str) -> str:
    """The SHA-256 of what `symsi derive --json` prints: every formula and limit of a conversion."""
    text = json.dumps(record(symsi.convert(base, target, diffusion, prediction)), indent=2)
    return hashlib.sha256(text.encode()).hexdigest()


SCHEDULERS: dict[str, dict[str, Any]] = {
    "flow": {"grid": "sigmas", "shift": 3.0},
    "flow heun": {"grid": "shifted(shift=2)", "solver": "heun"},
    "flow sde": {"diffusion": "optimal", "seed": 5, "shift": 2.0},
    "flow reference": {"diffusion": "kappa=1/2", "reference": 0.5, "seed": 7, "last": "step"},
    "diffusion": {"timestep_spacing": "trailing"},
    "diffusion v sde": {
        "prediction_type": "v_prediction",
        "diffusion": "optimal",
        "seed": 3,
        "timestep_spacing": "trailing",
    },
}


def scheduled(name: str) -> Tensor:
    """The last state of a run of 5 steps, of a network that is a formula."""
    kind = LazyFlowMatchScheduler if name.startswith("flow") else LazyDiffusionScheduler
    scheduler = kind(**SCHEDULERS[name])
    scheduler.set_timesteps(5)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(4))
    for t in scheduler.timesteps:
        x = scheduler.step(torch.sin(1.3 * x + float(t) / 500) - 0.3 * x, t, x, return_dict=False)[0]
    return x


def some(x: Tensor) -> list[float]:
    """Numbers across the samples, and their size."""
    flat = x.double().flatten()
    return [*flat[:: len(flat) // 9].tolist(), float(flat.square().mean().sqrt())]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_samples_are_those_recorded(name: str) -> None:
    expected = json.loads(RECORDED.read_text())[name]
    assert some(drawn(name)) == pytest.approx(expected, rel=2e-4, abs=2e-4)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_step_as_recorded(name: str) -> None:
    expected = json.loads(RECORDED.read_text())[f"scheduler: {name}"]
    assert some(scheduled(name)) == pytest.approx(expected, rel=2e-5, abs=2e-5)


@pytest.mark.parametrize(("base", "target", "diffusion", "prediction"), DERIVED)
def test_derivations_are_the_texts_recorded(base: str, target: str, diffusion: str, prediction: str) -> None:
    expected = json.loads(RECORDED.read_text())[f"{base} to {target}, {diffusion}"]
    assert derived(base, target, diffusion, prediction) == expected


if __name__ == "__main__":
    found: dict[str, Any] = {name: some(drawn(name)) for name in CONFIGURATIONS}
    found |= {f"scheduler: {name}": some(scheduled(name)) for name in SCHEDULERS}
    found |= {f"{given[0]} to {given[1]}, {given[2]}": derived(*given) for given in DERIVED}
    json.dump(found, sys.stdout, indent=1)
