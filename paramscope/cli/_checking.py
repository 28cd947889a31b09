"""What a check does: rules and exceptions are chosen, each target is judged, and the verdict is given."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import chain
from typing import NamedTuple, NoReturn

import click

from paramscope import source, text
from paramscope.cli._building import FLAGS
from paramscope.cli._output import ending, write
from paramscope.cli._waiting import one_of, waiting
from paramscope.config import FAIL_ON, MODEL_EXAMPLE, Config
from paramscope.errors import (
    FormatError,
    NotAModule,
    NotAnOptimizer,
    ParamscopeError,
    ReportError,
    RunError,
    TargetError,
    nearest,
)
from paramscope.exceptions.apply import (
    Applied,
    Exceptions,
    accepted,
    check_comments,
    declared_by_comments,
    declared_rules,
    declared_severities,
    unknown_codes,
)
from paramscope.exceptions.baseline import read_baseline, to_baseline, write_baseline
from paramscope.exceptions.checked import DECLARED, LOCKED, Checked, as_checked, unlike
from paramscope.exceptions.stale import Ran, stale
from paramscope.load.building import Building, Subject, declared_subject, look, subject_of
from paramscope.report.finding import Finding, Severity
from paramscope.rules.choice import meant_by, on_snapshots
from paramscope.rules.discovery import discover
from paramscope.rules.rule import Loaded
from paramscope.snapshot import Snapshot

_ENDINGS = {"json": "json", "sarif": "sarif", "xml": "junit"}
FORMATS = ("text", "json", "github", "gitlab", "sarif", "junit")
_AS_RUFF_HAS_THEM = ("full", "concise")
"""The text, and a line for each finding: `-f text` and `-f text -q`."""
FORMAT_VARIABLE = "PARAMSCOPE_OUTPUT_FORMAT"


class OptionError(ParamscopeError):
    """Options that contradict each other, or a word that an option does not know; or nothing to check."""


class Plan(NamedTuple):
    """What holds for all targets of one check."""

    rules: Mapping[str | None, tuple[Loaded, ...]]
    """By the name of a declared model; under None for all TARGETs."""
    config: Config
    exceptions: Exceptions
    severities: Mapping[str, Severity]
    """By code."""
    fail_on: Severity | None
    warnings: tuple[str, ...]


class Judged(NamedTuple):
    """One target, judged."""

    checked: Checked
    applied: Applied
    comments: tuple[source.comments.IgnoreComment, ...]
    unmet: tuple[str, ...] = ()
    """How the model differs from what is declared and locked of it: lines."""


def subjects(targets: Sequence[str], building: Building, config: Config) -> list[Subject]:
    """What is to be checked: all declared models, where no target is given. Raises TargetError, OptionError."""
    if targets:
        return [subject_of(each, building, lambda: config) for each in targets]
    if not config.models:
        advice = f"Write paramscope check TARGET, or declare in pyproject.toml what to check: {MODEL_EXAMPLE}"
        raise OptionError("TARGET is missing", advice)
    return [declared_subject(each, building) for each in config.models]


def format_for(format_: str | None, output: str | None) -> str:
    """The requested format, or the one that the output's ending implies, or the environment's. Raises FormatError."""
    origin = ""
    if format_ is None and ending(output) in _ENDINGS:
        return _ENDINGS[ending(output)]
    if format_ is None:
        format_, origin = os.environ.get(FORMAT_VARIABLE) or "text", f"{FORMAT_VARIABLE}: "
    if format_ not in (*FORMATS, *_AS_RUFF_HAS_THEM):
        near = nearest(format_, FORMATS, n=1)
        raise FormatError(
            f"{origin}a check cannot be written as {format_!r}",
            f"Did you mean {near[0]}?" if near else f"Choose from {', '.join(FORMATS)}; inspect has more.",
        )
    return "text" if format_ == "full" else format_


def is_for_people(format_: str) -> bool:
    """Whether it is a text, which no program reads."""
    return format_ in ("text", "concise")


def to_plan(
    asked: Sequence[Subject],
    config: Config,
    select: Sequence[str],
    ignore: Sequence[str],
    fail_on: str | None,
    baseline: str | None,
    write_to: str | None,
) -> Plan:
    """Options and configuration as one. Raises RuleError, OptionError, BaselineError."""
    if baseline is not None and write_to is not None:
        raise OptionError("--baseline and --write-baseline contradict each other", "Write first, then read it.")
    found = discover()
    warnings = unknown_codes(config, found.rules, has_failed=bool(found.failed))
    rules = {
        each.declared and each.declared.name: declared_rules(
            config, found.rules, each.declared, select=select, ignore=ignore
        )
        for each in asked
    }
    word = fail_on or config.fail_on or "warning"
    if word not in FAIL_ON:
        raise OptionError(f"--fail-on cannot be {word!r}", f"Choose from {', '.join(FAIL_ON)}.")
    severities = declared_severities(config, found.rules)
    exceptions = Exceptions(config.ignores, read_baseline(baseline) if baseline is not None else None)
    return Plan(rules, config, exceptions, severities, None if word == "never" else Severity(word), warnings)


def checked(subject: Subject, plan: Plan, *, values: bool) -> Judged:
    """One model, built or read, judged anew, without what is accepted."""
    from paramscope.api import judge

    snapshot, name, file = _captured(subject, values=values)
    asked = plan.rules[subject.declared and subject.declared.name]
    rules = on_snapshots(asked, of_ranks=snapshot.ranks is not None)
    with waiting(f"checking {name}"):
        report = judge(snapshot, rules=rules, target=name)
    comments = tuple(declared_by_comments(snapshot))
    check_comments(comments)
    if not discover().failed:
        for comment in comments:
            for code in comment.codes:
                meant_by(discover().rules, code, f"{comment.file}:{comment.line}")
    defaults = {loaded.rule.code: loaded.rule.severity for loaded in rules}
    report, applied = accepted(report, plan.exceptions, plan.severities, defaults)
    ignored = {each.finding: each for each in applied.ignored}
    judged = Judged(as_checked(report, rules, ignored, file), applied, comments)
    if subject.declared is None or not subject.declared.is_expected:
        return judged
    from paramscope.testing.declared import unmet_declarations

    departure = unmet_declarations(report, subject.declared, plan.config)
    return _held(judged, DECLARED, departure.findings, departure.text)


def _held(judged: Judged, code: str, findings: Sequence[Finding] = (), told: str = "") -> Judged:
    """Held to something more. findings, told: how it differs from that."""
    checked = judged.checked
    checked = checked._replace(held_to=(*checked.held_to, code), unmet=(*checked.unmet, *findings))
    return judged._replace(checked=checked, unmet=(*judged.unmet, *([told] if told else [])))


def _captured(subject: Subject, *, values: bool) -> tuple[Snapshot, str, str]:
    """(what is in a model, its name, the file it was read from): read, where it is a saved report, else built and
    captured."""
    from paramscope.cli._input import saved_report

    if subject.declared is None:
        is_built, options = any((*subject.building, values)), FLAGS.replace(" and", ",") + " and --values"
        saved = saved_report(subject.target, is_built=is_built, options=options)
        if saved is not None:
            return saved.snapshot, saved.target or subject.target, subject.target
    return look(subject, values=values, waiting=waiting), subject.name, ""


class Interrupted(KeyboardInterrupt):
    """An interrupt between several targets. Holds what was judged before it, and the errors of what could not be."""

    def __init__(self, words: str, checks: list[Judged], failed: list[ParamscopeError]) -> None:
        super().__init__(words)
        self.checks, self.failed = checks, failed


def check_all(asked: Sequence[Subject], plan: Plan, *, values: bool) -> tuple[list[Judged], list[ParamscopeError]]:
    """All models that can be built or read, judged, and the errors of the others, which do not stop it. Raises
    Interrupted where one target is interrupted, and others were judged before."""
    checks: list[Judged] = []
    failed: list[ParamscopeError] = []
    for number, subject in enumerate(asked, 1):
        try:
            with one_of(number, len(asked)):
                checks.append(checked(subject, plan, values=values))
        except (TargetError, ReportError, RunError, NotAModule, NotAnOptimizer) as error:  # noqa: PERF203
            # Of what is not found, the file or the module is named.
            name = subject.name
            is_named = name in error.problem or error.problem.startswith(f"{name.rpartition(':')[0]} ")
            failed.append(error if len(asked) == 1 or is_named else _of_target(error, name))
        except KeyboardInterrupt as interrupt:
            if not checks and not failed:
                raise
            where = str(interrupt) or f"at {subject.name}"
            words = f"{where}: {len(checks) + len(failed)} of {len(asked)} targets were checked"
            raise Interrupted(words, checks, failed) from None
    return checks, failed


def fail(failed: Sequence[ParamscopeError]) -> NoReturn:
    """Raises the last of several errors, when the others have been said."""
    for error in failed[:-1]:
        click.echo(f"error: {error}", err=True)
    raise failed[-1]


def _of_target(error: ParamscopeError, target: str) -> ParamscopeError:
    return type(error)(f"{target}: {error.problem}", error.advice, detail=error.detail)


def into_baseline(checks: Sequence[Judged], file: str) -> list[Judged]:
    """Writes what stands to a baseline, and accepts it at once. Raises OutputError."""
    baseline = to_baseline([(each.checked.report.target, each.checked.report.findings) for each in checks], file)
    write(write_baseline(baseline), file)
    what = text.plural(len(baseline.entries), "finding")
    click.echo(f"{file}: {what} written; paramscope check --baseline {file} accepts what is in it", err=True)
    found = []
    for each in checks:
        report, applied = accepted(each.checked.report, Exceptions((), baseline), {}, {})
        ignored = {**each.checked.ignored, **{one.finding: one for one in applied.ignored}}
        anew = as_checked(report, each.checked.rules, ignored, each.checked.file)
        found.append(each._replace(checked=anew._replace(held_to=each.checked.held_to, unmet=each.checked.unmet)))
    return found


def rendered(
    checks: Sequence[Judged], plan: Plan, format_: str, output: str | None, unchecked: int, **told: bool
) -> str:
    """All targets in one format. unchecked: how many could not be. told: what the text lists: show_ignored, verbose,
    quiet."""
    every = [each.checked for each in checks]
    if format_ == "json":
        return _as_json(every)
    if is_for_people(format_):
        from paramscope.cli._output import text_width, wants_color
        from paramscope.render.terminal.text import render_checks

        told["verbose"] |= plan.fail_on is Severity.INFO
        told["quiet"] |= format_ == "concise"
        width, color = text_width(), wants_color(output)
        return render_checks(every, width=width, color=color, unchecked=unchecked, **told)
    options = {"fail_on": plan.fail_on.value if plan.fail_on else "never"} if format_ == "junit" else {}
    found: str = import_module(f"paramscope.render.ci.{format_}").render_checks(every, **options)
    return found


def _as_json(checks: Sequence[Checked]) -> str:
    """A report, which `inspect` and `check` read back; of several targets an object that holds a report each."""
    from paramscope.wire.writer import as_text, report_pieces, write_report

    if len(checks) == 1:
        return write_report(checks[0].report, end="\n")
    pieces = [report_pieces(each.report) for each in checks]
    between = chain.from_iterable(([","], each) for each in pieces[1:])
    head = '{"format":"paramscope.reports","version":1,"reports":['
    return as_text(chain([head], pieces[0], *between, ["]}\n"]))


def held_to_lock(checks: list[Judged], building: Building, file: str | None, *, is_updated: bool) -> list[Judged]:
    """Held to what is locked of them, which is updated instead where that is wanted.

    Raises LockError and OutputError.
    """
    from pathlib import Path

    from paramscope.load.lock import difference, locked, name_in, nearest_lock, read, update

    here = Path.cwd()
    lock = Path(file).absolute() if file is not None else nearest_lock(here)
    reports = [each.checked.report for each in checks]
    names = [name_in(lock, each.target or "", here, building.arguments) for each in reports]
    models = {name: locked(each.snapshot) for name, each in zip(names, reports, strict=True)}
    if is_updated:
        if update(lock, models):
            click.echo(f"{lock.name}: {text.plural(len(models), 'model')} written", err=True)
        return checks
    known = read(lock)
    found = []
    for each, name in zip(checks, names, strict=True):
        other = difference(name, known.get(name), models[name], lock)
        if other is None:
            found.append(_held(each, LOCKED))
            continue
        help_ = f"{other.advice[:1].upper()}{other.advice[1:]}."
        finding = unlike(LOCKED, other.said, other.changes, None, help_)
        found.append(_held(each, LOCKED, [finding], "\n".join(other.lines)))
    return found


def stale_lines(checks: Sequence[Judged], plan: Plan) -> list[str]:
    """Exceptions that accepted nothing."""
    ran = []
    for each in checks:
        report = each.checked.report
        skipped = {one.code for one in report.skipped}
        asked = (one.rule for one in each.checked.rules)
        rules = frozenset((rule.code, rule.name) for rule in asked if rule.code not in skipped)
        ran.append(Ran(report, each.applied, rules, each.comments))
    return stale(plan.exceptions, ran)


def write_job_summary(checks: Sequence[Judged]) -> None:
    """Adds the Markdown summary to the job's, where GitHub Actions names a file for it."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    from paramscope.render.ci.github import job_summary

    try:
        with open(file, "a", encoding="utf-8", errors="backslashreplace") as summary:
            summary.write(job_summary([each.checked for each in checks]) + "\n")
    except OSError as error:
        click.echo(f"warning: GITHUB_STEP_SUMMARY cannot be written: {error.strerror or error}", err=True)


def meet_other_ranks() -> None:
    """Once the first of them has written: torchrun ends all as soon as one has ended with an error."""
    from paramscope.distributed import all_have_come

    sys.stdout.flush()
    all_have_come()


def exit_code(checks: Sequence[Judged], plan: Plan) -> int:
    """1 if anything is found at or above the severity that fails a check, else 0."""
    worst = [each.checked.report.worst() for each in checks]
    return int(plan.fail_on is not None and any(each is not None and each >= plan.fail_on for each in worst))
