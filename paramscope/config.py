"""pyproject.toml → what a project declares of its checks: rules, severities, and exceptions with their reasons."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from paramscope.errors import ParamscopeError, nearest
from paramscope.report.finding import Severity

_NAME = "pyproject.toml"
_SIZE_BOUND = 1 << 22
"""Bytes of a pyproject.toml that is read: 4 MiB."""
_KEYS = ("select", "ignore", "severity", "fail-on")
_IGNORE_KEYS = ("code", "path", "target", "file", "reason")
FAIL_ON = ("error", "warning", "info", "never")
"""What a check may fail on: the least severity that does, or nothing."""


class ConfigError(ParamscopeError, ValueError):
    """`[tool.paramscope]` says something that it cannot."""


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


class Config(NamedTuple):
    """What `[tool.paramscope]` holds."""

    select: tuple[str, ...] = ()
    """Codes, beginnings of codes, or names; every rule where there are none."""
    ignore: tuple[DeclaredIgnore, ...] = ()
    severity: tuple[tuple[str, Severity], ...] = ()
    """(code, beginning of codes, or name; what its findings are instead)."""
    fail_on: str | None = None
    """Of FAIL_ON."""
    file: str = ""
    """Where it was read, as messages name it; empty where nothing is declared."""


def read_config(folder: str | os.PathLike[str]) -> Config:
    """What the nearest pyproject.toml, from a folder upwards, that has a `[tool.paramscope]` declares.

    An empty Config where there is none. Raises ConfigError for a file that is not TOML, an unknown key, an ignore
    without a reason, or a value of another kind than it has to be.
    """
    own = os.fspath(folder)
    for each in _upwards(own):
        path = os.path.join(each, _NAME)
        if os.path.isfile(path):
            shown = _NAME if each == own else path
            tools = _parse(path, shown).get("tool")
            if type(tools) is dict and "paramscope" in tools:
                return to_config(tools["paramscope"], shown)
    return Config()


def _upwards(folder: str) -> Iterator[str]:
    yield folder
    while (above := os.path.dirname(folder)) != folder:
        yield (folder := above)


def _parse(path: str, shown: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        if os.stat(path).st_size > _SIZE_BOUND:
            raise ConfigError(f"{shown} is larger than {_SIZE_BOUND:,} bytes", "Is it the right file?")
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{shown} cannot be read: {error.strerror or error}", "Check its permissions.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown} is not TOML: not UTF-8 at byte {error.start}", "Save it as UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{shown} is not TOML: {error}", "Fix that line; until then nothing can be read.") from None


def to_config(table: Any, file: str) -> Config:
    """The checked content of a `[tool.paramscope]`. Raises ConfigError."""
    if type(table) is not dict:
        raise ConfigError(f"{file}: tool.paramscope is not a table", "Write [tool.paramscope].")
    _check_keys(table, _KEYS, f"{file}: [tool.paramscope]")
    fail_on = table.get("fail-on")
    if fail_on is not None:
        _check_word(fail_on, FAIL_ON, f"{file}: fail-on")
    ignores = table.get("ignore", [])
    if type(ignores) is not list:
        raise ConfigError(f"{file}: ignore is not a list", f"Write {_EXAMPLE}")
    return Config(
        _texts(table.get("select", []), f"{file}: select"),
        tuple(_ignore(each, f"{file}: ignore[{number}]") for number, each in enumerate(ignores)),
        _severities(table.get("severity", {}), file),
        fail_on,
        file,
    )


_EXAMPLE = 'ignore = [{ code = "PS104", path = "encoder.*", reason = "why this is right" }]'


def _ignore(entry: Any, origin: str) -> DeclaredIgnore:
    if type(entry) is not dict:
        given = f" is {entry!r}:" if type(entry) is str else ":"
        raise ConfigError(f"{origin}{given} an ignore has to say why", f"Write {_EXAMPLE}")
    _check_keys(entry, _IGNORE_KEYS, origin)
    code = entry.get("code")
    if type(code) is not str or not code.strip():
        raise ConfigError(f"{origin} names no code", f"Write {_EXAMPLE}")
    reason = entry.get("reason")
    if type(reason) is not str or not reason.strip():
        raise ConfigError(
            f"{origin}: the ignore of {code} has no reason",
            'Say why this is right, for the next reader: reason = "…"',
        )
    paths, targets, files = (_texts(entry.get(key, []), f"{origin}.{key}") for key in ("path", "target", "file"))
    return DeclaredIgnore(code.strip(), reason.strip(), paths, targets, files, origin)


def _severities(table: Any, file: str) -> tuple[tuple[str, Severity], ...]:
    if type(table) is not dict:
        raise ConfigError(f"{file}: severity is not a table", 'Write severity = { PS104 = "error" }')
    words = [severity.value for severity in Severity]
    for code, word in table.items():
        _check_word(word, words, f"{file}: severity.{code}")
    return tuple((code, Severity(word)) for code, word in table.items())


def _texts(value: Any, where: str) -> tuple[str, ...]:
    """A text or a list of texts, none of them empty."""
    values = [value] if type(value) is str else value
    if type(values) is not list or not all(type(each) is str and each.strip() for each in values):
        key = where.rpartition(" ")[2].rpartition(".")[2]
        raise ConfigError(f"{where} is neither a string nor a list of strings", f'Write {key} = ["…"]')
    return tuple(each.strip() for each in values)


def _check_keys(table: dict[str, Any], known: Iterable[str], where: str) -> None:
    for key in table:
        if key not in known:
            near = nearest(key.lower().replace("_", "-"), known, n=1)
            advice = f"Did you mean {near[0]}?" if near else f"Choose from {', '.join(known)}."
            raise ConfigError(f"{where} has an unknown key {key!r}", advice)


def _check_word(word: Any, known: Iterable[str], where: str) -> None:
    if word not in known:
        near = nearest(word.lower(), known, n=1) if type(word) is str else []
        advice = f"Did you mean {near[0]}?" if near else f"Choose from {', '.join(known)}."
        raise ConfigError(f"{where} cannot be {word!r}", advice)
