"""lightly: the parts of self-supervised learning, put together as its examples do."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
import torchvision
from lightly import loss as losses
from lightly.models import modules
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import nn

from crater.built import Built

ROOTS = ("lightly.models", "lightly.loss")
HINTS = {
    "input_dim": 16,
    "hidden_dim": 16,
    "output_dim": 16,
    "bottleneck_dim": 8,
    "in_features": 16,
    "num_ftrs": 16,
    "embed_dim": 16,
}


def _backbone() -> nn.Module:
    return nn.Sequential(*list(torchvision.models.resnet18(weights=None).children())[:-1], nn.Flatten())


class MoCo(nn.Module):
    """With a momentum encoder and a memory bank."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _backbone()
        self.head = modules.MoCoProjectionHead(512, 64, 16)
        self.backbone_momentum = copy.deepcopy(self.backbone)
        self.head_momentum = copy.deepcopy(self.head)
        deactivate_requires_grad(self.backbone_momentum)
        deactivate_requires_grad(self.head_momentum)
        self.criterion = losses.NTXentLoss(memory_bank_size=(64, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        update_momentum(self.backbone, self.backbone_momentum, m=0.99)
        update_momentum(self.head, self.head_momentum, m=0.99)
        query = self.head(self.backbone(x))
        with torch.no_grad():
            key = self.head_momentum(self.backbone_momentum(x.flip(0)))
        return self.criterion(query, key)


class DINO(nn.Module):
    """Student and teacher."""

    def __init__(self) -> None:
        super().__init__()
        self.student = nn.Sequential(_backbone(), modules.DINOProjectionHead(512, 64, 16, 32, freeze_last_layer=1))
        self.teacher = copy.deepcopy(self.student)
        deactivate_requires_grad(self.teacher)
        self.criterion = losses.DINOLoss(output_dim=32, warmup_teacher_temp_epochs=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        update_momentum(self.student, self.teacher, m=0.99)
        with torch.no_grad():
            wanted = self.teacher(x)
        return self.criterion([wanted], [self.student(x), self.student(x.flip(0))], epoch=0)


class SwaV(nn.Module):
    """Prototypes and a queue."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _backbone()
        self.head = modules.SwaVProjectionHead(512, 64, 16)
        self.prototypes = modules.SwaVPrototypes(16, 32)
        self.queue = modules.MemoryBankModule(size=(64, 16))
        self.criterion = losses.SwaVLoss(sinkhorn_gather_distributed=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.prototypes.normalize()
        z = nn.functional.normalize(self.head(self.backbone(x)), dim=1)
        self.queue(z, update=True)
        return self.criterion([self.prototypes(z)], [self.prototypes(z.flip(0))])


def learners_as_user_code() -> Iterator[Built]:
    """As its examples write them."""
    for Learner in (MoCo, DINO, SwaV):  # noqa: N806
        model = Learner()
        trained = [p for p in model.parameters() if p.requires_grad]
        yield Built(model, (torch.randn(4, 3, 64, 64),), torch.optim.SGD(trained, lr=0.06), name=Learner.__name__)
