"""What hides a Parameter or a module that is not registered: the mark that says so, and how the rules read it."""

from __future__ import annotations

import functools
from collections import UserDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.hiding import FORMS, Parts, Plain, Slotted, closure
from torch import nn

from paramscope import Snapshot, capture


def holding(thing: Any) -> nn.Module:
    """A module with one attribute."""
    model = nn.Linear(2, 2)
    model.held = thing
    return model


def ways(snapshot: Snapshot) -> list[tuple[str, str, object]]:
    """(path, kind of thing, own name of its class) of every mark."""
    marks = (mark for mark in snapshot.oddities if mark.kind == "held-by")
    return [(mark.path, mark.name, str(mark.value).rpartition(".")[2]) for mark in marks]


CASES: dict[str, tuple[Callable[[Any], Any], list[tuple[str, str, str]]]] = {
    "itself": (lambda part: part, []),
    "list": (lambda part: [part], []),
    "UserDict": (lambda part: UserDict(a=part), []),
    "dataclass": (Parts, [("held->part", "record", "Parts")]),
    "namespace": (lambda part: SimpleNamespace(a=[part]), [("held->a[0]", "record", "SimpleNamespace")]),
    "object": (Plain, [("held->part", "object", "Plain")]),
    "slots": (Slotted, [("held->part", "object", "Slotted")]),
    "partial": (lambda part: functools.partial(print, part), [("held->args[0]", "callable", "partial")]),
    "closure": (closure, [("held-><part>", "callable", "function")]),
    "method": (lambda part: Plain(part).method, [("held->__self__->part", "callable", "method")]),
    "object in dataclass": (lambda part: Parts(Plain(part)), [("held->part->part", "object", "Plain")]),
    "dataclass in object": (lambda part: Plain(Parts(part)), [("held->part->part", "object", "Plain")]),
    "object in partial": (
        lambda part: functools.partial(print, Plain(part)),
        [("held->args[0]->part", "callable", "partial")],
    ),
}


@pytest.mark.parametrize(("wrap", "expected"), CASES.values(), ids=CASES)
def test_what_hides_it_best_is_marked(wrap: Callable[[Any], Any], expected: list[tuple[str, str, str]]) -> None:
    for part in (nn.Parameter(torch.zeros(2)), nn.Linear(2, 1)):
        found = [way for way in ways(capture(holding(wrap(part)))) if not way[0].endswith(("weight", "bias"))]
        assert found == expected


@pytest.mark.parametrize("wrap", [wrap for wrap, _ in FORMS.values()], ids=FORMS)
def test_what_is_registered_is_not_marked(wrap: Callable[[Any], Any]) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    model.held = wrap(model[0])
    model.also = wrap(model[0].weight)
    assert ways(capture(model)) == []


def test_plain_tensors_are_not_marked() -> None:
    assert ways(capture(holding(Plain(torch.zeros(2))))) == []
