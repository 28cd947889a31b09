"""kornia: augmentations, filters, matchers, and a user's model that augments inside."""

from __future__ import annotations

from collections.abc import Iterator

import kornia
import kornia.augmentation as K  # noqa: N812  # as its documentation does
import torch
from torch import nn

from crater.built import Built

HINTS = {"channels": 3, "height": 32, "width": 32, "camera_model_type": "x"}


def augmentations() -> Iterator[Built]:
    """As its documentation composes them."""
    pipeline = nn.Sequential(
        K.RandomHorizontalFlip(), K.ColorJitter(0.1, 0.1, 0.1, 0.1), K.RandomAffine(30.0), K.RandomErasing()
    )
    yield Built(pipeline, name="Sequential")
    several = K.AugmentationSequential(
        K.RandomCrop((16, 16)), K.RandomRotation(10.0), K.RandomGaussianNoise(), data_keys=["input", "mask"]
    )
    several(torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32))
    yield Built(several, name="AugmentationSequential after a call")
    yield Built(K.AugmentationSequential(K.RandomMixUpV2(), K.RandomCutMixV2(), data_keys=["input"]), name="mixes")


def features() -> Iterator[Built]:
    """Detectors and descriptors without weights."""
    yield Built(kornia.feature.KeyNet(pretrained=False), (torch.rand(1, 1, 32, 32),), name="KeyNet")
    yield Built(kornia.feature.HardNet(pretrained=False), (torch.rand(2, 1, 32, 32),), name="HardNet")
    yield Built(kornia.feature.SOSNet(pretrained=False), (torch.rand(2, 1, 32, 32),), name="SOSNet")
    yield Built(kornia.feature.LoFTR(pretrained=None), name="LoFTR")
    yield Built(kornia.feature.SIFTFeature(8), name="SIFTFeature")
    yield Built(kornia.feature.DISK(), name="DISK")


class Augmented(nn.Module):
    """Augments as a layer, and looks at edges with fixed filters."""

    def __init__(self) -> None:
        super().__init__()
        self.augment = nn.Sequential(K.RandomHorizontalFlip(), K.RandomRotation(15.0), K.Normalize(0.5, 0.25))
        self.edges = kornia.filters.Sobel()
        self.blur = kornia.filters.GaussianBlur2d((3, 3), (1.0, 1.0))
        self.net = nn.Sequential(
            nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
        )
        self.loss = kornia.losses.FocalLoss(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            x = self.augment(x)
        return self.net(torch.cat([self.edges(x), self.blur(x)], 1))


def as_user_code() -> Built:
    """A user's classifier."""
    return Built(Augmented(), (torch.rand(2, 3, 32, 32),))
