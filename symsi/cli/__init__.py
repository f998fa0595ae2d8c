"""The command line. Subcommands are imported when they run, so that `symsi --help` answers at once."""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from importlib import import_module
from types import FrameType
from typing import Any

import click

from symsi.errors import SymsiError, unknown
from symsi.files import disk_trouble

__all__ = ["main"]

os.environ.setdefault("SYMPY_CACHE_SIZE", "20000")  # SymPy's own 1000 forgets what a proof asks again
_COMMANDS = {
    "bench": "Measure accuracy and speed on this machine.",
    "cache": "What is kept on disk of what was derived: where, how much; clear it.",
    "calibrate": "Estimate a Gaussian reference, or the best grid, for a model.",
    "demo": "The main job: derive, prove, compile, and sample digits in 2 to 8 evaluations.",
    "derive": "Derive every formula for a schedule, a conversion or a bridge of two laws.",
    "distill": "Train a flow map of a model: samples in 1 to 4 evaluations.",
    "export": "Write a conversion as a file that runs without symsi.",
    "figures": "Redraw the figures of the theory and of real runs.",
    "likelihood": "Bits a dimension of data under a model, with their standard error.",
    "models": "List the models that ship.",
    "report": "Write the theory, its proofs and the measurements as one HTML page.",
    "sample": "Draw samples from a pretrained model, in few evaluations.",
    "samples": "Check and repair a folder of many samples.",
    "steer": "Spend evaluations on samples that a reward prefers.",
    "train": "Remake the weights that ship.",
    "verify": "Prove the theory, T1 to T25; print the verdicts.",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            raise click.UsageError(str(unknown("command", cmd_name, _COMMANDS)))
        if "--help" in sys.argv[1:2]:  # the overview needs a line each, not the commands themselves
            return click.Command(cmd_name, help=_COMMANDS[cmd_name])
        command: click.Command = _imported(f"symsi.cli.{cmd_name}").command
        return command


def _imported(name: str) -> Any:
    """A module; what it and its libraries make stays to the end, so that no garbage is looked for in it until then."""
    looks = gc.isenabled()
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        if looks:
            gc.enable()


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="symsi")
def _group() -> None:
    """Schedules, diffusions and fields of stochastic interpolants: derived, proved, compiled, sampled.

    \b
    Examples:
      symsi derive --from linear --to "lazy(kappa=1)" --diffusion optimal
      symsi derive --alpha "(1-t)*(1+t/3)" --beta "t*exp(t-1)"
      symsi export --from linear --to "lazy(kappa=1)" --diffusion optimal lazy.py
      symsi sample digits.png --steps 4
      symsi verify --only T5
    """


def main() -> None:
    """Run the command line; a refusal is one message on stderr and exit code 2, a warning is one, too.

    SIGTERM ends it as Ctrl-C does, with exit code 143: what was half written is removed.
    """
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warned
            _run()
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one does not stop the clearing up
    raise SystemExit(128 + number)


def _warned(message: Warning | str, category: type[Warning], *where: object, **more: object) -> None:
    click.echo(f"symsi: warning: {message}", err=True)


def _run() -> None:
    try:
        _group(standalone_mode=False)
    except SymsiError as error:
        click.echo(f"symsi: {error}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"symsi: {error.format_message()}", err=True)
        sys.exit(2)
    except click.Abort:
        click.echo("symsi: interrupted", err=True)
        sys.exit(130)
    except SystemExit as ended:
        if ended.code == 128 + signal.SIGTERM:
            click.echo("symsi: terminated", err=True)
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        trouble = disk_trouble(error)
        if not trouble:
            raise
        with open(os.devnull, "w") as nowhere:  # for what is left to write at the end of the process
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        click.echo(f"symsi: cannot write the output: {trouble}.", err=True)
        sys.exit(2)
