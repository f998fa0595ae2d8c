"""`symsi samples`: folders of samples."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import torch

from symsi.cli.options import device_of_rank
from symsi.cli.sample_folder import draw_folder
from symsi.errors import SymsiError
from symsi.models.pretrained import SHIPPED
from symsi.models.pretrained_map import load_any, shipped_maps
from symsi.shards.check import Report, check_shards
from symsi.shards.folder import PLAN, Folder
from symsi.solvers.plan import load_plan

__all__ = ["command"]


@click.group("samples")
def command() -> None:
    """Look after a folder of samples that `symsi sample FOLDER/` wrote.

    \b
    Examples:
      symsi samples check out/
      symsi samples check out/ --repair
    """


@command.command("check")
@click.argument("folder", type=click.Path(path_type=Path), metavar="FOLDER")
@click.option("--repair", is_flag=True, help="Draw what is missing or damaged again.")
@click.option("--model", metavar="NAME|FILE", help="For --repair: the model, where it is none that ships.")
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda", help="For --repair.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(folder: Path, repair: bool, model: str | None, device: str, as_json: bool) -> None:
    """Read all samples of FOLDER, verify their hashes, and name what is damaged, missing or foreign.

    Exits with 1 where samples are not all there and right. Foreign files are named, and left alone.

    \b
    Examples:
      symsi samples check out/
      symsi samples check out/ --repair
    """
    found = check_shards(folder)
    _tell(folder, found, as_json)
    if repair and not found.whole:
        _repair(folder, found, model, device)
    elif not found.whole:
        sys.exit(1)


def _tell(folder: Path, found: Report, as_json: bool) -> None:
    if as_json:
        rows = {
            "samples": found.manifest.count,
            "whole": found.whole,
            "sealed": found.sealed,
            "missing": [[span.start, span.stop] for span in found.missing],
            "damaged": {f"{span.start}-{span.stop}": reason for span, reason in found.damaged.items()},
            "others": dict(found.others),
            "foreign": list(found.foreign),
        }
        click.echo(json.dumps(rows, indent=1))
        return
    for span in found.missing:
        click.echo(f"missing: samples {span.start} to {span.stop - 1}")
    for reason in (*found.damaged.values(), *found.others.values()):
        click.echo(f"damaged: {reason}")
    for name in found.foreign:
        click.echo(f"foreign: {folder / name}")
    if found.whole:
        click.echo(f"{found.manifest.count} samples, all there and right: {folder}/")
    elif not (found.missing or found.damaged or found.others):
        click.echo("unfinished: all samples are there, and no SHA256SUMS; the command that drew them writes it.")


def _repair(folder: Path, found: Report, model: str | None, device: str) -> None:
    """Draw again what a check found missing or damaged. Raises SymsiError where the plan or the model is not there."""
    opened = Folder.open(folder)
    manifest = opened.manifest
    ships = [*SHIPPED, *shipped_maps()]
    if model is None and manifest.model not in ships:
        raise SymsiError(f"{folder} was drawn from {manifest.model}, which does not ship; give --model FILE.")
    plan = load_plan(folder / PLAN)
    where, dtype = device_of_rank(device), getattr(torch, manifest.dtype)
    draw_folder(
        folder,
        load_any(model or manifest.model, device=where, dtype=dtype),
        plan,
        count=manifest.count,
        batch=manifest.batch,
        seed=manifest.seed,
        guidance=manifest.guidance,
        conditions={
            **opened.conditions,
            **{name: value for name, value in manifest.conditions.items() if name != "tensors"},
        },
        device=where,
        dtype=dtype,
        again=tuple(found.damaged),
    )
