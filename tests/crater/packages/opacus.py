"""opacus: a private model, its optimizer, and its layers."""

from __future__ import annotations

import torch
from opacus import PrivacyEngine
from opacus.validators import ModuleValidator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from crater.built import Built

HINTS = {"input_size": 16, "hidden_size": 16, "embed_dim": 16, "num_heads": 2, "m": lambda: nn.Linear(4, 4)}


class Net(nn.Module):
    """With what has to be mended first."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def as_user_code() -> Built:
    """Made private by the engine."""
    model = ModuleValidator.fix(Net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    loader = DataLoader(TensorDataset(torch.randn(8, 3, 8, 8), torch.randint(0, 2, (8,))), batch_size=4)
    model, optimizer, loader = PrivacyEngine().make_private(
        module=model, optimizer=optimizer, data_loader=loader, noise_multiplier=1.0, max_grad_norm=1.0
    )

    def step() -> None:
        nn.functional.cross_entropy(model(torch.randn(4, 3, 8, 8)), torch.randint(0, 2, (4,))).backward()
        optimizer.step()

    return Built(model, optimizer=optimizer, step=step)
