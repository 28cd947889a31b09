"""1xx: what PyTorch cannot see."""
