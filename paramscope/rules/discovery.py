"""Finds the rules: every file of the rule folders, and what installed packages offer."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import NamedTuple

from paramscope.installed import offered, origin_of
from paramscope.report.finding import Severity, Skipped
from paramscope.rules.rule import Check, Loaded, Rule

GROUP = "paramscope.rules"
"""Entry points of this group name a module with `RULE` and `check`, or a package of such modules."""
_FOLDER = os.path.dirname(__file__)
_RULE = re.compile(r"^RULE = (Rule\((?:.*|\n(?: .*\n)+)\))$", re.MULTILINE)


class Discovered(NamedTuple):
    """The rules that there are."""

    rules: tuple[Loaded, ...]
    """By code."""
    failed: tuple[Skipped, ...]
    """Plugins that could not be loaded: their entry point's name as the code, and why."""


@cache
def discover() -> Discovered:
    """Every rule, our own and those of plugins. A plugin that fails is named, and the rest still works."""
    ours = [_read(folder, name) for folder, name in _files()]
    found = {loaded.rule.code: loaded for loaded in ours}
    failed: list[Skipped] = []
    for point in sorted(offered(GROUP), key=lambda point: point.name):
        try:
            loaded = point.load()
            modules = _modules_of(loaded) if hasattr(loaded, "__path__") and not hasattr(loaded, "RULE") else [loaded]
        except Exception as error:  # noqa: BLE001  whatever a plugin raises is reported
            why = f"the plugin {point.value} cannot be loaded: {type(error).__name__}: {error}"
            failed.append(Skipped(point.name, why))
            continue
        for module in modules:
            _add(found, failed, module, origin_of(point), point.name)
    return Discovered(tuple(found[code] for code in sorted(found)), tuple(failed))


def own(word: str) -> Loaded | None:
    """Our rule of a code or a name, as files are named: `ps101_module_in_container.py`. No other file is read."""
    asked = word.strip().lower().replace("-", "_")
    return next((_read(folder, name) for folder, name in _files() if asked in name.split("_", 1)), None)


def _files() -> Iterator[tuple[str, str]]:
    """(folder, module) of each rule of ours; the other modules there are what rules share."""
    for folder in pkgutil.iter_modules([_FOLDER]):
        for module in pkgutil.iter_modules([os.path.join(_FOLDER, folder.name)]) if folder.ispkg else ():
            if module.name.startswith("ps"):
                yield folder.name, module.name


@cache
def _read(folder: str, name: str) -> Loaded:
    """What a rule of ours says of itself, told from its text: the file is imported when the rule is run.

    NOTE: a quarter of the time that importing them takes, with all that they import. So `RULE` is a call of `Rule`,
    on one line or closed at the beginning of one, with constants and severities.
    """
    module = f"{__package__}.{folder}.{name}"
    with open(os.path.join(_FOLDER, folder, f"{name}.py"), encoding="utf-8") as file:
        text = file.read()
    call = _RULE.search(text)
    assert call is not None, module
    rule = eval(call[1], {"Rule": Rule, "Severity": Severity})  # noqa: S307  our own text
    doc = ast.literal_eval(text[: text.index('"""', 3) + 3])
    return Loaded(rule, _check_in(module), doc, "paramscope")


def _check_in(module: str) -> Check:
    @cache
    def check() -> Check:
        found: Check = importlib.import_module(module).check
        return found

    return lambda facts: check()(facts)


def _modules_of(package: ModuleType) -> list[ModuleType]:
    """The modules of a package and of its packages that hold a rule."""
    names = (each.name for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))
    return [module for module in map(importlib.import_module, names) if hasattr(module, "RULE")]


def _add(found: dict[str, Loaded], failed: list[Skipped], module: ModuleType, origin: str, name: str) -> None:
    rule, check = getattr(module, "RULE", None), getattr(module, "check", None)
    if not isinstance(rule, Rule) or not callable(check):
        failed.append(Skipped(name, f"{origin} offers no rule there: RULE and check(facts) are missing"))
    elif rule.code in found:
        failed.append(Skipped(name, f"{origin} offers {rule.code}, which is taken by {found[rule.code].origin}"))
    else:
        found[rule.code] = Loaded(rule, check, module.__doc__ or "", origin)
