"""Mutants that no test can kill because they compute the same, each with the reason.

Keyed by module, function, change and source line, so that an entry falls with the code that it speaks of.
"""

__all__ = ["EQUIVALENT"]

EQUIVALENT: dict[tuple[str, str, str, str], str] = {}
