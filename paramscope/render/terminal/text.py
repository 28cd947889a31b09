"""Findings → text for a terminal: the worst first, each with its line, why it matters, and what to write instead."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from paramscope import text
from paramscope.exceptions.checked import Checked
from paramscope.render._findings import by_severity, counted, verdict
from paramscope.render.terminal._finding_lines import LISTED, hanging, lines_of
from paramscope.render.terminal._layout import Screen, joined, paint
from paramscope.report.finding import Finding, Severity, Skipped
from paramscope.rules.engine import NEEDED
from paramscope.text import plain

_NAMED = 3
"""Targets that are named where something does not hold for all."""


def render_checks(
    checks: Sequence[Checked],
    *,
    width: int = 80,
    color: bool = False,
    show_ignored: bool = False,
    verbose: bool = True,
    quiet: bool = False,
    unchecked: int = 0,
) -> str:
    """The findings of several targets, grouped by severity and file, and a summary.

    width: terminal columns. color: ANSI colours. show_ignored: accepted ones, too, with the reasons. verbose: infos
    in full, not only counted. quiet: a line for each finding, and nothing else. unchecked: how many more targets
    there were, which could not be checked.
    """
    screen, endless = Screen(width, color), Screen(sys.maxsize, color)
    blocks: list[list[str]] = []
    heads: list[str] = []
    for checked in checks:
        report = checked.report
        told = [each for each in by_severity(report.findings) if verbose or each.severity is not Severity.INFO]
        ignored = by_severity(report.ignored) if show_ignored else []
        heads += [lines_of(each, endless, with_help=False)[0] for each in told]
        if len(checks) + unchecked > 1 and (told or ignored):
            blocks.append([paint(plain(checked.name), "heading", screen)])
        blocks += [lines_of(each, screen, with_unlocated=True) for each in told]
        blocks += [lines_of(each, screen, reason=_reason(checked, each), with_help=False) for each in ignored]
    if quiet:
        return "".join(f"{line}\n" for line in heads)
    blocks.append(_summary(checks, width, unchecked, show_ignored=show_ignored, verbose=verbose))
    return joined(blocks)


def _summary(
    checks: Sequence[Checked], width: int, unchecked: int, *, show_ignored: bool, verbose: bool
) -> list[str]:
    lines = []
    for checked in checks:
        report = checked.report
        nothing = f"nothing found, {text.plural(_asked(checked), 'rule')} asked"
        how = "" if show_ignored else " (--show-ignored lists them)"
        said = verdict(checked.findings, len(report.ignored), nothing=nothing, how=how)
        infos = Counter(f"{each.code} {each.name}" for each in report.findings if each.severity is Severity.INFO)
        if infos and not verbose:
            named = (plain(name) + (f" ×{times}" if times > 1 else "") for name, times in infos.items())
            said += f" ({', '.join(named)}: --verbose shows {'it' if infos.total() == 1 else 'them'})"
        lines += hanging(f"{plain(checked.name)}: {said}", "", width, "  ")
    if len(checks) + unchecked > 1:
        every = [finding for checked in checks for finding in checked.findings]
        left = f", {unchecked:,} of them failed" if unchecked else ""
        line = f"{len(checks) + unchecked:,} targets{left}: {counted(every) or 'nothing found'}"
        lines += text.wrap_words(line, width)
    return [*lines, *skipped_lines([(each.name, each.report.skipped) for each in checks], width)]


def _reason(checked: Checked, finding: Finding) -> str:
    why = checked.ignored.get(finding)
    return f"{why.reason} ({why.origin})" if why is not None else "the saved report does not say why"


def _asked(checked: Checked) -> int:
    """Rules that were asked and could answer."""
    skipped = {each.code for each in checked.report.skipped}
    return sum(loaded.rule.code not in skipped for loaded in checked.rules)


def skipped_lines(checks: Sequence[tuple[str, Sequence[Skipped]]], width: int) -> list[str]:
    """What was not checked, in a line for what was not given, and one for each rule that could not decide; where that
    is not the same for all, with the names of those that it holds for.

    checks: (name, what was skipped) of each.
    """
    of: dict[tuple[str, str], list[str]] = {}
    for name, skipped in checks:
        for said in _skipped(skipped):
            of.setdefault(said, []).append(name)
    lines = []
    for (what, why), names in of.items():
        shown = dict.fromkeys(map(plain, names))
        where = f" for {text.listed([*shown])}" if len(names) < len(checks) and len(shown) <= _NAMED else ""
        lines += hanging(f"{what}{where}: {why}", "", width, "  ")
    return lines


def _skipped(skipped: Sequence[Skipped]) -> list[tuple[str, str]]:
    """(what became of rules, which and why)."""
    wanted = {
        NEEDED["optimizer"]: "an optimizer (-O)",
        NEEDED["values"]: "values (--values)",
        NEEDED["run"]: "a run (--run)",
        NEEDED["backward"]: "a run of backward (--run backward)",
        NEEDED["step"]: "a run of step (--run step)",
    }
    if any(each.reason == NEEDED["run"] for each in skipped):
        wanted |= dict.fromkeys((NEEDED["backward"], NEEDED["step"]), wanted[NEEDED["run"]])
    numbers = Counter(wanted[each.reason] for each in skipped if each.reason in wanted)
    needs = [
        f"{text.plural(numbers[what], 'rule')} {'needs' if numbers[what] == 1 else 'need'} {what}"
        for what in dict.fromkeys(wanted.values())
        if numbers[what]
    ]
    others = [each for each in skipped if each.reason not in wanted]
    found = [("not checked", ", ".join(needs))] if needs else []
    found += [("skipped", f"{plain(each.code)}: {plain(each.reason)}") for each in others[:LISTED]]
    return [*found, *([("skipped", f"{len(others) - LISTED:,} more")] if len(others) > LISTED else [])]
