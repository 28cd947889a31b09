"""3xx: one memory, several names."""
