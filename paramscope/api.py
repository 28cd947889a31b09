"""The only place where the stages are composed: capture, then rules, then a report.

Each stage is imported when it is reached, with the garbage collector paused: the modules that come in with the first
audit of a process would set off a full collection, which takes longer than the audit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from paramscope.collector import paused_collector

if TYPE_CHECKING:
    from torch import nn
    from torch.distributed import ProcessGroup
    from torch.distributed.device_mesh import DeviceMesh

    from paramscope.loop.watch import Watch
    from paramscope.report.face import Diff, Report
    from paramscope.report.finding import OnFinding, Severity
    from paramscope.rules.rule import Loaded
    from paramscope.snapshot import RunKind, Snapshot


def capture(
    model: nn.Module | Mapping[str, nn.Module],
    *,
    optimizer: Any = None,
    values: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Snapshot:
    """Everything that can be said about a model without running it, as plain values: facts only, no rules.

    model: a Module, or several roots by name (`{"model": m, "criterion": c}`), whose names then begin every
    path. optimizer: anything with `param_groups`, a list of them, or a dict of them by name. values: also
    read the elements of registered tensors, for NaN, constants and copies, which takes as long as reading the model.
    progress: is called after each of these tensors with the number of elements that have been read, and that of all
    that will be; where there are other ranks, from the start again for the checksums that are compared with theirs.

    The model is not changed, none of its code runs, and the result keeps nothing of it alive.

    Raises NotAModule, NotAnOptimizer.
    """
    with paused_collector():
        from paramscope.capture import capture_snapshot  # imports torch

        return capture_snapshot(model, optimizer, values=values, progress=progress)


def audit(
    model: nn.Module | Mapping[str, nn.Module],
    *,
    optimizer: Any = None,
    values: bool = False,
    inputs: Any = None,
    loss: Callable[[Any], Any] | None = None,
    run: RunKind | None = None,
    ranks: bool | ProcessGroup | DeviceMesh = False,
    gather_to: int | None = None,
    timeout: float = 60.0,
    target: str | None = None,
) -> Report:
    """Captures a model, as `capture` does, and reports on it: slots with their fates, totals, sharing, what each
    optimizer will step, and what is wrong. values: see `capture`; some rules need them. target: what the report says
    was audited, as the command line names it: `model.py:build`.

    run: also runs the model, and puts everything back: `graph` (the default, where there are inputs) runs forward on
    tensors without elements, which takes no memory, and follows the autograd graph; `backward` runs forward and
    backward; `step` also steps the optimizers. inputs: a tuple (positional arguments of forward), a dict (keyword
    arguments), one tensor, a function without arguments that makes these, or one that is given the model, or the dict
    of roots, and calls it; where there are none, a `dummy_inputs` of the model's. loss: makes a scalar of the output,
    or a list of them; where there is none, the output's `loss`, else the sum of its floating-point tensors.

    ranks: True asks all ranks of a job, a process group or a mesh of one dimension its own; each of them has to make
    the same call, and is told what the others hold, `report.ranks`, and where they differ. Digests of facts are
    exchanged, no element is. gather_to: the rank that alone is told, where not all are. timeout: seconds that ranks
    wait for one another.

    Raises NotAModule, NotAnOptimizer, RunError where the model cannot be run, and RanksError where ranks cannot be
    asked together.
    """

    def take() -> Snapshot:
        if run is None and inputs is None and loss is None:
            return capture(model, optimizer=optimizer, values=values)
        from paramscope.probe import snapshot_of_run

        kind = "graph" if run is None else run
        return snapshot_of_run(model, optimizer, values=values, run=kind, inputs=inputs, loss=loss)

    with paused_collector():
        if ranks is False:
            return judge(take(), target=target)
        from paramscope.distributed import over_ranks

        return judge(over_ranks(take, ranks, gather_to=gather_to, timeout=timeout), target=target)


def diff(
    a: nn.Module | Mapping[str, nn.Module] | Report | Snapshot | str | PathLike[str],
    b: nn.Module | Mapping[str, nn.Module] | Report | Snapshot | str | PathLike[str],
) -> Diff:
    """What changed from one model to another: slots that came, went, froze, thawed, were tied, took another shape,
    dtype, device or path, what each optimizer steps, totals, findings. True where anything did.

    a, b: models, as `audit` takes them, reports or snapshots of them (`audit(model, optimizer=optimizer)`, to compare
    what is stepped), or files of saved reports. A slot is found again under another path where wrappers put a name
    before it, or where all that lay in one module lies in another.

    >>> before = audit(model)                    # doctest: +SKIP
    >>> model.backbone.requires_grad_(False)     # doctest: +SKIP
    >>> print(diff(before, model))               # doctest: +SKIP

    Raises NotAModule, and ReportError for a file that is no saved report.
    """
    from paramscope.report.face import Diff

    with paused_collector():
        return Diff(_report(a), _report(b))


def _report(seen: Any) -> Report:
    from paramscope.report.face import Report

    if isinstance(seen, (str, PathLike)):
        from paramscope.wire.reader import read_report_file

        return read_report_file(fspath(seen), Report)
    if isinstance(seen, Report):
        return seen
    from paramscope.snapshot import Snapshot

    return judge(seen) if isinstance(seen, Snapshot) else audit(seen)


def watch(
    model: nn.Module | Mapping[str, nn.Module],
    optimizer: Any = None,
    *,
    steps: bool = False,
    on_finding: OnFinding = "warn",
    fail_on: Severity | str = "info",
    select: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
) -> Watch:
    """Looks on while a model is trained, and changes nothing: `mark(label)` records what changed since the last mark,
    and, where steps are watched, each step of the optimizers is held against what was meant.

    model, optimizer: as for `audit`; both are held weakly. steps: whether steps are watched, through hooks of the
    optimizers. on_finding: what becomes of a finding, besides that it is kept: `warn` issues a FindingsWarning,
    `raise` raises FindingsError at the step, `collect` does nothing more. fail_on: the least severity that is warned
    of, or raised for. select, ignore: the rules that are held against the steps, and those that are not, as the
    command line names them: `"PS724"`, `"PS721,PS722"`, or a list.

    Of the result, `timeline`, `findings` and `report` say what was seen, and `str` all of it. `close()`, or the end
    of a `with` block, detaches.

    Raises NotAModule, NotAnOptimizer, and RuleError for a rule that there is not.
    """
    with paused_collector():
        from paramscope.loop.watch import Watch
        from paramscope.rules.choice import choose
        from paramscope.rules.discovery import discover

        rules = choose(discover().rules, select, ignore)
        return Watch(model, optimizer, steps=steps, on_finding=on_finding, fail_on=fail_on, rules=rules, audit=audit)


def judge(snapshot: Snapshot, *, rules: Sequence[Loaded] | None = None, target: str | None = None) -> Report:
    """A report on a snapshot: what rules find in it, all of them where none are given. Plugins that could not be
    loaded are among the skipped. target: what was audited, as the command line names it."""
    from paramscope.report.face import Report
    from paramscope.rules.discovery import discover
    from paramscope.rules.engine import check

    checked = check(snapshot, rules)
    failed = discover().failed if rules is not None else ()
    return Report(snapshot, findings=checked.findings, skipped=(*checked.skipped, *failed), target=target)
