"""pyproject.toml → what a project declares: rules, severities, exceptions with their reasons, and its models."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from paramscope.config.ignores import DeclaredIgnore, to_ignores
from paramscope.config.models import DeclaredModel, to_models
from paramscope.config.places import Place, Source
from paramscope.config.values import ConfigError, check_keys, check_word, to_texts
from paramscope.report.finding import Severity

_NAME = "pyproject.toml"
_SIZE_BOUND = 1 << 22
"""Bytes of a pyproject.toml that is read: 4 MiB."""
_KEYS = ("select", "ignore", "severity", "fail-on", "models")
FAIL_ON = ("error", "warning", "info", "never")
"""What a check may fail on: the least severity that does, or nothing."""


class Config(NamedTuple):
    """What `[tool.paramscope]` holds."""

    select: tuple[str, ...] = ()
    """Codes, beginnings of codes, or names; every rule where there are none."""
    ignore: tuple[DeclaredIgnore, ...] = ()
    severity: tuple[tuple[str, Severity], ...] = ()
    """(code, beginning of codes, or name; what its findings are instead)."""
    fail_on: str | None = None
    """Of FAIL_ON."""
    models: tuple[DeclaredModel, ...] = ()
    """In the order of the file."""
    at: Place = Place()
    """Where it stands."""

    @property
    def ignores(self) -> tuple[DeclaredIgnore, ...]:
        """Those for all models, and behind them those of single ones."""
        return (*self.ignore, *(each for model in self.models for each in model.ignore))

    def model(self, name: str) -> DeclaredModel | None:
        """The model of a name, if there is one."""
        return next((each for each in self.models if each.name == name), None)


def read_config(folder: str | os.PathLike[str]) -> Config:
    """What the nearest pyproject.toml, from a folder upwards, that has a `[tool.paramscope]` declares.

    An empty Config where there is none. Raises ConfigError, which names the line and the column, for a file that is
    not TOML, an unknown key, an ignore without a reason, or a value of another kind than it has to be.
    """
    own = os.fspath(folder)
    for each in _upwards(own):
        path = os.path.join(each, _NAME)
        if os.path.isfile(path):
            shown = _NAME if each == own else path
            text, parsed = _parse(path, shown)
            tools = parsed.get("tool")
            if type(tools) is dict and "paramscope" in tools:
                return to_config(tools["paramscope"], Source(shown, Path(each), text))
    return Config()


def _upwards(folder: str) -> Iterator[str]:
    yield folder
    while (above := os.path.dirname(folder)) != folder:
        yield (folder := above)


def _parse(path: str, shown: str) -> tuple[str, dict[str, Any]]:
    """A file, as it stands and as it is understood. Raises ConfigError."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        if os.stat(path).st_size > _SIZE_BOUND:
            raise ConfigError(f"{shown} is larger than {_SIZE_BOUND:,} bytes", "Is it the right file?")
        with open(path, "rb") as file:
            text = file.read().decode("utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{shown} cannot be read: {error.strerror or error}", "Check its permissions.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown} is not TOML: not UTF-8 at byte {error.start}", "Save it as UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{shown} is not TOML: {error}", "Fix that line; until then nothing can be read.") from None


def to_config(table: Any, source: Source) -> Config:
    """The checked content of a `[tool.paramscope]`. Raises ConfigError."""
    at = Place(source)
    if type(table) is not dict:
        raise ConfigError(f"{at}: tool.paramscope is not a table", "Write [tool.paramscope].")
    check_keys(table, _KEYS, at)
    fail_on = table.get("fail-on")
    if fail_on is not None:
        check_word(fail_on, FAIL_ON, at.of("fail-on"))
    return Config(
        to_texts(table.get("select", []), at.of("select")),
        to_ignores(table.get("ignore", []), at.of("ignore")),
        _severities(table.get("severity", {}), at.of("severity")),
        fail_on,
        to_models(table.get("models", {}), at.of("models")),
        at,
    )


def _severities(table: Any, at: Place) -> tuple[tuple[str, Severity], ...]:
    if type(table) is not dict:
        raise ConfigError(f"{at}: severity is not a table", 'Write severity = { PS104 = "error" }')
    words = [severity.value for severity in Severity]
    for code, word in table.items():
        check_word(word, words, at.of(code))
    return tuple((code, Severity(word)) for code, word in table.items())
