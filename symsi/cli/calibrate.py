"""`symsi calibrate`: a solver of few evaluations for a model, a Gaussian reference, or the best grid."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch

from symsi.calibration.grid import optimal_grid
from symsi.calibration.reference import LARGEST, check_options, estimate, reference_of_model
from symsi.calibration.solver import expected, fit_solver
from symsi.cli.options import device_of_rank, dtype_option, read_counts
from symsi.cli.text_to_image import latents, model_of_pipeline
from symsi.errors import SymsiError
from symsi.files import check_free
from symsi.models.features import load_features
from symsi.models.pretrained import digest, load
from symsi.models.reference import KINDS, save
from symsi.models.reference import load as load_reference
from symsi.processes.ranks import Ranks
from symsi.sampling.arrays import read_samples
from symsi.solvers.advice import advice

__all__ = ["command"]


@click.group("calibrate")
def command() -> None:
    """Estimate what makes sampling better: a solver fitted to the model, a Gaussian reference, a grid.

    \b
    Examples:
      symsi calibrate solver digits28 --steps 2,3,4 --output solver.json
      symsi calibrate solver --pipeline ./sd3 --prompts prompts.txt --steps 4 --output solver.json
      symsi calibrate reference --model digits28 --kind dct digits.safetensors
      symsi calibrate reference --data faces.npy --kind pca --rank 64 faces.safetensors
      symsi calibrate reference --pipeline ./sd3 --images photos --kind channel sd3.safetensors
      symsi calibrate grid --model digits28 --steps 4
      symsi sample digits.png --reference digits.safetensors --steps 4
    """


@command.command("reference")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUTPUT.safetensors")
@click.option("--model", metavar="NAME|FILE", help="Use the model's own samples.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Use samples (N, ...) in a .npy, .npz or .safetensors file."
)
@click.option("--pipeline", metavar="DIR|ID", help="Use latents of a pipeline of diffusers: of --images, or its own.")
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="Of the pipeline's own samples.")
@click.option("--images", type=click.Path(path_type=Path), metavar="DIR", help="PNG files of one size, to encode.")
@click.option("--size", type=(int, int), metavar="H W", help="Of the pipeline's own samples; default: its own.")
@click.option("--guidance", type=float, help="Of the pipeline's own samples; default: its own.")
@click.option("--kind", type=click.Choice(KINDS), help="The modes; default: pca, of a pipeline channel or isotropic.")
@click.option("--rank", type=click.IntRange(1), help="Leading components to keep, for pca.")
@click.option("--shrinkage", default=0.05, show_default=True, help="Towards isotropic; 0 may make ab2 unstable.")
@click.option("--count", default=512, show_default=True, type=click.IntRange(2), help="Samples of the model.")
@click.option("--steps", default=16, show_default=True, type=click.IntRange(1), help="Evaluations each.")
@click.option("--seed", default=1, show_default=True, help="Of the model's samples.")
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda", help="Where the model runs.")
@dtype_option
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def reference(
    output: Path,
    model: str | None,
    data: Path | None,
    pipeline: str | None,
    prompts: tuple[str, ...],
    images: Path | None,
    size: tuple[int, int] | None,
    guidance: float | None,
    kind: str | None,
    rank: int | None,
    shrinkage: float,
    count: int,
    steps: int,
    seed: int,
    device: str,
    dtype: str,
    force: bool,
) -> None:
    """Write a Gaussian reference for modal sampling."""
    if sum(source is not None for source in (model, data, pipeline)) != 1:
        raise SymsiError("give --model NAME to use its own samples, --data FILE, or --pipeline DIR, one of them.")
    if pipeline is None and (prompts or images or size or guidance is not None):
        raise SymsiError("--prompt, --images, --size and --guidance are for --pipeline.")
    if output.suffix != ".safetensors":
        raise SymsiError(f"a reference is a .safetensors file; got {output.name!r}.")
    check_free(output, force=force)
    given = kind or ("pca" if rank is not None or pipeline is None else None)
    check_options(given or "isotropic", rank, shrinkage, None if data or images else count)
    if data is not None:
        found = estimate(read_samples(data), str(given), rank=rank, shrinkage=shrinkage)
    elif pipeline is not None:
        height, width = size or (None, None)
        held = latents(
            pipeline,
            prompts,
            images,
            steps=steps,
            count=count,
            seed=seed,
            kind=given,
            device=device,
            dtype=dtype,
            call={"guidance_scale": guidance, "height": height, "width": width},
        )
        given = given or ("channel" if held.ndim == 4 else "isotropic")
        if given == "pca" and rank is None and held[0].numel() > LARGEST:
            rank = len(held) - 1
        found = estimate(held, given, rank=rank, shrinkage=shrinkage)
    else:
        network = load(str(model), device=device, dtype=getattr(torch, dtype))
        conditions = network.in_turn(count)
        found = reference_of_model(
            network,
            shape=count,
            kind=str(given),
            rank=rank,
            shrinkage=shrinkage,
            steps=steps,
            seed=seed,
            batch=128,
            conditions=conditions,
        )
    save(found, output, force=force)
    low, high = float(found.variances.min()), float(found.variances.max())
    click.echo(f"{found.kind} reference, {found.variances.numel()} variances from {low:.3g} to {high:.3g}: {output}")


@command.command("solver")
@click.argument("model", metavar="[NAME|FILE]", required=False)
@click.option("--pipeline", metavar="DIR|ID", help="Instead of a model: a flow model's pipeline of diffusers.")
@click.option("--prompts", type=click.Path(path_type=Path), metavar="FILE.txt", help="Of the pipeline, one a line.")
@click.option("--size", type=(int, int), metavar="H W", help="Of the pipeline's images; default: its own.")
@click.option("--steps", default="3", show_default=True, metavar="N[,N]", help="Steps; several make a plan each.")
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), metavar="FILE.json")
@click.option("--samples", type=click.IntRange(2), help="Of the calibration; default: 32, of a pipeline 8.")
@click.option("--guidance", type=float, help="Of the samples that it learns from; default: 1, or the pipeline's own.")
@click.option(
    "--unconditional",
    metavar="all|first|N[,N]|together",
    help="With guidance: the steps, from 0, that evaluate the unconditional prediction, too; together: all, and the "
    "two as one guided prediction, as pipelines give it. Default: all.",
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A Gaussian like the data, by `symsi calibrate reference`: its table competes with the theory's.",
)
@click.option("--constant", is_flag=True, help="Fit a constant a step, too, for data whose mean is far from 0.")
@click.option("--by-channel", is_flag=True, help="Fit a number a channel, for data whose channels differ, as latents'.")
@click.option(
    "--refine",
    type=click.Choice(["joint", "gradient"]),
    help="All times and numbers together: a lower error, many evaluations. gradient goes back through the network.",
)
@click.option(
    "--features",
    "seen",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --refine: compare what a classifier by `symsi train features` sees in samples, not their pixels.",
)
@click.option("--seed", default=1, show_default=True, help="Of the noise; keep it apart from that of the samples.")
@click.option("--batch", type=click.IntRange(1), help="Samples a call of the model at most; default: all, or 1 image.")
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda", help="Where the model runs.")
@dtype_option
@click.option("--force", is_flag=True, help="Replace files that are there.")
def solver(
    model: str | None,
    pipeline: str | None,
    prompts: Path | None,
    size: tuple[int, int] | None,
    steps: str,
    output: Path,
    samples: int | None,
    guidance: float | None,
    unconditional: str | None,
    reference: Path | None,
    constant: bool,
    by_channel: bool,
    refine: str | None,
    seen: Path | None,
    seed: int,
    batch: int | None,
    device: str,
    dtype: str,
    force: bool,
) -> None:
    """Fit the solver of so few evaluations to a model, from forward passes alone, and write its plan.

    Several numbers of steps share one run of the teacher, 64 steps of Heun; their plans are FILE-2.json, FILE-3.json
    ... A plan says how far it ends from converged samples, beside the best solver of the theory. It is used by
    `symsi sample --plan FILE`, `symsi.sample(model, plan=symsi.load_plan(FILE))`, and in a pipeline of diffusers
    by LazyFlowMatchScheduler.from_config(pipe.scheduler.config, plan=FILE). Under torchrun processes share the samples
    of each evaluation; cuda is the GPU of their rank.

    \b
    Examples:
      symsi calibrate solver digits28 --steps 2,3,4 --output solver.json
      symsi calibrate solver --pipeline ./sd3 --prompts prompts.txt --steps 4 --by-channel --output solver.json
      symsi calibrate solver fashion28 --refine joint --features classifier.safetensors --output solver.json
      torchrun --nproc-per-node 2 -m symsi calibrate solver digits28 --output solver.json
      symsi sample cat.png --pipeline ./sd3 --prompt "a cat" --plan solver.json
    """
    counts = read_counts("--steps", steps)
    if (model is None) == (pipeline is None):
        raise SymsiError("give a model (see `symsi models`) or --pipeline DIR, one of them.")
    if pipeline is None and (prompts or size):
        raise SymsiError("--prompts and --size are for --pipeline.")
    if pipeline is not None and unconditional is not None:
        raise SymsiError("a pipeline gives one prediction, guided already; leave --unconditional out.")
    if seen is not None and refine is None:
        raise SymsiError("--features are what a refinement compares; add --refine joint, or gradient.")
    if output.suffix != ".json":
        raise SymsiError(f"a plan is a .json file; got {output.name!r}.")
    files = {n: output if len(counts) == 1 else output.with_stem(f"{output.stem}-{n}") for n in counts}
    for file in files.values():
        check_free(file, force=force)
    number = samples or (32 if pipeline is None else 8)
    options: dict[str, Any] = {}
    strength, calls = 1.0, 1  # of the model an evaluation of the plan
    if pipeline is None:
        network = load(str(model), device=device_of_rank(device), dtype=getattr(torch, dtype))
        asked, strength = unconditional or "all", 1.0 if guidance is None else guidance
        named = asked in ("all", "first", "together")
        options = {
            "guidance": strength,
            "unconditional": asked if named else read_counts("--unconditional", asked, least=0),
        }
        calls = 2 if strength != 1 and asked == "together" else 1
    else:
        height, width = size or (None, None)
        call = {"guidance_scale": guidance, "height": height, "width": width}
        network = model_of_pipeline(pipeline, prompts, call=call, device=device_of_rank(device), dtype=dtype)
        batch = batch or 1
    classifier = None if seen is None else load_features(seen).classifier
    about = number * expected(sorted(set(counts)), guidance=strength, refine=refine)
    what = "calls" if pipeline is None else "steps of the pipeline"
    with Ranks.join() as ranks:
        if classifier is not None:
            ranks.agree(digest(classifier.state_dict()))
        if ranks.rank == 0:
            click.echo(f"{network.name}: about {about:,} {what}, a sample each, for {number} samples", err=True)
        found = fit_solver(
            network,
            counts,
            samples=number,
            reference=None if reference is None else load_reference(reference),
            constant=constant,
            by_channel=by_channel,
            refine=refine,
            features=None if classifier is None else classifier.activations,
            seed=seed,
            batch=batch,
            ranks=ranks,
            **options,
        )
        assert isinstance(found, dict)
        if ranks.rank:
            return
    for n, plan in sorted(found.items()):
        told = dict(plan.origin)
        if pipeline is not None:
            scale = "" if guidance is None else f", guidance_scale {guidance:g}"
            told["model"] = f"{network.name} {pipeline}{scale}"
            plan = replace(plan, origin=told)
        plan.save(files[n], force=force)
        click.echo(
            f"{n} steps, {plan.evaluations * calls} evaluations: {told['solver']}, error {told['error']} "
            f"(theory {told['theory']}): {files[n]}"
        )


@command.command("grid")
@click.option("--model", default="digits28", show_default=True, metavar="NAME|FILE")
@click.option("--steps", default=4, show_default=True, type=click.IntRange(1))
@click.option("--schedule", metavar="NAME", help="Default: trigonometric; of a noise network under ddpm its own.")
@click.option("--solver", default="ab2", show_default=True, metavar="euler|heun|ab2|ab3|dpm++2m")
@click.option("--count", default=32, show_default=True, type=click.IntRange(2), help="Calibration samples.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def grid(model: str, steps: int, schedule: str | None, solver: str, count: int, seed: int, as_json: bool) -> None:
    """Search the grid whose samples are closest to the converged ones, and print its times."""
    network = load(model)
    conditions = network.in_turn(count)
    times = optimal_grid(
        network, steps, shape=count, schedule=schedule, solver=solver, conditions=conditions, seed=seed, progress=False
    )
    if as_json:
        named = schedule or str(advice(network).schedule)
        click.echo(json.dumps({"model": model, "schedule": named, "solver": solver, "grid": times}))
        return
    click.echo(",".join(f"{t:.5g}" for t in times))
