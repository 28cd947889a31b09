"""Findings → those that stand, and those that a comment, a pyproject.toml or a baseline declares to be accepted."""
