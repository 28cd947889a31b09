"""vit-pytorch: as its README builds them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from vit_pytorch import MAE, SimpleViT, ViT
from vit_pytorch.distill import DistillableViT, DistillWrapper
from vit_pytorch.extractor import Extractor
from vit_pytorch.mpp import MPP
from vit_pytorch.recorder import Recorder
from vit_pytorch.simmim import SimMIM
from vit_pytorch.vit import Transformer

from crater.built import Built

HINTS = {
    "image_size": 32, "patch_size": 8, "num_classes": 10, "dim": 32, "depth": 2, "heads": 4, "mlp_dim": 64,
    "dim_head": 8, "channels": 3, "frames": 4, "image_patch_size": 8, "frame_patch_size": 2, "spatial_depth": 1,
    "temporal_depth": 1, "patch_height": 8, "patch_width": 8, "sm_dim": 32, "lg_dim": 32, "cls_depth": 1, "num_patches": 16,
    "seq_len": 32, "group_max_seq_len": 64, "expansion_factor": 4, "mult": 4, "attn_dim_head": 8, "attn_heads": 4,
}  # fmt: skip
_VIT = {"image_size": 32, "patch_size": 8, "num_classes": 10, "dim": 32, "depth": 2, "heads": 4, "mlp_dim": 64}


def readme() -> Iterator[Built]:
    """The models that the README begins with."""
    x = torch.randn(2, 3, 32, 32)
    yield Built(ViT(**_VIT), (x,), name="ViT")
    yield Built(SimpleViT(**_VIT), (x,), name="SimpleViT")
    yield Built(MAE(encoder=ViT(**_VIT), masking_ratio=0.75, decoder_dim=16, decoder_depth=1), (x,), name="MAE")
    yield Built(SimMIM(encoder=ViT(**_VIT), masking_ratio=0.5), (x,), name="SimMIM")
    yield Built(MPP(transformer=ViT(**_VIT), patch_size=8, dim=32), None, name="MPP")
    yield Built(Extractor(ViT(**_VIT)), None, name="Extractor")
    yield Built(Recorder(ViT(**_VIT)), None, name="Recorder")


def distilled() -> Built:
    """A teacher and a student."""
    import torchvision

    teacher = torchvision.models.resnet18(weights=None, num_classes=10)
    student = DistillableViT(**_VIT)
    model = DistillWrapper(student=student, teacher=teacher, temperature=3, alpha=0.5, hard=False)
    return Built(model, (torch.randn(2, 3, 32, 32), torch.randint(0, 10, (2,))))


def dino() -> Built:
    """As the README trains it."""
    from vit_pytorch import Dino

    learner = Dino(
        ViT(**_VIT),
        image_size=32,
        hidden_layer="to_latent",
        projection_hidden_size=32,
        projection_layers=2,
        num_classes_K=64,
    )
    optimizer = torch.optim.Adam(learner.parameters(), lr=3e-4)

    def step() -> None:
        learner(torch.randn(2, 3, 32, 32)).backward()
        optimizer.step()
        learner.update_moving_average()

    return Built(learner, optimizer=optimizer, step=step)


class Video(nn.Module):
    """Frames by a ViT, then a transformer over time."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = ViT(**{**_VIT, "num_classes": 32})
        self.time = Transformer(dim=32, depth=1, heads=2, dim_head=16, mlp_dim=32)
        self.head = nn.Linear(32, 10)

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        tokens = torch.stack([self.frames(frame) for frame in video.unbind(1)], 1)
        return self.head(self.time(tokens).mean(1))


def as_user_code() -> Built:
    """A user's video model."""
    return Built(Video(), (torch.randn(2, 3, 3, 32, 32),))
