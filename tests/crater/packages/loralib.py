"""loralib: adapters in a user's model."""

from __future__ import annotations

import loralib as lora
import torch
from torch import nn

from crater.built import Built

HINTS = {"r": 4, "conv_module": lambda: nn.Conv2d, "in_channels": 4, "out_channels": 4, "kernel_size": 3}


class Net(nn.Module):
    """Adapted layers among others."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = lora.Embedding(16, 8, r=2)
        self.qkv = lora.MergedLinear(8, 24, r=2, enable_lora=[True, False, True])
        self.out = lora.Linear(8, 8, r=2, lora_alpha=4)
        self.head = nn.Linear(8, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.embed(ids)).chunk(3, -1)
        return self.head(self.out((q @ k.transpose(1, 2)).softmax(-1) @ v))


def as_user_code() -> Built:
    """Only the adapters are trained."""
    model = Net()
    lora.mark_only_lora_as_trainable(model, bias="lora_only")
    return Built(
        model, (torch.randint(0, 16, (2, 4)),), torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    )
