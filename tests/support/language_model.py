"""A small language model of which nothing is wrong."""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    """What most models repeat."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.up = nn.Linear(8, 16)
        self.down = nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attention, then two linears."""
        normed = self.norm(x)
        x = x + self.attention(normed, normed, normed)[0]
        return x + self.down(torch.relu(self.up(x)))


class Net(nn.Module):
    """Tokens in, logits out, the head tied to the embedding."""

    def __init__(self, *, tied: bool = True) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.register_buffer("scale", torch.ones(8))
        self.blocks = nn.ModuleList(Block() for _ in range(4))
        self.final = nn.LayerNorm(8)
        self.head = nn.Linear(8, 20, bias=False)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of each token."""
        x = self.embed(tokens) * self.scale
        for block in self.blocks:
            x = block(x)
        return self.head(self.final(x))
