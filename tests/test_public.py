"""The public face: the names that are promised, and that they stay what they are."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn

import paramscope
from paramscope import Report, Snapshot, audit


def test_every_promised_name_is_there() -> None:
    assert sorted(paramscope.__all__) == [
        "Finding", "Location", "Report", "Severity", "Skipped", "Snapshot", "audit", "capture",
    ]  # fmt: skip
    for name in paramscope.__all__:
        assert getattr(paramscope, name).__doc__


def test_names_are_found_before_they_are_imported_and_others_are_not() -> None:
    code = "import paramscope, sys; print(*dir(paramscope)); print('paramscope.api' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    names, is_imported = printed.splitlines()
    assert {*paramscope.__all__, "__version__"} <= set(names.split())
    assert is_imported == "False"
    code = "import paramscope; print(paramscope.errors.ParamscopeError.__name__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "ParamscopeError\n"
    with pytest.raises(AttributeError, match="module 'paramscope' has no attribute 'adit'"):
        paramscope.adit  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'adit'"):
        from paramscope import adit  # type: ignore[attr-defined]  # noqa: F401


def test_capture_can_be_called_also_when_the_package_of_that_name_is_imported() -> None:
    from paramscope.capture.walk import Walk

    assert isinstance(Walk, type)
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    from paramscope import capture

    assert capture(model) == paramscope.api.capture(model) == audit(model).snapshot
    assert capture(model, optimizer=optimizer) == audit(model, optimizer=optimizer).snapshot


def test_reports_and_snapshots_do_not_change() -> None:
    report = audit(nn.Linear(2, 2))
    for thing, name in ((report, "snapshot"), (report, "totals"), (report.snapshot, "roots")):
        with pytest.raises(AttributeError, match="does not change"):
            setattr(thing, name, None)
        with pytest.raises(AttributeError, match="does not change"):
            delattr(thing, name)
    with pytest.raises(AttributeError):
        report.slots["weight"].path = "other"  # type: ignore[misc]


def test_reports_pickle_and_compare() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    report = audit(model)
    again = pickle.loads(pickle.dumps(report))
    assert isinstance(again, Report)
    assert isinstance(again.snapshot, Snapshot)
    assert again == report == audit(model)
    assert report != audit(model[0])
    assert report != 3
    assert repr(report) == "<Report of 2 slots, 0 findings>"
    assert repr(report.snapshot) == "<Snapshot of 3 modules, 2 slots>"


def test_records_by_path_and_by_glob() -> None:
    report = audit(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)))
    assert report.slots["0.weight"].shape == (3, 2)
    assert report.slots["0.weight"].trainable
    assert "0.wait" not in report.slots
    assert len(report.slots) == 4
    assert [slot.path for slot in report.select("*.bias")] == ["0.bias", "1.bias"]
    assert [slot.path for slot in report.select("?.weight")] == ["0.weight", "1.weight"]
    assert report.select("[01].weight") == ()
    assert report.modules[""].type == "torch.nn.modules.container.Sequential"
    assert report.worst() is None
    with pytest.raises(KeyError):
        report.slots["nothing"]
