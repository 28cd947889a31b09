"""local-attention: the layer and the transformer of it."""

from __future__ import annotations

import torch
from local_attention import LocalAttention, LocalMHA, LocalTransformer

from crater.built import Built

HINTS = {"dim": 32, "window_size": 8, "heads": 2, "depth": 2, "num_tokens": 64, "max_seq_len": 32}


def layer() -> Built:
    """As the README builds it."""
    q = torch.randn(2, 4, 16, 8)
    return Built(LocalAttention(dim=8, window_size=8, causal=True, use_xpos=True, xpos_scale_base=64), (q, q, q))


def attention() -> Built:
    """With projections."""
    return Built(
        LocalMHA(dim=32, window_size=8, heads=2, dim_head=16, causal=True, qk_rmsnorm=True), (torch.randn(2, 16, 32),)
    )


def transformer() -> Built:
    """A language model."""
    return Built(
        LocalTransformer(
            num_tokens=64,
            dim=32,
            depth=2,
            max_seq_len=32,
            causal=True,
            local_attn_window_size=8,
            heads=2,
            dim_head=16,
        ),
        (torch.randint(0, 64, (2, 16)),),
    )
