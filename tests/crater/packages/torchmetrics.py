"""torchmetrics: metrics are modules, alone, in collections, and inside a user's model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torchmetrics
from torch import nn

from crater.built import Built

HINTS = {
    "num_classes": 10,
    "num_labels": 10,
    "task": "multiclass",
    "min_recall": 0.5,
    "min_precision": 0.5,
    "min_sensitivity": 0.5,
    "min_specificity": 0.5,
    "num_outputs": 2,
    "fs": 16000,
    "top_k": 2,
    "p": 2.0,
    "beta": 1.0,
    "base_metric": lambda: torchmetrics.MeanSquaredError(),
    "metric": lambda: torchmetrics.MeanSquaredError(),
    "metrics": lambda: [torchmetrics.MeanSquaredError()],
}


def used() -> Iterator[Built]:
    """After an update."""
    metric = torchmetrics.Accuracy(task="multiclass", num_classes=5)
    metric(torch.randn(8, 5).softmax(-1), torch.randint(0, 5, (8,)))
    yield Built(metric, name="Accuracy")
    metric = torchmetrics.AUROC(task="binary")
    metric.update(torch.rand(8), torch.randint(0, 2, (8,)))
    yield Built(metric, name="AUROC")
    many = torchmetrics.MetricCollection(
        {
            "f1": torchmetrics.F1Score(task="multiclass", num_classes=5),
            "accuracy": torchmetrics.Accuracy(task="multiclass", num_classes=5),
        }
    )
    many.update(torch.randn(8, 5).softmax(-1), torch.randint(0, 5, (8,)))
    many.compute()
    yield Built(many, name="MetricCollection")
    tracker = torchmetrics.MetricTracker(torchmetrics.MeanSquaredError())
    tracker.increment()
    tracker.update(torch.rand(4), torch.rand(4))
    yield Built(tracker, name="MetricTracker")
    yield Built(torchmetrics.BootStrapper(torchmetrics.MeanSquaredError(), num_bootstraps=3), name="BootStrapper")
    yield Built(torchmetrics.image.StructuralSimilarityIndexMeasure(), name="SSIM")


class Net(nn.Module):
    """A classifier that measures itself."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(8, 5)
        self.accuracy = torchmetrics.Accuracy(task="multiclass", num_classes=5)
        self.mean = torchmetrics.MeanMetric()
        self.predictions = torchmetrics.CatMetric()

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        out = self.net(x)
        self.accuracy(out, y)
        self.mean(out.detach())
        self.predictions(out.detach())
        return nn.functional.cross_entropy(out, y)


def as_user_code() -> Built:
    """A user's classifier."""
    return Built(Net(), (torch.randn(8, 8), torch.randint(0, 5, (8,))))
