"""Whether a statement hides on purpose what it is given: one pair of brackets around an argument keeps a module that
belongs to somebody else out of torch's sight. Also, whether a class looks after what it has hidden."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence

from paramscope.snapshot import ClassRecord
from paramscope.snapshot.path import PathStep, Steps, to_steps
from paramscope.source.contents import is_empty
from paramscope.source.definitions import body_of
from paramscope.source.finder import Assignment
from paramscope.source.methods import Method, methods_by_name
from paramscope.source.operations import HANDING_BACK, MOVING
from paramscope.source.syntax import Function, holds_line, is_attribute_of, own_name, parameters, receiver_of
from paramscope.source.values import mangled

_Place = tuple[int, int]
"""Line and column."""

_DEPTH_BOUND = 8
"""Names that only rename another, and expressions within one another, that are looked through."""
_BRACKETS = frozenset({"list", "tuple", "deque"})
_CARING = MOVING | {"_apply", "train", "eval"}
"""Methods that torch calls for all that is registered: who overrides one looks after the rest, too."""


def is_hidden_on_purpose(classes: Mapping[str, ClassRecord], assignment: Assignment, name: str) -> bool:
    """Whether an assignment puts one pair of brackets around an argument of its method, or around a callable that
    holds one, and what is reached by `name` (`model[0]`, `model[0]->args[1]`) is that argument."""
    given = _given(classes, assignment)
    return given is not None and assignment.value is not None and given.is_bracketed(assignment.value, to_steps(name))


def is_handed_in(classes: Mapping[str, ClassRecord], assignment: Assignment) -> bool:
    """Whether an assignment keeps an argument of its method as it is."""
    given = _given(classes, assignment)
    return given is not None and assignment.value is not None and given.is_argument(assignment.value)


def looks_after(classes: Mapping[str, ClassRecord], type: str, attribute: str) -> bool:
    """Whether a class, or one that it inherits from, moves what lies in an attribute: where it reads it, or in an
    override of what torch calls for all that is registered."""
    methods = (each for found in methods_by_name(classes, type).values() for each in found)
    return any(_looks_after(each, attribute) for each in methods if each.node.name != "__init__")


def _looks_after(method: Method, attribute: str) -> bool:
    def is_it(node: ast.AST) -> bool:
        return is_attribute_of(node, method.receiver) and mangled(node.attr, method.owner) == attribute

    for node in ast.walk(method.node):
        if method.node.name in _CARING and is_it(node):
            return True
        match node:
            case ast.Call(func=ast.Attribute(value=moved, attr=name)) if name in MOVING:
                if any(map(is_it, _inwards(moved))):
                    return True
    return False


def _inwards(node: ast.expr) -> Iterator[ast.expr]:
    """An expression, what it is an item or an attribute of, and so on."""
    yield node
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
        yield node


def _given(classes: Mapping[str, ClassRecord], assignment: Assignment) -> _Given | None:
    """What the method of an assignment is given, as it stands at that line."""
    record = classes.get(assignment.type)
    body = None if record is None else body_of(record)
    column = 0 if assignment.value is None else assignment.value.col_offset
    for node in ast.walk(body) if body is not None else ():
        if isinstance(node, Function) and node.name == assignment.method and holds_line(node, assignment.line):
            return _Given(node, (assignment.line, column))
    return None


class _Given:
    """The arguments of a method, as they stand at one place in it."""

    def __init__(self, method: Function, place: _Place) -> None:
        self._place = place
        self._arguments = set(parameters(method.args)) - {receiver_of(method)}
        self._bindings: dict[str, list[tuple[_Place, ast.expr]]] = {}
        """By local name, the places that surely bind it, and to what."""
        self._functions: dict[str, Function] = {}
        for statement in method.body:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ):
                    place = (statement.lineno, statement.col_offset)
                    self._bindings.setdefault(name, []).append((place, value))
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    self._functions[name] = statement

    def is_bracketed(self, node: ast.expr, steps: Steps) -> bool:
        """Whether an expression is a list or tuple of one, and what the steps lead to, from its attribute on, is an
        argument."""
        match node:
            case ast.Call(args=[inner], keywords=[]) if own_name(node) in _BRACKETS:
                return self.is_bracketed(inner, steps)
            case ast.List(elts=[inner]) | ast.Tuple(elts=[inner]):
                below = steps[1:]
                return bool(below) and below[0] == PathStep("item", "0") and self._leads_to(inner, below[1:])
            case ast.IfExp(body=one, orelse=other):
                return self._is_any_bracketed((one, other), steps)
            case ast.BoolOp(op=ast.And(), values=[*_, last]):
                # What stands before the last one is kept only where it is empty.
                return self.is_bracketed(last, steps)
            case ast.BoolOp(op=ast.Or(), values=values):
                return self._is_any_bracketed(values, steps)
            case ast.NamedExpr(value=inner):
                return self.is_bracketed(inner, steps)
        return False

    def _is_any_bracketed(self, choices: Iterable[ast.expr], steps: Steps) -> bool:
        """Whether one of several expressions is in brackets, and all others are, too, or hold nothing."""
        filled = [each for each in choices if not is_empty(each)]
        return bool(filled) and all(self.is_bracketed(each, steps) for each in filled)

    def _leads_to(self, node: ast.expr, steps: Steps) -> bool:
        """Whether the steps lead from what an expression makes to an argument."""
        if self.is_argument(node):
            return True
        function: ast.Lambda | Function | None = None
        match node, *(step.text for step in steps[:2]):
            case ast.Call(args=[called, *args], keywords=keywords), first, *rest if own_name(node) == "partial":
                if first == "func":
                    return self._leads_to(called, steps[1:])
                held: dict[str, ast.expr] = {str(i): each for i, each in enumerate(args)} if first == "args" else {}
                if first == "keywords":
                    held = {each.arg: each.value for each in keywords if each.arg is not None}
                return bool(rest) and rest[0] in held and self._leads_to(held[rest[0]], steps[2:])
            case ast.Name(id=name), *_:
                function = self._functions.get(name)
            case ast.Lambda(), *_:
                function = node  # type: ignore[assignment]
        return function is not None and bool(steps) and self._is_held_by(function, steps)

    def _is_held_by(self, function: ast.Lambda | Function, steps: Steps) -> bool:
        """Whether a function closes over an argument, or has it as a default, where the steps say."""
        first = steps[0].text
        if first.startswith("<"):
            return self.is_argument(ast.Name(first.strip("<>"), ast.Load()))
        defaults = function.args.defaults if first == "__defaults__" else ()
        is_there = len(steps) > 1 and steps[1].text.isdecimal() and int(steps[1].text) < len(defaults)
        return is_there and self.is_argument(defaults[int(steps[1].text)])

    def is_argument(self, node: ast.expr, place: _Place | None = None, depth: int = 0) -> bool:
        """Whether an expression is an argument or a part of one, however it is called at that place."""
        place = self._place if place is None else place
        if depth > _DEPTH_BOUND:
            return False
        parts: Sequence[ast.expr] = ()
        match node:
            case ast.Name(id=name):
                bindings = [each for each in self._bindings.get(name, ()) if each[0] < place]
                if not bindings:
                    return name in self._arguments
                place, inner = bindings[-1]
                parts = (inner,)
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.NamedExpr(value=inner):
                parts = (inner,)
            case ast.Call(func=ast.Attribute(value=inner, attr=method)) if method in HANDING_BACK:
                parts = (inner,)
            case ast.Call(func=ast.Name(id="getattr"), args=[inner, *_]):
                parts = (inner,)
            case ast.Call(args=[_, inner]) if own_name(node) == "cast":
                parts = (inner,)
            case ast.IfExp(body=one, orelse=other):
                parts = (one, other)
            case ast.BoolOp(values=values):
                parts = values
        return bool(parts) and all(self.is_argument(each, place, depth + 1) for each in parts)
