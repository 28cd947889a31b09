"""efficientnet-pytorch: from names, and as a user's feature extractor."""

from __future__ import annotations

import torch
from efficientnet_pytorch import EfficientNet
from torch import nn

from crater.built import Built


def from_name() -> Built:
    """The usual way."""
    return Built(EfficientNet.from_name("efficientnet-b0", num_classes=10), (torch.randn(2, 3, 64, 64),))


class Head(nn.Module):
    """Frozen features under a head."""

    def __init__(self) -> None:
        super().__init__()
        self.features = EfficientNet.from_name("efficientnet-b0", include_top=False)
        self.features.requires_grad_(False).eval()
        self.head = nn.Linear(1280, 2)

    def train(self, mode: bool = True) -> Head:  # noqa: FBT001  # torch's own
        super().train(mode)
        self.features.eval()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features.extract_features(x).mean((2, 3)))


def as_user_code() -> Built:
    """Only the head is trained."""
    model = Head()
    return Built(model, (torch.randn(2, 3, 64, 64),), torch.optim.Adam(model.head.parameters()))
