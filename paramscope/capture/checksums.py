"""Tensors → checksums of their bits: equal ones have equal checksums, on every rank and device.

Each is read once, where it lies. Its bits are taken as integers, in rows of 8 times a prime; columns are added
up, each of the sums is multiplied by an odd number of its own, and these are added up, all of it modulo 2**64. So a
single bit that differs always shows, and what changed its place shows unless it went a whole number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from paramscope.capture.values import bits, distinct, pieces

_COLUMNS = 8 * 8_191
"""On a CPU, their sums stay in its cache while rows go by, and rows begin where its lines do."""
_ODD = 0x9E3779B97F4A7C15
_WORD = 8
"""Bytes."""
_SEEN = 4_096
"""Elements that are looked at to tell whether all are one."""


def checksums(tensors: Sequence[Any], progress: Callable[[int, int], None] | None = None) -> list[str]:
    """Of each, 16 hexadecimal digits.

    tensors: such as `values.why_unread` finds nothing against. progress: is given, after each tensor, how many
    elements have been read, and how many there are to read.
    """
    sums: list[Any] = []
    done, total = 0, sum(each.numel() for each in tensors)
    for each in tensors:
        sums.append(_sum(each.detach()))
        done += each.numel()
        if progress is not None:
            progress(done, total)
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
    size = min(_COLUMNS, tensor.numel() * tensor.dtype.itemsize // _WORD + _WORD)
    columns = torch.zeros(size, dtype=torch.int64, device=tensor.device)
    for piece in pieces(distinct(tensor)):
        columns *= 3
        for row in _rows(bits(piece).contiguous().reshape(-1)):
            columns[: row.numel()] += row
    places = torch.arange(size, dtype=torch.int64, device=tensor.device)
    return (columns * (places * (_ODD - (1 << 64)) | 1)).sum() + tensor.numel()


def _rows(whole: Any) -> Iterator[Any]:
    """A piece's bits as rows of integers."""
    size = whole.dtype.itemsize
    each = _WORD // size
    if whole.storage_offset() * size % _WORD:
        whole = whole.clone()
    end = whole.numel() // each * each
    words, rest = whole[:end].view(torch.int64), whole[end:].to(torch.int64)
    full = words.numel() // _COLUMNS * _COLUMNS
    rows = words[:full].view(-1, _COLUMNS)
    # On a CPU, torch's own sum of rows takes longer than adding them one by one.
    yield from rows if rows.device.type == "cpu" else (rows.sum(0),)
    yield words[full:]
    yield rest
