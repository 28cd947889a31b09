"""SVG by hand: a card with a title and a legend, texts that fit, fills that differ in more than their colour.

NOTE: no `id` anywhere: several pictures may stand in one page, and ids would be those of all. So a hatch is not a
pattern but lines over a box.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Literal, NamedTuple

from paramscope import text
from paramscope.errors import FormatError
from paramscope.render.picture._text import cut

FONT = "system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"
EM = 0.6
"""Width of a character, in font sizes: no common sans-serif font is wider on average."""
WIDTH, MARGIN, HEAD = 960, 16, 62
"""Pixels of a picture from side to side, beside everything, and above what is drawn: of title and legend."""
_NARROW, _SHORT, _LARGEST = 320, 180, 16_000
_INK, _QUIET, _CARD, _LINE = _LIGHT = "#1f2328", "#57606a", "#ffffff", "#d0d7de"
_DARK = "#e6edf3", "#9198a1", "#0d1117", "#30363d"


def _colors(ink: str, quiet: str, ground: str, line: str) -> str:
    found = {
        "card": f"fill:{ground};stroke:{line}",
        "chip": f"fill:{ground}",
        "ground": f"stroke:{ground}",
        "line": f"stroke:{ink}",
        "ink": f"fill:{ink}",
        "quiet": f"fill:{quiet}",
    }
    return "".join(f".ps-chart .ps-{name}{{{said}}}" for name, said in found.items())


# The card brings its own ground, so that its ink suits it whatever the page is like.
_STYLE = f"{_colors(*_LIGHT)}@media (prefers-color-scheme:dark){{{_colors(*_DARK)}}}"


class Svg(str):
    """A picture, which a notebook shows as one."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"<SVG of {len(self):,} characters>"


class Box(NamedTuple):
    """A rectangle, in pixels."""

    x: float
    y: float
    w: float
    h: float

    @property
    def area(self) -> float:
        """Pixels."""
        return self.w * self.h

    def meets(self, other: Box) -> bool:
        """Whether they have an inner point in common."""
        return (
            self.x < other.x + other.w
            and other.x < self.x + self.w
            and self.y < other.y + other.h
            and other.y < self.y + self.h
        )


class Fill(NamedTuple):
    """What tells one kind of area from others."""

    color: str
    ink: str
    """Of a text on it."""
    hatch: Literal["", "/", "\\", "-", "|", "x"] = ""


# Okabe and Ito's colours, told apart with any colour vision, and from each other in grey by their hatches.
FILLS = {
    "trainable": Fill("#0072b2", "#ffffff"),
    "frozen": Fill("#8fb8d0", "#0b1a24", "/"),
    "buffer": Fill("#009e73", "#001a12", "-"),
    "attribute": Fill("#cc79a7", "#1d0713", "|"),
    "hidden": Fill("#d55e00", "#1a0b00", "\\"),
    "unknown": Fill("#e69f00", "#1a1000", "x"),
}


class Mark(NamedTuple):
    """An entry of a legend."""

    fill: Fill
    words: str


def checked(pixels: tuple[int, int]) -> tuple[int, int]:
    """Width and height. Raises FormatError for a picture that cannot hold its own title, or that nobody can open."""
    width, height = pixels
    if not (_NARROW <= width <= _LARGEST and _SHORT <= height <= _LARGEST):
        raise FormatError(
            f"a picture cannot have {width:,}×{height:,} pixels",
            f"Its width is {_NARROW} to {_LARGEST:,}, its height {_SHORT} to {_LARGEST:,}: pixels=(960, 540).",
        )
    return width, height


def card(
    width: int, height: int, title: str, figure: str, legend: Sequence[Mark], description: str, parts: Sequence[str]
) -> Svg:
    """A whole picture: a title on the left, a figure on the right, a legend below, and what is drawn from HEAD on.

    description: for those who do not see it.
    """
    room = width - 2 * MARGIN
    entries, x = [], float(MARGIN)
    for mark in legend:
        wide = 18 + text_width(mark.words, 12)
        if x + wide > width - MARGIN:
            break
        entries += [*filled(Box(x, 38, 12, 12), mark.fill), label(x + 18, 48.5, mark.words, size=12)]
        x += wide + 16
    heading = fitted(title, room - text_width(figure, 13) - 16, 15) or fitted(title, room, 15)
    is_room = text_width(heading, 15) + text_width(figure, 13) + 16 <= room
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ps-chart" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" style="max-width:100%;height:auto" font-family="{FONT}">',
        f"<title>{xml(title)}</title>",
        f"<desc>{xml(description)}</desc>",
        f"<style>{_STYLE}</style>",
        f'<rect class="ps-card" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="{_CARD}" '
        f'stroke="{_LINE}"/>',
        label(MARGIN, 26, heading, size=15, is_bold=True),
        *([label(width - MARGIN, 26, figure, size=13, anchor="end", is_quiet=True)] if is_room else []),
        *entries,
        *parts,
        "</svg>\n",
    ]
    return Svg("\n".join(drawn))


def read_out(legend: Sequence[Mark]) -> str:
    """A legend for those who do not see it."""
    return ", ".join(mark.words for mark in legend)


def xml(words: str) -> str:
    """A text for an element or an attribute. What XML 1.0 cannot hold is not printable, and spelled out."""
    return escape(text.plain(words))


def text_width(words: str, size: float) -> float:
    """Pixels that a text takes, whatever font it is shown in."""
    return text.width(words) * EM * size


def fitted(words: str, room: float, size: float) -> str:
    """A text cut to some pixels; empty where less than a word would be left."""
    columns = int(room / (EM * size))
    shown = text.name(words)
    return shown if text.width(shown) <= columns else cut(words, columns) if columns >= 6 else ""


def label(
    x: float,
    y: float,
    words: str,
    *,
    size: float = 11,
    anchor: str = "start",
    ink: str = "",
    is_bold: bool = False,
    is_quiet: bool = False,
) -> str:
    """A line of text on its base line. ink: where it stands on a fill and not on the card."""
    look = f'fill="{ink}"'
    if not ink:
        look = f'class="ps-quiet" fill="{_QUIET}"' if is_quiet else f'class="ps-ink" fill="{_INK}"'
    look += ' font-weight="600"' if is_bold else ""
    look += "" if anchor == "start" else f' text-anchor="{anchor}"'
    place = f'x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"'
    return f'<text {place} {look} pointer-events="none">{xml(words)}</text>'


def rect(box: Box, fill: str, tip: str = "", more: str = "") -> str:
    """A rectangle, with a text for who points at it."""
    inner = f"><title>{xml(tip)}</title></rect>" if tip else "/>"
    place = f'x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.w)}" height="{_n(box.h)}"'
    return f'<rect {place} fill="{fill}"{more}{inner}'


def line(x1: float, y1: float, x2: float, y2: float, tip: str) -> str:
    """A thin line, with a text for who points at it."""
    place = f'x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"'
    return f'<line {place} class="ps-line" stroke="{_INK}" stroke-dasharray="2 3"><title>{xml(tip)}</title></line>'


def outline(box: Box, width: float) -> str:
    """A border in the colour of the card, which keeps areas apart without making them smaller."""
    return rect(box, "none", more=f' class="ps-ground" stroke="{_CARD}" stroke-width="{width}" pointer-events="none"')


def chip(box: Box, words: str) -> list[str]:
    """A text on a piece of card."""
    ground = rect(box, _CARD, more=' class="ps-chip" rx="3" fill-opacity="0.9" pointer-events="none"')
    return [ground, label(box.x + 5, box.y + box.h - 4.5, words, is_bold=True)]


def filled(box: Box, fill: Fill) -> list[str]:
    """A rectangle with its hatch."""
    return [rect(box, fill.color), *hatched(box, fill)]


def hatched(box: Box, fill: Fill, step: float = 7) -> list[str]:
    """The hatch of a fill over a box: one path."""
    lines = []
    if fill.hatch in ("/", "x"):
        lines += _diagonals(box, step)
    if fill.hatch in ("\\", "x"):
        for x1, y1, x2, y2 in _diagonals(box, step):
            lines.append((2 * box.x + box.w - x1, y1, 2 * box.x + box.w - x2, y2))
    if fill.hatch == "-":
        lines += [(box.x, y, box.x + box.w, y) for y in _steps(box.y, box.h, step)]
    if fill.hatch == "|":
        lines += [(x, box.y, x, box.y + box.h) for x in _steps(box.x, box.w, step)]
    if not lines:
        return []
    path = "".join(f"M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}" for x1, y1, x2, y2 in lines)
    return [f'<path d="{path}" stroke="#ffffff" stroke-opacity="0.3" stroke-width="1.5" pointer-events="none"/>']


def _steps(start: float, length: float, step: float) -> list[float]:
    return [start + step * (i + 0.5) for i in range(int(length / step + 0.5))]


def _diagonals(box: Box, step: float) -> list[tuple[float, float, float, float]]:
    """Lines that rise to the right, from one edge of the box to another."""
    lines = []
    for far in _steps(0, box.w + box.h, step * 1.4):
        left, right = max(0.0, far - box.h), min(far, box.w)
        lines.append((box.x + left, box.y + far - left, box.x + right, box.y + far - right))
    return lines


def _n(number: float) -> str:
    """A coordinate: areas add up to what they stand for to a millionth."""
    return f"{number:.4f}".rstrip("0").rstrip(".")
