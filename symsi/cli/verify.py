"""`symsi verify`: prove the theorems and print a table."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import click

from symsi.algebra.claims import Status, numbers, share_covered
from symsi.algebra.proof import Proof
from symsi.cli.options import at_most_one
from symsi.cli.proving import proved
from symsi.exports.latex import proofs_tex
from symsi.proofs import THEOREMS

__all__ = ["command"]


@click.command("verify")
@click.option("--only", multiple=True, metavar="T5", help="Prove this theorem only; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--steps", is_flag=True, help="Print each proof's steps as text, before the table.")
@click.option("--latex", "as_latex", is_flag=True, help="Print the proofs as one LaTeX document.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the proofs as one Markdown document.")
def command(only: tuple[str, ...], as_json: bool, steps: bool, as_latex: bool, as_markdown: bool) -> None:
    """Prove the theorems, T1 to T25, for undetermined functions, exactly and at random points.

    Each claim of a theorem is covered by steps, cited from the literature, or open. Exits with 1 if a theorem is not
    proved or a claim is open.

    \b
    Examples:
      symsi verify
      symsi verify --only T10 --steps
      symsi verify --latex > theorems.tex
    """
    at_most_one(**{"--json": as_json, "--latex": as_latex, "--markdown": as_markdown, "--steps": steps})
    started = time.perf_counter()
    wanted = only or tuple(THEOREMS)
    proofs = proved(wanted)
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
        _print_table(proofs)
        _print_claims(proofs)
        done = sum(p.proved for p in proofs)
        click.echo(f"{done} of {len(proofs)} proved in {seconds:.1f} s; {_counted(proofs)}")
    if not all(p.whole for p in proofs):
        raise SystemExit(1)


def _print_table(proofs: Sequence[Proof]) -> None:
    click.echo(
        f"{'':4} {'theorem':<38} {'verdict':<10} {'covered':>7} {'cited':>5} {'open':>4} {'steps':>5} {'defined':>7} "
        f"{'points':>6} {'max residual':>12} {'s':>5}"
    )
    for p in proofs:
        covered, cited, still = (sum(c.status is status for c in p.claims) for status in Status)
        click.echo(
            f"{p.id:4} {p.title:<38} {p.verdict:<10} {covered:>7} {cited:>5} {still:>4} {len(p.steps):>5} "
            f"{len(p.definitions):>7} {p.numeric_points:>6} {p.max_residual:>12.1e} {p.seconds:>5.2f}"
        )


def _print_claims(proofs: Sequence[Proof]) -> None:
    """What each claim rests on, and which steps are mere definitions."""
    for p in proofs:
        click.echo("")
        for claim in p.claims:
            click.echo(f"{p.id:4} {claim}")
        if p.definitions:
            click.echo(f"{p.id:4} mere definitions: {numbers(p.definitions)}")
    click.echo("")


def _counted(proofs: Sequence[Proof]) -> str:
    claims = [c for p in proofs for c in p.claims]
    counts = (f"{sum(c.status is status for c in claims)} {status}" for status in Status)
    return f"{len(claims)} claims: {', '.join(counts)} ({share_covered(claims):.0%} covered)"


def _record(p: Proof) -> dict[str, Any]:
    return {
        "id": p.id,
        "title": p.title,
        "statement": p.statement,
        "proved": p.proved,
        "verdict": str(p.verdict),
        "claims": [
            {"key": c.key, "text": c.text, "status": str(c.status), "steps": c.steps, "citation": c.citation}
            for c in p.claims
        ],
        "steps": len(p.steps),
        "definitions": p.definitions,
        "seconds": round(p.seconds, 3),
        "numeric_points": p.numeric_points,
        "max_residual": p.max_residual,
        "assumptions": list(p.assumptions),
        "excluded": list(p.excluded),
    }
