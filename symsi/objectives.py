"""Objectives as plain functions for a loop of one's own: one loss per sample, (B,)."""

from symsi.training.objectives import LAWS, bridge_losses, drift, latent, score, times, velocity

__all__ = ["LAWS", "bridge_losses", "drift", "latent", "score", "times", "velocity"]
