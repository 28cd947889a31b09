"""Tensors → checksums of their bits: equal ones have equal checksums, on every rank and device.

Each is read once, where it lies. Its bits are taken as integers, in rows of a prime number of them; columns are added
up, each of the sums is multiplied by an odd number of its own, and these are added up, all of it modulo 2**64. So a
single bit that differs always shows, and what changed its place shows unless it went a whole number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from paramscope.capture.values import bits, distinct, pieces

_COLUMNS = 16_381
_ODD = 0x9E3779B97F4A7C15
_WORD = 8
"""Bytes."""
_SEEN = 4_096
"""Elements that are looked at to tell whether all are one."""


def checksums(tensors: Sequence[Any]) -> list[str]:
    """Of each, 16 hexadecimal digits. tensors: such as `values.why_unread` finds nothing against."""
    sums = [_sum(tensor.detach()) for tensor in tensors]
    by_device: dict[Any, list[int]] = {}
    for at, each in enumerate(sums):
        by_device.setdefault(each.device, []).append(at)
    found = [""] * len(sums)
    for held in by_device.values():  # the device is waited for once
        for at, number in zip(held, torch.stack([sums[each] for each in held]).tolist(), strict=True):
            found[at] = f"{number & (1 << 64) - 1:016x}"
    return found


def looks_constant(tensor: Any) -> bool:
    """Whether the first elements are all one, as those of ones and zeros are; true of less than two elements."""
    if tensor.numel() < 2:
        return True
    piece = tensor.detach()
    while piece.dim() > 1 and piece[0].numel() >= _SEEN:
        piece = piece[0]
    few = bits(distinct(piece)).reshape(-1)[:_SEEN]
    return bool((few == few[0]).all())


def _sum(tensor: Any) -> Any:
    """One integer, on the tensor's device."""
    total = torch.full((), tensor.numel(), dtype=torch.int64, device=tensor.device)
    for number, piece in enumerate(pieces(distinct(tensor))):
        if piece.numel():
            total = total * 3 + _of_piece(bits(piece).contiguous().reshape(-1)) + number
    return total


def _of_piece(whole: Any) -> Any:
    size = whole.dtype.itemsize
    each = _WORD // size
    if whole.storage_offset() * size % _WORD:
        whole = whole.clone()
    end = whole.numel() // each * each
    words, rest = whole[:end].view(torch.int64), whole[end:].to(torch.int64)
    rows = words.numel() // _COLUMNS
    total = _weighted(rest)
    if rows:
        total = total * 3 + _weighted(words[: rows * _COLUMNS].view(rows, _COLUMNS).sum(0))
    return total * 3 + _weighted(words[rows * _COLUMNS :])


def _weighted(numbers: Any) -> Any:
    """Their sum, each times an odd number of its own."""
    places = torch.arange(numbers.numel(), dtype=torch.int64, device=numbers.device)
    return (numbers * (places * (_ODD - (1 << 64)) | 1)).sum()
