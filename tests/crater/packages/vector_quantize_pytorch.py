"""vector-quantize-pytorch: codebooks, and a user's autoencoder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import vector_quantize_pytorch as vq
from torch import nn

from crater.built import Built

HINTS = {
    "dim": 16,
    "codebook_size": 32,
    "levels": lambda: [4, 4, 4],
    "num_quantizers": 2,
    "groups": 2,
    "num_codebooks": 2,
}


def quantizers() -> Iterator[Built]:
    """As the README lists them."""
    x = torch.randn(2, 8, 16)
    for name, options in {
        "plain": {},
        "kmeans": {"kmeans_init": True},
        "low": {"codebook_dim": 4, "use_cosine_sim": True},
        "stale": {"threshold_ema_dead_code": 2},
        "ortho": {"accept_image_fmap": False, "orthogonal_reg_weight": 10, "orthogonal_reg_max_codes": 16},
        "learned": {"learnable_codebook": True, "ema_update": False},
        "heads": {"heads": 2, "separate_codebook_per_head": True, "codebook_dim": 8},
        "gumbel": {"stochastic_sample_codes": True, "sample_codebook_temp": 0.5},
    }.items():
        yield Built(vq.VectorQuantize(dim=16, codebook_size=32, **options), (x,), name=name)
    yield Built(vq.ResidualVQ(dim=16, num_quantizers=3, codebook_size=32), (x,), name="ResidualVQ")
    yield Built(
        vq.ResidualVQ(dim=16, num_quantizers=3, codebook_size=32, shared_codebook=True, kmeans_init=True),
        (x,),
        name="shared ResidualVQ",
    )
    yield Built(
        vq.GroupedResidualVQ(dim=16, num_quantizers=2, groups=2, codebook_size=32), (x,), name="GroupedResidualVQ"
    )
    yield Built(vq.FSQ([4, 4, 4], dim=16), (x,), name="FSQ")
    yield Built(vq.ResidualFSQ(dim=16, levels=[4, 4, 4], num_quantizers=2), (x,), name="ResidualFSQ")
    yield Built(vq.LFQ(codebook_size=64, dim=16, entropy_loss_weight=0.1), (x,), name="LFQ")
    yield Built(vq.ResidualLFQ(dim=16, codebook_size=64, num_quantizers=2), (x,), name="ResidualLFQ")
    yield Built(vq.SimVQ(dim=16, codebook_size=32), (x,), name="SimVQ")
    yield Built(vq.ResidualSimVQ(dim=16, num_quantizers=2, codebook_size=32), (x,), name="ResidualSimVQ")
    yield Built(
        vq.RandomProjectionQuantizer(dim=16, num_codebooks=2, codebook_dim=8, codebook_size=32), name="Random"
    )
    yield Built(vq.LatentQuantize(levels=[4, 4], dim=16), (x.transpose(1, 2),), name="LatentQuantize")


class Autoencoder(nn.Module):
    """The README's, with its own layers."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Conv1d(1, 16, 4, 4)
        self.quantize = vq.ResidualVQ(dim=16, num_quantizers=2, codebook_size=32, accept_image_fmap=False)
        self.decode = nn.ConvTranspose1d(16, 1, 4, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z, _, loss = self.quantize(self.encode(x).transpose(1, 2))
        return self.decode(z.transpose(1, 2)), loss


def as_user_code() -> Built:
    """A user's codec."""
    return Built(Autoencoder(), (torch.randn(2, 1, 64),))
