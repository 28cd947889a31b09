"""segment-anything: a small model of its parts."""

from __future__ import annotations

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

from crater.built import Built


def sam() -> Built:
    """As its registry builds it, smaller."""
    model = Sam(
        image_encoder=ImageEncoderViT(img_size=64, patch_size=16, embed_dim=32, depth=2, num_heads=2, out_chans=16, use_rel_pos=True, window_size=2, global_attn_indexes=(1,)),
        prompt_encoder=PromptEncoder(16, (4, 4), (64, 64), 8),
        mask_decoder=MaskDecoder(transformer_dim=16, transformer=TwoWayTransformer(2, 16, 2, 32), iou_head_depth=2, iou_head_hidden_dim=16),
    )  # fmt: skip
    return Built(model)


class Tuned(nn.Module):
    """The encoder of a frozen model under a trained head."""

    def __init__(self) -> None:
        super().__init__()
        self.sam = sam().model
        self.sam.requires_grad_(False)
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.sam.image_encoder(x))


def as_user_code() -> Built:
    """With an optimizer for the head alone."""
    model = Tuned()
    return Built(model, (torch.randn(1, 3, 64, 64),), torch.optim.AdamW(model.head.parameters()))
