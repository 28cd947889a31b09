"""Calls that assign: `setattr`, `register_buffer`, `append` and the like, each with the places it may write to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from paramscope.source.evaluate import Place, evaluate
from paramscope.source.texts import NUMBER, UNKNOWN, Texts
from paramscope.source.values import Ref

_NAMED = frozenset({"register_parameter", "register_buffer", "register_module", "add_module", "__setattr__"})
_VALUE_KEYWORDS = frozenset({"param", "tensor", "module"})
_BY_INDEX = frozenset({"append", "appendleft", "extend", "extendleft", "insert", "add"})
_BY_KEY = frozenset({"setdefault", "__setitem__"})


class Write(NamedTuple):
    """One place that a statement may write to."""

    ref: Ref
    value: ast.expr | None
    """What is written, where the code holds it as an expression of its own."""
    is_raw: bool = False
    """Whether it goes past `nn.Module.__setattr__`."""
    how: str = ""
    """The method that writes it, such as `register_buffer`; `.data`, `[]` or an operator for what changes a tensor in
    place; empty for an assignment."""


def changes_of(call: ast.Call, place: Place) -> Iterator[Write]:
    """The tensors below the receiver that a call may change in place, as `self.mean.mul_(0.9)` does."""
    match call:
        case ast.Call(func=ast.Attribute(value=owner, attr=method)) if is_in_place(method):
            for ref in evaluate(owner, place).refs:
                if ref.steps and not ref.namespace:
                    yield Write(ref, call, how=method)


def is_in_place(method: str) -> bool:
    """Whether a method changes a tensor's values, by torch's own convention for names."""
    return method.endswith("_") and not method.startswith("_") and method not in ("requires_grad_", "detach_")


def writes_of(call: ast.Call, place: Place) -> Iterator[Write]:
    """The places below the receiver that a call may write to."""
    match call:
        case ast.Call(func=ast.Name(id="setattr"), args=[thing, *rest]):
            refs = evaluate(thing, place).refs
            yield from _named(refs, rest, [], place, is_raw=False, how="setattr")
        case ast.Call(func=ast.Attribute(value=owner, attr=method)) if method in _NAMED:
            refs, args = evaluate(owner, place).refs, call.args
            is_raw = False
            if args and all(ref.is_class for ref in refs):
                # Not bound: `object.__setattr__(self, …)`, `Base.register_buffer(self, …)`.
                is_raw = method == "__setattr__" and isinstance(owner, ast.Name) and owner.id == "object"
                refs, args = evaluate(args[0], place).refs, args[1:]
            yield from _named(refs, args, call.keywords, place, is_raw=is_raw, how=method)
        case ast.Call(func=ast.Attribute(value=owner, attr=method)) if method in _BY_INDEX:
            for ref in evaluate(owner, place).refs:
                if not ref.namespace:
                    yield Write(ref.item(NUMBER), call.args[-1] if call.args else None, how=method)
        case ast.Call(func=ast.Attribute(value=owner, attr=method)) if method in _BY_KEY:
            refs = evaluate(owner, place).refs
            texts = evaluate(call.args[0], place).texts if refs and call.args else (UNKNOWN,)
            value = call.args[1] if len(call.args) > 1 else None
            for ref in refs:
                for text in texts:
                    yield Write(ref.item(text), value, ref.namespace == "dict", method)
        case ast.Call(func=ast.Attribute(value=owner, attr="update")):
            for ref in evaluate(owner, place).refs:
                yield from updates(ref, call.args, call.keywords, place)


def _named(
    refs: tuple[Ref, ...], args: list[ast.expr], keywords: list[ast.keyword], place: Place, *, is_raw: bool, how: str
) -> Iterator[Write]:
    """Writes to an attribute whose name is the first argument, or the keyword `name`."""
    if not refs:
        return
    by_keyword = {keyword.arg: keyword.value for keyword in keywords}
    value = args[1] if len(args) > 1 else None
    if value is None:
        value = next((by_keyword[name] for name in sorted(_VALUE_KEYWORDS & by_keyword.keys(), key=str)), None)
    name = args[0] if args else by_keyword.get("name")
    texts: Texts = (UNKNOWN,)
    if name is not None and not isinstance(name, ast.Starred):
        texts = evaluate(name, place).texts
    for ref in refs:
        for text in texts:
            yield Write(ref.attribute(text), value, is_raw, how)


def updates(ref: Ref, args: list[ast.expr], keywords: list[ast.keyword], place: Place) -> Iterator[Write]:
    """Writes to items of a dict, as `update(…)` does."""
    is_raw = ref.namespace == "dict"
    for keyword in keywords:
        if keyword.arg is not None:
            yield Write(ref.item((keyword.arg,)), keyword.value, is_raw, "update")
        else:
            yield Write(ref.item(UNKNOWN), None, is_raw, "update")
    for arg in args:
        pairs: list[tuple[ast.expr | None, ast.expr]] | None = None
        if isinstance(arg, ast.Dict):
            pairs = list(zip(arg.keys, arg.values, strict=True))
        for key, value in pairs if pairs is not None else [(None, arg)]:
            texts = evaluate(key, place).texts if key is not None else (UNKNOWN,)
            for text in texts:
                yield Write(ref.item(text), value if key is not None else None, is_raw, "update")


def constructor_of(call: ast.Call, place: Place) -> ast.Call | None:
    """A call of the base's `__init__` with its arguments alone; None for any other call."""
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")) as base, attr="__init__")):
            return call if _is_instance(base, place) else None
        case ast.Call(func=ast.Attribute(attr="__init__"), args=[receiver, *rest]) if _is_instance(receiver, place):
            return ast.Call(func=call.func, args=rest, keywords=call.keywords)
    return None


def _is_instance(node: ast.expr, place: Place) -> bool:
    return Ref("instance") in evaluate(node, place).refs
