"""6xx: what survives saving."""
