"""pytorch-metric-learning: losses with and without weights, miners, and a user's trainer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pytorch_metric_learning import distances, losses, miners, reducers
from torch import nn

from crater.built import Built

HINTS = {"num_classes": 10, "embedding_size": 16, "loss": lambda: losses.ContrastiveLoss()}


def criteria() -> Iterator[Built]:
    """After a step each."""
    pair = (torch.randn(8, 16, requires_grad=True), torch.arange(8) % 3)
    for name in (
        "ContrastiveLoss",
        "TripletMarginLoss",
        "NTXentLoss",
        "CircleLoss",
        "MultiSimilarityLoss",
        "SupConLoss",
        "LiftedStructureLoss",
        "FastAPLoss",
    ):
        yield Built(getattr(losses, name)(), pair, name=name)
    for name in (
        "ArcFaceLoss",
        "CosFaceLoss",
        "SubCenterArcFaceLoss",
        "NormalizedSoftmaxLoss",
        "ProxyAnchorLoss",
        "ProxyNCALoss",
        "SoftTripleLoss",
        "LargeMarginSoftmaxLoss",
        "SphereFaceLoss",
        "CurricularFaceLoss",
    ):
        options = {"softmax_scale": 1} if name in ("ProxyNCALoss", "NormalizedSoftmaxLoss") else {}
        if name in ("NormalizedSoftmaxLoss",):
            options = {"temperature": 0.05}
        yield Built(getattr(losses, name)(num_classes=3, embedding_size=16, **options), pair, name=name)
    yield Built(
        losses.CrossBatchMemory(losses.ContrastiveLoss(), embedding_size=16, memory_size=32),
        pair,
        name="CrossBatchMemory",
    )
    yield Built(
        losses.TripletMarginLoss(distance=distances.CosineSimilarity(), reducer=reducers.ThresholdReducer(low=0)),
        pair,
        name="composed",
    )


class Embedder(nn.Module):
    """A network that holds its criterion."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(8, 16)
        self.loss = losses.CrossBatchMemory(losses.NTXentLoss(), embedding_size=16, memory_size=32)
        self.proxies = losses.ProxyAnchorLoss(3, 16)
        self.miner = miners.MultiSimilarityMiner()

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        z = self.net(x)
        return self.loss(z, y) + self.proxies(z, y, self.miner(z, y))


def as_user_code() -> Built:
    """In two groups."""
    model = Embedder()
    optimizer = torch.optim.AdamW(
        [{"params": model.net.parameters()}, {"params": model.proxies.parameters(), "lr": 0.1}]
    )
    return Built(model, (torch.randn(8, 8), torch.arange(8) % 3), optimizer)
