"""torch-optimizer: every optimizer that it exports, over one small model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch_optimizer
from torch import nn

from crater.built import Built, Refused

ROOTS = ()


def optimizers() -> Iterator[Built | Refused]:
    """Stepped once."""
    for name in torch_optimizer.__all__:
        cls = getattr(torch_optimizer, name)
        if not (isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer)):
            continue
        model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2))
        try:
            optimizer = (
                cls(torch.optim.SGD(model.parameters(), lr=0.1))
                if name == "Lookahead"
                else cls(model.parameters(), lr=1e-3)
            )
            model(torch.randn(4, 8)).pow(2).mean().backward(create_graph=name == "Adahessian")
            optimizer.step()
        except Exception as error:  # noqa: BLE001  # this one wants more
            yield Refused(name, error)
            continue
        yield Built(model, optimizer=optimizer, name=name)
