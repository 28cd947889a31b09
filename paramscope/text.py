"""Numbers, shapes and names as text for people: the one place where they become it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
LONGEST_NAME = 240
"""Characters of a path that are shown; of a longer one, both ends."""


def count(number: int | None) -> str:
    """`1,234,567`; `unknown` for None."""
    return "unknown" if number is None else f"{number:,}"


def percent(part: int, whole: int) -> str:
    """`0.2364`, with four decimals as peft prints it; 0.0000 of nothing."""
    return f"{100 * part / whole if whole else 0:.4f}"


def share(part: int | None, whole: int) -> str:
    """`12.3`, for a bar or a column of shares; `?` of what is unknown."""
    return "?" if part is None else f"{100 * part / whole if whole else 0:.1f}"


def nbytes(number: int) -> str:
    """`208.3 MiB`."""
    if number < 1024:
        return f"{number} B"
    power = min((number.bit_length() - 1) // 10, 4)
    return f"{number / 1024**power:,.1f} {('KiB', 'MiB', 'GiB', 'TiB')[power - 1]}"


def scaled(number: int) -> str:
    """`8.2 G`: in thousands, millions, …"""
    for power, unit in ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= 10**power:
            return f"{number / 10**power:,.1f} {unit}"
    return str(number)


def short(number: int) -> str:
    """`50.3M`: a count of elements where there is no room for all of its digits; B for billions."""
    for power, unit in ((12, "T"), (9, "B"), (6, "M"), (3, "k")):
        if number >= 10**power:
            return f"{number / 10**power:,.1f}{unit}"
    return str(number)


def shape(sizes: Sequence[int] | None) -> str:
    """`1×65×1024`; `scalar` without dimensions, `unknown` for None; of very many dimensions the first and last."""
    if sizes is None:
        return "unknown"
    if len(sizes) > 8:
        return f"{'×'.join(map(str, sizes[:4]))}×…×{sizes[-1]} ({len(sizes)} dims)"
    return "×".join(map(str, sizes)) or "scalar"


def plural(number: int, noun: str) -> str:
    """`1 tensor`, `2 tensors`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def ranges(numbers: Iterable[int]) -> str:
    """`0-6,8-31` for rising numbers; `0-30:2` where every second is meant."""
    values = list(numbers)
    parts: list[str] = []
    start = 0
    while start < len(values):
        stop = start
        step = values[start + 1] - values[start] if start + 1 < len(values) else 1
        while stop + 1 < len(values) and values[stop + 1] - values[stop] == step:
            stop += 1
        if step != 1 and stop - start < 2:
            stop = start
        first, last = values[start], values[stop]
        if first == last:
            parts.append(str(first))
        else:
            parts.append(f"{first}-{last}" + ("" if step == 1 else f":{step}"))
        start = stop + 1
    return ",".join(parts)


def ranks(numbers: Sequence[int]) -> str:
    """`rank 2`, `ranks 0-1,3`."""
    return f"rank{'s' if len(numbers) > 1 else ''} {ranges(numbers)}"


def plain(words: str, *, keep: str = "") -> str:
    """A text in which all that would move a cursor or the reading direction is spelled out. keep: characters that
    stay as they are."""
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in words)


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def name(text: str) -> str:
    """A name as a terminal may show it, in one piece of a bounded length."""
    half = LONGEST_NAME // 2
    if len(text) <= LONGEST_NAME and len(text := plain(text)) <= LONGEST_NAME:
        return text
    return f"{plain(text[:half])[:half]}…{plain(text[-half:])[-half:]}"


def class_name(qualified: str | None) -> str:
    """`Linear` of `torch.nn.modules.linear.Linear`; nothing of nothing."""
    return (qualified or "").rpartition(".")[2]


def words(name: str) -> list[str]:
    """The words that an identifier is made of, in small letters: `mean`, `teacher`, `2` of `MeanTeacher_2`."""
    return [found.lower() for found in _WORD.findall(name)]


def is_narrow(text: str) -> bool:
    """Whether each character of a printable text certainly takes one column."""
    return text.isascii() or max(text) < "\u0300"


def width(text: str) -> int:
    """Terminal columns that a printable text takes: two for a Chinese character or an emoji."""
    if is_narrow(text):
        return len(text)
    from wcwidth import wcswidth  # 15 ms to import, for names that few models have

    found: int = wcswidth(text)
    return found if found >= 0 else len(text)


def wrap_path(path: str, columns: int, *, joints: str = ".[{-") -> list[str]:
    """A path on as many lines as it takes, broken before a dot where there is one. joints: characters before which it
    may be broken."""
    lines: list[str] = []
    while width(path) > columns and len(path) > 1:
        cut = fit = fitting(path, columns)
        for position in range(min(fit, len(path) - 1), 0, -1):
            if path[position] in joints and position > columns // 3:
                cut = position
                break
        lines.append(path[:cut])
        path = path[cut:]
    return [*lines, path]


def wrap_words(sentence: str, columns: int) -> list[str]:
    """A text on as many lines as it takes, broken at spaces, and within a word as a path is."""
    lines: list[str] = []
    line = ""
    for word in sentence.split(" "):
        longer = f"{line} {word}" if line else word
        if width(longer) <= columns:
            line = longer
            continue
        if line:
            lines.append(line)
        *full, line = wrap_path(word, columns)
        lines += full
    return [*lines, line]


def fitting(text: str, columns: int) -> int:
    """How many of the first characters fit, at least one."""
    if is_narrow(text):
        return max(1, columns)
    used = 0
    for position, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > columns:
            return max(1, position)
    return len(text)


def option(value: Any) -> str:
    """A hyperparameter: `0.001`, `(0.9, 0.999)`, `None`."""
    if isinstance(value, str):
        return name(value)
    if isinstance(value, tuple):
        return "(" + ", ".join(map(option, value)) + ")"
    return f"{value:g}" if isinstance(value, float) else str(value)
