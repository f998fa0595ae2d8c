"""From proved formulas to numbers: float64 tables with the limits built in."""
