"""Finds the rules: every file of the rule folders, and what installed packages offer."""

from __future__ import annotations

import importlib
import pkgutil
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
    ours = importlib.import_module(__name__.rpartition(".")[0])
    found: dict[str, Loaded] = {}
    failed: list[Skipped] = []
    for module in _modules_of(ours):
        _add(found, failed, module, "paramscope", module.__name__)
    for point in sorted(offered(GROUP), key=lambda point: point.name):
        try:
            loaded = point.load()
            modules = _modules_of(loaded) if hasattr(loaded, "__path__") and not hasattr(loaded, "RULE") else [loaded]
        except Exception as error:  # noqa: BLE001  whatever a plugin raises is reported
            why = f"{type(error).__name__}: {error}"
            failed.append(Skipped(point.name, f"the plugin {point.value} cannot be loaded: {why}"))
            continue
        for module in modules:
            _add(found, failed, module, origin_of(point), point.name)
    return Discovered(tuple(found[code] for code in sorted(found)), tuple(failed))


def _modules_of(package: ModuleType) -> list[ModuleType]:
    """The modules of a package and of its packages that hold a rule."""
    found = []
    for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(each.name)
        if hasattr(module, "RULE"):
            found.append(module)
    return found


def _add(found: dict[str, Loaded], failed: list[Skipped], module: ModuleType, origin: str, name: str) -> None:
    rule, check = getattr(module, "RULE", None), getattr(module, "check", None)
    if not isinstance(rule, Rule) or not callable(check):
        failed.append(Skipped(name, f"{origin} offers no rule there: RULE and check(facts) are missing"))
    elif rule.code in found:
        failed.append(Skipped(name, f"{origin} offers {rule.code}, which is taken by {found[rule.code].origin}"))
    else:
        found[rule.code] = Loaded(rule, check, module.__doc__ or "", origin)
