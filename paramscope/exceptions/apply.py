"""Findings, held against what is declared: which stand, which are accepted, and which declarations took part."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

from paramscope import source
from paramscope.config import Config, DeclaredIgnore, DeclaredModel, Place
from paramscope.errors import ParamscopeError
from paramscope.exceptions.baseline import Baseline
from paramscope.exceptions.fingerprint import fingerprints
from paramscope.glob import any_of
from paramscope.report.data import ReportData
from paramscope.report.finding import Finding, Severity, is_meant, real_file, shown_file
from paramscope.rules.choice import choose, codes_in, matching, meant_by
from paramscope.rules.discovery import discover
from paramscope.rules.rule import Loaded
from paramscope.snapshot import Snapshot
from paramscope.source.library import is_own

Made = TypeVar("Made", bound=ReportData)


class CommentError(ParamscopeError, ValueError):
    """A comment that means to declare an exception and does not say for which rule, or why."""


class Exceptions(NamedTuple):
    """What is declared, but for comments: those stand in the source."""

    ignores: tuple[DeclaredIgnore, ...] = ()
    baseline: Baseline | None = None


class Ignored(NamedTuple):
    """A finding that is accepted."""

    finding: Finding
    reason: str
    origin: str
    """Where that is declared: `net.py:12`, `pyproject.toml: ignore[0]`, `baseline.json`."""
    kind: Literal["comment", "config", "baseline"]


class Applied(NamedTuple):
    """One model's findings after all exceptions."""

    findings: tuple[Finding, ...]
    ignored: tuple[Ignored, ...]
    comments: frozenset[tuple[str, int]]
    """(real path, line) of the comments that took effect."""
    ignores: Mapping[int, int]
    """Position of each ignore that covers a place of a finding; how many findings it took part in accepting."""
    fingerprints: frozenset[str]
    """Of the baseline's entries that were met."""


def overridden(
    findings: Iterable[Finding], severities: Mapping[str, Severity], defaults: Mapping[str, Severity]
) -> tuple[Finding, ...]:
    """Findings with the severities that a project gives to their codes, most severe first.

    What a rule itself thinks less bad than its own severity stays less bad: raising a rule does not raise what it
    only mentions. severities: by code. defaults: each rule's own, by code.
    """
    found = []
    for finding in findings:
        wanted = severities.get(finding.code)
        if wanted is not None:
            own = finding.severity
            told = wanted if own >= defaults.get(finding.code, own) else min(own, wanted)
            finding = finding._replace(severity=told)
        found.append(finding)
    return tuple(sorted(found, key=lambda finding: -finding.severity.rank))


def apply(findings: Iterable[Finding], exceptions: Exceptions, target: str | None) -> Applied:
    """Findings parted into those that stand and those that are accepted: by the comment at their line, by the
    configuration, by the baseline, in this order."""
    stands: list[Finding] = []
    ignored: list[Ignored] = []
    comments: set[tuple[str, int]] = set()
    covers = _Covers(exceptions.ignores, target)
    for finding in findings:
        comment = _comment(finding)
        if comment is not None:
            comments.add(key_of(comment))
            where = f"{shown_file(real_file(comment.file))}:{comment.line}"
            ignored.append(Ignored(finding, comment.reason, where, "comment"))
            continue
        ignore = covers.all_of(finding)
        if ignore is not None:
            ignored.append(Ignored(finding, ignore.reason, ignore.origin, "config"))
        else:
            stands.append(finding)
    met: set[str] = set()
    if exceptions.baseline is not None:
        baseline, left = exceptions.baseline, []
        for key, finding in zip(fingerprints(stands, target), stands, strict=True):
            if key in baseline.entries:
                met.add(key)
                ignored.append(Ignored(finding, "known since the baseline was written", baseline.file, "baseline"))
            else:
                left.append(finding)
        stands = left
    return Applied(tuple(stands), tuple(ignored), frozenset(comments), covers.used, frozenset(met))


def accepted(
    report: Made, exceptions: Exceptions, severities: Mapping[str, Severity], defaults: Mapping[str, Severity]
) -> tuple[Made, Applied]:
    """A report with a project's severities and without what it accepts, which stands in `ignored`."""
    findings = overridden(report.findings, severities, defaults)
    applied = apply(findings, exceptions, report.target)
    ignored = (*report.ignored, *(each.finding for each in applied.ignored))
    return report.having(findings=applied.findings, ignored=ignored), applied


def as_declared(report: Made, config: Config) -> Made:
    """A report with the severities that a configuration gives, and without what it and comments accept."""
    rules = discover().rules
    defaults = {loaded.rule.code: loaded.rule.severity for loaded in rules}
    found, _ = accepted(report, Exceptions(config.ignores), declared_severities(config, rules), defaults)
    return found


def declared_severities(config: Config, rules: Sequence[Loaded]) -> dict[str, Severity]:
    """The severities that a configuration gives, by the codes of the rules that it means."""
    return {loaded.rule.code: severity for code, severity in config.severity for loaded in matching(rules, code)}


def declared_rules(
    config: Config,
    rules: Sequence[Loaded],
    model: DeclaredModel | None = None,
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> tuple[Loaded, ...]:
    """The rules that judge a model: those that are selected here, or that it selects, or that the project does; all
    where nobody selects any. Codes in a configuration that no rule answers to are left out. Raises RuleError."""
    declared = (model.select if model is not None else ()) or config.select
    known = [code for code in declared if matching(rules, code)]
    return choose(rules, codes_in(select) or known, ignore)


def unknown_codes(config: Config, rules: Sequence[Loaded], *, has_failed: bool) -> tuple[str, ...]:
    """Warnings for codes of a configuration that may be those of a plugin that could not be loaded. Raises RuleError
    for others."""
    named: list[tuple[str, Place]] = []
    of_models = ((each.at, each.select, each.ignore) for each in config.models)
    for at, select, ignores in ((config.at, config.select, config.ignore), *of_models):
        named += [(code, at.of("select")) for code in select]
        named += [(each.code, at.of("ignore", number)) for number, each in enumerate(ignores)]
    named += [(code, config.at.of("severity", code)) for code, _ in config.severity]
    unknown = [(code, place) for code, place in named if not matching(rules, code)]
    if unknown and not has_failed:
        code, place = unknown[0]
        meant_by(rules, code, f"{place}: {place.name}")
    return tuple(
        f"{place}: {place.name}: there is no rule {code!r}, unless in a plugin that cannot be loaded"
        for code, place in unknown
    )


def check_comments(comments: Iterable[source.comments.IgnoreComment]) -> None:
    """Raises CommentError for the first that does not say what it has to."""
    for comment in comments:
        if comment.problem:
            code = comment.codes[0] if comment.codes else "PS104"
            raise CommentError(
                f"{shown_file(real_file(comment.file))}:{comment.line}: {comment.problem}",
                f"Write # paramscope: ignore[{code}] and behind it why this is right.",
            )


def _comment(finding: Finding) -> source.comments.IgnoreComment | None:
    if finding.location is None:
        return None
    for comment in source.comments.ignores_at(finding.location.path, finding.location.line):
        if not comment.problem and any(is_meant(code, finding.code, finding.name) for code in comment.codes):
            return comment
    return None


class _Covers:
    """Ignores with their globs ready, for one target."""

    def __init__(self, ignores: tuple[DeclaredIgnore, ...], target: str | None) -> None:
        self.used: dict[int, int] = {}
        self._ignores = [
            (number, ignore, any_of(ignore.paths), any_of(ignore.files))
            for number, ignore in enumerate(ignores)
            if any_of(ignore.targets)(target or "")
        ]

    def all_of(self, finding: Finding) -> DeclaredIgnore | None:
        """The first of the ignores that together match every place of a finding; None where a place is left."""
        file = finding.location.file if finding.location is not None else ""
        left = set(finding.paths)
        took: list[tuple[int, DeclaredIgnore]] = []
        for number, ignore, matches, is_file in self._ignores:
            if not is_meant(ignore.code, finding.code, finding.name) or (ignore.files and not is_file(file)):
                continue
            matched = {path for path in left if matches(path)}
            if matched:
                self.used.setdefault(number, 0)
                took.append((number, ignore))
                left -= matched
        if left:
            return None
        for number, _ in took:
            self.used[number] += 1
        return took[0][1]


def declared_by_comments(snapshot: Snapshot) -> list[source.comments.IgnoreComment]:
    """Every comment in the bodies of the user's own classes that a model is made of, sound or not."""
    found: dict[tuple[str, int], source.comments.IgnoreComment] = {}
    for record in snapshot.interned.classes:
        if is_own(record):
            for comment in source.comments.ignores_in(record):
                found.setdefault(key_of(comment), comment)
    return list(found.values())


def key_of(comment: source.comments.IgnoreComment) -> tuple[str, int]:
    """Which comment it is, however its file is named."""
    return os.path.realpath(comment.file), comment.line
