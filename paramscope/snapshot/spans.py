"""Spans: the bytes that a tensor reaches in its storage, told from offset, shape and stride. No torch, no data."""

from __future__ import annotations

import math
from collections.abc import Iterable

from paramscope.snapshot.records import TensorSpec

RUN_BOUND = 250_000
"""Runs of bytes that are listed to see what strided spans have in common."""

Layout = tuple[int, tuple[tuple[int, int], ...]]
"""First byte and the (stride, size) pairs in bytes, outermost first: equal layouts reach equal bytes."""


def layout_of(spec: TensorSpec, offset: int) -> Layout | None:
    """The bytes a tensor reaches, in a form that is equal for a transposed or reshaped view of the same.

    None where they cannot be told, and for tensors that reach none.
    """
    if spec.stride is None or spec.shape is None or spec.nbytes is None or not (stored := math.prod(spec.shape)):
        return None
    itemsize = spec.nbytes // stored
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

    Exact up to `RUN_BOUND` runs of bytes in spans that meet; beyond, what strided ones have in common may be counted
    more than once, but never more than lies between the first byte and the last.
    """
    total = end = 0
    cluster: list[Layout] = []
    for layout in sorted(set(layouts)):
        if cluster and layout[0] >= end:
            total += _covered_by_cluster(cluster)
            cluster = []
        cluster.append(layout)
        end = max(end, layout[0] + extent(layout))
    return total + _covered_by_cluster(cluster)


def _covered_by_cluster(cluster: list[Layout]) -> int:
    """The same for spans that hang together from their first bytes to their last."""
    if len(cluster) == 1 and _is_nested(cluster[0]):
        return reached_bytes(cluster[0])
    strided = [layout for layout in cluster if len(layout[1]) > 1]
    runs = sorted((layout[0], layout[0] + extent(layout)) for layout in cluster if len(layout[1]) == 1)
    if sum(math.prod(size for _, size in dims[:-1]) for _, dims in strided) > RUN_BOUND:
        whole = max(start + extent((start, dims)) for start, dims in cluster) - cluster[0][0]
        return min(whole, _union(runs) + sum(map(reached_bytes, strided)))
    for begin, dims in strided:
        starts = [begin]
        for step, size in dims[:-1]:
            starts = [start + step * i for start in starts for i in range(size)]
        runs.extend((start, start + dims[-1][1]) for start in starts)
    runs.sort()
    return _union(runs)


def _is_nested(layout: Layout) -> bool:
    """Whether each step is at least as long as all that the shorter ones reach, so that no byte is met twice."""
    reach = 1
    for step, size in reversed(layout[1]):
        if step < reach:
            return False
        reach += step * (size - 1)
    return True


def _union(runs: list[tuple[int, int]]) -> int:
    """Length of (start, end) intervals together, given by rising start."""
    total = reached = 0
    for start, end in runs:
        if end > reached:
            total += end - max(start, reached)
            reached = end
    return total
