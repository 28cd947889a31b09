"""titans-pytorch: memories that learn while they are used."""

from __future__ import annotations

import torch
from titans_pytorch import MemoryAsContextTransformer, NeuralMemory

from crater.built import Built

HINTS = {
    "dim": 16,
    "depth": 1,
    "heads": 2,
    "dim_head": 8,
    "expansion_factor": 2.0,
    "num_tokens": 64,
    "segment_len": 4,
    "num_persist_mem_tokens": 2,
}


def memory() -> Built:
    """As the README builds it."""
    return Built(NeuralMemory(dim=16, chunk_size=4), (torch.randn(2, 16, 16),))


def transformer() -> Built:
    """With memories in its layers."""
    model = MemoryAsContextTransformer(
        num_tokens=64,
        dim=16,
        depth=2,
        segment_len=8,
        num_persist_mem_tokens=2,
        num_longterm_mem_tokens=4,
        heads=2,
        dim_head=8,
    )
    return Built(model, loss=lambda: model(torch.randint(0, 64, (2, 17)), return_loss=True))
