"""Texts in pieces, of which each says whether it is a name, a sentence that quotes names, or our own words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from paramscope import text


class Name(str):
    """Something that the model, its author or a saved report chose: data, whatever it looks like."""

    __slots__ = ()


class Prose(str):
    """A sentence that may quote such a name anywhere."""

    __slots__ = ()


_SAID = 2_000
"""Characters of a sentence that are shown."""
_WORD = re.compile(r"(?!GH-)[A-Za-z]+(?:[-'][A-Za-z]+)*|\d{1,3}(?:,\d{3})*|[×–…]", re.IGNORECASE)
"""A word of which neither HTML nor Markdown nor GitHub makes anything: no markup, link, mention, issue or emoji."""
_COMMIT = re.compile(r"[0-9a-fA-F]{7,40}")
_OPENING, _CLOSING = re.compile(r"(?<=[\w(\[{])\(|[\[{]"), re.compile(r"[)\]}]")
_END = re.compile(r"[.,:;!?]*\Z")

Pieces = Sequence[str]
"""A text: Names, Prose, and words of this package, which are harmless."""


def joined(parts: Sequence[Pieces], separator: str = ", ") -> Pieces:
    """Several texts as one."""
    return [piece for i, part in enumerate(parts) for piece in ([separator] if i else []) + list(part)]


def listed(parts: Sequence[Pieces], most: int, noun: str = "") -> Pieces:
    """The first of some texts, and how many there are more."""
    left = len(parts) - most
    more = [f" and {text.plural(left, f'more {noun}') if noun else f'{left:,} more'}"] if left > 0 else []
    return [*joined(parts[:most]), *more]


def flat(pieces: Pieces) -> str:
    """A text as a terminal may show it."""
    return "".join(
        text.name(piece) if isinstance(piece, Name) else text.plain(piece) if isinstance(piece, Prose) else piece
        for piece in pieces
    )


def told(pieces: Pieces) -> Iterator[str]:
    """Pieces with every sentence taken apart: plain words as they are, any other stretch as a Name."""
    for piece in pieces:
        if not isinstance(piece, Prose):
            yield piece
            continue
        odd: list[str] = []
        shown = piece if len(piece) <= _SAID else f"{piece[:_SAID]} …"
        for i, word in enumerate(shown.split(" ")):
            bare = _END.sub("", word)
            is_plain = not word or bool(_WORD.fullmatch(bare) and not _COMMIT.fullmatch(bare))
            if odd and _is_open(odd):
                odd.append(word)  # words and commas between brackets end nothing
                continue
            if is_plain and odd:
                yield from _odd(odd)
                odd = []
            if i and not odd:
                yield " "
            if is_plain:
                yield word
                continue
            odd.append(word)
            if bare and bare != word and not _is_open(odd):
                yield from _odd(odd)
                odd = []
        yield from _odd(odd)


def _is_open(words: list[str]) -> bool:
    """Whether brackets of code, those of a call, an index or a dict, are still open."""
    whole = " ".join(words)
    return len(_OPENING.findall(whole)) > len(_CLOSING.findall(whole))


def _odd(words: list[str]) -> list[str]:
    """What begins and ends with something odd, and the full stop after it."""
    if not words:
        return []
    whole = " ".join(words)
    end = _END.search(whole)
    cut = end.start() if end and end.start() else len(whole)
    return [Name(whole[:cut]), whole[cut:]]
