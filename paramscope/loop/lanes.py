"""What a watch saw → SVG: lanes of slots that fared alike, when they were trained and when not, marks, findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from paramscope import text
from paramscope.loop.look import Look
from paramscope.loop.timeline import Moment, folded
from paramscope.render.picture import _drawing as draw
from paramscope.render.picture._drawing import FILLS, HEAD, MARGIN, WIDTH, Box, Mark
from paramscope.report.finding import Finding

_FATES = {
    "trainable": FILLS["trainable"],
    "frozen": FILLS["frozen"],
    "trainable, in no optimizer": FILLS["unknown"],
}
"""What a slot can be, in the order of the codes below."""
_TRAINABLE, _FROZEN, _UNHEARD, _ABSENT = range(4)
_WORDS = (*_FATES, "not there")
MOVING = frozenset(("added", "removed", "froze", "thawed", "joined", "left"))
"""Kinds of changes after which a slot may stand elsewhere."""
_LANES, _FLAGS, _SAID = 24, 4, 8
"""Lanes, rows of flags, and findings that are spelled out."""
_NAMES, _BAR, _STEP, _LINE = 230, 18, 25, 17
"""Pixels left of the lanes, of a lane, from one to the next, and of a line of text."""
_COLUMNS = int((WIDTH - 2 * MARGIN) / (draw.EM * 12))
"""Of sentences."""
_TAIL = 0.9
"""Part of the room that is before the last mark: what it saw is drawn after it."""


class Stood(NamedTuple):
    """What each slot was at one moment."""

    slots: Sequence[str]
    codes: bytes

    @classmethod
    def of(cls, look: Look) -> Stood:
        """As it was seen. Where no optimizer is watched, nothing is outside of all."""
        unheard = _UNHEARD if look.rates else _TRAINABLE
        codes = (
            _FROZEN if not is_trainable else _TRAINABLE if places else unheard
            for is_trainable, places in zip(look.is_trainable, look.places, strict=True)
        )
        return cls(look.slots, bytes(codes))


class _Lane(NamedTuple):
    name: str
    fates: tuple[int, ...]
    """At the start, and as each mark saw it."""


def drawn(
    stood: Sequence[Stood], moments: Sequence[Moment], findings: Sequence[tuple[int, Finding]], steps: int
) -> str:
    """stood: at the start and at each mark. findings: with the steps at which they were made. steps: so far."""
    lanes = _lanes(stood)
    shown = sorted(lanes, key=lambda lane: len(set(lane.fates)) < 2)[:_LANES]
    shown = [lane for lane in lanes if lane in shown]
    # Without steps every mark is as far from the next.
    counts = [max((number for _, number in moment.steps), default=0) for moment in moments]
    at = counts if steps else list(range(1, len(moments) + 1))
    end = max([steps, *at, 1])
    left = MARGIN + _NAMES
    room = (WIDTH - MARGIN - left) * (_TAIL if end in at else 1)
    xs = [left + room * each / end for each in at]
    flags, y = _flags([(left + room * number / end, finding) for number, finding in findings], HEAD)
    top = y + _LINE
    bottom = top + _STEP * len(shown)
    parts = [*flags, *_marks(moments, at, xs, Box(left, y, WIDTH - MARGIN - left, bottom - y), has_steps=steps > 0)]
    for number, lane in enumerate(shown):
        parts += _lane(lane, [left, *xs, WIDTH - MARGIN], top + 4 + _STEP * number, moments)
    y = bottom + _LINE + 8
    said = [f"{finding.code}: {finding.message}" for _, finding in findings[:_SAID]]
    if len(findings) > _SAID:
        said.append(f"and {text.plural(len(findings) - _SAID, 'more finding')}")
    if len(lanes) > len(shown):
        said.append(f"{text.plural(len(lanes) - len(shown), 'more lane')} not drawn")
    if moments:
        said.append("A change is drawn at the mark that saw it; it happened at some time since the mark before.")
    for line in (line for words in said for line in text.wrap_words(text.plain(words), _COLUMNS)):
        parts.append(draw.label(MARGIN, y + 12, line, size=12, is_quiet=True))
        y += _LINE
    there = {code for lane in lanes for code in lane.fates}
    legend = [Mark(fill, words) for code, (words, fill) in enumerate(_FATES.items()) if code in there]
    figures = [text.plural(steps, "step")] if steps else []
    figures += [text.plural(len(moments), "mark"), *([text.plural(len(findings), "finding")] if findings else [])]
    figure = ", ".join(figures)
    fared = [f"{lane.name}: {', '.join(_WORDS[code] for code, _ in groupby(lane.fates))}" for lane in shown]
    told = "; ".join([f"Timeline of {figure}", *fared])
    return draw.card(WIDTH, int(y + MARGIN), "What was trained", figure, legend, f"{told}.", parts)


def _lanes(stood: Sequence[Stood]) -> list[_Lane]:
    """Slots that fared alike, as the timeline folds them, in the order of the model."""
    fates: dict[str, list[int]] = {}
    # Between two marks at which nothing moved there is one record.
    runs = [(each[0], len(each)) for _, group in groupby(stood, key=id) if (each := list(group))]
    past = 0
    for record, many in runs:
        for path, code in zip(record.slots, record.codes, strict=True):
            found = fates.setdefault(path, [])
            found += [_ABSENT] * (past - len(found)) + [code] * many
        past += many
    alike: dict[tuple[int, ...], list[str]] = {}
    for path, found in fates.items():
        alike.setdefault((*found, *[_ABSENT] * (past - len(found))), []).append(path)
    slots = list(fates)
    return [_Lane(name, codes) for codes, paths in alike.items() for name in folded(paths, slots)]


def _lane(lane: _Lane, xs: Sequence[float], y: float, moments: Sequence[Moment]) -> Iterator[str]:
    yield draw.label(xs[0] - 8, y + 13, draw.fitted(lane.name, _NAMES - 8, 12), size=12, anchor="end")
    start = 0
    for code, group in groupby(lane.fates):
        stop = start + len(list(group))
        box = Box(xs[start], y, xs[stop] - xs[start], _BAR)
        if code != _ABSENT and box.w > 0:
            words, fill = list(_FATES.items())[code]
            since = f" since {moments[start - 1].label!r}" if start else ""
            yield draw.rect(box, fill.color, f"{lane.name}: {words}{since}")
            yield from draw.hatched(box, fill)
            if draw.text_width(words, 11) <= box.w - 12:
                yield draw.label(box.x + 6, y + 13, words, ink=fill.ink)
        start = stop


def _marks(
    moments: Sequence[Moment], at: Sequence[int], xs: Sequence[float], box: Box, *, has_steps: bool
) -> Iterator[str]:
    """A line through the lanes for each mark, its name above and its step below, where there is room."""
    free = {"above": 0.0, "below": box.x + 20 if has_steps else 0.0}
    below = box.y + box.h + _LINE
    if has_steps:
        yield draw.label(box.x - 8, below, "step", anchor="end", is_quiet=True)
        yield draw.label(box.x, below, "0", is_quiet=True)
    for moment, number, x in zip(moments, at, xs, strict=True):
        yield draw.line(x, box.y + 4, x, box.y + box.h + 4, tip=moment.label)
        name = draw.fitted(moment.label, 120, 11)
        for where, words, y in (
            ("above", name, box.y + 12),
            ("below", f"{number:,}" if has_steps else "", below),
        ):
            wide = draw.text_width(words, 11) + 8
            is_last = x + wide > box.x + box.w
            if words and x - is_last * wide >= free[where]:
                place, anchor = (x - 4, "end") if is_last else (x + 4, "start")
                yield draw.label(place, y, words, anchor=anchor, is_quiet=where == "below", is_bold=where == "above")
                free[where] = x + (0 if is_last else wide + 4)


def _flags(found: Sequence[tuple[float, Finding]], y: float) -> tuple[list[str], float]:
    """(a flag with its code for each finding, where the rows of them end)."""
    ends: list[float] = []
    parts = []
    for x, finding in sorted(found, key=lambda each: each[0]):
        wide = draw.text_width(finding.code, 11) + 14
        x = min(x, WIDTH - MARGIN - wide)
        row = next((i for i, end in enumerate(ends) if end <= x), len(ends))
        if row == _FLAGS:
            continue
        ends[row : row + 1] = [x + wide + 4]
        box = Box(x, y + _LINE * row, wide, _LINE - 2)
        parts.append(draw.rect(box, "#d55e00", f"{finding.code}: {finding.message}", ' rx="2"'))
        parts.append(draw.label(box.x + 5, box.y + 11.5, finding.code, ink="#1a0b00", is_bold=True))
    return parts, y + _LINE * len(ends) + 2
