"""tianshou: networks of agents, with their exploration."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from crater.built import Built

ROOTS = ("tianshou.utils.net", "tianshou.algorithm")
HINTS = {
    "state_shape": 4,
    "action_shape": 2,
    "layers": lambda: [8],
    "obs_dim": 4,
    "c": 3,
    "h": 44,
    "w": 44,
    "in_features": 8,
    "out_features": 8,
    "input_dim": 8,
    "output_dim": 8,
}


def networks() -> Iterator[Built]:
    """As its examples build them."""
    from tianshou.utils.net.common import Net

    yield Built(Net(state_shape=4, action_shape=2, hidden_sizes=[8, 8]), name="Net")
    yield Built(
        Net(
            state_shape=4,
            action_shape=2,
            hidden_sizes=[8],
            dueling_param=({"hidden_sizes": [8]}, {"hidden_sizes": [8]}),
        ),
        name="dueling",
    )


class Agent(nn.Module):
    """Two critics and their targets."""

    def __init__(self) -> None:
        super().__init__()
        from copy import deepcopy

        from tianshou.utils.net.common import Net

        self.critics = nn.ModuleList(Net(state_shape=4, action_shape=1, hidden_sizes=[8]) for _ in range(2))
        self.targets = deepcopy(self.critics).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return sum(critic(x)[0] for critic in self.critics)


def as_user_code() -> Built:
    """Trained by one optimizer."""
    model = Agent()
    return Built(model, (torch.randn(2, 4),), torch.optim.Adam(model.critics.parameters()))
