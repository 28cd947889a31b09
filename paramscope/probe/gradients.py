"""Gradients as they arrived → what is said of them: whether they are zero, their norms, the rows that got one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from paramscope.snapshot import Gradient

_LEAST, _MOST = 1e-15, 1e15
"""Between these, a norm in float32 is right: outside, squares are too small or too large for it."""


class Arrived(NamedTuple):
    """What is said of one gradient: as `TensorRun` has it."""

    grad: Gradient
    norm: float | None
    rows: tuple[int, int] | None


def arrived(tensors: Sequence[torch.Tensor]) -> dict[int, Arrived]:
    """What is said of the gradients that there are, by the position of the tensor. Each device is waited for once,
    unless there are zeros."""
    sums: dict[torch.device, list[tuple[int, torch.Tensor, torch.Tensor]]] = {}
    for number, tensor in enumerate(tensors):
        grad = tensor.grad if tensor.is_leaf else None
        if grad is not None:
            rows = _rows(grad)
            norms = torch.linalg.vector_norm(rows, dim=1, dtype=_wide(rows))
            both = torch.stack([torch.linalg.vector_norm(norms).double(), (norms != 0).sum().double()])
            sums.setdefault(rows.device, []).append((number, rows, both))
    found: dict[int, Arrived] = {}
    for each in sums.values():
        for (number, rows, _), said in zip(each, torch.stack([both for *_, both in each]).tolist(), strict=True):
            found[number] = _said(tensors[number], rows, *said)
    return found


def norm_of(tensor: torch.Tensor) -> float:
    """Euclidean norm, whatever the size of the elements; inf or NaN where one of them is."""
    norm = float(torch.linalg.vector_norm(tensor, dtype=_wide(tensor)))
    if _LEAST < norm < _MOST or not tensor.numel():
        return norm
    largest = float(torch.linalg.vector_norm(tensor, torch.inf))
    if not 0 < largest < torch.inf:
        return largest
    scaled = tensor.to(torch.promote_types(tensor.dtype, torch.float64)) / largest
    return float(torch.linalg.vector_norm(scaled)) * largest


def widened(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in its dtype, or in one of 32 bits where that is longer."""
    return tensor.to(_wide(tensor))


def _wide(tensor: torch.Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def _rows(grad: torch.Tensor) -> torch.Tensor:
    """A gradient as a matrix, its first dimension the rows: of a sparse one, those that it has."""
    if grad.layout is torch.sparse_coo:
        grad = grad.coalesce().values()
    elif grad.layout is not torch.strided:
        grad = grad.to_dense()
    return grad.reshape(len(grad) if grad.ndim else 1, -1) if grad.numel() else grad.new_zeros(1, 1)


def _said(tensor: torch.Tensor, rows: torch.Tensor, norm: float, moved: float) -> Arrived:
    if not _LEAST < norm < _MOST or moved < len(rows):
        moved = float((rows != 0).any(1).sum())
        norm = norm_of(rows)
    grad: Gradient = "zero" if norm == 0 else "finite" if norm < torch.inf else "non-finite"
    has_rows = tensor.ndim > 1 and tensor.numel() > 0
    return Arrived(grad, norm if norm < torch.inf else None, (int(moved), len(tensor)) if has_rows else None)
