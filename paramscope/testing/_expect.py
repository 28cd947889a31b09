"""A model and what it must be → its report, or one AssertionError with everything that is otherwise."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from paramscope import api
from paramscope.analysis.changes import State, change_lines, changes_between, state_of
from paramscope.config import Config, read_config
from paramscope.errors import ParamscopeError
from paramscope.report.face import Report
from paramscope.snapshot import Snapshot
from paramscope.testing.counts import check_counts
from paramscope.testing.findings import check_findings
from paramscope.testing.memory import CURRENT_MEMORY
from paramscope.testing.message import Unmet, failure_text
from paramscope.testing.slots import check_frozen, check_tied, check_trainable_only
from paramscope.testing.stepping import check_stepped
from paramscope.testing.wanted import ExpectationError, Wanted, wanted

if TYPE_CHECKING:
    from torch import nn

# unittest leaves frames out of its tracebacks that have this, pytest those that have the other.
__unittest = True
__tracebackhide__ = True


def expect(
    model: nn.Module | Mapping[str, nn.Module] | Report | Snapshot,
    *,
    trainable: int | range | None = None,
    total: int | range | None = None,
    hidden: int | range | None = None,
    frozen: Collection[str] | None = None,
    trainable_only: Collection[str] | None = None,
    tied: Collection[Collection[str]] | None = None,
    optimizer: Any = None,
    stepped: Literal["all-trainable"] | Collection[str] | None = None,
    findings: Literal["error", "warning", "info"] | Collection[str] | None = None,
    like: Report | Snapshot | None = None,
) -> Report:
    """The report of a model that is what it must be.

    model: a Module, a dict of Modules by name, or a Report.
    trainable, total, hidden: elements, as in `report.totals` (`total` is `totals.parameters`); a range such
    as `range(100, 201)` allows every number in it.
    frozen: path globs; every registered parameter that matches one is frozen.
    trainable_only: path globs; the registered parameters that match one, and no others, are trainable.
    tied: sets of paths; the slots of each set hold one tensor, and no other parameters are tied.
    optimizer: what `audit` takes.
    stepped: "all-trainable": every trainable parameter stands in a param group, and nothing does that the
    model does not have; or path globs: what matches is stepped, and nothing else.
    findings: (): the rules find nothing of severity warning or above; codes: exactly these, where infos of other
    codes do not count; or the least severity of which nothing may be found. What a comment or pyproject.toml accepts
    is no finding.
    like: an earlier state, which the message of a failure compares with, parameter by parameter. Under
    pytest it is, unless given, the state that this expectation last held for.

    In a glob `*` crosses dots; one that matches no parameter is an unmet expectation.

    Raises AssertionError with every expectation that is not met, and ExpectationError, NotAModule or
    NotAnOptimizer where the call itself is mistaken.
    """
    # NOTE: asked first, so that the n-th call in a test is the n-th whatever becomes of it.
    memory = CURRENT_MEMORY.get()
    remembered = memory.recall() if memory else None
    try:
        asked = wanted(
            trainable=trainable,
            total=total,
            hidden=hidden,
            frozen=frozen,
            trainable_only=trainable_only,
            tied=tied,
            stepped=stepped,
            findings=findings,
            like=like,
        )
        report = _report(model, optimizer, is_judged=asked.findings is not None)
        if asked.stepped is not None and not report.optimizers:
            _refuse_stepped(model)
    except ParamscopeError as error:
        raise error.with_traceback(None) from None
    unmet = unmet_by(report, asked)
    if unmet:
        before, title = remembered, SINCE
        if like is not None:
            before, title = state_of(_snapshot(like)), "compared with like=:"
        raise AssertionError(failure_text(unmet, comparison(before, report.snapshot, title)))
    if memory:
        memory.remember(state_of(report.snapshot))
    return report


SINCE = "since this last passed:"


def _report(model: Any, optimizer: Any, *, is_judged: bool) -> Report:
    """Raises ExpectationError for an optimizer passed with a report that was made without one.

    is_judged: whether the rules are asked about a Snapshot, too.
    """
    if not isinstance(model, (Report, Snapshot)):
        return api.audit(model, optimizer=optimizer)
    report = model if isinstance(model, Report) else api.judge(model) if is_judged else Report(model)
    if optimizer is not None and not report.optimizers:
        raise ExpectationError(
            "this report was made without an optimizer, and cannot be given one now",
            "Write expect(audit(model, optimizer=optimizer), …), or pass the model itself.",
        )
    return report


def _refuse_stepped(model: Any) -> NoReturn:
    advice = "Write expect(model, optimizer=optimizer, stepped=…)."
    if isinstance(model, (Report, Snapshot)):
        advice = "Write expect(audit(model, optimizer=optimizer), stepped=…)."
    raise ExpectationError("stepped= says what an optimizer steps, and there is no optimizer", advice)


def unmet_by(report: Report, asked: Wanted, config: Config | None = None) -> list[Unmet]:
    """What is asked and does not hold. config: the project's; the one that is found from here where there is none."""
    found = [*check_counts(report, asked)]
    if asked.frozen is not None:
        found += check_frozen(report.snapshot, asked.frozen)
    if asked.trainable_only is not None:
        found += check_trainable_only(report.snapshot, asked.trainable_only)
    if asked.tied is not None:
        found += check_tied(report.snapshot, asked.tied)
    if asked.stepped is not None:
        found += check_stepped(report, asked.stepped)
    if asked.findings is not None:
        found += check_findings(report, asked.findings, read_config(Path.cwd()) if config is None else config)
    return found


def _snapshot(seen: Report | Snapshot) -> Snapshot:
    return seen.snapshot if isinstance(seen, Report) else seen


def comparison(before: State | None, snapshot: Snapshot, title: str) -> Unmet | None:
    """What changed since a reference; None without one, without a change, or where nothing is the same."""
    if before is None:
        return None
    after = state_of(snapshot)
    found = changes_between(before, after)
    if not found.names:
        return None
    lines = change_lines(found)
    return Unmet(title, tuple(lines)) if lines else None
