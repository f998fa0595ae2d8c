"""Steering: compute at inference for samples that a reward prefers; methods as pure levels, one account of costs."""
