"""How a class's `forward` uses what its instance holds: in each run or on a condition, and whether a gradient comes
back through it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from paramscope.snapshot import ClassRecord
from paramscope.source.files import readable
from paramscope.source.finder import Assignment
from paramscope.source.forward import own_expressions, reached, statements
from paramscope.source.methods import Method, methods_by_name, parents_in
from paramscope.source.operations import is_without_graph
from paramscope.source.syntax import Function, called, dotted

Cut = Literal["no_grad", "detach", ""]
_DETACHING = frozenset({"detach", "data"})
_TELLING = frozenset({"config", "device", "dtype", "ndim", "numel", "requires_grad", "shape", "size", "training"})
"""Attributes that tell something of a module or a tensor, and use nothing of what it holds."""


class Use(NamedTuple):
    """One place where a forward, or a method that it calls, uses something that the instance holds."""

    is_conditional: bool
    """Whether it hangs on a condition, so that other inputs, or another mode, may pass by it."""
    cut: Cut
    """What keeps gradients from coming back through it; empty where nothing in the method does, for certain."""
    at: Assignment
    """The line that cuts it off; that of the use itself where none does."""


def uses(classes: Mapping[str, ClassRecord], type: str, steps: Sequence[str]) -> tuple[Use, ...]:
    """Where the forward of a class uses what lies below its instances, or what holds that; none where its source
    cannot be read, or gets at it in other ways.

    steps: the attributes from the instance on: `("encoder", "layer")`.
    """
    methods = methods_by_name(classes, type)
    running = [(method, asked) for method, asked in reached(methods) if method.receiver is not None]
    if any(_is_used_within(method, steps[0]) for method, _ in running):
        return ()
    return tuple(
        _use(method, node, way, is_conditional=bool(asked or conditions) or _is_in_condition(node, way))
        for method, asked in running
        for statement, conditions in statements(method)
        for node in own_expressions(statement)
        if isinstance(node, ast.Attribute) and (way := _way(node, method, steps)) is not None
    )


def _is_used_within(method: Method, name: str) -> bool:
    """Whether a function within a method, which runs who knows when, has to do with an attribute."""
    return any(
        isinstance(each, ast.Attribute) and each.attr == name
        for inner in ast.walk(method.node)
        if isinstance(inner, Function | ast.Lambda) and inner is not method.node
        for each in ast.walk(inner)
    )


def _way(node: ast.Attribute, method: Method, steps: Sequence[str]) -> list[ast.AST] | None:
    """What an expression stands in, innermost first, where it is one that uses what lies at some steps, or what holds
    that; None for any other."""
    first, *names = dotted(node) or ("",)
    if first != method.receiver or names != list(steps[: len(names)]):
        return None
    way = list(_upwards(node, parents_in(method.node)))
    above = way[0]
    if isinstance(above, ast.Attribute):
        is_use = len(names) == len(steps) and above.attr not in _TELLING
    else:
        is_use = not _is_question(node, above)
    return way if is_use else None


def _upwards(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    while node in parents:
        node = parents[node]
        yield node


def _is_question(node: ast.AST, above: ast.AST) -> bool:
    """Whether something is only asked for being there: `if self.pooler is not None`."""
    match above:
        case ast.Compare(ops=[ast.Is() | ast.IsNot()]):
            return True
        case ast.If(test=test) | ast.IfExp(test=test) | ast.Assert(test=test) | ast.While(test=test):
            return test is node
    return isinstance(above, ast.BoolOp) or (isinstance(above, ast.UnaryOp) and isinstance(above.op, ast.Not))


def _is_in_condition(node: ast.AST, way: list[ast.AST]) -> bool:
    """Whether an expression is evaluated on a condition within its statement: `self.pooler(x) if pool else None`."""
    inner = node
    for above in way:
        match above:
            case ast.stmt():
                return False
            case ast.IfExp(test=test) if test is not inner:
                return True
            case ast.BoolOp(values=[first, *_]) if first is not inner:
                return True
        inner = above
    return False


def _use(method: Method, node: ast.Attribute, way: list[ast.AST], *, is_conditional: bool) -> Use:
    cut: Cut = ""
    line = node.lineno
    if (detaching := _detached_at(method, node, way)) is not None:
        cut, line = "detach", detaching
    elif (ungraded := _ungraded_at(method, way)) is not None:
        cut, line = "no_grad", ungraded
    return Use(is_conditional, cut, _line(method, line))


def _line(method: Method, line: int) -> Assignment:
    source = readable(method.file)
    text = source.line(line) if source is not None else ""
    return Assignment(method.file, line, method.node.name, text, method.type)


def _detached_at(method: Method, node: ast.Attribute, way: list[ast.AST]) -> int | None:
    """The line where what an expression gives is detached, and all of it; None where that is not so."""
    result: ast.AST = node
    if isinstance(way[0], ast.Call) and way[0].func is node:
        result, way = way[0], way[1:]
    match way:
        case [ast.Attribute(attr=attr) as member, *_] if attr in _DETACHING:
            return member.end_lineno
        case [ast.Assign(targets=[ast.Name(id=name)], value=value), *_] if value is result and result is not node:
            return _always_detached(method, name)
    return None


def _always_detached(method: Method, name: str) -> int | None:
    """The first line where a local name is detached, if that is all that becomes of what it stands for."""
    parents = parents_in(method.node)
    found = [each for each in parents if isinstance(each, ast.Name) and each.id == name]
    loads = [each for each in found if isinstance(each.ctx, ast.Load)]
    if len(found) != len(loads) + 1 or not loads:
        return None
    above = [parents[each] for each in loads]
    if all(isinstance(each, ast.Attribute) and each.attr in _DETACHING for each in above):
        return min(each.lineno for each in loads)
    return None


def _ungraded_at(method: Method, way: list[ast.AST]) -> int | None:
    """The line from which on autograd notes nothing where an expression stands; None where it does."""
    line = None
    if is_without_graph(method.node.decorator_list, around=False):
        line = method.node.decorator_list[0].lineno
    for above in reversed(way):
        if isinstance(above, ast.With | ast.AsyncWith):
            contexts = [item.context_expr for item in above.items]
            is_cut = is_without_graph(contexts, around=line is not None)
            line = (above.lineno if line is None else line) if is_cut else None
    return line


class Call(NamedTuple):
    """A call in a forward, or in a method that it calls."""

    name: str
    """The last name of what is called: `dropout` of `F.dropout`."""
    is_of_instance: bool
    """Whether that is reached from the instance: `self.dropout(x)`."""
    node: ast.Call
    at: Assignment


def calls(classes: Mapping[str, ClassRecord], type: str) -> Iterator[Call]:
    """All that the forward of a class calls by a name, as far as its source can be read."""
    for method, _ in reached(methods_by_name(classes, type)):
        for statement, _ in statements(method):
            for node in own_expressions(statement):
                if isinstance(node, ast.Call) and (name := called(node)):
                    is_of_instance = (dotted(node.func) or ("",))[0] == method.receiver
                    yield Call(name, is_of_instance, node, _line(method, node.lineno))
