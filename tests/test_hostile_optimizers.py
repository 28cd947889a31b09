"""Optimizers, groups, members, options and states with code of their own, or of no use."""

from __future__ import annotations

import collections
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.hostile_models import Everything, Holder, everything, examine, many
from support.traps import hostile, mine, trip
from torch import nn

from paramscope import Report, audit
from paramscope.errors import NotAnOptimizer


def made(optimizer: type[Any] = torch.optim.SGD) -> tuple[nn.Module, Any]:
    """A model, and an optimizer that took a step."""
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    optimizer = optimizer(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.zeros(1, 3)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    return model, optimizer


def stepped(report: Report) -> int:
    """How many slots stand in a group."""
    return sum(1 for slot in report.slots.records() if slot.groups)


METHODS = (
    *("__getattribute__", "__getattr__", "__repr__", "__eq__", "__hash__", "__getstate__", "__setstate__", "__dir__"),
    *("state_dict", "add_param_group", "step", "zero_grad", "profile_hook_step", "_optimizer_step_code"),
)


@pytest.mark.parametrize("how", ["methods", "properties", "slots of its own", "metaclass"])
def test_optimizers_with_code_of_their_own(how: str) -> None:
    model, optimizer = made()
    if how == "methods":
        optimizer.__class__ = hostile(torch.optim.SGD, *(name for name in METHODS if hasattr(torch.optim.SGD, name)))
    elif how == "properties":
        names = ("param_groups", "state", "defaults", "optimizer", "__dict__", "__slots__")
        body = {name: property(lambda self, name=name: trip(name)) for name in names if name != "__slots__"}
        optimizer.__class__ = type("Own", (torch.optim.SGD,), body)
    elif how == "slots of its own":
        optimizer.__class__ = type("Own", (torch.optim.SGD,), {"__bool__": mine("__bool__", object), "__len__": trip})
    else:
        names = ("__eq__", "__hash__", "__instancecheck__", "__subclasscheck__", "__getattribute__", "__call__")
        meta = type("Meta", (type,), {name: mine(name, type) for name in names})
        optimizer.__class__ = meta("Own", (torch.optim.SGD,), {})
    assert stepped(examine(model, optimizer=optimizer)) == 4


OwnDict, OwnList, OwnTuple = everything(dict), everything(list), everything(tuple)
OwnDefault, OwnOrdered = everything(collections.defaultdict), everything(collections.OrderedDict)


@pytest.mark.parametrize("kind", [OwnDict, OwnOrdered, lambda group: OwnDefault(None, group)])
def test_groups_are_dicts_of_their_own(kind: Any) -> None:
    model, optimizer = made()
    optimizer.param_groups = [kind(group) for group in optimizer.param_groups]
    assert stepped(examine(model, optimizer=optimizer)) == 4


@pytest.mark.parametrize("kind", [OwnList, OwnTuple])
@pytest.mark.parametrize("what", ["groups", "params"])
def test_lists_are_of_their_own(kind: Any, what: str) -> None:
    model, optimizer = made()
    if what == "groups":
        optimizer.param_groups = kind(optimizer.param_groups)
    else:
        group = optimizer.param_groups[0]
        group["params"] = kind(group["params"])
        group["param_names"] = kind(["a", "b", "c", "d"])
    assert stepped(examine(model, optimizer=optimizer)) == 4


@pytest.mark.parametrize("kind", [OwnDict, OwnOrdered, lambda state: OwnDefault(dict, state)])
@pytest.mark.parametrize("what", ["state", "of each"])
def test_states_are_dicts_of_their_own(kind: Any, what: str) -> None:
    model, optimizer = made()
    nbytes = audit(model, optimizer=optimizer).optimizers[0].groups[0].state_nbytes
    assert nbytes
    if what == "state":
        optimizer.state = kind(optimizer.state)
    else:
        optimizer.state = {key: kind(value) for key, value in optimizer.state.items()}
    report = examine(model, optimizer=optimizer)
    assert report.optimizers[0].groups[0].state_nbytes == nbytes


def test_the_factory_of_a_state_makes_nothing() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    optimizer = torch.optim.Adam(model.parameters())
    assert type(optimizer.state) is collections.defaultdict
    examine(model, optimizer=optimizer)
    assert len(optimizer.state) == 0


class OwnMapping(collections.abc.Mapping[Any, Any]):
    """A mapping that computes what it holds."""

    def __getitem__(self, key: Any) -> Any:
        trip("__getitem__")
        raise KeyError(key)

    def __iter__(self) -> Any:
        trip("__iter__")
        return iter(())

    def __len__(self) -> int:
        trip("__len__")
        return 0


ODD_STATES: dict[str, Callable[[], Any]] = {
    "an object": Everything,
    "None": lambda: None,
    "a mapping": OwnMapping,
    "a list": list,
    "objects": lambda: {Everything(): Everything(), 1: Everything(), "a": {Everything(): Everything()}},
    "modules": lambda: {nn.Linear(1, 1): nn.Linear(1, 1)},
    "a user's dict": lambda: collections.UserDict({1: 2}),
    "a proxy": lambda: types.MappingProxyType(OwnDict({1: OwnDict()})),
}


@pytest.mark.parametrize("kind", ODD_STATES)
@pytest.mark.parametrize("where", ["state", "of one"])
def test_states_that_are_none(kind: str, where: str) -> None:
    model, optimizer = made()
    if where == "state":
        optimizer.state = ODD_STATES[kind]()
    else:
        optimizer.state[model[0].weight] = ODD_STATES[kind]()
        optimizer.state[model[0].bias] = {"step": ODD_STATES[kind](), Everything(): torch.zeros(3)}
    assert stepped(examine(model, optimizer=optimizer)) == 4


def test_states_of_odd_tensors() -> None:
    model, optimizer = made()
    optimizer.state[model[0].weight] = {
        "sparse": torch.eye(3).to_sparse(),
        "meta": torch.zeros(1 << 61, device="meta", dtype=torch.int8),
        "freed": torch.zeros(0),
        "lazy": nn.parameter.UninitializedParameter(),
        "mkldnn": torch.zeros(2, 3).to_mkldnn(),
        "cow": torch._lazy_clone(torch.zeros(3)),
        "nested": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
        "wide": torch.zeros(1).expand(1 << 40),
    }
    assert stepped(examine(model, optimizer=optimizer)) == 4


OPTIONS: dict[str, Any] = {
    "an object": Everything(),
    "an int of its own": everything(int)(3),
    "a float of its own": everything(float)(0.5),
    "a str of its own": everything(str)("text"),
    "a list of its own": OwnList([1, 2]),
    "a tuple of its own": OwnTuple((1, 2)),
    "nan": float("nan"),
    "infinity": float("inf"),
    "minus infinity in a tuple": (0.9, float("-inf")),
    "a long number": 10**5_000,
    "a long negative number": -(10**5_000),
    "a number above 64 bits": 1 << 70,
    "a complex number": 1j,
    "a tensor": torch.tensor(0.1),
    "a tensor of numbers": torch.zeros(3),
    "a sparse tensor": torch.eye(3).to_sparse(),
    "a lazy tensor": nn.parameter.UninitializedParameter(),
    "a list in itself": [],
    "lists in lists": [],
    "a long list": list(range(100_000)),
    "a long text": "x" * 1_000_000,
    "a function": trip,
    "a class": nn.Linear,
    "bytes": b"\xff",
    "a dict": {"a": Everything()},
    "objects in lists": [[Everything()]],
    "a lone surrogate": "\ud800\x1b[31m\n",
}
OPTIONS["a list in itself"].append(OPTIONS["a list in itself"])
for _ in range(5_000):
    OPTIONS["lists in lists"] = [OPTIONS["lists in lists"]]


@pytest.mark.parametrize("kind", OPTIONS)
def test_options(kind: str) -> None:
    model, optimizer = made()
    optimizer.param_groups[0]["odd"] = OPTIONS[kind]
    optimizer.param_groups[0]["lr"] = OPTIONS[kind]
    report = examine(model, optimizer=optimizer)
    assert stepped(report) == 4
    assert "odd" in dict(report.optimizers[0].groups[0].options)


KEYS: dict[str, Any] = {
    "an object": Everything(),
    "a number": 1,
    "None": None,
    "a str of its own": everything(str)("odd"),
    "a str like another": everything(str)("params"),
    "a long number": 10**5_000,
    "a tuple": (1, Everything()),
    "a class": nn.Linear,
}


@pytest.mark.parametrize("kind", KEYS)
def test_names_of_options(kind: str) -> None:
    model, optimizer = made()
    if kind == "a str like another":
        optimizer.param_groups[0][KEYS[kind]] = optimizer.param_groups[0].pop("params")
    else:
        optimizer.param_groups[0][KEYS[kind]] = 1
    report = examine(model, optimizer=optimizer)
    assert stepped(report) == 4 or kind == "a str like another"
    assert {type(name) for name, _ in report.optimizers[0].groups[0].options} == {str}


MEMBERS: dict[str, Callable[[nn.Module], Any]] = {
    "none at all": lambda model: [],
    "an object": lambda model: Everything(),
    "objects": lambda model: [Everything(), None, 1, "text", nn.Linear(1, 1), nn.Linear],
    "one tensor": lambda model: model[0].weight,
    "one tensor a thousand times": lambda model: [model[0].weight] * 1_000,
    "a dict": lambda model: dict(model.named_parameters()),
    "pairs": lambda model: list(model.named_parameters()),
    "a generator": lambda model: model.parameters(),
    "an iterator": lambda model: iter(list(model.parameters())),
    "a set": lambda model: set(model.parameters()),
    "a deque": lambda model: collections.deque(model.parameters()),
    "None": lambda model: None,
    "a text": lambda model: "params",
    "lists": lambda model: [[model[0].weight], (model[0].bias,)],
    "strangers": lambda model: [torch.zeros(i) for i in range(3_000)],
    "buffers": lambda model: [torch.zeros(3), nn.parameter.UninitializedParameter(), torch.eye(2).to_sparse()],
}


@pytest.mark.parametrize("kind", MEMBERS)
@pytest.mark.parametrize("names", [None, ["a"], Everything(), 3, [Everything()], [None] * 4, ["\ud800\n"] * 4])
def test_members(kind: str, names: Any) -> None:
    model, optimizer = made()
    group = optimizer.param_groups[0]
    group["params"] = MEMBERS[kind](model)
    if names is not None:
        group["param_names"] = names
    report = examine(model, optimizer=optimizer)
    assert len(report.optimizers[0].groups) == 1
    if kind in ("a generator", "an iterator"):
        # Nobody took anything from it.
        assert len(list(group["params"])) == 4


def test_a_group_without_params_and_without_anything() -> None:
    model, optimizer = made()
    del optimizer.param_groups[0]["params"]
    optimizer.param_groups.append({})
    assert stepped(examine(model, optimizer=optimizer)) == 0
    optimizer.param_groups = []
    assert examine(model, optimizer=optimizer).optimizers[0].groups == ()


def test_many_groups() -> None:
    count = many(3_000)
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(count // 2)))
    optimizer = torch.optim.SGD([{"params": [p], "lr": float(i)} for i, p in enumerate(model.parameters())])
    assert stepped(examine(model, optimizer=optimizer)) == count


def test_as_many_strangers_as_the_model_has_parameters() -> None:
    count = many(3_000)
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(count // 2)))
    optimizer = torch.optim.SGD([torch.zeros_like(p) for p in model.parameters()])
    report = examine(model, optimizer=optimizer)
    assert len(report.optimizers[0].groups[0].foreign) == count


def test_strangers_between_members() -> None:
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(many(1_000))))
    members = [p if i % 2 else torch.zeros_like(p) for i, p in enumerate(model.parameters())]
    foreign = examine(model, optimizer=torch.optim.SGD(members)).optimizers[0].groups[0].foreign
    assert len(foreign) == len(members) // 2
    assert all(each.replaced_by for each in foreign)


WRAPPERS = ("optimizer", "_optimizer", "optim", "base_optimizer", "inner_optimizer")


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers(name: str) -> None:
    model, optimizer = made()
    wrapper: Any = Everything()
    wrapper.__dict__[name] = optimizer
    assert stepped(examine(model, optimizer=wrapper)) == 4
    around: Any = Holder(1)
    around.__dict__[name] = wrapper
    assert stepped(examine(model, optimizer=around)) == 4


def test_wrappers_in_one_another() -> None:
    model, optimizer = made()
    wrapper = optimizer
    for _ in range(5_000):
        outer: Any = Holder(1)
        outer.optimizer = wrapper
        wrapper = outer
    assert stepped(examine(model, optimizer=wrapper)) == 4


@pytest.mark.parametrize("round", ["itself", "two"])
def test_a_wrapper_of_itself(round: str) -> None:
    first: Any = Holder(1)
    first.optimizer = second = Holder(1) if round == "two" else first
    second.optimizer = first
    with pytest.raises(NotAnOptimizer):
        audit(nn.Linear(1, 1), optimizer=first)


NONE: dict[str, Callable[[], Any]] = {
    "an object": Everything,
    "a number": lambda: 1,
    "a text": lambda: "adam",
    "a class": lambda: torch.optim.SGD,
    "a module": lambda: nn.Linear(1, 1),
    "an object with wrong groups": lambda: types.SimpleNamespace(param_groups=Everything()),
    "an object with groups that are none": lambda: types.SimpleNamespace(param_groups=[Everything()]),
}


@pytest.mark.parametrize("kind", NONE)
def test_what_is_no_optimizer_is_refused(kind: str) -> None:
    model = nn.Linear(1, 1)
    with pytest.raises(NotAnOptimizer):
        audit(model, optimizer=NONE[kind]())
    with pytest.raises(NotAnOptimizer):
        audit(model, optimizer={"a": NONE[kind]()})


def test_many_strangers() -> None:
    """Ten thousand tensors, where it is timed, that the model does not have, among as many that it has and no optimizer steps."""
    model = nn.Module()
    most, some = many(8_000), many(2_000)
    for i in range(most):
        model._parameters[f"p{i}"] = nn.Parameter(torch.zeros(1 + i % 7))
    held = list(model.parameters())
    members = [each for pair in zip(held[:some], torch.zeros(some, 1).unbind(), strict=True) for each in pair]
    optimizer = torch.optim.SGD(members + list(torch.zeros(most, 2).unbind()), lr=0.1)
    report = examine(model, optimizer=optimizer)
    assert len(report.optimizers[0].groups[0].foreign) == most + some
