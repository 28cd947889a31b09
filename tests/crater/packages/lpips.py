"""lpips: the perceptual distance, without weights, and as a user's criterion."""

from __future__ import annotations

from collections.abc import Iterator

import lpips
import torch
from torch import nn

from crater.built import Built


def distances() -> Iterator[Built]:
    """Over each network."""
    x = torch.rand(2, 3, 64, 64)
    for net in ("alex", "squeeze", "vgg"):
        yield Built(lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False), (x, x.flip(0)), name=net)


class Restorer(nn.Module):
    """A network and its perceptual loss."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Conv2d(3, 3, 3, padding=1)
        self.distance = lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False)
        self.distance.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.distance(self.net(x), x)


def as_user_code() -> Built:
    """Trained by what the network holds."""
    model = Restorer()
    return Built(model, (torch.rand(2, 3, 64, 64),), torch.optim.Adam(model.net.parameters()))
