"""Compiled formulas as files that run without symsi: one module a format. The documents need no torch."""
