"""ncps: wired recurrent networks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from ncps.torch import LTC, CfC
from ncps.wirings import AutoNCP
from torch import nn

from crater.built import Built

ROOTS = ("ncps.torch",)
HINTS = {"input_size": 16, "hidden_size": 16, "units": 16, "wiring": lambda: AutoNCP(16, 4)}


def networks() -> Iterator[Built]:
    """As its documentation builds them."""
    x = (torch.randn(2, 5, 3),)
    yield Built(CfC(3, 16), x, name="CfC")
    yield Built(CfC(3, AutoNCP(16, 4)), x, name="wired CfC")
    yield Built(LTC(3, AutoNCP(16, 4)), x, name="LTC")
    yield Built(CfC(3, 16, mixed_memory=True), x, name="mixed memory")


class Driver(nn.Module):
    """Sees, then acts."""

    def __init__(self) -> None:
        super().__init__()
        self.see, self.act = nn.Linear(6, 3), LTC(3, AutoNCP(16, 4), batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.see(x))[0]


def as_user_code() -> Built:
    """A user's driver."""
    return Built(Driver(), (torch.randn(2, 5, 6),))
