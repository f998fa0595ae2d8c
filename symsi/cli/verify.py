"""`symsi verify`: prove the theorems and print a table."""

from __future__ import annotations

import json
import time
from typing import Any

import click
from tqdm import tqdm

from symsi.algebra.proof import Proof
from symsi.cli.options import at_most_one
from symsi.exports.latex import proofs_tex
from symsi.proofs import THEOREMS, prove_all

__all__ = ["command"]


@click.command("verify")
@click.option("--only", multiple=True, metavar="T5", help="Prove this theorem only; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--steps", is_flag=True, help="Print each proof's steps as text, before the table.")
@click.option("--latex", "as_latex", is_flag=True, help="Print the proofs as one LaTeX document.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the proofs as one Markdown document.")
def command(only: tuple[str, ...], as_json: bool, steps: bool, as_latex: bool, as_markdown: bool) -> None:
    """Prove the theorems T1 to T12 for undetermined functions, exactly and at random points.

    Exits with 1 if any is not proved.

    \b
    Examples:
      symsi verify
      symsi verify --only T10 --steps
      symsi verify --latex > theorems.tex
    """
    at_most_one(**{"--json": as_json, "--latex": as_latex, "--markdown": as_markdown, "--steps": steps})
    started = time.perf_counter()
    wanted = only or tuple(THEOREMS)
    proofs = list(tqdm(prove_all(wanted), total=len(wanted), desc="proving", unit="theorem", disable=None, leave=False))
    seconds = time.perf_counter() - started
    if as_json:
        click.echo(json.dumps({"theorems": [_record(p) for p in proofs], "seconds": round(seconds, 3)}, indent=2))
    elif as_latex:
        click.echo(proofs_tex(proofs), nl=False)
    elif as_markdown:
        click.echo("\n".join(p.markdown() for p in proofs), nl=False)
    else:
        for proof in proofs if steps else ():
            click.echo(proof.text() + "\n")
        click.echo(f"{'':4} {'theorem':<40} {'verdict':<10} {'steps':>5} {'points':>6} {'max residual':>12} {'s':>6}")
        for p in proofs:
            click.echo(
                f"{p.id:4} {p.title:<40} {p.verdict:<10} {len(p.steps):>5} {p.numeric_points:>6} "
                f"{p.max_residual:>12.1e} {p.seconds:>6.2f}"
            )
        done = sum(p.proved for p in proofs)
        click.echo(f"{done} of {len(proofs)} proved in {seconds:.1f} s")
    if not all(p.proved for p in proofs):
        raise SystemExit(1)


def _record(p: Proof) -> dict[str, Any]:
    return {
        "id": p.id,
        "title": p.title,
        "statement": p.statement,
        "proved": p.proved,
        "verdict": str(p.verdict),
        "steps": len(p.steps),
        "seconds": round(p.seconds, 3),
        "numeric_points": p.numeric_points,
        "max_residual": p.max_residual,
        "assumptions": list(p.assumptions),
        "excluded": list(p.excluded),
    }
