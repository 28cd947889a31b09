"""Report → the optimizers' view: who is stepped, with what learning rate and decay, who is not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from paramscope import text
from paramscope.render._chosen import Selection
from paramscope.render._columns import elements, line_label
from paramscope.render._lines import Line, lines_of
from paramscope.render._page import foreign, options
from paramscope.render._pieces import flat
from paramscope.render._pieces import joined as together
from paramscope.render.terminal._layout import Screen, grid, paint, sentence
from paramscope.render.terminal._page import joined, note_lines, optimizer_title, title
from paramscope.report.data import ReportData
from paramscope.snapshot import GroupRecord, Membership, OptimizerRecord

_TOLD = ("lr", "weight_decay")
"""Options with a column of their own."""
_LISTED = 50
"""Foreign tensors that are listed."""


def render(
    report: ReportData, *, width: int = 80, color: bool = False, fold: bool = True, path: str | None = None
) -> str:
    """What the optimizers will do with each slot.

    width: terminal columns that no line passes. color: ANSI colours. fold: repeated siblings as one. path: a glob;
    only slots that match are listed. Raises GlobError where it matches nothing.
    """
    screen = Screen(width, color)
    lines = lines_of(report, Selection(fold, path)).shown
    stepped = [line for line in lines if line.record.groups]
    others = [line for line in lines if not line.record.groups]
    blocks = [title(report, width), *_stepped(report, stepped, screen), _foreign(report, screen)]
    if not report.optimizers:
        blocks.append(
            sentence(["no optimizer was given: hand it over with -O, or audit(model, optimizer=opt)"], width)
        )
    blocks += [_not_stepped(report, others, screen), note_lines(report, width)]
    return joined(blocks)


def _stepped(report: ReportData, lines: list[Line], screen: Screen) -> Iterator[list[str]]:
    """A table for each optimizer."""
    members: dict[Membership, list[tuple[Line, int]]] = {}
    for line in lines:
        for place, times in Counter(line.record.groups).items():
            members.setdefault(place, []).append((line, times))
    for optimizer in report.optimizers:
        cells, styles = [], []
        for group in optimizer.groups:
            for line, times in members.get(Membership(optimizer.name, group.index), ()):
                often = f" (×{times} in the group)" if times > 1 else ""
                note = _note(line)
                path = line_label(line, ()) + often
                cells.append([path, str(group.index), *_options(group), elements(line), note])
                styles.append("warning" if note or often else None)
        heading = optimizer_title(optimizer, screen)
        if not cells:
            yield [*heading, "  nothing of this model"]
            continue
        headers = ["path", "group", "lr", "decay", "elements", ""]
        if not any(row[-1] for row in cells):
            headers, cells = headers[:-1], [row[:-1] for row in cells]
        drawn = grid(list(zip(*cells, strict=True)), headers, right=(1, 2, 3, 4), screen=screen, styles=styles)
        yield [*heading, *drawn, *_others(optimizer, screen.width)]


def _options(group: GroupRecord) -> list[str]:
    known: dict[str, Any] = dict(group.options)
    return [text.option(known[name]) if name in known else "" for name in _TOLD]


def _others(optimizer: OptimizerRecord, width: int) -> list[str]:
    """The rest of the options, once where all groups agree."""
    lines = []
    told: dict[tuple[str, ...], list[int]] = {}
    for group in optimizer.groups:
        words = tuple(map(flat, options(group, without=_TOLD)))
        told.setdefault(words, []).append(group.index)
    for words, groups in told.items():
        if words:
            label = "" if len(told) == 1 else f"group {text.ranges(groups)}: "
            lines += sentence([label + words[0], *words[1:]], width, indent="  ")
    return lines


def _note(line: Line) -> str:
    record = line.record
    if not record.requires_grad:
        return "frozen, yet stepped: its gradient is left over" if record.has_grad else "frozen: passed over"
    if not record.registered:
        return "hidden: not saved"
    return "in several groups" if len({place[:2] for place in record.groups}) > 1 else ""


def _foreign(report: ReportData, screen: Screen) -> list[str]:
    """Tensors in the optimizers that the model does not have."""
    cells = []
    for each in foreign(report):
        place = flat(together([[each.place], each.name], " ")).rstrip()
        became = flat(together([each.replaced_by[:1], each.replaced_by[1:]], ", by ")) if each.replaced_by else ""
        cells.append([place, each.shape, each.dtype, became])
    if not cells:
        return []
    shown = cells[:_LISTED]
    headers = ["place", "shape", "dtype", "looks replaced by"]
    drawn = grid(list(zip(*shown, strict=True)), headers, screen=screen, styles=["warning"] * len(shown))
    more = [f"… and {len(cells) - len(shown):,} more"] if len(cells) > len(shown) else []
    return [paint("stepped, but not in the model", "heading", screen), *drawn, *more]


def _not_stepped(report: ReportData, lines: list[Line], screen: Screen) -> list[str]:
    if not lines:
        return []
    why = [_why(report, line) for line in lines]
    styles = [
        "warning" if line.record.status in ("trainable", "hidden") and report.optimizers else None for line in lines
    ]
    cells = [[line_label(line, ()) for line in lines], [elements(line) for line in lines], why]
    heading = "not stepped" if report.optimizers else "what an optimizer could step, and what not"
    drawn = grid(cells, ["path", "elements", "why"], right=(1,), screen=screen, styles=styles)
    return [paint(heading, "heading", screen), *drawn]


def _why(report: ReportData, line: Line) -> str:
    record = line.record
    if record.status == "trainable":
        return "trainable, but in no group" if report.optimizers else "trainable"
    if record.status == "hidden":
        return "hidden: parameters() lacks it"
    return {
        "frozen": "frozen",
        "buffer": "buffer",
        "attribute": "plain tensor",
        "empty": "empty",
        "unknown": "unknown",
    }[record.status]
