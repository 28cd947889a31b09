"""Whether an expression puts one thing in several places, as far as it stands in plain sight."""

from __future__ import annotations

import ast

from paramscope.source.syntax import Comprehension, called, dotted, names_in


def is_repeating(node: ast.expr) -> bool:
    """Whether it repeats a reference: `[layer] * n`, `[layer for _ in …]`, `[copy.copy(layer) for _ in …]`,
    `[layer, layer]`, alone or in the container that is given it."""
    return any(map(_repeats, ast.walk(node)))


def is_built_for_each(node: ast.expr) -> bool:
    """Whether it builds or copies one for each place: `[nn.Linear(4, 4) for _ in …]`, `[copy.deepcopy(layer) …]`."""
    return any(
        isinstance(each, Comprehension) and isinstance(_member(each), ast.Call) and not _is_shallow(_member(each))
        for each in (node, *_given(node))
    )


def _repeats(node: ast.AST) -> bool:
    match node:
        case (
            ast.BinOp(left=ast.List() | ast.Tuple(), op=ast.Mult())
            | ast.BinOp(op=ast.Mult(), right=ast.List() | ast.Tuple())
        ):
            return True
        case ast.List(elts=members) | ast.Tuple(elts=members) | ast.Call(args=members):
            names = [ast.unparse(each) for each in members if isinstance(each, ast.Name | ast.Attribute)]
            is_other_call = isinstance(node, ast.Call) and called(node) != "Sequential"
            return not is_other_call and len(set(names)) < len(names)
        case ast.ListComp() | ast.GeneratorExp() | ast.SetComp() | ast.DictComp():
            member = _member(node)
            if _is_shallow(member):
                return True
            bound = set().union(*(names_in(loop.target) for loop in node.generators))
            return isinstance(member, ast.Name | ast.Attribute | ast.Subscript) and not bound & names_in(member)
    return False


def _member(node: Comprehension) -> ast.expr:
    return node.value if isinstance(node, ast.DictComp) else node.elt


def _is_shallow(node: ast.expr) -> bool:
    """Whether it is `copy.copy(…)`, which leaves what lies in a thing as it is."""
    return isinstance(node, ast.Call) and dotted(node.func) == ("copy", "copy")


def _given(node: ast.expr) -> list[ast.expr]:
    """What a container is given: `nn.ModuleList(…)`, `nn.Sequential(*…)`."""
    args = node.args if isinstance(node, ast.Call) else []
    return [each.value if isinstance(each, ast.Starred) else each for each in args]
