"""A value of a pyproject.toml → what is meant, or an error that says where it stands and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from paramscope.config.places import Place
from paramscope.errors import ParamscopeError, nearest


class ConfigError(ParamscopeError, ValueError):
    """`[tool.paramscope]` says something that it cannot."""


def to_texts(value: Any, at: Place) -> tuple[str, ...]:
    """A text or a list of texts, none of them empty. Raises ConfigError."""
    values = [value] if type(value) is str else value
    if type(values) is not list or not all(type(each) is str and each.strip() for each in values):
        problem = f"{at}: {at.name} is neither a string nor a list of strings"
        raise ConfigError(problem, f'Write {at.keys[-1]} = ["…"]')
    return tuple(each.strip() for each in values)


def check_keys(table: dict[str, Any], known: Iterable[str], at: Place) -> None:
    """Raises ConfigError for a key that there is not."""
    for key in table:
        if key not in known:
            near = nearest(key.lower().replace("_", "-"), known, n=1)
            advice = f"Did you mean {near[0]}?" if near else f"Choose from {', '.join(known)}."
            raise ConfigError(f"{at.of(key)}: {at.name} has an unknown key {key!r}", advice)


def check_word(word: Any, known: Iterable[str], at: Place) -> None:
    """Raises ConfigError for a word that is none of these."""
    if word not in known:
        near = nearest(word.lower(), known, n=1) if type(word) is str else []
        advice = f"Did you mean {near[0]}?" if near else f"Choose from {', '.join(known)}."
        raise ConfigError(f"{at}: {at.name} cannot be {word!r}", advice)
