"""Records → JSON text, where they are many: what thousands of them have in common is written once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring_ascii
from typing import Any

from paramscope.snapshot import Snapshot
from paramscope.wire.fields import MODULE, STORAGE, Row, write_record
from paramscope.wire.texts import OWN

quote: Callable[[str], str] = encode_basestring_ascii
"""A string as JSON."""


def template(table: Row, record: Any, own: tuple[str, ...]) -> Callable[..., str]:
    """Writes records that differ from one in some fields alone, which it is called with as JSON texts."""
    parts = []
    for name, value in write_record(table, record).items():
        text = json.dumps(value, separators=(",", ":")).replace("{", "{{").replace("}", "}}")
        parts.append(f'"{name}":{{{own.index(name)}}}' if name in own else f'"{name}":{text}')
    return ("{{" + ",".join(parts) + "}}").format


def modules_text(snapshot: Snapshot) -> str:
    """The list of modules as JSON."""
    return f"[{','.join(_modules(snapshot))}]"


def _modules(snapshot: Snapshot) -> Iterator[str]:
    columns = snapshot.module_columns
    known: dict[Any, Callable[..., str]] = {}
    met: set[Any] = set()
    for index, path in enumerate(columns.paths):
        key = (columns.types[index], columns.flags[index], columns.settings[index], columns.unknown.get(index))
        write = known.get(key)
        if write is None:
            # A template pays from the second of a kind on.
            if key not in met:
                met.add(key)
                yield json.dumps(write_record(MODULE, snapshot.modules.at(index)), separators=(",", ":"))
                continue
            write = known[key] = template(MODULE, snapshot.modules.at(index), OWN["modules"])
        yield write(quote(path), columns.repeats.get(index, index))


def storages_text(snapshot: Snapshot) -> str:
    """The list of storages as JSON."""
    return f"[{','.join(_storages(snapshot))}]"


def _storages(snapshot: Snapshot) -> Iterator[str]:
    own = ("number", "nbytes", "memory", "start", "saved")
    known: dict[str, Callable[..., str]] = {}
    for number in range(len(snapshot.storage_columns.nbytes)):
        record = snapshot.storage(number)
        write = known.get(record.device)
        if write is None:
            write = known[record.device] = template(STORAGE, record, own)
        saved = "null" if record.saved is None else record.saved
        yield write(record.number, record.nbytes, record.memory, record.start, saved)
