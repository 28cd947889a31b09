"""Report → the optimizers' view: who is stepped, with what learning rate and decay, who is not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from paramscope import text
from paramscope.analysis.fold import Node
from paramscope.render._chosen import Selection
from paramscope.render._columns import elements, line_label
from paramscope.render._line import Line, summed
from paramscope.render._lines import lines_of, nodes_of
from paramscope.render._page import foreign, options
from paramscope.render._pieces import flat
from paramscope.render._pieces import joined as together
from paramscope.render.terminal._layout import Screen, grid, joined, paint, sentence
from paramscope.render.terminal._page import note_lines, optimizer_title, title
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
    selection = Selection(fold, path)
    found = lines_of(report, selection)
    lines = found.shown
    stepped = [line for line in lines if line.record.groups]
    others = [line for line in lines if not line.record.groups]
    blocks = [title(report, width), *_stepped(report, stepped, screen), _foreign(report, screen)]
    if not report.optimizers:
        blocks.append(
            sentence(["no optimizer was given: hand it over with -O, or audit(model, optimizer=opt)"], width)
        )
    rows = _by_module(report, others, nodes_of(report, selection, found.named, found.wanted) if fold else [])
    blocks += [_not_stepped(report, rows, screen), note_lines(report, width)]
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


def _by_module(report: ReportData, lines: list[Line], roots: list[Node]) -> list[Line]:
    """Lines that are not stepped; a module of which none is, all for one reason, as one line, its buffers with it."""
    of_slot = {line.slots[0]: line for line in lines}
    tensors = report.snapshot.slot_columns.tensors
    order = list(roots)
    for node in order:
        order.extend(node.children)
    whole: dict[int, Line] = {}
    for node in reversed(order):
        rows = [of_slot.get(row.slots[0]) for row in node.rows if tensors[row.slots[0]] >= 0]
        inside = [*rows, *(whole.get(id(child)) for child in node.children)]
        held = sorted((line for line in inside if line), key=lambda line: line.record.status == "buffer")
        reasons = {_why(report, line) for line in held if line.record.status != "buffer"}
        if len(held) == len(inside) and len(reasons) <= 1 and held:
            whole[id(node)] = held[0] if len(held) == 1 else summed(report, node, held, ())
    found: list[Line] = []
    stack = roots[::-1]
    while stack:
        node = stack.pop()
        if id(node) in whole:
            found.append(whole[id(node)])
            continue
        found += [of_slot[row.slots[0]] for row in node.rows if row.slots[0] in of_slot]
        stack.extend(reversed(node.children))
    return found if roots else lines


def _not_stepped(report: ReportData, lines: list[Line], screen: Screen) -> list[str]:
    if not lines:
        return []
    why = [_why(report, line) for line in lines]
    is_odd = [line.record.status in ("trainable", "hidden") and bool(report.optimizers) for line in lines]
    slots = [text.count(sum(line.closed.slots.values()) if line.closed else len(line.slots)) for line in lines]
    cells = [[line_label(line, ()) for line in lines], slots, [elements(line) for line in lines], why]
    heading = "not stepped" if report.optimizers else "what an optimizer could step, and what not"
    styles = ["warning" if odd else None for odd in is_odd]
    drawn = grid(cells, ["path", "slots", "elements", "why"], right=(1, 2), screen=screen, styles=styles)
    sums: Counter[str] = Counter()
    for line, reason in zip(lines, why, strict=True):
        sums[reason] += 0 if line.is_counted else line.elements or 0
    totals = [f"{reason.partition(':')[0]}: {text.count(number)}" for reason, number in sums.items()]
    return [paint(heading, "heading", screen), *drawn, *sentence(totals, screen.width, separator=" · ")]


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
