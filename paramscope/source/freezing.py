"""Whether the source of a class freezes something that it holds, in plain sight."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from paramscope.snapshot import ClassRecord
from paramscope.source.definitions import bodies_of
from paramscope.source.files import readable
from paramscope.source.syntax import Function, called, is_false, is_true, names_in, positional

Steps = tuple[str, ...]


def freezes(record: ClassRecord, path: Sequence[str]) -> bool:
    """Whether a method of a class writes `requires_grad_(False)`, `requires_grad = False`, `freeze=True` or the like
    on a slot, or on what holds it.

    path: the names from an instance to the slot, `("table", "weight")`. False, too, where the source is not known.
    """
    file = readable(record.file)
    frozen = () if file is None else file.once(("frozen", record.type), lambda: _frozen_in(record))
    return any(tuple(path[: len(steps)]) == steps for steps in frozen)


def _frozen_in(record: ClassRecord) -> frozenset[Steps]:
    methods = (each for body in bodies_of(record) for each in body.body if isinstance(each, Function))
    return frozenset(steps for each in methods for steps in _frozen(each))


def _frozen(method: Function) -> Iterator[Steps]:
    """What a method freezes, as the names from its own instance on."""
    names = positional(method.args)
    if not names:
        return
    known: dict[str, set[Steps]] = {names[0].arg: {()}}
    nodes = list(ast.walk(method))
    for node in nodes:
        for target, value in _assigned(node):
            steps = _chain(target, known)
            if steps and isinstance(value, ast.Name):
                # `self.table = table`: what befalls the one befalls the other.
                known.setdefault(value.id, set()).update(steps)
        if isinstance(node, ast.For) and isinstance(node.iter, ast.Call):
            of = node.iter.func
            if isinstance(of, ast.Attribute) and of.attr in ("parameters", "named_parameters"):
                for name in names_in(node.target):
                    known.setdefault(name, set()).update(_chain(of.value, known))
    for node in nodes:
        yield from filter(None, _frozen_by(node, known))


def _frozen_by(node: ast.AST, known: dict[str, set[Steps]]) -> Iterator[Steps]:
    for target, value in _assigned(node):
        if isinstance(target, ast.Attribute) and target.attr == "requires_grad" and is_false(value):
            yield from _chain(target.value, known)
        elif value is not None and any(map(_is_freezing, ast.walk(value))):
            yield from _chain(target, known)
    if isinstance(node, ast.Call):
        name = called(node)
        if isinstance(node.func, ast.Attribute) and _is_freezing(node):
            yield from _chain(node.func.value, known)
        switches_off = "requires_grad" in name and any(is_false(each) for each in node.args)
        if switches_off or "freeze" in name.lower():
            for argument in node.args:
                yield from _chain(argument, known)


def _is_freezing(node: ast.AST) -> bool:
    """Whether a call says that what it makes, or is called on, is frozen."""
    if not isinstance(node, ast.Call):
        return False
    name = called(node)
    options = {each.arg: each.value for each in node.keywords}
    if name == "requires_grad_":
        return is_false(node.args[0] if node.args else options.get("requires_grad"))
    if name == "from_pretrained" and len(node.args) > 1 and is_true(node.args[1]):
        return True
    says = any(is_true(options.get(each)) for each in ("freeze", "_freeze"))
    return says or is_false(options.get("requires_grad"))


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield target, node.value
    elif isinstance(node, ast.AnnAssign):
        yield node.target, node.value


def _chain(node: ast.AST, known: dict[str, set[Steps]]) -> set[Steps]:
    """What an expression may stand for: `self.table.weight` for `("table", "weight")`."""
    if isinstance(node, ast.Name):
        return known.get(node.id, set())
    if isinstance(node, ast.Attribute):
        # `.data` is the tensor itself.
        above = _chain(node.value, known)
        return above if node.attr == "data" else {(*steps, node.attr) for steps in above}
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return {(*steps, str(node.slice.value)) for steps in _chain(node.value, known)}
    return set()
