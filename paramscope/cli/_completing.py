"""What a shell may complete a word of a command line to. Nothing here imports torch, or builds a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def targets(_context: Any, _parameter: Any, begun: str) -> list[CompletionItem]:
    """Files, and declared models."""
    from click.shell_completion import CompletionItem

    from paramscope.cli._input import project
    from paramscope.errors import ParamscopeError

    try:
        models = [model.name for model in project().models]
    except ParamscopeError:  # is said by the command; between two words of a command line nobody would read it
        models = []
    # The shell knows files; it forgets what it was told before it is told so.
    return [CompletionItem(begun, type="file"), *map(CompletionItem, _beginning(begun, models))]


def rule(_context: Any, _parameter: Any, begun: str) -> list[str]:
    """One rule, by its code, or by its name where that has been begun."""
    from paramscope.rules.discovery import discover

    rules = [loaded.rule for loaded in discover().rules]
    found = _beginning(begun.upper(), [each.code for each in rules])
    return found or _beginning(begun, [each.name for each in rules])


def codes(context: Any, parameter: Any, begun: str) -> list[str]:
    """The last of several rules with commas between them."""
    before, comma, last = begun.rpartition(",")
    return [f"{before}{comma}{each}" for each in rule(context, parameter, last)]


def severities(_context: Any, _parameter: Any, begun: str) -> list[str]:
    """What fails a check."""
    from paramscope.config import FAIL_ON

    return _beginning(begun, FAIL_ON)


def formats(_context: Any, _parameter: Any, begun: str) -> list[str]:
    """What a report is written as."""
    from paramscope.render import formats

    return _beginning(begun, formats())


def check_formats(_context: Any, _parameter: Any, begun: str) -> list[str]:
    """What a check is written as."""
    from paramscope.cli._checking import FORMATS

    return _beginning(begun, FORMATS)


def among(*words: str) -> Callable[[Any, Any, str], list[str]]:
    """One of these."""
    return lambda _context, _parameter, begun: _beginning(begun, dict.fromkeys(words))


def diff_formats(_context: Any, _parameter: Any, begun: str) -> list[str]:
    """What a difference is written as."""
    from paramscope.render._difference import FORMATS

    return _beginning(begun, FORMATS)


def _beginning(begun: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(begun)]
