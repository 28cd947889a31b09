"""What each optimizer will step, as lines for a terminal."""

from __future__ import annotations

from paramscope import text
from paramscope.analysis.fold import Row
from paramscope.render.terminal._layout import Screen, grid, paint, sentence
from paramscope.render.terminal._totals import row_name
from paramscope.report.data import ReportData
from paramscope.snapshot import ForeignRecord, GroupRecord, OptimizerRecord

_LISTED = 8
"""Rows of a list of slots before the rest is counted."""


_GROUPS_LISTED = 20
"""Groups of one optimizer that are shown; JSON holds all."""


def optimizer_lines(report: ReportData, rows: list[Row], screen: Screen) -> list[str]:
    """Groups, strangers, trainable slots in no group, slots in several; nothing without an optimizer."""
    lines: list[str] = []
    for optimizer in report.optimizers:
        lines += _one(report, optimizer, rows, screen)
    return lines + amiss(report, rows, screen)


def amiss(report: ReportData, rows: list[Row], screen: Screen) -> list[str]:
    """Trainable slots in no group, and slots in several; nothing without an optimizer."""
    lines: list[str] = []
    missing = {slot.path for slot in report.not_stepped()}
    if missing:
        lines.append(paint("trainable, but in no group, so never stepped:", "warning", screen))
        lines += listed(report, rows, missing, screen.width)
    several = {slot.path for slot in report.in_several_groups()}
    if several:
        lines.append(paint("in more than one group:", "warning", screen))
        lines += listed(report, rows, several, screen.width)
    return lines


def listed(report: ReportData, rows: list[Row], paths: set[str], width: int, *, indent: str = "  ") -> list[str]:
    """Some slots as the rows they stand in, the first few of them."""
    slots = report.slots
    found = []
    for row in rows:
        inside = sum(1 for slot in row.slots if slots.path_at(slot) in paths)
        if inside:
            part = "" if inside == len(row.slots) else f" ({inside} of them)"
            found.append(row_name(row) + part)
    shown = found[:_LISTED]
    lines = [line for each in shown for line in sentence([each], width, indent=indent)]
    if len(found) > _LISTED:
        lines.append(f"{indent}… and {text.plural(len(found) - _LISTED, 'more row')}")
    return lines


def _one(report: ReportData, optimizer: OptimizerRecord, rows: list[Row], screen: Screen) -> list[str]:
    kind = optimizer.type.rpartition(".")[2]
    title = sentence([f"optimizer {text.name(optimizer.name)}: {text.name(kind)}"], screen.width)
    lines = [paint(line, "heading", screen) for line in title]
    whole = report.totals.parameters
    cells = []
    groups = optimizer.groups[:_GROUPS_LISTED]
    for group in groups:
        share = f"{text.percent(group.numel, whole)}%"
        members = len(group.slots) + len(group.foreign)
        state = text.nbytes(group.state_nbytes)
        cells.append([str(group.index), text.count(members), text.count(group.numel), share, state])
    headers = ["group", "tensors", "elements", "of the model", "state"]
    columns = list(zip(*cells, strict=True)) or [()] * len(headers)
    lines += grid(columns, headers, right=(1, 2, 3, 4), screen=screen)
    if len(optimizer.groups) > len(groups):
        lines.append(f"  … and {text.plural(len(optimizer.groups) - len(groups), 'more group')}")
    for group in groups:
        lines += sentence(_options(group), screen.width, indent="  ")
        if len(optimizer.groups) > 1:
            lines += listed(report, rows, set(group.slots), screen.width, indent="    ")
        for stranger in group.foreign[:_LISTED]:
            told = sentence(f"foreign: {_stranger(stranger)}".split(" "), screen.width, indent="    ", separator=" ")
            lines += [paint(line, "warning", screen) for line in told]
        if len(group.foreign) > _LISTED:
            lines.append(f"    … and {text.plural(len(group.foreign) - _LISTED, 'more foreign tensor')}")
    return lines


def _options(group: GroupRecord) -> list[str]:
    told = [f"{text.name(name)} {text.option(value)}" for name, value in group.options if _is_told(value)]
    return [f"group {group.index}: {told[0]}", *told[1:]] if told else [f"group {group.index}"]


def _is_told(value: object) -> bool:
    """Switches that are off go without saying."""
    return value is not False and value is not None


def _stranger(stranger: ForeignRecord) -> str:
    what = f"{stranger.name} " if stranger.name else ""
    what = f"{text.name(what)}{text.shape(stranger.shape)} {stranger.dtype or 'no tensor'}, not in the model"
    if stranger.replaced_by is None:
        return what
    return f"{what}; looks replaced by {text.name(stranger.replaced_by)} (by {stranger.evidence})"
