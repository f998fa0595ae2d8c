import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from symsi.errors import SymsiError
from symsi.metrics import accuracy, frechet_distance, sampling_floor
from symsi.models.features import SHIPPED, Classifier, extract, load_features, save_features
from symsi.training.classifier import train_classifier

LABELS = torch.arange(40) % 10


def strokes(labels: Tensor, seed: int) -> Tensor:
    """Images of ten classes that are easily told apart: a bright bar at a place of its own, in noise."""
    x = 0.1 * torch.randn(len(labels), 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    for image, label in zip(x, labels.tolist(), strict=True):
        row, column = 5 + 9 * (label // 5), 3 + 5 * (label % 5)
        image[0, row : row + 6, column : column + 2] += 3
    return x


IMAGES = strokes(LABELS, 0)


def fresh(seed: int = 0) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Classifier()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_features(tmp_path_factory.mktemp("features") / "f.safetensors", fresh(), IMAGES, LABELS, note="a note")


def altered(saved: Path, path: Path, metadata: dict[str, str], **tensors: Tensor) -> Path:
    """A copy of `saved` with other metadata and tensors."""
    with safe_open(saved, "pt") as file:
        own = dict(file.metadata())
    save_file({**load_file(saved), **tensors}, path, metadata={**own, **metadata})
    return path


def test_the_classifier_gives_ten_logits_from_sixty_four_features() -> None:
    net = fresh()
    assert net.features(IMAGES).shape == (40, 64)
    assert net(IMAGES).shape == (40, 10)
    assert torch.equal(net(IMAGES), net.head(net.features(IMAGES)))
    assert 100_000 <= sum(p.numel() for p in net.parameters()) <= 250_000
    assert not list(net.buffers())


@pytest.mark.parametrize("shape", [(2, 784), (2, 3, 28, 28), (2, 1, 32, 32), (28, 28), (1, 28, 28)])
def test_the_classifier_refuses_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(SymsiError, match=r"takes a tensor of shape \(B, 1, 28, 28\); got \("):
        fresh()(torch.zeros(shape))


def test_features_do_not_depend_on_the_batch() -> None:
    net = fresh()
    whole = extract(net, IMAGES)
    assert not whole.requires_grad
    assert torch.allclose(extract(net, IMAGES, batch=7), whole, atol=1e-5)
    with pytest.raises(SymsiError, match="no images to take features of"):
        extract(net, IMAGES[:0])


def test_training_learns_to_tell_strokes_apart_and_logs_a_line_an_epoch() -> None:
    labels, lines = torch.arange(256) % 10, []
    state = torch.get_rng_state()
    net = train_classifier(Classifier, strokes(labels, 1), labels, epochs=4, seed=0, log=lines.append)
    assert torch.equal(torch.get_rng_state(), state)
    assert not net.training
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]
    with torch.no_grad():
        assert accuracy(net(IMAGES), LABELS) >= 0.95


def test_training_repeats_with_its_seed() -> None:
    def weights(seed: int) -> Tensor:
        net = train_classifier(Classifier, IMAGES, LABELS, epochs=1, seed=seed, log=lambda line: None)
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    assert torch.allclose(weights(1), weights(1), atol=1e-6)
    assert not torch.allclose(weights(1), weights(2), atol=1e-3)


@pytest.mark.parametrize(
    ("images", "labels", "epochs", "message"),
    [
        (IMAGES[:, 0], LABELS, 1, r"images have the shape \(N, 1, 28, 28\) with N > 0; got \(40, 28, 28\)"),
        (IMAGES[:0], LABELS[:0], 1, "with N > 0"),
        (IMAGES, LABELS[1:], 1, r"labels have the shape \(40,\), one for each image; got \(39,\)"),
        (IMAGES, LABELS + 1, 1, "int64 from 0 to 9"),
        (IMAGES, LABELS - 1, 1, "int64 from 0 to 9"),
        (IMAGES, LABELS.float(), 1, "int64 from 0 to 9; got torch.float32"),
        (IMAGES, LABELS, 0, "epochs must be 1 or more; got 0"),
    ],
)
def test_training_refuses_what_are_no_labelled_digits(images, labels, epochs, message) -> None:
    with pytest.raises(SymsiError, match=message):
        train_classifier(Classifier, images, labels, epochs=epochs, seed=0, log=print)


def test_a_features_file_gives_back_what_was_saved(saved: Path) -> None:
    net, found = fresh(), load_features(saved)
    assert not found.classifier.training
    assert torch.equal(found.classifier(IMAGES), net(IMAGES))
    assert found.reference.dtype == torch.float16
    assert torch.equal(found.reference, extract(net, IMAGES).half())
    assert torch.equal(found(IMAGES).half(), found.reference)
    with torch.no_grad():
        assert found.accuracy == accuracy(net(IMAGES), LABELS)
    assert found.note == "a note"


def test_saving_overwrites_only_with_force(tmp_path: Path) -> None:
    path = tmp_path / "f.safetensors"
    save_features(path, fresh(), IMAGES, LABELS, note="one")
    with pytest.raises(SymsiError, match="exists; choose another name"):
        save_features(path, fresh(), IMAGES, LABELS, note="two")
    save_features(path, fresh(), IMAGES, LABELS, note="two", force=True)
    assert load_features(path).note == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["f.safetensors"]


def test_saving_refuses_a_classifier_that_diverged(tmp_path: Path) -> None:
    net = fresh()
    with torch.no_grad():
        net.body[-2].weight.mul_(1e9)
    with pytest.raises(SymsiError, match="not finite in float16; the classifier diverged"):
        save_features(tmp_path / "f.safetensors", net, IMAGES, LABELS, note="")
    assert not list(tmp_path.iterdir())


def test_loading_refuses_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(SymsiError, match=r"cannot read features from .*\. Make them with save_features"):
            load_features(path)


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 100, 5000, -1])
def test_loading_refuses_a_truncated_file(saved: Path, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(SymsiError, match=r"cannot read features from .*: .* Make them with save_features"):
        load_features(path)


@pytest.mark.parametrize("content", [b"nonsense" * 100, b"\x80\x04\x95pickle", struct.pack("<Q", 2**62) + b"{}"])
def test_loading_refuses_what_is_no_safetensors_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(SymsiError, match="cannot read features from"):
        load_features(path)


def test_loading_refuses_a_file_without_metadata(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(SymsiError, match="has the format None; a features file has 'symsi-features'"):
        load_features(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format": "pt"}, "has the format 'pt'; a features file has 'symsi-features'"),
        ({"version": "2"}, "has version '2' of the format; this symsi reads '1'"),
        ({"accuracy": "high"}, "its accuracy is 'high', not a number from 0 to 1"),
        ({"accuracy": "nan"}, "its accuracy is 'nan'"),
        ({"accuracy": "1.5"}, "its accuracy is '1.5'"),
    ],
)
def test_loading_refuses_other_metadata(saved: Path, tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    with pytest.raises(SymsiError, match=message):
        load_features(altered(saved, tmp_path / "f.safetensors", metadata))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"reference": torch.zeros(5, 63)}, r"its reference has the shape \(5, 63\), not \(N, 64\)"),
        ({"reference": torch.full((5, 64), float("nan"))}, "numbers that are not finite"),
        ({"reference": torch.zeros(5, 64, dtype=torch.int64)}, "not finite floating-point"),
        ({"classifier.head.bias": torch.zeros(11)}, "its weights are not those of the classifier"),
        ({"classifier.other": torch.zeros(1)}, "its weights are not those of the classifier"),
        ({"classifier.head.bias": torch.full((10,), float("inf"))}, "numbers that are not finite"),
    ],
)
def test_loading_refuses_other_tensors(saved: Path, tmp_path: Path, tensors: dict[str, Tensor], message: str) -> None:
    with pytest.raises(SymsiError, match=message):
        load_features(altered(saved, tmp_path / "f.safetensors", {}, **tensors))


def test_the_shipped_classifier_names_the_held_out_digits_and_says_how_it_was_made() -> None:
    shipped = load_features(SHIPPED)
    assert shipped.accuracy >= 0.98
    assert shipped.reference.shape == (10_000, 64)
    assert shipped.reference.dtype == torch.float16
    assert "10 000 held-out digits" in shipped.note
    last = json.loads(SHIPPED.with_suffix(".log").read_text().splitlines()[-1])
    assert last == {"held_out_accuracy": shipped.accuracy}
    assert SHIPPED.stat().st_size < 2_100_000


def test_the_shipped_reference_has_all_ten_digits_in_the_shares_of_the_held_out_set() -> None:
    shipped = load_features(SHIPPED)
    with torch.no_grad():
        named = shipped.classifier.head(shipped.reference.float()).argmax(1).bincount(minlength=10)
    true = torch.tensor([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    assert (named - true).abs().max() <= 30


def test_the_shipped_features_repeat_on_synthetic_input() -> None:
    first, again = load_features(SHIPPED), load_features(SHIPPED)
    found = first(IMAGES)
    assert found.shape == (40, 64)
    assert found.isfinite().all()
    assert torch.equal(found, again(IMAGES))


def test_the_shipped_reference_has_a_floor_far_below_the_distance_of_what_are_no_digits() -> None:
    shipped = load_features(SHIPPED)
    floor = sampling_floor(frechet_distance, shipped.reference, 500)
    assert 0 < floor.spread < floor.mean
    noise = torch.randn(500, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(shipped(noise), shipped.reference) > 10 * floor.mean
