"""An audit runs none of the model's code: what records every call records none, what raises does not raise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from support.traps import audit_watched, hostile, ran, trip, watched
from torch import nn
from torch.nn.utils import parametrize

OBJECT = ("__eq__", "__hash__", "__repr__", "__getattribute__", "__setattr__", "__format__")
Module = hostile(nn.Module, *OBJECT, "__getattr__", "__dir__", "named_parameters", "_named_members", "_apply")


class Net(Module):
    """Whatever is asked of it, its own code answers."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(3, 2)
        self.plain = torch.ones(2)
        self.child = nn.ModuleDict({"inner": nn.Linear(2, 2)})

    def __len__(self) -> int:
        trip("__len__")
        return 0

    def __bool__(self) -> bool:
        trip("__bool__")
        return False

    def __iter__(self) -> Iterator[Any]:
        trip("__iter__")
        return iter(())

    @property
    def answer(self) -> int:
        """A property."""
        trip("answer")
        return 42

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        trip("state_dict")
        return super().state_dict(*args, **kwargs)

    def parameters(self, *args: Any, **kwargs: Any) -> Iterator[nn.Parameter]:
        trip("parameters")
        return super().parameters(*args, **kwargs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        trip("forward")
        return x


def test_the_traps_work() -> None:
    model = Net()
    with watched():
        for trap in (
            len,
            bool,
            repr,
            iter,
            hash,
            lambda m: m.answer,
            lambda m: isinstance(m, dict),
            lambda m: m == 1,
        ):
            with pytest.raises(RuntimeError):
                trap(model)
    assert len(ran) == 8


def test_a_module_whose_every_method_is_its_own() -> None:
    report = audit_watched(Net())
    assert report.totals.parameters == 8 + 6
    assert report.slots["plain"].status == "attribute"
    # That it overrides state_dict() leaves it open what is saved.
    assert report.slots["lin.weight"].saved is None
    # Hidden in a list, and as a child of another, it is no different.
    outer: Any = nn.Sequential(Net())
    outer.others = [Net(), {"net": Net()}]
    assert audit_watched(outer).totals == report.totals._replace(
        hidden=28, attributes=6, nbytes=3 * report.totals.nbytes, slots=15, modules=13
    )


CONTAINER = ("__iter__", "__len__", "__getitem__", "__contains__", "__eq__", "__repr__", "__getattribute__")


def test_containers_with_methods_of_their_own() -> None:
    model = nn.Module()
    model.pairs = hostile(dict, *CONTAINER, "items", "values", "keys")(a=nn.Linear(1, 1), b=torch.ones(3))
    model.items = hostile(list, *CONTAINER)([nn.Linear(2, 1), torch.ones(1)])
    model.both = hostile(tuple, *CONTAINER, "__hash__")((torch.ones(2), nn.Linear(3, 1)))
    model.some = hostile(set, *CONTAINER)({nn.Linear(4, 1)})
    report = audit_watched(model)
    assert [slot.path for slot in report.slots.records() if slot.role == "attribute"] == [
        "pairs['b']",
        "items[1]",
        "both[0]",
    ]
    assert report.totals.hidden == 2 + 3 + 4 + 5
    assert report.totals.attributes == 6


class Key:
    """A key of a dict that raises when it is looked at."""

    def __repr__(self) -> str:
        trip("Key.__repr__")
        return "key"

    def __eq__(self, other: object) -> bool:
        trip("Key.__eq__")
        return self is other

    def __hash__(self) -> int:
        trip("Key.__hash__")
        return 1

    def __getattr__(self, name: str) -> Any:
        trip("Key.__getattr__")
        raise AttributeError(name)


def test_keys_and_values_with_methods_of_their_own() -> None:
    model: Any = nn.Module()
    model.by_key = {Key(): torch.ones(2), "key": Key(), Key: Key()}
    model.key = Key()
    report = audit_watched(model)
    assert [slot.path for slot in report.slots.records()] == ["by_key[<Key>]"]


class Doubled(nn.Module):
    """A parametrization, whose forward makes the weight each time it is asked for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        trip("parametrization")
        return x * 2


def test_a_parametrization_is_not_computed() -> None:
    model: Any = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Doubled())
    with watched(), pytest.raises(RuntimeError):
        model.weight.sum()
    report = audit_watched(model)
    assert [slot.path for slot in report.slots.records()] == ["bias", "parametrizations.weight.original"]
    assert report.totals.parameters == 6


def test_hooks_do_not_run() -> None:
    model = nn.Linear(2, 2)
    model.register_state_dict_pre_hook(lambda *_: trip("state_dict pre-hook"))
    model._register_state_dict_hook(lambda *_: trip("state_dict hook"))
    model.register_forward_hook(lambda *_: trip("forward hook"))
    model.weight.register_hook(lambda *_: trip("tensor hook"))
    with watched(), pytest.raises(RuntimeError):
        model.state_dict()
    report = audit_watched(model)
    assert report.slots["weight"].saved is None


Optimizer = hostile(torch.optim.SGD, *OBJECT, "state_dict", "add_param_group", "step")


def test_an_optimizer_whose_every_method_is_its_own() -> None:
    model = nn.Linear(2, 2)
    report = audit_watched(model, optimizer=Optimizer(model.parameters(), lr=0.1))
    assert [slot.stepped for slot in report.slots.records()] == [True, True]


class Meta(type):
    """A metaclass with methods of its own, which run wherever a class is compared or is the key of a dict."""

    def __eq__(cls, other: object) -> bool:
        trip("Meta.__eq__")
        return cls is other

    def __hash__(cls) -> int:
        trip("Meta.__hash__")
        return 1

    def __instancecheck__(cls, instance: object) -> bool:
        trip("Meta.__instancecheck__")
        return False


class Thing(metaclass=Meta):
    """An attribute of a model."""


class Metered(nn.Module, metaclass=Meta):
    """A model of such a class."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(2, 2)


@pytest.mark.parametrize("holds", ["the class of a module", "the class of an attribute"])
def test_classes_with_a_metaclass_of_their_own(holds: str) -> None:
    model: nn.Module = Metered() if holds == "the class of a module" else nn.Sequential(nn.Linear(2, 2))
    if holds != "the class of a module":
        model.thing = Thing()
        model.things = [Thing(), torch.ones(1)]
    assert audit_watched(model).totals.parameters == 6


class OwnDict(nn.Module):
    """A property where Python keeps what an instance holds."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(2, 2)

    @property
    def __dict__(self) -> dict[str, Any]:
        trip("__dict__")
        return nn.Module.__dict__["__dict__"].__get__(self)


def test_a_property_in_the_place_of_the_instance_dict() -> None:
    assert audit_watched(OwnDict()).totals.parameters == 6
