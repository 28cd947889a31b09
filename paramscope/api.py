"""The only place where the stages are composed: capture, then rules, then a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paramscope.report.face import Report
from paramscope.snapshot import Snapshot

if TYPE_CHECKING:
    from torch import nn

    from paramscope.rules import Loaded


def capture(model: nn.Module | dict[str, nn.Module], *, optimizer: Any = None, values: bool = False) -> Snapshot:
    """Everything that can be said about a model without running it, as plain values: facts only, no rules.

    model: a Module, or several roots by name (`{"model": m, "criterion": c}`), whose names then begin every
    path. optimizer: anything with `param_groups`, a list of them, or a dict of them by name. values: also
    read the elements of registered tensors, for NaN, constants and copies, which takes as long as reading the model.

    The model is not changed, none of its code runs, and the result keeps nothing of it alive.

    Raises NotAModule, NotAnOptimizer.
    """
    from paramscope.capture import capture_snapshot  # imports torch

    return capture_snapshot(model, optimizer, values=values)


def audit(model: nn.Module | dict[str, nn.Module], *, optimizer: Any = None, values: bool = False) -> Report:
    """Captures a model, as `capture` does, and reports on it: slots with their fates, totals, sharing, what each
    optimizer will step, and what is wrong. values: see `capture`; some rules need them.

    Raises NotAModule, NotAnOptimizer.
    """
    return judge(capture(model, optimizer=optimizer, values=values))


def judge(snapshot: Snapshot, *, rules: Sequence[Loaded] | None = None, target: str | None = None) -> Report:
    """A report on a snapshot: what rules find in it, all of them where none are given. Plugins that could not be
    loaded are among the skipped. target: what was audited, as the command line names it."""
    from paramscope.rules import check, discover

    checked = check(snapshot, rules)
    failed = discover().failed if rules is not None else ()
    return Report(snapshot, findings=checked.findings, skipped=(*checked.skipped, *failed), target=target)
