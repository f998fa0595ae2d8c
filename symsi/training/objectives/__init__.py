"""Objectives, one family a file."""

from symsi.training.objectives.bridges import bridge_losses, drift, latent, score, velocity
from symsi.training.objectives.times import LAWS, times

__all__ = ["LAWS", "bridge_losses", "drift", "latent", "score", "times", "velocity"]
