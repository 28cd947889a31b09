"""bitsandbytes: quantized layers in a user's model, and its optimizers."""

from __future__ import annotations

from collections.abc import Iterator

import bitsandbytes as bnb
import torch
from torch import nn

from crater.built import Built

ROOTS = ("bitsandbytes.nn",)


class Net(nn.Module):
    """A base of four bits under trained adapters."""

    def __init__(self) -> None:
        super().__init__()
        self.base = bnb.nn.Linear4bit(64, 64, compute_dtype=torch.float32, quant_type="nf4")
        self.down, self.up = nn.Linear(64, 4, bias=False), nn.Linear(4, 64, bias=False)
        self.head = nn.Linear(64, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.base(x) + self.up(self.down(x)))


def four_bits_as_user_code() -> Built:
    """Quantized by moving it."""
    model = Net().to("cpu")
    return Built(model, (torch.randn(2, 64),), torch.optim.AdamW(p for p in model.parameters() if p.requires_grad))


def optimizers() -> Iterator[Built]:
    """Not stepped: they want a GPU."""
    for name in ("Adam8bit", "AdamW8bit", "PagedAdamW32bit", "Lion8bit", "SGD8bit"):
        model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), bnb.nn.StableEmbedding(16, 8))
        yield Built(model, optimizer=getattr(bnb.optim, name)(model.parameters(), lr=1e-3), name=name)
