"""The one place where the stages are composed: capture, then rules, then a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paramscope.report import Report
from paramscope.snapshot import Snapshot

if TYPE_CHECKING:
    from torch import nn


def capture(model: nn.Module | dict[str, nn.Module], *, optimizer: Any = None) -> Snapshot:
    """Everything that can be told of a model without running it, as plain values: facts only, no rules.

    model: a Module, or several roots by name (`{"model": m, "criterion": c}`), whose names then begin every
    path. optimizer: anything with `param_groups`, a list of them, or a dict of them by name.

    The model is not changed, none of its code runs, and the result keeps nothing of it alive.

    Raises NotAModule, NotAnOptimizer.
    """
    from paramscope.capture import capture_snapshot  # imports torch

    return capture_snapshot(model, optimizer)


def audit(model: nn.Module | dict[str, nn.Module], *, optimizer: Any = None) -> Report:
    """Captures a model, as `capture` does, and reports on it: slots with their fates, totals, sharing, what each
    optimizer will step, and what is wrong.

    Raises NotAModule, NotAnOptimizer.
    """
    return judge(capture(model, optimizer=optimizer))


def judge(snapshot: Snapshot) -> Report:
    """A report on a snapshot: what all rules find in it."""
    from paramscope.rules import check

    checked = check(snapshot)
    return Report(snapshot, findings=checked.findings, skipped=checked.skipped)
