"""One literate, runnable script a theorem. `python derivations/t04_time_and_scale.py` prints claim, steps, verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from symsi.errors import SymsiError, unknown

if TYPE_CHECKING:
    from symsi.algebra.proof import Proof

__all__ = ["THEOREMS", "load", "prove_all", "run_script"]

THEOREMS: dict[str, str] = {
    f"T{int(path.stem[1:3])}": path.stem for path in sorted(Path(__file__).parent.glob("t[0-9][0-9]_*.py"))
}


def load(theorem: str) -> Callable[[], Proof]:
    """Return the function that proves a theorem, e.g. "T4". Raises UnknownNameError."""
    module = THEOREMS.get(theorem.strip().upper())
    if module is None:
        raise unknown("theorem", theorem, THEOREMS)
    prove: Callable[[], Proof] = import_module(f"symsi.proofs.{module}").prove
    return prove


def prove_all(only: tuple[str, ...] = (), *, workers: int = 1) -> Iterator[Proof]:
    """Prove the named theorems, or all of them, in order: one after the other, or in so many processes."""
    names = only or tuple(THEOREMS)
    provers = [load(name) for name in names]
    if workers == 1:
        for prove in provers:
            yield prove()
    else:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            yield from pool.map(_prove, names)


def _prove(name: str) -> Proof:
    return load(name)()


def run_script(prove: Callable[[], Proof]) -> None:
    """Command line of a derivation script: print the proof or its Markdown, or write that; exit 1 if it has gaps."""
    import argparse

    from symsi.files import write_text

    parser = argparse.ArgumentParser(description=(prove.__doc__ or "").strip(), epilog="Prints claim, steps, verdict.")
    parser.add_argument(
        "--markdown", metavar="FILE", nargs="?", const="-", help="print the proof as Markdown, or write it to FILE"
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    options = parser.parse_args()
    proof = prove()
    if options.markdown == "-":
        print(proof.markdown(), end="")
    elif options.markdown:
        try:
            write_text(Path(options.markdown), proof.markdown(), force=options.force)
        except SymsiError as error:
            parser.error(str(error))
    else:
        print(proof.text())
    raise SystemExit(0 if proof.whole else 1)
