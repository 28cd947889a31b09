"""torchdiffeq: a neural ODE of the user's."""

from __future__ import annotations

import torch
from torch import nn
from torchdiffeq import odeint, odeint_adjoint

from crater.built import Built


class ODE(nn.Module):
    """The usual block."""

    def __init__(self, solve: object) -> None:
        super().__init__()
        self.field = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
        self.solve = solve
        self.register_buffer("times", torch.tensor([0.0, 1.0]))
        self.calls = 0

    def derivative(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.field(y)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        if self.solve is odeint_adjoint:
            return odeint_adjoint(self.derivative, y, self.times, adjoint_params=tuple(self.parameters()))[-1]
        return odeint(self.derivative, y, self.times)[-1]


def direct_as_user_code() -> Built:
    """Through the solver."""
    return Built(ODE(odeint), (torch.randn(2, 4),))


def adjoint_as_user_code() -> Built:
    """By the adjoint."""
    return Built(ODE(odeint_adjoint), (torch.randn(2, 4),))
