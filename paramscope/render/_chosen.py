"""Report → the slots that a view was asked for: by path, by what they are, in which order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from paramscope.errors import FormatError
from paramscope.report.data import ReportData, select_or_explain
from paramscope.snapshot import SlotRecord

STATUSES = ("trainable", "frozen", "hidden", "buffer", "attribute", "empty", "unknown")
"""What a slot may be."""
CHOICES = (*STATUSES, "shared", "stepped", "not-stepped")
"""What `status` takes: a slot's status; whether it shares memory; whether an optimizer steps it, whatever it is."""
_OF_OPTIMIZERS = {True: "stepped", False: "not-stepped"}
"""What is said of a slot by its fate; of none where no optimizer was given, or where the slot is empty."""
SORTS = ("model", "path", "elements", "bytes", "status", "dtype")
"""What lines are sorted by: the order of the model, or greatest first for `elements` and `bytes`."""
_INCOMPLETE = frozenset({"packed", "items", "depth", "unreadable", "crashed", "repeats", "uninitialised"})
"""Kinds of notes on what was not looked into."""


class Selection(NamedTuple):
    """Which lines are listed, and how."""

    fold: bool = True
    """Repeated siblings as one, and empty slots left out."""
    path: str | None = None
    """A glob that slots have to match."""
    status: Collection[str] = ()
    """Of CHOICES; a slot has to be one of them."""
    sort: str = "model"
    depth: int | None = None
    """Modules so many steps below the root are closed: one line each."""


def check(selection: Selection) -> None:
    """Raises FormatError for what no view knows."""
    for choice in selection.status:
        if choice not in CHOICES:
            raise FormatError(f"there is no status {choice!r}", f"Choose from {', '.join(CHOICES)}.")
    if selection.sort not in SORTS:
        raise FormatError(f"lines cannot be sorted by {selection.sort!r}", f"Sort by {', '.join(SORTS)}.")
    check_depth(selection.depth)


def check_depth(depth: int | None) -> None:
    """Raises FormatError for a depth that no tree has."""
    if depth is not None and depth < 0:
        advice = "It is a number of steps below the root: 0 closes the root itself, 1 its children."
        raise FormatError(f"a depth cannot be {depth}", advice)


def wanted_slots(report: ReportData, selection: Selection) -> set[int] | None:
    """Positions of the slots that are chosen; None where all are. Raises GlobError where the glob matches nothing."""
    wanted: set[int] | None = None
    if selection.path is not None:
        wanted = set(report.slots.positions(slot.path for slot in select_or_explain(report, selection.path)))
    if selection.status:
        of_status = set(_of_status(report, frozenset(selection.status)))
        wanted = of_status if wanted is None else wanted & of_status
    return wanted


def _of_status(report: ReportData, choices: frozenset[str]) -> Iterator[int]:
    shared = set(report.slots.positions(path for record in report.sharing for path in record.slots))
    tells_steps = bool(report.optimizers) and not choices.isdisjoint(_OF_OPTIMIZERS.values())
    for slot, tensor in enumerate(report.snapshot.slot_columns.tensors):
        status = report.snapshot.status(slot)
        found = {status, "shared" if slot in shared else status}
        if tells_steps and tensor >= 0:
            found.add(_OF_OPTIMIZERS[bool(report.snapshot.fates(slot)[0].stepped)])
        if not choices.isdisjoint(found):
            yield slot


def chosen_records(report: ReportData, selection: Selection) -> list[SlotRecord]:
    """Every chosen slot for itself, whatever folds. Raises GlobError where the glob matches nothing, FormatError for
    unknown choices."""
    check(selection)
    wanted = wanted_slots(report, selection)
    records = [*report.slots.records()] if wanted is None else [*map(report.slots.at, sorted(wanted))]
    if selection.sort != "model":
        records.sort(key=lambda slot: rank(selection.sort, slot.path, slot, slot.numel, slot.nbytes))
    return records


def rank(sort: str, path: str, record: SlotRecord, elements: int | None, nbytes: int | None) -> Any:
    """Where a line stands in an order other than the model's: lower is earlier."""
    if sort == "path":
        return path
    if sort == "status":
        return STATUSES.index(record.status)
    if sort == "dtype":
        return record.dtype or ""
    return -((elements if sort == "elements" else nbytes) or 0)


def nothing(report: ReportData, selection: Selection) -> str:
    """What is said where a view has no line."""
    if selection.status:
        unknown = [] if report.optimizers else [each for each in selection.status if each in _OF_OPTIMIZERS.values()]
        told = [each.replace("-", " ") for each in selection.status if each not in unknown]
        none = [f"no slot is {' or '.join(told)}"] if told else []
        return "; ".join([*none, *(["what is stepped is unknown without -O"] if unknown else [])])
    # A model may hold tensors that are not among its slots: notes say where.
    if any(note.kind in _INCOMPLETE for note in report.snapshot.notes):
        return "nothing that can be listed: see the notes for what this model holds and could not be looked into"
    return "no tensors: this model holds no parameters, buffers or tensor attributes"
