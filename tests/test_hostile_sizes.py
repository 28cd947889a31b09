"""Models that are deep, long, many or round: each is done within five seconds, and what was left out is said."""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.hostile_models import Holder, examine, many
from support.traps import trip
from torch import nn

from paramscope import Report

DEEP = 5_000


def kinds(report: Report) -> set[str]:
    """Kinds of the notes."""
    return {note.kind for note in report.snapshot.notes}


def parameter() -> nn.Parameter:
    """A Parameter of four elements."""
    return nn.Parameter(torch.zeros(4))


class Slotted:
    """An object without a dict."""

    __slots__ = ("part",)

    def __init__(self, part: Any) -> None:
        self.part = part

    def method(self) -> Any:
        """Bound to an object."""
        return self.part


def closure(part: Any) -> Callable[[], Any]:
    """A function that closes over something."""
    return lambda: part


def wrapped(part: Any) -> Any:
    """Decorated."""

    @functools.wraps(trip)
    def fn() -> Any:
        return part

    return fn


NESTS: dict[str, Callable[[Any], Any]] = {
    "list": lambda part: [part],
    "tuple": lambda part: (part,),
    "dict": lambda part: {"a": part},
    "deque": lambda part: deque([part]),
    "proxy": lambda part: SimpleNamespace(part=part),
    "object": Holder,
    "slots": Slotted,
    "method": lambda part: Slotted(part).method,
    "partial": lambda part: functools.partial(print, part),
    "keywords": lambda part: functools.partial(print, end=part),
    "closure": closure,
    "wrapped": wrapped,
    "mixed": lambda part: [Holder((functools.partial(closure({"a": part})),))],
}


@pytest.mark.parametrize("nest", NESTS)
@pytest.mark.parametrize("depth", [5, DEEP])
def test_things_in_one_another(nest: str, depth: int) -> None:
    part: Any = parameter()
    for _ in range(depth):
        part = NESTS[nest](part)
    model = nn.Sequential(nn.Linear(3, 2))
    model[0].held = part
    report = examine(model)
    # What is not found is said to be beyond a bound.
    assert (report.totals.hidden, kinds(report)) == ((0, {"depth"}) if depth == DEEP else (4, set()))


def test_deep_and_wide_at_once() -> None:
    model = nn.Module()
    part: Any = parameter()
    for _ in range(40):
        part = [part, part, {"a": part, "b": (part, part)}]
    model.held = part
    report = examine(model)
    assert kinds(report) == {"depth"}


def test_a_chain_that_leads_there_by_a_shorter_way_too() -> None:
    target = Holder(parameter())
    chain: Any = target
    for _ in range(DEEP):
        chain = [chain]
    model: Any = nn.Module()
    model.chain = chain
    model.short = [[target]]
    assert "short[0][0]->part" in list(examine(model).slots)


def test_nested_modules() -> None:
    inner: Any = nn.Module()
    model = inner
    for _ in range(1_500):
        inner.below = nn.Module()
        inner = inner.below
    inner.weight = parameter()
    inner.held = [nn.Linear(1, 1)]
    report = examine(model)
    assert report.slots["below." * 1_500 + "weight"].trainable
    assert len(report.slots) == 3
    assert report.totals.hidden == 2


def test_modules_hidden_in_one_another() -> None:
    inner: Any = nn.Module()
    model = inner
    for _ in range(1_500):
        inner.held = [nn.Module()]
        inner = inner.held[0]
    inner.weight = parameter()
    report = examine(model)
    assert report.totals.hidden == 4
    assert kinds(report) == set()


def test_modules_behind_objects_that_hold_modules() -> None:
    inner: Any = nn.Module()
    model = inner
    for _ in range(500):
        inner.held = functools.partial(print, Holder(nn.Module()))
        inner = inner.held.args[0].part
    inner.weight = parameter()
    report = examine(model)
    assert report.totals.hidden == 4
    assert kinds(report) == set()


class Twice(nn.Sequential):
    """Says little of itself: where a test fails, pytest asks for it, and torch's answer has 2⁴⁰ lines."""

    def __repr__(self) -> str:
        return "Twice()"


def test_forty_levels_of_one_module_twice() -> None:
    model: nn.Module = nn.Linear(2, 2)
    for _ in range(40):
        model = Twice(model, model)
    report = examine(model)
    assert kinds(report) == {"repeats"}
    assert report.totals.parameters == 6


def test_forty_levels_of_one_module_twice_where_nobody_sees_them() -> None:
    part: nn.Module = nn.Linear(2, 2)
    for _ in range(40):
        part = Twice(part, part)
    model: Any = nn.Module()
    model.held = [part, {"a": part}]
    report = examine(model)
    assert report.totals.hidden == 6


def test_one_module_under_many_names() -> None:
    shared = nn.Linear(2, 2)
    names = many(20_000)
    report = examine(nn.Sequential(*[shared] * names))
    assert report.totals.parameters == 6
    assert len(report.slots) == 2 * names


def test_one_tensor_under_many_names() -> None:
    weight = parameter()
    model = nn.Module()
    names = many(20_000)
    for i in range(names):
        model._parameters[f"weight{i}"] = weight
    report = examine(model)
    assert report.totals.parameters == 4
    assert len(report.slots) == names
    assert len(report.sharing) == 1


LISTS: dict[str, Callable[[], Any]] = {
    "small ints": lambda: list(range(many(2_000_000))),
    "ints, then a text": lambda: [*range(many(2_000_000) - 1), "text"],
    "texts": lambda: ["text"] * many(2_000_000),
    "floats in a tuple": lambda: (1.5,) * many(2_000_000),
    "None": lambda: [None] * many(2_000_000),
    "a set": lambda: set(range(many(1_000_000))),
    "a dict": lambda: dict.fromkeys(range(500_000)),
    "a dict by text": lambda: {str(i): i for i in range(300_000)},
    "tuples": lambda: [(1, 2)] * many(1_000_000),
    "tuples, each another": lambda: [(i, i) for i in range(200_000)],
    "lists, each another": lambda: [[i] for i in range(200_000)],
    "objects that are one": lambda: [Holder(1)] * many(1_000_000),
    "bytes": lambda: bytearray(many(100_000_000)),
    "a deque": lambda: deque(range(many(1_000_000))),
    "a range": lambda: range(1 << 62),
    "forever": lambda: itertools.repeat(1),
    "exceptions": lambda: [ValueError()] * 100_000,
    "lambdas": lambda: [lambda: 1 for _ in range(100_000)],
    "classes": lambda: [int, str, Holder] * 100_000,
}


@pytest.mark.parametrize("kind", LISTS)
def test_long_lists(kind: str) -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    model[0].held = LISTS[kind]()
    report = examine(model)
    assert report.totals.parameters == 8
    assert list(report.slots) == ["0.weight", "0.bias"]
    # Items among which no tensor can be cost nothing of what may be looked at, however many they are.
    assert kinds(report) == set()


def test_one_tensor_many_times_in_a_list() -> None:
    model: Any = nn.Module()
    model.held = [torch.zeros(3)] * many(2_000_000)
    report = examine(model)
    assert report.totals.attributes == 3
    assert kinds(report) == {"items"}


def test_one_registered_tensor_many_times_in_a_list() -> None:
    model: Any = nn.Sequential(nn.Linear(3, 2))
    model[0].held = [model[0].weight] * many(2_000_000)
    report = examine(model)
    assert list(report.slots) == ["0.weight", "0.bias"]
    assert kinds(report) == {"aliases"}


def test_one_module_many_times_in_a_list() -> None:
    model: Any = nn.Module()
    model.held = [nn.Linear(1, 1)] * many(2_000_000)
    report = examine(model)
    assert report.totals.hidden == 2
    assert kinds(report) == {"items"}


def test_many_tensors_in_a_list() -> None:
    model: Any = nn.Module()
    model.held = list(torch.zeros(100_000).unbind())
    report = examine(model)
    # More than are listed; that is said.
    assert kinds(report) == {"items"}
    assert 10_000 < len(report.slots) < 100_000


def test_many_objects_each_with_a_dict() -> None:
    model: Any = nn.Module()
    model.held = [Holder(i) for i in range(200_000)]
    model.last = parameter()
    report = examine(model)
    assert kinds(report) == {"items"}
    assert report.slots["last"].trainable


def test_many_objects_in_one_another() -> None:
    model: Any = nn.Sequential(nn.Linear(3, 2))
    model[0].held = {i: Holder([Holder({"a": i})]) for i in range(60_000)}
    assert kinds(examine(model)) == {"items"}


def test_many_attributes() -> None:
    model: Any = nn.Sequential(nn.Linear(3, 2))
    for i in range(100_000):
        model[0].__dict__[f"held{i}"] = [i]
    model[0].held = Holder(1)
    model[0].held.__dict__.update((f"part{i}", (i, i)) for i in range(100_000))
    model[0].found = parameter()
    assert "0.found" in list(examine(model).slots)


def test_many_modules_that_hold_one_thing() -> None:
    shared = [Holder([parameter()]) for _ in range(1_000)]
    model: Any = nn.Sequential(*(nn.Identity() for _ in range(3_000)))
    for layer in model:
        layer.held = shared
        layer.bound = functools.partial(print, shared)
        layer.tuple = (shared,)
    report = examine(model)
    assert report.totals.hidden == 4_000
    assert len(report.slots) == 1_000


def test_many_classes() -> None:
    model = nn.Sequential(*(type(f"Layer{i}", (nn.Identity,), {"x": i})() for i in range(2_000)))
    for i, layer in enumerate(model):
        layer.held = type(f"Thing{i}", (Holder,), {})(i)
    assert len(examine(model).modules) == 2_001


def test_one_class_with_many_members_and_a_long_mro() -> None:
    cls: Any = type("Layer", (nn.Linear,), {f"member{i}": (i,) for i in range(5_000)})
    for i in range(100):
        cls = type(f"Layer{i}", (cls,), {f"own{i}": [i]})
    cls.found = torch.zeros(3)
    report = examine(nn.Sequential(cls(3, 2)))
    assert "0::found" in list(report.slots)


def test_a_function_with_a_thousand_cells_and_a_partial_with_as_many_arguments() -> None:
    names = [f"v{i}" for i in range(1_000)]
    code = f"def make({', '.join(names)}):\n    return lambda: ({', '.join(names)})"
    found: dict[str, Any] = {}
    exec(code, found)
    model: Any = nn.Module()
    model.held = found["make"](*range(999), parameter())
    model.bound = functools.partial(print, *range(999), parameter())
    assert list(examine(model).slots) == ["held-><v999>", "bound->args[999]"]


def round_list() -> Any:
    """A list in itself."""
    made: list[Any] = [parameter()]
    made.append(made)
    return made


def round_dict() -> Any:
    """A dict in itself, twice."""
    made: dict[str, Any] = {"a": parameter()}
    made["b"] = made["c"] = made
    return made


def round_partial() -> Any:
    """A partial whose argument it is."""
    made: Any = functools.partial(print, parameter())
    made.__setstate__((print, (*made.args, made), {"end": made}, {"itself": made}))
    return made


def round_object() -> Any:
    """An object that knows itself by a method."""
    made: Any = Slotted(None)
    made.part = [made, made.method, parameter()]
    return made


def round_closure() -> Any:
    """A function that calls itself."""
    part = parameter()

    def fn(again: Any = None) -> Any:
        return fn, part, again

    fn.__defaults__ = (fn,)
    fn.itself = fn
    return fn


def round_tuple() -> Any:
    """A tuple that holds itself through a list."""
    inner: list[Any] = [parameter()]
    made = (inner, inner)
    inner.append(made)
    return made


def two_rounds() -> Any:
    """Two objects that know one another."""
    first, second = Holder(parameter()), Holder(None)
    first.other, second.part = second, {"first": first}
    return second


@pytest.mark.parametrize(
    "make", [round_list, round_dict, round_partial, round_object, round_closure, round_tuple, two_rounds]
)
def test_round_structures(make: Callable[[], Any]) -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    model[0].held = make()
    report = examine(model)
    assert report.totals.hidden == 4
    assert len(report.slots) == 3
    assert kinds(report) == set()


def test_a_model_that_leads_to_itself_in_every_way() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    layer = model[0]
    layer.__dict__.update(
        model=model,
        listed=[model, layer],
        held=Holder(model),
        bound=model.forward,
        partial=functools.partial(model, model, part=model),
        closure=closure(model),
        keyed={model: model},
        some={model, layer},
        slotted=Slotted(Holder(layer)),
    )
    type.__setattr__(Kept, "kept", [model])
    model.kept = Kept(3, 2)
    try:
        report = examine(model)
    finally:
        del Kept.kept
    assert list(report.modules) == ["", "0", "kept"]
    assert report.totals.parameters == 16
    assert report.totals.hidden == 0


class Kept(nn.Linear):
    """Its class keeps models."""

    kept: Any


def test_a_module_that_is_its_own_child() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    model._modules["again"] = model
    model[0]._modules["up"] = model
    model[0]._modules["own"] = model[0]
    report = examine(model)
    assert kinds(report) == {"cycle"}
    assert report.totals.parameters == 8


def test_two_hidden_modules_that_are_one_anothers_children() -> None:
    first, second = nn.Linear(1, 1), nn.Linear(1, 1)
    first._modules["other"], second._modules["other"] = second, first
    model: Any = nn.Module()
    model.held = [first, second]
    report = examine(model)
    assert report.totals.hidden == 4


def test_a_recursion_limit_that_is_nearly_met() -> None:
    """The caller is deep in calls of its own."""

    def dive(depth: int) -> Report:
        return dive(depth - 1) if depth else examine(model)

    model: Any = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Linear(2, 2)))
    model.held = [[[Holder(parameter())]]]
    import sys

    frame, used = sys._getframe(), 0
    while frame is not None:
        frame, used = frame.f_back, used + 1
    assert dive(sys.getrecursionlimit() - used - 150).totals.hidden == 4
