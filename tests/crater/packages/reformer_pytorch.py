"""reformer-pytorch: attention by hashing."""

from __future__ import annotations

import torch
from reformer_pytorch import LSHSelfAttention, Reformer, ReformerLM

from crater.built import Built

HINTS = {"dim": 32, "depth": 2, "heads": 4, "num_tokens": 64, "max_seq_len": 64, "bucket_size": 8}


def language_model() -> Built:
    """As the README builds it, smaller."""
    model = ReformerLM(
        num_tokens=64, dim=32, depth=2, max_seq_len=64, heads=4, bucket_size=8, n_hashes=2, causal=True
    )
    return Built(model, (torch.randint(0, 64, (2, 64)),))


def with_axial_positions() -> Built:
    """Tied, with axial positions and product-key memory."""
    model = ReformerLM(
        num_tokens=64, dim=32, depth=2, max_seq_len=64, heads=4, bucket_size=8, axial_position_emb=True,
        axial_position_shape=(8, 8), weight_tie=True, ff_chunks=2,
    )  # fmt: skip
    return Built(model, (torch.randint(0, 64, (2, 64)),))


def encoder() -> Built:
    """Over vectors."""
    return Built(Reformer(dim=32, depth=2, heads=4, bucket_size=8), (torch.randn(2, 64, 32),))


def attention() -> Built:
    """One layer."""
    return Built(LSHSelfAttention(dim=32, heads=4, bucket_size=8, n_hashes=2), (torch.randn(2, 64, 32),))
