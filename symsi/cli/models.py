"""`symsi models`: the models that ship."""

from __future__ import annotations

import json

import click

from symsi.models.pretrained import SHIPPED, load
from symsi.models.pretrained_bridge import BRIDGES, load_bridge

__all__ = ["command"]


@click.command("models")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """List the models that ship with symsi.

    \b
    Example:
      symsi models --json
    """
    rows = {}
    for name, text in SHIPPED.items():
        model = load(name)
        rows[name] = {
            "text": text,
            "schedule": str(model.schedule),
            "prediction": model.prediction,
            "shape": list(model.shape or ()),
        }
    for name, text in BRIDGES.items():
        bridge = load_bridge(name)
        rows[name] = {
            "text": text,
            "interpolant": str(bridge.interpolant),
            "prediction": ", ".join(bridge.predictions),
            "shape": list(bridge.shape or ()),
        }
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for name, row in rows.items():
        click.echo(f"{name:<20}{row['text']}; samples {tuple(row['shape'])}")
