"""How pictures look, and pictures of what was measured."""
