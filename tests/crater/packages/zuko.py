"""zuko: flows that are lazy about their distributions."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import zuko
from torch import nn

from crater.built import Built

HINTS = {
    "features": 4,
    "context": 3,
    "in_features": 4,
    "out_features": 4,
    "adjacency": lambda: torch.ones(4, 4, dtype=torch.bool),
}


def flows() -> Iterator[Built]:
    """As its tutorials build them."""
    for name in ("NSF", "MAF", "NAF", "UNAF", "NICE", "BPF", "SOSPF", "GF", "CNF", "NCSF"):
        flow = getattr(zuko.flows, name)(features=4, context=3)
        yield Built(
            flow, loss=lambda flow=flow: -flow(torch.randn(8, 3)).log_prob(torch.rand(8, 4)).mean(), name=name
        )
    mixture = zuko.flows.GMM(features=4, context=3, components=2)
    yield Built(mixture, loss=lambda: -mixture(torch.randn(8, 3)).log_prob(torch.rand(8, 4)).mean(), name="GMM")


class Estimator(nn.Module):
    """A flow and its encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(6, 3)
        self.flow = zuko.flows.NSF(features=4, context=3, transforms=2, hidden_features=(16,))

    def forward(self, x: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        return -self.flow(self.encoder(given)).log_prob(x)


def as_user_code() -> Built:
    """A user's estimator."""
    return Built(Estimator(), (torch.rand(8, 4), torch.randn(8, 6)))
