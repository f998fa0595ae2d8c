"""The mathematics as SymPy expressions: schedules, derivations, limits and proofs. No torch, no arrays."""
