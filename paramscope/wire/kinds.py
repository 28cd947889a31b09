"""The kinds of values that fields hold: what JSON Schema says of each, how one is checked, read and written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


def same(value: Any) -> Any:
    """The value itself."""
    return value


class Kind(NamedTuple):
    """One kind of value."""

    schema: dict[str, Any]
    """JSON Schema of what is written."""
    accepts: Callable[[Any], bool]
    """Whether a parsed JSON value is one of these."""
    read: Callable[[Any], Any] = same
    """From the parsed JSON value to the plain value of a record."""
    write: Callable[[Any], Any] = same
    """The reverse."""
    absent: Any = None
    """The parsed value that a field has where reports of earlier versions lack it; None where none does."""


def _is_natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _is_integer(value: Any) -> bool:
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def _is_pair_map(value: Any) -> bool:
    return type(value) is dict and all(type(text) is str for text in value.values())


def or_null(kind: Kind) -> Kind:
    """The same kind, or null."""
    types = kind.schema["type"]
    accepts, read, write = kind.accepts, kind.read, kind.write
    return Kind(
        {**kind.schema, "type": [types, "null"]},
        lambda value: value is None or accepts(value),
        same if read is same else lambda value: None if value is None else read(value),
        same if write is same else lambda value: None if value is None else write(value),
    )


def one_of(*values: str) -> Kind:
    """One of a closed set of words."""
    allowed = frozenset(values)
    return Kind({"type": "string", "enum": list(values)}, lambda value: type(value) is str and value in allowed)


def _read_option(value: Any) -> Any:
    return tuple(map(_read_option, value)) if type(value) is list else value


def _write_option(value: Any) -> Any:
    return list(map(_write_option, value)) if type(value) is tuple else value


def _is_option(value: Any) -> bool:
    if type(value) is list:
        return all(map(_is_option, value))
    return value is None or type(value) in (int, float, bool, str)


TEXT = Kind({"type": "string"}, lambda value: type(value) is str)
FLAG = Kind({"type": "boolean"}, lambda value: type(value) is bool)
NATURAL = Kind({"type": "integer", "minimum": 0}, _is_natural)
INTEGER = Kind({"type": "integer"}, _is_integer)
SIZES = Kind(
    {"type": "array", "items": {"type": "integer", "minimum": 0}},
    lambda value: type(value) is list and all(map(_is_natural, value)),
    tuple,
    list,
)
STRIDES = Kind(
    {"type": "array", "items": {"type": "integer"}},
    lambda value: type(value) is list and all(map(_is_integer, value)),
    tuple,
    list,
)
TEXTS = Kind(
    {"type": "array", "items": {"type": "string"}},
    lambda value: type(value) is list and all(type(text) is str for text in value),
    tuple,
    list,
)


def _is_pair(value: Any) -> bool:
    return type(value) is list and len(value) == 2 and all(type(text) is str for text in value)


PAIR = Kind({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}, _is_pair, tuple, list)
PAIRS = Kind(
    {"type": "array", "items": PAIR.schema},
    lambda value: type(value) is list and all(map(_is_pair, value)),
    lambda value: tuple(map(tuple, value)),
    lambda value: list(map(list, value)),
)
REASONS = Kind(
    {"type": "object", "additionalProperties": {"type": "string"}},
    _is_pair_map,
    lambda value: tuple(value.items()),
    dict,
)


def _is_setting(value: Any) -> bool:
    if type(value) is list:
        return all(map(_is_integer, value))
    return value is None or type(value) in (float, bool, str) or _is_integer(value)


SETTING = Kind(
    {"type": ["number", "boolean", "string", "array", "null"], "items": {"type": "integer"}},
    _is_setting,
    _read_option,
    _write_option,
)
SETTINGS = Kind(
    {"type": "object", "additionalProperties": SETTING.schema},
    lambda value: type(value) is dict and all(map(_is_setting, value.values())),
    lambda value: tuple((name, _read_option(each)) for name, each in value.items()),
    lambda value: {name: _write_option(each) for name, each in value},
)
OPTIONS = Kind(
    {"type": "object"},
    lambda value: type(value) is dict and all(map(_is_option, value.values())),
    lambda value: tuple((name, _read_option(each)) for name, each in value.items()),
    lambda value: {name: _write_option(each) for name, each in value},
)
