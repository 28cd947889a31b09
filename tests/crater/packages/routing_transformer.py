"""routing-transformer: attention within clusters whose centres are averages."""

from __future__ import annotations

import torch
from routing_transformer import RoutingTransformer, RoutingTransformerLM

from crater.built import Built

HINTS = {"dim": 32, "depth": 2, "heads": 4, "num_tokens": 64, "max_seq_len": 32, "window_size": 8}


def language_model() -> Built:
    """As the README builds it, smaller."""
    return Built(
        RoutingTransformerLM(
            num_tokens=64, dim=32, heads=4, depth=2, max_seq_len=32, causal=True, window_size=8, weight_tie=True
        ),
        name="LM",
    )


def encoder() -> Built:
    """Over vectors."""
    return Built(
        RoutingTransformer(dim=32, heads=4, depth=2, max_seq_len=32, window_size=8), (torch.randn(2, 32, 32),)
    )
