"""Sampling: plans of steps made from tables, noise by sample, references, and the one loop. Torch only, no SymPy."""
