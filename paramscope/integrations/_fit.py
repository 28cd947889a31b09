"""One run of a trainer → a report when it begins, and a watch over its steps: what all callbacks share."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from paramscope.api import capture, judge, watch
from paramscope.config import read_config
from paramscope.errors import FindingsWarning
from paramscope.exceptions.apply import as_declared
from paramscope.report.finding import OnFinding, Severity
from paramscope.rules.choice import choose
from paramscope.rules.discovery import discover

if TYPE_CHECKING:
    from paramscope.loop.watch import Watch
    from paramscope.report.face import Report

_LOGGED = ("parameters", "trainable", "frozen", "nbytes")
"""Totals that loggers are given."""
_OF_MODES = ("PS202",)
"""Rules that judge by the mode that a module is in while it trains."""


class Fit:
    """What the callbacks are, whichever framework calls them."""

    report: Report | None = None
    """Of the model and its optimizers when the last run began; without what comments and pyproject.toml accept."""
    watch: Watch | None = None
    """Over the steps of that run."""

    def __init__(
        self,
        *,
        on_finding: OnFinding = "warn",
        fail_on: Severity | str = "warning",
        select: str | Sequence[str] = (),
        ignore: str | Sequence[str] = (),
        table: bool = True,
    ) -> None:
        """on_finding: what becomes of a finding, besides that it is kept: `warn` issues a FindingsWarning, `raise`
        raises FindingsError, before the first step or at the step that shows it, `collect` does nothing more.
        fail_on: the least severity that is warned of, or raised for: `error`, `warning` or `info`. select, ignore:
        the rules that are asked, and those that are not, as the command line names them: `"PS1,PS724"`, or a list.
        table: whether the report is printed when a run begins. Of several ranks the first alone prints and warns; all
        raise.

        Raises ValueError for another word, and RuleError for a rule that there is not.
        """
        super().__init__()
        choose(discover().rules, select, ignore)
        if on_finding not in get_args(OnFinding):
            raise ValueError(f"on_finding={on_finding!r}: write one of {', '.join(get_args(OnFinding))}")
        self._on_finding: OnFinding = on_finding
        self._fail_on = Severity(fail_on)
        self._select, self._ignore = select, ignore
        self._table = table

    def __getstate__(self) -> dict[str, Any]:
        # Trainers that spawn processes pickle their callbacks. A watch stays at home.
        return {**vars(self), "watch": None}

    @property
    def totals(self) -> dict[str, int]:
        """What is logged of the report: elements, each tensor once, and bytes."""
        totals = None if self.report is None else self.report.totals
        return {f"paramscope/{name}": getattr(totals, name) for name in _LOGGED} if totals else {}

    def _audit(self, model: Any, optimizers: Any, *, is_first: bool) -> None:
        """Before a run. is_first: whether this is the rank that speaks for all."""
        self._close()
        self.report = self._judged(model, optimizers)
        if is_first and self._table:
            click.echo(str(self.report))
        self._tell(self.report, is_first=is_first)

    def _audit_modes(self, model: Any, *, is_first: bool) -> None:
        """Before the first update, where the trainer has chosen modes since: frozen norms that it has set going."""
        report = self.report
        if report is None:
            return
        known = {(each.code, each.paths) for each in report.findings}
        anew = self._judged(model, None, _OF_MODES)
        found = tuple(each for each in anew.findings if (each.code, each.paths) not in known)
        if found:
            findings = sorted((*report.findings, *found), key=lambda each: -each.severity.rank)
            self.report = report.having(findings=tuple(findings))
            self._tell(anew.having(findings=found), is_first=is_first)

    def _judged(self, model: Any, optimizers: Any, codes: Collection[str] = ()) -> Report:
        """codes: the only rules that are asked, of those that were chosen; all of these where there are none."""
        rules = choose(discover().rules, self._select, self._ignore)
        asked = [each for each in rules if not codes or each.rule.code in codes]
        return as_declared(judge(capture(model, optimizer=optimizers), rules=asked), read_config(Path.cwd()))

    def _tell(self, report: Report, *, is_first: bool) -> None:
        if self._on_finding == "raise":
            report.raise_for_findings(self._fail_on)
        if self._on_finding == "warn" and is_first:
            for finding in report.findings:
                if finding.severity >= self._fail_on:
                    warnings.warn(str(finding), FindingsWarning, stacklevel=4)

    def _look_on(self, model: Any, optimizers: Any, *, is_first: bool) -> None:
        """Before the first step."""
        self._close()
        self.watch = watch(
            model,
            optimizers or None,
            steps=bool(optimizers),
            on_finding=self._on_finding if is_first or self._on_finding == "raise" else "collect",
            fail_on=self._fail_on,
            select=self._select,
            ignore=self._ignore,
        )

    def _close(self) -> None:
        """When a run is over, however it ended."""
        if self.watch is not None:
            self.watch.close()
