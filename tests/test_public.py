"""The public face: the names that are promised, and that they stay what they are."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn

import paramscope
from paramscope import Location, Report, Severity, Snapshot, audit
from paramscope.errors import FindingsError, PathError


def test_every_promised_name_is_there() -> None:
    assert sorted(paramscope.__all__) == [
        "Diff", "Finding", "Location", "Report", "Severity", "Skipped", "Snapshot", "audit", "capture", "diff", "watch",
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
    assert report.slots.get("nothing") is None
    with pytest.raises(KeyError):
        report.slots["nothing"]


@pytest.mark.parametrize(
    ("view", "path", "says"),
    [
        ("slots", "0.wieght", "there is nothing at '0.wieght'\nNear it: 0.weight, "),
        ("modules", "0.weight", "there is nothing at '0.weight'\n"),
        ("slots", 3, "there is nothing at 3\n"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is_near(view: str, path: str, says: str) -> None:
    report = audit(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)))
    with pytest.raises(PathError) as raised:
        getattr(report, view)[path]
    assert str(raised.value).startswith(says)


def _frozen_norm() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    return model[:2].requires_grad_(False) and model


def test_a_finding_prints_in_full() -> None:
    (finding,) = audit(_frozen_norm()).findings
    assert str(finding).splitlines()[:3] == [
        "1: warning PS202 frozen-norm-updates-statistics",
        "  Each forward still moves running_mean and running_var of 1, frozen but in training mode.",
        "  help: Call .eval() on model[1], again after every model.train().",
    ]
    located = finding._replace(location=Location("models.py", 9), unlocated="")
    assert str(located).startswith("models.py:9: warning PS202 frozen-norm-updates-statistics\n  Each forward")
    assert str(located).count("\n") == 2
    assert "\x1b" not in str(finding._replace(message="a\x1b[31mred\nname"))


def test_a_report_raises_for_its_findings() -> None:
    report = audit(_frozen_norm())
    for least in ("warning", Severity.WARNING, "info"):
        with pytest.raises(FindingsError, match=r"(?s)1 finding of severity .*1: warning PS202 .*help: Call"):
            report.raise_for_findings(least)
    with pytest.raises(AssertionError):  # what a test expects
        report.raise_for_findings()
    report.raise_for_findings("error")
    audit(nn.Linear(2, 2)).raise_for_findings("info")
    with pytest.raises(ValueError, match="'fatal' is no severity: write one of error, warning, info"):
        audit(nn.Linear(2, 2)).raise_for_findings("fatal")
