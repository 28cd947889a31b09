"""byol-pytorch: a learner over a backbone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from byol_pytorch import BYOL
from torch import nn

from crater.built import Built


def learner() -> Iterator[Built]:
    """As the README builds it: with and without momentum."""
    for momentum in (True, False):
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        model = BYOL(
            net, image_size=32, hidden_layer=-1, projection_size=16, projection_hidden_size=32, use_momentum=momentum
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)

        def step(model=model, optimizer=optimizer, momentum=momentum) -> None:
            model(torch.randn(4, 3, 32, 32)).backward()
            optimizer.step()
            if momentum:
                model.update_moving_average()

        yield Built(model, optimizer=optimizer, step=step, name="BYOL" if momentum else "SimSiam")
