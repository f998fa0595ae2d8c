"""`symsi steer`: spend evaluations on samples that a reward prefers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click
import torch
from click.core import ParameterSource
from safetensors.torch import save_file

import symsi
from symsi.cli.options import dtype_option, read_grid, steering_options
from symsi.errors import SymsiError
from symsi.files import check_free, write_atomic
from symsi.models.pretrained import load
from symsi.models.reference import load as load_reference
from symsi.models.rewards import reward as reward_named
from symsi.plotting.mosaic import check_picture
from symsi.plotting.pictures import plot_images
from symsi.solvers.plan import load_plan

__all__ = ["command"]


@click.command("steer")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUTPUT")
@click.option("--model", default="digits28", show_default=True, metavar="NAME|FILE", help="See `symsi models`.")
@click.option(
    "--reward", "text", required=True, metavar="SUM", help="What samples are worth, such as 'class=7 + 0.5*symmetry'."
)
@click.option("--method", default="smc", show_default=True, metavar="NAME", help="One of those above.")
@click.option("--nfe", default=500, show_default=True, help="Evaluations of the model, of all particles together.")
@click.option("--rewards", type=int, metavar="N", help="Calls of the reward at most, each image one. Default: any.")
@click.option("--particles", type=int, metavar="N", help="Default: what the budget carries; of rbf, svdd, code, sop 2.")
@click.option("--children", type=int, metavar="N", help="Of smc (8), svdd, code, sop (5); rbf: noises a chain (25).")
@click.option("--temperature", type=float, metavar="L", help="The tilt is model times e^(reward/L). Default: 1.")
@click.option("--tempering", metavar="NAME", help="Of smc: the reward comes in fixed (default), linear, or by ess.")
@click.option("--potential", metavar="NAME", help="Of smc: difference (default), max or sum of the rewards so far.")
@click.option("--ess", type=float, metavar="SHARE", help="Of smc with 1 child: resample below it. Default: 0.5.")
@click.option("--resample", metavar="NAME", help="systematic (default), stratified, ssp, multinomial.")
@click.option("--twist", metavar="gradient", help="Of smc: push the noise along the gradient of the reward.")
@click.option("--preset", metavar="NAME", help="kim2025-linear-ode, kim2025-linear-sde, kim2025-vp-sde.")
@steering_options
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), metavar="FILE", help="Instead of those: a plan.")
@click.option("--label", type=int, metavar="N", help="Class of all samples. Default: none.")
@click.option("--guidance", type=float, help="Classifier-free guidance; other than 1 doubles the evaluations.")
@click.option("--seed", default=0, show_default=True)
@click.option("--batch", type=click.IntRange(1), help="Samples a call of the model at most.")
@click.option("--reward-batch", type=click.IntRange(1), help="Images a call of the reward at most.")
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda", help="Where the model runs.")
@dtype_option
@click.option("--state", type=click.Path(path_type=Path), metavar="FILE", help="Go on from here where it is there.")
@click.option("--samples", type=click.Path(path_type=Path), metavar="FILE", help="Also the numbers: .safetensors.")
@click.option("--chart", type=click.Path(path_type=Path), metavar="FILE", help="Also draw reward against budget.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
def command(
    output: Path,
    model: str,
    text: str,
    method: str,
    nfe: int,
    rewards: int | None,
    grid: str | None,
    reference: Path | None,
    plan_file: Path | None,
    label: int | None,
    device: str,
    dtype: str,
    state: Path | None,
    samples: Path | None,
    chart: Path | None,
    as_json: bool,
    force: bool,
    **given: Any,
) -> None:
    """Spend evaluations on samples that a reward prefers; write OUTPUT, a picture (.png, .svg, .pdf), the best first.

    \b
    These sample the model tilted by e^(reward/temperature), with weights:
      smc   particles, each fanned out over children that cost rewards alone
      dts   a tree of the chain's states, walked by the values of its branches
    These search for high rewards:
      rbf   what a level does not need of its quota of draws goes to the next
      svdd  the best of each chain's children at every level
      code  as svdd, at every other level
      bon   the best of as many samples as the budget carries
      sop   noise again near the data, and back along the ODE

    \b
    Rewards, joined by + and -, each with a weight or none:
      class=N   log of the probability of the digit N
      ink       mean brightness, from 0 to 1
      symmetry  minus the mean squared difference from the mirror image
      python:MODULE.FUNCTION   yours: of images (B, C, H, W), it returns (B,)

    \b
    Examples:
      symsi steer sevens.png --reward class=7
      symsi steer thin.png --reward="class=7 - 4*ink" --method rbf --nfe 500 --chart thin.pdf
      symsi steer mine.png --reward python:rewards.brightness --nfe 200 --particles 20 --samples mine.safetensors
    """
    if plan_file is not None:
        for option in _PLANNED:
            if _said(option):
                raise SymsiError(f"--plan says how to sample; leave --{option} out.")
    check_picture(output, force=force)
    if samples and samples.suffix != ".safetensors":
        raise SymsiError(f"--samples takes a .safetensors file; got {samples.name!r}.")
    if samples:
        check_free(samples, force=force)
    if chart:
        check_picture(chart, force=force)
    files = [path for path in (output, samples, chart) if path]
    every = [*files, state] if state else files
    if len(set(every)) < len(every):
        raise SymsiError(
            f"OUTPUT, --samples, --chart and --state are files of their own; got {', '.join(map(str, every))}."
        )
    wanted = reward_named(text)
    network = load(model, device=device, dtype=getattr(torch, dtype))
    if label is not None and not 0 <= label < network.classes:
        raise SymsiError(
            f"--label must lie in 0..{network.classes - 1}; got {label}."
            if network.classes
            else f"{model} has no classes; leave --label out."
        )
    words = {name: value for name, value in given.items() if value is not None}
    words |= {"state": state} if state else {}
    words |= {"grid": read_grid(grid)} if grid else {}
    words |= {"reference": load_reference(reference)} if reference else {}
    words |= {"plan": load_plan(plan_file)} if plan_file else {}
    words |= {"conditions": {"label": torch.tensor([label])}} if label is not None else {}
    found = symsi.steer(
        network, wanted, method, budget=symsi.Budget(nfe, rewards), device=device, dtype=getattr(torch, dtype), **words
    )
    order = found.rewards.argsort(descending=True)
    images = found.x.float() * network.gain + network.offset
    plot_images([images[order.to(images.device)]], output, force=force)
    if samples:
        numbers = {"samples": found.x, "rewards": found.rewards, "log_weights": found.log_weights}
        held = {name: value.detach().cpu().contiguous() for name, value in numbers.items() if value is not None}
        about = {"model": network.name, "reward": text, "method": method, "nfe": str(found.nfe)}
        write_atomic(samples, lambda temporary: save_file(held, temporary, metadata=about), force=force)
    if chart:
        found.plot(chart, force=force)
    ess = [value for value in found.ess if not math.isnan(value)]
    said = {
        "model": network.name,
        "reward": text,
        "method": method,
        "samples": len(found.x),
        "nfe": found.nfe,
        "reward_calls": found.reward_calls,
        "best": float(found.rewards.max()),
        "mean": float((found.log_weights.softmax(0) * found.rewards).sum()),
        "log_normalizer": found.log_normalizer,
        "ess": ess,
        "files": [str(path) for path in files],
    }
    if as_json:
        click.echo(json.dumps(said))
        return
    count, plural = len(found.x), "s" * (len(found.x) > 1)
    cost = f"{found.nfe} evaluations and {found.reward_calls} rewards in all"
    click.echo(f"{count} sample{plural} by {method} at {cost}: {output}")
    parts = [f"{text}: best {said['best']:.4g}, mean {said['mean']:.4g}"]
    if found.log_normalizer is not None:
        parts.append(f"log normalizer {found.log_normalizer:.4g}")
    if ess:
        parts.append(f"effective samples {min(ess):.1f} at least")
    click.echo("; ".join(parts))


_PLANNED = ("schedule", "diffusion", "solver", "steps", "grid", "last", "reference")


def _said(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT
