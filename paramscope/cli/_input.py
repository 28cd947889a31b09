"""A TARGET of a command → the report that it saved, or the model and optimizer that it builds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from paramscope.cli._building import FLAGS
from paramscope.cli._waiting import waiting
from paramscope.errors import RunError, TargetError

if TYPE_CHECKING:
    from paramscope.cli._building import Building
    from paramscope.report.face import Report
    from paramscope.snapshot import Snapshot

RANKS_TIMEOUT = 60.0
"""Seconds that ranks wait for one another."""
_TRAINS = "; if it trains on import, put that under `if __name__ == '__main__':`"
"""The likeliest reason why an import does not end."""


def load_report(target: str, building: Building) -> Report:
    """The report on a TARGET: read, where it is a saved one, else built and audited."""
    saved = saved_report(target, is_built=any(building), options=FLAGS)
    if saved is not None:
        return saved
    from paramscope.api import judge

    snapshot = look(target, building)
    with waiting(f"auditing {target}"):
        return judge(snapshot, target=target)


def saved_report(target: str, *, is_built: bool, options: str) -> Report | None:
    """A saved report; None for a TARGET that is none. Raises TargetError where options say how to build it."""
    if not target.endswith(".json"):
        return None
    if is_built:
        raise TargetError(
            f"{target} is a saved report: nothing is built, so {options} do not apply",
            "Leave them out, or name the code: path/model.py:build.",
        )
    from paramscope.report.face import Report
    from paramscope.wire.reader import read_report_file

    return read_report_file(target, Report)


def look(target: str, building: Building, *, values: bool = False) -> Snapshot:
    """What is in the model that a TARGET builds, and what a run of it shows, where one was asked for. values: whether
    the elements of tensors are read, too. Raises TargetError, and RunError."""
    model, optimizer = build(target, building)
    if not building.ranks:
        return _seen(target, model, optimizer, building, values=values)
    from paramscope.distributed import over_ranks, started_by_launcher

    started_by_launcher()
    with waiting(f"asking all ranks of {target}"):
        take = partial(_seen, target, model, optimizer, building, values=values)
        return over_ranks(take, ranks=True, gather_to=None, timeout=RANKS_TIMEOUT)


def _seen(target: str, model: Any, optimizer: Any, building: Building, *, values: bool) -> Snapshot:
    from paramscope.api import capture

    if not building.is_run:
        with waiting(f"auditing {target}"):
            return capture(model, optimizer=optimizer, values=values)
    from paramscope.load.target import load_beside, surroundings
    from paramscope.probe import snapshot_of_run
    from paramscope.probe.sizes import maker, parse_sizes

    if building.inputs and building.sizes:
        raise RunError("--inputs and --input-size both say what forward is given", "Leave one of them out.")
    inputs, loss = (load_beside(each, target) if each else None for each in (building.inputs, building.loss))
    if building.sizes is not None:
        inputs = maker(parse_sizes(building.sizes), model)
    with waiting(f"running {target}"), surroundings(target):
        return snapshot_of_run(model, optimizer, values=values, run=building.run or "graph", inputs=inputs, loss=loss)


def build(target: str, building: Building) -> tuple[Any, Any]:
    """(model, optimizer) of a TARGET, as `audit` takes them. Raises TargetError."""
    from paramscope.load.target import import_target, load_target

    if target.endswith(".json"):
        raise TargetError(f"{target} names no code that builds a model", "Name it: path/model.py:build.")
    with waiting(f"importing {target.rpartition(':')[0] or target}", _TRAINS):
        import_target(target)
    with waiting(f"building {target}"):
        built = load_target(target, building.optimizers, arguments=building.arguments, meta=building.meta)
    optimizers = built.made if built.optimizer is None else (built.optimizer, *built.made)
    return built.model, optimizers if len(optimizers) > 1 else next(iter(optimizers), None)
