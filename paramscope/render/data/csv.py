"""Report → CSV: a row a slot with all that JSON says of it, made safe for spreadsheets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, get_args

from msgspec.structs import FieldInfo, fields

from paramscope.render._columns import words
from paramscope.render._lines import Selection, lines_of
from paramscope.report.data import ReportData
from paramscope.snapshot import SlotRecord
from paramscope.text import plain
from paramscope.wire.records import Slot, to_plain_field

_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
"""What makes a formula of a cell that begins with it (OWASP, CSV injection), also as East Asian keyboards type it."""

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
    lines = lines_of(report, Selection(fold=False, path=path, status=words(status), sort=sort)).shown
    head, *rows = Slot.__struct_fields__, *(line.record for line in lines)
    runs = [_Run(list(run), is_own=is_own) for is_own, run in groupby(range(len(head)), lambda i: head[i] in _OWN)]
    return "\r\n".join([_row(head), *(",".join([run.of(row) for run in runs]) for row in rows), ""])


_OWN = frozenset({"path", "module", "name", "offset", "tensor", "storage"})
"""Fields that tell slots apart; all others are the same for thousands, and made text once."""


class _Run:
    """Fields that stand beside one another, and what makes text of them."""

    def __init__(self, positions: Sequence[int], *, is_own: bool) -> None:
        self._part = slice(positions[0], positions[-1] + 1)
        self._writers = [_writer(field) for field in fields(Slot)[self._part]]
        self._known: dict[Any, str] | None = None if is_own else {}

    def of(self, record: SlotRecord) -> str:
        """Their cells, set apart by commas."""
        values: Any = record[self._part]
        if self._known is None:
            return self._text(values)
        cells = self._known.get(values)
        if cells is None:
            cells = self._known[values] = self._text(values)
        return cells

    def _text(self, values: Sequence[Any]) -> str:
        return _row([write(value) for write, value in zip(self._writers, values, strict=True)])


def _row(cells: Iterable[Any]) -> str:
    """Cells as RFC 4180 has them, without the end of the line."""
    return ",".join(["" if cell is None else str(cell) for cell in cells])


def _writer(field: FieldInfo) -> Callable[[Any], Any]:
    """How the values of one field become cells."""
    # Without dimensions, `[]`, is another shape than none; without groups is just that.
    known: dict[Any, str] = {None: ""} if type(None) in get_args(field.type) else {(): ""}

    def cell(value: Any) -> Any:
        if type(value) is int:
            return value
        if value not in known:
            is_text = type(value) is str
            known[value] = _text_cell(value) if is_text else _quoted(_json_cell(to_plain_field(field.name, value)))
        return known[value]

    return cell


def _text_cell(value: str) -> str:
    value = plain(value, keep="\t\r\n")
    return _quoted(f"'{value}" if value[:1] in _FORMULA else value)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _SPECIAL.search(cell) else cell


def _json_cell(value: Any) -> str:
    """JSON that begins with a bracket or a brace, so is no formula; what is not ASCII as it is, where it can be."""
    shown = json.dumps(value, ensure_ascii=False)
    return shown if shown.isprintable() else json.dumps(value)
