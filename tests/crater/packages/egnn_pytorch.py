"""egnn-pytorch: as its README builds it."""

from __future__ import annotations

import torch
from egnn_pytorch import EGNN, EGNN_Network

from crater.built import Built

HINTS = {"dim": 16, "depth": 2, "feats_dim": 16}


def layer() -> Built:
    """Over features and coordinates."""
    return Built(EGNN(dim=16, norm_feats=True, soft_edges=True), (torch.randn(1, 8, 16), torch.randn(1, 8, 3)))


def network() -> Built:
    """With tokens."""
    return Built(
        EGNN_Network(num_tokens=16, num_positions=8, dim=16, depth=2, num_nearest_neighbors=4),
        (torch.randint(0, 16, (1, 8)), torch.randn(1, 8, 3)),
    )
