"""The register of tensors: each distinct tensor becomes one row of columns, its bytes untouched.

Which storage a tensor views is known by the storage object, not by an address: `data_ptr()` is 0 for meta,
fake and empty tensors, and asking a copy-on-write tensor for it copies.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

import torch
from torch import nn

from paramscope.capture.classes import qualified_name
from paramscope.capture.memory import meeting_storages
from paramscope.capture.parts import answers_for_itself, fake_device, inner_tensors, tensor_dict
from paramscope.snapshot import (
    HAS_GRAD,
    IS_LEAF,
    IS_PARAMETER,
    REQUIRES_GRAD,
    Part,
    StorageColumns,
    TensorColumns,
    TensorSpec,
)

# Looked up on the base class: a subclass may define `shape` as a property of its own.
_Base: Any = torch._C.TensorBase
_shape_of: Callable[[Any], torch.Size] = _Base.shape.__get__
_dtype_of: Callable[[Any], torch.dtype] = _Base.dtype.__get__
_device_of: Callable[[Any], torch.device] = _Base.device.__get__
_layout_of: Callable[[Any], torch.layout] = _Base.layout.__get__
_requires_grad_of: Callable[[Any], bool] = _Base.requires_grad.__get__
_is_leaf_of: Callable[[Any], bool] = _Base.is_leaf.__get__
_is_nested_of: Callable[[Any], bool] = _Base.is_nested.__get__
_grad_of: Callable[[Any], Any] = _Base.grad.__get__
_LAZY: type = nn.parameter.UninitializedTensorMixin  # type: ignore[attr-defined]  # missing in torch's stubs
# One call that reads much is cheaper than many that read little.
_read = attrgetter("shape", "dtype", "device", "requires_grad", "is_leaf")


@cache
def torch_name(thing: torch.dtype | torch.layout) -> str:
    """torch's own name without its prefix: `float32`, `strided`."""
    return str(thing).removeprefix("torch.")


def tensor_facts(
    tensor: Any,
) -> tuple[tuple[int, ...] | None, str | None, str | None, int | None, bool]:
    """(shape, dtype, device, number of elements, requires_grad) of one tensor that no register holds.

    All but the last are None for what is no tensor, and the shape where it is not known yet.
    """
    cls = type(tensor)
    if not issubclass(cls, torch.Tensor):
        return None, None, None, None, False
    if answers_for_itself(cls):
        return None, torch_name(_dtype_of(tensor)), None, None, _requires_grad_of(tensor)
    shape = None if issubclass(cls, _LAZY) or _is_nested_of(tensor) else tuple(_shape_of(tensor))
    numel = None if shape is None else math.prod(shape)
    return shape, torch_name(_dtype_of(tensor)), str(_device_of(tensor)), numel, _requires_grad_of(tensor)


def make_spec(
    cls: type,
    shape: tuple[int, ...] | None,
    stride: tuple[int, ...] | None,
    dtype: torch.dtype | None,
    device: torch.device | None,
    layout: torch.layout | None,
    nbytes: int | None = None,
) -> TensorSpec:
    """What can be said of a tensor, as plain values.

    nbytes: where it is not the elements' own size.
    """
    numel = None if shape is None else math.prod(shape)
    if nbytes is None and numel is not None and dtype is not None and stride is not None:
        nbytes = numel * dtype.itemsize
    return TensorSpec(
        qualified_name(cls),
        shape,
        stride,
        None if dtype is None else torch_name(dtype),
        None if device is None else str(device),
        None if layout is None else torch_name(layout),
        numel,
        nbytes,
    )


def is_parameter(tensor: Any) -> bool:
    """Whether a tensor is a Parameter, as torch tells it: one that wraps a subclass bears a mark."""
    cls = type(tensor)
    if issubclass(cls, nn.Parameter):
        return True
    return tensor_dict(tensor).get("_is_param") is True


def _nbytes_of(tensor: Any) -> int:
    return math.prod(_shape_of(tensor)) * _dtype_of(tensor).itemsize


class TensorRegister:
    """Numbers tensors in the order they are met and keeps what can be said of each.

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
        self._storage_specs = array("i")
        """Spec of the first tensor that views each storage; -1 where `_storage_devices` tells the device."""
        self._storage_devices: dict[int, int] = {}
        self.unreadable: set[int] = set()
        """Tensors whose shape cannot be read without running the code of their class."""
        self.crowded: set[int] = set()
        """Storages that more than one tensor views."""
        self.borrowed: list[int] = []
        """Storages over memory that torch did not allocate, and others may map as well."""
        self._parts: dict[int, tuple[Part, ...]] = {}
        self._part_tensors: list[tuple[int, Any]] = []
        """(storage, tensor) of parts, held as all tensors are."""
        # Reading these classes through their own attributes runs nothing but torch.
        self._kinds: dict[int, dict[Any, tuple[int, int]]] = {id(torch.Tensor): {}, id(nn.Parameter): {}}
        """By the id of the class, (spec, flags) by what `_read` says of a tensor."""
        self._spec_numbers: dict[TensorSpec, int] = {}
        self._specs: list[TensorSpec] = []
        self._spec_devices: list[int] = []
        self._storage_numbers: dict[int, int] = {}
        self._devices: dict[str, int] = {}

    def entering(self) -> Callable[[Any], int]:
        """A function that enters a tensor which is known to be new, and returns its number.

        It runs once for every tensor, so all that it needs is at hand as a local name.
        """
        numbers, held, kinds_of = self.numbers, self.held, self._kinds.get
        specs, storages, offsets = self.specs.append, self.storages.append, self.offsets.append
        flags_of, hold = self.flags.append, self.held.append
        storage_numbers, crowded, borrowed = self._storage_numbers, self.crowded.add, self.borrowed.append
        storage_nbytes, storage_specs = self.storage_nbytes.append, self._storage_specs.append
        unusual, new_kind = self._enter_unusual, self._new_kind

        def enter(tensor: Any) -> int:
            number = numbers[id(tensor)] = len(held)
            hold(tensor)
            kinds = kinds_of(id(type(tensor)))
            if kinds is None:
                return unusual(tensor, number)
            try:
                storage = tensor.untyped_storage()
                facts = _read(tensor)
                if not tensor.is_contiguous():
                    facts = (facts, tensor.stride())
            except RuntimeError:  # sparse ones have no storage, nested ones no one shape
                return unusual(tensor, number)
            try:
                spec, flags = kinds[facts]
            except KeyError:
                spec, flags = kinds[facts] = new_kind(tensor)
            # Asking a non-leaf for its gradient warns.
            if flags & IS_LEAF and tensor.grad is not None:
                flags |= HAS_GRAD
            identity = storage._cdata
            storage_number = storage_numbers.get(identity)
            if storage_number is None:
                storage_number = storage_numbers[identity] = len(storage_numbers)
                storage_nbytes(storage.nbytes())
                storage_specs(spec)
                if not storage.resizable():
                    borrowed(storage_number)
            else:
                crowded(storage_number)
            specs(spec)
            storages(storage_number)
            offsets(tensor.storage_offset())
            flags_of(flags)
            return number

        return enter

    def _new_kind(self, tensor: Any) -> tuple[int, int]:
        """(number of the spec, flags) of a plain tensor."""
        flags = IS_PARAMETER if type(tensor) is nn.Parameter else 0
        flags |= REQUIRES_GRAD if tensor.requires_grad else 0
        flags |= IS_LEAF if tensor.is_leaf else 0
        spec = self._spec(
            type(tensor), tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device, tensor.layout
        )
        return spec, flags

    def _spec(
        self,
        cls: type,
        shape: tuple[int, ...] | None,
        stride: tuple[int, ...] | None,
        dtype: torch.dtype | None,
        device: torch.device | None,
        layout: torch.layout | None,
        nbytes: int | None = None,
    ) -> int:
        spec = make_spec(cls, shape, stride, dtype, device, layout, nbytes)
        number = self._spec_numbers.get(spec)
        if number is None:
            number = self._spec_numbers[spec] = len(self._specs)
            self._specs.append(spec)
            self._spec_devices.append(self._device(spec))
        return number

    def _device(self, spec: TensorSpec) -> int:
        return self._devices.setdefault(spec.device or "none", len(self._devices))

    def _storage(self, tensor: Any, device: int) -> int:
        """Number of the storage of a tensor that has one."""
        storage = _Base.untyped_storage(tensor)
        identity = storage._cdata
        number = self._storage_numbers.get(identity)
        if number is not None:
            self.crowded.add(number)
            return number
        number = self._storage_numbers[identity] = len(self._storage_numbers)
        self.storage_nbytes.append(storage.nbytes())
        self._storage_devices[number] = device
        self._storage_specs.append(-1)
        if not storage.resizable():
            self.borrowed.append(number)
        return number

    def _enter_unusual(self, tensor: Any, number: int) -> int:
        """Lazy parameters, tensor subclasses, other layouts, and things that are no tensor at all."""
        cls = type(tensor)
        storage_number, offset, flags = -1, 0, IS_LEAF
        if not issubclass(cls, torch.Tensor):
            spec = self._spec(cls, None, None, None, None, None)
        else:
            flags = IS_PARAMETER if is_parameter(tensor) else 0
            flags |= REQUIRES_GRAD if _requires_grad_of(tensor) else 0
            flags |= IS_LEAF if _is_leaf_of(tensor) else 0
            if flags & IS_LEAF and _grad_of(tensor) is not None:
                flags |= HAS_GRAD
            inner = inner_tensors(tensor)
            if answers_for_itself(cls):
                self.unreadable.add(number)
                spec, has_strides = self._spec(cls, None, None, _dtype_of(tensor), None, None), False
            else:
                spec, has_strides = self._spec_of_unusual(tensor, inner)
            if inner:
                self._parts[number] = self._enter_parts(inner)
            elif has_strides and torch._C._has_storage(tensor):
                storage_number = self._storage(tensor, self._spec_devices[spec])
                offset = _Base.storage_offset(tensor)
        self.specs.append(spec)
        self.storages.append(storage_number)
        self.offsets.append(offset)
        self.flags.append(flags)
        return number

    def _spec_of_unusual(self, tensor: Any, inner: list[tuple[str, Any]]) -> tuple[int, bool]:
        """(number of the spec, whether the tensor has strides)."""
        cls = type(tensor)
        layout = _layout_of(tensor)
        has_shape = not issubclass(cls, _LAZY) and not _is_nested_of(tensor)
        has_strides = has_shape and layout is torch.strided
        shape = tuple(_shape_of(tensor)) if has_shape else None
        stride = tuple(_Base.stride(tensor)) if has_strides else None
        # The bytes of what is made of others are theirs.
        nbytes = sum(map(_nbytes_of, (part for _, part in inner))) if inner else None
        device = fake_device(tensor) or _device_of(tensor)
        return self._spec(cls, shape, stride, _dtype_of(tensor), device, layout, nbytes), has_strides

    def _enter_parts(self, inner: list[tuple[str, Any]]) -> tuple[Part, ...]:
        parts = []
        for name, tensor in inner:
            stride = tuple(_Base.stride(tensor)) if _layout_of(tensor) is torch.strided else None
            spec = make_spec(
                type(tensor),
                tuple(_shape_of(tensor)),
                stride,
                _dtype_of(tensor),
                _device_of(tensor),
                _layout_of(tensor),
            )
            device = self._device(spec)
            storage, offset = None, 0
            if stride is not None and torch._C._has_storage(tensor):
                storage, offset = self._storage(tensor, device), _Base.storage_offset(tensor)
                self._part_tensors.append((storage, tensor))
            parts.append(Part(name, spec, storage, offset))
        return tuple(parts)

    def spec(self, number: int) -> TensorSpec:
        """What a tensor has in common with others."""
        return self._specs[self.specs[number]]

    def is_trainable(self, number: int) -> bool:
        """Whether a tensor is a Parameter that requires grad."""
        wanted = IS_PARAMETER | REQUIRES_GRAD
        return self.flags[number] & wanted == wanted

    def columns(self, memberships: array[int]) -> tuple[TensorColumns, StorageColumns]:
        """The rows as columns, with what the optimizers say of each tensor."""
        devices = array(
            "i",
            [
                self._spec_devices[spec] if spec >= 0 else self._storage_devices[storage]
                for storage, spec in enumerate(self._storage_specs)
            ],
        )
        memories = self._memories(devices) if self.borrowed else {}
        return (
            TensorColumns(self.specs, self.storages, self.offsets, self.flags, memberships, self._parts),
            StorageColumns(self.storage_nbytes, devices, memories),
        )

    def _memories(self, devices: array[int]) -> dict[int, tuple[int, int]]:
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
            (devices[storage], storage, self.storage_nbytes[storage], tensor) for storage, tensor in viewers.items()
        )

    @property
    def interned_specs(self) -> tuple[TensorSpec, ...]:
        """Every distinct spec, by number."""
        return tuple(self._specs)

    @property
    def interned_devices(self) -> tuple[str, ...]:
        """Every distinct device of a storage, by number."""
        return tuple(self._devices)
