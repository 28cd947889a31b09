"""Statements outside of a model's classes that assign to what lies in it, such as `model.head.weight = …` in the
function that builds it, in one of the files of the user's own classes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from paramscope.snapshot import Snapshot
from paramscope.source.files import SourceFile, Unreadable, read_file
from paramscope.source.finder import Assignment
from paramscope.source.library import is_own

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Steps = tuple[str, ...]


class Outside(NamedTuple):
    """One statement that assigns an attribute of something that a local name leads to."""

    steps: Steps
    """From the name to what is assigned: `("head", "weight")`; `"*parameters"` and the like for what a loop gives."""
    receiver: str
    function: ast.AST
    """The innermost function, or the file, that holds it."""
    classes: tuple[str, ...]
    """Names of the classes around it."""
    assignment: Assignment


class Scope(NamedTuple):
    """A function, or a file, with what is around it."""

    node: ast.AST
    classes: tuple[str, ...]
    """Names of the classes around it, outermost first."""
    functions: tuple[ast.AST, ...]
    """The functions around it, outermost first, and itself."""


def own_files(snapshot: Snapshot) -> tuple[str, ...]:
    """The files that hold the user's own classes of this model, each once."""
    return tuple(dict.fromkeys(record.file for record in snapshot.interned.classes if record.file and is_own(record)))


def root_classes(snapshot: Snapshot) -> frozenset[str]:
    """Own names of the classes of the roots."""
    return frozenset(snapshot.modules[root].type.rpartition(".")[2] for root in snapshot.roots)


def read(file: str) -> SourceFile | None:
    """A source file; None where it cannot be read."""
    try:
        return read_file(file)
    except Unreadable:
        return None


def outside(file: str) -> tuple[Outside, ...]:
    """All such statements of a file, read once."""
    source = read(file)
    if source is None:
        return ()
    known = source.read.get(outside)
    if known is None:
        known = source.read[outside] = tuple(_read(source, file))
    assert isinstance(known, tuple)
    return known


def statements(source: SourceFile) -> Iterator[tuple[ast.AST, Scope]]:
    """Every node of a file with the function that holds it, in the file's order."""
    stack: list[tuple[ast.AST, Scope]] = [(source.tree, Scope(source.tree, (), (source.tree,)))]
    while stack:
        node, scope = stack.pop()
        yield node, scope
        if isinstance(node, ast.ClassDef):
            scope = scope._replace(classes=(*scope.classes, node.name))
        elif isinstance(node, Function):
            scope = Scope(node, scope.classes, (*scope.functions, node))
        stack.extend((child, scope) for child in reversed(list(ast.iter_child_nodes(node))))


def _read(source: SourceFile, file: str) -> Iterator[Outside]:
    lines: dict[ast.AST, int] = {}
    for node, scope in statements(source):
        # An expression stands on the line that its statement begins on.
        line = node.lineno if isinstance(node, ast.stmt) else lines.get(node, 0)
        for child in ast.iter_child_nodes(node):
            lines[child] = line
        for target, value, how in _assigned(node):
            found = chain(target, scope)
            if found is not None:
                method = getattr(scope.node, "name", "")
                owner = ".".join(scope.classes)
                assignment = Assignment(file, line, method, source.line(line), owner, value, how)
                yield Outside(found[1], found[0], scope.node, scope.classes, assignment)


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None, str]]:
    """(what is assigned, the value, how) of one node."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                match target:
                    case ast.Attribute(value=ast.Attribute() as inner, attr="data"):
                        yield inner, value, ".data"
                    case ast.Attribute():
                        yield target, value, ""
                    case ast.Subscript():
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
                over = _loop_over(name, scope) if scope is not None else None
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


def _loop_over(name: str, scope: Scope) -> tuple[ast.expr, str] | None:
    """What a loop goes over that gives a name, and what it gives: `model.body` and parameters for
    `for p in model.body.parameters()`."""
    return _loops(scope.node).get(name)


@lru_cache(maxsize=256)
def _loops(function: ast.AST) -> dict[str, tuple[ast.expr, str]]:
    """What the names that loops in a function give come from; not to be changed."""
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
        names = (each.id for each in ast.walk(node.target) if isinstance(each, ast.Name))
        found.update((name, over) for name in names if name not in found)
    return found


def constructs(scope: ast.AST, names: Iterable[str]) -> bool:
    """Whether a function calls one of some classes by name."""
    wanted = set(names)
    for node in ast.walk(scope):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in wanted:
                return True
    return False


def narrowed(found: list[Outside], snapshot: Snapshot) -> list[Outside]:
    """Of several statements those in functions that build a root of this model, where there are any."""
    if len(found) > 1:
        here = [each for each in found if constructs(each.function, root_classes(snapshot))]
        return here or found
    return found
