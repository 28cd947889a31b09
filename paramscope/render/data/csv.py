"""Report → CSV: a row a slot with all that JSON says of it, made safe for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from paramscope.render._columns import words
from paramscope.render._lines import Selection, lines_of
from paramscope.report.data import ReportData
from paramscope.text import plain
from paramscope.wire.fields import SLOT
from paramscope.wire.kinds import Kind, same

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
    writer.writerow([field.name for field in SLOT.fields])
    writers = [_writer(field.kind) for field in SLOT.fields]
    writer.writerows([write(value) for write, value in zip(writers, line.record, strict=True)] for line in lines)
    return out.getvalue()


def _writer(kind: Kind) -> Callable[[Any], Any]:
    """How values of one kind become cells."""
    types = kind.schema["type"]
    names = {types} if isinstance(types, str) else set(types)
    if names <= {"boolean", "null"}:
        return {None: "", True: "true", False: "false"}.__getitem__
    if names <= {"integer", "null"}:
        return same
    # Without dimensions, `[]`, is another shape than none; without groups is just that.
    known: dict[Any, str] = {None: ""} if "null" in names else {(): ""}
    is_text = names <= {"string", "null"}

    def cell(value: Any) -> str:
        if value not in known:
            known[value] = _text_cell(value) if is_text else _json_cell(kind.write(value))
        return known[value]

    return cell


def _text_cell(value: str) -> str:
    value = plain(value, keep="\t\r\n")
    return f"'{value}" if value[:1] in _FORMULA else value


def _json_cell(value: Any) -> str:
    """JSON that begins with a bracket or a brace, so is no formula; what is not ASCII as it is, where it can be."""
    shown = json.dumps(value, ensure_ascii=False)
    return shown if shown.isprintable() else json.dumps(value)
