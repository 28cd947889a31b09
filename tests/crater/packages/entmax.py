"""entmax: losses and activations."""

from __future__ import annotations

import torch
from entmax import Entmax15Loss
from torch import nn

from crater.built import Built


class Net(nn.Module):
    """A sparse classifier with a learned exponent."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.alpha, self.loss = (
            nn.Linear(8, 5),
            nn.Parameter(torch.tensor(1.3)),
            Entmax15Loss(reduction="sum"),
        )

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.loss(self.net(x) * self.alpha, y)


def as_user_code() -> Built:
    """A user's classifier."""
    return Built(Net(), (torch.randn(4, 8), torch.randint(0, 5, (4,))))
