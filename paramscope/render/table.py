"""Report → table for a terminal: slots with their four fates, totals, sharing, and what optimizers step."""

from __future__ import annotations

from collections.abc import Sequence

from paramscope import text
from paramscope.fold import Row, fold_slots, unfolded
from paramscope.render._layout import Screen, grid, grid_width, sentence
from paramscope.render._optimizers import optimizer_lines, row_name
from paramscope.report import Report, select_or_explain
from paramscope.snapshot import FATES, NO_OPTIMIZER, SharingKind, SlotRecord

NARROWEST_PATH = 36
"""Columns that a path may claim before the other columns are written out."""

_SHORT_ROLES = {"parameter": "param", "attribute": "attr"}
_LETTERS = {"gradient": "g", "stepped": "s", "saved": "v", "moved": "m"}
_MARKS: dict[SharingKind, str] = {
    "tied": "=",
    "aliased": "~",
    "overlapping": "%",
    "co-located": "+",
    "self-overlapping": "@",
}
_SHARING_LISTED = 12


def render(
    report: Report, *, width: int = 80, color: bool = False, fold: bool = True, path: str | None = None
) -> str:
    """The table that people read.

    width: terminal columns that no line passes. color: ANSI colours. fold: repeated siblings as one row, and
    empty slots left out. path: a glob; only slots that match are listed, the totals stay those of the model.

    Raises GlobError where the glob matches nothing.
    """
    rows = fold_slots(report.snapshot) if fold else unfolded(report.snapshot)
    shown = rows
    if path is not None:
        wanted = {slot.path for slot in select_or_explain(report, path)}
        shown = _only(report, rows, wanted)
    elif fold:
        shown = [row for row in rows if report.snapshot.status(row.slots[0]) != "empty"]
    marks = _marks(report, rows)
    screen = Screen(width, color)
    blocks = [
        [_title(report, width)],
        _slot_lines(report, shown, marks, screen),
        _total_lines(report, width, len(rows) - len(shown) if path is None else 0),
        _sharing_lines(report, rows, width),
        optimizer_lines(report, rows, screen),
        [line for note in report.snapshot.notes for line in _note(note.path, note.text, width)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _title(report: Report, width: int) -> str:
    roots = [report.modules[path] for path in report.snapshot.roots]
    kinds = " + ".join(text.name(root.type.rpartition(".")[2]) for root in roots)
    modes = {root.training for root in roots}
    mode = "mixed modes" if len(modes) > 1 else "training mode" if modes.pop() else "eval mode"
    line = f"{kinds}, {mode}"
    if report.target:
        line = f"{text.name(report.target)}: {line}"
    return line if text.width(line) <= width else "\n".join(text.wrap_path(line, width))


def _only(report: Report, rows: list[Row], wanted: set[str]) -> list[Row]:
    """The rows of wanted slots; a row of which only some are wanted is opened."""
    path_at = report.slots.path_at
    found = []
    for row in rows:
        inside = [slot for slot in row.slots if path_at(slot) in wanted]
        if len(inside) == len(row.slots):
            found.append(row)
        else:
            found += [Row(path_at(slot), [slot]) for slot in inside]
    return found


def _marks(report: Report, rows: list[Row]) -> dict[int, str]:
    """For each shared slot the marks of its sharing, such as `=1`, numbered as the sharing block lists them."""
    marks: dict[int, str] = {}
    for number, (kind, records) in enumerate(_sharing_groups(report, rows), 1):
        for slots in records:
            for slot in slots:
                marks[slot] = f"{marks.get(slot, '')} {_MARKS[kind]}{number}"
    return marks


def _sharing_groups(report: Report, rows: list[Row]) -> list[tuple[SharingKind, list[list[int]]]]:
    """Sharing of one kind between the same rows, as one: (kind, slots of each record)."""
    if not report.sharing:
        return []
    row_of = {slot: number for number, row in enumerate(rows) for slot in row.slots}
    groups: dict[tuple[SharingKind, tuple[int, ...]], list[list[int]]] = {}
    for record in report.sharing:
        slots = [report.slots.position(path) for path in record.slots]
        key = (record.kind, tuple(dict.fromkeys(row_of[slot] for slot in slots)))
        groups.setdefault(key, []).append(slots)
    return [(kind, records) for (kind, _), records in groups.items()]


def _slot_lines(report: Report, rows: list[Row], marks: dict[int, str], screen: Screen) -> list[str]:
    if not rows:
        return ["no tensors: this model holds no parameters, buffers or tensor attributes"]
    records = [report.slots.at(row.slots[0]) for row in rows]
    paths = [row_name(row) + marks.get(row.slots[0], "") for row in rows]
    elements = _elements(report, rows)
    uniform = {
        name: {getattr(record, name) for record in records if record.status != "empty"}
        for name in ("dtype", "device")
    }
    for is_full in (True, False):
        # A column that says the same in every row says it once, where columns are scarce.
        columns = [name for name in ("dtype", "device") if is_full or len(uniform[name]) > 1]
        headers = ["path", "role", "shape", *columns, "elements", *(FATES if is_full else ("fate",))]
        cells = [
            [
                path,
                _role(record, is_full=is_full),
                "" if record.status == "empty" else text.shape(record.shape),
                *(str(getattr(record, name) or "") for name in columns),
                count,
                *_fates(record, is_full=is_full),
            ]
            for path, record, count in zip(paths, records, elements, strict=True)
        ]
        needed = grid_width([row[1:] for row in cells], headers[1:]) + 2
        longest = max(map(text.width, paths))
        if is_full and needed + min(longest, max(NARROWEST_PATH, screen.width // 3)) <= screen.width:
            break
    numeric = (headers.index("elements"),)
    styles = [record.status for record in records]
    lines = grid(cells, headers, right=numeric, screen=screen, styles=styles)
    told = _same_everywhere(uniform, columns)
    if not is_full:
        told.append("fate: g gets gradients, s stepped, v saved, m moved by .to(); - not, ? unknown")
    told += _reasons(records)
    if any(count.startswith("(") for count in elements):
        told.append("elements in parentheses were counted above")
    if marks:
        told.append("=1, ~1: see sharing")
    return [*lines, "", *sentence(told, screen.width, separator="; ")] if told else lines


def _role(record: SlotRecord, *, is_full: bool) -> str:
    if record.status in ("hidden", "empty", "unknown"):
        return record.status
    return record.role if is_full else _SHORT_ROLES.get(record.role, record.role)


def _fates(record: SlotRecord, *, is_full: bool) -> list[str]:
    if record.status == "empty":
        return [""] * 4 if is_full else [""]
    values = [(fate, getattr(record, fate)) for fate in FATES]
    if is_full:
        return ["?" if value is None else "yes" if value else "-" for _, value in values]
    return ["".join("?" if value is None else _LETTERS[fate] if value else "-" for fate, value in values)]


def _elements(report: Report, rows: list[Row]) -> list[str]:
    """Elements of each row, every tensor counted where it is first met; in parentheses where it was before."""
    snapshot = report.snapshot
    tensors = snapshot.slot_columns.tensors
    seen: set[int] = set()
    found = []
    for row in rows:
        numel = report.slots.at(row.slots[0]).numel
        members = {tensors[slot] for slot in row.slots if tensors[slot] >= 0}
        new = members - seen
        seen |= members
        if numel is None:
            found.append("unknown")
        elif new or not members:
            found.append(text.count(numel * len(new)))
        else:
            found.append(f"({text.count(numel * len(members))})")
    return found


def _same_everywhere(uniform: dict[str, set[str | None]], columns: Sequence[str]) -> list[str]:
    """What the columns that were left out would say in every row: `all float32 on cpu`."""
    same = {name: str(*values) for name, values in uniform.items() if name not in columns and len(values) == 1}
    if not same:
        return []
    what = f"all {same['dtype']}" if "dtype" in same else "all"
    return [f"{what} on {same['device']}" if "device" in same else what]


def _reasons(records: list[SlotRecord]) -> list[str]:
    """Why some fates are not known, each reason once."""
    found = dict.fromkeys(reason for record in records for _, reason in record.unknown)
    return [
        "stepped is unknown without an optimizer (-O)" if reason == NO_OPTIMIZER else f"?: {text.name(reason)}"
        for reason in found
    ]


def _total_lines(report: Report, width: int, left_out: int) -> list[str]:
    totals = report.totals
    lines = [
        f"trainable params: {text.count(totals.trainable)} || all params: {text.count(totals.parameters)} || "
        f"trainable%: {text.percent(totals.trainable, totals.parameters)}"
    ]
    more = []
    if totals.by_name is None:
        more.append("by name: unknown (not all names are listed)")
    elif totals.by_name != totals.parameters:
        more.append(f"by name: {text.count(totals.by_name)}")
    if totals.local is not None:
        more.append(f"on this rank: {text.count(totals.local)}")
    if totals.effective_trainable != totals.trainable:
        more.append(f"effective trainable: {text.count(totals.effective_trainable)}")
    least = "at least " if any(note.kind in ("items", "depth") for note in report.snapshot.notes) else ""
    sums = (
        ("buffers", "", totals.buffers),
        ("hidden", least, totals.hidden),
        ("attributes", least, totals.attributes),
    )
    more += [f"{label}: {bound}{text.count(number)}" for label, bound, number in sums if number]
    if totals.unknown:
        more.append(f"{text.plural(totals.unknown, 'tensor')} of unknown size not counted")
    more.append(f"memory: {text.nbytes(totals.nbytes)}")
    if left_out:
        more.append("empty slots not listed")
    return [part for line in lines for part in sentence(line.split(" || "), width, separator=" || ")] + sentence(
        more, width, separator=" · "
    )


def _sharing_lines(report: Report, rows: list[Row], width: int) -> list[str]:
    groups = _sharing_groups(report, rows)
    if not groups:
        return []
    row_of = {slot: row for row in rows for slot in row.slots}
    lines = ["sharing"]
    for number, (kind, records) in enumerate(groups[:_SHARING_LISTED], 1):
        names = list(dict.fromkeys(row_name(row_of[slot]) for slot in records[0]))
        times = f" ×{len(records)}" if len(records) > 1 else ""
        storages = {report.slots.at(slot).storage for slot in records[0]}
        # torch itself cannot know of these, nor can whoever saves the model.
        across = f" across {len(storages)} storages" if len(storages) > 1 else ""
        label = f"{_MARKS[kind]}{number} {kind}{across}{times}"
        lines += sentence([f"{label}: {names[0]}", *names[1:]], width, indent="  ")
    if len(groups) > _SHARING_LISTED:
        lines.append(f"  … and {text.plural(len(groups) - _SHARING_LISTED, 'more group')}")
    return lines


def _note(path: str, what: str, width: int) -> list[str]:
    return sentence([f"note: {text.name(path) or 'the root'}:", what], width, separator=" ")
