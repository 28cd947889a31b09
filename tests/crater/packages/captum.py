"""captum: wrappers that it puts around a user's model."""

from __future__ import annotations

import torch
from captum.attr import DeepLift, IntegratedGradients, configure_interpretable_embedding_layer
from torch import nn

from crater.built import Built

HINTS = {"in_features": 16, "out_features": 16}


class Reader(nn.Module):
    """Keeps what explains it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, 8)
        self.head = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        self.explain = DeepLift(self.head)
        self.gradients = IntegratedGradients(self)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(ids).mean(1))


def as_user_code() -> Built:
    """With attributions as attributes."""
    return Built(Reader(), (torch.randint(0, 16, (2, 4)),))


def embedding_as_user_code() -> Built:
    """With its embedding replaced for attribution."""
    model = Reader()
    configure_interpretable_embedding_layer(model, "embed")
    return Built(model)
