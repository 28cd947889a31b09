"""Report → the optimizers' view: who is stepped, with what learning rate and decay, who is not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

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
from paramscope.render.terminal._page import line_grid, note_lines, optimizer_title, title
from paramscope.report.data import ReportData
from paramscope.snapshot import GroupRecord, Membership, OptimizerRecord

_TOLD = ("lr", "weight_decay")
"""Options with a column of their own."""
_SPELLED_OUT = {"hidden": "hidden: parameters() lacks it"}
"""What is said of a reason beside it; below the table it is summed up without."""
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
    roots = nodes_of(report, selection, found.named, found.wanted) if fold else []
    stepped = _by_module(report, [line for line in lines if line.record.stepped], roots, _how)
    others = _by_module(
        report, [line for line in lines if not line.record.stepped], roots, lambda line: _why(report, line)
    )
    tables = _stepped(report, stepped, screen, is_whole=path is None)
    blocks = [title(report, width), *tables, _foreign(report, screen)]
    if not report.optimizers:
        blocks.append(
            sentence(["no optimizer was given: hand it over with -O, or audit(model, optimizer=opt)"], width)
        )
    blocks += [_not_stepped(report, others, screen), note_lines(report, width)]
    return joined(blocks)


def _how(line: Line) -> tuple[Hashable, ...]:
    """What lines that are stepped have to agree on, to stand in one."""
    return (*sorted(line.record.groups), _note(line))


def _stepped(report: ReportData, lines: list[Line], screen: Screen, *, is_whole: bool) -> Iterator[list[str]]:
    """A table for each optimizer. is_whole: whether all that is stepped is to be listed."""
    members: dict[Membership, list[tuple[Line, int]]] = {}
    for line in lines:
        for place, times in Counter(line.record.groups).items():
            members.setdefault(place, []).append((line, times))
    for optimizer in report.optimizers:
        cells, styles, shown = [], [], []
        for group in optimizer.groups:
            for line, times in members.get(Membership(optimizer.name, group.index), ()):
                often = f" (×{times} in the group)" if times > 1 else ""
                note = _note(line)
                path = line_label(line, ()) + often
                cells.append([path, str(group.index), *_options(group), elements(line), note])
                styles.append("warning" if note or often else None)
                shown.append(line)
        heading = optimizer_title(optimizer, screen)
        if not cells:
            yield [*heading, f"  {_nothing(optimizer, is_whole=is_whole)}"]
            continue
        headers = ["path", "group", "lr", "decay", "elements", ""]
        if not any(row[-1] for row in cells):
            headers, cells = headers[:-1], [row[:-1] for row in cells]
        columns = list(zip(*cells, strict=True))
        drawn = line_grid(shown, columns, headers, right=(1, 2, 3, 4), screen=screen, styles=styles)
        yield [*heading, *drawn, *_others(optimizer, screen.width)]


def _nothing(optimizer: OptimizerRecord, *, is_whole: bool) -> str:
    """What an optimizer steps, where its table is empty."""
    if not any(group.slots for group in optimizer.groups):
        return "nothing of this model"
    return "nothing: what it holds is frozen" if is_whole else "nothing of what was chosen"


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
        return "frozen, yet stepped: its gradient is left over"
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


class _Inside(NamedTuple):
    """What of the lines of a table lies in a module."""

    lines: list[Line]
    whys: set[Hashable]
    """Why the lines are in the table, but for those of buffers."""
    lacks: set[bool]
    """Whether the table lacks buffers (True) of the module, and others (False)."""

    @property
    def is_one(self) -> bool:
        """Whether one line can stand for them: all but buffers, for one reason, or nothing but buffers."""
        return len(self.lines) > 1 and (
            len(self.whys) == 1 and False not in self.lacks if self.whys else True not in self.lacks
        )


def _by_module(
    report: ReportData, lines: list[Line], roots: list[Node], why: Callable[[Line], Hashable]
) -> list[Line]:
    """The lines of a table, those that one module holds as one line where they are there for the same reason."""
    if not roots:
        return lines
    of_slot = {line.slots[0]: line for line in lines}
    tensors, status = report.snapshot.slot_columns.tensors, report.snapshot.status
    found: dict[int, _Inside] = {}
    order = list(roots)
    for node in order:
        order.extend(node.children)
    for node in reversed(order):
        inside = _Inside([], set(), set())
        found[id(node)] = inside
        for row in node.rows:
            there = [of_slot[slot] for slot in row.slots if slot in of_slot]
            inside.lines.extend(there)
            inside.whys.update(why(line) for line in there if line.record.status != "buffer")
            if sum(len(line.slots) for line in there) < len(row.slots) and tensors[row.slots[0]] >= 0:
                inside.lacks.add(status(row.slots[0]) == "buffer")
        for child in node.children:
            below = found[id(child)]
            inside.lines.extend(below.lines)
            inside.whys.update(below.whys)
            inside.lacks.update(below.lacks)
        # Buffers alone are not gathered in the root: that they are all of the model's would tell nobody which.
        if inside.is_one and (inside.whys or node.path):
            learned_first = sorted(inside.lines, key=lambda line: line.record.status == "buffer")
            inside.lines[:] = [summed(report, node, learned_first, ())]
    return [line for root in roots for line in found[id(root)].lines]


def _not_stepped(report: ReportData, lines: list[Line], screen: Screen) -> list[str]:
    if not lines:
        return []
    reasons = [_why(report, line) for line in lines]
    buffers = [
        line.closed.slots["buffer"] if line.closed and reason != "buffer" else 0
        for line, reason in zip(lines, reasons, strict=True)
    ]
    why = [
        (_SPELLED_OUT.get(reason, reason) + (f"; {text.plural(number, 'buffer')}" if number else ""))
        for reason, number in zip(reasons, buffers, strict=True)
    ]
    is_odd = [line.record.status in ("trainable", "hidden") and bool(report.optimizers) for line in lines]
    held = [sum(line.closed.slots.values()) if line.closed else len(line.slots) for line in lines]
    slots = [text.count(all_held - number) for all_held, number in zip(held, buffers, strict=True)]
    cells = [[line_label(line, ()) for line in lines], slots, [elements(line) for line in lines], why]
    heading = "not stepped" if report.optimizers else "what an optimizer could step, and what not"
    styles = ["warning" if odd else None for odd in is_odd]
    drawn = line_grid(lines, cells, ["path", "slots", "elements", "why"], right=(1, 2), screen=screen, styles=styles)
    sums: Counter[str] = Counter()
    for line, reason, number in zip(lines, reasons, buffers, strict=True):
        sums[reason] += 0 if line.is_counted else line.elements or 0
        if line.closed and number:
            sums["buffer"] += line.closed.new["buffer"]
    totals = [f"{reason}: {text.count(number)}" for reason, number in sums.items()]
    return [paint(heading, "heading", screen), *drawn, *sentence(totals, screen.width, separator=" · ")]


def _why(report: ReportData, line: Line) -> str:
    record = line.record
    if record.groups:
        several = len(report.optimizers) > 1
        places = [f"{place.optimizer}:{place.group}" if several else str(place.group) for place in record.groups]
        return f"frozen, in {'group' if len(places) == 1 else 'groups'} {text.name(text.listed(places))}"
    if record.status == "trainable":
        return "trainable, but in no group" if report.optimizers else "trainable"
    if record.status == "hidden":
        return "hidden"
    return {
        "frozen": "frozen",
        "buffer": "buffer",
        "attribute": "plain tensor",
        "empty": "empty",
        "unknown": "unknown",
    }[record.status]
