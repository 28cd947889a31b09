"""Modules that hold given tensors, and how these meet in memory."""

from __future__ import annotations

import torch
from torch import nn

from paramscope import Report, audit


def sharing(model: nn.Module) -> list[tuple[str, tuple[str, ...], int]]:
    """(kind, slots, bytes) of every fact."""
    report = audit(model)
    assert Report.from_json(report.to_json()) == report
    return [(record.kind, record.slots, record.nbytes) for record in report.sharing]


def holder(**tensors: torch.Tensor) -> nn.Module:
    """A module with a Parameter for each tensor."""
    model = nn.Module()
    for name, tensor in tensors.items():
        model.register_parameter(name, nn.Parameter(tensor))
    return model
