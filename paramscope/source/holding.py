"""What an expression holds of the one tensor that is followed through the source of its owner."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Kind = Literal["foreign", "own", "host", "device", "dtype", "self", "super"]
"""`own` for what the object keeps, `host` for numbers and texts, `foreign` for anything else: of a tensor among these
nobody knows where it lies."""


class Hold(NamedTuple):
    """A tensor that is the attribute's, or was made of it and constants alone, and what was done for it."""

    on_device: bool = False
    """Whether it was brought to where something else is."""
    in_dtype: bool = False
    """Whether it was brought to something else's dtype, or its dtype was chosen."""
    is_element: bool = False
    """Whether it is one of its elements, by a number or in a loop."""


class Closure(NamedTuple):
    """A function that stands in another one, with the names around it."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    frame: object


class Known(NamedTuple):
    """All that is known of a value."""

    kind: Kind = "foreign"
    hold: Hold | None = None
    has_past: bool = False
    """Whether it was computed, with its graph, from what the attribute held before this call."""
    is_of_layer: bool = False
    """Whether a layer gave it, of which the attribute was an input."""
    is_place: bool = False
    """Whether it is the very object that the attribute holds."""
    items: tuple[Known, ...] | None = None
    """The members of a tuple, where they stand in the code."""
    step: int = 0
    """How many steps of the way to the tensor lead here; 0 where it is not on the way, or is the tensor."""
    closure: Closure | None = None
    texts: tuple[str, ...] = ()
    """What a text is, where it stands in the code."""
    is_none: bool = False
    is_cut: bool = False
    """Whether it was cut off from its past, as it is or on one of several ways."""
    is_integer: bool = False
    """Whether it is surely an integer of Python's."""
    is_cast: bool = False
    """Whether the code gives it a dtype by name, whatever that of the model is."""


FOREIGN, OWN, HOST, NONE = Known(), Known("own"), Known("host"), Known("host", is_none=True)
INTEGER = Known("host", is_integer=True)
DEVICE, DTYPE, SELF = Known("device"), Known("dtype"), Known("self")


def joined(values: Iterable[Known], *, is_guarded: bool = False) -> Known:
    """One of several: what is held counts as moved only where each is.

    is_guarded: which of them it is, a look at devices or dtypes decides: then it is moved where one of them is.
    """
    found = list(values)
    if not found:
        return HOST
    if len(found) == 1:
        return found[0]
    holds = [each.hold for each in found if each.hold is not None]
    kinds = {each.kind for each in found}
    steps = {each.step for each in found}
    rows = [each.items for each in found]
    items = None
    if all(row is not None and len(row) == len(rows[0] or ()) for row in rows):
        items = tuple(joined(several) for several in zip(*(row or () for row in rows), strict=True))
    return Known(
        # None is a host's thing, and the usual other branch.
        kinds.pop() if len(kinds) == 1 else "foreign" if "foreign" in kinds else "own",
        best(holds) if is_guarded else worst(holds),
        any(each.has_past for each in found),
        any(each.is_of_layer for each in found),
        any(each.is_place for each in found),
        items,
        steps.pop() if len(steps) == 1 else 0,
        found[0].closure if len({each.closure for each in found}) == 1 else None,
        tuple(dict.fromkeys(text for each in found for text in each.texts)),
        is_cut=any(each.is_cut for each in found),
        is_integer=all(each.is_integer for each in found),
        is_cast=all(each.is_cast for each in found),
    )


def worst(holds: Sequence[Hold]) -> Hold | None:
    """What is true of each of them."""
    return Hold(*(all(each) for each in zip(*holds, strict=True))) if holds else None


def best(holds: Sequence[Hold]) -> Hold | None:
    """What is true of one of them."""
    return Hold(*(any(each) for each in zip(*holds, strict=True))) if holds else None


def whole(value: Known) -> Known:
    """A value with all that its members hold."""
    if not value.items:
        return value
    members = joined(value.items)
    holds = [each for each in (value.hold, members.hold) if each is not None]
    return value._replace(
        hold=worst(holds),
        has_past=value.has_past or members.has_past,
        is_of_layer=value.is_of_layer or members.is_of_layer,
        is_cut=value.is_cut or members.is_cut,
        kind="foreign" if "foreign" in (value.kind, members.kind) else value.kind,
    )


def gathered(values: Iterable[Known], *, kind: Kind = "own") -> Known:
    """What holds all of several values, of which nobody knows any more which is where."""
    return whole(Known(kind, items=tuple(values)))._replace(items=None)


def is_about_devices(test: ast.expr) -> bool:
    """Whether a condition looks at where something lies, or of which dtype it is or autocast makes it."""
    for node in ast.walk(test):
        match node:
            case ast.Attribute(attr="device" | "dtype" | "is_cuda" | "get_device" | "is_cpu" | "is_floating_point"):
                return True
            case ast.Attribute(attr=name) | ast.Name(id=name) if "autocast" in name:
                return True
            case ast.Name(id=name) if "device" in name or "dtype" in name:
                return True
    return False
