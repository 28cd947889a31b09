"""What an optimizer keeps for a parameter, in bytes; no tensor's elements are read."""

from __future__ import annotations

from collections import Counter
from typing import Any

from paramscope.capture.classes import is_a, is_tensor_class
from paramscope.capture.groups import items
from paramscope.capture.tensors import whole_spec
from paramscope.snapshot import StateBytes

DEPTH_BOUND = 8
"""Lists within lists that are looked into."""


def state_bytes(state: Any, counted: set[int]) -> tuple[StateBytes, ...]:
    """What the state of one parameter takes, by dtype and device, also in lists and dicts within it.

    counted: ids of the tensors that were counted for others, which the caller holds; those that are met are added.
    """
    sums: Counter[tuple[str | None, str | None]] = Counter()
    pending = [(state, 0)]
    while pending:
        value, depth = pending.pop()
        if is_tensor_class(type(value)):
            if id(value) not in counted:
                counted.add(id(value))
                spec = whole_spec(value)
                sums[spec.dtype, spec.device] += spec.nbytes or 0
        elif depth < DEPTH_BOUND:
            within = dict.values(value) if is_a(value, dict) else items(value)
            pending.extend((each, depth + 1) for each in within)
    return tuple(StateBytes(*place, nbytes) for place, nbytes in sums.items())
