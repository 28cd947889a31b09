"""What a local name in a method was bound to, where the code says that in plain sight."""

from __future__ import annotations

import ast

from paramscope.source.files import Unreadable, read_file
from paramscope.source.finder import Assignment

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def bound_to(name: str, where: Assignment) -> list[ast.expr] | None:
    """The expressions that a name may stand for at an assignment; None where it may be anything: an argument, what a
    loop or a `with` gives, a name of another scope."""
    function = _function_at(where.file, where.line)
    if function is None or name in _arguments(function):
        return None
    bound: list[ast.expr] = []
    stores = 0
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=targets, value=value):
                bound += [value for target in targets if isinstance(target, ast.Name) and target.id == name]
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value) if found == name:
                bound.append(value)
            case ast.NamedExpr(target=ast.Name(id=found), value=value) if found == name:
                bound.append(value)
            case ast.Name(id=found, ctx=ast.Store()) if found == name:
                stores += 1
            case ast.Global(names=names) | ast.Nonlocal(names=names) if name in names:
                return None
    return bound if bound and stores == len(bound) else None


def _arguments(function: _Function) -> set[str]:
    args = function.args
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
    return {arg.arg for arg in every if arg is not None}


def _function_at(file: str, line: int) -> _Function | None:
    """The innermost function around a line."""
    try:
        source = read_file(file)
    except Unreadable:
        return None
    functions = source.read.get(_function_at)
    if functions is None:
        functions = source.read[_function_at] = [
            each for each in ast.walk(source.tree) if isinstance(each, _Function)
        ]
    assert isinstance(functions, list)
    around = [each for each in functions if each.lineno <= line <= (each.end_lineno or 0)]
    return max(around, key=lambda each: each.lineno, default=None)


def written_at(where: Assignment, name: str) -> str:
    """An attribute of this name as the statement of an assignment writes it, `self.blk.last`; empty where that shows
    none, or several."""
    function = _function_at(where.file, where.line)
    written = {
        ast.unparse(node)
        for node in (ast.walk(function) if function is not None else ())
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr == name
        if node.lineno == where.line
    }
    return written.pop() if len(written) == 1 else ""
