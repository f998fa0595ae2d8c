"""Formulas between rows: fields, diffusions, conversions, Gaussian data, modal coordinates. SymPy, no torch."""
