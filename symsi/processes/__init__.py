"""Many processes of one run: how they meet, take turns, and share a network."""
