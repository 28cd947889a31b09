"""The register of tensors: each distinct tensor becomes one row of columns, its bytes untouched.

Which storage a tensor views is known by the storage object, not by an address: `data_ptr()` is 0 for meta,
fake and empty tensors, and asking a copy-on-write tensor for it copies.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import prod
from operator import attrgetter, itemgetter, mul
from typing import Any

import torch
from torch import nn

from paramscope.capture.memory import meeting_storages
from paramscope.capture.parts import answers_for_itself, inner_tensors
from paramscope.capture.tensors import flags_of, is_parameter, make_spec, spec_of, spec_of_whole
from paramscope.snapshot import (
    HAS_GRAD,
    HERE,
    IS_LEAF,
    IS_PARAMETER,
    REQUIRES_GRAD,
    Part,
    StorageColumns,
    TensorColumns,
    TensorSpec,
)

_CHUNK = 512
"""Tensors that are read together: few enough to stay in the processor's cache from one question to the next."""

# Looked up on the base class: a subclass may define `shape` as a property of its own.
_Base: Any = torch._C.TensorBase
# Reading these classes through their own attributes runs nothing but torch.
_PLAIN = frozenset(map(id, (torch.Tensor, nn.Parameter)))
_NO_TENSOR = id(None)
_NONE = frozenset({_NO_TENSOR})
# One call that reads much is cheaper than many that read little.
_read = attrgetter("shape", "dtype", "device", "requires_grad", "is_leaf")
_read_gradient = attrgetter("grad")
_first: Any = itemgetter(0)
_second: Any = itemgetter(1)
_identity_of = attrgetter("_cdata")
_Storage: Any = torch.UntypedStorage

_specs_of: dict[tuple[type, Any], TensorSpec] = {}
"""What was worked out before, by the class of a plain tensor and what `_read` says of it, which is all there is."""
_SPECS_BOUND = 100_000


def _row_major(shape: Iterable[int]) -> tuple[int, ...]:
    """Strides of a contiguous tensor."""
    sizes = [max(size, 1) for size in shape]
    return tuple(accumulate([1, *reversed(sizes[1:])], mul))[::-1][: len(sizes)]


class TensorRegister:
    """Numbers tensors in the order they are met and keeps what can be said of each.

    `numbers` and `held` grow while the walk goes on; `flush` reads all that came since.

    NOTE: an `id()` is a key only while its object lives, so every tensor entered is held until the register
    itself goes.
    """

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        self.held: list[Any] = []
        self.specs = array("i")
        self.storages = array("i")
        self.offsets = array("q")
        self.flags = bytearray()
        self.storage_nbytes = array("q")
        self.storage_devices = array("i")
        self.unreadable: set[int] = set()
        """Tensors whose shape cannot be read without running the code of their class."""
        self.unusual: list[int] = []
        """Tensors of a class of their own, by number."""
        self.repeated: set[int] = set()
        """Tensors that stand in more than one slot."""
        self.crowded: set[int] = set()
        """Storages that more than one tensor views."""
        self._has_borrowed = False
        """Whether a storage is over memory that torch did not allocate, and others may map as well."""
        self._parts: dict[int, tuple[Part, ...]] = {}
        self._part_tensors: list[tuple[int, Any]] = []
        """(storage, tensor) of parts, held as all tensors are."""
        self._own_specs: dict[int, TensorSpec] = {}
        """Of tensors that were given the shape of a whole, what they say themselves."""
        self._specs_and_flags: dict[Any, tuple[int, int]] = {}
        """(number of the spec, flags) by the class and what `_read` says of a tensor."""
        self._spec_numbers: dict[TensorSpec, int] = {}
        self._specs: list[TensorSpec] = []
        self._spec_devices: list[int] = []
        self._storage_numbers: dict[int, int] = {}
        self._devices: dict[str, int] = {}

    def enter(self, tensor: Any) -> int:
        """The number of a tensor that is known to be new."""
        number = self.numbers[id(tensor)] = len(self.held)
        self.held.append(tensor)
        return number

    def enter_all(self, tensors: list[Any]) -> Sequence[int]:
        """The numbers of the first tensors of all; -1 for each None."""
        numbers = dict(zip(map(id, tensors), range(len(tensors)), strict=True))
        if len(numbers) < len(tensors) or _NO_TENSOR in numbers:
            return [-1 if tensor is None else self.number_of(tensor) for tensor in tensors]
        self.numbers = numbers
        self.held = tensors
        return range(len(tensors))

    def number_of(self, tensor: Any) -> int:
        """The number of a tensor in one more slot; it is entered if it is new."""
        known = self.numbers.get(id(tensor))
        if known is None:
            return self.enter(tensor)
        self.repeated.add(known)
        return known

    def flush(self) -> None:
        """Reads the tensors that were entered since the last time."""
        while len(self.specs) < len(self.held):
            chunk = self.held[len(self.specs) : len(self.specs) + _CHUNK]
            if not _PLAIN.issuperset(map(id, map(type, chunk))) or not self._read_plain(chunk):
                for tensor in chunk:
                    if id(type(tensor)) not in _PLAIN or not self._read_plain([tensor]):
                        try:
                            self._read_unusual(tensor)
                        except Exception:  # noqa: BLE001  what its class raises; it is noted
                            self._skip(tensor)

    def _read_plain(self, chunk: list[Any]) -> bool:
        """Reads plain tensors together, question by question; False, and nothing done, where one is not plain."""
        try:
            storages = list(map(_Base.untyped_storage, chunk))
            facts: list[Any] = list(map(_read, chunk))
            contiguous = list(map(_Base.is_contiguous, chunk))
            offsets = list(map(_Base.storage_offset, chunk))
        except RuntimeError:  # sparse ones have no storage, nested ones no one shape
            return False
        if False in contiguous:
            for i, tensor in enumerate(chunk):
                if not contiguous[i]:
                    facts[i] = (facts[i], tensor.stride())
        keys = list(zip(map(type, chunk), facts, strict=True))
        found = list(map(self._specs_and_flags.get, keys))
        if None in found:
            for tensor, key, known in zip(chunk, keys, found, strict=True):
                if known is None and key not in self._specs_and_flags:
                    self._specs_and_flags[key] = self._new_spec(tensor, key)
            found = list(map(self._specs_and_flags.__getitem__, keys))
        first = len(self.specs)
        self.specs.extend(map(_first, found))
        self.flags.extend(map(_second, found))
        self.offsets.extend(offsets)
        self._read_gradients(first, chunk)
        self._read_storages(storages, self.specs[first:])
        return True

    def _read_gradients(self, first: int, chunk: list[Any]) -> None:
        flags = self.flags
        # Asking a non-leaf for its gradient warns.
        are_leaves = all(flag & IS_LEAF for flag in set(flags[first:]))
        if are_leaves and _NONE.issuperset(map(id, map(_read_gradient, chunk))):
            return
        for number, tensor in enumerate(chunk, first):
            if flags[number] & IS_LEAF and tensor.grad is not None:
                flags[number] |= HAS_GRAD

    def _read_storages(self, storages: list[Any], specs: array[int]) -> None:
        """The storages of tensors with these specs."""
        numbers, start = self._storage_numbers, len(self._storage_numbers)
        identities = list(map(_identity_of, storages))
        if numbers.keys().isdisjoint(identities) and len(set(identities)) == len(identities):
            numbers.update(zip(identities, range(start, start + len(identities)), strict=True))
            self.storages.extend(range(start, start + len(identities)))
            self.storage_nbytes.extend(map(_Storage.nbytes, storages))
            devices = self._spec_devices
            self.storage_devices.extend(map(devices.__getitem__, specs))
            if not all(map(_Storage.resizable, storages)):
                self._has_borrowed = True
            return
        for storage, spec in zip(storages, specs, strict=True):
            self.storages.append(self._storage(storage, self._spec_devices[spec]))

    def _storage(self, storage: Any, device: int) -> int:
        """The number of one storage."""
        number = self._storage_numbers.get(storage._cdata)
        if number is not None:
            self.crowded.add(number)
            return number
        number = self._storage_numbers[storage._cdata] = len(self._storage_numbers)
        self.storage_nbytes.append(storage.nbytes())
        self.storage_devices.append(device)
        if not storage.resizable():
            self._has_borrowed = True
        return number

    def _new_spec(self, tensor: Any, key: tuple[type, Any]) -> tuple[int, int]:
        """(number of the spec, flags) of a plain tensor, whose gradient is another question."""
        flags = IS_PARAMETER if type(tensor) is nn.Parameter else 0
        flags |= REQUIRES_GRAD if tensor.requires_grad else 0
        flags |= IS_LEAF if tensor.is_leaf else 0
        spec = _specs_of.get(key)
        if spec is None:
            if len(_specs_of) >= _SPECS_BOUND:
                _specs_of.clear()
            spec = spec_of(tensor)
            shape = key[1][0]
            if type(shape) is torch.Size:
                # One contiguous tensor is as good as another, whatever the strides of its dimensions of size 1.
                spec = spec._replace(stride=_row_major(shape))
            _specs_of[key] = spec
        return self._intern(spec), flags

    def _intern(self, spec: TensorSpec) -> int:
        number = self._spec_numbers.get(spec)
        if number is None:
            number = self._spec_numbers[spec] = len(self._specs)
            self._specs.append(spec)
            self._spec_devices.append(self._device(spec))
        return number

    def _device(self, spec: TensorSpec) -> int:
        return self._devices.setdefault(spec.device or "none", len(self._devices))

    def _read_unusual(self, tensor: Any) -> None:
        """Lazy parameters, tensor subclasses, other layouts, and things that are no tensor at all."""
        number, storage, offset, flags = len(self.specs), -1, 0, IS_LEAF
        if not issubclass(type(tensor), torch.Tensor):
            spec = spec_of(tensor)
            self.specs.append(self._intern(spec))
        else:
            flags = flags_of(tensor)
            self.unusual.append(number)
            inner = [(name, part, spec_of(part)) for name, part in inner_tensors(tensor)]
            spec = spec_of_whole(tensor, [part for _, _, part in inner])
            self.specs.append(self._intern(spec))
            if spec.dtype is None or answers_for_itself(type(tensor)):
                self.unreadable.add(number)
            if inner:
                self._parts[number] = tuple(self._part(*part) for part in inner)
            elif spec.stride is not None and torch._C._has_storage(tensor):
                storage = self._storage(_Base.untyped_storage(tensor), self._spec_devices[self.specs[number]])
                offset = _Base.storage_offset(tensor)
        self.storages.append(storage)
        self.offsets.append(offset)
        self.flags.append(flags)

    def _skip(self, tensor: Any) -> None:
        """Enters a tensor of which nothing can be asked but its class."""
        number = len(self.storages)
        for column in (self.specs, self.flags):
            del column[number:]
        self._parts.pop(number, None)
        self.unreadable.add(number)
        self.specs.append(self._intern(make_spec(type(tensor), None, None, None, None, None)))
        self.storages.append(-1)
        self.offsets.append(0)
        self.flags.append(IS_LEAF | (IS_PARAMETER if is_parameter(tensor) else 0))

    def _part(self, name: str, tensor: Any, spec: TensorSpec) -> Part:
        device = self._device(spec)
        if spec.stride is None or not torch._C._has_storage(tensor):
            return Part(name, spec, None, 0)
        storage = self._storage(_Base.untyped_storage(tensor), device)
        self._part_tensors.append((storage, tensor))
        return Part(name, spec, storage, _Base.storage_offset(tensor))

    @property
    def parted(self) -> frozenset[int]:
        """Tensors that are made of others, by number."""
        return frozenset(self._parts)

    def set_numels(self, numels: dict[int, int]) -> None:
        """Counts the elements that some tensors stand for, which are not those that they store."""
        self._replace_specs({number: self.spec(number)._replace(numel=numel) for number, numel in numels.items()})

    def set_wholes(self, wholes: dict[int, tuple[tuple[int, ...], Any]]) -> None:
        """Gives tensors the shape of the whole that they are a shard of, and what lies here of it as their part."""
        specs = {}
        for number, (shape, here) in wholes.items():
            spec = self.spec(number)
            # Gathered for a while, it is the whole itself, but what an optimizer keeps is of the shard.
            is_gathered = spec.shape == shape
            self._own_specs[number] = spec._replace(shape=None) if is_gathered else spec
            if is_gathered:
                continue
            if here is self.held[number]:
                storage = self.storages[number]
                part = Part(HERE, spec, None if storage < 0 else storage, self.offsets[number])
                self.storages[number], self.offsets[number] = -1, 0
            else:
                part = self._part(HERE, here, spec_of(here))
            self._parts[number] = (part,)
            specs[number] = spec._replace(shape=shape, stride=None, numel=prod(shape), nbytes=part.spec.nbytes)
        self._replace_specs(specs)

    def _replace_specs(self, new: dict[int, TensorSpec]) -> None:
        specs = [new.get(number) or self.spec(number) for number in range(len(self.specs))]
        # What is no tensor's any more goes, so that numbers are those of a report that was read.
        for known in (self._specs_and_flags, self._spec_numbers, self._specs, self._spec_devices):
            known.clear()
        self.specs = array("i", map(self._intern, specs))

    def spec(self, number: int) -> TensorSpec:
        """What a tensor has in common with others."""
        return self._specs[self.specs[number]]

    def own_spec(self, number: int) -> TensorSpec:
        """The same as torch says it, also of what is a shard and keeps no more than that."""
        return self._own_specs.get(number) or self.spec(number)

    def is_trainable(self, number: int) -> bool:
        """Whether a tensor is a Parameter that requires grad."""
        wanted = IS_PARAMETER | REQUIRES_GRAD
        return self.flags[number] & wanted == wanted

    def columns(self, memberships: array[int]) -> tuple[TensorColumns, StorageColumns]:
        """The rows as columns, with what the optimizers say of each tensor."""
        memories = self._memories() if self._has_borrowed else {}
        return (
            TensorColumns(self.specs, self.storages, self.offsets, self.flags, memberships, self._parts),
            StorageColumns(self.storage_nbytes, self.storage_devices, memories),
        )

    def _memories(self) -> dict[int, tuple[int, int]]:
        """Storages that lie in one memory with others, where torch cannot know it.

        Only where some storage is over borrowed memory: those that torch allocated never meet.
        """
        viewers: dict[int, Any] = {}
        for storage, tensor in self._part_tensors:
            viewers.setdefault(storage, tensor)
        for storage, tensor in zip(self.storages, self.held, strict=True):
            if storage >= 0:
                viewers.setdefault(storage, tensor)
        return meeting_storages(
            (self.storage_devices[storage], storage, self.storage_nbytes[storage], tensor)
            for storage, tensor in viewers.items()
        )

    @property
    def interned_specs(self) -> tuple[TensorSpec, ...]:
        """Every distinct spec, by number."""
        return tuple(self._specs)

    @property
    def interned_devices(self) -> tuple[str, ...]:
        """Every distinct device of a storage, by number."""
        return tuple(self._devices)
