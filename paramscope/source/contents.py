"""Whether the container that an expression makes has an item of a key."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from paramscope.source.syntax import called
from paramscope.source.texts import BITS_BOUND, DIGITS_BOUND

_OF_ONE = frozenset(
    {"ModuleList", "ParameterList", "BufferList", "list", "tuple", "set", "frozenset", "deque", "iter"}
)
_CONTAINERS = frozenset({"dict", "list", "tuple", "set", "deque", "OrderedDict", "defaultdict"})
_OF_KEYS = frozenset({"ModuleDict", "ParameterDict", "BufferDict", "dict", "OrderedDict"})
_DEPTH_BOUND = 8


def holds(node: ast.expr | None, key: str, depth: int = 0) -> bool | None:
    """Whether what an expression makes has an item of this key or index; None where the code does not say.

    A constant, such as None, has none.
    """
    if depth > _DEPTH_BOUND:
        return None
    match node:
        case ast.Constant():
            return False
        case ast.List(elts=members) | ast.Tuple(elts=members) | ast.Set(elts=members):
            return _has_position(members, key)
        case ast.Dict(keys=keys):
            return _has_key([_key(each) for each in keys], key)
        case ast.Call():
            return made_by(called(node), node, key, depth)
    return None


def made_by(name: str, call: ast.Call, key: str, depth: int = 0) -> bool | None:
    """As `holds`, for a call of the container class of this name."""
    match call.args:
        case [ast.Starred(), *_]:
            return None
    if name == "Sequential":
        if len(call.args) == 1 and called(call.args[0]) == "OrderedDict":
            return holds(call.args[0], key, depth + 1)
        return _has_position(call.args, key)
    if name in _OF_ONE:
        given = call.args[:1] or [keyword.value for keyword in call.keywords]
        return holds(given[0], key, depth + 1) if given else False
    if name == "defaultdict":
        return _has_entry(call.args[1:], call.keywords, key)
    return _has_entry(call.args, call.keywords, key) if name in _OF_KEYS else None


def is_empty(node: ast.expr | None) -> bool:
    """Whether an expression is None, or makes a container that holds nothing yet."""
    match node:
        case ast.Constant(value=None) | ast.Dict(keys=[]) | ast.List(elts=[]):
            return True
        case ast.Tuple(elts=members):
            return all(map(is_empty, members))
        case ast.Call(args=args):
            # `defaultdict(list)`, `deque(maxlen=3)`.
            return called(node) in _CONTAINERS and (not args or called(node) == "defaultdict")
    return False


def _key(node: ast.expr | None) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Constant(value=int(number)) if number.bit_length() <= BITS_BOUND:
            return str(number)
    return None


def _has_position(members: Sequence[ast.expr], key: str) -> bool | None:
    starred = next((i for i, member in enumerate(members) if isinstance(member, ast.Starred)), None)
    if not key.isdecimal() or len(key) > DIGITS_BOUND:
        return False if starred is None else None
    if starred is None:
        return int(key) < len(members)
    return True if int(key) < starred else None


def _has_key(keys: Sequence[str | None], key: str) -> bool | None:
    if key in keys:
        return True
    return None if None in keys else False


def _has_entry(args: Sequence[ast.expr], keywords: Sequence[ast.keyword], key: str) -> bool | None:
    found: bool | None = False
    names = [keyword.arg for keyword in keywords]
    if key in names:
        return True
    if None in names or len(args) > 1:
        found = None
    for arg in args[:1]:
        match arg:
            case ast.Dict():
                inside = holds(arg, key)
            case ast.List(elts=pairs) | ast.Tuple(elts=pairs):
                inside = _has_key([_first(pair) for pair in pairs], key)
            case _:
                inside = None
        if inside is not False:
            return inside
    return found


def _first(pair: ast.expr) -> str | None:
    match pair:
        case ast.Tuple(elts=[name, *_]) | ast.List(elts=[name, *_]):
            return _key(name)
    return None
