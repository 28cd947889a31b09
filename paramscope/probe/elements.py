"""The elements of tensors: copied by storage, compared bit for bit, put back in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensor

from paramscope.capture.parts import inner_tensors
from paramscope.errors import RunError
from paramscope.probe.failing import is_out_of_memory

_PLAIN = (torch.Tensor, torch.nn.Parameter)
"""Classes of tensors that hold their elements themselves, where they are strided."""
_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""By bytes, what elements are compared as: of two NaN, it is the bits that are equal or not."""


class _Place(NamedTuple):
    """Where a tensor's elements lie. Offset, size and stride in elements, itemsize in bytes."""

    storage: int
    """Its address."""
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    itemsize: int


class _Copied(NamedTuple):
    live: torch.UntypedStorage
    """Held, so that no other storage gets its address."""
    copy: torch.UntypedStorage


class Elements:
    """Copies of the storages that some tensors view, each on its own device."""

    def __init__(self) -> None:
        self.copied: dict[int, _Copied] = {}
        """By the address of the live one."""
        self.untouched: set[int] = set()
        """Addresses of storages that are known to be as they were."""

    def keep(self, tensor: torch.Tensor) -> None:
        """Copies the elements of a tensor, once for all that view them. Raises RunError where memory is short."""
        for part in _parts(tensor):
            storage = part.untyped_storage()
            if storage._cdata not in self.copied:
                self.copied[storage._cdata] = _Copied(storage, _copy(storage))

    def put_back(self) -> None:
        """Writes the elements that differ from the copies: memory that nobody wrote to stays as it is mapped."""
        for address, (live, copy) in self.copied.items():
            if address in self.untouched:
                continue
            if live.nbytes() != copy.nbytes():
                live.resize_(copy.nbytes())
            if not _are_equal(live, copy):
                live.copy_(copy, non_blocking=False)


class Watch:
    """Which of some tensors change from one moment to the next."""

    def __init__(self, tensors: Sequence[torch.Tensor], kept: Elements) -> None:
        """kept: copies of what they are now; what it lacks is added."""
        for tensor in tensors:
            kept.keep(tensor)
        self._tensors = tensors
        self._kept = kept
        self._copied = dict(kept.copied)
        self._was = [_places(tensor) for tensor in tensors]
        self._known: dict[int, bool] = {}
        """Whether a storage is as it was, by its address, as `changed` has found it."""

    def changed(self) -> set[int]:
        """Positions of the tensors whose elements are others than at the last moment."""
        self._known.clear()
        found = set()
        for position, tensor in enumerate(self._tensors):
            was, now = self._was[position], _places(tensor)
            if len(was) != len(now) or not all(self._is_same(*each) for each in zip(was, now, strict=True)):
                found.add(position)
        return found

    def ends(self) -> None:
        """Nothing runs any more after `changed`: what is as it was in the beginning need not be looked at again."""
        kept = self._kept.copied
        self._kept.untouched = {
            address
            for address, is_same in self._known.items()
            if is_same and self._copied[address] is kept.get(address)
        }

    def before(self, position: int) -> torch.Tensor | None:
        """A tensor as it was at the last moment; None for what has its elements in several others."""
        tensor, was = self._tensors[position], self._was[position]
        if len(was) != 1 or was[0][0].itemsize != tensor.dtype.itemsize or tensor.layout is not torch.strided:
            return None
        place = was[0][0]
        empty = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        return empty.set_(self._copied[place.storage].copy, place.offset, place.size, place.stride)

    def go_on(self) -> None:
        """What `changed` has just seen is what it next compares with."""
        self._was = [_places(tensor) for tensor in self._tensors]
        new = {place.storage: live for places in self._was for place, live in places}
        for address, live in new.items():
            if not self._known.get(address, False):
                self._copied[address] = _Copied(live, _copy(live))

    def _is_same(self, was: tuple[_Place, Any], now: tuple[_Place, torch.UntypedStorage]) -> bool:
        (before, _), (after, live) = was, now
        copy = self._copied[before.storage].copy
        if before == after:
            if before.storage not in self._known:
                self._known[before.storage] = _are_equal(live, copy)
            if self._known[before.storage] or live.nbytes() != copy.nbytes():
                return self._known[before.storage]
        if (before.size, before.itemsize) != (after.size, after.itemsize):
            return False
        return torch.equal(_words(copy, before), _words(live, after))


def _places(tensor: torch.Tensor) -> list[tuple[_Place, torch.UntypedStorage]]:
    found = []
    for part in _parts(tensor):
        storage, itemsize = part.untyped_storage(), part.dtype.itemsize
        if part.is_nested:
            size, stride = (storage.nbytes() // itemsize,), (1,)
        else:
            size, stride = tuple(part.size()), tuple(part.stride())  # type: ignore[assignment]
        offset = 0 if part.is_nested else int(part.storage_offset())
        found.append((_Place(storage._cdata, offset, size, stride, itemsize), storage))
    return found


def _parts(tensor: torch.Tensor) -> list[torch.Tensor]:
    """What holds a tensor's elements: itself, its indices and values, what it wraps; nothing where there are none."""
    if type(tensor) in _PLAIN and tensor.layout is torch.strided:
        parts = [tensor]
    else:
        parts = [part for _, part in inner_tensors(tensor)] or [tensor]
    return [each for each in parts if _has_elements(each)]


def _has_elements(tensor: torch.Tensor) -> bool:
    if isinstance(tensor, FakeTensor) or tensor.is_meta or tensor.layout is not torch.strided:
        return False
    return bool(torch._C._has_storage(tensor))


def _copy(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    try:
        return storage.clone()  # type: ignore[no-any-return, no-untyped-call]
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(
            f"memory is short for a copy of the model, which is to be as it was: {storage.nbytes():,} bytes more",
            'run="graph" takes no memory: it tells what the loss reaches, not what changes.',
        ) from error


def _are_equal(one: torch.UntypedStorage, other: torch.UntypedStorage) -> bool:
    nbytes = one.nbytes()
    if nbytes != other.nbytes():
        return False
    itemsize = 1 if nbytes % 8 else 8
    place = _Place(0, 0, (nbytes // itemsize,), (1,), itemsize)
    return torch.equal(_words(one, place), _words(other, place))


def _words(storage: torch.UntypedStorage, place: _Place) -> torch.Tensor:
    """Elements as integers."""
    word = _WORDS.get(place.itemsize, torch.int64)
    per = place.itemsize // word.itemsize
    empty = torch.empty(0, dtype=word, device=storage.device)
    stride = (*(each * per for each in place.stride), 1)
    return empty.set_(storage, place.offset * per, (*place.size, per), stride)
