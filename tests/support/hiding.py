"""Every form in which Python hides one thing in another, with the path that leads there."""

from __future__ import annotations

import collections
import dataclasses
import functools
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn


def linear() -> nn.Linear:
    """Two parameters, three elements."""
    return nn.Linear(2, 1)


def parameter() -> nn.Parameter:
    """A Parameter of four elements."""
    return nn.Parameter(torch.zeros(4))


@dataclasses.dataclass
class Parts:
    """A dataclass."""

    part: Any
    count: int = 0


@dataclasses.dataclass(frozen=True)
class SlottedParts:
    """A dataclass with slots."""

    __slots__ = ("part",)
    part: Any


class Pair(NamedTuple):
    """A namedtuple."""

    first: Any
    second: Any


class Plain:
    """A plain object."""

    def __init__(self, part: Any) -> None:
        self.part = part

    def method(self) -> Any:
        """Bound to what holds the part."""
        return self.part


class Base:
    """Its subclass adds a slot."""

    __slots__ = ("__weakref__", "inner", "unset")


class Slotted(Base):
    """An object without a dict, or almost."""

    __slots__ = ("_Slotted__private", "part")

    def __init__(self, part: Any) -> None:
        self.part = part


class Called:
    """A callable object."""

    def __init__(self, part: Any) -> None:
        self.part = part

    def __call__(self) -> Any:
        return self.part


class OwnList(list[Any]):
    """A list with an attribute."""


def with_attribute(part: Any) -> OwnList:
    """A list that holds something beside its items."""
    made = OwnList()
    made.part = part  # type: ignore[attr-defined]
    return made


def closure(part: Any) -> Callable[[], Any]:
    """A function that closes over something."""
    unrelated = 3

    def fn() -> Any:
        return part, unrelated

    return fn


def decorated(part: Any) -> Callable[[], Any]:
    """A function around another."""
    inner = closure(part)

    @functools.wraps(inner)
    def outer() -> Any:
        return inner()

    return outer


def default(part: Any) -> Callable[[], Any]:
    """A function with defaults."""

    def fn(first: Any = 1, second: Any = part) -> Any:
        return first, second

    return fn


def keyword(part: Any) -> Callable[[], Any]:
    """A function with a default that only a keyword replaces."""

    def fn(*, third: Any = part) -> Any:
        return third

    return fn


def marked(part: Any) -> Callable[[], None]:
    """A function with an attribute."""

    def fn() -> None:
        return None

    fn.part = part  # type: ignore[attr-defined]
    return fn


class UserMapping(collections.UserDict[Any, Any]):
    """A dict written in Python."""


class Colour(NamedTuple):
    """A key."""

    name: str


FORMS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "list": (lambda part: [0, part], "held[1]"),
    "tuple": (lambda part: (part,), "held[0]"),
    "dict": (lambda part: {"a": part}, "held['a']"),
    "dict with a number": (lambda part: {7: part}, "held[7]"),
    "dict with an object": (lambda part: {Colour("red"): part}, "held[<Colour>]"),
    "a dict's key": (lambda part: {"a": 1, part: 2}, "held{1}"),
    "set": (lambda part: {part}, "held{0}"),
    "frozenset": (lambda part: frozenset([part]), "held{0}"),
    "deque": (lambda part: collections.deque([1, part]), "held[1]"),
    "OrderedDict": (lambda part: collections.OrderedDict(a=part), "held['a']"),
    "defaultdict": (lambda part: collections.defaultdict(list, a=[part]), "held['a'][0]"),
    "UserDict": (lambda part: UserMapping(a=part), "held->data['a']"),
    "ChainMap": (lambda part: collections.ChainMap({}, {"a": part}), "held->maps[1]['a']"),
    "mappingproxy": (lambda part: types.MappingProxyType({"a": part}), "held['a']"),
    "nested": (lambda part: {"a": [1, (2, {"b": part})]}, "held['a'][1][1]['b']"),
    "namedtuple": (lambda part: Pair(1, part), "held[1]"),
    "dataclass": (Parts, "held->part"),
    "frozen dataclass with slots": (SlottedParts, "held->part"),
    "SimpleNamespace": (lambda part: types.SimpleNamespace(part=part), "held->part"),
    "object": (Plain, "held->part"),
    "object with slots": (Slotted, "held->part"),
    "object in an object in a list": (lambda part: [Plain(Parts(part))], "held[0]->part->part"),
    "list with an attribute": (with_attribute, "held->part"),
    "callable object": (Called, "held->part"),
    "partial's arguments": (lambda part: functools.partial(print, 1, part), "held->args[1]"),
    "partial's keywords": (lambda part: functools.partial(print, end=part), "held->keywords['end']"),
    "partial's function": (lambda part: functools.partial(closure(part)), "held->func-><part>"),
    "bound method": (lambda part: Plain(part).method, "held->__self__->part"),
    "built-in method": (lambda part: [part].append, "held->__self__[0]"),
    "closure": (closure, "held-><part>"),
    "decorated closure": (decorated, "held-><inner>-><part>"),
    "default": (default, "held->__defaults__[1]"),
    "keyword's default": (keyword, "held->__kwdefaults__['third']"),
    "function's attribute": (marked, "held->part"),
}
