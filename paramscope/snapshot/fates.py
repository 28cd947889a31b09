"""What a slot is, and what becomes of it: its status, and the four fates. The one place that tells, from the facts of
one slot, its module and its tensor."""

from __future__ import annotations

from typing import NamedTuple

from paramscope.snapshot.columns import (
    ATTRIBUTE,
    HAS_GRAD,
    IS_LEAF,
    IS_PARAMETER,
    PARAMETER,
    REGISTERED,
    REQUIRES_GRAD,
    TRANSIENT_BUFFER,
)
from paramscope.snapshot.records import NO_OPTIMIZER, Status, TensorSpec

LEARNS = REQUIRES_GRAD | IS_LEAF
"""Flags of a tensor in which something is learned: what is computed from others, a non-leaf, is no such place."""


def is_registered(hold: int, module_flags: int) -> bool:
    """Whether the root sees a slot: its module is registered, and holds it as parameter or buffer."""
    return hold != ATTRIBUTE and bool(module_flags & REGISTERED)


def learns(hold: int, tensor_flags: int) -> bool:
    """Whether what a slot holds is meant to be learned: a Parameter, or a leaf that requires grad."""
    return hold == PARAMETER or bool(tensor_flags & IS_PARAMETER) or tensor_flags & LEARNS == LEARNS


def status_of(hold: int, module_flags: int, tensor_flags: int, spec: TensorSpec | None) -> Status:
    """The one word for what a slot is; `spec` is None for an empty one."""
    if spec is None:
        return "empty"
    if spec.dtype is None:
        return "unknown"
    if not is_registered(hold, module_flags):
        if learns(hold, tensor_flags):
            return "hidden"
        return "attribute" if hold == ATTRIBUTE else "buffer"
    if hold == PARAMETER:
        return "trainable" if tensor_flags & REQUIRES_GRAD else "frozen"
    return "buffer"


def is_steppable(tensor_flags: int) -> bool:
    """Whether a step changes a tensor that stands in a param group: it requires grad, or holds a `.grad`."""
    return bool(tensor_flags & (REQUIRES_GRAD | HAS_GRAD))


class Fates(NamedTuple):
    """Four answers; None where it cannot be told."""

    gradient: bool
    """Entitled to a gradient: a leaf, floating or complex, that requires grad."""
    stepped: bool | None
    """In a group of an optimizer, and either requires grad or holds a `.grad`."""
    saved: bool | None
    """Part of `state_dict()`."""
    moved: bool | None
    """Moved by `.to()`."""


def fates_of(
    hold: int,
    module_flags: int,
    tensor_flags: int,
    spec: TensorSpec,
    reasons: tuple[tuple[str, str], ...],
    *,
    is_in_group: bool | None,
) -> tuple[Fates, tuple[tuple[str, str], ...]]:
    """The fates of a slot that is not empty, and pairs of (fate, reason) for those that are None.

    reasons: `ModuleRecord.unknown` of its module. is_in_group: whether an optimizer holds its tensor; None where no
    optimizer was given.
    """
    unknown: list[tuple[str, str]] = []
    stepped = None if is_in_group is None else is_in_group and is_steppable(tensor_flags)
    if stepped is None:
        unknown.append(("stepped", NO_OPTIMIZER))
    registered = is_registered(hold, module_flags)
    saved: bool | None = registered and hold != TRANSIENT_BUFFER
    moved: bool | None = registered
    for fate, reason in reasons:
        # One reason for each: the first is enough.
        if (fate == "saved" or (fate == "attributes_saved" and not registered)) and saved is not None:
            saved = None
            unknown.append(("saved", reason))
        elif fate == "attributes_moved" and not registered and moved is not None:
            moved = None
            unknown.append(("moved", reason))
    gradient = tensor_flags & LEARNS == LEARNS and spec.is_differentiable
    return Fates(gradient, stepped, saved, moved), tuple(unknown)
