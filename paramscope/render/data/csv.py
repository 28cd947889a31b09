"""Report → CSV: a row a slot with all that JSON says of it, made safe for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any, get_args

from msgspec.structs import FieldInfo, fields

from paramscope.render._columns import words
from paramscope.render._lines import Selection, lines_of
from paramscope.report.data import ReportData
from paramscope.text import plain
from paramscope.wire.records import Slot, to_plain_field

_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
"""What makes a formula of a cell that begins with it (OWASP, CSV injection), also as East Asian keyboards type it."""


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
    lines = lines_of(report, Selection(fold=False, path=path, status=words(status), sort=sort)).shown
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(Slot.__struct_fields__)
    writers = [_writer(field) for field in fields(Slot)]
    writer.writerows([write(value) for write, value in zip(writers, line.record, strict=True)] for line in lines)
    return out.getvalue()


def _writer(field: FieldInfo) -> Callable[[Any], Any]:
    """How the values of one field become cells."""
    # Without dimensions, `[]`, is another shape than none; without groups is just that.
    known: dict[Any, Any] = {None: ""} if type(None) in get_args(field.type) else {(): ""}

    def cell(value: Any) -> Any:
        if type(value) is int:
            return value
        if value not in known:
            known[value] = _text_cell(value) if type(value) is str else _json_cell(to_plain_field(field.name, value))
        return known[value]

    return cell


def _text_cell(value: str) -> str:
    value = plain(value, keep="\t\r\n")
    return f"'{value}" if value[:1] in _FORMULA else value


def _json_cell(value: Any) -> str:
    """JSON that begins with a bracket or a brace, so is no formula; what is not ASCII as it is, where it can be."""
    shown = json.dumps(value, ensure_ascii=False)
    return shown if shown.isprintable() else json.dumps(value)
