"""torch-geometric: its convolutions, its models, and a user's graph classifier."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch_geometric import nn as gnn

from crater.built import Built

ROOTS = ("torch_geometric.nn",)
HINTS = {
    "num_nodes": 8,
    "num_relations": 2,
    "edge_dim": 4,
    "K": 2,
    "dim": 2,
    "kernel_size": 3,
    "nn": lambda: nn.Linear(16, 16),
    "metadata": (["a"], [("a", "to", "a")]),
    "num_layers": 2,
}
_X = torch.randn(8, 16)
_EDGES = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 0]])


def convolutions() -> Iterator[Built]:
    """Those that take features and edges alone."""
    for name in (
        "GCNConv",
        "SAGEConv",
        "GATConv",
        "GATv2Conv",
        "TransformerConv",
        "TAGConv",
        "SGConv",
        "ARMAConv",
        "LEConv",
        "ClusterGCNConv",
        "GraphConv",
        "MFConv",
        "FeaStConv",
        "FiLMConv",
        "GENConv",
        "SuperGATConv",
        "EGConv",
        "GeneralConv",
    ):
        yield Built(getattr(gnn, name)(16, 16), (_X, _EDGES), name=name)
    yield Built(gnn.ChebConv(16, 16, K=2), (_X, _EDGES), name="ChebConv")
    yield Built(
        gnn.GINConv(nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16)), train_eps=True),
        (_X, _EDGES),
        name="GINConv",
    )
    yield Built(gnn.GCNConv(16, 16, cached=True), (_X, _EDGES), name="cached GCNConv")
    yield Built(gnn.APPNP(K=2, alpha=0.1), name="APPNP")


def models() -> Iterator[Built]:
    """Whole ones."""
    for name in ("GCN", "GraphSAGE", "GAT", "GIN", "PNA", "EdgeCNN"):
        options = (
            {"deg": torch.tensor([0, 8]), "aggregators": ["mean"], "scalers": ["identity"]} if name == "PNA" else {}
        )
        yield Built(getattr(gnn.models, name)(16, 16, num_layers=2, **options), (_X, _EDGES), name=name)
    yield Built(
        gnn.DeepGraphInfomax(16, gnn.GCN(16, 16, 1), lambda z, *a: z.mean(0), lambda x, e: (x[torch.randperm(8)], e)),
        name="DeepGraphInfomax",
    )
    yield Built(gnn.GAE(gnn.GCN(16, 16, 1)), name="GAE")
    yield Built(gnn.LightGCN(8, 16, 2), (_EDGES,), name="LightGCN")
    yield Built(gnn.SchNet(16, 16, 2, 8), name="SchNet")
    yield Built(gnn.DimeNet(16, 1, 1, 4, 3, 3), name="DimeNet")
    yield Built(
        gnn.to_hetero(gnn.GraphSAGE((-1, -1), 16, 2), (["a", "b"], [("a", "to", "b"), ("b", "to", "a")])),
        name="to_hetero",
    )
    yield Built(gnn.GraphUNet(16, 16, 16, 2), (_X, _EDGES), name="GraphUNet")
    yield Built(
        gnn.TGNMemory(8, 4, 4, 4, gnn.models.tgn.IdentityMessage(4, 4, 4), gnn.models.tgn.LastAggregator()),
        name="TGNMemory",
    )


class Classifier(nn.Module):
    """Three convolutions and a pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [gnn.GATConv(16, 8, heads=2), gnn.GCNConv(16, 16, cached=True), gnn.SAGEConv(16, 16)]
        )
        self.norm = gnn.BatchNorm(16)
        self.memory = gnn.MemPooling(16, 16, heads=1, num_clusters=2)
        self.head = gnn.Linear(-1, 4)

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        for conv in self.convs:
            x = self.norm(conv(x, edges)).relu()
        return self.head(self.memory(x)[0].mean(1))


def as_user_code() -> Built:
    """A user's network, its lazy head filled."""
    model = Classifier()
    model(_X, _EDGES)
    return Built(model, (_X, _EDGES))
