"""7xx: what a run showed."""
