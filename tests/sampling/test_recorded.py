"""From fixed seeds the same samples as ever: numbers recorded once, and recorded anew only for a reason that is told.

`python tests/sampling/test_recorded.py > tests/sampling/recorded.json` records them. Processors differ in the last bits
of a network, so they are held to a relative 2e-4; on one machine they are the same bits.
"""

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


def some(x: Tensor) -> list[float]:
    """Numbers across the samples, and their size."""
    flat = x.double().flatten()
    return [*flat[:: len(flat) // 9].tolist(), float(flat.square().mean().sqrt())]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_samples_are_those_recorded(name: str) -> None:
    expected = json.loads(RECORDED.read_text())[name]
    assert some(drawn(name)) == pytest.approx(expected, rel=2e-4, abs=2e-4)


if __name__ == "__main__":
    json.dump({name: some(drawn(name)) for name in CONFIGURATIONS}, sys.stdout, indent=1)
