"""Functions outside of a class that are given its instances as the model runs, and assign their attributes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from paramscope.source.callees import Callee, resolve
from paramscope.source.methods import FIRST, Method, Methods
from paramscope.source.syntax import Function, dotted, names_in, parameters

_DEPTH = 3
"""Functions that hand an instance on to one another."""


def is_kept_by_helper(methods: Methods, running: Iterable[str], name: str) -> bool:
    """Whether what runs the model gives its instance to a function that assigns this attribute: one of a module, a
    static method, or one that a decorator puts around a method."""
    for each in running:
        for method in methods.by_name.get(each, ()):
            if each not in FIRST and _keeps(method, name):
                return True
    return any(
        _assigns_argument(inner, name)
        for several in methods.by_name.values()
        for method in several
        if method.node.name not in FIRST
        for callee in _decorators(method)
        for inner in ast.walk(callee.node)
        if isinstance(inner, Function)
    )


def _keeps(method: Method, name: str) -> bool:
    if method.receiver is None and _assigns_argument(method.node, name):
        return True
    met: set[Function] = set()
    pending = [(method.file, method.node, method.receiver, 0)]
    while pending:
        file, node, receiver, depth = pending.pop()
        for called, position in _handed(node, receiver):
            callee = _callee(file, called)
            if callee is None or callee.node in met:
                continue
            met.add(callee.node)
            if _assigns_argument(callee.node, name):
                return True
            parameters = [each.arg for each in callee.node.args.args]
            if depth < _DEPTH and isinstance(position, int) and position < len(parameters):
                pending.append((callee.file, callee.node, parameters[position], depth + 1))
    return False


def _callee(file: str, func: ast.expr) -> Callee | None:
    found = resolve(file, dotted(func))
    return found if isinstance(found, Callee) else None


def _handed(node: Function, receiver: str | None) -> Iterator[tuple[ast.expr, int | str | None]]:
    """What a function calls with the instance among the arguments, and which of them that is."""
    if receiver is None:
        return
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            for position, arg in enumerate(each.args):
                if isinstance(arg, ast.Name) and arg.id == receiver:
                    yield each.func, position
            for keyword in each.keywords:
                if isinstance(keyword.value, ast.Name) and keyword.value.id == receiver:
                    yield each.func, keyword.arg


def _decorators(method: Method) -> Iterator[Callee]:
    for each in method.node.decorator_list:
        found = _callee(method.file, each.func if isinstance(each, ast.Call) else each)
        if found is not None:
            yield found


def _assigns_argument(node: Function, name: str) -> bool:
    """Whether a function puts something into this attribute of one of its arguments."""
    given = set(parameters(node.args))
    if node.args.vararg is not None:
        # `self, *rest = args`, `args[0].out = …`.
        for each in ast.walk(node):
            match each:
                case ast.Assign(targets=targets, value=ast.Name() | ast.Subscript() as value) if (
                    _first(value) in given
                ):
                    given.update(*map(names_in, targets))
    for each in ast.walk(node):
        match each:
            case ast.Attribute(value=owner, attr=attr, ctx=ast.Store()) if attr == name and _first(owner) in given:
                return True
            case ast.Subscript(value=ast.Attribute(value=owner, attr=attr), ctx=ast.Store()) if attr == name:
                if _first(owner) in given:
                    return True
            case ast.Call(func=ast.Name(id="setattr"), args=[owner, text, _]) if _first(owner) in given:
                if not isinstance(text, ast.Constant) or text.value == name:
                    return True
    return False


def _first(node: ast.expr) -> str:
    """The name of what is an argument itself, or one of several."""
    match node:
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            return name
    return ""
