"""`symsi report`: the theory, its proofs and what was measured, on one HTML page."""

from __future__ import annotations

from pathlib import Path

import click
from tqdm import tqdm

from symsi.cli.options import Pair, conversion_options
from symsi.cli.proving import proved
from symsi.errors import SymsiError
from symsi.files import write_text
from symsi.report.explore import pairs, tabulate_pair
from symsi.report.page import SHIPPED, check_target, page
from symsi.report.tables import MEASUREMENTS, load

__all__ = ["command"]

_PAIR = ("linear", "lazy(kappa=1)")  # where no schedule is named


@click.command("report", context_settings={"default_map": {"diffusion": "optimal"}})
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True)
@conversion_options
@click.option(
    "--figures",
    "folder",
    type=click.Path(path_type=Path),
    default=SHIPPED,
    metavar="DIR",
    help="Where PNG figures and measurements are. Default: the ones that ship.",
)
@click.option("--force", is_flag=True, help="Replace the page if it is there.")
def command(output: Path, pair: Pair, folder: Path, force: bool) -> None:
    """Write one HTML page: every theorem with its proof, a pair of schedules of yours, figures and measurements.

    The page needs no network, and JavaScript only to play with schedules. Theorems are proved while it is made, in
    about a minute in all; exits with 1 if any is not proved. Where no schedule is named the pair is linear to
    lazy(kappa=1).

    \b
    Examples:
      symsi report
      symsi report -o mine.html --alpha "(1-t)*(1+t/3)" --beta "t*exp(t-1)" --to vp --diffusion ode
      symsi report --from linear --to "lazy(kappa=1)" --diffusion optimal --force
    """
    check_target(output, force=force)
    if not folder.is_dir():
        raise SymsiError(f"there is no folder {folder}; `symsi figures --out {folder}` makes one.")
    for name in MEASUREMENTS:
        load(name, folder)  # what cannot be read is refused here
    conversion = pair.conversion(*_PAIR)
    proofs = proved()
    wanted = tqdm(pairs(), desc="tabulating", unit="pair", disable=None, leave=False)
    tables = {pair: tabulate_pair(*pair) for pair in wanted}
    proof = conversion.proof()
    write_text(output, page(proofs, conversion, proof, tables, folder), force=force)
    count = sum(p.proved for p in proofs)
    size = output.stat().st_size / 1e6
    click.echo(f"{output}: {count} of {len(proofs)} theorems proved, the conversion {proof.verdict}; {size:.1f} MB")
    if not (proof.proved and all(p.whole for p in proofs)):
        raise SystemExit(1)
