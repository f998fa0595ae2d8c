"""A small digit classifier whose penultimate activations are the feature space in which digits are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from symsi.errors import SymsiError
from symsi.files import write_atomic
from symsi.models.tensor_file import read_tensors

__all__ = ["SHIPPED", "Classifier", "Features", "check_digits", "extract", "load_features", "save_features"]

SHIPPED = Path(__file__).parent / "weights" / "digits28-features.safetensors"
_FORMAT, _VERSION = "symsi-features", "1"
_SHAPE, _SIZE, _CLASSES = (1, 28, 28), 64, 10


class Classifier(nn.Module):
    """Four convolutions with group norm and two linear layers, 159 k parameters, without state that training moves.

    It takes x of shape (B, 1, 28, 28), images of mean 0 and standard deviation 1 as `Dataset.read` gives.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 5, stride=2, padding=2),
            nn.SiLU(),
            *_layer(32, 64, 1),
            *_layer(64, 64, 2),
            *_layer(64, 64, 2),
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, _SIZE),
            nn.SiLU(),
        )
        self.head = nn.Linear(_SIZE, _CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (B, 10). Raises SymsiError for another shape of x."""
        found: Tensor = self.head(self.features(x))
        return found

    def features(self, x: Tensor) -> Tensor:
        """Return the activations before the last layer, (B, 64). Raises SymsiError for another shape of x."""
        return self._seen(x)[1]

    def activations(self, x: Tensor) -> Tensor:
        """Return what the last convolution's layer gives, flattened, and the features, (B, 1024 + 64).

        Images are compared by them, as in `fit_solver(features=...)`. Raises SymsiError for another shape of x.
        """
        return torch.cat(self._seen(x), dim=1)

    def _seen(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The activations that are flattened, and those before the last layer."""
        if x.shape[1:] != _SHAPE:
            raise SymsiError(f"the digit classifier takes a tensor of shape (B, 1, 28, 28); got {tuple(x.shape)}.")
        flat = x
        for layer in self.body:
            x = layer(x)
            flat = x if isinstance(layer, nn.Flatten) else flat
        return flat, x


@dataclass(frozen=True)
class Features:
    """A trained classifier in eval mode, and what it makes of the held-out real digits.

    `reference` holds their features, (N, 64) in float16; `accuracy` is the share of them that it names rightly; `note`
    says how it was made.
    """

    classifier: Classifier
    reference: Tensor
    accuracy: float
    note: str

    def __call__(self, images: Tensor) -> Tensor:
        """Return the features of images (N, 1, 28, 28), as (N, 64); see `extract`."""
        return extract(self.classifier, images)


@torch.no_grad()
def extract(classifier: Classifier, images: Tensor, batch: int = 500) -> Tensor:
    """Return the features (N, 64) of images (N, 1, 28, 28), a batch at a time and without gradients.

    The images go to the device and the dtype of the classifier. Raises SymsiError for no images, or another shape.
    """
    if not len(images):
        raise SymsiError("there are no images to take features of; pass a tensor of shape (N, 1, 28, 28) with N > 0.")
    weight = classifier.head.weight
    return torch.cat([classifier.features(part.to(weight)) for part in torch.split(images, batch)])


def check_digits(images: Tensor, labels: Tensor) -> None:
    """Raise SymsiError unless images are (N, 1, 28, 28) with N > 0, with N int64 labels in 0..9."""
    if images.ndim != 4 or images.shape[1:] != _SHAPE or not len(images):
        raise SymsiError(f"images have the shape (N, 1, 28, 28) with N > 0; got {tuple(images.shape)}.")
    if labels.shape != images.shape[:1]:
        raise SymsiError(f"labels have the shape ({len(images)},), one for each image; got {tuple(labels.shape)}.")
    if labels.dtype != torch.int64 or labels.min() < 0 or labels.max() >= _CLASSES:
        raise SymsiError(f"labels are int64 from 0 to {_CLASSES - 1}; got {labels.dtype}, or one outside that range.")


def save_features(
    path: Path, classifier: Classifier, images: Tensor, labels: Tensor, *, note: str, force: bool = False
) -> Path:
    """Write the classifier, its features of held-out images (N, 1, 28, 28) and its accuracy on their labels (N,).

    The file is safetensors; see `load_features`. Raises SymsiError for other shapes or labels, features too large for
    float16, or a path that cannot be written, or exists and not `force`.
    """
    check_digits(images, labels)
    found = extract(classifier, images)
    with torch.no_grad():
        accuracy = (classifier.head(found).argmax(1).cpu() == labels.cpu()).double().mean().item()
    reference = found.half()
    if not reference.isfinite().all():
        raise SymsiError("the features are not finite in float16; the classifier diverged, so train it again.")
    tensors = {f"classifier.{name}": value for name, value in classifier.state_dict().items()}
    tensors["reference"] = reference
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {"format": _FORMAT, "version": _VERSION, "accuracy": repr(accuracy), "note": note}
    return write_atomic(path, lambda p: save_file(tensors, p, metadata=metadata), force=force)


def load_features(path: Path) -> Features:
    """Read what `save_features` wrote, on the CPU; `SHIPPED` is the file that comes with symsi.

    Raises SymsiError where there is no such file, or it is no whole safetensors file, or of another format or version,
    or holds other tensors.
    """
    metadata, tensors = read_tensors(path, "features", "Make them with save_features, or load SHIPPED.")
    if metadata.get("format") != _FORMAT:
        raise SymsiError(
            f"{path} has the format {metadata.get('format')!r}; a features file has {_FORMAT!r}. "
            "Make one with save_features."
        )
    if metadata.get("version") != _VERSION:
        raise SymsiError(
            f"{path} has version {metadata.get('version')!r} of the format; this symsi reads {_VERSION!r}. "
            "Make it again with save_features, or take the symsi that made it."
        )
    reference = tensors.pop("reference", torch.empty(0))
    if reference.ndim != 2 or reference.shape[1] != _SIZE:
        raise _damaged(path, f"its reference has the shape {tuple(reference.shape)}, not (N, {_SIZE})")
    classifier = Classifier()
    own = {f"classifier.{name}": value for name, value in classifier.state_dict().items()}
    if {n: v.shape for n, v in tensors.items()} != {n: v.shape for n, v in own.items()}:
        raise _damaged(path, "its weights are not those of the classifier")
    if not all(value.is_floating_point() and value.isfinite().all() for value in (reference, *tensors.values())):
        raise _damaged(path, "it holds numbers that are not finite floating-point ones")
    classifier.load_state_dict({name.removeprefix("classifier."): value for name, value in tensors.items()})
    return Features(classifier.eval(), reference, _accuracy(path, metadata), metadata.get("note", ""))


def _accuracy(path: Path, metadata: dict[str, str]) -> float:
    text = metadata.get("accuracy", "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise _damaged(path, f"its accuracy is {text!r}, not a number from 0 to 1")
    return value


def _damaged(path: Path, reason: str) -> SymsiError:
    return SymsiError(f"{path} is not a features file: {reason}. Make it again with save_features.")


def _layer(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.GroupNorm(8, outputs), nn.SiLU()
