"""How well degraded digits are restored: by the ODE and an SDE of a bridge, and by a regression of the same size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from symsi.errors import SymsiError
from symsi.metrics import accuracy, frechet_distance, rmse, sliced_wasserstein
from symsi.models.datasets import dataset
from symsi.models.features import SHIPPED, load_features
from symsi.models.pretrained_bridge import load_bridge
from symsi.models.restoring import degrade
from symsi.models.two_sided import BridgeModel
from symsi.sampling.bridges import sample_bridge
from symsi.sampling.noise import standard_normal

__all__ = ["METHODS", "NFE", "REGRESSION", "restoration_rows"]

NFE = (3, 5, 10, 20)
METHODS: Mapping[str, Mapping[str, Any]] = {
    "ODE": {"solver": "ab2", "grid": "uniform", "last": "land"},
    "SDE": {"solver": "euler-maruyama", "grid": "cosine", "diffusion": "gamma", "last": "land"},
}
REGRESSION: Mapping[str, Any] = {"solver": "euler", "steps": 1}
_REST = 2000
_NOISE = 1 << 33  # plus the seed of a repeat: that of the degradation, which no step of the SDE shares


def restoration_rows(
    bridge: str | Path = "digits28-restore",
    regression: str | Path = "digits28-regression",
    *,
    nfe: Sequence[int] = NFE,
    samples: int = 500,
    repeats: int = 3,
    data: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield {"method", "nfe", "fd", "sw", "rmse", "accuracy"}, each with its "_spread" over repeats.

    Each repeat restores `samples` held-out digits of MNIST, drawn without replacement and degraded with noise of its
    own; methods see the same. "fd" is the Frechet distance of the classifier's features to those of all held-out
    digits, "sw" the sliced Wasserstein distance of pixels in [0, 1] to held-out digits that are not restored, "rmse"
    the root mean square error of a pixel, "accuracy" the share to which the classifier gives the true class. First come
    the digits themselves, "truth", then the degraded ones and the regression. Raises SymsiError for counts that the
    held-out digits do not have, or evaluations below 1.
    """
    images, labels = dataset("mnist").read(data, "test")
    most = len(images) - 2
    if not (samples >= 2 and repeats >= 2 and samples * repeats <= most) or min(nfe, default=0) < 1:
        raise SymsiError(
            f"restoring needs samples >= 2, repeats >= 2, samples x repeats <= {most} and NFE >= 1; got "
            f"{samples}, {repeats} and {', '.join(map(str, nfe)) or 'no NFE'}."
        )
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    images, labels = images[order], labels[order]
    judge, model, blurred = load_features(SHIPPED), load_bridge(bridge), load_bridge(regression)
    real, rest = judge.reference.double(), images[samples * repeats :][:_REST].flatten(1)
    parts = [slice(k * samples, (k + 1) * samples) for k in range(repeats)]
    shape = tuple(images.shape[1:])
    starts = [
        degrade(images[part], standard_normal(_NOISE + k, range(samples), 0, shape)) for k, part in enumerate(parts)
    ]

    def row(method: str, evaluations: int, restore: Callable[[Tensor, int], Tensor]) -> dict[str, Any]:
        values: dict[str, list[float]] = {"fd": [], "sw": [], "rmse": [], "accuracy": []}
        for k, part in enumerate(parts):
            x = restore(starts[k], k)
            features = judge(x)
            values["fd"].append(frechet_distance(features.double(), real))
            values["sw"].append(model.gain * sliced_wasserstein(x.flatten(1), rest))
            values["rmse"].append(model.gain * rmse(x, images[part]))
            with torch.no_grad():
                values["accuracy"].append(accuracy(judge.classifier.head(features), labels[part]))
        found: dict[str, Any] = {"method": method, "nfe": evaluations}
        for name, each in values.items():
            found |= {name: mean(each), f"{name}_spread": stdev(each)}
        return found

    yield row("truth", 0, lambda x0, k: images[parts[k]])
    yield row("degraded", 0, lambda x0, k: x0)
    yield row("regression", 1, lambda x0, k: _restored(blurred, x0, k, REGRESSION))
    for method, options in METHODS.items():
        for steps in nfe:
            told = {**options, "steps": steps}
            yield row(method, steps, lambda x0, k, told=told: _restored(model, x0, k, told))  # type: ignore[misc]


def _restored(model: BridgeModel, x0: Tensor, seed: int, options: Mapping[str, Any]) -> Tensor:
    return sample_bridge(model, x0, conditions={"start": x0}, seed=seed, batch=125, progress=False, **options).x
