"""What the rules say of a model that is as it should be: fresh, half frozen in the usual ways, and with an optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from paramscope import Finding, Severity, audit

Prepare = Callable[[nn.Module], Any]
"""Changes what a model trains, and returns its optimizer, if it has one."""


def suspicions(model: nn.Module) -> tuple[str, ...]:
    """Every finding at warning or above, each once, with the state in which it was first met."""
    found: dict[str, str] = {}
    for name, prepare in STATES.items():
        with as_it_was(model):
            optimizer = prepare(model)
            for finding in audit(model, optimizer=optimizer).findings:
                if finding.severity >= Severity.WARNING:
                    found.setdefault(line(finding), name)
    return tuple(f"{name}: {said}" for said, name in found.items())


def line(finding: Finding) -> str:
    """One finding in one line."""
    where = f" ({finding.location.file}:{finding.location.line})" if finding.location else ""
    return f"{finding.code} {finding.severity.value}{where}: {finding.message}"


@contextmanager
def as_it_was(model: nn.Module) -> Iterator[None]:
    """Puts back what the states change."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    training = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for parameter, requires_grad in before:
            if parameter.requires_grad is not requires_grad:
                parameter.requires_grad_(requires_grad)
        for parameter, gradient in gradients:
            parameter.grad = gradient
        for module, was_training in training:
            module.training = was_training


def layers(model: nn.Module) -> list[nn.Module]:
    """What people mean by a model's layers: its longest list, or its children."""
    lists = [module for module in model.modules() if isinstance(module, (nn.ModuleList, nn.Sequential))]
    longest = max(lists, key=len, default=None)
    return list(longest if longest is not None and len(longest) > 1 else model.children())


def freeze(modules: list[nn.Module]) -> None:
    """As it should be done: in eval mode, or norms go on moving their statistics."""
    for module in modules:
        module.eval()
        for parameter in module.parameters():
            if (parameter.is_floating_point() or parameter.is_complex()) and not is_lazy(parameter):
                parameter.requires_grad_(False)


def first_layers(model: nn.Module) -> None:
    """The first half of the layers, and the input embedding."""
    found = layers(model)
    embedding = next((module for module in model.modules() if isinstance(module, nn.Embedding)), None)
    freeze(found[: len(found) // 2] + ([embedding] if embedding is not None else []))


def last_layers(model: nn.Module) -> None:
    """The last half of the layers."""
    found = layers(model)
    freeze(found[len(found) // 2 :])


def all_but_the_head(model: nn.Module) -> None:
    """Everything but the last child."""
    freeze(list(model.children())[:-1])


def adamw(model: nn.Module) -> torch.optim.Optimizer | None:
    """Matrices decay, norms and biases do not."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable or any(map(is_lazy, trainable)):
        return None
    return torch.optim.AdamW(
        [
            {"params": [parameter for parameter in trainable if parameter.ndim > 1], "weight_decay": 0.1},
            {"params": [parameter for parameter in trainable if parameter.ndim < 2], "weight_decay": 0.0},
        ],
        lr=3e-4,
    )


def fine_tuned(model: nn.Module) -> torch.optim.Optimizer | None:
    """The first layers frozen, and an AdamW over the rest."""
    first_layers(model)
    return adamw(model)


def after_a_step(model: nn.Module) -> torch.optim.Optimizer | None:
    """The same with the gradients that a backward leaves behind."""
    optimizer = fine_tuned(model)
    if optimizer is not None:
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter)
    return optimizer


def in_eval_mode(model: nn.Module) -> None:
    """As it is used."""
    model.eval()


STATES: dict[str, Prepare] = {
    "fresh": lambda model: None,
    "first layers frozen": first_layers,
    "last layers frozen": last_layers,
    "all but the head frozen": all_but_the_head,
    "with AdamW": adamw,
    "first layers frozen, with AdamW": fine_tuned,
    "after a step": after_a_step,
    "in eval mode": in_eval_mode,
}
