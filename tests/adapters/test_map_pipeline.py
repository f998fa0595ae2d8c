"""A flow map as a pipeline of diffusers: the samples of `symsi.sample`, saved and loaded, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import symsi

pytest.importorskip("diffusers")

from symsi.diffusers import FlowMapPipeline
from symsi.models.map_net import MapNet
from symsi.models.unet import Config, UNet

LABELS = [2, 0]


def tiny(classes: int = 3) -> symsi.FlowMap:
    torch.manual_seed(0)
    net = MapNet(UNet(Config(width=8, multipliers=(1, 2), classes=classes, heads=2)), "linear", "trigonometric")
    for weight in net.parameters():
        nn.init.normal_(weight, std=0.1)
    net = net.eval().requires_grad_(False)
    return symsi.FlowMap(net, "trigonometric", (1, 8, 8), "tiny", classes=classes, gain=0.5, offset=0.4)


@pytest.fixture(scope="module")
def flow() -> symsi.FlowMap:
    return tiny()


@pytest.fixture(scope="module")
def pipe(flow: symsi.FlowMap) -> FlowMapPipeline:
    made = FlowMapPipeline.of(flow)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_images_are_the_samples_of_the_map(
    pipe: FlowMapPipeline, flow: symsi.FlowMap, latents: torch.Tensor, steps: int
) -> None:
    found = pipe(LABELS, steps, latents=latents, output_type="latent").images
    told = {"label": torch.tensor(LABELS)}
    wanted = symsi.sample(flow, shape=2, steps=steps, start=latents, conditions=told, progress=False).x
    assert torch.equal(found, wanted)
    (shown,) = pipe(LABELS, steps, latents=latents, output_type="pt", return_dict=False)
    assert torch.equal(shown, (wanted * 0.5 + 0.4).clamp(0, 1))
    assert pipe(LABELS, steps, latents=latents, output_type="np").images.shape == (2, 8, 8, 1)
    assert [image.size for image in pipe(LABELS, steps, latents=latents).images] == [(8, 8)] * 2


def test_noise_between_steps_is_of_the_generator(pipe: FlowMapPipeline, flow: symsi.FlowMap) -> None:
    def run(seed: int, **options: Any) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        found: torch.Tensor = pipe(LABELS, 2, generator=generator, output_type="latent", **options).images
        return found

    assert torch.equal(run(1, stochastic=True), run(1, stochastic=True))
    assert not torch.equal(run(1, stochastic=True), run(2, stochastic=True))
    assert not torch.equal(run(1, stochastic=True), run(1))
    noise = torch.randn(3, 2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    told = {"label": torch.tensor(LABELS)}
    wanted = symsi.sample(
        flow, shape=2, steps=2, stochastic=True, start=noise[0], noise=noise[1:], conditions=told, progress=False
    ).x
    assert torch.equal(run(1, stochastic=True), wanted)


def test_a_grid_of_times_says_how_many_steps(pipe: FlowMapPipeline, latents: torch.Tensor) -> None:
    half, even = (
        pipe(LABELS, 2, grid=grid, latents=latents, output_type="latent").images for grid in ((0, 0.5, 1), "uniform")
    )
    assert torch.equal(half, even)


def test_a_saved_pipeline_is_the_same_in_another_process(
    pipe: FlowMapPipeline, latents: torch.Tensor, tmp_path: Path
) -> None:
    pipe.save_pretrained(tmp_path / "map")
    torch.save(latents, tmp_path / "latents.pt")
    script = (
        "import sys, torch\n"
        "from symsi.diffusers import FlowMapPipeline\n"
        "pipe = FlowMapPipeline.from_pretrained(sys.argv[1] + '/map')\n"
        "latents = torch.load(sys.argv[1] + '/latents.pt')\n"
        "torch.save(pipe([2, 0], 2, latents=latents, output_type='latent').images, sys.argv[1] + '/x.pt')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, wanted = torch.load(tmp_path / "x.pt"), pipe(LABELS, 2, latents=latents, output_type="latent").images
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_it_runs_in_16_bits_and_without_classes(latents: torch.Tensor) -> None:
    half = FlowMapPipeline.of(tiny()).to(torch.bfloat16)
    assert half(LABELS, latents=latents, output_type="latent").images.dtype == torch.bfloat16
    assert len(FlowMapPipeline.of(tiny(0))(batch_size=3).images) == 3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda pipe: pipe(), "one of its 3 classes for each image"),
        (lambda pipe: pipe([3]), "from 0 to 2"),
        (lambda pipe: pipe([1], output_type="jpg"), "unknown output type 'jpg'"),
        (lambda pipe: pipe([1], 0), "at least 1"),
        (lambda pipe: pipe([1], latents=torch.zeros(2, 1, 8, 8)), "start must have the shape"),
        (lambda pipe: FlowMapPipeline.of(symsi.FlowMap(lambda x, s, t: x)), "symsi.distill or symsi.models.load_map"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(pipe: FlowMapPipeline, call: Any, words: str) -> None:
    with pytest.raises(symsi.SymsiError, match=words):
        call(pipe)
