"""What training costs, as it is foreseen, and the truth: the bytes that lie there after a real backward and step."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from paramscope import Report, audit

OPTIMIZERS = [
    kind
    for kind in vars(torch.optim).values()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer
]
SETTINGS: list[dict[str, Any]] = [
    *({}, {"foreach": True}, {"fused": True}, {"amsgrad": True}, {"momentum": 0.9}, {"maximize": True}),
    *({"momentum": 0.9, "centered": True}, {"capturable": True}, {"differentiable": True}, {"weight_decay": 0.1}),
    *({"initial_accumulator_value": 0.5}, {"history_size": 3, "max_iter": 4}, {"lr": torch.tensor(0.01)}),
]


class Net(nn.Module):
    """Tied, partly frozen, in two dtypes, and with an odd tensor or two."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.low = nn.Linear(6, 5, bias=False).bfloat16()
        self.back = nn.Linear(5, 6, bias=False)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("table", torch.ones(3))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.frozen(self.embed(tokens))
        found: torch.Tensor = self.head(self.back(self.low(hidden.bfloat16()).float()))
        return found


class Sparse(nn.Module):
    """Embeddings with sparse gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Embedding(11, 6, sparse=True)
        self.second = nn.EmbeddingBag(7, 5, sparse=True)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.first(tokens).sum() + self.second(tokens).sum()  # type: ignore[no-any-return]


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """All that lies in the state of an optimizer."""
    if isinstance(value, torch.Tensor):
        yield value
    else:
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
            yield from tensors_in(each)


def nbytes(tensors: Any) -> int:
    """Bytes of tensors."""
    return sum(each.numel() * each.itemsize for each in tensors)


def held(*optimizers: torch.optim.Optimizer) -> int:
    """Bytes of what optimizers keep."""
    return nbytes(each for optimizer in optimizers for each in tensors_in(dict(optimizer.state)))


def backward(model: nn.Module) -> torch.Tensor:
    """One pass of any of the models."""
    loss: torch.Tensor = model(torch.tensor([[1, 2, 3]])).float().square().sum()
    loss.backward()
    return loss


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.__name__)
def test_what_a_first_step_leaves_is_foreseen(kind: Any) -> None:
    tried = 0
    for settings in SETTINGS:
        model = Sparse() if kind is torch.optim.SparseAdam else Net()
        try:
            optimizer = kind([each for each in model.parameters() if each.ndim == 2], **settings)
        except (TypeError, ValueError, RuntimeError):  # it has no such setting
            continue
        report = audit(model, optimizer=optimizer)
        first = report.cost.at_first_step
        assert first is not None
        try:
            optimizer.step(lambda model=model: backward(model))
        except (RuntimeError, AssertionError, TypeError):  # that this one cannot do on a CPU
            continue
        tried += 1
        (foreseen,) = first.foreseen
        assert foreseen.how == "held" if kind is torch.optim.Adagrad else foreseen.how in ("measured", "estimated")
        if kind is torch.optim.LBFGS:
            assert foreseen.how == "estimated"
            assert 0.4 < first.optimizer_state / held(optimizer) < 2.5
        else:
            assert first.optimizer_state == held(optimizer), (settings, foreseen)
            assert audit(model, optimizer=optimizer).cost.optimizer_state == held(optimizer)
            print(kind.__name__, settings, foreseen.how, foreseen.why, held(optimizer))
    assert tried >= 2
