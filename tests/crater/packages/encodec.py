"""encodec: its model without weights, its discriminator, and its balancer."""

from __future__ import annotations

from collections.abc import Iterator

import encodec
import torch
from encodec.modules import SEANetDecoder, SEANetEncoder
from encodec.msstftd import MultiScaleSTFTDiscriminator
from encodec.quantization import ResidualVectorQuantizer
from torch import nn

from crater.built import Built

HINTS = {
    "dim": 16,
    "dimension": 16,
    "codebook_size": 32,
    "num_quantizers": 2,
    "n_q": 2,
    "channels": 1,
    "filters": 4,
    "num_steps": 8,
    "card": 16,
}


def models() -> Iterator[Built]:
    """As its own builders do, smaller."""
    yield Built(encodec.EncodecModel.encodec_model_24khz(pretrained=False), name="24 kHz")
    yield Built(MultiScaleSTFTDiscriminator(filters=4), name="discriminator")


class Codec(nn.Module):
    """Its parts in a user's codec."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = SEANetEncoder(dimension=16, n_filters=4, ratios=[4, 2], lstm=1)
        self.quantize = ResidualVectorQuantizer(dimension=16, n_q=2, bins=32)
        self.decode = SEANetDecoder(dimension=16, n_filters=4, ratios=[4, 2], lstm=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.quantize(self.encode(x), 100)
        return self.decode(found.quantized), found.penalty


def as_user_code() -> Built:
    """A user's codec."""
    return Built(Codec(), (torch.randn(2, 1, 256),))
