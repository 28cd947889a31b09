"""neuraloperator: operators, losses, and a user's surrogate."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from neuralop.models import FNO, TFNO, UNO
from torch import nn

from crater.built import Built

ROOTS = ("neuralop.models", "neuralop.layers", "neuralop.losses")
HINTS = {"in_channels": 4, "out_channels": 4, "n_modes": (4, 4), "hidden_channels": 8, "n_dim": 2}


def operators() -> Iterator[Built]:
    """As its documentation builds them."""
    x = (torch.randn(1, 1, 16, 16),)
    yield Built(FNO(n_modes=(4, 4), in_channels=1, out_channels=1, hidden_channels=8, n_layers=2), x, name="FNO")
    yield Built(
        TFNO(n_modes=(4, 4), in_channels=1, out_channels=1, hidden_channels=8, factorization="tucker", rank=0.4),
        x,
        name="TFNO",
    )
    yield Built(
        UNO(
            1,
            1,
            8,
            uno_out_channels=[8, 8],
            uno_n_modes=[[4, 4], [4, 4]],
            uno_scalings=[[1.0, 1.0], [1.0, 1.0]],
            n_layers=2,
        ),
        x,
        name="UNO",
    )


class Surrogate(nn.Module):
    """An operator between two networks."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Conv2d(3, 4, 1)
        self.operator = FNO(n_modes=(4, 4), in_channels=4, out_channels=4, hidden_channels=8, n_layers=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.operator(self.lift(x))


def as_user_code() -> Built:
    """With its own AdamW."""
    from neuralop.training import AdamW

    model = Surrogate()
    return Built(model, (torch.randn(1, 3, 16, 16),), AdamW(model.parameters(), lr=1e-3))
