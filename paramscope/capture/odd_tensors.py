"""Odd things about tensors: misspelled attributes, inference tensors, gradients of another shape, views cut off.

Few models have any, so each is first looked for in all tensors at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from gc import get_referents
from typing import Any, NamedTuple

import torch

from paramscope.capture.classes import is_tensor_class
from paramscope.capture.lookups import copies_itself
from paramscope.capture.odd_attributes import MISSPELLED, plain_value
from paramscope.capture.parts import tensor_dict
from paramscope.capture.register import TensorRegister
from paramscope.capture.tensors import whole_spec
from paramscope.capture.walk import Walk
from paramscope.snapshot import HAS_GRAD, IS_LEAF, IS_PARAMETER, REQUIRES_GRAD, Note, Oddity, OddityKind
from paramscope.snapshot.fates import LEARNS

_ODD_NAMES = MISSPELLED | {"requires_grad_"}

_Base: Any = torch._C.TensorBase
_is_inference: Callable[[Any], bool] = _Base.is_inference
_grad_of: Callable[[Any], Any] = _Base.grad.__get__
_base_of: Callable[[Any], Any] = _Base._base.__get__
_requires_grad: Callable[[Any], bool] = _Base.requires_grad.__get__


class _Oddity(NamedTuple):
    """Something odd about one tensor."""

    tensor: int
    kind: OddityKind
    name: str
    value: Any


def add_odd_tensors(walk: Walk) -> None:
    """Enters what is odd about tensors, and those that cannot be read."""
    tensors = walk.tensors
    found = [*_inference(tensors.held), *_odd_attributes(tensors.held), *_odd_gradients(tensors)]
    if not found and not tensors.unreadable:
        return
    paths = walk.tensor_paths()
    walk.facts.oddities.extend(Oddity(paths[each.tensor], each.kind, each.name, each.value) for each in found)
    walk.notes.extend(
        Note(paths[number], "unreadable", "its class answers for its sizes: to ask would run the class's code")
        for number in sorted(tensors.unreadable)
    )


def _inference(tensors: list[Any]) -> Iterator[_Oddity]:
    try:
        is_any = any(map(_is_inference, tensors))
    except TypeError:  # something that is no tensor
        is_any = True
    if is_any:
        for number, tensor in enumerate(tensors):
            if is_tensor_class(type(tensor)) and _is_inference(tensor):
                yield _Oddity(number, "inference", "", None)


def _odd_attributes(tensors: list[Any]) -> Iterator[_Oddity]:
    # To ask a tensor for its attributes makes it a dict; what a tensor refers to is known without.
    dicts = [each for each in get_referents(*tensors) if type(each) is dict]
    if all(_ODD_NAMES.isdisjoint(filter(_is_text, each)) for each in dicts):
        return
    for number, tensor in enumerate(tensors):
        attributes = tensor_dict(tensor) if is_tensor_class(type(tensor)) else {}
        for name, value in attributes.items():
            if _is_text(name) and name in _ODD_NAMES:
                yield _Oddity(number, "odd-attribute", name, plain_value(value))


def _odd_gradients(tensors: TensorRegister) -> Iterator[_Oddity]:
    """Gradients of another shape than their tensor's, and views that were cut off from what they are views of."""
    if set(tensors.flags) <= _USUAL:
        return
    for number, flags in enumerate(tensors.flags):
        if flags & HAS_GRAD:
            gradient, spec = whole_spec(_grad_of(tensors.held[number])), tensors.spec(number)
            if gradient.shape is not None and gradient.shape != spec.shape:
                yield _Oddity(number, "gradient-shape", "grad", gradient.shape)
            if (gradient.dtype, gradient.nbytes) != (spec.dtype, spec.nbytes):
                yield _Oddity(number, "gradient-bytes", gradient.dtype or "", gradient.nbytes)
        elif flags & LEARNS == LEARNS and not flags & IS_PARAMETER:
            base = _base_of(tensors.held[number])
            if base is not None and _requires_grad(base):
                yield _Oddity(number, "cut-view", "", None)


_USUAL = {IS_LEAF, IS_LEAF | IS_PARAMETER, IS_LEAF | IS_PARAMETER | REQUIRES_GRAD}
"""Flags of tensors that have no gradient and are no view that learns."""


def add_own_copying(walk: Walk) -> None:
    """Enters which modules say themselves what a copy of them holds: of interest where a tensor has a graph alone."""
    if all(flags & IS_LEAF for flags in set(walk.tensors.flags)):
        return
    for number, module in walk.held_modules():
        if copies_itself(type(module)):
            walk.facts.oddities.append(Oddity(walk.paths[number], "not-copied", "", None))


def _is_text(name: Any) -> bool:
    return type(name) is str
