"""`symsi bench quality`: how good the samples of a folder are."""

from __future__ import annotations

import json
from pathlib import Path

import click
from tqdm import tqdm

from symsi.bench.nfe import TASKS
from symsi.bench.quality import quality_of_folder

__all__ = ["quality"]


@click.command("quality")
@click.argument("folder", type=click.Path(path_type=Path), metavar="FOLDER")
@click.option("--model", default="digits28", show_default=True, metavar="|".join(TASKS), help="Whose data judge.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def quality(folder: Path, model: str, as_json: bool) -> None:
    """How good the samples of FOLDER are, without holding them.

    Fréchet distance of all of them and energy distance of 4096, to real data in the features of a classifier (pixels
    for digits8); accuracy is how often the classifier sees the class that was asked for.

    \b
    Examples:
      symsi bench quality out/
      symsi bench quality out/ --model fashion28 --json
    """
    with tqdm(desc="measuring", unit="sample", disable=None) as bar:

        def tick(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = quality_of_folder(folder, model, tick=tick)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    floor = found["floor"]
    click.echo(f"{found['samples']} samples of {found['model']}, judged by {found['judge']}")
    click.echo(f"FD        {found['fd']:.3f}  (real against real: {floor['fd']:.3f} +- {floor['spread']:.3f})")
    click.echo(f"energy    {found['energy']:.5f}  ({found['energy_samples']} samples)")
    if found["accuracy"] is not None:
        click.echo(f"accuracy  {found['accuracy']:.4f}")
