"""`symsi models`: the models that ship."""

from __future__ import annotations

import json

import click

from symsi.models.flow_map import FlowMap
from symsi.models.pretrained import SHIPPED
from symsi.models.pretrained_bridge import BRIDGES, load_bridge
from symsi.models.pretrained_map import described_map, load_any, shipped_maps

__all__ = ["command"]


@click.command("models")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """List the models and flow maps that ship with symsi.

    \b
    Example:
      symsi models --json
    """
    rows = {}
    texts = dict(SHIPPED)
    for name in shipped_maps():
        said = described_map(name)
        minutes = f", {said['cost']['minutes']:.0f} minutes of training" if "minutes" in said["cost"] else ""
        texts[name] = f"flow map of {said['teacher']}, samples in 1, 2, 4 or any number of evaluations{minutes}"
    for name, text in texts.items():
        model = load_any(name)
        rows[name] = {
            "text": text,
            "schedule": str(model.schedule),
            "prediction": "flow map" if isinstance(model, FlowMap) else model.prediction,
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
