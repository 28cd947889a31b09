"""pytorch-tabnet: the network, and a classifier after fitting."""

from __future__ import annotations

import numpy as np
import torch
from pytorch_tabnet.pretraining import TabNetPretrainer
from pytorch_tabnet.tab_model import TabNetClassifier
from pytorch_tabnet.tab_network import TabNet
from torch import nn

from crater.built import Built

HINTS = {
    "input_dim": 8,
    "output_dim": 2,
    "group_attention_matrix": lambda: torch.eye(8),
    "group_matrix": lambda: torch.eye(8),
    "cat_dims": list,
    "cat_idxs": list,
    "cat_emb_dims": list,
}


def network() -> Built:
    """As TabNetClassifier builds it."""
    return Built(
        TabNet(8, 2, cat_idxs=[1], cat_dims=[4], cat_emb_dim=2, group_attention_matrix=torch.eye(8)), name="TabNet"
    )


def fitted() -> Built:
    """The network and optimizer of a fitted classifier."""
    x, y = np.random.rand(64, 8).astype("float32"), np.random.randint(0, 2, 64)
    classifier = TabNetClassifier(verbose=0, n_d=4, n_a=4, n_steps=2, device_name="cpu")
    classifier.fit(x, y, max_epochs=1, batch_size=32, virtual_batch_size=16)
    return Built(classifier.network, optimizer=classifier._optimizer)


def pretrained() -> Built:
    """The same, without labels."""
    trainer = TabNetPretrainer(verbose=0, n_d=4, n_a=4, n_steps=2, device_name="cpu")
    trainer.fit(np.random.rand(64, 8).astype("float32"), max_epochs=1, batch_size=32, virtual_batch_size=16)
    return Built(trainer.network, optimizer=trainer._optimizer)


class Mixed(nn.Module):
    """TabNet among a user's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.tab = TabNet(8, 4, group_attention_matrix=torch.eye(8), virtual_batch_size=4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, sparse = self.tab(x)
        return self.head(out) - sparse


def as_user_code() -> Built:
    """A user's network."""
    return Built(Mixed(), (torch.randn(8, 8),))
