"""torchsde: a neural SDE of the user's."""

from __future__ import annotations

import torch
import torchsde
from torch import nn

from crater.built import Built


class SDE(nn.Module):
    """Drift and diffusion, and a Brownian motion that is kept."""

    noise_type = "diagonal"
    sde_type = "ito"

    def __init__(self) -> None:
        super().__init__()
        self.drift = nn.Linear(4, 4)
        self.diffusion = nn.Linear(4, 4)
        self.motion = torchsde.BrownianInterval(t0=0.0, t1=1.0, size=(2, 4))

    def f(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.drift(y)

    def g(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.diffusion(y).sigmoid()

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return torchsde.sdeint(self, y, torch.tensor([0.0, 1.0]), dt=0.25, bm=self.motion)[-1]


def as_user_code() -> Built:
    """With a fixed motion."""
    return Built(SDE(), (torch.randn(2, 4),))
