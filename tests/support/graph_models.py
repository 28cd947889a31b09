"""Models whose graphs show something: ties, views, what is hidden, what is frozen, two roots with their optimizers."""

from __future__ import annotations

import torch
from torch import nn


class Hidden(nn.Module):
    """Three Linears in a plain list, a Parameter in another, a view of a Parameter, and a tie."""

    def __init__(self) -> None:
        super().__init__()
        self.enc, self.dec = nn.Linear(4, 4), nn.Linear(4, 4)
        self.dec.weight = self.enc.weight
        self.layers = [nn.Linear(4, 4) for _ in range(3)]
        self.scale = [nn.Parameter(torch.zeros(3))]
        self.whole = nn.Parameter(torch.zeros(8))
        self.register_buffer("part", self.whole.data[:4])


def frozen_but_one() -> nn.Module:
    """Eight blocks, all frozen but the fourth."""
    model = nn.ModuleList(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)) for _ in range(8))
    model.requires_grad_(False)
    model[3].requires_grad_(True)
    return model


def gan() -> tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]:
    """Two roots, each with its own optimizer; the second forgets its last bias."""
    made = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 6))
    judge = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizers: dict[str, torch.optim.Optimizer] = {
        "gen": torch.optim.Adam(made.parameters(), lr=2e-4),
        "disc": torch.optim.SGD(list(judge.parameters())[:3], lr=1e-4),
    }
    return {"generator": made, "discriminator": judge}, optimizers
