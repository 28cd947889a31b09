"""linformer: as its README builds it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from linformer import Linformer, LinformerLM, LinformerSelfAttention

from crater.built import Built

HINTS = {"dim": 32, "seq_len": 16, "depth": 2, "num_tokens": 64, "heads": 4}


def models() -> Iterator[Built]:
    """With and without shared projections."""
    for share in (False, True):
        model = LinformerLM(
            num_tokens=64,
            dim=32,
            seq_len=16,
            depth=2,
            heads=4,
            k=8,
            one_kv_head=True,
            share_kv=share,
            reversible=share,
        )
        yield Built(model, (torch.randint(0, 64, (2, 16)),), name=f"LM, share_kv={share}")
    yield Built(Linformer(dim=32, seq_len=16, depth=2, heads=4, k=8), (torch.randn(2, 16, 32),), name="encoder")
    yield Built(
        LinformerSelfAttention(dim=32, seq_len=16, heads=4, k=8, share_kv=True),
        (torch.randn(2, 16, 32),),
        name="layer",
    )
