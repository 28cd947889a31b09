"""What must hold of every CSV, whatever is named in it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from paramscope import Report


def check_csv(text: str, report: Report) -> None:
    """Every cell says its fact, and none is taken for a formula."""
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    slots = json.loads(report.to_json())["slots"]
    assert rows[0] == list(slots[0])
    for row, slot in zip(rows[1:], slots, strict=True):
        for cell, (name, fact) in zip(row, slot.items(), strict=True):
            assert is_cell_of(cell, fact), (name, cell, fact)


def is_cell_of(cell: str, fact: Any) -> bool:
    """Whether a cell says a fact, and a spreadsheet would take it for data."""
    if fact is None or (fact in ({}, []) and cell == ""):
        return cell == ""
    if isinstance(fact, (bool, list, dict)):
        return bool(json.loads(cell) == fact)
    if isinstance(fact, int):
        return cell == str(fact)
    spelled = "".join(c if c.isprintable() or c in "\n\r\t" else ascii(c)[1:-1] for c in fact)
    return cell == ("'" if spelled[:1] in tuple("=+-@\t\r\n") else "") + spelled
