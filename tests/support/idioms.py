"""What holds for every correct model: an audit looks at it without running or changing anything, and no rule warns."""

from __future__ import annotations

import gc
import random
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import torch
from torch import nn

import paramscope
from paramscope import Report, Severity, audit
from support.oracle import assert_saved, numel

# Whose a file is, is told by where its package really lies: a checkout may have any name, and hold its own .venv.
_OURS = Path(str(paramscope.__file__)).parent
_TORCH = Path(str(torch.__file__)).parent
_PYTHON = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
_INSTALLED = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
# It watches the garbage collector, in whatever process it was imported.
_HYPOTHESIS = Path(str(hypothesis.__file__)).parent
# What switches a mode of torch.
_MODES = ("utils/_contextlib.py", "autograd/grad_mode.py", "_jit_internal.py")
# What says how large a mesh is, which ranks there are, what FSDP keeps of a module, and what adds to a gradient.
_MESHES = (
    "distributed/device_mesh.py",
    "distributed/_mesh_layout.py",
    "distributed/tensor/placement_types.py",
    "distributed/__init__.py",
    "distributed/distributed_c10d.py",
    "distributed/_composable_state.py",
    "distributed/_pycute/",
    "autograd/graph.py",
)


def foreign(files: Iterable[str], *may_run: str, ours: Path = _OURS, torch: Path = _TORCH) -> set[str]:
    """Those of some code's files that an audit may not pass through.

    may_run: paths within torch, of files or folders, that it may.
    """
    passed = (ours, _HYPOTHESIS, *(torch / path for path in (*_MODES, *_MESHES, *may_run)))
    # What Python makes while it runs (named tuples, its frozen modules) has no file. Neither has what a user makes,
    # which traps (`support/traps.py`) look after.
    made = ("<string>", "<frozen ")

    def is_foreign(path: Path) -> bool:
        if any(path.is_relative_to(each) for each in passed):
            return False
        is_installed = any(path.is_relative_to(each) for each in _INSTALLED)
        return is_installed or not any(path.is_relative_to(each) for each in _PYTHON)

    return {file for file in files if not file.startswith(made) and is_foreign(Path(file))}


@contextmanager
def only_ours(*may_run: str) -> Iterator[None]:
    """Within it, Python code runs that is ours, Python's, or of torch's files below these paths."""
    ran: set[str] = set()

    def look(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            ran.add(frame.f_code.co_filename)

    was_enabled = gc.isenabled()
    gc.disable()  # what others have left is not collected in here: it may run code of its own
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)
        if was_enabled:
            gc.enable()
    assert foreign(ran, *may_run) - {__file__} == set()


def traces(model: nn.Module) -> list[Any]:
    """What an audit would change if it did anything: objects, their order, flags and versions, random numbers."""
    seen: list[Any] = [torch.get_rng_state().tolist(), random.getstate(), torch.is_grad_enabled()]
    for module in model.modules():
        seen.append([(name, id(value)) for name, value in vars(module).items()])
        held = (module._parameters, module._buffers, module._modules)
        seen.extend([(name, id(value)) for name, value in each.items()] for each in held)
        seen.extend(
            (tensor._version, id(tensor.grad) if tensor.is_leaf else None)
            for tensor in (*module._parameters.values(), *module._buffers.values())
            if tensor is not None and type(tensor) in (torch.Tensor, nn.Parameter) and not tensor.is_inference()
        )
    return seen


def look(
    model: nn.Module,
    *,
    saved: bool = True,
    runs: tuple[str, ...] = (),
    codes: tuple[str, ...] = (),
    **expected: Any,
) -> Report:
    """The report of a correct model, in which whatever holds for all of them is asserted: no rule warns of it.

    saved: whether it is told of each tensor if it is saved. runs: parts of the paths of torch's files whose code
    may run. codes: of findings that are true of it. expected: totals that are not torch's.
    """
    before = traces(model)
    report = audit(model)
    serious = [finding for finding in report.findings if finding.severity >= Severity.WARNING]
    alarms = [finding for finding in serious if finding.code not in codes]
    # Some of these tests run outside pytest, which would else show them.
    assert alarms == [], alarms
    assert [skipped for skipped in report.skipped if "crashed" in skipped.reason] == []
    with only_ours(*runs):
        again = audit(model)
    assert traces(model) == before
    assert again == report
    assert Report.from_json(report.to_json()) == report
    text = report.render("table")
    assert isinstance(text, str)
    assert text

    found = {slot.path: slot for slot in report.slots.records() if slot.registered and slot.status != "empty"}
    assert list(found) == [
        name
        for module_path, module in model.named_modules(remove_duplicate=False)
        for held in (module._parameters, module._buffers)
        for name in (
            f"{module_path}.{key}" if module_path else key for key, value in held.items() if value is not None
        )
    ]
    assert [path for path, module in report.modules.items() if module.registered] == [
        name for name, _ in model.named_modules(remove_duplicate=False)
    ]
    assert {path: m.training for path, m in report.modules.items() if m.registered} == {
        name: m.training for name, m in model.named_modules(remove_duplicate=False)
    }
    totals = report.totals
    wanted = {
        "parameters": numel(model.parameters()),
        "trainable": numel(p for p in model.parameters() if p.requires_grad),
        "buffers": numel(model.buffers()),
        "by_name": numel(p for _, p in model.named_parameters(remove_duplicate=False)),
        "hidden": 0,
        "unknown": 0,
        **expected,
    }
    assert {name: getattr(totals, name) for name in wanted} == wanted
    assert report.snapshot.notes == ()
    assert {slot.path for slot in report.slots.records() if slot.status == "hidden"} == set()
    if saved:
        assert_saved(model, report)
    return report


def only(report: Report) -> None:
    """Nothing stands beside what is registered: no attribute, alias, shared memory, or mark, but those of units."""
    assert unregistered(report) == []
    assert report.snapshot.aliases == ()
    assert [each for each in report.snapshot.oddities if each.kind != "unit"] == []
    assert report.sharing == ()


def unregistered(report: Report) -> list[str]:
    """Paths of slots that the root does not see."""
    return [slot.path for slot in report.slots.records() if not slot.registered]


def marks(report: Report) -> set[tuple[str, str, str]]:
    """(path, kind, name) of all."""
    return {(mark.path, mark.kind, mark.name) for mark in report.snapshot.oddities}


def shared(report: Report) -> list[tuple[str, tuple[str, ...]]]:
    """(kind, slots) of all."""
    return [(record.kind, record.slots) for record in report.sharing]


def shape(report: Report, path: str) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    """What it is and what it should be."""
    return report.slots[path].shape, report.slots[path].declared


def small() -> nn.Module:
    """Parameters and both kinds of what a norm keeps."""
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
