"""SymPy alone: reading, simplifying, signs, inverses, series and limits, multiprecision, proofs, printing."""
