"""5xx: what a module says of itself, and what it holds."""
