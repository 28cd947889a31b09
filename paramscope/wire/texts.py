"""JSON text → records, where they are many: what thousands have in common is parsed, checked and kept once.

The writer gives each field of a record its place. So a list need not be parsed to be cut into its records, nor a
record to be cut at the few fields that are its own; what is left of two that are alike is the same text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from paramscope.wire.fields import MODULE, SLOT, STORAGE, Row, read_record

_CHUNK = 64
"""Texts that are cut together: few enough to stay in the processor's cache from one cut to the next."""


def refuse_constant(name: str) -> NoReturn:
    """For the parser: NaN and infinity, which Python reads and JSON does not know."""
    raise ValueError(name)


class Unlike(Exception):
    """A text that is not as the writer writes it, right or wrong: it is to be parsed as any JSON is."""


class Alike(NamedTuple):
    """Records by what they have in common with others, and what each of them has of its own."""

    records: Sequence[Any]
    """One for each; of those that are alike the same object, whose own fields are those of the first."""
    own: dict[str, list[Any]]
    """By the name of a field, the value of each."""


class _Own(NamedTuple):
    """A field that each record of a list has of its own."""

    name: str
    begins: str
    """What stands before its value, from the end of the last one's on; nothing for the first field of all."""
    ends: str
    """What stands behind its value. Within a string it would be escaped."""
    is_text: bool
    may_be_null: bool = False


class _List(NamedTuple):
    """How the writer writes one of the long lists."""

    table: Row
    first: str
    """Field that a record begins with, up to its value."""
    own: tuple[_Own, ...]
    """In the order in which they are written."""
    next: str
    """The list that follows."""


_LISTS = {
    "modules": _List(
        MODULE,
        '"path":"',
        (_Own("path", "", '","type":"', is_text=True), _Own("object", ',"object":', ",", is_text=False)),
        "slots",
    ),
    "slots": _List(
        SLOT,
        '"path":"',
        (
            _Own("path", "", '","module":"', is_text=True),
            _Own("module", "", '","name":"', is_text=True),
            _Own("name", "", '","role":"', is_text=True),
            _Own("offset", ',"offset":', ",", is_text=False, may_be_null=True),
            _Own("tensor", ',"tensor":', ',"storage":', is_text=False, may_be_null=True),
            _Own("storage", "", ",", is_text=False, may_be_null=True),
        ),
        "storages",
    ),
    "storages": _List(
        STORAGE,
        '"number":',
        (_Own("number", "", ",", is_text=False), _Own("memory", ',"memory":', ",", is_text=False)),
        "sharing",
    ),
}

OWN = {name: tuple(field.name for field in each.own) for name, each in _LISTS.items()}
"""The long lists, with the fields that each record has of its own; the others, thousands have in common."""


def in_texts(report: str, mark: str) -> tuple[str, dict[str, list[str]]] | None:
    """(the report without its long lists, the texts of their records behind the first field's name by the name of
    the list); None where it has not the form that the writer gives it.

    mark: what stands in the place of each list, and nowhere else.

    Within strings JSON escapes quotes, so that no name can look like these bounds.
    """
    texts: dict[str, list[str]] = {}
    rest = []
    at = 0
    for name, (_, first, _, following) in _LISTS.items():
        bound = f'"{name}":[{{{first}'
        start = report.find(bound, at)
        end = report.find(f'}}],"{following}":[', start)
        if start < 0 or end < 0:
            return None
        texts[name] = report[start + len(bound) : end].split(f"}},{{{first}")
        rest.append(f'{report[at:start]}"{name}":"{mark}"')
        at = end + 2
    return "".join(rest) + report[at:], texts


def read_texts(name: str, texts: list[str]) -> Alike:
    """The records of one of the lists, as `in_texts` cut it. Raises Unlike."""
    table, first, fields, _ = _LISTS[name]
    kinds: list[int] = []
    numbers: dict[tuple[str, ...], int] = {}
    first_of: list[int] = []
    written: dict[str, list[str]] = {field.name: [] for field in fields}
    for start in range(0, len(texts), _CHUNK):
        rest, common = texts[start : start + _CHUNK], []
        for field in fields:
            if field.begins:
                before, rest = _cut(rest, field.begins)
                common.append(before)
            before, rest = _cut(rest, field.ends)
            written[field.name] += before
        # What is in common is not kept: it is most of the text.
        for index, key in enumerate(zip(*common, rest, strict=True), start):
            kind = numbers.get(key)
            if kind is None:
                kind = numbers[key] = len(first_of)
                first_of.append(index)
            kinds.append(kind)
    own: dict[str, list[Any]] = {}
    for field in fields:
        values = written[field.name]
        own[field.name] = _strings(values) if field.is_text else _numbers(values, may_be_null=field.may_be_null)

    def read(index: int) -> Any:
        return _read(table, first, texts[index], {name: values[index] for name, values in own.items()})

    found = [read(index) for index in first_of]
    # Where a field of this name stands again, in a part of the tensor or anywhere, each has to be parsed.
    again = [f'"{field.name}":' for field in fields]
    apart = {kind for key, kind in numbers.items() if any(name in part for part in key for name in again)}
    return Alike([read(index) if kind in apart else found[kind] for index, kind in enumerate(kinds)], own)


def _cut(texts: list[str], mark: str) -> tuple[list[str], list[str]]:
    """What stands before the first mark in each text, and behind it."""
    cut = [text.partition(mark) for text in texts]
    rest = [behind for _, _, behind in cut]
    if "" in rest:  # no mark, or nothing behind it: a record goes on behind each
        raise Unlike
    return [before for before, _, _ in cut], rest


def _read(table: Row, first: str, text: str, own: dict[str, Any]) -> Any:
    try:
        parsed = json.loads(f"{{{first}{text}}}", parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        raise Unlike from None
    record = read_record(table, parsed, "")
    if any(getattr(record, name) != value for name, value in own.items()):
        raise Unlike
    return record


def _is_plain(text: str) -> bool:
    """Whether a string in JSON is what it looks like."""
    return text.isascii() and text.isprintable() and "\\" not in text and '"' not in text


def _strings(written: list[str]) -> list[str]:
    if _is_plain("".join(written)):
        return written
    try:
        return [text if _is_plain(text) else json.loads(f'"{text}"') for text in written]
    except ValueError:
        raise Unlike from None


def _numbers(written: list[str], *, may_be_null: bool) -> list[int | None]:
    """Whole numbers of less than 19 digits, and null."""
    together, lengths = "".join(written), set(map(len, written))
    if together.isdecimal() and together.isascii() and 0 not in lengths and max(lengths) < 19:
        if any(text[0] == "0" and text != "0" for text in written):
            raise Unlike
        return list(map(int, written))
    if not may_be_null or "null" not in written:
        raise Unlike
    numbers = iter(_numbers([text for text in written if text != "null"] or ["0"], may_be_null=False))
    return [None if text == "null" else next(numbers) for text in written]


def read_objects(name: str, written: list[Any]) -> Alike:
    """The records of one of the lists, as parsed. Raises ReportError."""
    table, _, fields, _ = _LISTS[name]
    records = [read_record(table, each, f"{name}[{index}]") for index, each in enumerate(written)]
    own = {field.name: [getattr(record, field.name) for record in records] for field in fields}
    nothing = dict.fromkeys(own)
    known: dict[Any, Any] = {}
    return Alike(
        [
            record if getattr(record, "parts", ()) else known.setdefault(record._replace(**nothing), record)
            for record in records
        ],
        own,
    )
