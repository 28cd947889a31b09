"""Report → CSV: a row a slot with all that JSON says of it, made safe for spreadsheets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, get_args

from msgspec.structs import FieldInfo, fields

from paramscope.render._chosen import Selection, chosen_records
from paramscope.render._columns import words
from paramscope.report.data import ReportData
from paramscope.snapshot import SlotRecord
from paramscope.text import plain
from paramscope.wire.records import Slot, to_plain_field

_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
"""What makes a formula of a cell that begins with it (OWASP, CSV injection), also as East Asian keyboards type it."""

_HARMLESS = re.compile(r"\w[\w.]*", re.ASCII)
"""What nearly every name is made of, and no spreadsheet makes anything of."""

_SPECIAL = re.compile(r'[,"\r\n]')
"""What a cell cannot hold unless it is quoted (RFC 4180)."""


def render(
    report: ReportData, *, path: str | None = None, status: str | Sequence[str] = (), sort: str = "model"
) -> str:
    """One row a slot, never folded, with a header: the fields of a slot in JSON, in their order.

    path: a glob that slots have to match. status: what the slots have to be: `trainable`, `frozen,hidden`. sort:
    `model`, `path`, `elements`, `bytes`, `status` or `dtype`.

    What is unknown or empty is an empty cell; true and false are those words; shapes and everything else that has
    parts is JSON. A text that a spreadsheet would take for a formula stands behind an apostrophe, and characters
    that cannot be printed are spelled out, but for tabs and line breaks: who needs names as they are takes JSON.

    Raises GlobError where the glob matches nothing, FormatError for a choice that does not exist.
    """
    records = chosen_records(report, Selection(fold=False, path=path, status=words(status), sort=sort))
    runs = [_run(list(run), is_own=is_own) for is_own, run in groupby(range(len(_HEAD)), lambda i: _HEAD[i] in _OWN)]
    rows = [",".join([run(record) for run in runs]) for record in records]
    return "\r\n".join([",".join(_HEAD), *rows, ""])


_HEAD = Slot.__struct_fields__
_OWN = frozenset({"path", "module", "name", "offset", "tensor", "storage"})
"""Fields that tell slots apart; all others are the same for thousands, and made text once."""


def _run(positions: Sequence[int], *, is_own: bool) -> Callable[[SlotRecord], str]:
    """What makes text of fields that stand beside one another: their cells, set apart by commas."""
    part = slice(positions[0], positions[-1] + 1)
    kinds = fields(Slot)[part]
    known: dict[Any, str] = {}

    def own(record: SlotRecord) -> str:
        values: Any = record[part]
        return ",".join([_text_cell(each) if type(each) is str else _number_cell(each) for each in values])

    def common(record: SlotRecord) -> str:
        values: Any = record[part]
        cells = known.get(values)
        if cells is None:
            cells = known[values] = ",".join(map(_cell, kinds, values))
        return cells

    return own if is_own else common


def _cell(field: FieldInfo, value: Any) -> str:
    # Without dimensions, `[]`, is another shape than none; without groups is just that.
    if value is None or (value == () and type(None) not in get_args(field.type)):
        return ""
    if type(value) in (str, int):
        return _text_cell(value) if type(value) is str else _number_cell(value)
    return _quoted(_json_cell(to_plain_field(field.name, value)))


def _number_cell(value: int | None) -> str:
    return "" if value is None else str(value)


def _text_cell(value: str) -> str:
    if _HARMLESS.fullmatch(value):
        return value
    value = plain(value, keep="\t\r\n")
    return _quoted(f"'{value}" if value[:1] in _FORMULA else value)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _SPECIAL.search(cell) else cell


def _json_cell(value: Any) -> str:
    """JSON that begins with a bracket or a brace, so is no formula; what is not ASCII as it is, where it can be."""
    shown = json.dumps(value, ensure_ascii=False)
    return shown if shown.isprintable() else json.dumps(value)
