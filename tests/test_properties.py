"""Random module trees: names, totals, fates, ties and hidden things against torch and a search by brute force."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType, SimpleNamespace
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.oracle import assert_moved, assert_stepped, assert_torch_agrees, registered
from support.trees import Maker, Slotted
from torch import nn

from paramscope import Report, audit, capture
from paramscope.snapshot import AliasRecord

# The same trees each time. Shrinking one takes a minute: add Phase.shrink to see the smallest that fails.
STEADY = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


@st.composite
def optimizer_members(draw: st.DrawFn, count: int) -> list[int]:
    """Which parameters an optimizer gets."""
    return draw(st.lists(st.integers(0, count - 1), unique=True, min_size=1))


def inside(value: Any) -> Iterator[Any]:
    """The modules and tensors in what holds some, holders in it opened."""
    if isinstance(value, (nn.Module, torch.Tensor)):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from inside(item)
    elif isinstance(value, dict):
        yield from inside(list(value.values()))
    elif isinstance(value, (SimpleNamespace, Slotted)):
        yield from inside(value.items)
    elif isinstance(value, partial):
        yield from inside(value.args)
    elif isinstance(value, FunctionType):
        yield from inside([cell.cell_contents for cell in value.__closure__ or ()])


def unregistered_tensors(model: nn.Module) -> dict[int, torch.Tensor]:
    """By brute force: every tensor that can be reached but is not registered, by id."""
    seen_as = {id(t) for t in (*model.parameters(), *model.buffers())}
    found: dict[int, torch.Tensor] = {}
    visited: set[int] = set()
    todo: list[Any] = [model]
    while todo:
        thing = todo.pop()
        if id(thing) in visited:
            continue
        visited.add(id(thing))
        if isinstance(thing, torch.Tensor):
            if id(thing) not in seen_as:
                found[id(thing)] = thing
            continue
        todo += [t for t in (*thing._parameters.values(), *thing._buffers.values()) if t is not None]
        todo += [child for child in thing._modules.values() if child is not None]
        for name, value in vars(thing).items():
            if name not in ("_parameters", "_buffers", "_modules"):
                todo += inside(value)
    return found


def is_hidden(tensor: torch.Tensor) -> bool:
    """Whether an unregistered tensor is one that somebody may mean to train."""
    return isinstance(tensor, nn.Parameter) or tensor.requires_grad


def unregistered(report: Report) -> set[int]:
    """Numbers of the tensors that no registered slot holds."""
    seen = {slot.tensor for slot in report.slots.records() if slot.registered}
    return {s.tensor for s in report.slots.records() if s.tensor is not None} - seen


@STEADY
@given(st.data())
def test_what_is_registered(data: st.DataObject) -> None:
    model = Maker(data).tree(3)
    assert_torch_agrees(model, audit(model))
    assert_stepped(model)


@STEADY
@given(st.data())
def test_what_is_hidden(data: st.DataObject) -> None:
    model = Maker(data).tree(3)
    report = audit(model)
    by_force = unregistered_tensors(model)
    assert report.totals.hidden == sum(t.numel() for t in by_force.values() if is_hidden(t))
    numbers = unregistered(report)
    assert len(numbers) == len(by_force)
    found = {slot.tensor: slot for slot in report.slots.records() if slot.tensor in numbers}
    shapes = sorted((slot.shape, slot.dtype, slot.status == "hidden") for slot in found.values())
    assert shapes == sorted(
        (tuple(t.shape), str(t.dtype).removeprefix("torch."), is_hidden(t)) for t in by_force.values()
    )
    # Whatever is not registered is neither saved nor moved, and each is found once by that name.
    assert not any(s.saved or s.moved for s in report.slots.records() if not s.registered)
    assert len(set(report.slots)) == len(report.slots)


def follow(model: nn.Module, path: str) -> Any:
    """What lies at a path, which is what one would write in Python, but for numbers as names."""
    thing: Any = model
    for step in re.findall(r"\[\d+\]|-><\w+>|->\w+|\w+", path):
        if step.startswith("["):
            thing = thing[int(step[1:-1])]
        elif step.startswith("-><"):
            (cell,) = thing.__closure__
            thing = cell.cell_contents
        else:
            thing = getattr(thing, step.removeprefix("->"))
    return thing


@STEADY
@given(st.data())
def test_each_path_leads_to_its_tensor(data: st.DataObject) -> None:
    model = Maker(data).tree(3)
    by_number: dict[int, int] = {}
    for slot in audit(model).slots.records():
        if slot.tensor is None:
            continue
        thing = follow(model, slot.path)
        assert isinstance(thing, torch.Tensor)
        assert tuple(thing.shape) == slot.shape
        assert by_number.setdefault(slot.tensor, id(thing)) == id(thing)
    assert len(set(by_number.values())) == len(by_number)


@STEADY
@given(st.data())
def test_a_second_way_to_something_registered_is_an_alias(data: st.DataObject) -> None:
    model = Maker(data).tree(3)
    snapshot = capture(model)
    for alias in snapshot.aliases:
        assert alias.of in snapshot.slots or alias.of in snapshot.modules
        assert alias.path not in snapshot.slots
        assert follow(model, alias.path) is follow(model, alias.of)
    seen = {id(t) for t in (*model.parameters(), *model.buffers(), *model.modules())}
    attributes = [slot.path for slot in snapshot.slots.records() if slot.role == "attribute"]
    hidden = [path for path, module in snapshot.modules.items() if not module.registered]
    assert [path for path in (*attributes, *hidden) if id(follow(model, path)) in seen] == []


@STEADY
@given(st.data())
def test_what_an_optimizer_holds(data: st.DataObject) -> None:
    model = Maker(data).tree(3)
    parameters = list(model.parameters())
    if not parameters:
        return
    chosen = [parameters[i] for i in data.draw(optimizer_members(len(parameters)))]
    report = audit(model, optimizer=torch.optim.SGD(chosen, lr=0.1))
    (group,) = report.optimizers[0].groups
    first = {id(p): name for name, p in reversed(list(model.named_parameters(remove_duplicate=False)))}
    assert group.slots == tuple(first[id(p)] for p in chosen)
    assert group.numel == sum(p.numel() for p in chosen)
    missing = {id(p) for p in parameters if p.requires_grad} - {id(p) for p in chosen}
    assert {slot.path for slot in report.not_stepped()} == {
        name for name, p in model.named_parameters(remove_duplicate=False) if id(p) in missing
    }


def addresses(tensor: torch.Tensor) -> frozenset[int]:
    """Every byte that a tensor reaches, found by visiting each of its elements."""
    starts = {0}
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        starts = {start + i * stride for start in starts for i in range(size)}
    begin, width = tensor.data_ptr(), tensor.itemsize
    return frozenset(begin + start * width + byte for start in starts for byte in range(width))


def every_tensor(model: nn.Module) -> dict[int, torch.Tensor]:
    """All that is registered or can be reached, by id."""
    return {id(t): t for t in (*model.parameters(), *model.buffers())} | unregistered_tensors(model)


@STEADY
@given(st.data())
def test_the_memory_is_counted_once(data: st.DataObject) -> None:
    model = Maker(data).tree(2)
    everything = every_tensor(model).values()
    assert audit(model).totals.nbytes == len(frozenset().union(*map(addresses, everything)))


@STEADY
@given(st.data())
def test_what_shares_memory(data: st.DataObject) -> None:
    model = Maker(data).tree(2)
    report = audit(model)
    # By brute force: slots by tensor, tensors by the bytes they reach, byte sets by whether they meet.
    slots_of: dict[int, list[str]] = {}
    tensors = {}
    for slot in report.slots.records():
        if slot.tensor is not None:
            slots_of.setdefault(slot.tensor, []).append(slot.path)
            tensors[slot.tensor] = follow(model, slot.path)
    by_bytes: dict[frozenset[int], list[int]] = {}
    for number, tensor in tensors.items():
        by_bytes.setdefault(addresses(tensor), []).append(number)
    by_bytes.pop(frozenset(), None)
    groups: list[set[frozenset[int]]] = []
    for reached in by_bytes:
        meeting = [group for group in groups if any(reached & other for other in group)]
        groups = [group for group in groups if group not in meeting]
        groups.append({reached}.union(*meeting))

    def paths(numbers: Iterable[int]) -> tuple[str, ...]:
        order = list(report.slots)
        return tuple(sorted((path for number in numbers for path in slots_of[number]), key=order.index))

    expected = {("tied", tuple(members)) for members in slots_of.values() if len(members) > 1}
    expected |= {("aliased", paths(numbers)) for numbers in by_bytes.values() if len(numbers) > 1}
    expected |= {
        ("overlapping", paths(number for reached in group for number in by_bytes[reached]))
        for group in groups
        if len(group) > 1
    }
    assert {(r.kind, r.slots) for r in report.sharing if r.kind != "co-located"} == expected
    for record in report.sharing:
        numbers = {n for path in record.slots if (n := report.slots[path].tensor) is not None}
        if record.kind == "co-located":
            parts = [group for group in groups if any(set(by_bytes[reached]) & numbers for reached in group)]
            assert len(parts) > 1
            assert len({tensors[number].untyped_storage()._cdata for number in numbers}) == 1


@STEADY
@given(st.data())
def test_odd_attributes(data: st.DataObject) -> None:
    model = Maker(data).tree(3)
    report = audit(model)
    odd = [path for path, module in report.modules.items() if hasattr(follow(model, path), "require_grad")]
    first = {path for path in odd if report.modules.path_at(report.modules[path].object) == path}
    marked = {mark.path for mark in report.snapshot.oddities if mark.kind == "odd-attribute"}
    assert first <= marked <= set(odd)


@STEADY
@given(st.data())
def test_a_second_look_a_pickle_and_json_are_equal(data: st.DataObject) -> None:
    model = Maker(data).tree(3)
    versions = [t._version for t in (*model.parameters(), *model.buffers())]
    snapshot = capture(model)
    assert capture(model) == snapshot
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot  # our own, made a moment ago
    report = Report(snapshot)
    again = Report.from_json(report.to_json())
    assert list(again.slots.records()) == list(report.slots.records())
    assert again.totals == report.totals
    assert [t._version for t in (*model.parameters(), *model.buffers())] == versions


@STEADY
@given(st.data())
def test_what_moves(data: st.DataObject) -> None:
    model = Maker(data).tree(2)
    report = audit(model)
    assert_moved(report, model)


@STEADY
@given(st.data())
def test_empty_slots_are_where_torch_has_none(data: st.DataObject) -> None:
    model = Maker(data).tree(3)
    report = audit(model)
    expected = [
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules(remove_duplicate=False)
        for name, tensor in (*module._parameters.items(), *module._buffers.items())
        if tensor is None
    ]
    empty = [s.path for s in report.slots.records() if s.status == "empty" and s.registered]
    assert empty == expected
    assert all(slot.numel for slot in registered(report, "parameter") if slot.shape != (0,))


def test_the_trees_are_worth_looking_at() -> None:
    seen: Counter[str] = Counter()

    @STEADY
    @given(st.data())
    def look(data: st.DataObject) -> None:
        report = audit(Maker(data).tree(3))
        slots = list(report.slots.records())
        seen.update(
            {
                "ties": any(r.kind == "tied" for r in report.sharing),
                "registered tensors of hidden modules": any(
                    alias.of in report.slots and "." in alias.path for alias in report.snapshot.aliases
                ),
                "hidden modules": any(not module.registered for module in report.modules.values()),
                "shared modules": any(
                    module.registered and report.modules.path_at(module.object) != module.path
                    for module in report.modules.values()
                ),
                "plain tensors": any(slot.status == "attribute" for slot in slots),
                "transient buffers": any(slot.persistent is False for slot in slots),
                "frozen": any(slot.frozen for slot in slots),
                "empty": any(slot.status == "empty" for slot in slots),
                "aliases": bool(report.snapshot.aliases),
                "views": any(r.kind == "aliased" for r in report.sharing),
                "overlaps": any(r.kind == "overlapping" for r in report.sharing),
                "co-located": any(r.kind == "co-located" for r in report.sharing),
                "behind objects": any("->" in slot.path for slot in slots),
                "behind closures": any("-><" in slot.path for slot in slots),
                "odd attributes": bool(report.snapshot.oddities),
            }
        )

    look()
    assert {what: count for what, count in seen.items() if not count} == {}


def test_a_registered_tensor_in_a_hidden_module_is_an_alias_and_not_hidden() -> None:
    model: Any = nn.Module()
    head = nn.Linear(3, 4)
    model.embedding = nn.Embedding(4, 3)
    head.weight = model.embedding.weight
    model.heads = [head]
    report = audit(model)
    # The bias alone.
    assert report.totals.hidden == 4
    assert report.slots["heads[0].bias"].status == "hidden"
    assert report.snapshot.aliases == (AliasRecord("heads[0].weight", "embedding.weight"),)
    assert "heads[0].weight" not in report.slots
