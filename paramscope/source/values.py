"""What an expression in a method may stand for: a place below the receiver, a text, or a few things in a row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from paramscope.source.texts import ALTERNATIVES_BOUND, NUMBER, UNKNOWN, Text, Texts, either

_BINDINGS_BOUND = 64
"""Assignments to one local name that are looked back at."""

Root = Literal["instance", "class"]
Namespace = Literal["", "dict", "registry"]


class Step(NamedTuple):
    """One step from a thing to something in it."""

    is_item: bool
    """Whether it is `[key]`; else it is `.name`."""
    text: Text
    """The name or key, as far as it is known."""


class Ref(NamedTuple):
    """A place below the receiver of a method."""

    root: Root
    steps: tuple[Step, ...] = ()
    namespace: Namespace = ""
    """`dict` for the `__dict__` of what is there, `registry` for its `_parameters`, `_buffers` or `_modules`."""

    def attribute(self, text: Text) -> Ref:
        """The place of an attribute of what is here."""
        return Ref(self.root, (*self.steps, Step(is_item=False, text=text)))

    def item(self, text: Text) -> Ref:
        """The place of an item of what is here; the items of a namespace are attributes."""
        if self.namespace:
            return self.attribute(text)
        return Ref(self.root, (*self.steps, Step(is_item=True, text=text)))

    @property
    def is_class(self) -> bool:
        """Whether it is the class itself."""
        return self.root == "class" and not self.steps


class Value(NamedTuple):
    """All that an expression may stand for."""

    refs: tuple[Ref, ...] = ()
    texts: Texts = (UNKNOWN,)
    items: tuple[Value, ...] | None = None
    """The members of a tuple or list, where they stand in the code."""
    is_number: bool = False
    """Whether it is a number, whose sum with another one is no longer text."""


INSTANCE = Value((Ref("instance"),))
CLASS = Value((Ref("class"),))
SOMETHING = Value()
SOME_NUMBER = Value(texts=(NUMBER,), is_number=True)


def text_value(text: str) -> Value:
    """A string that stands in the code."""
    return Value(texts=((text,),))


def number_value(number: int) -> Value:
    """A number that stands in the code."""
    return Value(texts=((str(number),),), is_number=True)


def any_of(values: Iterable[Value]) -> Value:
    """One of several."""
    found = list(values)
    if len(found) == 1:
        return found[0]
    refs = tuple(dict.fromkeys(ref for value in found for ref in value.refs))
    rows = [value.items for value in found]
    items: tuple[Value, ...] | None = None
    if rows and rows[0] is not None and all(row is not None and len(row) == len(rows[0]) for row in rows):
        items = tuple(map(any_of, zip(*(row for row in rows if row is not None), strict=True)))
    texts = either(text for value in found for text in value.texts)
    return Value(refs[:ALTERNATIVES_BOUND], texts or (UNKNOWN,), items, all(value.is_number for value in found))


class Branch:
    """A part of a function that may not run; its parent holds it, the function's own has none."""

    __slots__ = ("parent",)

    def __init__(self, parent: Branch | None = None) -> None:
        self.parent = parent

    def is_around(self, other: Branch | None) -> bool:
        """Whether whatever runs the other has run this."""
        while other is not None:
            if other is self:
                return True
            other = other.parent
        return False


class Scope:
    """The names of one function, as they were bound so far, and the scopes around it."""

    __slots__ = ("_names", "_parent")

    def __init__(self, parent: Scope | None = None) -> None:
        self._parent = parent
        self._names: dict[str, list[tuple[Branch, Value]]] = {}

    def bind(self, name: str, value: Value, branch: Branch) -> None:
        """Notes what a name stands for from here on."""
        self._names.setdefault(name, []).append((branch, value))

    def lookup(self, name: str, branch: Branch) -> Value:
        """What a name may stand for in a branch: its last binding that surely ran, and those since."""
        scope: Scope | None = self
        while scope is not None:
            bindings = scope._names.get(name)
            if bindings is not None:
                values = []
                for bound_in, value in reversed(bindings[-_BINDINGS_BOUND:]):
                    values.append(value)
                    if bound_in.parent is None or bound_in.is_around(branch):
                        break
                else:
                    values.append(SOMETHING)
                return any_of(values)
            scope = scope._parent
        return SOMETHING


def mangled(name: str, owner: str) -> str:
    """The name that an attribute written `__name` in the class `owner` has."""
    owner = owner.lstrip("_")
    if owner and name.startswith("__") and not name.endswith("__"):
        return f"_{owner}{name}"
    return name
