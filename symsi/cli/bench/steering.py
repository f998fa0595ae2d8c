"""`symsi bench steering`: methods of steering against exact tilts, and on digits at equal evaluations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource
from tqdm import tqdm

from symsi.bench import steering as benchmark
from symsi.cli.options import read_counts
from symsi.errors import SymsiError

__all__ = ["steering"]

_PROBLEMS = ("mixture", "gaussian", "digits28")
_COLUMNS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "mixture": (
        ("reward", "<10"),
        ("transition", "<24"),
        ("steps", ">6"),
        ("children", ">9"),
        ("distance", ">9.3f"),
        ("distance_error", ">15.3f"),
        ("floor", ">7.3f"),
        ("log_z_rmse", ">11.3f"),
        ("z_ratio", ">8.3f"),
        ("reward_calls", ">13"),
    ),
    "gaussian": (("steps", ">6"), ("children", ">9"), ("z_ratio", ">9.4f"), ("z_ratio_error", ">14.4f")),
    "digits28": (
        ("contender", "<25"),
        ("transition", "<18"),
        ("budget", ">7"),
        ("nfe", ">5"),
        ("reward_calls", ">13"),
        ("reward", ">9.3f"),
        ("reward_error", ">13.3f"),
        ("sure", ">6.2f"),
        ("distance", ">9.2f"),
        ("diversity", ">10.2f"),
    ),
}
_OF_A_CLASS = (("right", ">7.2f"), ("fd", ">8.1f"), ("fd_floor", ">10.1f"))


@click.command("steering")
@click.option("--on", "problem", type=click.Choice(_PROBLEMS), default="mixture", show_default=True)
@click.option("--steps", metavar="N,N,...", help="Of a path. Default: 5,10 (mixture), 1,2,5 (gaussian), 10 (digits28).")
@click.option("--runs", type=click.IntRange(2), help="Independent runs. Default: 300, 2000, 8.")
@click.option("--particles", type=click.IntRange(1), help="Of the mixture (50) and the Gaussian (10).")
@click.option("--reward", default="100*ink", show_default=True, help="Of digits28, as `symsi steer` takes it.")
@click.option(
    "--budget", "budgets", default="50,100,200,500", show_default=True, metavar="N,N,...", help="Of digits28."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def steering(
    problem: str, steps: str | None, runs: int | None, particles: int | None, reward: str, budgets: str, as_json: bool
) -> None:
    """Measure methods of `symsi steer` at equal evaluations of the model.

    On a mixture of four modes in the plane and on a Gaussian the tilt and log Z are exact: squared energy distance of
    the weighted samples to the tilt, beside that of as many independent samples of it ("floor"), the error of log Z,
    and the mean of Z^/Z, which is 1 in expectation where the steps are exact. On digits28: the reward of the two best
    samples of each run, the share that another classifier is sure of, distance to real digits and diversity; for a
    class also the share that it names so, and the Frechet distance to that class beside that of as many real ones.

    \b
    Examples:
      symsi bench steering --runs 20
      symsi bench steering --on gaussian
      symsi bench steering --on digits28 --reward class=7 --runs 2 --budget 100
    """
    given: dict[str, Any] = {} if runs is None else {"runs": runs}
    others = ("particles",) if problem == "digits28" else ("reward", "budgets")
    for name in others:
        if click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise SymsiError(f"--{name.removesuffix('s') if name == 'budgets' else name} is not of --on {problem}.")
    if problem == "digits28":
        if steps is not None:
            counts = read_counts("--steps", steps)
            if len(counts) > 1:
                raise SymsiError(f"--on digits28 takes one number of --steps; got {steps}.")
            given["steps"] = counts[0]
        found = benchmark.digit_rows(reward=reward, budgets=read_counts("--budget", budgets), **given)
    else:
        given |= {} if steps is None else {"steps": read_counts("--steps", steps)}
        given |= {} if particles is None else {"particles": particles}
        found = (benchmark.mixture_rows if problem == "mixture" else benchmark.gaussian_rows)(**given)
    columns = _COLUMNS[problem]
    if problem == "digits28" and benchmark.class_of(reward) is not None:
        columns += _OF_A_CLASS
    rows = list(_shown(found, problem, columns, quiet=as_json))
    if as_json:
        about = {"on": problem, **({"reward": reward} if problem == "digits28" else {}), **given}
        click.echo(json.dumps({**about, "rows": rows}, indent=1))


def _shown(
    found: Iterator[dict[str, Any]], problem: str, columns: Sequence[tuple[str, str]], *, quiet: bool
) -> Iterator[dict[str, Any]]:
    """The rows, each printed when it is there."""
    if not quiet:
        click.echo("".join(f"{name:{form.split('.')[0]}}" for name, form in columns))
    for row in tqdm(found, desc=problem, unit="row", disable=None if quiet else True):
        if not quiet:
            click.echo("".join(f"{row[name]:{form}}" for name, form in columns))
        yield row
