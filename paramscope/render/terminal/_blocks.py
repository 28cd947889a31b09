"""Repeated siblings that differ → lines of a terminal: a character a block, ten by ten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, groupby
from typing import NamedTuple

from paramscope import text
from paramscope.analysis.blocks import Family, State, families
from paramscope.render._lines import Lines
from paramscope.render.terminal._layout import GAP, Screen, padded_cell, paint, sentence
from paramscope.report.data import ReportData
from paramscope.snapshot.path import numberless

_LISTED, _ROWS = 6, 6
"""Maps that are listed, and rows of one: a character stands for several blocks where that is not enough."""
_TEN, _TENS = 10, 10
"""Characters between two gaps, and such tens in a row, however wide the screen is: no eye counts more."""


class _Glyph(NamedTuple):
    """How a state is drawn."""

    block: str
    plain: str
    """Where the screen does not show blocks."""
    words: str
    style: str | None = None
    """What `paint` knows: the colours are those of the tree."""


_GLYPHS: dict[State, _Glyph] = {
    "trains": _Glyph("█", "#", "trains"),
    "in part": _Glyph("▒", "+", "in part"),
    "frozen": _Glyph("░", ".", "frozen", "frozen"),
    "not stepped": _Glyph("!", "!", "not all that trains is stepped", "warning"),
    "nothing": _Glyph("-", "-", "no registered parameter"),
}
_BLOCKS = "".join(glyph.block for glyph in _GLYPHS.values())


class _Map(NamedTuple):
    """What is drawn of a family."""

    first: int
    """The number of the first block."""
    last: int
    cells: list[State | None]
    """What each character says; None where no block has the number."""
    each: int
    """Blocks that a character stands for."""


def block_lines(report: ReportData, lines: Lines, screen: Screen) -> list[str]:
    """Which of repeated siblings train, and which are frozen; nothing where all siblings are alike."""
    same: dict[object, list[Family]] = {}
    for family in families(report.snapshot, lines.wanted):
        same.setdefault((numberless(family.path), *family.states.items()), []).append(family)
    listed = [*same.values()][:_LISTED]
    if not listed:
        return []
    labels = [_label(report, alike) for alike in listed]
    longest = max(map(text.width, labels))
    is_beside = longest <= screen.width // 6
    indent = " " * (GAP + longest + GAP if is_beside else 2 * GAP)
    digits = max(len(str(number)) for family, *_ in listed for number in family.states)
    # A number stands on either side.
    tens = (screen.width - len(indent) - 2 * (digits + 1) + 1) // (_TEN + 1)
    maps = [_map(family, min(tens, _TENS) * _TEN * _ROWS) for family, *_ in listed]
    drawn = []
    for label, each in zip(labels, maps, strict=True):
        rows = _rows(each, min(tens, _TENS) * _TEN, digits, screen)
        if is_beside:
            drawn.append(f"  {padded_cell(label, longest)}  {next(rows)}")
        else:
            drawn += sentence([label], screen.width, indent="  ")
        drawn += [indent + row for row in rows]
    if len(same) > _LISTED:
        drawn.append(f"  … and {len(same) - _LISTED:,} more")
    met = {state for each in maps for state in each.cells}
    legend = [f"{_glyph(state, screen)} {glyph.words}" for state, glyph in _GLYPHS.items() if state in met]
    legend[0] = f"blocks: {legend[0]}"
    return sentence(legend, screen.width) + drawn


def _label(report: ReportData, alike: Sequence[Family]) -> str:
    """What the blocks are in, and how many others look the same."""
    family = alike[0]
    label = text.name(family.path or text.class_name(report.modules.at(family.holder).type))
    return f"{label} and {len(alike) - 1:,} alike" if len(alike) > 1 else label


def _map(family: Family, most: int) -> _Map:
    """The map of a family, in so many characters at most."""
    first, *_, last = family.states
    rising = (digit * 10**power for power in count() for digit in (1, 2, 5))
    each = next(each for each in rising if last - first < most * each)
    cells = [
        _together([state for number in range(at, at + each) if (state := family.states.get(number))])
        for at in range(first, last + 1, each)
    ]
    return _Map(first, last, cells, each)


def _rows(drawn: _Map, size: int, digits: int, screen: Screen) -> Iterator[str]:
    """The rows of a map, so many characters in one, each between the numbers of its first block and of its last.

    digits: of the longest number.
    """
    first, last, cells, each = drawn
    for at in range(0, len(cells), size):
        row = cells[at : at + size]
        tens = " ".join(_painted(row[ten : ten + _TEN], screen) for ten in range(0, len(row), _TEN))
        yield f"{first + at * each:>{digits}} {tens} {min(first + (at + size) * each - 1, last)}"
    if each > 1:
        yield f"{'':{digits}} a character: {each:,} blocks"


def _together(states: Sequence[State]) -> State | None:
    """What becomes of several blocks; None where there are none."""
    met = set(states)
    if len(met) > 1:
        met.discard("nothing")
    if "not stepped" in met:
        return "not stepped"
    return "in part" if len(met) > 1 else met.pop() if met else None


def _painted(cells: Sequence[State | None], screen: Screen) -> str:
    runs = ((state, len([*run])) for state, run in groupby(cells))
    return "".join(
        paint(_glyph(state, screen) * size, _GLYPHS[state].style, screen) if state else " " * size
        for state, size in runs
    )


def _glyph(state: State, screen: Screen) -> str:
    glyph = _GLYPHS[state]
    return glyph.block if screen.shows(_BLOCKS) else glyph.plain
