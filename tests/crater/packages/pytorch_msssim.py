"""pytorch-msssim: SSIM as a module."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pytorch_msssim import MS_SSIM, SSIM
from torch import nn

from crater.built import Built


def criteria() -> Iterator[Built]:
    """Both."""
    yield Built(SSIM(data_range=1.0, channel=3), name="SSIM")
    yield Built(MS_SSIM(data_range=1.0, channel=3), name="MS_SSIM")


class Denoiser(nn.Module):
    """Holds its criterion."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Conv2d(3, 3, 3, padding=1)
        self.ssim = SSIM(data_range=1.0, channel=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 1 - self.ssim(self.net(x), x)


def as_user_code() -> Built:
    """A user's denoiser."""
    return Built(Denoiser(), (torch.rand(2, 3, 32, 32),))
