"""What a class's `forward`, or a method or property that it uses, assigns below the instance, and when."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from paramscope.declared import LAYERS
from paramscope.snapshot import ClassRecord
from paramscope.source.causes import called
from paramscope.source.definitions import find_node
from paramscope.source.files import SourceFile, Unreadable
from paramscope.source.finder import Assignment
from paramscope.source.library import is_of_python
from paramscope.source.locals import bound_to

When = Literal["always", "absent", "sometimes"]
"""Whether it runs in each forward, where nothing is there yet, or on another condition."""

_LEARNING = frozenset(name.rpartition(".")[2] for name in LAYERS) | {
    *("Transformer", "TransformerEncoder", "TransformerDecoder", "TransformerEncoderLayer", "TransformerDecoderLayer")
}
"""Layers of torch.nn that hold parameters."""
_KEEPING = frozenset(
    {
        *("to", "cuda", "cpu", "type", "type_as", "train", "eval", "float", "double", "half", "bfloat16"),
        *("requires_grad_", "xpu", "npu", "apply"),
    }
)
"""Methods that give back the module, or something like the tensor, that they are called on."""


class Assigned(NamedTuple):
    """One assignment that the forward makes."""

    steps: tuple[str, ...]
    """From the instance: `("head",)`, `("layer", "weight")`."""
    when: When
    assignment: Assignment
    makes: Literal["Parameter", "layer", ""]
    """What is made there that learns; empty for anything else, and for what is not known."""


class _Method(NamedTuple):
    record: ClassRecord
    source: SourceFile
    node: ast.FunctionDef | ast.AsyncFunctionDef


def assigned_in_forward(classes: Mapping[str, ClassRecord], type: str) -> tuple[Assigned, ...]:
    """All that the forward of a class assigns, as far as its source and that of its bases can be read."""
    cls = classes.get(type)
    line = () if cls is None else (cls, *(classes[base] for base in cls.bases if base in classes))
    methods: dict[str, list[_Method]] = {}
    for record in line:
        if record.module.partition(".")[0] == "torch" or is_of_python(record):
            continue
        try:
            source, body = find_node(record)
        except Unreadable:
            continue
        for node in body.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                methods.setdefault(node.name, []).append(_Method(record, source, node))
    return tuple(each for method in _reached(methods) for each in _assigned(method))


def _reached(methods: Mapping[str, list[_Method]]) -> list[_Method]:
    """`forward`, and what it calls or reads of the instance."""
    found: dict[ast.AST, _Method] = {}
    pending = methods.get("forward", [])[:1]
    while pending:
        method = pending.pop()
        if method.node in found:
            continue
        found[method.node] = method
        receiver = _receiver(method.node)
        for node in _own_nodes(method.node):
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr=attr, ctx=ast.Load()) if name == receiver:
                    pending += [each for each in methods.get(attr, ())[:1] if _is_used(each, node, method)]
                case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=attr):
                    further = methods.get(attr, [])
                    at = next((i for i, each in enumerate(further) if each.node is method.node), -1)
                    pending += further[at + 1 : at + 2]
    return list(found.values())


def _is_used(called_method: _Method, node: ast.Attribute, method: _Method) -> bool:
    """Whether a method is called, or is a property; what is handed over, as to a hook, runs elsewhere."""
    names = {
        each.id if isinstance(each, ast.Name) else getattr(each, "attr", "")
        for each in called_method.node.decorator_list
    }
    if names & {"property", "cached_property"}:
        return True
    return any(isinstance(each, ast.Call) and each.func is node for each in ast.walk(method.node))


def _receiver(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    positional = [*node.args.posonlyargs, *node.args.args]
    is_static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list)
    return positional[0].arg if positional and not is_static else None


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions and classes in it."""
    stack: list[ast.AST] = list(ast.iter_child_nodes(node))
    while stack:
        each = stack.pop()
        yield each
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            stack.extend(ast.iter_child_nodes(each))


class _Condition(NamedTuple):
    test: ast.expr
    body: list[ast.stmt]
    """What runs where it holds."""
    is_negated: bool = False


def _assigned(method: _Method) -> Iterator[Assigned]:
    receiver = _receiver(method.node)
    if receiver is None or method.record.file is None:
        return
    stack: list[tuple[ast.stmt, tuple[_Condition, ...]]] = [(each, ()) for each in reversed(method.node.body)]
    while stack:
        node, conditions = stack.pop()
        match node:
            case ast.If(test=test, body=body, orelse=orelse):
                stack += [
                    (each, (*conditions, _Condition(test, orelse, is_negated=True))) for each in reversed(orelse)
                ]
                stack += [(each, (*conditions, _Condition(test, body))) for each in reversed(body)]
                continue
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                continue
        for steps, value, how in _targets(node, receiver):
            line = method.source.line(node.lineno)
            name = method.node.name
            where = Assignment(method.record.file, node.lineno, name, line, method.record.type, value, how)
            when = _when(conditions, steps[0], receiver)
            if when == "always" and _keeps(value, steps, receiver):
                when = "absent"
            yield Assigned(steps, when, where, _makes(value, where, method.source))
        inner = [
            (each, conditions)
            for field in ("body", "orelse", "finalbody")
            for each in getattr(node, field, ())
            if isinstance(each, ast.stmt)
        ]
        # What stands under `except` or `case` runs on a condition that is not known.
        inner += [
            (each, (*conditions, _Condition(ast.Constant(value=...), [])))
            for handler in (*getattr(node, "handlers", ()), *getattr(node, "cases", ()))
            for each in handler.body
        ]
        stack.extend(reversed(inner))


def _targets(node: ast.stmt, receiver: str) -> Iterator[tuple[tuple[str, ...], ast.expr | None, str]]:
    """(steps, value, how) of what one statement assigns below the instance."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                steps = _steps(target, receiver)
                if steps:
                    yield steps, value, ""
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            steps = _steps(target, receiver)
            if steps:
                yield steps, value, ""
        case ast.Expr(
            value=ast.Call(func=ast.Name(id="setattr"), args=[thing, ast.Constant(value=str(name)), value])
        ):
            yield (*_steps(thing, receiver, or_itself=True), name), value, "setattr"
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(
                    value=thing,
                    attr="register_parameter" | "register_buffer" | "add_module" | "register_module" as how,
                ),
                args=[ast.Constant(value=str(name)), value, *_],
            )
        ):
            if _is_below(thing, receiver):
                yield (*_steps(thing, receiver, or_itself=True), name), value, how


def _is_below(node: ast.expr, receiver: str) -> bool:
    return bool(_steps(node, receiver)) or (isinstance(node, ast.Name) and node.id == receiver)


def _steps(node: ast.expr, receiver: str, *, or_itself: bool = False) -> tuple[str, ...]:
    """The attributes from the instance to what an expression names; none for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    is_ours = isinstance(node, ast.Name) and node.id == receiver
    return tuple(reversed(names)) if is_ours and (names or or_itself) and "data" not in names[:1] else ()


def _when(conditions: tuple[_Condition, ...], name: str, receiver: str) -> When:
    if not conditions:
        return "always"
    return "absent" if all(_asks_whether_absent(each, name, receiver) for each in conditions) else "sometimes"


def _asks_whether_absent(condition: _Condition, name: str, receiver: str) -> bool:
    """Whether a condition holds where nothing is there yet."""
    tests: list[tuple[ast.expr, bool]] = [(condition.test, condition.is_negated)]
    while tests:
        test, is_negated = tests.pop()
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                tests.append((inner, not is_negated))
            case ast.BoolOp(values=values):
                tests += [(each, is_negated) for each in values]
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(value=None)]):
                if isinstance(op, ast.Is) is not is_negated and _names_it(left, name, receiver):
                    return True
            case ast.Compare(left=ast.Constant(value=text), ops=[ast.In() | ast.NotIn() as op]) if text == name:
                if isinstance(op, ast.NotIn) is not is_negated:
                    return True
            case ast.Call(func=ast.Name(id="hasattr"), args=[_, ast.Constant(value=text)]) if is_negated:
                if text == name:
                    return True
            case ast.Attribute(attr=attr) if is_negated and (
                _names_it(test, name, receiver) or _sets(condition.body, attr, receiver)
            ):
                return True
    return False


def _names_it(node: ast.expr, name: str, receiver: str) -> bool:
    """Whether an expression reads the attribute, or something below it."""
    match node:
        case ast.Call(func=ast.Name(id="getattr"), args=[ast.Name(id=owner), ast.Constant(value=text), *_]):
            return owner == receiver and text == name
    return _steps(node, receiver)[:1] == (name,)


def _sets(body: list[ast.stmt], flag: str, receiver: str) -> bool:
    """Whether statements set a switch, so that they run once."""
    return any(
        steps == (flag,) and isinstance(value, ast.Constant) and value.value is True
        for each in body
        for steps, value, _ in _targets(each, receiver)
    )


def _keeps(value: ast.expr | None, steps: tuple[str, ...], receiver: str) -> bool:
    """Whether a value is what is there already, where there is something: `self.fc or nn.Linear(…)`."""
    match value:
        case ast.BoolOp(op=ast.Or(), values=[first, *_]):
            return _steps(first, receiver) == steps
    return False


def _makes(value: ast.expr | None, where: Assignment, source: SourceFile) -> Literal["Parameter", "layer", ""]:
    match value:
        case ast.BoolOp(op=ast.Or(), values=[_, last]):
            value = last
        case ast.Name(id=name):
            values = bound_to(name, where) or []
            value = values[0] if len(values) == 1 else None
    while True:
        match value:
            case ast.Call(func=ast.Attribute(value=inner, attr=attr), args=args) if attr in _KEEPING:
                if attr == "requires_grad_" and args and isinstance(args[0], ast.Constant) and not args[0].value:
                    return ""
                if any(_is_false(each) for each in value.keywords):
                    return ""
                value = inner
                # A Parameter that is moved is a tensor.
                if called(value) == "Parameter" and attr not in ("requires_grad_", "train", "eval"):
                    return ""
            case _:
                break
    if not isinstance(value, ast.Call):
        return ""
    if called(value) == "Parameter":
        return "" if any(map(_is_false, value.keywords)) or _second_is_false(value) else "Parameter"
    return "layer" if any(_is_learning(each, source) for each in ast.walk(value)) else ""


def _is_false(keyword: ast.keyword) -> bool:
    return keyword.arg == "requires_grad" and isinstance(keyword.value, ast.Constant) and not keyword.value.value


def _second_is_false(call: ast.Call) -> bool:
    return len(call.args) > 1 and isinstance(call.args[1], ast.Constant) and not call.args[1].value


def _is_learning(node: ast.AST, source: SourceFile, depth: int = 0) -> bool:
    """Whether an expression makes a layer with parameters, as far as its name, or its class in this file, tells."""
    name = called(node) if isinstance(node, ast.Call) else ""
    if name in _LEARNING:
        return True
    return depth < 3 and any(
        _is_learning(each, source, depth + 1) or (isinstance(each, ast.Call) and called(each) == "Parameter")
        for body in source.classes.get(name, ())[:1]
        if name[:1].isupper()
        for each in ast.walk(body)
    )


def slots_of(found: Iterable[Assigned]) -> list[Assigned]:
    """Of all that a forward assigns what learns, and is made always or where nothing is there: each place once."""
    first: dict[tuple[str, ...], Assigned] = {}
    for each in found:
        if each.makes and each.when != "sometimes":
            first.setdefault(each.steps, each)
    return list(first.values())


__all__ = ["Assigned", "assigned_in_forward", "slots_of"]
