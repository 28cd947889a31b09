"""PS409 and what really happens: every optimizer of torch takes a step, the model is cast, and it takes another."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn

from paramscope import audit

KINDS = [
    kind
    for kind in vars(torch.optim).values()
    if isinstance(kind, type)
    and issubclass(kind, torch.optim.Optimizer)
    # LBFGS keeps flat vectors, which PS409 does not look at.
    and kind not in (torch.optim.Optimizer, torch.optim.LBFGS)
]
SETTINGS: list[dict[str, Any]] = [
    *({}, {"foreach": True}, {"foreach": False}, {"fused": True}, {"amsgrad": True}, {"momentum": 0.9}),
    {"momentum": 0.9, "centered": True},
]


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One of training; SparseAdam gets sparse gradients."""

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model(torch.ones(2, 4, dtype=next(model.parameters()).dtype)).float().square().sum()
        loss.backward()
        if type(optimizer).__name__ == "SparseAdam":
            for parameter in model.parameters():
                parameter.grad = None if parameter.grad is None else parameter.grad.to_sparse()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_the_next_step_raises_just_where_it_is_said_to(kind: Any, dtype: torch.dtype) -> None:
    tried = 0
    for settings in SETTINGS:
        model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
        try:
            optimizer = kind(model.parameters(), **({"lr": 0.1} | settings))
        except TypeError:  # it has no such setting
            continue
        step(model, optimizer)
        assert not any(each.code == "PS409" for each in audit(model, optimizer=optimizer).findings)
        model.to(dtype)
        said = [each for each in audit(model, optimizer=optimizer).findings if each.code == "PS409"]
        tried += 1
        with nullcontext() if not said else pytest.raises(RuntimeError, match=r"expected (scalar type|dtype) "):
            step(model, optimizer)
        assert [sorted(each.paths) for each in said] in ([], [["0.weight", "1.weight"]]), (kind, settings)
    assert tried


def test_state_that_is_kept_in_float32_beside_frozen_weights_is_let_be() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    optimizer = torch.optim.Adam(model.parameters())
    step(model, optimizer)
    model[0].requires_grad_(False).bfloat16()
    optimizer.zero_grad()
    model[1](torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert not any(each.code == "PS409" for each in audit(model, optimizer=optimizer).findings)
