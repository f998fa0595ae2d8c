"""Rewards by name: their values by hand, their gradients, the classifier that they ask, and what is refused."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

import symsi
from symsi.models import mnist, reward
from symsi.models.mixer import MIXER, Mixer, load_mixer, save_mixer
from symsi.models.pretrained import WEIGHTS, digest
from symsi.training.classifier import train_classifier

IMAGES = torch.tensor([[0.0, 1.0, 0.5, 0.5], [1.0, 1.0, 0.0, 0.0]]).reshape(2, 1, 2, 2)  # lines 01 55 and 11 00


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """Twenty digits that digits28 draws, in the units of the data, and the classes that it was told."""
    labels = torch.arange(20) % 10
    model = symsi.models.load("digits28")
    x = symsi.sample(model, shape=20, steps=6, conditions={"label": labels}, seed=3, progress=False).x
    return model.offset + model.gain * x, labels


@pytest.fixture
def rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the current folder, by its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    name = f"rewards_{tmp_path.name}"
    Path(f"{name}.py").write_text(
        "def top(x): return x[:, :, 0].mean((1, 2))\n"
        "def column(x): return x.mean((1, 2, 3))[:, None]\n"
        "def number(x): return 1.0\n"
        "weight = 3\n"
    )
    return name


def test_ink_is_the_mean_and_symmetry_minus_the_squared_difference_from_the_mirror_image() -> None:
    assert reward("ink")(IMAGES).tolist() == [0.5, 0.5]
    assert reward("-ink")(IMAGES).tolist() == [-0.5, -0.5]
    assert reward("symmetry")(IMAGES).tolist() == [-0.5, 0.0]
    assert reward("symmetry")(IMAGES.mT).tolist() == [-0.25, -1.0]
    assert reward("ink")(IMAGES.expand(2, 3, 2, 2)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ink + symmetry", [0.0, 0.5]),
        ("2*ink-0.5 * symmetry", [1.25, 1.0]),
        ("  .5*ink", [0.25, 0.25]),
        ("+ 1e1*ink - 2.*ink - ink", [3.5, 3.5]),
    ],
)
def test_sums_are_read_with_their_weights(text: str, expected: list[float]) -> None:
    found = reward(text)
    assert str(found) == text.strip()
    torch.testing.assert_close(found(IMAGES), torch.tensor(expected))


def test_a_class_is_worth_the_log_of_its_probability() -> None:
    x = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    every = torch.stack([reward(f"class={k}")(x) for k in range(10)])
    assert every.max() <= 0
    torch.testing.assert_close(every.exp().sum(0), torch.ones(5))
    logits = load_mixer()[0]((x - mnist.MEAN) / mnist.STD)
    torch.testing.assert_close(reward("class=7 - class=1")(x), logits[:, 7] - logits[:, 1])


def named_rightly(images: Tensor, labels: Tensor) -> float:
    found = torch.stack([reward(f"class={k}")(images) for k in range(10)]).argmax(0)
    return (found == labels).double().mean().item()


def test_real_digits_of_another_collection_are_named() -> None:
    """The 1 797 digits of 8 x 8 pixels, drawn as MNIST is: 20 x 20 pixels in the middle of 28 x 28."""
    held = load_file(WEIGHTS / "digits8.safetensors")
    large = functional.interpolate(held["images"].float() / 16, size=(20, 20), mode="bicubic").clamp(0, 1)
    assert named_rightly(functional.pad(large, (4,) * 4), held["labels"].long()) >= 0.85


def test_drawn_digits_are_named_as_they_were_told(digits: tuple[Tensor, Tensor]) -> None:
    assert named_rightly(*digits) >= 0.9


def test_gradients_are_finite_and_those_of_finite_differences() -> None:
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    for text in ("class=3", "ink", "symmetry", "class=3 + 0.5*symmetry - ink"):
        with torch.inference_mode():
            assert reward(text)(x).shape == (2,)
        at = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(reward(text)(at).sum(), at)
        assert slope.isfinite().all()
        assert slope.abs().max() > 0
        step = 1e-2 * functional.normalize(slope.flatten(1)).reshape(x.shape)
        with torch.no_grad():
            rise = reward(text)(x + step) - reward(text)(x - step)
        torch.testing.assert_close(rise, 2 * (slope * step).sum((1, 2, 3)), rtol=2e-2, atol=1e-6)


def test_rewards_are_computed_in_float32_at_least() -> None:
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(2))
    for text in ("class=3", "ink", "symmetry"):
        low = x.bfloat16()
        assert torch.equal(reward(text)(low), reward(text)(low.float()))
    assert reward("ink + class=3")(x.double()).dtype == torch.float64


def test_a_function_of_a_module_in_the_current_folder_is_a_reward(rewards: str) -> None:
    assert reward(f"python:{rewards}.top")(IMAGES).tolist() == [0.5, 1.0]
    assert reward(f"ink - 2*python:{rewards}.top")(IMAGES).tolist() == [-0.5, -1.5]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("tap", "unknown function of .* 'tap'. Did you mean 'top'"),
        ("weight", "weight is int, not a function of images"),
    ],
)
def test_what_is_no_function_of_a_module_is_refused(rewards: str, function: str, message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        reward(f"python:{rewards}.{function}")


def test_modules_that_are_missing_or_fail_are_refused(rewards: str) -> None:
    with pytest.raises(symsi.SymsiError, match=r"there is no module nowhere, of python:nowhere\.top; it is looked for"):
        reward("python:nowhere.top")
    with pytest.raises(symsi.SymsiError, match=f"there is no module {rewards}.inner"):
        reward(f"python:{rewards}.inner.top")
    for path in ("top", "", ".top", "a..b", "a.b()"):
        with pytest.raises(symsi.SymsiError, match=r"python: takes MODULE\.FUNCTION"):
            reward(f"python:{path}")
    Path(f"{rewards}_a.py").write_text("import nowhere\n")
    with pytest.raises(symsi.SymsiError, match="needs nowhere, which is not there"):
        reward(f"python:{rewards}_a.top")
    Path(f"{rewards}_b.py").write_text("1 / 0\n")
    with pytest.raises(symsi.SymsiError, match="fails: ZeroDivisionError: division by zero"):
        reward(f"python:{rewards}_b.top")


def test_functions_that_return_no_number_for_each_image_are_refused(rewards: str) -> None:
    with pytest.raises(symsi.SymsiError, match=r"must return a tensor of shape \(2,\); got a tensor of shape \(2, 1\)"):
        reward(f"python:{rewards}.column")(IMAGES)
    with pytest.raises(symsi.SymsiError, match=r"must return a tensor of shape \(2,\); got float"):
        reward(f"ink + python:{rewards}.number")(IMAGES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symetry", "unknown reward 'symetry'. Did you mean 'symmetry'"),
        ("Ink", "Did you mean 'ink'"),
        ("class", "Did you mean 'class=N'"),
        ("classes=7", "Did you mean 'class=N'"),
        ("clas=7", "Did you mean 'class=N'"),
        ("class=12", r"class=12 is none of the digits: N of class=N must lie in 0\.\.9"),
        ("class=-1", r"must lie in 0\.\.9"),
        ("class=", r"must lie in 0\.\.9"),
        ("class=seven", r"must lie in 0\.\.9"),
        ("class=7 symmetry", "a sum of names.* where 'symmetry' is no term"),
        ("ink +", r"where '\+' is no term"),
        ("ink * 2", "is no term"),
        ("0.5ink", "unknown reward '0.5ink'"),
        ("1e999*ink", "too large for a float"),
        ("", "a reward is a sum of names"),
        ("  ", "a reward is a sum of names"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        reward(text)


def test_images_of_other_shapes_are_refused() -> None:
    with pytest.raises(symsi.SymsiError, match=r"takes images of shape \(B, C, H, W\); got \(2, 784\)"):
        reward("ink")(torch.zeros(2, 784))
    with pytest.raises(symsi.SymsiError, match=r"class=7 takes digits of shape \(B, 1, 28, 28\).* got \(2, 1, 2, 2\)"):
        reward("class=7")(IMAGES)
    with pytest.raises(symsi.SymsiError, match=r"takes a tensor of shape \(B, 1, 28, 28\); got \(2, 1, 2, 2\)"):
        Mixer()(IMAGES)


def test_the_shipped_mixer_says_how_it_was_made_and_is_the_one_it_names() -> None:
    net, metadata = load_mixer()
    assert not net.training
    assert float(metadata["accuracy"]) >= 0.985
    assert "epochs 8, seed 1" in metadata["note"]
    last = json.loads(MIXER.with_suffix(".log").read_text().splitlines()[-1])
    assert last == {"held_out_accuracy": float(metadata["accuracy"])}
    assert MIXER.stat().st_size < 300_000
    assert digest(net.state_dict()) == metadata["hash"]


def test_a_mixer_is_read_as_it_was_written(tmp_path: Path) -> None:
    path, net = tmp_path / "m.safetensors", Mixer().eval()
    save_mixer(path, net, accuracy=0.5, note="a note")
    found, metadata = load_mixer(path)
    x = torch.randn(2, 1, 28, 28)
    assert torch.equal(found(x), net(x))
    assert (metadata["accuracy"], metadata["note"]) == ("0.5", "a note")
    with pytest.raises(symsi.SymsiError, match="exists"):
        save_mixer(path, net, accuracy=0.5, note="")


@pytest.mark.parametrize(
    ("change", "tensors", "message"),
    [
        ({"format": "symsi-model"}, {}, "holds no symsi mixer; `symsi train features --network mixer` writes one"),
        ({"version": "2"}, {}, "version 2"),
        ({"hash": "0"}, {}, "hash is another"),
        ({}, {"head.bias": torch.zeros(11)}, "does not hold the weights it describes"),
        ({}, {"head.other": torch.zeros(1)}, "does not hold the weights it describes"),
        ({}, {"head.bias": torch.zeros(10)}, "hash is another"),
        ({}, {"head.bias": torch.full((10,), float("nan"))}, "nan or inf"),
    ],
)
def test_a_file_that_is_no_mixer_is_refused(
    tmp_path: Path, change: dict[str, str], tensors: dict[str, Tensor], message: str
) -> None:
    with safe_open(MIXER, "pt") as held:
        metadata = {**held.metadata(), **change}
    path = tmp_path / "m.safetensors"
    save_file({**load_file(MIXER), **tensors}, path, metadata=metadata)
    with pytest.raises(symsi.SymsiError, match=message):
        load_mixer(path)


def test_the_mixer_learns_with_noise_and_repeats_with_its_seed() -> None:
    images, labels = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10

    def trained(seed: int, noise: float) -> str:
        return digest(train_classifier(Mixer, images, labels, epochs=1, seed=seed, log=str, noise=noise).state_dict())

    assert trained(0, 0.5) == trained(0, 0.5)
    assert len({trained(0, 0.5), trained(1, 0.5), trained(0, 0.0)}) == 3
