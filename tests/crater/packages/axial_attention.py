"""axial-attention: as its README builds it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from axial_attention import AxialAttention, AxialImageTransformer, AxialPositionalEmbedding

from crater.built import Built

HINTS = {"dim": 16, "depth": 2, "heads": 2, "shape": (8, 8), "num_dimensions": 2}


def models() -> Iterator[Built]:
    """Over images."""
    x = (torch.randn(1, 16, 8, 8),)
    yield Built(
        AxialAttention(dim=16, dim_index=1, heads=2, num_dimensions=2, sum_axial_out=True), x, name="attention"
    )
    yield Built(AxialPositionalEmbedding(dim=16, shape=(8, 8)), x, name="positions")
    yield Built(AxialImageTransformer(dim=16, depth=2, heads=2, reversible=True), x, name="transformer")
