"""Tensors → a few of their elements, and norms: the only place here where elements are read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

ELEMENTS = 8
"""Of one tensor, to see whether a step moved it."""
_PLAIN = frozenset({torch.Tensor, nn.Parameter})
_READ = frozenset({torch.float64, torch.float32, torch.float16, torch.bfloat16})


def is_readable(tensor: Any) -> bool:
    """Whether a tensor has elements that can be read one by one, none of its class's code running."""
    return (
        type(tensor) in _PLAIN
        and tensor.layout is torch.strided
        and tensor.dtype in _READ
        and tensor.device.type != "meta"
        and tensor.numel() > 0
    )


def sample(tensor: Any) -> Any:
    """A view of some elements: those at the same coordinates of any tensor of this shape, whatever its strides."""
    shape = tensor.shape
    count = min(ELEMENTS, max(shape, default=1))
    if count == 1:
        return tensor.as_strided((1,), (1,), tensor.storage_offset())
    stride = sum((size - 1) // (count - 1) * stride for size, stride in zip(shape, tensor.stride(), strict=True))
    return tensor.as_strided((count,), (stride,), tensor.storage_offset())


def samples(tensors: Sequence[Any]) -> list[list[float]]:
    """The elements of each that `sample` takes."""
    found: list[list[float]] = [[]] * len(tensors)
    for positions in _by_device(tensors):
        views = [sample(tensors[at]) for at in positions]
        elements = torch.cat(views).tolist()
        start = 0
        for at, view in zip(positions, views, strict=True):
            found[at] = elements[start : start + view.shape[0]]
            start += view.shape[0]
    return found


def norms(tensors: Sequence[Any]) -> list[float]:
    """The Euclidean norm of each, or, where that overflows, its greatest magnitude: finite where all elements are."""
    found = _norms(tensors, 2.0)
    # NOTE: the greatest magnitude tells it at once, in twenty times the time.
    odd = [at for at, norm in enumerate(found) if not math.isfinite(norm)]
    for at, most in zip(odd, _norms([tensors[at] for at in odd], math.inf), strict=True):
        found[at] = most
    return found


def _norms(tensors: Sequence[Any], order: float) -> list[float]:
    found = [0.0] * len(tensors)
    for positions in _by_device(tensors):
        told = torch._foreach_norm([tensors[at] for at in positions], order)
        for at, norm in zip(positions, torch.stack(told).tolist(), strict=True):
            found[at] = norm
    return found


def _by_device(tensors: Sequence[Any]) -> Iterable[list[int]]:
    """Positions of the tensors on each device, of each dtype."""
    groups: dict[Any, list[int]] = {}
    for at, tensor in enumerate(tensors):
        groups.setdefault((tensor.device, tensor.dtype), []).append(at)
    return groups.values()
