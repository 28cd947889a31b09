"""Report → text or picture. A file a format, in the folder of its kind; each is a pure function
`render(report, *, options) -> str | bytes`, or, where it tells of checks, `render_checks(checks, *, options)`.

Installed packages add formats through entry points of the group `paramscope.renderers`: name → such a function.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from paramscope.errors import FormatError, ParamscopeError, nearest
from paramscope.installed import offered, origin_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from paramscope.report.data import ReportData

GROUP = "paramscope.renderers"

Renderer = Callable[..., "str | bytes"]


def formats() -> tuple[str, ...]:
    """Names of all formats: the files in the folders here, but for helpers, whose names begin with `_`, and what
    installed packages offer."""
    return tuple(sorted(_built_in().keys() | _offered(tuple(sys.path)).keys()))


@cache
def renderer(format: str) -> Renderer:
    """The function that renders one format. Raises FormatError for a format that does not exist or cannot be loaded.

    NOTE: our own formats are looked for first and never among entry points, which cannot replace one of ours.
    """
    home = _built_in().get(format)
    if home is not None:
        module = importlib.import_module(home)
        found: Renderer = module.render if hasattr(module, "render") else _of_one(module.render_checks)
        return found
    offers = _offered(tuple(sys.path)).get(format)
    if offers is not None:
        return _loaded(format, offers)
    near = nearest(format, formats(), n=1)
    raise FormatError(
        f"there is no format {format!r}",
        f"Did you mean {near[0]}?" if near else f"Formats: {', '.join(formats())}.",
    )


def options_of(format: str) -> frozenset[str]:
    """Names of the options that a format takes. Raises FormatError."""
    parameters = inspect.signature(renderer(format)).parameters.values()
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def takers_of(option: str) -> tuple[str, ...]:
    """Formats that take an option; those that cannot be loaded take none."""
    found = []
    for format in formats():
        try:
            takes = option in options_of(format)
        except FormatError:
            # The reason is given where that format is asked for.
            continue
        if takes:
            found.append(format)
    return tuple(found)


def render(report: ReportData, format: str, **options: Any) -> str | bytes:
    """A report in one format.

    Raises FormatError for an unknown format, an option that it does not take, or a format of another package
    that fails.
    """
    for name in options:
        if name not in options_of(format):
            taken = ", ".join(sorted(options_of(format))) or "none"
            raise FormatError(f"the format {format} takes no option {name!r}", f"It takes: {taken}.")
    draw = renderer(format)
    return draw(report, **options) if format in _built_in() else _drawn_by_others(draw, report, format, options)


def _of_one(render_checks: Renderer) -> Renderer:
    """A format of checks, for a report: as if every rule that is installed had been asked, and those of loops and
    ranks that found something."""

    @wraps(render_checks)
    def render(report: ReportData, **options: Any) -> str | bytes:
        from paramscope.exceptions.checked import as_checked
        from paramscope.rules.choice import on_snapshots
        from paramscope.rules.discovery import discover

        found = {finding.code for finding in report.findings}
        alone = {loaded.rule.code for loaded in on_snapshots(discover().rules)}
        rules = [each for each in discover().rules if each.rule.code in alone | found]
        return render_checks([as_checked(report, rules)], **options)

    return render


@cache
def _built_in() -> dict[str, str]:
    """Our own formats; the module of each."""
    return {
        module.name: f"{__name__}.{folder.name}.{module.name}"
        for folder in pkgutil.iter_modules(__path__)
        if folder.ispkg
        for module in pkgutil.iter_modules([os.path.join(__path__[0], folder.name)])
        if not module.name.startswith("_")
    }


@cache
def _offered(path: tuple[str, ...]) -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points of other packages by name, as found on a `sys.path`; nothing of them is imported."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in offered(GROUP):
        if point.name in _built_in():
            import warnings

            warnings.warn(
                f"{origin_of(point)} offers the format {point.name!r}, which paramscope has: its own is used",
                stacklevel=3,
            )
        elif point.value not in [known.value for known in found.get(point.name, ())]:
            found[point.name] = (*found.get(point.name, ()), point)
    return found


def _loaded(format: str, offers: tuple[EntryPoint, ...]) -> Renderer:
    if len(offers) > 1:
        origins = " and ".join(sorted(map(origin_of, offers)))
        raise FormatError(f"the format {format!r} is offered by {origins}", "Uninstall all of them but one.")
    (point,) = offers
    try:
        found: Renderer = point.load()
    except (Exception, SystemExit) as error:
        raise FormatError(
            f"the format {format!r} of {origin_of(point)} cannot be loaded: {type(error).__name__}: {error}",
            "Mend, update or uninstall that package; every other format works.",
        ) from error
    try:
        takes = inspect.signature(found)
        takes.bind(None, **{p.name: None for p in takes.parameters.values() if p.kind is p.KEYWORD_ONLY})
    except (TypeError, ValueError):
        raise FormatError(
            f"the format {format!r} of {origin_of(point)} is no renderer: {point.value}",
            "An entry point names a function `render(report, *, options) -> str | bytes`.",
        ) from None
    return found


def _drawn_by_others(draw: Renderer, report: ReportData, format: str, options: dict[str, Any]) -> str | bytes:
    (point,) = _offered(tuple(sys.path)).get(format) or (None,)
    origin = origin_of(point) if point else "another package"
    try:
        result = draw(report, **options)
    except ParamscopeError:
        raise
    except Exception as error:
        import traceback

        raise FormatError(
            f"the format {format!r} of {origin} failed: {type(error).__name__}: {error}",
            "Tell its authors; every other format works.",
            detail="".join(traceback.format_exception(error)),
        ) from error
    if not isinstance(result, (str, bytes)):
        raise FormatError(
            f"the format {format!r} of {origin} gave a {type(result).__name__}", "A renderer returns str or bytes."
        )
    return result
