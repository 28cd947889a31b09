"""geotorch: constraints by parametrization."""

from __future__ import annotations

from collections.abc import Iterator

import geotorch
import torch
from torch import nn

from crater.built import Built

HINTS = {"size": lambda: torch.Size([4, 4]), "rank": 2}


def constrained() -> Iterator[Built]:
    """As the README does it."""
    for name, constrain in {
        "orthogonal": lambda layer: geotorch.orthogonal(layer, "weight"),
        "low_rank": lambda layer: geotorch.low_rank(layer, "weight", 2),
        "sphere": lambda layer: geotorch.sphere(layer, "bias"),
        "positive_definite": lambda layer: geotorch.positive_definite(layer, "weight"),
        "skew": lambda layer: geotorch.skew(layer, "weight"),
    }.items():
        layer = nn.Linear(4, 4)
        constrain(layer)
        yield Built(nn.Sequential(layer, nn.ReLU(), nn.Linear(4, 2)), (torch.randn(2, 4),), name=name)
