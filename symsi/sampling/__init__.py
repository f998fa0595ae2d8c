"""A plan, stepped: states, the step, noise by sample, the loop, paths, files. Torch, no SymPy."""
