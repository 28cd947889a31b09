"""x-transformers: language models, encoders, and a user's translator."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from x_transformers import (
    AutoregressiveWrapper,
    ContinuousTransformerWrapper,
    Decoder,
    Encoder,
    TransformerWrapper,
    ViTransformerWrapper,
    XTransformer,
)

from crater.built import Built

HINTS = {"dim": 32, "depth": 2, "heads": 4, "num_tokens": 64, "max_seq_len": 32}


def language_models() -> Iterator[Built]:
    """With the options that the README lists, a few at a time."""
    ids = (torch.randint(0, 64, (2, 16)),)
    for name, options in {
        "plain": {},
        "rotary": {"rotary_pos_emb": True, "use_rmsnorm": True, "ff_glu": True},
        "alibi": {"alibi_pos_bias": True, "alibi_num_heads": 2},
        "rel_pos": {"rel_pos_bias": True},
        "memory": {"attn_num_mem_kv": 4, "attn_qk_norm": True},
        "dynamic": {"dynamic_pos_bias": True, "dynamic_pos_bias_log_distance": False},
        "macaron": {"macaron": True, "sandwich_norm": True},
        "residual": {"residual_attn": True, "scale_residual": True},
        "xl": {"rotary_xpos": True, "rotary_pos_emb": True, "attn_pre_talking_heads": True},
        "shared": {"attn_on_attn": True, "ff_no_bias": True, "attn_one_kv_head": True},
    }.items():
        model = TransformerWrapper(
            num_tokens=64, max_seq_len=32, attn_layers=Decoder(dim=32, depth=2, heads=4, **options)
        )
        yield Built(model, ids, name=name)
    tied = TransformerWrapper(
        num_tokens=64, max_seq_len=32, tie_embedding=True, attn_layers=Decoder(dim=32, depth=2, heads=4)
    )
    yield Built(AutoregressiveWrapper(tied), ids, name="tied")


def others() -> Iterator[Built]:
    """Encoders and both."""
    yield Built(
        TransformerWrapper(num_tokens=64, max_seq_len=32, num_memory_tokens=4, attn_layers=Encoder(dim=32, depth=2, heads=4)),
        (torch.randint(0, 64, (2, 16)),), name="encoder",
    )  # fmt: skip
    yield Built(
        ContinuousTransformerWrapper(dim_in=8, dim_out=4, max_seq_len=32, attn_layers=Encoder(dim=32, depth=2, heads=4)),
        (torch.randn(2, 16, 8),), name="continuous",
    )  # fmt: skip
    yield Built(
        ViTransformerWrapper(image_size=32, patch_size=8, num_classes=10, attn_layers=Encoder(dim=32, depth=2, heads=4)),
        (torch.randn(2, 3, 32, 32),), name="vit",
    )  # fmt: skip
    both = XTransformer(
        dim=32, tie_token_emb=True, enc_num_tokens=64, enc_depth=2, enc_heads=4, enc_max_seq_len=32,
        dec_num_tokens=64, dec_depth=2, dec_heads=4, dec_max_seq_len=32,
    )  # fmt: skip
    yield Built(both, loss=lambda: both(torch.randint(0, 64, (2, 16)), torch.randint(0, 64, (2, 16))), name="seq2seq")


class Captioner(nn.Module):
    """Image tokens, and a decoder that looks at them."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(3, 32, 8, 8)
        self.write = TransformerWrapper(
            num_tokens=64, max_seq_len=32, attn_layers=Decoder(dim=32, depth=2, heads=4, cross_attend=True)
        )

    def forward(self, image: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return self.write(ids, context=self.look(image).flatten(2).transpose(1, 2))


def as_user_code() -> Built:
    """A user's captioner."""
    return Built(Captioner(), (torch.randn(2, 3, 32, 32), torch.randint(0, 64, (2, 16))))
