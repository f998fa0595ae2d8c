"""`symsi bench objectives`: what objectives of flow maps reach on laws of one and two dimensions."""

from __future__ import annotations

import json
from typing import Any

import click
from tqdm import tqdm

from symsi.bench import checkerboard
from symsi.bench import objectives as benchmark

__all__ = ["objectives"]

_STEPS = {"mixture": 8000, "checkerboard": 12_000}
_QUICK: dict[str, Any] = {"steps": 4, "count": 64}


@click.command("objectives")
@click.option("--data", type=click.Choice(tuple(_STEPS)), default="mixture", show_default=True)
@click.option(
    "--objective",
    "names",
    multiple=True,
    metavar="NAME",
    help=f"Of {', '.join(benchmark.OBJECTIVES)}; may be repeated. Default: all, on the checkerboard three.",
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    help="Of PSD-M; others take what fits its time. Default: 8000, on the checkerboard 12000.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the weights and the batches.")
@click.option("--quick", is_flag=True, help="Four steps: that it runs, not what it reaches.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def objectives(data: str, names: tuple[str, ...], steps: int | None, seed: int, quick: bool, as_json: bool) -> None:
    """Train small flow maps by each objective, in about the same time from the same start.

    On a mixture of two Gaussians in one dimension, whose map is known, whole is the root mean square error of one step
    from noise to data, between that over all times s < t; then what MeanFlow's residual is at the exact map, where
    others vanish. On a checkerboard in two dimensions, by objectives without a teacher, the KL divergence from the data
    to samples of 1, 2, 4, 8, 16 steps. The same seed gives the same numbers; seconds are those of the processor.

    \b
    Examples:
      symsi bench objectives
      symsi bench objectives --objective LSD --objective PSD-M --steps 2000
      symsi bench objectives --data checkerboard --json > checkerboard.json
    """
    asked: dict[str, Any] = {"steps": steps or _STEPS[data], "seed": seed} | (_QUICK if quick else {})
    asked |= {"names": names} if names else {}
    measure = benchmark.objective_rows if data == "mixture" else checkerboard.board_rows
    with tqdm(desc="training", unit="step", disable=None) as bar:

        def tick(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = measure(tick=tick, **asked)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    click.echo(_of_mixture(found) if data == "mixture" else _of_board(found))


def _of_mixture(found: dict[str, Any]) -> str:
    floor = found["mean_flow_floor"]
    lines = [f"{'objective':<11}{'teacher':<10}{'steps':>7}{'seconds':>9}{'whole':>9}{'between':>9}"]
    for row in found["rows"]:
        lines.append(
            f"{row['objective']:<11}{row['teacher']:<10}{row['steps']:>7}{row['seconds']:>9.0f}"
            f"{row['whole']:>9.4f}{row['between']:>9.4f}"
        )
    lines.append(f"{'the identity':<37}{found['still']['whole']:>9.4f}{found['still']['between']:>9.4f}")
    lines.append(
        f"MeanFlow's residual at the exact map, mean square: {floor['measured']:.3f}, "
        f"predicted {floor['predicted']:.3f} (difference known to {floor['error']:.3f})"
    )
    return "\n".join(lines)


def _of_board(found: dict[str, Any]) -> str:
    counts = list(found["rows"][0]["kl"])
    lines = [f"{'objective':<16}{'steps':>7}{'seconds':>9}  KL at" + "".join(f"{n:>8}" for n in counts)]
    for row in found["rows"]:
        values = "".join(f"{row['kl'][n]:>8.4f}" for n in counts)
        lines.append(f"{row['objective']:<16}{row['steps']:>7}{row['seconds']:>9.0f}{'':>7}{values}")
    values = "".join(f"{found['published'][n]:>8.3f}" for n in counts)
    lines.append(f"{'LSD, published':<16}{'':>23}{values}  (Boffi et al. 2505.18825; their bins, network, budget)")
    lines.append(f"data against data, {found['samples']} samples: {found['floor']:.4f}")
    return "\n".join(lines)
