"""A declared model, held to its declaration in the words of `expect`, each with its line of pyproject.toml."""

from __future__ import annotations

import re
from typing import NamedTuple

from paramscope import text
from paramscope.analysis.changes import state_of
from paramscope.config import Config, DeclaredModel
from paramscope.config.places import Place
from paramscope.exceptions.checked import DECLARED, unlike
from paramscope.report.face import Report
from paramscope.report.finding import Finding, Location, Severity
from paramscope.testing._expect import SINCE, comparison, unmet_by
from paramscope.testing.memory import CURRENT_MEMORY
from paramscope.testing.message import Unmet, failure_text
from paramscope.testing.wanted import wanted

_KEYS = {"trainable": "trainable", "trainable_only": "trainable", "total": "parameters", "tied": "ties"}
"""What a declaration calls what an expectation of `expect` says."""


class Departure(NamedTuple):
    """How a model differs from its declaration."""

    text: str = ""
    """Lines for people; empty where it does not."""
    findings: tuple[Finding, ...] = ()
    """One for each key that does not hold, for those who read lines of a file."""


def unmet_declarations(
    report: Report, model: DeclaredModel, config: Config, *, findings: Severity | None = None
) -> Departure:
    """How a model differs from what is declared of it.

    findings: the least severity of which the rules may find nothing, as config has it; None where they are not asked.
    """
    memory = CURRENT_MEMORY.get()
    remembered = memory.recall() if memory else None
    if not model.is_expected and findings is None:
        return Departure()
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
        told = [each._replace(headline=f"{place}: {model.name}: {each.headline}") for each, place in unmet]
        found = tuple(_finding(each, place, model) for each, place in unmet)
        return Departure(failure_text(told, comparison(remembered, report.snapshot, SINCE)), found)
    if memory:
        memory.remember(state_of(report.snapshot))
    return Departure()


def _placed(unmet: Unmet, model: DeclaredModel) -> tuple[Unmet, Place]:
    """In the words of the declaration, and where it says so."""
    keyword, rest = _KEYWORD.fullmatch(unmet.headline).groups()  # type: ignore[union-attr]  # any text matches
    key = _KEYS.get(keyword)
    return unmet._replace(headline=f"{key or keyword}{rest}"), model.at.of(key) if key else model.at


_KEYWORD = re.compile(r"(\w*)(.*)", re.DOTALL)


def _finding(unmet: Unmet, place: Place, model: DeclaredModel) -> Finding:
    said = f"{text.name(model.name)} is not as declared: {unmet.headline}"
    line = Location(place.source.file, place.line or 1)
    help_ = f"If that is right, change {model.at.name} in {place.source.file}."
    return unlike(DECLARED, said, unmet.details, line, help_)
