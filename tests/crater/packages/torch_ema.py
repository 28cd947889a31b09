"""torch-ema: averages of a user's parameters."""

from __future__ import annotations

import torch
from torch import nn
from torch_ema import ExponentialMovingAverage

from crater.built import Built


class Net(nn.Module):
    """Keeps its average as an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(8, 2)
        self.ema = ExponentialMovingAverage(self.net.parameters(), decay=0.99)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def as_user_code() -> Built:
    """Updated after a step."""
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def step() -> None:
        model(torch.randn(4, 8)).sum().backward()
        optimizer.step()
        model.ema.update()

    return Built(model, optimizer=optimizer, step=step)
