"""Which bytes of which memory each tensor reaches: storages over one memory (two tensors made from one numpy array)
are told as one, and so are the parts that a tensor is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import NamedTuple

from paramscope.snapshot.columns import StorageColumns, TensorColumns
from paramscope.snapshot.records import TensorSpec
from paramscope.snapshot.spans import Layout, covered_bytes, layout_of


class Span(NamedTuple):
    """Bytes that a tensor, or a part of one, reaches."""

    storage: int
    memory: int
    """Number of the first storage over the same memory."""
    layout: Layout
    """Counted from the first byte of that memory."""


class Memory:
    """The storages of a snapshot, and what its tensors reach of them."""

    __slots__ = ("_layouts", "_nbytes", "_specs", "_starts", "_tensors")

    def __init__(self, tensors: TensorColumns, storages: StorageColumns, specs: Sequence[TensorSpec]) -> None:
        self._tensors, self._specs = tensors, specs
        self._nbytes, self._starts = storages.nbytes, storages.memories
        self._layouts: dict[int, Layout | None] = {}
        """By the number of a spec, what tensors of it reach from the first byte of a storage on."""

    def of(self, storage: int) -> int:
        """Number of the first storage over the same memory as one."""
        return self._starts.get(storage, (storage, 0))[0]

    def start(self, storage: int) -> int:
        """First byte of a storage, counted from the first byte of its memory."""
        return self._starts.get(storage, (storage, 0))[1]

    def spans(self, tensor: int) -> Iterator[Span]:
        """The bytes of a tensor, by its number, then of what it is made of; nothing where it reaches none."""
        tensors = self._tensors
        storage, number = tensors.storages[tensor], tensors.specs[tensor]
        if storage >= 0:
            if number not in self._layouts:
                self._layouts[number] = layout_of(self._specs[number], 0)
            layout = self._layouts[number]
            if layout is not None:
                yield self.span(storage, layout, tensors.offsets[tensor] * _itemsize(self._specs[number]))
        for part in tensors.parts.get(tensor, ()):
            layout = layout_of(part.spec, part.offset)
            if part.storage is not None and layout is not None:
                yield self.span(part.storage, layout)

    def reached(self, tensors: Iterable[int]) -> dict[int, int]:
        """By storage, how many of its bytes some tensors reach together; absent where they reach none."""
        layouts: dict[int, list[Layout]] = {}
        for tensor in tensors:
            for span in self.spans(tensor):
                layouts.setdefault(span.storage, []).append(span.layout)
        return {storage: min(covered_bytes(found), self._nbytes[storage]) for storage, found in layouts.items()}

    def span(self, storage: int, layout: Layout, offset: int = 0) -> Span:
        """What a layout reaches of a storage, `offset` bytes further on."""
        memory, start = self._starts.get(storage, (storage, 0))
        first, dims = layout
        return Span(storage, memory, (first + offset + start, dims))


def _itemsize(spec: TensorSpec) -> int:
    return spec.nbytes // prod(spec.shape) if spec.nbytes and spec.shape is not None else 0
