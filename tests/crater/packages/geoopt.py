"""geoopt: parameters on manifolds, and its optimizers."""

from __future__ import annotations

import geoopt
import torch
from torch import nn

from crater.built import Built


class Hyperbolic(nn.Module):
    """Points in a ball."""

    def __init__(self) -> None:
        super().__init__()
        self.ball = geoopt.PoincareBall(c=1.0, learnable=True)
        self.points = geoopt.ManifoldParameter(self.ball.random(8, 4), manifold=self.ball)
        self.frame = geoopt.ManifoldParameter(torch.eye(4), manifold=geoopt.Stiefel())

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.ball.dist0(self.points[ids]) + self.frame.sum()


def adam_as_user_code() -> Built:
    """With its Adam."""
    model = Hyperbolic()
    return Built(model, (torch.arange(4),), geoopt.optim.RiemannianAdam(model.parameters(), lr=1e-2))


def sgd_as_user_code() -> Built:
    """With its SGD."""
    model = Hyperbolic()
    return Built(model, (torch.arange(4),), geoopt.optim.RiemannianSGD(model.parameters(), lr=1e-2, momentum=0.9))
