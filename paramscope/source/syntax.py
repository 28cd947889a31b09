"""What a piece of Python's syntax is at a glance: the names of calls, functions, their parameters, and attributes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeAlias, TypeGuard

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def own_name(node: ast.AST | None) -> str:
    """The last name of what an expression calls or is: `dataclass` for `@dataclasses.dataclass(frozen=True)`; empty
    for one without a name."""
    match node.func if isinstance(node, ast.Call) else node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def called(node: ast.AST | None) -> str:
    """The last name of what an expression calls; empty for anything else."""
    return own_name(node) if isinstance(node, ast.Call) else ""


def given_to(call: ast.Call) -> list[ast.expr]:
    """What a call is given, by position, then by name."""
    return [*call.args, *(each.value for each in call.keywords)]


def is_true(node: ast.AST | None) -> bool:
    """Whether an expression is True in plain sight."""
    return isinstance(node, ast.Constant) and node.value is True


def is_false(node: ast.AST | None) -> bool:
    """Whether an expression is False in plain sight."""
    return isinstance(node, ast.Constant) and node.value is False


def decorators(function: Function) -> set[str]:
    """The last names of what stands above a function."""
    return set(map(own_name, function.decorator_list))


def positional(args: ast.arguments) -> list[ast.arg]:
    """The parameters that may be given by position."""
    return [*args.posonlyargs, *args.args]


def parameters(args: ast.arguments) -> list[str]:
    """The names of all parameters."""
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
    return [each.arg for each in every if each is not None]


def receiver_of(method: Function) -> str | None:
    """What a method calls the instance; None for a static method."""
    first = next(iter(positional(method.args)), None)
    return None if first is None or "staticmethod" in decorators(method) else first.arg


def is_attribute_of(node: ast.AST, name: str | None) -> TypeGuard[ast.Attribute]:
    """Whether it is an attribute of what a local name stands for."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name


def dotted(node: ast.expr) -> tuple[str, ...]:
    """The names of `torch.nn.functional.pad`; none for anything but names and attributes."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (*reversed([*names, node.id]),) if isinstance(node, ast.Name) else ()


def inwards(node: ast.expr) -> Iterator[ast.expr]:
    """An expression, what it is an attribute or an item of, and so on."""
    yield node
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
        yield node


def names_in(node: ast.AST) -> set[str]:
    """The local names that stand in a piece of code."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def holds_line(node: ast.stmt | ast.expr, line: int) -> bool:
    """Whether a line is one of those that a piece of code stands on."""
    return node.lineno <= line <= (node.end_lineno or node.lineno)
