"""What is known of a string that code puts together: pieces of it, with holes between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import product

DIGITS_BOUND, BITS_BOUND = 18, 64
"""Of an index or a number: Python refuses to convert more than 4,300 digits."""
ALTERNATIVES_BOUND = 256
"""Texts that one expression may stand for, before no more is said than that it is some text."""


class Hole(Enum):
    """A part of a text that is not known."""

    DIGITS = "digits"
    ANY = "any"


Text = tuple[str | Hole, ...]
Texts = tuple[Text, ...]
"""All that an expression may stand for."""

UNKNOWN: Text = (Hole.ANY,)
NUMBER: Text = (Hole.DIGITS,)

_PERCENT = re.compile(r"%(?:\([^)]*\))?(?P<flags>[-#0 +]*[*\d]*(?:\.[*\d]*)?)[hlL]?(?P<kind>[a-zA-Z%])")


def literal(text: Text) -> str | None:
    """The text itself, where all of it is known."""
    return "".join(map(str, text)) if all(isinstance(piece, str) for piece in text) else None


def is_unknown(text: Text) -> bool:
    """Whether nothing is known of it."""
    return Hole.ANY in text and not any(isinstance(piece, str) and piece for piece in text)


def either(texts: Iterable[Text]) -> Texts:
    """Each once; a single unknown text where there are too many."""
    found = tuple(dict.fromkeys(texts))
    return found if len(found) <= ALTERNATIVES_BOUND else (UNKNOWN,)


def concatenated(parts: Sequence[Texts]) -> Texts:
    """The texts of several expressions, one after the other."""
    count = 1
    for part in parts:
        count *= len(part)
        if count > ALTERNATIVES_BOUND:
            # The longest parts vary; what stays the same around them is worth keeping.
            parts = [texts if len(texts) == 1 else (UNKNOWN,) for texts in parts]
            break
    return either(_merged(pieces) for pieces in product(*parts))


def _merged(texts: Iterable[Text]) -> Text:
    merged: list[str | Hole] = []
    for text in texts:
        for piece in text:
            if merged and isinstance(piece, str) and isinstance(last := merged[-1], str):
                merged[-1] = last + piece
            elif not merged or piece is not Hole.ANY or merged[-1] is not Hole.ANY:
                merged.append(piece)
    return tuple(merged)


def percent_parts(template: str, arguments: Sequence[Texts] | None) -> list[Texts]:
    """The parts of `template % arguments`; None where the arguments are not told one by one."""
    parts: list[Texts] = []
    end, number = 0, 0
    for match in _PERCENT.finditer(template):
        parts.append(((template[end : match.start()],),))
        end = match.end()
        if match["kind"] == "%":
            parts.append((("%",),))
            continue
        given = arguments[number] if arguments is not None and number < len(arguments) else (UNKNOWN,)
        number += 1
        if match["flags"] or match["kind"] not in "sdiu":
            parts.append((NUMBER,) if match["kind"] in "diu" else (UNKNOWN,))
        else:
            parts.append((NUMBER,) if match["kind"] != "s" and given == (UNKNOWN,) else given)
    parts.append(((template[end:],),))
    return parts


def matches(text: Text, name: str) -> bool:
    """Whether the holes of a text can be filled so that it is this name."""
    # NOTE: no regular expression: the text is the user's, and one with many holes would take exponential time.
    ends = {0}
    for piece in text:
        if isinstance(piece, str):
            ends = {end + len(piece) for end in ends if name.startswith(piece, end)}
        elif piece is Hole.ANY:
            ends = set(range(min(ends), len(name) + 1))
        else:
            longer = set()
            for start in ends:
                end = start + (name[start : start + 1] == "-")
                while name[end : end + 1].isdigit():
                    end += 1
                    longer.add(end)
            ends = longer
        if not ends:
            return False
    return len(name) in ends
