"""linear-attention-transformer: as its README builds it."""

from __future__ import annotations

import torch
from linear_attention_transformer import LinearAttentionTransformer, LinearAttentionTransformerLM

from crater.built import Built

HINTS = {"dim": 32, "depth": 2, "heads": 4, "num_tokens": 64, "max_seq_len": 32}


def language_model() -> Built:
    """Reversible, with blindspots and shared projections."""
    model = LinearAttentionTransformerLM(
        num_tokens=64,
        dim=32,
        heads=4,
        depth=2,
        max_seq_len=32,
        causal=True,
        reversible=True,
        blindspot_size=8,
        n_local_attn_heads=2,
        local_attn_window_size=8,
    )
    return Built(model, (torch.randint(0, 64, (2, 32)),))


def encoder() -> Built:
    """Over vectors."""
    return Built(
        LinearAttentionTransformer(
            dim=32, heads=4, depth=2, max_seq_len=32, n_local_attn_heads=2, local_attn_window_size=8
        ),
        (torch.randn(2, 32, 32),),
    )
