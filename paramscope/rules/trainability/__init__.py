"""2xx: what is frozen, and what only looks so."""
