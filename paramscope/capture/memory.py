"""Storages that lie in one memory, though torch does not know it: two made from one numpy array, or from one file.

All are alive together, so that their addresses are safe to compare. Addresses are asked of no copy-on-write
storage, and of none without memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

_C: Any = torch._C


def meeting_storages(storages: Iterable[tuple[int, int, int, Any]]) -> dict[int, tuple[int, int]]:
    """For every storage whose bytes meet those of another: (lowest number among them, its first byte there).

    storages: (device, number, bytes, a tensor that views it).
    """
    ranges = []
    for device, number, nbytes, tensor in storages:
        if nbytes and not _C._is_cow_tensor(tensor):
            # NOTE: `_data_address` is that of the storage, and does not make a copy as `data_ptr()` may.
            address = _C._data_address(tensor)
            if address:
                ranges.append((device, address, address + nbytes, number))
    ranges.sort()
    memories: dict[int, tuple[int, int]] = {}
    cluster: list[tuple[int, int]] = []
    here, begin, end = -1, 0, 0
    for device, first, last, number in [*ranges, (-1, 0, 0, -1)]:
        if device != here or first >= end:
            if len(cluster) > 1:
                lowest = min(member for _, member in cluster)
                memories.update((member, (lowest, start - begin)) for start, member in cluster)
            cluster, here, begin, end = [], device, first, last
        cluster.append((first, number))
        end = max(end, last)
    return memories
