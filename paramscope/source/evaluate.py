"""What an expression stands for, told from the code around it without running it."""

from __future__ import annotations

import ast
import string
from collections.abc import Sequence
from typing import NamedTuple

from paramscope.source.texts import BITS_BOUND, NUMBER, UNKNOWN, Texts, concatenated, literal, percent_parts
from paramscope.source.values import (
    CLASS,
    INSTANCE,
    SOME_NUMBER,
    SOMETHING,
    Branch,
    Namespace,
    Ref,
    Scope,
    Value,
    any_of,
    mangled,
    number_value,
    text_value,
)

DEPTH_BOUND = 32
"""Expressions within one another that are looked into."""
_RANGE_BOUND = 256
_NAMESPACES: dict[str, Namespace] = {
    "__dict__": "dict",
    "_parameters": "registry",
    "_buffers": "registry",
    "_modules": "registry",
}


class Place(NamedTuple):
    """Where in a class a statement or expression stands."""

    scope: Scope
    branch: Branch
    line: int
    """First line of the statement."""
    method: str
    """Name of the method, also within functions in it; empty for the class body."""
    owner: str
    """Own name of the innermost class around it, by which private names are mangled."""
    receiver: Value
    """What `super()` stands for: the instance, the class, or nothing."""
    in_body: bool
    """Whether it stands in the class body itself, where names are class attributes."""
    is_ungraded: bool = False
    """Whether it runs under `torch.no_grad()` or the like, so that what it computes has no graph."""


def evaluate(node: ast.expr | None, place: Place, depth: int = 0) -> Value:
    """All that an expression may stand for."""
    if depth > DEPTH_BOUND:
        return SOMETHING
    depth += 1
    match node:
        case ast.Name(id=name):
            return place.scope.lookup(name, place.branch)
        case ast.Constant(value=str(text)):
            return text_value(text)
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            return number_value(number) if number.bit_length() <= BITS_BOUND else SOME_NUMBER
        case ast.Attribute(value=base, attr=name):
            return _attribute(evaluate(base, place, depth), name, place)
        case ast.Subscript(value=base, slice=key):
            refs = evaluate(base, place, depth).refs
            texts = evaluate(key, place, depth).texts if refs else ()
            return Value(tuple(ref.item(text) for ref in refs for text in texts))
        case ast.Call():
            return _call(node, place, depth)
        case ast.Tuple(elts=members) | ast.List(elts=members) | ast.Set(elts=members):
            if any(isinstance(member, ast.Starred) for member in members):
                return SOMETHING
            return Value(items=tuple(evaluate(member, place, depth) for member in members))
        case ast.JoinedStr(values=parts):
            return Value(texts=concatenated([_formatted(part, place, depth) for part in parts]))
        case ast.BinOp(left=left, op=op, right=right):
            return _operation(left, op, right, place, depth)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = evaluate(operand, place, depth)
            known = literal(value.texts[0])
            return number_value(-int(known)) if value.is_number and known and known.isdecimal() else SOMETHING
        case ast.NamedExpr(value=inner) | ast.Starred(value=inner):
            return evaluate(inner, place, depth)
        case ast.IfExp(body=one, orelse=other):
            return any_of((evaluate(one, place, depth), evaluate(other, place, depth)))
        case ast.BoolOp(values=values):
            return any_of(evaluate(value, place, depth) for value in values)
    return SOMETHING


def each(node: ast.expr, place: Place, depth: int = 0) -> Value:
    """What one item of an iterable may stand for."""
    depth += 1
    match node:
        case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]):
            return Value(items=(SOME_NUMBER, each(inner, place, depth)))
        case ast.Call(func=ast.Name(id="zip"), args=[*inners]):
            return Value(items=tuple(each(inner, place, depth) for inner in inners))
        case ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=int(stop))]) if stop <= _RANGE_BOUND:
            return any_of(map(number_value, range(stop)))
        case ast.Call(func=ast.Name(id="range")):
            return SOME_NUMBER
        case ast.Call(func=ast.Attribute(value=base, attr="items" | "values" | "keys" as view), args=[]):
            keys, values = _entries(base, place, depth)
            return keys if view == "keys" else values if view == "values" else Value(items=(keys, values))
        case ast.Dict():
            return _entries(node, place, depth)[0]
        case ast.Constant(value=str(text)):
            return any_of(map(text_value, text))
    value = evaluate(node, place, depth)
    if value.items is not None:
        return any_of(value.items)
    return Value(tuple(ref.item(UNKNOWN) for ref in value.refs if not ref.namespace))


def _entries(node: ast.expr, place: Place, depth: int) -> tuple[Value, Value]:
    """What the keys and the values of a dict may stand for."""
    if isinstance(node, ast.Dict) and None not in node.keys:
        return (
            any_of(evaluate(key, place, depth) for key in node.keys),
            any_of(evaluate(value, place, depth) for value in node.values),
        )
    return SOMETHING, Value(tuple(ref.item(UNKNOWN) for ref in evaluate(node, place, depth).refs))


def _attribute(base: Value, name: str, place: Place) -> Value:
    if name == "__class__":
        return CLASS if INSTANCE.refs[0] in base.refs else SOMETHING
    namespace = _NAMESPACES.get(name)
    if namespace is not None:
        return Value(tuple(ref._replace(namespace=namespace) for ref in base.refs))
    text = (mangled(name, place.owner),)
    return Value(tuple(ref.attribute(text) for ref in base.refs if not ref.namespace))


def _call(node: ast.Call, place: Place, depth: int) -> Value:
    """What the functions give back that lead from one place below the receiver to another, or make texts."""
    match node:
        case ast.Call(func=ast.Name(id="super"), args=[]):
            return place.receiver
        case ast.Call(func=ast.Name(id="super"), args=[_, receiver]):
            return evaluate(receiver, place, depth)
        case ast.Call(func=ast.Name(id="getattr"), args=[thing, name, *_]):
            refs = evaluate(thing, place, depth).refs
            texts = evaluate(name, place, depth).texts if refs else ()
            return Value(tuple(ref.attribute(text) for ref in refs for text in texts))
        case ast.Call(func=ast.Name(id="vars"), args=[thing]):
            return _attribute(evaluate(thing, place, depth), "__dict__", place)
        case ast.Call(func=ast.Name(id="vars" | "locals"), args=[]) if place.in_body:
            return Value((Ref("class", namespace="dict"),))
        case ast.Call(func=ast.Name(id="type"), args=[thing]):
            return _attribute(evaluate(thing, place, depth), "__class__", place)
        case ast.Call(func=ast.Name(id="str"), args=[thing]):
            return Value(texts=evaluate(thing, place, depth).texts)
        case ast.Call(func=ast.Name(id="len" | "int")):
            return SOME_NUMBER
        case ast.Call(func=ast.Name(id="list" | "tuple" | "set" | "sorted" | "reversed" | "iter"), args=[thing, *_]):
            return evaluate(thing, place, depth)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
            return Value(texts=_format(text, node, place, depth))
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="split"), args=[]):
            return Value(items=tuple(map(text_value, text.split())))
        case ast.Call(func=ast.Attribute(value=base, attr="get_submodule"), args=[ast.Constant(value=str(path))]):
            refs = evaluate(base, place, depth).refs
            for part in path.split("."):
                refs = tuple(ref.attribute((part,)) for ref in refs)
            return Value(refs)
        case ast.Call(func=ast.Attribute(attr="__new__"), args=[cls, *_]):
            is_own = any(ref.is_class for ref in evaluate(cls, place, depth).refs)
            return INSTANCE if is_own else SOMETHING
        case ast.Call(func=ast.Name() | ast.Call() | ast.Attribute(attr="__class__") as cls):
            is_own = any(ref.is_class for ref in evaluate(cls, place, depth).refs)
            return INSTANCE if is_own else SOMETHING
    return SOMETHING


def _operation(left: ast.expr, op: ast.operator, right: ast.expr, place: Place, depth: int) -> Value:
    """A sum of strings, a template and what it is filled with, or arithmetic."""
    if isinstance(op, ast.Mod) and isinstance(left, ast.Constant) and isinstance(left.value, str):
        return Value(texts=concatenated(percent_parts(left.value, _arguments(right, place, depth))))
    one, other = evaluate(left, place, depth), evaluate(right, place, depth)
    if one.is_number or other.is_number:
        is_whole = one.is_number and other.is_number and not isinstance(op, ast.Div)
        return SOME_NUMBER if is_whole else SOMETHING
    return Value(texts=concatenated((one.texts, other.texts))) if isinstance(op, ast.Add) else SOMETHING


def _arguments(node: ast.expr, place: Place, depth: int) -> Sequence[Texts] | None:
    value = evaluate(node, place, depth)
    if value.items is not None:
        return [item.texts for item in value.items]
    return None if isinstance(node, ast.Dict) else [value.texts]


def _formatted(part: ast.expr, place: Place, depth: int) -> Texts:
    """A part of an f-string."""
    if not isinstance(part, ast.FormattedValue):
        return evaluate(part, place, depth).texts
    return _filled(evaluate(part.value, place, depth), _spec(part), is_plain=part.conversion in (-1, ord("s")))


def _spec(part: ast.FormattedValue) -> str:
    match part.format_spec:
        case None:
            return ""
        case ast.JoinedStr(values=[ast.Constant(value=str(text))]):
            return text
    return "?"


def _filled(value: Value, spec: str, *, is_plain: bool) -> Texts:
    if not spec and is_plain:
        return value.texts
    return (NUMBER,) if spec.endswith("d") else (UNKNOWN,)


def _format(template: str, call: ast.Call, place: Place, depth: int) -> Texts:
    """What `template.format(…)` gives."""
    named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
    parts: list[Texts] = []
    number = 0
    try:
        for before, field, spec, conversion in string.Formatter().parse(template):
            parts.append(((before,),))
            if field is None:
                continue
            argument = named.get(field)
            if field == "" or field.isdecimal():
                position = int(field) if field else number
                number += 1
                argument = call.args[position] if position < len(call.args) else None
            value = evaluate(argument, place, depth) if argument is not None else SOMETHING
            parts.append(_filled(value, spec or "", is_plain=conversion in (None, "s")))
    except ValueError:
        return (UNKNOWN,)
    return concatenated(parts)
