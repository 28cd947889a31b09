"""The model that the tests of views look at: one of everything."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from paramscope import Report, capture


class Block(nn.Module):
    """A norm and two linears."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.up = nn.Linear(4, 8)
        self.down = nn.Linear(8, 4, bias=False)


class Net(nn.Module):
    """An embedding tied to the head, blocks of which one is frozen, a buffer, something hidden, something plain."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.embed = nn.Embedding(10, 4)
        layers: Any = nn.ModuleList([Block() for _ in range(6)])
        self.layers = layers
        self.layers[4].requires_grad_(False)
        self.layers[2].up.bias.requires_grad_(False)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("mask", torch.zeros(3, dtype=torch.bool), persistent=False)
        self.cache = torch.zeros(5)
        self.experts = [nn.Linear(2, 2) for _ in range(3)]


def report() -> Report:
    """The model with an AdamW that decays matrices alone, and forgets the scale; what rules say of it left out."""
    model = Net()
    parameters = [p for name, p in model.named_parameters() if name != "scale" and p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return Report(capture(model, optimizer=torch.optim.AdamW(groups, lr=0.0003)))
