"""What a class's `forward`, or a method or property that it uses, assigns below the instance, and when."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from paramscope.snapshot import ClassRecord
from paramscope.snapshot.declared import LAYERS
from paramscope.source.files import SourceFile, readable
from paramscope.source.finder import Assignment
from paramscope.source.locals import bound_to
from paramscope.source.methods import Method, methods_by_name
from paramscope.source.operations import HANDING_BACK
from paramscope.source.syntax import called, dotted, is_false, is_true

When = Literal["always", "absent", "sometimes"]
"""Whether it runs in each forward, where nothing is there yet, or on another condition."""

_LEARNING = frozenset(name.rpartition(".")[2] for name in LAYERS) | {
    *("Transformer", "TransformerEncoder", "TransformerDecoder", "TransformerEncoderLayer", "TransformerDecoderLayer")
}
"""Layers of torch.nn that hold parameters."""


class Assigned(NamedTuple):
    """One assignment that the forward makes."""

    steps: tuple[str, ...]
    """From the instance: `("head",)`, `("layer", "weight")`."""
    when: When
    assignment: Assignment
    makes: Literal["Parameter", "layer", ""]
    """What is made there that learns; empty for anything else, and for what is not known."""


def assigned_in_forward(classes: Mapping[str, ClassRecord], type: str) -> tuple[Assigned, ...]:
    """All that the forward of a class assigns, as far as its source and that of its bases can be read."""
    methods = methods_by_name(classes, type)
    return tuple(each for method, asked in reached(methods) for each in _assigned(method, asked))


_SITES_BOUND = 8
"""Calls of one method that are told apart by the conditions that they stand under."""


def reached(methods: Mapping[str, list[Method]]) -> list[tuple[Method, tuple[_Condition, ...]]]:
    """`forward`, and what it calls or reads of the instance, with the conditions under which it does."""
    found: list[tuple[Method, tuple[_Condition, ...]]] = []
    met: dict[ast.AST, set[tuple[ast.expr, ...]]] = {}
    pending: list[tuple[Method, tuple[_Condition, ...]]] = [(each, ()) for each in methods.get("forward", [])[:1]]
    while pending:
        method, asked = pending.pop()
        sites = met.setdefault(method.node, set())
        key = tuple(each.test for each in asked)
        if key in sites or len(sites) >= _SITES_BOUND:
            continue
        sites.add(key)
        found.append((method, asked))
        for statement, conditions in statements(method):
            for called_method in _called(methods, method, statement):
                # What a switch is set by may stand in the method that is called.
                inner = [each._replace(body=[*each.body, *called_method.node.body]) for each in conditions]
                pending.append((called_method, (*asked, *inner)))
    return found


def _called(methods: Mapping[str, list[Method]], method: Method, statement: ast.stmt) -> Iterator[Method]:
    """The methods and properties of the instance that a statement itself, not one within it, uses."""
    receiver = method.receiver
    for node in own_expressions(statement):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attr, ctx=ast.Load()) if name == receiver:
                yield from (each for each in methods.get(attr, ())[:1] if _is_used(each, node, method))
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=attr):
                further = methods.get(attr, [])
                at = next((i for i, each in enumerate(further) if each.node is method.node), -1)
                yield from further[at + 1 : at + 2]


def _is_used(called_method: Method, node: ast.Attribute, method: Method) -> bool:
    """Whether a method is called, or is a property; what is handed over, as to a hook, runs elsewhere."""
    is_called = (isinstance(each, ast.Call) and each.func is node for each in ast.walk(method.node))
    return called_method.is_property or any(is_called)


def own_expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """The expressions of a statement, without those of statements, functions and classes in it."""
    stack: list[ast.AST] = [each for each in ast.iter_child_nodes(statement) if not isinstance(each, ast.stmt)]
    while stack:
        each = stack.pop()
        yield each
        if not isinstance(each, ast.Lambda | ast.ExceptHandler | ast.match_case):
            stack.extend(ast.iter_child_nodes(each))


class _Condition(NamedTuple):
    test: ast.expr
    body: list[ast.stmt]
    """What runs where it holds."""
    is_negated: bool = False
    is_exit: bool = False
    """Whether it holds behind an `if` that returns, rather than within one."""


def statements(method: Method) -> Iterator[tuple[ast.stmt, tuple[_Condition, ...]]]:
    """The statements of a method with the conditions under which they run, in order."""
    stack: list[tuple[ast.stmt, tuple[_Condition, ...]]] = _behind(method.node.body, ())
    while stack:
        node, conditions = stack.pop()
        match node:
            case ast.If(test=test, body=body, orelse=orelse):
                yield node, conditions
                stack += _behind(orelse, (*conditions, _Condition(test, orelse, is_negated=True)))
                stack += _behind(body, (*conditions, _Condition(test, body)))
                continue
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                continue
        yield node, conditions
        # What stands under `except` or `case` runs on a condition that is not known.
        for handler in reversed((*getattr(node, "handlers", ()), *getattr(node, "cases", ()))):
            stack += _behind(handler.body, (*conditions, _Condition(ast.Constant(value=...), [])))
        for field in ("finalbody", "orelse", "body"):
            inner = getattr(node, field, ())
            if isinstance(inner, list) and all(isinstance(each, ast.stmt) for each in inner):
                stack += _behind(inner, conditions)


def _behind(
    body: list[ast.stmt], conditions: tuple[_Condition, ...]
) -> list[tuple[ast.stmt, tuple[_Condition, ...]]]:
    """The statements of a block, the last one first; those behind an `if` that returns run where it does not hold."""
    found = []
    for each in body:
        found.append((each, conditions))
        match each:
            case ast.If(test=test, body=[*_, ast.Return()], orelse=[]):
                conditions = (*conditions, _Condition(test, body, is_negated=True, is_exit=True))
    return found[::-1]


def _assigned(method: Method, asked: tuple[_Condition, ...]) -> Iterator[Assigned]:
    """asked: the conditions under which the method is called."""
    receiver, source = method.receiver, readable(method.file)
    if receiver is None or source is None:
        return
    for node, conditions in statements(method):
        for steps, value, how in _targets(node, receiver):
            line = source.line(node.lineno)
            where = Assignment(method.file, node.lineno, method.node.name, line, method.type, value, how)
            when = _when((*asked, *conditions), steps[0], receiver)
            if when == "always" and _keeps(value, steps, receiver):
                when = "absent"
            yield Assigned(steps, when, where, _makes(value, where, source))


def _targets(node: ast.stmt, receiver: str) -> Iterator[tuple[tuple[str, ...], ast.expr | None, str]]:
    """(steps, value, how) of what one statement assigns below the instance."""
    match node:
        case ast.Assign(targets=targets, value=value):
            pass
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            targets = [target]
        case (
            ast.Expr(
                value=ast.Call(func=ast.Name(id="setattr" as how), args=[thing, ast.Constant(value=str(name)), value])
            )
            | ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(
                        value=thing,
                        attr="register_parameter" | "register_buffer" | "add_module" | "register_module" as how,
                    ),
                    args=[ast.Constant(value=str(name)), value, *_],
                )
            )
        ):
            steps = _steps(thing, receiver)
            if steps or (isinstance(thing, ast.Name) and thing.id == receiver):
                yield (*steps, name), value, how
            return
        case _:
            return
    yield from ((steps, value, "") for target in targets if (steps := _steps(target, receiver)))


def _steps(node: ast.expr, receiver: str) -> tuple[str, ...]:
    """The attributes from the instance to what an expression names; none for anything else."""
    first, *names = dotted(node) or ("",)
    return tuple(names) if first == receiver and names[-1:] != ["data"] else ()


def _when(conditions: tuple[_Condition, ...], name: str, receiver: str) -> When:
    asking = [each for each in conditions if _asks_whether_absent(each, name, receiver)]
    # Behind an `if` that returns stands the usual way.
    if any(each not in asking and not each.is_exit for each in conditions):
        return "sometimes"
    return "absent" if asking else "always"


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
    return any(steps == (flag,) and is_true(value) for each in body for steps, value, _ in _targets(each, receiver))


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
            case ast.Call(func=ast.Attribute(value=inner, attr=attr), args=args) if attr in HANDING_BACK:
                if _is_frozen(value, args[:1] if attr == "requires_grad_" else ()):
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
        return "" if _is_frozen(value, value.args[1:2]) else "Parameter"
    return "layer" if any(_is_learning(each, source) for each in ast.walk(value)) else ""


_AFFINE = {
    "LayerNorm": ("elementwise_affine", 2),
    "RMSNorm": ("elementwise_affine", 2),
    "GroupNorm": ("affine", 3),
    **{f"{kind}{sizes}d": ("affine", 3) for kind in ("BatchNorm", "InstanceNorm") for sizes in (1, 2, 3)},
    "SyncBatchNorm": ("affine", 3),
}
"""By norm, the argument that says whether it has parameters, and its position."""


def _is_plain_norm(call: ast.Call, name: str) -> bool:
    """Whether a norm is made without parameters, for certain."""
    if name not in _AFFINE:
        return False
    argument, position = _AFFINE[name]
    given = [each.value for each in call.keywords if each.arg == argument] or call.args[position : position + 1]
    if not given:
        return name.startswith("InstanceNorm") and all(each.arg is not None for each in call.keywords)
    return isinstance(given[0], ast.Constant) and not given[0].value


def _is_frozen(call: ast.Call, by_position: Iterable[ast.expr]) -> bool:
    """Whether a call says that what it gives requires no grad, by name or by position."""
    by_name = (each.value for each in call.keywords if each.arg == "requires_grad")
    return any(is_false(each) for each in (*by_name, *by_position))


def _is_learning(node: ast.AST, source: SourceFile, depth: int = 0) -> bool:
    """Whether an expression makes a layer with parameters, as far as its name, or its class in this file, tells."""
    name = called(node)
    if isinstance(node, ast.Call) and name in _LEARNING:
        return not _is_plain_norm(node, name)
    return depth < 3 and any(
        _is_learning(each, source, depth + 1) or called(each) == "Parameter"
        for body in source.classes.get(name, ())[:1]
        if name[:1].isupper()
        for each in ast.walk(body)
    )


def slots_of(found: Iterable[Assigned]) -> list[Assigned]:
    """Of all that a forward assigns what learns, and is made always or where nothing is there: each place once."""
    first: dict[tuple[str, ...], Assigned] = {}
    for each in sorted(found, key=lambda each: each.when != "always"):
        if each.makes and each.when != "sometimes":
            first.setdefault(each.steps, each)
    return list(first.values())
