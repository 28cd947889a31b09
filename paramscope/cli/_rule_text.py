"""Rules as lines for a terminal: the list of all, and the documentation of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from paramscope import text
from paramscope.render.terminal._layout import Screen, paint
from paramscope.rules.docs import NEEDS, first_sentence, sections
from paramscope.rules.rule import Loaded
from paramscope.text import plain

_ROOM = 48
"""Columns that the sentence needs beside the others; else it stands below them."""


def listing(rules: Sequence[Loaded], screen: Screen | None) -> Iterator[str]:
    """A line or more for each rule; exactly one without a screen."""
    cells = [
        (plain(each.rule.code), plain(each.rule.name), each.rule.severity.value, each.rule.needs or "")
        for each in rules
    ]
    widths = [max((text.width(cell[i]) for cell in cells), default=0) for i in range(4)]
    lead = sum(widths) + 2 * len(widths)
    for cell, loaded in zip(cells, rules, strict=True):
        head = "  ".join(each.ljust(width) for each, width in zip(cell, widths, strict=True))
        sentence = plain(first_sentence(loaded.doc))
        if screen is None:
            yield f"{head}  {sentence}".rstrip()
        elif screen.width - lead >= _ROOM:
            first, *rest = text.wrap_words(sentence, screen.width - lead)
            yield f"{head}  {first}".rstrip()
            yield from (" " * lead + line for line in rest)
        else:
            yield head.rstrip()
            yield from (f"       {line}" for line in text.wrap_words(sentence, screen.width - 7))


def explained(loaded: Loaded, screen: Screen) -> list[str]:
    """The documentation of one rule."""
    rule = loaded.rule
    needs = f", needs {NEEDS[rule.needs]}" if rule.needs else ""
    by = "" if loaded.origin == "paramscope" else f", from {plain(loaded.origin)}"
    lines = [paint(f"{plain(rule.code)} {plain(rule.name)} ({rule.severity.value}{needs}{by})", "heading", screen)]
    for section in sections(loaded.doc):
        indent = ""
        if section.heading:
            lines += ["", paint(section.heading, "heading", screen)]
            indent = "  "
        for number, paragraph in enumerate(section.paragraphs):
            if number or not section.heading:
                lines.append("")
            lines += _paragraph(paragraph, indent, screen)
    return lines


def _paragraph(paragraph: str, indent: str, screen: Screen) -> list[str]:
    if paragraph.startswith("```"):
        # Code stays as it was written, also where it is wider than the screen: it is there to be copied.
        return [f"{indent}  {plain(line)}".rstrip() for line in paragraph.split("\n")[1:-1]]
    return [indent + line for line in text.wrap_words(plain(paragraph), screen.width - len(indent))]
