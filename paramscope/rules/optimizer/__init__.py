"""4xx: what the optimizer will really step."""
