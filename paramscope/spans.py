"""Spans: the bytes that a tensor reaches in its storage, told from offset, shape and stride. No torch, no data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paramscope.snapshot import TensorSpec

Layout = tuple[int, tuple[tuple[int, int], ...]]
"""First byte and the (stride, size) pairs in bytes, outermost first: equal layouts reach equal bytes."""


def layout_of(spec: TensorSpec, offset: int) -> Layout | None:
    """The bytes a tensor reaches, in a form that is equal for a transposed or reshaped view of the same.

    None where they cannot be told, and for tensors that reach none.
    """
    if spec.stride is None or spec.shape is None or spec.nbytes is None or not spec.numel:
        return None
    itemsize = spec.nbytes // spec.numel
    dims = sorted(
        ((step * itemsize, size) for step, size in zip(spec.stride, spec.shape, strict=True) if size > 1 and step),
        reverse=True,
    )
    merged: list[tuple[int, int]] = [(1, itemsize)]
    for step, size in reversed(dims):
        inner_step, inner_size = merged[-1]
        if step == inner_step * inner_size:
            merged[-1] = (inner_step, inner_size * size)
        else:
            merged.append((step, size))
    return offset * itemsize, tuple(reversed(merged))


def reached_bytes(layout: Layout) -> int:
    """Number of distinct bytes, at most: what overlaps itself is counted by its extent."""
    return min(math.prod(size for _, size in layout[1]), extent(layout))


def extent(layout: Layout) -> int:
    """Bytes from the first to the last that is reached."""
    return 1 + sum(step * (size - 1) for step, size in layout[1])


def covered_bytes(layouts: Iterable[Layout]) -> int:
    """Number of bytes that several tensors reach together, each byte once.

    Exact for spans without gaps and for strided ones that do not meet, or only inside of one without gaps; where
    strided ones share a part of their bytes, that part may be counted more than once.
    """
    total = start = end = solid = solid_end = gappy = 0
    for layout in sorted(set(layouts)):
        if layout[0] >= end:
            total += min(end - start, solid + gappy)
            start = solid_end = layout[0]
            solid = gappy = 0
        stop = layout[0] + extent(layout)
        end = max(end, stop)
        if len(layout[1]) > 1:
            gappy += reached_bytes(layout)
        elif stop > solid_end:
            solid += stop - max(solid_end, layout[0])
            solid_end = stop
    return total + min(end - start, solid + gappy)
