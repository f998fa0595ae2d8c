"""Training loops and objectives."""
