"""The text of a TOML file → the line and column of each of its keys.

tomllib and tomli parse TOML and say of no key where it stands. What is given has been parsed by one of them, so this
looks for keys and the ends of values, and for no errors.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Generator, Iterator

Keys = tuple[str | int, ...]
"""The way to a value: keys, and positions in arrays."""

_BLANK = re.compile(r"(?:[ \t\r\n]|\#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_PART = re.compile(r"""[A-Za-z0-9_-]+ | "(?:[^"\\]|\\.)*" | '[^']*'""", re.VERBOSE)
_STRING = re.compile(
    r"""(?xs)
      \"{3} (?: [^\\] | \\. )*? \"{3,5}
    | '{3} .*? '{3,5}
    | " (?: [^"\\] | \\. )* "
    | ' [^']* '
    """
)
_PLAIN = re.compile(r"[^,\]}#\n]*")
"""A number, a boolean or a date."""


def key_places(text: str) -> dict[Keys, tuple[int, int]]:
    """(line, column) of every key, and of every element of an array: both from 1, columns in characters. A key that
    stands in several places is where it is the last of a header or of a dotted key, or else where it stands first."""
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    own: dict[Keys, tuple[int, int]] = {}
    passed: dict[Keys, tuple[int, int]] = {}
    for keys, at, is_last in _Scanner(text).found():
        line = bisect_right(starts, at)
        (own if is_last else passed).setdefault(keys, (line, at - starts[line - 1] + 1))
    return passed | own


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._tables: dict[Keys, int] = {}
        """How many tables each array of them, `[[a.b]]`, has so far."""

    def found(self) -> Iterator[tuple[Keys, int, bool]]:
        """(keys, offset in the text, whether no further key follows there) of the whole file."""
        table: Keys = ()
        while not self._is_end():
            if self._takes("[["):
                table = yield from self._header(is_array=True)
                self._skip("]]")
            elif self._takes("["):
                table = yield from self._header(is_array=False)
                self._skip("]")
            else:
                yield from self._pair(table)

    def _is_end(self) -> bool:
        self._pass(_BLANK)
        return self._at >= len(self._text)

    def _pass(self, pattern: re.Pattern[str]) -> str:
        """What matches here, which is behind us then."""
        found = pattern.match(self._text, self._at)
        assert found is not None, f"the TOML at {self._at} was parsed"
        self._at = found.end()
        return found[0]

    def _takes(self, sign: str) -> bool:
        is_there = self._text.startswith(sign, self._at)
        self._at += len(sign) * is_there
        return is_there

    def _skip(self, sign: str) -> None:
        self._pass(_SPACE)
        is_there = self._takes(sign)
        assert is_there, f"the TOML at {self._at} was parsed"

    def _parts(self) -> Iterator[tuple[str, int]]:
        """(part, offset) of a dotted key."""
        while True:
            self._pass(_SPACE)
            at = self._at
            part = self._pass(_PART)
            yield _unquoted(part) if part[0] in "\"'" else part, at
            self._pass(_SPACE)
            if not self._takes("."):
                return

    def _header(self, *, is_array: bool) -> Generator[tuple[Keys, int, bool], None, Keys]:
        keys: Keys = ()
        parts = list(self._parts())
        for number, (part, at) in enumerate(parts, 1):
            keys, is_last = (*keys, part), number == len(parts)
            yield keys, at, is_last
            if is_array and is_last:
                self._tables[keys] = self._tables.get(keys, 0) + 1
            if keys in self._tables:  # the last table of it is meant
                keys = (*keys, self._tables[keys] - 1)
                yield keys, at, is_last
        return keys

    def _pair(self, table: Keys) -> Iterator[tuple[Keys, int, bool]]:
        keys, parts = table, list(self._parts())
        for number, (part, at) in enumerate(parts, 1):
            keys = (*keys, part)
            yield keys, at, number == len(parts)
        self._skip("=")
        self._pass(_SPACE)
        yield from self._value(keys)

    def _value(self, keys: Keys) -> Iterator[tuple[Keys, int, bool]]:
        if self._takes("{"):
            while not self._is_closed("}"):
                yield from self._pair(keys)
        elif self._takes("["):
            number = 0
            while not self._is_closed("]"):
                yield (*keys, number), self._at, True
                yield from self._value((*keys, number))
                number += 1
        elif self._text[self._at] in "\"'":
            self._pass(_STRING)
        else:
            self._pass(_PLAIN)

    def _is_closed(self, sign: str) -> bool:
        """Whether an array or an inline table ends here; else its next member does not."""
        self._pass(_BLANK)
        if self._takes(","):
            self._pass(_BLANK)
        return self._takes(sign)


def _unquoted(part: str) -> str:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    return str(tomllib.loads(f"key = {part}")["key"])
