"""A built model in several states → what the rules say of each, added to an outcome."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from zoo.check import (
    findings,
    fingerprint,
    raised,
    wrong_names,
    wrong_saved,
    wrong_sharing,
    wrong_totals,
    wrong_views,
)

from crater.built import Built, adamw, total
from crater.records import Found, Outcome
from paramscope import Finding, Report, Severity, audit

_SHOWN = 3
"""Different messages, and paths, that are kept of one finding."""


class Looker:
    """Audits the models of one package."""

    def __init__(
        self, outcome: Outcome, is_ours: Callable[[str], bool], before: Callable[[], None] | None = None
    ) -> None:
        self.outcome = outcome
        self.before = before
        self.is_ours = is_ours
        """Whether a class, by its full name, is the package's."""
        self.found = {(found.cls, found.code): found for found in outcome.found}

    def begin(self) -> None:
        """Makes every model start alike."""
        torch.manual_seed(0)
        if self.before is not None:
            self.before()

    def look(self, root: str, built: Built, *, is_shown: bool = True) -> None:
        """Audits fresh, with an optimizer, and in eval mode; holds the first report against torch.

        is_shown: whether it is also laid out and read back.
        """
        model = built.model
        report = self.audit(root, "fresh", model)
        if report is None:
            return
        for module in report.modules.records():
            if self.is_ours(module.type) and module.type not in self.outcome.inside:
                self.outcome.inside.append(module.type)
        if isinstance(model, nn.Module) and not has_its_own_parameters(model):
            saves_by_itself = any(overrides(m, "state_dict", "_save_to_state_dict") for m in model.modules())
            comparisons = [wrong_names, wrong_totals, wrong_sharing]
            comparisons += [] if saves_by_itself else [wrong_saved]
            comparisons += [wrong_views] if is_shown else []
            for compare in comparisons:
                self.outcome.wrong += [f"{root}: {line}" for line in findings(compare, model, report)]
        optimizer = built.optimizer if built.optimizer is not None else plain(model)
        if optimizer is not None:
            self.audit(root, "with an optimizer", model, optimizer)
        modes = [(module, module.training) for top in roots(model) for module in top.modules()]
        for top in roots(model):
            top.eval()
        self.audit(root, "in eval mode", model)
        for each, mode in modes:
            each.training = mode

    def look_after_a_step(self, root: str, built: Built) -> None:
        """Does a real step, or a forward where nothing is trained, and audits once more. Raises what the model raises."""
        optimizer = built.optimizer if built.optimizer is not None else plain(built.model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if built.step is not None:
                built.step()
            else:
                loss = built.loss() if built.loss is not None else total(built.model(*(built.inputs or ())))
                if loss is not None:
                    loss.backward()
                    for each in steppers(optimizer):
                        each.step()
        self.outcome.steps += 1
        self.audit(root, "after a step", built.model, optimizer)

    def audit(self, root: str, state: str, model: Any, optimizer: Any = None) -> Report | None:
        """One audit, whatever comes of it."""
        watched = [top for top in roots(model) if not has_its_own_parameters(top)]
        before = [fingerprint(top) for top in watched]
        start = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                report = audit(model, optimizer=optimizer)
        except Exception as error:  # noqa: BLE001  # which is what is tested
            self.outcome.wrong.append(f"{root}, {state}: audit raised {raised(error)}")
            return None
        self.outcome.slowest = max(self.outcome.slowest, time.process_time() - start)
        self.outcome.audits += 1
        if [fingerprint(top) for top in watched] != before:
            self.outcome.wrong.append(f"{root}, {state}: audit changed the model or drew a random number")
        for finding in report.findings:
            if finding.severity >= Severity.WARNING:
                self.add(root, state, report, finding)
        return report

    def add(self, root: str, state: str, report: Report, finding: Finding) -> None:
        """One more finding, or one more time the same."""
        cls = owner(report, finding.paths[0])
        says = f"{finding.message} → {finding.help}" if finding.help else finding.message
        known = self.found.get((cls, finding.code))
        if known is None:
            place = f"{shortened(finding.location.file)}:{finding.location.line}" if finding.location else ""
            known = Found(
                finding.code, cls, finding.severity.value, [says], list(finding.paths[:_SHOWN]), place, root, state
            )
            self.found[cls, finding.code] = known
            self.outcome.found.append(known)
            return
        known.times += 1
        known.severity = max(Severity(known.severity), finding.severity).value
        if says not in known.says and len(known.says) < _SHOWN:
            known.says.append(says)


def has_its_own_parameters(model: nn.Module) -> bool:
    """Whether some module in it answers by itself what it holds, so that torch's answers are not what is registered."""
    names = ("parameters", "named_parameters", "modules", "named_modules", "children", "named_children")
    return any(overrides(module, *names) for module in nn.Module.modules(model))


def overrides(module: nn.Module, *names: str) -> bool:
    """Whether a module answers one of some questions by itself."""
    return any(getattr(type(module), name) is not getattr(nn.Module, name) for name in names)


def roots(model: Any) -> list[nn.Module]:
    """The modules that were handed over."""
    return list(model.values()) if isinstance(model, Mapping) else [model]


def plain(model: Any) -> Any:
    """AdamW over all that there is to step."""
    return adamw(nn.ModuleList(roots(model)) if isinstance(model, Mapping) else model)


def steppers(optimizer: Any) -> list[Any]:
    """One optimizer, a list, or several by name."""
    if optimizer is None:
        return []
    if isinstance(optimizer, Mapping):
        return list(optimizer.values())
    return list(optimizer) if isinstance(optimizer, (list, tuple)) else [optimizer]


def owner(report: Report, path: str) -> str:
    """The class that a path belongs to, torch's own containers and layers passed over."""
    slots, modules = report.slots, report.modules
    here = slots[path].module if path in slots else path
    while here not in modules or modules[here].type.startswith("torch.nn."):
        if not here:
            break
        here = here[: max(here.rfind(mark) for mark in (".", "->", "[", "{", "::"))] if cut(here) else ""
    return modules[here].type if here in modules else ""


def cut(path: str) -> bool:
    """Whether a path has a step to take back."""
    return any(mark in path for mark in (".", "->", "[", "{", "::"))


def shortened(file: str) -> str:
    """A file relative to where packages lie, or to the tests."""
    for folder in ("site-packages/", "tests/"):
        if folder in file:
            return file.rpartition(folder)[2]
    return file.rpartition("/")[2]
