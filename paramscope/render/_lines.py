"""Report → the lines that a view lists: folded rows, chosen, closed at a depth, sorted. Text comes later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from paramscope.analysis.fold import Node, Row, rows_below, unfolded, unfolded_tree
from paramscope.errors import FormatError
from paramscope.render._line import Line, summed
from paramscope.report.data import ReportData, select_or_explain
from paramscope.report.finding_codes import Named, folded, named
from paramscope.snapshot import SharingKind, SlotRecord

SHARING_MARKS: dict[SharingKind, str] = {
    "tied": "=",
    "aliased": "~",
    "overlapping": "%",
    "co-located": "+",
    "self-overlapping": "@",
}
STATUSES = ("trainable", "frozen", "hidden", "buffer", "attribute", "empty", "unknown")
"""What a slot may be."""
CHOICES = (*STATUSES, "shared", "stepped", "not-stepped")
"""What `status` takes: a slot's status; whether it shares memory; whether it is trainable and stepped, or not."""
_INCOMPLETE = frozenset({"packed", "items", "depth", "unreadable", "crashed", "repeats", "uninitialised"})
"""Kinds of notes on what was not looked into."""
SORTS = ("model", "path", "elements", "bytes", "status", "dtype")
"""What lines are sorted by: the order of the model, or greatest first for `elements` and `bytes`."""


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


class Lines(NamedTuple):
    """What a view lists."""

    shown: list[Line]
    rows: list[Row]
    """All rows of the model, also those that are not listed."""
    left_out: int
    """Empty slots' rows that are not listed because the view folds."""
    named: Named
    """Codes of findings by what they name."""


def lines_of(report: ReportData, selection: Selection) -> Lines:
    """The lines of a view. Raises GlobError where the glob matches nothing, FormatError for unknown choices."""
    check(selection)
    found_at = named(report)
    # To unfold a tree takes as long as to list all slots: only where its modules are needed.
    tree = nodes_of(report, selection, found_at) if selection.fold or selection.depth is not None else []
    rows = list(rows_below(tree)) if selection.fold else unfolded(report.snapshot)
    marks = sharing_marks(report, rows)
    codes = _Codes(report, found_at)
    counted = _Counting(report, rows)
    wanted = _wanted(report, selection)
    is_plain = selection.path not in report.slots and not selection.status
    left_out = 0
    found: list[Line] = []

    def opened(row: Row) -> Line:
        return _open(row, report.slots.at(row.slots[0]), counted, marks, codes)

    for part, node in _parts(tree, rows, selection.depth):
        if node is not None:
            inside = [opened(each) for row in part for each in _chosen(report, row, wanted)]
            if inside:
                within = codes.within([slot for each in inside for slot in each.slots])
                found.append(summed(report, node, inside, within))
            continue
        for row in part:
            for each in [row] if wanted is None else _chosen(report, row, wanted):
                line = opened(each)
                if is_plain and selection.fold and line.record.status == "empty":
                    left_out += 1
                else:
                    found.append(line)
    return Lines(_sorted(found, selection.sort), rows, left_out, found_at)


def nodes_of(report: ReportData, selection: Selection, found_at: Named) -> list[Node]:
    """The roots of the tree that a view is about. found_at: where the findings belong."""
    return folded(report.snapshot, found_at) if selection.fold else unfolded_tree(report.snapshot)


def check(selection: Selection) -> None:
    """Raises FormatError for what no view knows."""
    for choice in selection.status:
        if choice not in CHOICES:
            raise FormatError(f"there is no status {choice!r}", f"Choose from {', '.join(CHOICES)}.")
    if selection.sort not in SORTS:
        raise FormatError(f"lines cannot be sorted by {selection.sort!r}", f"Sort by {', '.join(SORTS)}.")
    if selection.depth is not None and selection.depth < 0:
        raise FormatError(
            f"a depth of {selection.depth} is no depth", "Depth 0 closes the root itself, 1 its children."
        )


def nothing(report: ReportData, selection: Selection) -> str:
    """What is said where a view has no line."""
    if selection.status:
        return f"no slot is {' or '.join(selection.status)}"
    if is_incomplete(report):
        return "nothing that can be listed: see the notes for what this model holds and could not be looked into"
    return "no tensors: this model holds no parameters, buffers or tensor attributes"


def is_incomplete(report: ReportData) -> bool:
    """Whether a model may hold tensors that are not among its slots: notes say where."""
    return any(note.kind in _INCOMPLETE for note in report.snapshot.notes)


def sharing_groups(report: ReportData, rows: list[Row]) -> list[tuple[SharingKind, list[list[int]]]]:
    """Sharing of one kind between the same rows, as one: (kind, slots of each record)."""
    if not report.sharing:
        return []
    members = [report.slots.positions(record.slots) for record in report.sharing]
    shared = set(chain.from_iterable(members))
    row_of = {slot: number for number, row in enumerate(rows) for slot in row.slots if slot in shared}
    groups: dict[tuple[SharingKind, tuple[int, ...]], list[list[int]]] = {}
    for record, slots in zip(report.sharing, members, strict=True):
        key = (record.kind, tuple(dict.fromkeys(row_of[slot] for slot in slots)))
        groups.setdefault(key, []).append(slots)
    return [(kind, records) for (kind, _), records in groups.items()]


def sharing_marks(report: ReportData, rows: list[Row]) -> dict[int, str]:
    """For each shared slot the marks of its sharing, such as ` =1`, numbered as `sharing_groups` has them."""
    marks: dict[int, str] = {}
    for number, (kind, records) in enumerate(sharing_groups(report, rows), 1):
        for slots in records:
            for slot in slots:
                marks[slot] = f"{marks.get(slot, '')} {SHARING_MARKS[kind]}{number}"
    return marks


def _wanted(report: ReportData, selection: Selection) -> set[int] | None:
    """Positions of the slots that are chosen; None where all are."""
    wanted: set[int] | None = None
    if selection.path is not None:
        wanted = set(report.slots.positions(slot.path for slot in select_or_explain(report, selection.path)))
    if selection.status:
        of_status = set(_of_status(report, frozenset(selection.status)))
        wanted = of_status if wanted is None else wanted & of_status
    return wanted


def _of_status(report: ReportData, choices: frozenset[str]) -> Iterator[int]:
    shared = set(report.slots.positions(path for record in report.sharing for path in record.slots))
    memberships = report.snapshot.interned.memberships
    columns, tensors = report.snapshot.tensor_columns, report.snapshot.slot_columns.tensors
    for slot, tensor in enumerate(tensors):
        status = report.snapshot.status(slot)
        found = {status, "shared" if slot in shared else status}
        if status == "trainable" and report.optimizers:
            found.add("stepped" if memberships[columns.memberships[tensor]] else "not-stepped")
        if not choices.isdisjoint(found):
            yield slot


def _chosen(report: ReportData, row: Row, wanted: set[int] | None) -> list[Row]:
    """A row as it stands if all its slots are wanted; else those that are, each as a row."""
    if wanted is None:
        return [row]
    inside = [slot for slot in row.slots if slot in wanted]
    if len(inside) == len(row.slots):
        return [row]
    return [Row(report.slots.path_at(slot), [slot]) for slot in inside]


def _parts(tree: list[Node], rows: list[Row], depth: int | None) -> Iterator[tuple[Iterable[Row], Node | None]]:
    """Rows to be listed, with None; and those of each module that is closed, with its node."""
    if depth is None:
        yield rows, None
        return
    stack = [(node, 0) for node in reversed(tree)]
    while stack:
        node, level = stack.pop()
        if level >= depth:
            yield rows_below([node]), node
            continue
        yield node.rows, None
        stack.extend((child, level + 1) for child in reversed(node.children))


class _Counting:
    """Elements and bytes of rows, every tensor in the first row of the model that holds it."""

    def __init__(self, report: ReportData, rows: list[Row]) -> None:
        self._tensors = report.snapshot.slot_columns.tensors
        self._specs, self._columns = report.snapshot.interned.specs, report.snapshot.tensor_columns
        self._first: dict[int, int] = {}
        if any(record.kind == "tied" for record in report.sharing):
            for row in rows:
                for slot in row.slots:
                    self._first.setdefault(self._tensors[slot], slot)

    def count(self, slots: Sequence[int]) -> tuple[int | None, int, bool]:
        """(elements, bytes, whether all were counted before) of some slots."""
        tensors, first = self._tensors, self._first
        if len(slots) == 1:
            tensor = tensors[slots[0]]
            if tensor < 0:
                return 0, 0, False
            spec = self._specs[self._columns.specs[tensor]]
            return spec.numel, spec.nbytes or 0, bool(first) and first[tensor] != slots[0]
        if first:
            members = list({tensors[slot] for slot in slots if tensors[slot] >= 0})
            inside = frozenset(slots)
            new = [tensor for tensor in members if first[tensor] in inside]
        else:
            members = new = [tensors[slot] for slot in slots if tensors[slot] >= 0]
        counted = new or members
        elements: int | None = 0
        nbytes = 0
        specs = self._columns.specs
        for number, times in Counter([specs[tensor] for tensor in counted]).items():
            spec = self._specs[number]
            elements = None if elements is None or spec.numel is None else elements + times * spec.numel
            nbytes += times * (spec.nbytes or 0)
        return elements, nbytes, bool(members) and not new


class _Codes:
    """Codes of findings, by the lines that they belong to."""

    def __init__(self, report: ReportData, found: Named) -> None:
        self._slots, self._named, _ = found
        self._module_of = report.snapshot.slot_columns.modules
        roots = {report.modules.position(root) for root in report.snapshot.roots} if self._named else set()
        self._modules = {module: codes for module, codes in self._named.items() if module not in roots}
        if self._modules:
            for module, parent in enumerate(report.snapshot.tree.parents):  # a module stands behind the one above it
                if parent in self._modules:
                    self._modules[module] = _united([self._modules[parent], self._modules.get(module, ())])

    def of(self, slots: Sequence[int]) -> tuple[str, ...]:
        """Of findings that name any of some slots."""
        return _united(self._slots[slot] for slot in slots if slot in self._slots) if self._slots else ()

    def above(self, slots: Sequence[int]) -> tuple[str, ...]:
        """Of findings that name modules that hold each of some slots, at whatever depth."""
        if not self._modules or not slots:
            return ()
        first, *others = {self._modules.get(self._module_of[slot], ()) for slot in slots}
        return tuple(code for code in first if all(code in each for each in others))

    def within(self, slots: Sequence[int]) -> tuple[str, ...]:
        """Of findings that name any of some slots, or a module that holds any of them."""
        found = {self._modules.get(self._module_of[slot], ()) for slot in slots} if self._modules else set()
        return _united([self.of(slots), *sorted(found)])


def _united(codes: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for each in codes for code in each))


def _open(row: Row, record: SlotRecord, counting: _Counting, marks: dict[int, str], codes: _Codes) -> Line:
    elements, nbytes, is_counted = counting.count(row.slots)
    mark = marks.get(row.slots[0], "") if marks else ""
    found, above = codes.of(row.slots), codes.above(row.slots)
    return Line(row.path, row.slots, record, elements, nbytes, is_counted, mark, found, above, None)


_ORDER: dict[str, Callable[[Line], Any]] = {
    "path": lambda line: line.path,
    "elements": lambda line: -(line.elements or 0),
    "bytes": lambda line: -line.nbytes,
    "status": lambda line: STATUSES.index(line.record.status),
    "dtype": lambda line: line.record.dtype or "",
}


def _sorted(lines: list[Line], sort: str) -> list[Line]:
    return lines if sort == "model" else sorted(lines, key=_ORDER[sort])
