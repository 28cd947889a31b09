"""What can be said of one tensor, its bytes untouched, and none of the code of its class run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import torch
from torch import nn

from paramscope.capture.classes import qualified_name
from paramscope.capture.parts import (
    answers_for_itself,
    answers_for_place,
    fake_device,
    inner_tensors,
    placements_of,
    tensor_dict,
)
from paramscope.snapshot import HAS_GRAD, IS_LEAF, IS_PARAMETER, REQUIRES_GRAD, TensorSpec

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
LAZY: type = nn.parameter.UninitializedTensorMixin  # type: ignore[attr-defined]  # missing in torch's stubs


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
    spec = spec_of(tensor)
    return spec.shape, spec.dtype, spec.device, spec.numel, _requires_grad_of(tensor)


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


def _numbers(sizes: Any) -> tuple[int, ...] | None:
    """Sizes as plain numbers; None where one is a symbol, as tracing makes them."""
    found = tuple(sizes)
    return found if all(type(size) is int for size in found) else None


def spec_of(tensor: Any, nbytes: int | None = None) -> TensorSpec:
    """What can be said of any tensor, also of one without storage, without strides or without a shape.

    nbytes: those of the tensors that it is made of, if it is.
    """
    cls = type(tensor)
    if not issubclass(cls, torch.Tensor):
        return make_spec(cls, None, None, None, None, None)
    if answers_for_itself(cls):
        return make_spec(cls, None, None, _dtype_of(tensor), None, None)
    try:
        return _told_spec(tensor, cls, nbytes)
    except Exception:  # noqa: BLE001  what a class of the user's raises when it answers after all
        return make_spec(cls, None, None, None, None, None)


def whole_spec(tensor: Any) -> TensorSpec:
    """What can be said of a tensor, with the bytes of what it is made of."""
    if type(tensor) is torch.Tensor and _layout_of(tensor) is torch.strided and not _is_nested_of(tensor):
        # Thousands are alike, of gradients and of state.
        return _strided_spec(_shape_of(tensor), _Base.stride(tensor), _dtype_of(tensor), _device_of(tensor))
    return spec_of_whole(tensor, [spec_of(part) for _, part in inner_tensors(tensor)])


@lru_cache(maxsize=4096)
def _strided_spec(shape: torch.Size, stride: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> TensorSpec:
    return make_spec(torch.Tensor, tuple(shape), stride, dtype, device, torch.strided)


def spec_of_whole(tensor: Any, parts: Sequence[TensorSpec]) -> TensorSpec:
    """What can be said of a tensor that is made of others, whose bytes and device it has; of any other, where there
    are no parts."""
    if not parts:
        return spec_of(tensor)
    spec = spec_of(tensor, sum(part.nbytes or 0 for part in parts))
    if placements := placements_of(tensor):
        spec = spec._replace(placements=placements)
    return spec._replace(device=parts[0].device) if spec.device is None else spec


def _told_spec(tensor: Any, cls: type, nbytes: int | None) -> TensorSpec:
    answers = answers_for_place(cls)
    layout = None if answers else _layout_of(tensor)
    has_shape = not issubclass(cls, LAZY) and not _is_nested_of(tensor)
    shape = _numbers(_shape_of(tensor)) if has_shape else None
    stride = _numbers(_Base.stride(tensor)) if shape is not None and layout is torch.strided else None
    device = None if answers else fake_device(tensor) or _device_of(tensor)
    return make_spec(cls, shape, stride, _dtype_of(tensor), device, layout, nbytes)


def _is_leaf(tensor: Any) -> bool:
    try:
        return _is_leaf_of(tensor)
    except RuntimeError:  # a view whose base was changed in place since: torch will not say what made it
        return not _requires_grad_of(tensor)


def flags_of(tensor: Any) -> int:
    """The bits that say how autograd sees a tensor."""
    flags = IS_PARAMETER if is_parameter(tensor) else 0
    flags |= REQUIRES_GRAD if _requires_grad_of(tensor) else 0
    flags |= IS_LEAF if _is_leaf(tensor) else 0
    # Asking a non-leaf for its gradient warns.
    if flags & IS_LEAF and _grad_of(tensor) is not None:
        flags |= HAS_GRAD
    return flags
