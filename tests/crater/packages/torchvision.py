"""torchvision: models, detectors, and a user's siamese network."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torchvision
from torch import nn

from crater.built import Built

ROOTS = ("torchvision.models", "torchvision.ops", "torchvision.transforms")
_CLASSIFIERS = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3", "maxvit_t",
    "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1",
    "swin_t", "swin_v2_t", "vgg11_bn", "vit_b_32", "r3d_18", "s3d", "mvit_v1_b", "swin3d_t", "raft_small", "quantized_resnet18",
)  # fmt: skip
_OTHERS = (
    "fasterrcnn_mobilenet_v3_large_320_fpn", "fcos_resnet50_fpn", "keypointrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2",
    "retinanet_resnet50_fpn_v2", "ssd300_vgg16", "ssdlite320_mobilenet_v3_large", "deeplabv3_resnet50", "fcn_resnet50",
    "lraspp_mobilenet_v3_large",
)  # fmt: skip
_STEPPED = ("resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1")


def classifiers() -> Iterator[Built]:
    """One of each family."""
    for name in _CLASSIFIERS:
        model = torchvision.models.get_model(name, weights=None)
        yield Built(model, (torch.randn(2, 3, 96, 96),) if name in _STEPPED else None, name=name)


def detectors() -> Iterator[Built]:
    """And networks for segmentation."""
    for name in _OTHERS:
        yield Built(torchvision.models.get_model(name, weights=None, weights_backbone=None), name=name)


class Siamese(nn.Module):
    """One branch, twice used."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = torchvision.models.resnet18(weights=None)
        self.branch.fc = nn.Identity()
        self.flow = torchvision.ops.FeaturePyramidNetwork([64, 128], 32)
        self.head = nn.Sequential(torchvision.ops.MLP(1024, [64, 2], dropout=0.1))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([self.branch(a), self.branch(b)], dim=1))


def as_user_code() -> Built:
    """With frozen norms, as in detection."""
    model = Siamese()
    return Built(model, (torch.randn(2, 3, 64, 64), torch.randn(2, 3, 64, 64)))
