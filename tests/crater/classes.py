"""A package → its public classes that are Modules."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Sequence

from torch import nn

_NO_LIBRARY = re.compile(
    r"\.(tests?|testing|examples?|scripts?|cli|benchmarks?|tools|docs|apps?|conftest|__main__|setup|train\w*|recipes)(\.|$)"
)
"""Modules that are not made to be imported by those who use the package."""


def modules(names: Sequence[str], troubles: list[str]) -> Iterator[object]:
    """Modules of some names, and all below them; adds those that cannot be imported to `troubles`."""
    for name in names:
        try:
            top = importlib.import_module(name)
        except Exception as error:  # noqa: BLE001  # any code of the package
            troubles.append(f"import {name}: {type(error).__name__}: {str(error)[:100]}")
            continue
        yield top
        for info in pkgutil.walk_packages(getattr(top, "__path__", ()), f"{name}.", onerror=lambda name: None):
            if _NO_LIBRARY.search(info.name):
                continue
            try:
                yield importlib.import_module(info.name)
            except (Exception, SystemExit) as error:  # noqa: BLE001
                troubles.append(f"import {info.name}: {type(error).__name__}: {str(error)[:100]}")


def classes(names: Sequence[str], troubles: list[str]) -> list[type]:
    """Public classes that derive from Module, where they are defined."""
    found: dict[type, None] = {}
    for module in modules(names, troubles):
        for name, thing in sorted(vars(module).items()):
            if (
                isinstance(thing, type)
                and issubclass(thing, nn.Module)
                and thing.__module__ == module.__name__  # type: ignore[attr-defined]
                and not name.startswith("_")
                and not inspect.isabstract(thing)
            ):
                found[thing] = None
    return list(found)


def full(cls: type) -> str:
    """A class's name as a report has it."""
    return f"{cls.__module__}.{cls.__qualname__}"
