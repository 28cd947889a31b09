"""`ignore = [{ code = "PS104", … }]` → the findings that a project accepts, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from paramscope.config.places import Place
from paramscope.config.values import ConfigError, check_keys, to_texts

KEYS = ("code", "path", "target", "file", "reason")
_EXAMPLE = 'ignore = [{ code = "PS104", path = "encoder.*", reason = "why this is right" }]'


class DeclaredIgnore(NamedTuple):
    """Findings that a project accepts, and why."""

    code: str
    """A rule's code, the beginning of several, or a rule's name."""
    reason: str
    paths: tuple[str, ...] = ()
    """Globs of places; every place of a finding has to match one. Any place will do where there are none."""
    targets: tuple[str, ...] = ()
    """Globs of targets; any target where there are none."""
    files: tuple[str, ...] = ()
    """Globs of the file that is to blame; any, and none, where there are none."""
    origin: str = ""
    """Where it is declared: `pyproject.toml: ignore[0]`."""


def to_ignores(value: Any, at: Place, *, keys: Sequence[str] = KEYS) -> tuple[DeclaredIgnore, ...]:
    """keys: those that an ignore may have. Raises ConfigError."""
    if type(value) is not list:
        raise ConfigError(f"{at}: {at.name} is not a list", f"Write {_EXAMPLE}")
    return tuple(_ignore(each, at.of(number), keys) for number, each in enumerate(value))


def _ignore(entry: Any, at: Place, keys: Sequence[str]) -> DeclaredIgnore:
    if type(entry) is not dict:
        given = f" is {entry!r}:" if type(entry) is str else ":"
        raise ConfigError(f"{at}: {at.name}{given} an ignore has to say why", f"Write {_EXAMPLE}")
    check_keys(entry, keys, at)
    code = entry.get("code")
    if type(code) is not str or not code.strip():
        raise ConfigError(f"{at}: {at.name} names no code", f"Write {_EXAMPLE}")
    reason = entry.get("reason")
    if type(reason) is not str or not reason.strip():
        raise ConfigError(
            f"{at}: {at.name}: the ignore of {code} has no reason",
            'Say why this is right, for the next reader: reason = "…"',
        )
    paths, targets, files = (to_texts(entry.get(key, []), at.of(key)) for key in ("path", "target", "file"))
    return DeclaredIgnore(code.strip(), reason.strip(), paths, targets, files, f"{at.source.file}: {at.name}")
