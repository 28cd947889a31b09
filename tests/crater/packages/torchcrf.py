"""pytorch-crf: the layer, and a user's tagger."""

from __future__ import annotations

import torch
from torch import nn
from torchcrf import CRF

from crater.built import Built


def crf() -> Built:
    """As its documentation builds it."""
    model = CRF(5, batch_first=True)
    return Built(model, (torch.randn(2, 4, 5), torch.randint(0, 5, (2, 4))))


class Tagger(nn.Module):
    """A recurrent tagger."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, 16, padding_idx=0)
        self.lstm = nn.LSTM(16, 8, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 5)
        self.crf = CRF(5, batch_first=True)

    def forward(self, ids: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
        return -self.crf(self.head(self.lstm(self.embed(ids))[0]), tags)


def as_user_code() -> Built:
    """A user's tagger."""
    return Built(Tagger(), (torch.randint(1, 64, (2, 4)), torch.randint(0, 5, (2, 4))))
