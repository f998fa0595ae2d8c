"""`python -m tests.fuzz [CASES A READER] [READER ...]`: the report of cases, refusals and faults of every reader."""

import os
import sys

os.environ.setdefault("SYMPY_CACHE_SIZE", "20000")  # as the command line does

from tests.fuzz.readers import READERS
from tests.fuzz.run import Count, fuzz


def main() -> None:
    """Print a line a reader as it is done, then the faults; exit 1 where there is one."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    names = [name for name in READERS if not sys.argv[2:] or name in sys.argv[2:]]
    total, faults = Count(), []
    print(
        "| reader | cases | refused | accepted | faults | slowest, s | most memory, MiB |\n| --- " + "| ---: " * 6 + "|"
    )
    for name in names:
        _line(name, found := fuzz(name, cases))
        total.cases, total.refused = total.cases + found.cases, total.refused + found.refused
        total.accepted, total.faults = total.accepted + found.accepted, total.faults + found.faults
        total.slowest, total.most = max(total.slowest, found.slowest), max(total.most, found.most)
        faults += [f"{name}: {fault}" for fault in found.faults]
    _line("all", total)
    print(*faults[:40], sep="\n")
    sys.exit(bool(faults))


def _line(name: str, c: Count) -> None:
    numbers = (c.cases, c.refused, c.accepted, len(c.faults), f"{c.slowest:.2f}", f"{c.most / 2**20:.0f}")
    print(f"| {name} |", *(f"{number} |" for number in numbers), flush=True)


if __name__ == "__main__":
    main()
