"""What was told of classes before, by identity: to hash a class, or to compare it, may run its metaclass's code."""

from __future__ import annotations

from typing import Generic, TypeVar
from weakref import ref

SIZE_BOUND = 20_000
"""Classes that are remembered; then it begins anew."""

T = TypeVar("T")


class ByClass(Generic[T]):
    """One fact about each of many classes, which it keeps no class alive for."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[ref[type], T]] = {}

    def get(self, cls: type) -> T | None:
        """What is known of a class."""
        known = self._known.get(id(cls))
        # Another class may have come to the address of one that is gone.
        return known[1] if known is not None and known[0]() is cls else None

    def put(self, cls: type, fact: T) -> T:
        """Remembers a fact, and returns it."""
        if len(self._known) >= SIZE_BOUND:
            self._known.clear()
        self._known[id(cls)] = (ref(cls), fact)
        return fact
