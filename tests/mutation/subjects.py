"""What is mutated and by what it is judged. New modules and functions are included by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import symsi
from tests.mutation.mutate import functions, mutants

__all__ = ["EXCLUDED", "ROOMS", "Room", "subjects"]

ROOT = Path(symsi.__file__).parent
_TESTS = "tests/"


@dataclass(frozen=True)
class Room:
    """The modules of a part of the house, the tests that judge them, and tests left out because they only take time.

    With `warm` what the tests remember of lower rooms is kept from one mutant to the next; at most `most` mutants of
    a function are run, chosen by the hash of what they say (0: all).
    """

    folders: tuple[str, ...]
    tests: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    warm: bool = False
    most: int = 0


_FEWER = ("ddpm", "cosine", "edm", "shifted", "polynomial", "lazy(kappa=1/2)")  # of the pairs of schedules
ROOMS: dict[str, Room] = {
    "theory": Room(
        ("theory", "interpolants"),
        ("tests/mutation/proofs.py", "tests/theory", "tests/interpolants", "tests/coefficients/test_tables.py"),
        (
            *("ordered_pair", "within_seconds", "off_by_1e_40"),
            *(f"[{name}-" for name in _FEWER),
            *(f"-{name}]" for name in _FEWER),
        ),
        most=6,
    ),
    "coefficients": Room(
        ("coefficients",),
        (
            "tests/coefficients",
            "tests/solvers/test_proved_numbers.py",
            "tests/solvers/test_bridge_modes.py",
            "tests/models/test_flow_map.py",
            "tests/sampling/test_renoising.py",
        ),
        ("speed", "certificate", "spoils_no_other", "jvp", "1048583", "beyond_the_largest"),
        most=8,
    ),
    "solvers": Room(
        ("solvers",),
        (
            "tests/solvers",
            "tests/sampling/test_recorded.py",
            "tests/models/test_flow_map.py",
            "tests/sampling/test_renoising.py",
        ),
        ("has_its_order", "has_order_two", "no_order", "weak_order", "fine_heun", "serves_every", "in_samples"),
        warm=True,
    ),
    "sampling": Room(("sampling",), ("tests/sampling",), ("solves_the_ode", "finite_differences"), warm=True),
}

# Of a module "path", or a function "path:name", why it is not mutated.
EXCLUDED: dict[str, str] = {
    "coefficients/cache.py": "files and their places, no formula",
    "coefficients/certificate.py": "measures errors; what it finds is tested, and it runs in nothing that ships",
    "coefficients/measured.py": "measures errors; what it finds is tested, and it runs in nothing that ships",
    "coefficients/textbook.py": "the certificate's witness, itself held against what it judges",
    "theory/conversion_proof.py": "the judge: tests/theory refutes wrong conversions by it",
    "theory/conversion_witness.py": "the judge: tests/theory refutes wrong conversions by it",
    "theory/record.py": "JSON, no formula",
    "interpolants/named.py": "the table's formulas are text; its functions read names",
    "interpolants/named_two_sided.py": "the tables' formulas are text; its functions read names",
    "interpolants/two_sided.py:_wrong_end": "words of an error",
    "theory/bridge.py:Bridge.latex": "print",
    "theory/bridge.py:_prove": "the judge: tests/theory refutes a wrong coefficient by it",
    "theory/bridge_record.py": "JSON, no formula",
    "theory/map_conversion.py:MapConversion._written": "how long a printed formula may be; what is printed is proved",
    "theory/map_conversion.py:MapConversion.time": "print",
    "theory/map_conversion.py:MapConversion.latex": "print",
    "theory/map_conversion.py:map_record": "JSON, no formula",
    "theory/map_conversion.py:_prove": "the judge: tests/theory refutes a wrong formula by it",
    "theory/map_conversion.py:_seen": "the judge: tests/theory refutes a wrong formula by it",
    "solvers/plan_file.py": "JSON, no formula",
    "sampling/arrays.py": "reads files, no formula",
    "sampling/files.py": "writes files, no formula",
    "sampling/inputs.py": "checks of input, no formula",
    "theory/conversion.py:Conversion.latex": "print",
    "theory/diffusion.py:Diffusion.__str__": "print",
    "theory/conversion.py:Conversion._readable": "how long a printed formula may be; what is printed is proved",
    "solvers/plan.py:Plan.__repr__": "print",
    "solvers/plan.py:Plan.__str__": "print",
    "solvers/consistency.py:_number": "print",
    "solvers/plan.py:read_plan": "words of an error",
    "solvers/planning.py:_hint": "words of an error",
    "sampling/sample.py:SampleResult.plot": "a picture",
    "sampling/drawing.py:Noise.__init__": "how many steps' noise is drawn at once, no formula",
    "sampling/progress.py": "print",
    "sampling/noise.py:_tiles": "how much is drawn at once, no formula",
    "sampling/loop.py:_Watch.__init__": "when a GPU is waited for, no formula",
    "sampling/loop.py:_Seen._look": "a checksum, compared with itself alone",
}


@cache
def subjects(room: str) -> dict[str, tuple[str, ...]]:
    """Return the functions that have mutants, by module (as a path below symsi), without what is excluded."""
    found: dict[str, tuple[str, ...]] = {}
    for folder in ROOMS[room].folders:
        for path in sorted((ROOT / folder).glob("*.py")):
            module = f"{folder}/{path.name}"
            if module in EXCLUDED:
                continue
            names = (n for n in functions(path) if f"{module}:{n}" not in EXCLUDED)
            found[module] = tuple(n for n in names if next(mutants(path, n), None) is not None)
    return {module: names for module, names in found.items() if names}
