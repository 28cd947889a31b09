"""performer-pytorch: attention by random features."""

from __future__ import annotations

import torch
from performer_pytorch import Performer, PerformerEncDec, PerformerLM, SelfAttention
from torch import nn

from crater.built import Built

HINTS = {"dim": 32, "depth": 2, "heads": 4, "dim_head": 8, "num_tokens": 64, "max_seq_len": 32, "dim_heads": 8}


def language_model() -> Built:
    """As the README builds it, smaller."""
    model = PerformerLM(
        num_tokens=64, max_seq_len=32, dim=32, depth=2, heads=4, causal=False, nb_features=16,
        feature_redraw_interval=1000, generalized_attention=False, reversible=True, tie_embed=True,
    )  # fmt: skip
    return Built(model, (torch.randint(0, 64, (2, 32)),))


def encoder() -> Built:
    """Over vectors."""
    return Built(Performer(dim=32, depth=2, heads=4, dim_head=8), (torch.randn(2, 16, 32),))


def both() -> Built:
    """Encoder and decoder."""
    return Built(
        PerformerEncDec(
            dim=32, tie_token_embed=True, enc_num_tokens=64, enc_depth=1, enc_heads=4, enc_dim_head=8, enc_max_seq_len=32,
            dec_num_tokens=64, dec_depth=1, dec_heads=4, dec_dim_head=8, dec_max_seq_len=32,
        )
    )  # fmt: skip


class Mine(nn.Module):
    """One attention layer of it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = SelfAttention(dim=32, heads=4, dim_head=8, causal=False)
        self.head = nn.Linear(32, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x + self.attention(x))


def as_user_code() -> Built:
    """A user's block."""
    return Built(Mine(), (torch.randn(2, 16, 32),))
