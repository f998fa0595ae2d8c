"""Images by name: what is missing or another file is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

import symsi
from symsi.models import datasets
from symsi.models.datasets import DATASETS, dataset
from symsi.training.matching import Recipe, train_flow


def test_names_are_known_or_told() -> None:
    assert set(DATASETS) == {"mnist", "fashion"}
    with pytest.raises(symsi.UnknownNameError, match="Did you mean 'fashion'"):
        dataset("fashon")


def test_missing_damaged_and_other_files_of_fashion_mnist_are_refused(tmp_path: Path) -> None:
    given = dataset("fashion")
    with pytest.raises(
        symsi.SymsiError, match=r"Install Debian's dataset-fashion-mnist, .* --folder of .symsi l.*, --data"
    ):
        given.read(tmp_path, "train")
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(b"not compressed")
    with pytest.raises(symsi.SymsiError, match="cannot read"):
        given.read(tmp_path, "train")
    file.write_bytes(gzip.compress(b"other images"))
    with pytest.raises(symsi.SymsiError, match="SHA-256"):
        given.read(tmp_path, "train")


def test_pixels_are_scaled_and_labels_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.arange(2 * 28 * 28, dtype=np.int64).astype(np.uint8).reshape(2, 28, 28)
    held = {"t10k-images-idx3-ubyte": bytes(16) + pixels.tobytes(), "t10k-labels-idx1-ubyte": bytes(8) + b"\x03\x09"}
    for name, content in held.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    digests = {name: datasets.hashlib.sha256(content).hexdigest() for name, content in held.items()}
    monkeypatch.setattr(datasets, "_SHA256", digests)
    images, labels = dataset("fashion").read(tmp_path, "test")
    assert labels.tolist() == [3, 9]
    torch.testing.assert_close(images[:, 0] * 0.3530 + 0.2860, torch.from_numpy(pixels) / 255, rtol=0, atol=1e-6)


@pytest.mark.parametrize("prediction", ["noise", "data"])
def test_a_network_learns_what_it_is_asked_for(tmp_path: Path, prediction: str) -> None:
    """Images of one value: data are that value, noise is what is left."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.said = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
            return self.said.expand_as(x)

    images = torch.full((8, 1, 2, 2), 3.0)

    def interpolant(z: torch.Tensor, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        t = t[:, None, None, None]
        return (1 - t) * z + t * x

    average = train_flow(
        Net(),
        images,
        torch.zeros(8).long(),
        interpolant,
        Recipe(steps=400, batch=16, rate=0.05, warmup=10, ema=0.9),
        tmp_path / "checkpoint.safetensors",
        lambda line: None,
        prediction=prediction,
    )
    assert float(average["said"]) == pytest.approx(3.0 if prediction == "data" else 0.0, abs=0.15)
