"""open-clip-torch: CLIP models by name, with the optimizer of its own trainer."""

from __future__ import annotations

from collections.abc import Iterator

import open_clip
import torch
from torch import nn

from crater.built import Built

ROOTS = ("open_clip",)
HINTS = {
    "width": 32,
    "layers": 2,
    "heads": 2,
    "d_model": 32,
    "n_head": 2,
    "output_dim": 16,
    "patch_size": 8,
    "image_size": 32,
}
_VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
_TEXT = {"context_length": 16, "vocab_size": 64, "width": 32, "heads": 2, "layers": 2}


def models() -> Iterator[Built]:
    """Small ones of each kind."""
    from open_clip import CLIP, CoCa, CustomTextCLIP

    pair = (torch.randn(2, 3, 32, 32), torch.randint(0, 64, (2, 16)))
    yield Built(CLIP(16, _VISION, _TEXT), pair, name="CLIP")
    yield Built(CustomTextCLIP(16, _VISION, _TEXT), pair, name="CustomTextCLIP")
    yield Built(
        CoCa(
            16,
            {**_TEXT, "layers": 2, "heads": 2, "width": 32, "embed_cls": True},
            _TEXT,
            {**_VISION, "attentional_pool": True, "attn_pooler_heads": 2},
        ),
        name="CoCa",
    )
    yield Built(open_clip.create_model("RN50", pretrained=None), name="RN50")
    yield Built(open_clip.create_model("ViT-B-32", pretrained=None), name="ViT-B-32")


class Tuned(nn.Module):
    """A locked image tower under a head."""

    def __init__(self) -> None:
        super().__init__()
        self.clip = open_clip.CLIP(16, _VISION, _TEXT)
        self.clip.lock_image_tower()
        self.head = nn.Linear(16, 4)

    def forward(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        seen, read, scale = self.clip(image, text)
        return self.head(seen * read) * scale


def as_user_code() -> Built:
    """In two groups, as its trainer makes them."""
    model = Tuned()
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    gains = [p for n, p in named if p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n or "logit_scale" in n]
    rest = [p for _, p in named if not any(p is gain for gain in gains)]
    optimizer = torch.optim.AdamW(
        [{"params": gains, "weight_decay": 0.0}, {"params": rest, "weight_decay": 0.2}], lr=5e-4
    )
    return Built(model, (torch.randn(2, 3, 32, 32), torch.randint(0, 64, (2, 16))), optimizer)
