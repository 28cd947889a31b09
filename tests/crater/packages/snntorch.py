"""snntorch: neurons that keep their state, and a user's network of them."""

from __future__ import annotations

from collections.abc import Iterator

import snntorch as snn
import torch
from snntorch import utils
from torch import nn

from crater.built import Built

HINTS = {
    "beta": 0.9,
    "alpha": 0.8,
    "threshold": 1.0,
    "input_size": 16,
    "hidden_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "kernel_size": 3,
    "linear_features": 16,
    "num_neurons": 16,
}


def neurons() -> Iterator[Built]:
    """Keeping their own hidden states."""
    x = (torch.rand(2, 16),)
    yield Built(snn.Leaky(beta=0.9, init_hidden=True, learn_beta=True, learn_threshold=True), x, name="Leaky")
    yield Built(snn.Synaptic(alpha=0.9, beta=0.8, init_hidden=True), x, name="Synaptic")
    yield Built(snn.Alpha(alpha=0.9, beta=0.8, init_hidden=True), x, name="Alpha")
    yield Built(snn.Lapicque(beta=0.9, init_hidden=True), x, name="Lapicque")
    yield Built(snn.RLeaky(beta=0.9, linear_features=16, init_hidden=True), x, name="RLeaky")
    yield Built(
        nn.Sequential(
            nn.Linear(16, 16),
            snn.Leaky(beta=0.9, init_hidden=True),
            nn.Linear(16, 4),
            snn.Leaky(beta=0.9, init_hidden=True, output=True),
        ),
        x,
        name="Sequential",
    )


class Net(nn.Module):
    """The tutorial's."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 8), nn.Linear(8, 4)
        self.lif1 = snn.Leaky(beta=0.9)
        self.lif2 = snn.Leaky(beta=0.9, learn_beta=True, init_hidden=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        memory, out = self.lif1.init_leaky(), []
        utils.reset(self.lif2)
        for _ in range(3):
            spikes, memory = self.lif1(self.fc1(x), memory)
            out.append(self.lif2(self.fc2(spikes)))
        return torch.stack(out)


def as_user_code() -> Built:
    """A user's network."""
    return Built(Net(), (torch.rand(2, 16),))
