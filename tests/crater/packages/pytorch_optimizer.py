"""pytorch-optimizer: every optimizer that it lists, over one small model, and its losses."""

from __future__ import annotations

from collections.abc import Iterator

import pytorch_optimizer as po
import torch
from torch import nn

from crater.built import Built, Refused


def optimizers() -> Iterator[Built | Refused]:
    """Built and stepped as `create_optimizer` has it, where that works without more arguments."""
    for name in po.get_supported_optimizers():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2))
        try:
            optimizer = po.load_optimizer(name)(model.parameters(), lr=1e-3)
        except Exception as error:  # noqa: BLE001  # this one wants more
            yield Refused(name, error)
            continue
        try:
            model(torch.randn(4, 8)).pow(2).mean().backward(create_graph=name in ("adahessian", "sophiah"))
            optimizer.step()
        except Exception as error:  # noqa: BLE001  # a closure, for example; it is audited as it was built
            yield Refused(f"{name}, a step", error)
        yield Built(model, optimizer=optimizer, name=name)


def wrapped() -> Iterator[Built]:
    """Those that wrap another."""
    for name, make in {
        "Lookahead": lambda p: po.Lookahead(torch.optim.Adam(p), k=2),
        "SAM": lambda p: po.SAM(p, torch.optim.SGD, lr=0.1),
        "ScheduleFreeWrapper": lambda p: po.ScheduleFreeWrapper(torch.optim.AdamW(p)),
        "OrthoGrad": lambda p: po.OrthoGrad(torch.optim.AdamW(p)),
    }.items():
        model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        yield Built(model, optimizer=make(list(model.parameters())), name=name)
