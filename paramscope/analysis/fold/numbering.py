"""Names that end in a number: taken apart, gathered to ranges, and written out again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from paramscope.text import ranges

_NUMBERED = re.compile(r"(?s)(.*?)(0|[1-9][0-9]{0,17})(\]|\}|'\]|)")


class Numbered(NamedTuple):
    """A name with a number at its end: `7`, `block7`, `held[7]`, `held['7']`."""

    start: str
    number: int
    end: str

    @property
    def is_index(self) -> bool:
        """Whether the number alone is the name, or stands in brackets: such siblings fold wherever they stand;
        those with a number at the end of a name only where they follow each other."""
        return not self.start or bool(self.end)


def numbered(name: str) -> Numbered | None:
    """Takes a name apart; None for one without a number at its end."""
    if not (name[-1:].isdigit() or name[-1:] in ("]", "}")):
        return None
    match = _NUMBERED.fullmatch(name)
    return None if match is None else Numbered(match[1], int(match[2]), match[3])


def gathered(start: str, numbers: Sequence[int], end: str) -> str:
    """One name for several: `[0-3]`, `block[0-3]`, `held[0-3]`; of one number, the name itself."""
    if len(numbers) == 1:
        return f"{start}{numbers[0]}{end}"
    text = ranges(numbers) if list(numbers) == sorted(numbers) else ",".join(map(str, numbers))
    return f"{start}{text}{end}" if end else f"{start}[{text}]"
