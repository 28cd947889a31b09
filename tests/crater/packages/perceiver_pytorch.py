"""perceiver-pytorch: as its README builds it, with shared layers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from perceiver_pytorch import Perceiver, PerceiverIO
from torch import nn

from crater.built import Built

HINTS = {
    "dim": 16,
    "depth": 2,
    "num_freq_bands": 2,
    "max_freq": 4.0,
    "num_tokens": 64,
    "max_seq_len": 32,
    "queries_dim": 16,
}


def perceivers() -> Iterator[Built]:
    """Tied and not."""
    for tied in (False, True):
        model = Perceiver(
            input_channels=3, input_axis=2, num_freq_bands=2, max_freq=4.0, depth=3, num_latents=8, latent_dim=16,
            cross_heads=1, latent_heads=2, cross_dim_head=8, latent_dim_head=8, num_classes=4, weight_tie_layers=tied,
            self_per_cross_attn=2,
        )  # fmt: skip
        yield Built(model, (torch.randn(1, 8, 8, 3),), name="tied" if tied else "plain")
    yield Built(
        PerceiverIO(
            dim=16, queries_dim=16, depth=2, num_latents=8, latent_dim=16, logits_dim=4, weight_tie_layers=True
        ),
        (torch.randn(1, 8, 16),),
        name="IO",
    )


class Mine(nn.Module):
    """Reads features."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 3, 3, padding=1)
        self.read = Perceiver(
            input_channels=3,
            input_axis=2,
            num_freq_bands=2,
            max_freq=4.0,
            depth=2,
            num_latents=8,
            latent_dim=16,
            num_classes=4,
            weight_tie_layers=True,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.read(self.features(x).permute(0, 2, 3, 1))


def as_user_code() -> Built:
    """A user's model."""
    return Built(Mine(), (torch.randn(1, 3, 8, 8),))
