"""`symsi demo`: from two expressions to pictures, on the network that ships."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import torch
from sympy import symbols

from symsi.algebra.simplify import in_roots
from symsi.cli.proving import proved
from symsi.coefficients.kernels import kernels
from symsi.errors import SymsiError
from symsi.interpolants.lazy import lazy_schedule
from symsi.interpolants.named import schedule
from symsi.metrics import accuracy, frechet_distance
from symsi.models.features import SHIPPED, load_features
from symsi.models.pretrained import load
from symsi.plotting.mosaic import check_picture
from symsi.plotting.pictures import plot_images
from symsi.proofs import THEOREMS
from symsi.sampling.sample import SampleResult, sample
from symsi.theory.conversion import convert
from symsi.theory.diffusion import optimal

__all__ = ["command"]

_NFE = (2, 3, 4, 8)
_SHOWN = 30
_ROWS: Mapping[str, Mapping[str, Any]] = {
    "linear Euler": {"schedule": "linear", "solver": "euler"},
    "lazy VP": {"schedule": "trigonometric", "solver": "euler"},
    "lazy VP + AB2": {"schedule": "trigonometric", "solver": "ab2", "grid": "shifted(shift=2)"},
    "point mass": {"schedule": "lazy(kappa=1)", "diffusion": "optimal"},
}


@click.command("demo")
@click.option("--output", type=click.Path(path_type=Path), default=Path("demo.png"), show_default=True)
@click.option("--count", default=200, show_default=True, type=click.IntRange(_SHOWN), help="Samples a row and NFE.")
@click.option("--seed", default=0, show_default=True)
@click.option("--force", is_flag=True, help="Replace the picture if it is there.")
def command(output: Path, count: int, seed: int, force: bool) -> None:
    """Derive linear -> lazy, prove it, compile it, and sample digits28 with it.

    \b
    Example:
      symsi demo --output demo.png --force
    """
    check_picture(output, force=force)
    started = time.monotonic()
    linear, lazy = schedule("linear"), lazy_schedule(kappa=1)
    conversion = convert(linear, lazy, diffusion=optimal())
    click.echo(f"1. Derived: {linear} -> {lazy} with the optimal diffusion")
    names = ("time", "scale", "drift_state", "drift_prediction")
    tau, c, state, prediction = (in_roots(conversion.formulas[name], *symbols("u w")) for name in names)
    click.echo(f"   with u = sqrt(t), w = sqrt(1 - t): tau = {tau}, c = {c},")
    click.echo(f"   b   = {state} x + {prediction} v, where v = v(tau, x/c) is the network's")
    proofs = [conversion.proof(), *proved()]
    for proof in proofs:
        if not proof.proved:
            raise SymsiError(f"{proof.id} is not proved but {proof.verdict}; run `symsi verify --steps`.")
    steps, points = sum(len(p.steps) for p in proofs), sum(p.numeric_points for p in proofs)
    click.echo(f"2. Proved: this conversion and T1 to T{len(THEOREMS)}, {steps} steps, {points} random points")
    compiled = kernels(conversion)
    at_ends = [float(compiled.coefficient("data_prediction", t)) for t in (0.0, 1.0)]
    click.echo(f"3. Compiled: {len(conversion.coefficients)} coefficients; data_prediction at the ends: {at_ends}")
    model, features = load("digits28"), load_features(SHIPPED)
    conditions = model.in_turn(count)
    results: dict[str, list[SampleResult]] = {}
    for name, options in _ROWS.items():
        results[name] = [
            sample(model, shape=count, steps=n, seed=seed, conditions=conditions, batch=100, **options) for n in _NFE
        ]
    click.echo("4. Sampled digits28: Frechet distance in classifier features, and class accuracy,")
    click.echo(f"   of {count} samples a cell; so few lie farther from real digits than many do")
    click.echo(f"   {'evaluations':<16}" + "".join(f"{n:>15}" for n in _NFE))
    for name, row in results.items():
        cells = []
        for found in row:
            distance = frechet_distance(features(found.x).double(), features.reference.double())
            with torch.no_grad():
                right = accuracy(features.classifier(found.x), conditions["label"])
            cells.append(f"{distance:>8.1f} {right:>5.0%} ")
        click.echo(f"   {name:<16}" + "".join(cells))
    panels = [found.x[:_SHOWN] * model.gain + model.offset for row in results.values() for found in row]
    plot_images(panels, output, columns=6, rows=list(results), titles=[f"{n} evaluations" for n in _NFE], force=force)
    click.echo(f"5. Drawn: {output} ({time.monotonic() - started:.0f} s)")
