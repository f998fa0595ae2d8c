"""JSON: formulas that SymPy parses, read back by symsi after they are checked."""

from __future__ import annotations

import json
from pathlib import Path

from symsi.errors import SymsiError
from symsi.files import read_data, trouble, write_text
from symsi.theory.bridge import Bridge
from symsi.theory.bridge_record import FORMAT, bridge_from_record
from symsi.theory.conversion import Conversion
from symsi.theory.record import from_record, record

__all__ = ["read_json", "write_json"]

_LIMIT = 5_000_000  # bytes


def write_json(conversion: Conversion, path: Path, force: bool) -> None:
    """Write the conversion's record."""
    write_text(path, json.dumps(record(conversion), indent=1) + "\n", force=force)


def read_json(path: str | Path) -> Conversion | Bridge:
    """Read a conversion or a bridge that `export` wrote.

    Raises SymsiError where the file is missing, too large, no JSON, or not what `export` writes.
    """
    try:
        data = read_data(path, _LIMIT)
    except OSError as error:
        raise SymsiError(f"cannot read {path}: {error.strerror}.") from None
    except ValueError as error:
        raise SymsiError(f"{path} cannot be read: {trouble(error)}.") from None
    of_bridge = isinstance(data, dict) and data.get("format") == FORMAT
    return bridge_from_record(data) if of_bridge else from_record(data)
