"""`symsi sample`: draw samples from a model and write them down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch
from click.core import ParameterSource
from torch import Tensor

from symsi.cli.options import device_of_rank, dtype_option, read_grid, sampling_options
from symsi.cli.sample_folder import draw_folder, is_folder
from symsi.errors import SymsiError
from symsi.files import check_free
from symsi.interpolants.named import as_schedule
from symsi.models.flow_map import FlowMap
from symsi.models.pretrained_map import load_any
from symsi.models.protocol import as_device
from symsi.models.reference import load as load_reference
from symsi.plotting.mosaic import check_picture
from symsi.sampling.files import check_samples, write_samples
from symsi.sampling.inputs import check_memory
from symsi.sampling.sample import sample
from symsi.solvers.advice import advice
from symsi.solvers.plan import load_plan
from symsi.solvers.planning import plan as make_plan

__all__ = ["command"]


@click.command("sample")
@click.argument("output", type=click.Path(), metavar="OUTPUT")
@click.option("--model", default="digits28", show_default=True, metavar="NAME|FILE", help="See `symsi models`.")
@sampling_options
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Sample by a plan, such as `symsi calibrate solver` writes, instead of the options above.",
)
@click.option(
    "--tolerance",
    type=float,
    help="Instead of --steps and --grid: as many as an error of so much of the samples' size needs, such as 1e-2.",
)
@click.option(
    "--stochastic",
    type=float,
    is_flag=False,
    flag_value=1.0,
    metavar="[SHARE]",
    help="Of a flow map: each step draws so much of the noise's variance anew, from 0 to 1; all of it without a SHARE.",
)
@click.option("--count", default=64, show_default=True, type=click.IntRange(1), help="Samples.")
@click.option("--label", "labels", multiple=True, type=int, metavar="N", help="Class; several are taken in turn.")
@click.option("--guidance", default=1.0, show_default=True, help="Classifier-free guidance; other than 1 doubles NFE.")
@click.option("--seed", default=0, show_default=True, help="Sample i depends on (seed, i) alone.")
@click.option(
    "--batch", type=click.IntRange(1), help="Samples a call of the model at most; those of a file of a folder: 256."
)
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda", help="Where the model runs.")
@dtype_option
@click.option(
    "--pipeline",
    metavar="DIR|ID",
    help="Instead of --model: a pipeline of diffusers; needs --prompt. Its grid: that of its own shift, 2 at least, or "
    "--grid.",
)
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="Of the pipeline; several are taken in turn.")
@click.option("--size", type=(int, int), metavar="H W", help="Of the pipeline's images; default: the pipeline's own.")
@click.option("--compare", is_flag=True, help="Beside the pipeline's own scheduler, at as many and 4 times the steps.")
@click.option("--picture", type=click.Path(path_type=Path), help="Also draw the samples: .png, .svg or .pdf.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
def command(
    output: str,
    model: str,
    schedule: str | None,
    diffusion: str,
    solver: str | None,
    steps: int,
    grid: str | None,
    last: str | None,
    reference: Path | None,
    plan_file: Path | None,
    tolerance: float | None,
    stochastic: float | None,
    count: int,
    labels: tuple[int, ...],
    guidance: float,
    seed: int,
    batch: int | None,
    device: str,
    dtype: str,
    pipeline: str | None,
    prompts: tuple[str, ...],
    size: tuple[int, int] | None,
    compare: bool,
    picture: Path | None,
    force: bool,
) -> None:
    """Draw samples and write OUTPUT: a picture (.png, .svg, .pdf), the numbers (.npz, .safetensors), or a FOLDER/.

    A folder is for many samples, by one process or several of torchrun; the same command goes on where it was ended.

    \b
    Examples:
      symsi sample digits.png --steps 4
      symsi sample digits.npz --schedule "lazy(kappa=1)" --diffusion optimal --steps 8 --picture digits.png
      symsi sample digits.png --plan solver.json
      symsi sample digits.png --tolerance 1e-2
      symsi sample digits.png --model map.safetensors --steps 1
      symsi sample digits.png --model map.safetensors --steps 4 --stochastic
      symsi sample sevens.png --label 7 --guidance 1.5 --solver ab2 --steps 6
      symsi sample out/ --count 50000 --plan solver.json
      torchrun --nproc-per-node 2 -m symsi sample out/ --count 50000 --plan solver.json
      symsi sample cat.png --pipeline ./sd3 --prompt "a cat" --count 1 --steps 6 --compare
    """
    many = is_folder(output)
    for option in _OF_FILES if many else ():
        if _said(option):
            raise SymsiError(f"OUTPUT {output} is a folder, which takes no --{option}; leave it out, or name a file.")
    path = Path(output)
    if not (many or path.suffix):
        raise SymsiError(f"OUTPUT {output} is no file of samples, and a folder of them ends with a slash: {output}/.")
    if plan_file is not None:
        for option in _PLANNED:
            if _said(option):
                raise SymsiError(f"--plan says how to sample; leave --{option} out.")
    for option in () if tolerance is None else _STEPPED:
        if _said(option):
            raise SymsiError(f"--tolerance chooses the steps; leave --{option.removesuffix('_file')} out.")
    made = None if plan_file is None else load_plan(plan_file)
    points = None if grid is None else read_grid(grid)
    counted = len(points) - 1 if isinstance(points, list) else None
    if counted is not None and _said("steps") and steps != counted:
        raise SymsiError(f"--grid {grid} has {counted} steps, --steps is {steps}; leave --steps out.")
    if pipeline:
        from symsi.cli.text_to_image import sample_pipeline  # with a drawing library

        alone = {"batch": batch, "label": labels, "picture": picture, "model": _said("model"), "stochastic": stochastic}
        for option, value in alone.items():
            if value:
                raise SymsiError(f"--pipeline and --{option} do not go together.")
        height, width = size or (None, None)
        strength = guidance if _said("guidance") else None
        sample_pipeline(
            path,
            pipeline,
            prompts,
            steps=made.evaluations if made else steps if counted is None else counted,
            count=count,
            seed=seed,
            compare=compare,
            device=device,
            dtype=dtype,
            force=force,
            config={"plan": str(plan_file)}
            if made
            else {
                "schedule": schedule or "trigonometric",
                "diffusion": diffusion,
                "solver": solver,
                "grid": points,
                "last": last,
                "reference": None if reference is None else str(reference),
            },
            call={"guidance_scale": strength, "height": height, "width": width},
        )
        return
    if prompts or compare or size:
        raise SymsiError("--prompt, --size and --compare are for --pipeline.")
    if not many:
        check_samples(path, force=force)
    if picture:
        check_picture(picture, force=force)
        if picture == path:
            raise SymsiError(f"OUTPUT and --picture are both {output}; leave --picture out.")
    device = device_of_rank(device) if many else device
    network = load_any(model, device=device, dtype=getattr(torch, dtype))
    for option in _NOT_OF_MAPS if isinstance(network, FlowMap) else ():
        if _said(option):
            raise SymsiError(
                f"{network.name} is a flow map, whose steps go from time to time by themselves: leave "
                f"--{option.removesuffix('_file')} out; --steps and --grid say at which times it stops."
            )
    if not many:
        check_memory(count, network.shape or (1,), getattr(torch, dtype), as_device(device), 0)
    if labels and not network.classes:
        raise SymsiError(f"{model} has no classes; leave --label out.")
    wanted = _classes(labels, network.classes)
    conditions = {"label": wanted if many else wanted[torch.arange(count) % len(wanted)]} if network.classes else {}
    number = steps if counted is None else None
    words: dict[str, Any] = {"steps": number, "grid": points, "stochastic": stochastic}
    if made is None and not isinstance(network, FlowMap):
        best = advice(network)
        target = best.schedule if schedule is None else as_schedule(schedule)
        words |= {
            "schedule": target,
            "diffusion": diffusion,
            "solver": solver,
            "grid": points or (best.grid if target == best.schedule else "shifted(shift=2)"),
            "last": last,
            "reference": load_reference(reference) if reference else None,
        }
        words = words if tolerance is None else {"schedule": target, "tolerance": tolerance}
    if many:
        if made is None:
            made = make_plan(network, shape=network.shape, **{k: v for k, v in words.items() if v is not None})
        draw_folder(
            path,
            network,
            made,
            count=count,
            batch=batch or _BATCH,
            seed=seed,
            guidance=guidance,
            conditions=conditions,
            device=device,
            dtype=getattr(torch, dtype),
        )
        return
    found = sample(
        network,
        shape=count,
        **({"plan": made} if made else words),
        guidance=guidance,
        conditions=conditions,
        seed=seed,
        batch=batch,
        device=device,
    )
    check_free(path, force=force)
    write_samples(found, path, force=force)
    if picture:
        write_samples(found, picture, force=force)
    click.echo(f"{count} samples at {found.nfe} evaluation{'s' * (found.nfe > 1)} each: {output}")


_BATCH = 256  # samples of a file of a folder
_OF_FILES = ("tolerance", "picture", "pipeline", "force")
_STEPPED = ("stochastic", "diffusion", "solver", "steps", "grid", "last", "reference", "plan_file", "pipeline")
_NOT_OF_MAPS = ("schedule", "diffusion", "solver", "last", "reference", "plan_file", "tolerance", "guidance")
_PLANNED = ("stochastic", "schedule", "diffusion", "solver", "steps", "grid", "last", "reference")


def _said(option: str) -> bool:
    """Whether an option with a default was given."""
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def _classes(labels: tuple[int, ...], classes: int) -> Tensor:
    """The classes that samples are of in turn; all of them where none is named."""
    wanted = labels or tuple(range(classes))
    for label in wanted:
        if not 0 <= label < classes:
            raise SymsiError(f"--label must lie in 0..{classes - 1}; got {label}.")
    return torch.tensor(wanted)
