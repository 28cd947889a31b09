"""A training loop, looked on → what changed in it, when, and which steps were not what was meant."""
