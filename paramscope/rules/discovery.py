"""Finds the rules: every file of the rule folders, and what installed packages offer."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import NamedTuple

from paramscope.installed import offered, origin_of
from paramscope.report.finding import Skipped
from paramscope.rules.rule import Loaded, Rule

GROUP = "paramscope.rules"
"""Entry points of this group name a module with `RULE` and `check`, or a package of such modules."""


class Discovered(NamedTuple):
    """The rules that there are."""

    rules: tuple[Loaded, ...]
    """By code."""
    failed: tuple[Skipped, ...]
    """Plugins that could not be loaded: their entry point's name as the code, and why."""


@cache
def discover() -> Discovered:
    """Every rule, our own and those of plugins. A plugin that fails is named, and the rest still works."""
    found: dict[str, Loaded] = {}
    failed: list[Skipped] = []
    for name in _own_files():
        _add(found, failed, importlib.import_module(name), "paramscope", name)
    for point in sorted(offered(GROUP), key=lambda point: point.name):
        try:
            loaded = point.load()
            modules = _modules_of(loaded) if hasattr(loaded, "__path__") and not hasattr(loaded, "RULE") else [loaded]
        except Exception as error:  # noqa: BLE001  whatever a plugin raises is reported
            failed.append(Skipped(point.name, f"the plugin {point.value} cannot be loaded: {_words(error)}"))
            continue
        for module in modules:
            _add(found, failed, module, origin_of(point), point.name)
    return Discovered(tuple(found[code] for code in sorted(found)), tuple(failed))


def own(word: str) -> Loaded | None:
    """Our rule of a code or a name, as files are named: `ps101_module_in_container.py`. One is imported, not all."""
    word = word.strip().lower().replace("-", "_")
    for name in _own_files():
        if word in name.rpartition(".")[2].split("_", 1):
            module = importlib.import_module(name)
            return Loaded(module.RULE, module.check, module.__doc__ or "", "paramscope")
    return None


def _own_files() -> Iterator[str]:
    """The modules of the rule folders that hold a rule; the others are what rules share."""
    folder = importlib.import_module(__name__.rpartition(".")[0])
    return (name for name in _names_in(folder) if name.rpartition(".")[2].startswith("ps"))


def _names_in(package: ModuleType) -> Iterator[str]:
    """The modules of a package and of its packages."""
    return (each.name for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))


def _modules_of(package: ModuleType) -> list[ModuleType]:
    """The modules of a package and of its packages that hold a rule."""
    return [module for module in map(importlib.import_module, _names_in(package)) if hasattr(module, "RULE")]


def _add(found: dict[str, Loaded], failed: list[Skipped], module: ModuleType, origin: str, name: str) -> None:
    rule, check = getattr(module, "RULE", None), getattr(module, "check", None)
    if not isinstance(rule, Rule) or not callable(check):
        failed.append(Skipped(name, f"{origin} offers no rule there: RULE and check(facts) are missing"))
    elif rule.code in found:
        failed.append(Skipped(name, f"{origin} offers {rule.code}, which is taken by {found[rule.code].origin}"))
    else:
        found[rule.code] = Loaded(rule, check, module.__doc__ or "", origin)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
