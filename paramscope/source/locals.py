"""What a local name in a method was bound to, where the code says that in plain sight."""

from __future__ import annotations

import ast

from paramscope.source.files import readable
from paramscope.source.finder import Assignment
from paramscope.source.syntax import Function, holds_line, parameters


def bound_to(name: str, where: Assignment) -> list[ast.expr] | None:
    """The expressions that a name may stand for at an assignment; None where it may be anything: an argument, what a
    loop or a `with` gives, a name of another scope."""
    function = function_at(where.file, where.line)
    if function is None or name in parameters(function.args):
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


def function_at(file: str, line: int) -> Function | None:
    """The innermost function around a line."""
    source = readable(file)
    if source is None:
        return None
    functions = source.once(
        function_at, lambda: [each for each in ast.walk(source.tree) if isinstance(each, Function)]
    )
    around = (each for each in functions if holds_line(each, line))
    return max(around, key=lambda each: each.lineno, default=None)


def written_at(where: Assignment, name: str) -> str:
    """An attribute of this name as the statement of an assignment writes it, `self.blk.last`; empty where that shows
    none, or several."""
    function = function_at(where.file, where.line)
    written = {
        ast.unparse(node)
        for node in (ast.walk(function) if function is not None else ())
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr == name
        if node.lineno == where.line
    }
    return written.pop() if len(written) == 1 else ""
