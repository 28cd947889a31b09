"""Statements outside of a model's classes that assign to what lies in it, such as `model.head.weight = …` in the
function that builds it, in one of the files of the user's own classes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from paramscope.snapshot import Snapshot
from paramscope.source.files import SourceFile, readable
from paramscope.source.finder import Assignment
from paramscope.source.library import is_own
from paramscope.source.syntax import Function, called, names_in

Steps = tuple[str, ...]


class Outside(NamedTuple):
    """One statement that assigns an attribute of something that a local name leads to."""

    steps: Steps
    """From the name to what is assigned: `("head", "weight")`; `"*parameters"` and the like for what a loop gives."""
    receiver: str
    function: ast.AST
    """The innermost function, or the file, that holds it."""
    assignment: Assignment


class Scope(NamedTuple):
    """A function, or a file, with what is around it."""

    node: ast.AST
    classes: tuple[str, ...]
    """Names of the classes around it, outermost first."""
    prefix: str = ""
    """What the qualified names within it begin with: `Net.build.<locals>.`."""


def own_files(snapshot: Snapshot) -> tuple[str, ...]:
    """The files that hold the user's own classes of this model, each once."""
    return tuple(dict.fromkeys(record.file for record in snapshot.interned.classes if record.file and is_own(record)))


def root_classes(snapshot: Snapshot) -> frozenset[str]:
    """Own names of the classes of the roots."""
    return frozenset(snapshot.modules[root].type.rpartition(".")[2] for root in snapshot.roots)


def outside(file: str) -> tuple[Outside, ...]:
    """All such statements of a file, read once."""
    source = readable(file)
    return () if source is None else source.once(outside, lambda: tuple(_read(source, file)))


def statements(source: SourceFile) -> Iterator[tuple[ast.AST, Scope, int]]:
    """Every node of a file with the function that holds it and the line that its statement begins on, in the file's
    order."""
    stack: list[tuple[ast.AST, Scope, int]] = [(source.tree, Scope(source.tree, ()), 0)]
    while stack:
        node, scope, line = stack.pop()
        line = node.lineno if isinstance(node, ast.stmt) else line
        yield node, scope, line
        if isinstance(node, ast.ClassDef):
            scope = scope._replace(classes=(*scope.classes, node.name), prefix=f"{scope.prefix}{node.name}.")
        elif isinstance(node, Function | ast.Lambda):
            name = getattr(node, "name", "<lambda>")
            scope = Scope(node, scope.classes, f"{scope.prefix}{name}.<locals>.")
        stack.extend((child, scope, line) for child in reversed(list(ast.iter_child_nodes(node))))


def assignment_at(
    file: str, source: SourceFile, scope: Scope, line: int, value: ast.expr | None, how: str = ""
) -> Assignment:
    """What a statement in a scope writes."""
    method, owner = getattr(scope.node, "name", ""), ".".join(scope.classes)
    return Assignment(file, line, method, source.line(line), owner, value, how)


def _read(source: SourceFile, file: str) -> Iterator[Outside]:
    for node, scope, line in statements(source):
        for target, value, how in _assigned(node):
            found = chain(target, scope)
            if found is not None:
                made = assignment_at(file, source, scope, line, value, how)
                yield Outside(found[1], found[0], scope.node, made)


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None, str]]:
    """(what is assigned, the value, how) of one node."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                match target:
                    case ast.Attribute(value=ast.Attribute() as inner, attr="data"):
                        yield inner, value, ".data"
                    case ast.Attribute() | ast.Subscript():
                        yield target, value, ""
                    case ast.Tuple(elts=members) | ast.List(elts=members):
                        yield from ((each, None, "") for each in members if isinstance(each, ast.Attribute))
        case ast.Call(func=ast.Name(id="setattr"), args=[thing, ast.Constant(value=str(name)), value]):
            yield ast.Attribute(value=thing, attr=name, ctx=ast.Store()), value, "setattr"
        case ast.Call(
            func=ast.Attribute(value=thing, attr="register_parameter" | "register_buffer" | "add_module" as how),
            args=[ast.Constant(value=str(name)), value],
        ):
            yield ast.Attribute(value=thing, attr=name, ctx=ast.Store()), value, how


def chain(node: ast.expr, scope: Scope | None = None) -> tuple[str, Steps] | None:
    """(the name that an expression begins with, the steps from there); None for anything but names and items.

    A name that a loop over a model's parts gives is what the loop goes over, and `*parameters`, `*modules` or `*`.
    """
    steps: list[str] = []
    while True:
        match node:
            case ast.Attribute(value=inner, attr=attr):
                steps.append(attr)
                node = inner
            case ast.Subscript(value=inner, slice=ast.Constant(value=(str() | int()) as key)):
                steps.append(str(key))
                node = inner
            case ast.Name(id=name):
                over = _loops(scope.node).get(name) if scope is not None else None
                if over is None:
                    return name, tuple(reversed(steps))
                steps.append(over[1])
                node, scope = over[0], None
            case _:
                return None


_PARTS = {
    **dict.fromkeys(("parameters", "named_parameters"), "*parameters"),
    **dict.fromkeys(("modules", "named_modules", "children", "named_children"), "*modules"),
}


@lru_cache(maxsize=256)
def _loops(function: ast.AST) -> dict[str, tuple[ast.expr, str]]:
    """By name that a loop in a function gives what the loop goes over, and what it gives: `model.body` and parameters
    for `for p in model.body.parameters()`; not to be changed."""
    found: dict[str, tuple[ast.expr, str]] = {}
    for node in ast.walk(function):
        if not isinstance(node, ast.For | ast.comprehension):
            continue
        match node.iter:
            case ast.Call(func=ast.Attribute(value=inner, attr=attr)) if attr in _PARTS:
                over = inner, _PARTS[attr]
            case ast.Name() | ast.Attribute():
                over = node.iter, "*"
            case _:
                continue
        found.update((name, over) for name in names_in(node.target) if name not in found)
    return found


def constructs(scope: ast.AST, names: frozenset[str]) -> bool:
    """Whether a function calls one of some classes by name."""
    return any(called(node) in names for node in ast.walk(scope))


def narrowed(found: list[Outside], snapshot: Snapshot) -> list[Outside]:
    """Of several statements those in functions that build a root of this model, where there are any."""
    if len(found) > 1:
        here = [each for each in found if constructs(each.function, root_classes(snapshot))]
        return here or found
    return found
