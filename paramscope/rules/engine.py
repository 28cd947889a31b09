"""Snapshot → findings and skipped rules: each rule runs by itself, and one that crashes does not stop the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from paramscope.report.finding import Finding, Skipped
from paramscope.rules.choice import on_snapshots
from paramscope.rules.discovery import discover
from paramscope.rules.facts import Facts
from paramscope.rules.findings import to_findings
from paramscope.rules.rule import Loaded, Problem
from paramscope.snapshot import Snapshot

NEEDED = {
    "optimizer": "no optimizer was given",
    "values": "tensor values were not read",
    "run": "nothing was run",
    "backward": "no backward was run",
    "step": "no step was run",
    "loop": "it judges a training loop, while `paramscope.watch` looks on",
    "ranks": "ranks were not asked together, audit(model, ranks=True)",
}
"""Why a rule is skipped that was not given what it needs."""


class Checked(NamedTuple):
    """What the rules found."""

    findings: tuple[Finding, ...]
    """Most severe first, then by code and place."""
    skipped: tuple[Skipped, ...]
    """By code."""


def check(snapshot: Snapshot, rules: Sequence[Loaded] | None = None) -> Checked:
    """What rules find in a snapshot.

    rules: all that are installed, if none are given. Those that a given rule yields to are run with it, but
    report nothing themselves.
    """
    discovered = discover()
    given = discovered.rules if rules is None else rules
    wanted = on_snapshots(given, of_ranks=snapshot.ranks is not None)
    facts = Facts(snapshot)
    by_code = {loaded.rule.code: loaded for loaded in (*discovered.rules, *wanted)}
    codes = {loaded.rule.code for loaded in wanted}
    others = {code for loaded in wanted for code in loaded.rule.yields_to} - codes
    problems: dict[str, list[Problem]] = {}
    skipped: list[Skipped] = list(discovered.failed) if rules is None else []
    for code in sorted(codes | others):
        if code in by_code:
            problems[code], reasons = _run(by_code[code], facts)
            skipped += [Skipped(code, reason) for reason in reasons if code in codes]
    findings: list[Finding] = []
    for loaded in wanted:
        rule = loaded.rule
        if not problems[rule.code]:
            continue
        better = {
            path
            for code in rule.yields_to
            for problem in problems.get(code, ())
            if rule.yields_from is None or (problem.severity or by_code[code].rule.severity) >= rule.yields_from
            for path in problem.paths
        }
        found = [problem for problem in problems[rule.code] if problem.paths[0] not in better]
        try:
            findings += to_findings(rule, found, snapshot)
        except Exception as error:  # noqa: BLE001  it is reported
            skipped.append(Skipped(rule.code, _crash(error)))
    if len(findings) > 1:
        findings.sort(key=lambda each: (-each.severity.rank, each.code, _place(each.paths[0], facts), each.paths))
    return Checked(tuple(findings), tuple(sorted(skipped)))


def _place(path: str, facts: Facts) -> tuple[int, int]:
    """Where something stands in the model, for the order of findings: slots and modules by their modules."""
    if path in facts.slots:
        slot = facts.slots.position(path)
        return facts.snapshot.slot_columns.modules[slot], slot
    return (facts.modules.position(path), -1) if path in facts.modules else (len(facts.modules), 0)


def _run(loaded: Loaded, facts: Facts) -> tuple[list[Problem], list[str]]:
    """(problems, why it is skipped) of one rule."""
    needs = loaded.rule.needs
    if needs is not None and not facts.has(needs):
        return [], [NEEDED[needs]]
    problems: list[Problem] = []
    reasons: dict[str, None] = {}
    try:
        for each in loaded.check(facts):
            if isinstance(each, Problem):
                problems.append(each)
            else:
                reasons[each.reason] = None
    except Exception as error:  # noqa: BLE001  it is reported
        return [], [_crash(error)]
    return problems, list(reasons)


def _crash(error: Exception) -> str:
    import traceback
    from pathlib import PurePath

    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"the rule crashed: {type(error).__name__} at {PurePath(frame.filename).name}:{frame.lineno}: {error}"
