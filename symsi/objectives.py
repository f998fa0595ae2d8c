"""Objectives as plain functions for a loop of one's own: losses of bridges (B,), residuals of flow maps (B, *shape)."""

from symsi.training.objectives.bridges import bridge_losses, drift, latent, score, velocity
from symsi.training.objectives.flow_maps import (
    consistency,
    diagonal,
    esd,
    eulerian,
    lagrangian,
    loss,
    lsd,
    map_matching,
    mean_flow,
    progressive,
    psd,
    roughness,
    shortcut,
)
from symsi.training.objectives.times import LAWS, times

__all__ = [
    "LAWS",
    "bridge_losses",
    "consistency",
    "diagonal",
    "drift",
    "esd",
    "eulerian",
    "lagrangian",
    "latent",
    "loss",
    "lsd",
    "map_matching",
    "mean_flow",
    "progressive",
    "psd",
    "roughness",
    "score",
    "shortcut",
    "times",
    "velocity",
]
