"""The methods of a class and of all that it inherits from, but torch's own, and which of them calls which."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import NamedTuple

from paramscope.snapshot import ClassRecord
from paramscope.source.definitions import body_of, own_class_name
from paramscope.source.library import is_of_python, is_of_torch, lineage
from paramscope.source.syntax import (
    Function,
    called,
    decorators,
    holds_line,
    inwards,
    is_attribute_of,
    positional,
    receiver_of,
)
from paramscope.source.values import mangled

FIRST = frozenset({"", "__init__", "__new__", "__post_init__", "__init_subclass__", "__setstate__"})
"""What runs as an object is made."""
# What runs with data, by the names that people and trainers give it.
RUNNING = re.compile(
    r"__call__|_*forward.*|.*_forward|.*_step|_*encode.*|_*decode.*|_*predict.*|_*generate.*|_*sample.*|"
    r"(_*compute_)?loss|_*on_.*|.*_hook"
)
_PROPERTIES = frozenset({"property", "cached_property"})
# Names that containers and strings answer to: a call of one says little of what it is called on.
_OF_CONTAINERS = frozenset(
    name for kind in (dict, list, set, str) for name in dir(kind) if not name.startswith("__")
) | {"appendleft", "popleft", "to", "item", "mean", "std", "sum", "max", "min", "size", "view", "reshape", "step"}


class Method(NamedTuple):
    """A function in the body of a class."""

    owner: str
    """Own name of the class that holds it."""
    type: str
    """Its qualified name."""
    file: str
    node: Function
    receiver: str | None
    """What it calls the instance; None for a static method."""

    @property
    def is_property(self) -> bool:
        """Whether to read it calls it."""
        return not _PROPERTIES.isdisjoint(decorators(self.node))


class OutsideCall(NamedTuple):
    """A method called on something that a module holds, or that is known by a local name."""

    attribute: str | None
    """The attribute of the module that it is called on or below; None for a local name."""
    method: str


def methods_by_name(classes: Mapping[str, ClassRecord], type: str) -> dict[str, list[Method]]:
    """The methods of a class and of what it inherits from, but torch's and Python's own; nearest first."""
    found: dict[str, list[Method]] = {}
    for record in lineage(classes, type):
        body = None if is_of_torch(record) or is_of_python(record) else body_of(record)
        for node in body.body if body is not None else ():
            if isinstance(node, Function):
                method = Method(own_class_name(record), record.type, str(record.file), node, receiver_of(node))
                found.setdefault(node.name, []).append(method)
    return found


class Methods:
    """Those of one class, those that are overridden among them."""

    def __init__(self, classes: Mapping[str, ClassRecord], type: str) -> None:
        self.by_name = methods_by_name(classes, type)
        self._calls: dict[str, set[str]] = {}
        self.handed: set[str] = set()
        """Names of methods that are handed over: to a hook, as a rule."""
        self._outside: dict[str, set[OutsideCall]] = {}
        for name, found in self.by_name.items():
            self._calls[name], self._outside[name] = set(), set()
            for method in found:
                self._read_calls(name, method)

    @cached_property
    def counters(self) -> frozenset[str]:
        """Attributes that are integers, as far as the code tells."""
        return _counters(self.by_name)

    def absent_under(self, name: str) -> frozenset[str]:
        """Attributes that are False where this one is no Parameter: where one of them is true, the constructor makes
        it one, and else puts something in its place."""
        return frozenset(
            node.test.attr
            for method in self.by_name.get("__init__", ())
            for node in ast.walk(method.node)
            if isinstance(node, ast.If) and is_attribute_of(node.test, method.receiver)
            if _puts(node.body, name, method.receiver) is True and _puts(node.orelse, name, method.receiver) is False
        )

    def _read_calls(self, name: str, method: Method) -> None:
        parents = parents_in(method.node)
        for node, above in parents.items():
            if not isinstance(node, ast.Attribute):
                continue
            is_called = isinstance(above, ast.Call) and above.func is node
            if not is_attribute_of(node, method.receiver) and called(node.value) != "super":
                if is_called and node.attr not in _OF_CONTAINERS:
                    self._outside[name].add(OutsideCall(_first_attribute(node.value, method), node.attr))
                continue
            attribute = mangled(node.attr, method.owner)
            found = self.by_name.get(attribute)
            if found is None:
                continue
            if is_called or any(each.is_property for each in found):
                if not _is_inner(node, parents):
                    self._calls[name].add(attribute)
            else:
                self.handed.add(attribute)

    def reached(self, names: Iterable[str]) -> set[str]:
        """These and all methods that they call, directly or through others."""
        return _reached(names, self._calls)

    def touching(self, name: str) -> set[str]:
        """Names of methods that have to do with an attribute, or call one that has, directly or through others."""
        found = (
            each for each, methods in self.by_name.items() if any(_has_to_do(method, name) for method in methods)
        )
        callers: dict[str, set[str]] = {}
        for caller, several in self._calls.items():
            for each in several:
                callers.setdefault(each, set()).add(caller)
        return _reached(found, callers)

    def called(self) -> set[str]:
        """Names of methods that another one calls."""
        return {called for name, several in self._calls.items() for called in several if called != name}

    def calls_outside(self, names: Iterable[str]) -> set[OutsideCall]:
        """What some methods call on other things than the instance."""
        return {call for name in names for call in self._outside.get(name, ())}

    def at(self, type: str, line: int) -> Method | None:
        """The method of a class's body that a line lies in."""
        every = (method for found in self.by_name.values() for method in found)
        return next((each for each in every if each.type == type and holds_line(each.node, line)), None)


def says_integer(annotation: ast.expr | None) -> bool:
    """Whether an annotation is `int`, or that or None."""
    match annotation:
        case ast.Name(id="int") | ast.Constant(value="int" | "int | None" | "Optional[int]"):
            return True
        case ast.BinOp(left=one, op=ast.BitOr(), right=ast.Constant(value=None)):
            return says_integer(one)
        case ast.Subscript(value=ast.Name(id="Optional") | ast.Attribute(attr="Optional"), slice=one):
            return says_integer(one)
    return False


def _counters(by_name: Mapping[str, Iterable[Method]]) -> frozenset[str]:
    """The attributes that are begun with an integer in the code, or declared as one, and that no call gives another
    value than an integer."""
    begun: set[str] = set()
    others: set[str] = set()
    for name, methods in by_name.items():
        for method in methods:
            arguments = (*positional(method.node.args), *method.node.args.kwonlyargs)
            integers = {each.arg for each in arguments if says_integer(each.annotation)}
            for node in ast.walk(method.node):
                if not isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) or node.value is None:
                    continue
                for each in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if not is_attribute_of(each, method.receiver):
                        continue
                    is_declared = isinstance(node, ast.AnnAssign) and says_integer(node.annotation)
                    if is_declared or (name == "__init__" and _is_integer(node.value, integers)):
                        begun.add(each.attr)
                    elif not _is_integer(node.value, integers) and any(
                        isinstance(at, ast.Call | ast.Name) for at in ast.walk(node.value)
                    ):
                        others.add(each.attr)
    return frozenset(begun - others)


def _is_integer(value: ast.expr, integers: set[str]) -> bool:
    """Whether an expression is surely an integer; `integers` are the names of such."""
    match value:
        case ast.Constant(value=constant):
            return type(constant) is int
        case ast.Name(id=name):
            return name in integers
        case ast.Call(func=ast.Name(id="int" | "len")):
            return True
    return False


def _reached(names: Iterable[str], edges: Mapping[str, set[str]]) -> set[str]:
    """Some names, and all that lead on from them."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(edges.get(name, ()))
    return found


def _first_attribute(node: ast.expr, method: Method) -> str | None:
    """The attribute of the instance that an expression begins with: `norm` for `self.norm.layers[0]`."""
    first = next((each for each in inwards(node) if is_attribute_of(each, method.receiver)), None)
    return None if first is None else mangled(first.attr, method.owner)


@lru_cache(maxsize=1024)
def parents_in(root: ast.AST) -> dict[ast.AST, ast.AST]:
    """What each node stands in; not to be changed, since it is kept, as the trees of files are."""
    # NOTE: no recursion: expressions may be nested as deeply as Python's own parser allows.
    found: dict[ast.AST, ast.AST] = {}
    pending = [root]
    while pending:
        node = pending.pop()
        for child in ast.iter_child_nodes(node):
            # Contexts such as `Load()` are one object for all.
            if not isinstance(child, ast.expr_context):
                found[child] = node
                pending.append(child)
    return found


def _puts(body: list[ast.stmt], name: str, receiver: str | None) -> bool | None:
    """Whether what some statements put into an attribute is a Parameter; None where they put nothing there."""
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Attribute(attr=attr) as target], value=value):
                if attr == name and is_attribute_of(target, receiver):
                    return called(value) == "Parameter"
    return None


class _Words(NamedTuple):
    """What a function mentions."""

    words: frozenset[str]
    """Names of attributes, and texts."""
    has_namespace: bool
    """Whether it takes attributes by names that it makes, or the dict that holds them."""


@lru_cache(maxsize=4096)
def _words(node: ast.AST) -> _Words:
    words: set[str] = set()
    has_namespace = False
    for each in ast.walk(node):
        match each:
            case ast.Attribute(attr=attr):
                words.add(attr)
            case ast.Constant(value=str(text)):
                words.add(text)
            case ast.Call(func=ast.Name(id="getattr" | "setattr"), args=[_, ast.JoinedStr(), *_]):
                has_namespace = True
    return _Words(frozenset(words), has_namespace)


def _has_to_do(method: Method, name: str) -> bool:
    found = _words(method.node)
    private = name.removeprefix(f"_{method.owner.lstrip('_')}")
    return found.has_namespace or name in found.words or private in found.words


def _is_inner(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether it stands in a function within the method, which runs when that is called."""
    above = parents.get(node)
    while above in parents and not isinstance(above, Function | ast.Lambda):
        above = parents[above]
    return above in parents
