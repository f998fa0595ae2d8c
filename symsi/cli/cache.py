"""`symsi cache`: what is kept on disk of what was derived."""

from __future__ import annotations

import json

import click

from symsi.coefficients.cache import Held, clear, held, place

__all__ = ["command"]


@click.group("cache", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Say where answers are kept that took long to derive, how many they are, and their size.

    The environment variable SYMSI_CACHE names another folder, or is "off".

    \b
    Examples:
      symsi cache
      symsi cache clear
      SYMSI_CACHE=off symsi derive --from ddpm --to cosine
    """
    if context.invoked_subcommand is None:
        folder = place()
        found = Held(0, 0) if folder is None else held(folder)
        if as_json:
            told = None if folder is None else str(folder)
            click.echo(json.dumps({"folder": told, "files": found.files, "bytes": found.size}, indent=2))
        else:
            click.echo("off" if folder is None else f"{folder}: {_words(found)}")


@command.command("clear")
def clear_command() -> None:
    """Remove all that is kept; files in the folder that are not of the cache stay.

    \b
    Examples:
      symsi cache clear
    """
    folder = place()
    click.echo("off" if folder is None else f"{folder}: removed {_words(clear(folder))}")


def _words(found: Held) -> str:
    return f"{found.files} answer{'s' * (found.files != 1)}, {found.size / 2**20:.2f} MiB"
