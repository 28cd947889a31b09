"""ema-pytorch: averages beside and inside a user's model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from ema_pytorch import EMA, PostHocEMA
from torch import nn

from crater.built import Built


def _net() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def beside() -> Iterator[Built]:
    """As the README uses it."""
    for name, options in {
        "plain": {},
        "not as a submodule": {"include_online_model": False},
        "every step": {"update_after_step": 0, "update_every": 1},
    }.items():
        net = _net()
        average = EMA(net, beta=0.99, **options)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

        def step(net=net, average=average, optimizer=optimizer) -> None:
            net(torch.randn(4, 8)).sum().backward()
            optimizer.step()
            average.update()

        yield Built({"net": net, "average": average}, optimizer=optimizer, step=step, name=name)


def post_hoc() -> Built:
    """Several averages."""
    return Built(PostHocEMA(_net(), sigma_rels=(0.05, 0.28)))


class Learner(nn.Module):
    """Holds its average."""

    def __init__(self) -> None:
        super().__init__()
        self.net = _net()
        self.average = EMA(self.net, beta=0.99, update_every=1, include_online_model=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            wanted = self.average(x)
        return self.net(x) - wanted


def as_user_code() -> Built:
    """A user's mean teacher."""
    model = Learner()
    return Built(model, (torch.randn(4, 8),), torch.optim.SGD(model.net.parameters(), lr=0.1))
