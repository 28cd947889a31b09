"""What a function that builds a model hands over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn


class Built(NamedTuple):
    """A model, or several roots by name, and how it is trained."""

    model: Any
    inputs: tuple[Any, ...] | None = None
    """What `model` is called with for a real step."""
    optimizer: Any = None
    """The package's own; a plain AdamW over `parameters()` where there is none."""
    loss: Callable[[], torch.Tensor] | None = None
    """Runs a forward; used where `inputs` do not say how."""
    step: Callable[[], Any] | None = None
    """Does the whole step itself."""
    name: str = ""
    """Tells several that one function yields apart."""


class Refused(NamedTuple):
    """One of several that its package does not make in this way; the others go on."""

    name: str
    error: Exception


def total(output: Any) -> torch.Tensor | None:
    """A loss made of everything in an output that depends on a parameter; None where nothing does."""
    terms = [tensor.float().pow(2).mean() for tensor in tensors(output) if tensor.requires_grad]
    return torch.stack(terms).sum() if terms else None


def tensors(output: Any) -> list[torch.Tensor]:
    """Floating-point tensors anywhere in an output; complex ones as pairs of numbers."""
    if isinstance(output, torch.Tensor):
        if output.is_complex():
            return [torch.view_as_real(output)]
        return [output] if output.is_floating_point() else []
    if isinstance(output, dict):
        return [tensor for value in output.values() for tensor in tensors(value)]
    if isinstance(output, (list, tuple)):
        return [tensor for value in output for tensor in tensors(value)]
    if hasattr(output, "rsample"):
        return tensors(output.rsample())
    if hasattr(output, "__dict__") and not isinstance(output, (nn.Module, type)):
        return [tensor for value in vars(output).values() for tensor in tensors(value)]
    return []


def adamw(model: nn.Module) -> torch.optim.Optimizer | None:
    """What most people write; None where nothing is to be trained."""
    parameters = list(model.parameters())
    if not any(p.requires_grad for p in parameters) or any(map(nn.parameter.is_lazy, parameters)):
        return None
    return torch.optim.AdamW(parameters, lr=1e-3)
