"""A declared model, held to its declaration in the words of `expect`, each with its line of pyproject.toml."""

from __future__ import annotations

import re

from paramscope.analysis.changes import state_of
from paramscope.config import Config, DeclaredModel
from paramscope.report.face import Report
from paramscope.report.finding import Severity
from paramscope.testing._expect import SINCE, comparison, unmet_by
from paramscope.testing.memory import CURRENT_MEMORY
from paramscope.testing.message import Unmet, failure_text
from paramscope.testing.wanted import wanted

_KEYS = {"trainable": "trainable", "trainable_only": "trainable", "total": "parameters", "tied": "ties"}
"""What a declaration calls what an expectation of `expect` says."""


def unmet_declarations(
    report: Report, model: DeclaredModel, config: Config, *, findings: Severity | None = None
) -> str:
    """How a model differs from what is declared of it; empty where it does not.

    findings: the least severity of which the rules may find nothing, as config has it; None where they are not asked.
    """
    memory = CURRENT_MEMORY.get()
    remembered = memory.recall() if memory else None
    if not model.is_expected and findings is None:
        return ""
    is_globs = isinstance(model.trainable, tuple)
    asked = wanted(
        trainable=None if is_globs else model.trainable,
        trainable_only=model.trainable if is_globs else None,
        total=model.parameters,
        tied=model.ties,
        findings=findings,
        hidden=None,
        frozen=None,
        stepped=None,
        like=None,
    )
    unmet = [_placed(each, model) for each in unmet_by(report, asked, config)]
    if unmet:
        return failure_text(unmet, comparison(remembered, report.snapshot, SINCE))
    if memory:
        memory.remember(state_of(report.snapshot))
    return ""


def _placed(unmet: Unmet, model: DeclaredModel) -> Unmet:
    keyword = re.match(r"\w*", unmet.headline)
    key = _KEYS.get(keyword[0]) if keyword else None
    place = model.at.of(key) if key else model.at
    return unmet._replace(headline=f"{place}: {model.name}: {unmet.headline}")
