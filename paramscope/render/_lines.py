"""Report → the lines that a view lists: folded rows, chosen, closed at a depth, sorted. Text comes later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from paramscope.analysis.fold import Node, Row, rows_below, unfolded, unfolded_tree
from paramscope.render._chosen import Selection, check, rank, wanted_slots
from paramscope.render._line import Line, summed
from paramscope.report.data import ReportData
from paramscope.report.finding_codes import Named, folded, named
from paramscope.snapshot import SharingKind

SHARING_GLYPHS: dict[SharingKind, str] = {
    "tied": "=",
    "aliased": "~",
    "overlapping": "%",
    "co-located": "+",
    "self-overlapping": "@",
}


class Lines(NamedTuple):
    """What a view lists."""

    shown: list[Line]
    rows: list[Row]
    """All rows of the model, also those that are not listed."""
    left_out: int
    """Empty slots' rows that are not listed because the view folds."""
    named: Named
    """Codes of findings by what they name."""
    wanted: Collection[int] | None
    """Positions of the slots that were asked for; None for all."""


def lines_of(report: ReportData, selection: Selection) -> Lines:
    """The lines of a view. Raises GlobError where the glob matches nothing, FormatError for unknown choices."""
    check(selection)
    found_at = named(report)
    wanted = wanted_slots(report, selection)
    # To unfold a tree takes as long as to list all slots: only where its modules are needed.
    tree = nodes_of(report, selection, found_at, wanted) if selection.fold or selection.depth is not None else []
    listed = list(rows_below(tree)) if selection.fold else unfolded(report.snapshot, wanted)
    rows = listed
    if wanted is not None:
        rows = list(rows_below(folded(report.snapshot, found_at))) if selection.fold else unfolded(report.snapshot)
    lists_empty = selection.path in report.slots or bool(selection.status) or not selection.fold
    summing = _Summing(report, rows, found_at)
    found: list[Line] = []
    left_out = 0
    for part, node in _parts(tree, listed, selection.depth):
        if node is None:
            opened = [summing.opened(row) for row in part]
            shown = opened if lists_empty else [line for line in opened if line.record.status != "empty"]
            left_out += len(opened) - len(shown)
            found += shown
        elif inside := list(part):
            found.append(summing.closed(node, inside))
    if selection.sort != "model":
        found.sort(key=lambda line: rank(selection.sort, line.path, line.record, line.elements, line.nbytes))
    return Lines(found, rows, left_out, found_at, wanted)


def nodes_of(report: ReportData, selection: Selection, found_at: Named, wanted: Collection[int] | None) -> list[Node]:
    """The roots of the tree that a view is about. found_at: where the findings belong. wanted: positions of the slots
    that are listed."""
    if selection.fold:
        return folded(report.snapshot, found_at, wanted)
    return unfolded_tree(report.snapshot, wanted)


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


def sharing_glyphs(report: ReportData, rows: list[Row]) -> dict[int, str]:
    """For each shared slot the glyphs of its sharing, such as ` =1`, numbered as `sharing_groups` has them."""
    glyphs: dict[int, str] = {}
    for number, (kind, records) in enumerate(sharing_groups(report, rows), 1):
        for slots in records:
            for slot in slots:
                glyphs[slot] = f"{glyphs.get(slot, '')} {SHARING_GLYPHS[kind]}{number}"
    return glyphs


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


class _Summing:
    """What the lines of a view say of rows, and of modules that are closed."""

    def __init__(self, report: ReportData, rows: list[Row], found_at: Named) -> None:
        self._report, self._record_at = report, report.slots.at
        self._glyphs = sharing_glyphs(report, rows)
        self._codes = _Codes(report, found_at)
        self._count = _Counting(report, rows).count

    def opened(self, row: Row) -> Line:
        """The line of a row."""
        path, slots = row
        elements, nbytes, is_counted = self._count(slots)
        glyph = self._glyphs.get(slots[0], "")
        if glyph:
            glyph = "".join(dict.fromkeys(f" {each}" for slot in slots for each in self._glyphs[slot].split()))
        codes, above = (self._codes.of(slots), self._codes.above(slots)) if self._codes else ((), ())
        return Line(path, slots, self._record_at(slots[0]), elements, nbytes, is_counted, glyph, codes, above, None)

    def closed(self, node: Node, rows: list[Row]) -> Line:
        """The line of a module, or of several alike, that holds some rows."""
        slots = [slot for row in rows for slot in row.slots]
        return summed(self._report, node, list(map(self.opened, rows)), self._codes.within(slots))


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

    def __bool__(self) -> bool:
        return bool(self._slots or self._modules)

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
