"""Fates that the model's own code decides: unknown exactly where it may, and for the reason that is given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from paramscope import Report, audit


class Cache(nn.Module):
    """Holds a plain tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(2, 2)
        self.cache = torch.zeros(3)


class Moving(Cache):
    """Its `to()` may move anything."""

    def __init__(self) -> None:
        super().__init__()
        self.child = Cache()

    def to(self, *args: Any, **kwargs: Any) -> Any:
        self.child.cache = self.child.cache.to(*args, **kwargs)
        return super().to(*args, **kwargs)


def test_the_root_s_to_is_the_only_one_that_is_called() -> None:
    report = audit(Moving())
    assert {path: slot.moved for path, slot in report.slots.items() if "cache" in path} == {
        "cache": None,
        "child.cache": None,
    }
    assert report.slots["child.lin.weight"].moved is True
    assert dict(report.slots["child.cache"].unknown)["moved"] == "Moving overrides to()"
    # Within another, nobody calls it.
    inner = audit(nn.Sequential(Moving()))
    assert {slot.moved for path, slot in inner.slots.items() if "cache" in path} == {False}
    # Each of several roots is moved by itself.
    both = audit({"a": Moving(), "b": Cache()})
    assert [both.slots[path].moved for path in ("a.child.cache", "b.cache")] == [None, False]


class Applying(Cache):
    """Moves what it holds itself."""

    def _apply(self, fn: Any, recurse: bool = True) -> Any:  # noqa: FBT001  # as torch has it
        self.cache = fn(self.cache)
        return super()._apply(fn, recurse)


def test_an_own_apply_holds_for_its_owner_wherever_that_stands() -> None:
    model = nn.Sequential(Applying(), Cache())
    slots = audit(model).slots
    assert (slots["0.cache"].moved, slots["1.cache"].moved) == (None, False)


def bound(model: nn.Module, name: str) -> None:
    """Puts a method of the instance's own in the place of the class's."""
    setattr(model, name, (lambda self, *_: {}).__get__(model, type(model)))


def test_state_dict_replaced_on_an_instance_leaves_all_below_open() -> None:
    model = nn.Sequential(Cache(), Cache())
    bound(model[0], "state_dict")
    slots = audit(model).slots
    assert (slots["0.lin.weight"].saved, slots["1.lin.weight"].saved) == (None, True)
    assert dict(slots["0.lin.weight"].unknown)["saved"] == "the instance has a state_dict() of its own"


@pytest.mark.parametrize(
    ("name", "fates"),
    [
        ("_save_to_state_dict", {"0.cache": (None, False), "0.lin.weight": (True, True)}),
        ("get_extra_state", {"0.cache": (None, False), "0.lin.weight": (True, True)}),
        ("_apply", {"0.cache": (False, None), "0.lin.weight": (True, True)}),
    ],
)
def test_other_methods_replaced_on_an_instance(name: str, fates: dict[str, Any]) -> None:
    model = nn.Sequential(Cache())
    bound(model[0], name)
    slots = audit(model).slots
    assert {path: (slots[path].saved, slots[path].moved) for path in fates} == fates


def test_of_several_reasons_for_one_fate_the_first_is_told() -> None:
    class Both(nn.Linear):
        def state_dict(self, *args: Any, **kwargs: Any) -> Any:
            return {}

        def get_extra_state(self) -> Any:
            return 3

    model = Both(2, 2)
    model.extra = torch.ones(3)
    report = audit(model)
    slot = report.slots["extra"]
    assert slot.saved is None
    assert [reason for fate, reason in slot.unknown if fate == "saved"] == ["Both overrides state_dict()"]
    assert Report.from_json(report.to_json()) == report
