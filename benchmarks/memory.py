"""Bytes that a Snapshot keeps, slot by slot."""

from __future__ import annotations

import gc
import tracemalloc
from typing import NamedTuple

from torch import nn

from paramscope import capture


class Kept(NamedTuple):
    """What one Snapshot holds on to."""

    slots: int
    nbytes: int
    peak_nbytes: int
    """The most that was held while it was made."""

    @property
    def per_slot(self) -> float:
        """Bytes a slot."""
        return self.nbytes / self.slots


def kept_memory(model: nn.Module) -> Kept:
    """Captures a model under tracemalloc and counts what is left when the garbage is gone."""
    capture(model)  # what is cached by class is paid once and is no part of a snapshot
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        snapshot = capture(model)
        _, peak = tracemalloc.get_traced_memory()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return Kept(len(snapshot.slots), after - before, peak - before)
