"""Report → text or picture. A file a format; each is a pure function `render(report, *, options) -> str | bytes`."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

from paramscope.errors import FormatError

if TYPE_CHECKING:
    from paramscope.report import Report


def formats() -> tuple[str, ...]:
    """Names of all formats: the files of this folder, but for helpers, whose names begin with `_`."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in names if not name.startswith("_")))


@cache
def renderer(format: str) -> Callable[..., str | bytes]:
    """The function that renders one format. Raises FormatError for a format that does not exist."""
    if format not in formats():
        near = get_close_matches(format, formats(), n=1)
        raise FormatError(
            f"there is no format {format!r}",
            f"Did you mean {near[0]}?" if near else f"Formats: {', '.join(formats())}.",
        )
    found: Callable[..., str | bytes] = importlib.import_module(f"{__name__}.{format}").render
    return found


def options_of(format: str) -> frozenset[str]:
    """Names of the options that a format takes. Raises FormatError."""
    parameters = inspect.signature(renderer(format)).parameters.values()
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def render(report: Report, format: str, **options: Any) -> str | bytes:
    """A report in one format. Raises FormatError for an unknown format or an option that it does not take."""
    for name in options:
        if name not in options_of(format):
            taken = ", ".join(sorted(options_of(format))) or "none"
            raise FormatError(f"the format {format} takes no option {name!r}", f"It takes: {taken}.")
    return renderer(format)(report, **options)
