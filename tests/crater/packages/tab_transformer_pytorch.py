"""tab-transformer-pytorch: as its README builds it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from tab_transformer_pytorch import FTTransformer, TabTransformer
from torch import nn

from crater.built import Built

HINTS = {
    "dim": 32,
    "depth": 2,
    "heads": 4,
    "categories": (4, 5),
    "num_continuous": 3,
    "dims": lambda: [8, 8, 1],
    "dim_head": 8,
    "num_numerical_types": 3,
}


def models() -> Iterator[Built]:
    """Both."""
    x = (torch.randint(0, 4, (2, 2)), torch.randn(2, 3))
    yield Built(
        TabTransformer(
            categories=(4, 5),
            num_continuous=3,
            dim=32,
            dim_out=1,
            depth=2,
            heads=4,
            continuous_mean_std=torch.rand(3, 2),
            mlp_act=nn.ReLU(),
        ),
        x,
        name="TabTransformer",
    )
    yield Built(
        FTTransformer(categories=(4, 5), num_continuous=3, dim=32, dim_out=1, depth=2, heads=4),
        x,
        name="FTTransformer",
    )
