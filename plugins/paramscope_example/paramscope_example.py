"""Report → one path a line, for `grep` and `xargs`: a format of paramscope in a package of its own."""

from __future__ import annotations

from paramscope.plugin import Report, printable_name


def render(report: Report, *, path: str | None = None) -> str:
    """One path a line, in the model's order.

    path: a glob that slots have to match. Keyword-only parameters are the options of a format: `--path` reaches this
    one without anything else being written.
    """
    slots = report.slots if path is None else [slot.path for slot in report.select(path)]
    # A name is data and may hold a line break or worse.
    return "".join(f"{printable_name(each)}\n" for each in slots)
