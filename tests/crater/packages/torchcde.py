"""torchcde: a neural CDE of the user's, as its README has it."""

from __future__ import annotations

import torch
import torchcde
from torch import nn

from crater.built import Built


class Field(nn.Module):
    """The vector field."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 12)

    def forward(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return self.linear(z).tanh().view(*z.shape[:-1], 4, 3)


class CDE(nn.Module):
    """Reads a path."""

    def __init__(self) -> None:
        super().__init__()
        self.field, self.start, self.head = Field(), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, coefficients: torch.Tensor) -> torch.Tensor:
        path = torchcde.CubicSpline(coefficients)
        z = torchcde.cdeint(
            X=path, func=self.field, z0=self.start(path.evaluate(path.interval[0])), t=path.interval, method="rk4"
        )
        return self.head(z[:, -1])


def as_user_code() -> Built:
    """Made of the batch."""
    return Built(CDE(), (torchcde.hermite_cubic_coefficients_with_backward_differences(torch.randn(2, 8, 3)),))


def paths() -> Built:
    """A path is a module, too."""
    return Built(torchcde.LinearInterpolation(torchcde.linear_interpolation_coeffs(torch.randn(2, 8, 3))))
