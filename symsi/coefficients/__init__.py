"""From formula to number: exact tables, differentiable kernels, their certificate."""
