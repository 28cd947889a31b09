"""lion-pytorch: the optimizer over a small model."""

from __future__ import annotations

import torch
from lion_pytorch import Lion
from torch import nn

from crater.built import Built


def lion() -> Built:
    """As the README uses it."""
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    return Built(model, (torch.randn(4, 8),), Lion(model.parameters(), lr=1e-4, weight_decay=1e-2))
