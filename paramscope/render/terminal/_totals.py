"""Totals, sharing and notes as lines for a terminal."""

from __future__ import annotations

from paramscope import text
from paramscope.analysis.fold import Row
from paramscope.render._lines import SHARING_MARKS, sharing_groups
from paramscope.render.terminal._layout import sentence
from paramscope.report.data import ReportData

_SHARING_LISTED = 12


def title(report: ReportData, width: int) -> list[str]:
    """What was audited: the target, the class of each root, and its mode."""
    paths = report.snapshot.module_columns.paths
    # Not by path: to find one, all would be indexed.
    roots = [report.modules.at(paths.index(path)) for path in report.snapshot.roots]
    kinds = " + ".join(text.name(root.type.rpartition(".")[2]) for root in roots)
    modes = {root.training for root in roots}
    mode = "mixed modes" if len(modes) > 1 else "training mode" if modes.pop() else "eval mode"
    line = f"{kinds}, {mode}"
    if report.target:
        line = f"{text.name(report.target)}: {line}"
    return text.wrap_path(line, width)


def total_lines(report: ReportData, width: int, left_out: int) -> list[str]:
    """The line of peft's print_trainable_parameters, and what it leaves out."""
    totals = report.totals
    counts = [
        f"trainable params: {text.count(totals.trainable)}",
        f"all params: {text.count(totals.parameters)}",
        f"trainable%: {text.percent(totals.trainable, totals.parameters)}",
    ]
    more = []
    if totals.by_name is None:
        more.append("by name: unknown (not all names are listed)")
    elif totals.by_name != totals.parameters:
        more.append(f"by name: {text.count(totals.by_name)}")
    if totals.local is not None:
        is_quantized = any(mark.kind == "quantized" for mark in report.snapshot.marks)
        more.append(f"{'as stored' if is_quantized else 'on this rank'}: {text.count(totals.local)}")
    if totals.effective_trainable != totals.trainable:
        more.append(f"effective trainable: {text.count(totals.effective_trainable)}")
    least = "at least " if any(note.kind in ("items", "depth") for note in report.snapshot.notes) else ""
    sums = [("buffers: ", totals.buffers)]
    sums += [(f"hidden: {least}", totals.hidden), (f"attributes: {least}", totals.attributes)]
    more += [f"{label}{text.count(number)}" for label, number in sums if number]
    if totals.unknown:
        more.append(f"{text.plural(totals.unknown, 'tensor')} of unknown size not counted")
    # What is in a slot is counted as it is stored.
    slots = report.slots
    if packed := sum(note.kind == "packed" and note.path not in slots for note in report.snapshot.notes):
        more.append(f"{text.plural(packed, 'packed weight')} in C++ not counted")
    more.append(f"memory: {text.nbytes(totals.nbytes)}")
    if left_out:
        more.append("empty slots not listed")
    return sentence(counts, width, separator=" || ") + sentence(more, width, separator=" · ")


def sharing_lines(report: ReportData, rows: list[Row], width: int) -> list[str]:
    """Who shares memory with whom, numbered as the marks are; nothing where nobody does."""
    groups = sharing_groups(report, rows)
    if not groups:
        return []
    row_of = {slot: row for row in rows for slot in row.slots}
    tensors, stored = report.snapshot.slot_columns.tensors, report.snapshot.tensor_columns.storages
    lines = ["sharing"]
    for number, (kind, records) in enumerate(groups[:_SHARING_LISTED], 1):
        met = {id(row): row for row in map(row_of.__getitem__, records[0])}
        names = list(map(row_name, met.values()))
        times = f" ×{len(records)}" if len(records) > 1 else ""
        storages = {stored[tensors[slot]] for slot in records[0]}
        # torch itself cannot know of these, nor can whoever saves the model.
        across = f" across {len(storages)} storages" if len(storages) > 1 else ""
        label = f"{SHARING_MARKS[kind]}{number} {kind}{across}{times}"
        lines += sentence([f"{label}: {names[0]}", *names[1:]], width, indent="  ")
    if len(groups) > _SHARING_LISTED:
        lines.append(f"  … and {text.plural(len(groups) - _SHARING_LISTED, 'more group')}")
    return lines


def row_name(row: Row) -> str:
    """The path of a row, with the number of slots where they are several."""
    return text.name(row.path) + (f" ×{len(row.slots)}" if len(row.slots) > 1 else "")


def note_lines(report: ReportData, width: int) -> list[str]:
    """What was not looked into, and why."""
    return [
        line
        for note in report.snapshot.notes
        for line in text.wrap_words(f"note: {text.name(note.path) or 'the root'}: {text.plain(note.text)}", width)
    ]
