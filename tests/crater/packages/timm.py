"""timm: image backbones by name, and as the backbone of a user's detector."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import timm
import timm.optim
import torch
from timm.utils import ModelEmaV3
from torch import nn

from crater.built import Built

NAMES = (
    "vit_tiny_patch16_224", "eva02_tiny_patch14_224", "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256",
    "maxvit_tiny_rw_224", "convnext_atto", "resnet18", "efficientnet_b0", "mobilenetv3_small_050", "regnety_002", "nfnet_l0",
    "mixer_s16_224", "levit_128s", "xcit_nano_12_p16_224", "cait_xxs24_224", "pit_ti_224", "poolformer_s12", "fastvit_t8",
    "repvgg_a0", "halonet26t", "lambda_resnet26t", "botnet26t_256", "hiera_tiny_224", "mvitv2_tiny", "volo_d1_224",
    "tiny_vit_5m_224", "sam2_hiera_tiny", "crossvit_9_240", "hrnet_w18_small", "dpn48b", "rexnet_100",
)  # fmt: skip


def create_model() -> Iterator[Built]:
    """As most people do."""
    for name in NAMES:
        model = timm.create_model(name, pretrained=False, num_classes=10)
        size = model.default_cfg["input_size"]
        is_small = name in (
            "vit_tiny_patch16_224",
            "resnet18",
            "levit_128s",
            "mobilenetv3_small_050",
            "xcit_nano_12_p16_224",
        )
        yield Built(model, (torch.randn(2, *size),) if is_small else None, name=name)


def features_only() -> Iterator[Built]:
    """As a detector's backbone."""
    for name in ("resnet18", "convnext_atto", "efficientnet_b0", "swin_tiny_patch4_window7_224"):
        yield Built(timm.create_model(name, features_only=True), name=name)


def fine_tuned() -> Iterator[Built]:
    """With timm's own optimizers, layer by layer."""
    for name in ("adamw", "lookahead_adamw", "muon", "lamb"):
        model = timm.create_model("vit_tiny_patch16_224", num_classes=10)
        optimizer = timm.optim.create_optimizer_v2(model, opt=name, lr=1e-3, weight_decay=0.05, layer_decay=0.75)
        yield Built(model, (torch.randn(2, 3, 224, 224),), optimizer, name=name)


class Classifier(nn.Module):
    """A frozen and a trained backbone side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = timm.create_model("resnet18", num_classes=0)
        self.vit = timm.create_model("vit_tiny_patch16_224", num_classes=0)
        self.vit.requires_grad_(False)
        self.vit.eval()
        self.head = nn.Linear(self.backbone.num_features + self.vit.num_features, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            tokens = self.vit(x)
        return self.head(torch.cat([self.backbone(x), tokens], dim=1))


def as_user_code() -> Built:
    """Trained where it can be."""
    model = Classifier()
    return Built(
        model, (torch.randn(2, 3, 224, 224),), torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    )


def averaged_as_user_code() -> Built:
    """With timm's average beside it."""
    model = timm.create_model("resnet18", num_classes=10)
    average = ModelEmaV3(model, decay=0.99)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step() -> None:
        model(torch.randn(2, 3, 64, 64)).sum().backward()
        optimizer.step()
        average.update(model)

    return Built({"model": model, "ema": average}, optimizer=optimizer, step=step)


def distilled_as_user_code() -> Built:
    """A teacher, copied and frozen."""

    class Distilled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.student = timm.create_model("convnext_atto", num_classes=10)
            self.teacher = copy.deepcopy(self.student).requires_grad_(False).eval()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                wanted = self.teacher(x)
            return (self.student(x) - wanted).pow(2)

    model = Distilled()
    return Built(model, (torch.randn(2, 3, 64, 64),), torch.optim.AdamW(model.student.parameters()))
