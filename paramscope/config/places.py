"""A value of a pyproject.toml, by its keys → where it stands, as an error names it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

from paramscope.config.toml_keys import Keys, key_places

TABLE: Keys = ("tool", "paramscope")


class Source(NamedTuple):
    """A pyproject.toml that was read."""

    file: str = ""
    """As messages name it; empty where nothing is declared."""
    folder: Path = Path()
    """Where it lies: what its paths start from."""
    text: str = ""


class Place(NamedTuple):
    """Something in `[tool.paramscope]`."""

    source: Source = Source()
    keys: Keys = ()
    """From `[tool.paramscope]` on; none for that itself."""

    def of(self, *keys: str | int) -> Place:
        """What is held by it."""
        return Place(self.source, (*self.keys, *keys))

    @property
    def name(self) -> str:
        """`ignore[0].path`, `models."gpt2 small".target`; `[tool.paramscope]` for that itself."""
        steps = (f"[{key}]" if isinstance(key, int) else f".{_as_key(key)}" for key in self.keys)
        return "".join(steps).removeprefix(".") or f"[{'.'.join(map(str, TABLE))}]"

    @property
    def line(self) -> int | None:
        """From 1; None where it is not found."""
        found = self._found()
        return found and found[0]

    def __str__(self) -> str:
        """`pyproject.toml:12:1`, of what holds it where it stands nowhere itself; or the file alone."""
        found = self._found()
        return f"{self.source.file}:{found[0]}:{found[1]}" if found else self.source.file

    def _found(self) -> tuple[int, int] | None:
        known, keys = _places(self.source.text), (*TABLE, *self.keys)
        return next((known[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in known), None)


@cache
def _places(text: str) -> dict[Keys, tuple[int, int]]:
    """Only what is to be named is looked for: most files hold no error."""
    try:
        return key_places(text)
    except RecursionError:  # what tomllib can still read may be too deep for this
        return {}


def _as_key(key: str) -> str:
    """A key as TOML writes it."""
    if key and all(each.isascii() and (each.isalnum() or each in "-_") for each in key):
        return key
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in escaped) + '"'
