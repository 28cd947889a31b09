"""The class definition that a recorded class was made from, found in its file by name and first function."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import NamedTuple

from paramscope.snapshot import ClassRecord
from paramscope.source.evaluate import Place, evaluate
from paramscope.source.files import SourceFile, Unreadable, read_file, readable
from paramscope.source.reader import ClassEvents, read_class
from paramscope.source.syntax import Function, decorators
from paramscope.source.values import SOMETHING, Branch, Scope, Value

# Decorators that leave a function where capture finds its line.
_TRANSPARENT = frozenset({"staticmethod", "classmethod", "property"})


class Definition(NamedTuple):
    """The body of a recorded class."""

    file: SourceFile
    events: ClassEvents


def find_definition(record: ClassRecord) -> Definition:
    """What the body of a recorded class assigns. Raises Unreadable."""
    if record.file is None or record.file in ("<stdin>", "<string>"):
        raise Unreadable(f"{short(record)} has no source file: it was made at run time, or typed at a prompt")
    file = read_file(record.file)

    def read() -> ClassEvents | Unreadable:
        try:
            return read_class(_definition(file, record), file.once(_module_scope, lambda: _module_scope(file)))
        except Unreadable as error:
            return error

    found = file.once((record.type, record.line), read)
    if isinstance(found, Unreadable):
        raise Unreadable(*found.args)
    return Definition(file, found)


def body_of(record: ClassRecord) -> ast.ClassDef | None:
    """The definition of a recorded class as it stands in its file; None where it cannot be read."""
    file = readable(record.file)
    if file is None:
        return None
    with suppress(Unreadable):
        return file.once(("body", record.type, record.line), lambda: _definition(file, record))
    return None


def bodies_of(record: ClassRecord) -> list[ast.ClassDef]:
    """All definitions that a recorded class may be made from, by its name; none where its file cannot be read."""
    file = readable(record.file)
    return [] if file is None else file.classes.get(short(record), [])


def short(record: ClassRecord) -> str:
    """The name of a class within its Python module."""
    return record.type.removeprefix(f"{record.module}.")


def own_class_name(record: ClassRecord) -> str:
    """The name of a class alone, by which its private names are mangled."""
    return short(record).rpartition(".")[2]


def _definition(file: SourceFile, record: ClassRecord) -> ast.ClassDef:
    name = short(record)
    candidates = file.classes.get(name, [])
    if not candidates:
        raise Unreadable(f"{record.file} holds no class {name}: it was generated, or the file has been edited")
    if record.line is None:
        fitting = candidates if len(candidates) == 1 else [each for each in candidates if not any(_functions(each))]
        if len(fitting) != 1:
            raise Unreadable(f"{record.file} holds several classes {name}, and nothing tells which one it is")
        return fitting[0]
    for each in candidates:
        is_there = any(function.line == record.line for function in _functions(each))
        if is_there and _may_be_topmost(each, record.line):
            return each
    if len(candidates) == 1 and _may_begin_elsewhere(file, candidates[0], record.line):
        return candidates[0]
    raise Unreadable(
        f"{record.file} has been edited since it was imported: "
        f"the first function of {name} does not begin at line {record.line}"
    )


class _Function(NamedTuple):
    line: int
    may_be_gone: bool
    """Whether the class may hold something else in its place."""
    is_decorated: bool


def _functions(node: ast.ClassDef) -> list[_Function]:
    """The functions that stand in a class body."""
    inside = list(_body(node))
    bound = Counter(each.name for each, _ in inside if isinstance(each, Function))
    # A name that the body assigns or deletes may have been a function's.
    bound.update(each.id for each, _ in inside if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load))
    found = []
    for each, is_inner in inside:
        if isinstance(each, Function):
            is_kept = not is_inner and decorators(each) <= _TRANSPARENT and bound[each.name] == 1
            found.append(_Function(_first_line(each), not is_kept, bool(each.decorator_list)))
        elif isinstance(each, ast.Lambda):
            found.append(_Function(each.lineno, may_be_gone=True, is_decorated=False))
    return found


def _body(node: ast.ClassDef) -> Iterator[tuple[ast.AST, bool]]:
    """The nodes of a class body, not of the functions and classes in it, and whether each is part of another."""
    stack: list[tuple[ast.AST, bool]] = [(each, False) for each in node.body]
    while stack:
        each, is_inner = stack.pop()
        yield each, is_inner
        if not isinstance(each, ast.ClassDef | Function | ast.Lambda):
            stack.extend((child, True) for child in ast.iter_child_nodes(each))


def _first_line(node: Function) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _may_be_topmost(node: ast.ClassDef, line: int) -> bool:
    """Whether no function that a class surely holds begins above a line."""
    return all(function.may_be_gone or function.line >= line for function in _functions(node))


def _may_begin_elsewhere(file: SourceFile, node: ast.ClassDef, line: int) -> bool:
    """Whether a function at this line may have taken the place of a decorated one in the class: `functools.wraps`
    gives it the name of the one that it wraps."""
    if not any(function.is_decorated for function in _functions(node)) or not _may_be_topmost(node, line):
        return False
    classes = chain.from_iterable(file.classes.values())
    return any(
        isinstance(inner, Function) and _first_line(inner) == line and inner is not outer
        for outer in chain(file.tree.body, *(each.body for each in classes))
        if isinstance(outer, ast.FunctionDef)
        for inner in ast.walk(outer)
    )


def _module_scope(file: SourceFile) -> Scope:
    """The names that the file itself assigns at its top, for those that methods loop over."""
    start = Branch()
    scope = Scope()
    place = Place(scope, start, 0, "", "", SOMETHING, in_body=False)
    for node in file.tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                scope.bind(name, evaluate(value, place), start)
            case ast.AugAssign(target=ast.Name(id=name)):
                scope.bind(name, Value(), start)
    return scope
