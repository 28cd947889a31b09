"""Lines → cells: every column that a view of lines can show, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from paramscope import text
from paramscope.errors import FormatError
from paramscope.render._line import FATE_WORDS, PARAMETERS, Closed, Line, told_fates
from paramscope.render._pieces import Name, Pieces, flat
from paramscope.render._ran import cells as ran_cells
from paramscope.render._ran import update_of
from paramscope.report.data import ReportData
from paramscope.report.finding_codes import shown
from paramscope.snapshot import FATES, SlotRecord

_SHORT_ROLES = {"parameter": "param", "attribute": "attr"}
_LETTERS = "gsvmr"
"""Of `told_fates`."""


class Column(NamedTuple):
    """One column."""

    header: str
    cell: Callable[[Line, ReportData], str]
    is_right: bool = False
    """Whether its cells are figures, which are read from the right."""


def line_name(line: Line, codes: tuple[str, ...]) -> Pieces:
    """The path of a line, with the number of slots, or of closed modules, where they are several, and with what
    marks it: glyphs of its sharing, and codes of findings."""
    times = len(line.closed.modules) if line.closed else len(line.slots)
    return [
        Name(line.path) if line.path else "the root",
        f" ×{times}" if times > 1 else "",
        *glyphs_of(line.glyphs, codes),
    ]


def glyphs_of(sharing: str, codes: tuple[str, ...]) -> Pieces:
    """What stands behind a path, everywhere in this order: glyphs of sharing, codes of findings."""
    return [piece for glyph in (*sharing.split(), shown(codes)) if glyph for piece in (" ", Name(glyph))]


def line_label(line: Line, codes: tuple[str, ...]) -> str:
    """The same as a terminal shows it."""
    is_bare = len(line.slots) == 1 and line.path and not (line.closed or line.glyphs or codes)
    return text.name(line.path) if is_bare else flat(line_name(line, codes))


def line_codes(line: Line) -> tuple[str, ...]:
    """Codes of all findings that are about a line."""
    return tuple(dict.fromkeys((*line.codes, *line.codes_above))) if line.codes_above else line.codes


def _findings(line: Line, report: ReportData) -> str:
    return text.name(" ".join(line_codes(line)))


def role(line: Line) -> str:
    """How the owner holds it, where it is registered and not empty; else the word for what it is."""
    if line.closed:
        return "module"
    status = line.record.status
    return status if status in ("hidden", "empty", "unknown") else line.record.role


def _short_role(line: Line, report: ReportData) -> str:
    found = role(line)
    return _SHORT_ROLES.get(found, found)


def shape(line: Line) -> str:
    """Sizes; of a closed module how many tensors it holds."""
    if line.closed:
        return _slots_held(line.closed)
    return "" if line.record.status == "empty" else _sizes(line.record.shape)


def _slots_held(closed: Closed) -> str:
    """`12 slots`, `12 slots + 3 buffers`, `3 buffers`: of a closed module, with buffers apart."""
    buffers = closed.slots["buffer"]
    others = sum(closed.slots.values()) - buffers
    counts = ((others, "slot"), (buffers, "buffer"))
    return " + ".join(text.plural(number, noun) for number, noun in counts if number)


# The same few sizes stand in thousands of lines.
_sizes = lru_cache(4_096)(text.shape)


def elements(line: Line, *, is_scaled: bool = False) -> str:
    """Of every tensor where it is first listed; in parentheses where it was counted before. is_scaled: in thousands,
    millions, …"""
    if line.closed and not line.elements:
        return ""  # of tensors that are not there
    count = text.scaled(line.elements) if is_scaled and line.elements is not None else text.count(line.elements)
    return f"({count})" if line.is_counted and line.elements is not None else count


def fates(line: Line) -> str:
    """A letter for each fate: `gsvm`."""
    if line.closed:
        words = zip(_LETTERS, line.closed.fates, strict=False)
        return "".join({"yes": letter, "some": "~"}.get(word, word) for letter, word in words)
    return letters(line.record)


def letters(record: SlotRecord) -> str:
    """The fates of one slot, a letter each; nothing for an empty one."""
    return "" if record.status == "empty" else _letters(*told_fates(record))


@cache
def _letters(*values: bool | None) -> str:
    named = zip(_LETTERS, values, strict=False)
    return "".join("?" if value is None else letter if value else "-" for letter, value in named)


def _fate(name: str) -> Callable[[Line, ReportData], str]:
    position = FATES.index(name)

    def cell(line: Line, report: ReportData) -> str:
        if line.closed:
            return line.closed.fates[position]
        return "" if line.record.status == "empty" else FATE_WORDS[getattr(line.record, name)]

    return cell


def _groups(line: Line, report: ReportData) -> str:
    return "" if line.closed else " ".join(f"{text.name(g.optimizer)}:{g.group}" for g in line.record.groups)


def _declared(line: Line, report: ReportData) -> str:
    declared = None if line.closed else line.record.declared
    return "" if declared is None else text.shape(declared)


def _storage(line: Line, report: ReportData) -> str:
    storages = sorted({s for slot in line.slots if (s := _storage_of(report, slot)) >= 0})
    return text.ranges(storages)


def _storage_of(report: ReportData, slot: int) -> int:
    tensor = report.snapshot.slot_columns.tensors[slot]
    return -1 if tensor < 0 else report.snapshot.tensor_columns.storages[tensor]


def _placements(line: Line, report: ReportData) -> str:
    """`dp: shard 0, tp: replicate`."""
    if line.closed:
        return ""
    named = ((text.name(each.mesh), each.kind, each.dim) for each in line.record.placements)
    return ", ".join(f"{mesh}: {kind}" if dim is None else f"{mesh}: {kind} {dim}" for mesh, kind, dim in named)


def _type(line: Line, report: ReportData) -> str:
    return text.name(text.class_name(line.closed.type if line.closed else line.record.type))


def share(line: Line, report: ReportData) -> str:
    """Of all parameters; nothing for what is none, or was counted before, so that a column adds up to 100 %."""
    if line.is_counted or not (line.closed.has_parameters if line.closed else line.record.status in PARAMETERS):
        return ""
    return f"{text.share(line.elements, report.totals.parameters)}%"


def _module_type(line: Line, report: ReportData) -> str:
    kind = line.closed.type if line.closed else report.modules[line.record.module].type
    return text.name(text.class_name(kind))


def _ran(at: int) -> Callable[[Line, ReportData], str]:
    """What a run showed of a closed module, or of a layer, which holds no module, whose first slot this is."""

    def cell(line: Line, report: ReportData) -> str:
        if report.run is None:
            return ""
        tree, modules = report.snapshot.tree, report.snapshot.slot_columns.modules
        owners = [] if line.closed else [m for s in line.slots if tree.first_slots[m := modules[s]] == s]
        whole = line.closed.modules if line.closed else [each for each in owners if each not in tree.children]
        return ran_cells(report, whole)[at] if whole else ""

    return cell


def _told(name: Literal["reached", "grad", "grad_norm", "changed_by", "update_ratio"]) -> Column:
    """What a run showed of the tensors of some slots: the least and the greatest of several figures."""

    def cell(line: Line, report: ReportData) -> str:
        slots = [] if line.closed or report.run is None else line.slots
        tell: Callable[[SlotRecord], Any] = update_of if name == "update_ratio" else attrgetter(name)
        found = [value for slot in slots if (value := tell(report.slots.at(slot))) is not None]
        if not found:
            return ""
        if isinstance(found[0], float):
            return "…".join(dict.fromkeys(f"{value:.3g}" for value in (min(found), max(found))))
        return (
            FATE_WORDS[found[0]] if isinstance(found[0], bool) else found[0] if name == "grad" else " ".join(found[0])
        )

    return Column(name.replace("_", " "), cell, is_right=name in ("grad_norm", "update_ratio"))


COLUMNS: dict[str, Column] = {
    "path": Column("path", lambda line, _: line_label(line, line_codes(line))),
    "role": Column("role", lambda line, _: role(line)),
    "status": Column("status", lambda line, _: line.common("status")),
    "shape": Column("shape", lambda line, _: shape(line)),
    "dtype": Column("dtype", lambda line, _: line.common("dtype")),
    "device": Column("device", lambda line, _: line.common("device")),
    "elements": Column("elements", lambda line, _: elements(line), is_right=True),
    "share": Column("of all", share, is_right=True),
    "bytes": Column("bytes", lambda line, _: text.nbytes(line.nbytes), is_right=True),
    **{fate: Column(fate, _fate(fate)) for fate in FATES},
    "fate": Column("fate", lambda line, _: fates(line)),
    "groups": Column("groups", _groups),
    "storage": Column("storage", _storage),
    "declared": Column("declared", _declared),
    "findings": Column("findings", _findings),
    "placements": Column("placements", _placements),
    "type": Column("type", _type),
    "module": Column("module", _module_type),
    "output": Column("output", _ran(0)),
    "flops": Column("FLOPs", _ran(1), is_right=True),
    "activations": Column("kept", _ran(2), is_right=True),
    "reached": _told("reached"),
    "grad": _told("grad"),
    "grad_norm": _told("grad_norm"),
    "changed_by": _told("changed_by"),
    "update_ratio": _told("update_ratio"),
}
BARE_PATH = Column("path", lambda line, _: line_label(line._replace(glyphs=""), ()))
"""`path` where no legend explains glyphs."""
BARE_ELEMENTS = COLUMNS["elements"]._replace(cell=lambda line, _: text.count(line.elements))
"""`elements` where no legend explains parentheses."""
SHORT_ROLE = Column("role", _short_role)
"""`role` where columns are scarce."""


def chosen(names: Sequence[str]) -> list[Column]:
    """Columns by name, the path first. Raises FormatError for one that does not exist."""
    for name in names:
        if name not in COLUMNS:
            raise FormatError(f"there is no column {name!r}", f"Choose from {', '.join(COLUMNS)}.")
    return [COLUMNS[name] for name in dict.fromkeys(["path", *names])]


def words(value: str | Sequence[str]) -> tuple[str, ...]:
    """An option that names several things: `shape,dtype`, or a sequence of such names."""
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in parts if part.strip())
