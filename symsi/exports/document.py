"""JSON: formulas that SymPy parses, read back by symsi after they are checked."""

from __future__ import annotations

import json
from pathlib import Path

from symsi.errors import SymsiError
from symsi.files import trouble, write_text
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
    source = Path(path)
    try:
        if source.stat().st_size > _LIMIT:
            raise SymsiError(f"{source} is larger than any such record ({_LIMIT} bytes).")
        data = json.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise SymsiError(f"cannot read {source}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise SymsiError(f"{source} cannot be read: {trouble(error)}.") from None
    of_bridge = isinstance(data, dict) and data.get("format") == FORMAT
    return bridge_from_record(data) if of_bridge else from_record(data)
