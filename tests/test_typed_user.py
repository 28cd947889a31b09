"""What people write against the public names: mypy reads it in strict mode with all tests, pyright in `make
release-check`, and it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from paramscope import (
    Diff,
    Finding,
    Location,
    Report,
    Severity,
    Skipped,
    Snapshot,
    __version__,
    audit,
    capture,
    diff,
    watch,
)
from paramscope.errors import FindingsError, ParamscopeError
from paramscope.plugin import Facts, Problem, Rule, Undecided, printable_name
from paramscope.testing import ExpectationError, expect

RULE = Rule("XX001", "parameter-is-here", Severity.INFO)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """A rule, as plugins have them."""
    for position in range(len(facts.modules)):
        module = facts.modules.at(position)
        if module.registered and "Linear" in module.type:
            yield Problem((module.path,), "{0} {0|is|are} a Linear.", "Leave it.")
    if not facts.has_optimizer:
        yield Undecided("no optimizer was given")


def render(report: Report, *, path: str | None = None) -> str:
    """A format, as plugins have them."""
    return "\n".join(printable_name(slot.path) for slot in report.select(path or "*"))


def described(finding: Finding) -> str:
    """A finding in one line."""
    place: Location | None = finding.location
    where = finding.paths[0] if place is None else f"{Path(place.file).name}:{place.line}"
    return f"{where}: {finding.severity.value} {finding.code} {finding.name}"


def net() -> nn.Sequential:
    """17 parameters."""
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))


class Hiding(nn.Module):
    """Its layer is not registered."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(2, 2)]


def test_reports() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    report = audit(model, optimizer=optimizer, inputs=torch.ones(1, 2), run="step")
    totals: tuple[int, int, int | None] = (report.totals.parameters, report.totals.frozen, report.totals.by_name)
    weight = report.slots["0.weight"]
    shape: tuple[int, ...] | None = weight.shape
    fates: tuple[bool | None, ...] = (weight.gradient, weight.stepped, weight.saved, weight.moved)
    skipped: tuple[Skipped, ...] = report.skipped
    assert (totals, shape, fates) == ((17, 0, 17), (3, 2), (True,) * 4)
    assert all(each.reason for each in skipped)
    assert render(report, path="*.bias") == "0.bias\n1.bias"
    assert report.cost.parameters == 17 * 4
    assert report.to_networkx().number_of_nodes() > 0
    assert "0.weight" in report.to_html()
    assert Report.from_json(report.to_json()) == report
    report.raise_for_findings(Severity.WARNING)
    assert __version__


def test_findings() -> None:
    report = audit({"model": Hiding()})
    (finding,) = report.findings
    assert described(finding).endswith(": error PS101 module-in-container")
    with pytest.raises(FindingsError) as raised:
        report.raise_for_findings()
    error: ParamscopeError = raised.value
    advice: str = error.advice
    assert isinstance(advice, str)


def test_two_moments() -> None:
    model = net()
    before: Snapshot = capture(model)
    model[0].weight.requires_grad_(False)
    change: Diff = diff(before, model)
    froze: tuple[str, ...] = change.froze
    assert (bool(change), froze) == (True, ("0.weight",))
    assert change.render("text").startswith("Sequential")


def test_a_loop() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, steps=True, on_finding="collect") as watched:
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]  # torch's own types
        moment = watched.mark("first")
    found: tuple[Finding, ...] = watched.findings
    assert (moment.label, found) == ("first", ())


def test_expectations() -> None:
    report: Report = expect(net(), trainable=17, frozen=(), findings=())
    assert report.totals.trainable == 17
    with pytest.raises(ExpectationError):
        expect(net())


def test_a_rule() -> None:
    problems = list(check(Facts(capture(net()))))
    assert [type(each) for each in problems] == [Problem, Problem, Undecided]
    assert RULE.severity is Severity.INFO
