"""What follows from a snapshot alone: sums, shared memory, folded siblings, changes between two of them."""
