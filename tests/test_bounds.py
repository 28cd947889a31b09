"""Models without end: what is not looked into is said, and what is said is right."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from paramscope import Report, audit


def kinds(report: Report) -> list[str]:
    """Kinds of the notes."""
    return [note.kind for note in report.snapshot.notes]


def test_more_paths_than_can_be_listed() -> None:
    model: nn.Module = nn.Linear(2, 2)
    for _ in range(40):
        model = nn.Sequential(model, model)
    report = audit(model)
    assert kinds(report) == ["repeats"]
    assert "20,000" in report.snapshot.notes[0].text
    assert report.totals.by_name is None
    assert report.totals.parameters == report.totals.trainable == 6
    assert 20_000 < len(report.modules) < 20_200
    table = str(report)
    assert "by name: unknown" in table
    assert "note:" in table


def test_as_many_paths_as_torch_lists_where_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    model: nn.Module = nn.Linear(2, 2)
    for _ in range(8):
        model = nn.Sequential(model, model)
    report = audit(model)
    assert kinds(report) == []
    assert list(report.slots) == [name for name, _ in model.named_parameters(remove_duplicate=False)]
    assert report.totals.by_name == 256 * 6
    monkeypatch.setattr("paramscope.capture.walk.REPEAT_BOUND", 100)
    assert kinds(audit(model)) == ["repeats"]


def test_fifteen_hundred_nested_modules() -> None:
    model = inner = nn.Module()
    for _ in range(1_500):
        inner.below = nn.Module()
        inner = inner.below
    inner.weight = nn.Parameter(torch.zeros(2))
    report = audit(model)
    assert report.slots["below." * 1_500 + "weight"].trainable
    assert Report.from_json(report.to_json()) == report
    assert "×1" not in str(report)


def test_containers_within_containers_without_end() -> None:
    model: Any = nn.Module()
    inner: list[Any] = []
    model.deep = inner
    for _ in range(5_000):
        inner.append([])
        inner = inner[0]
    inner.append(nn.Linear(2, 2))
    around: list[Any] = [torch.zeros(2)]
    model.round = around
    around.append(around)
    report = audit(model)
    assert kinds(report) == ["depth"]
    assert report.snapshot.notes[0].path == "deep" + "[0]" * 32
    assert list(report.slots) == ["round[0]"]


def test_more_items_than_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paramscope.capture.hidden.ITEM_BOUND", 5)
    model: Any = nn.Module()
    model.many = [torch.zeros(1) for _ in range(10)]
    model.more = [torch.zeros(1)]
    report = audit(model)
    assert [(note.path, note.kind) for note in report.snapshot.notes] == [("many", "items"), ("more", "items")]
    assert list(report.slots) == [f"many[{i}]" for i in range(5)]


class Early(nn.Module):
    """Assigns before Module's own attributes are there."""

    def __init__(self) -> None:
        self.first: Any = [1, 2]
        super().__init__()
        self.first = torch.zeros(3)
        self.second = torch.zeros(4)


def test_what_was_assigned_before_init_is_seen() -> None:
    assert list(audit(Early()).slots) == ["first", "second"]


class Odd(nn.Module):
    """A plain tensor stands beside a registered parameter of the same name."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.__dict__["weight"] = torch.zeros(3)


def test_an_attribute_that_shadows_a_parameter_has_a_slot_of_its_own() -> None:
    report = audit(nn.Sequential(Odd()))
    assert [(slot.path, slot.role, slot.shape) for slot in report.slots.records()] == [
        ("0.weight", "parameter", (2,)),
        ("0->weight", "attribute", (3,)),
    ]


def test_what_fails_on_one_thing_is_said_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise LookupError("a text of nobody's concern")

    monkeypatch.setattr("paramscope.capture.modules.to_oddity", fail)
    monkeypatch.setattr("paramscope.capture.hidden.HiddenSearch._walk_modules", fail)
    model: Any = nn.Sequential(nn.Linear(2, 2))
    model[0].require_grad = False
    model.held = [nn.Linear(3, 3)]
    model.kept = torch.zeros(2)
    report = audit(model)
    assert list(report.slots) == ["kept", "0.weight", "0.bias"]
    assert [(note.path, note.kind) for note in report.snapshot.notes] == [
        ("0.require_grad", "crashed"),
        ("held", "crashed"),
        ("kept", "crashed"),
    ]
    assert "what it means cannot be told: LookupError at test_bounds.py" in " ".join(str(report).split())
    assert "concern" not in str(report)


def test_a_list_of_more_than_is_listed_tells_that_its_count_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paramscope.capture.hidden.THING_BOUND", 3)
    model: Any = nn.Module()
    model.held = [nn.Parameter(torch.zeros(2)) for _ in range(10)]
    assert "hidden: at least 6" in str(audit(model))
