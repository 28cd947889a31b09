"""What torch itself says of a model, against which a report is held."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from paramscope import Report, audit
from paramscope.snapshot import SlotRecord


def registered(report: Report, role: str) -> list[SlotRecord]:
    """Slots that the root sees, in order, without the empty ones."""
    return [s for s in report.slots.records() if s.registered and s.role == role and s.status != "empty"]


def every_parameter(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Every name of every parameter, in torch's order."""
    return list(model.named_parameters(remove_duplicate=False))


def numel(tensors: Iterable[torch.Tensor]) -> int:
    """Elements of all, those of lazy parameters being unknown; of packed ones, as many as they stand for."""
    return sum(_stands_for(t) for t in tensors if not is_lazy(t))


def _stands_for(tensor: torch.Tensor) -> int:
    packed = getattr(tensor, "quant_state", None)  # of bitsandbytes, which keeps the shape of the weight there
    return tensor.numel() if packed is None else math.prod(packed.shape)


def is_lazy(tensor: torch.Tensor) -> bool:
    """Whether a tensor waits for the first forward."""
    # NOTE: of its two subclasses torch 2.4 takes every parameter of another class for an instance.
    return isinstance(tensor, nn.parameter.UninitializedTensorMixin)  # type: ignore[attr-defined]


def ties_by_id(model: nn.Module) -> set[tuple[str, ...]]:
    """Names of registered tensors that are one object, grouped."""
    names: dict[int, list[str]] = {}
    tensors = [*every_parameter(model), *model.named_buffers(remove_duplicate=False)]
    order = {path: place for place, path in enumerate(audit(model).slots)}
    for name, tensor in sorted(tensors, key=lambda pair: order[pair[0]]):
        names.setdefault(id(tensor), []).append(name)
    return {tuple(group) for group in names.values() if len(group) > 1}


def assert_torch_agrees(model: nn.Module, report: Report) -> None:
    """Names, order, totals, the gradient and saved fates and the ties are those that torch itself gives."""
    parameters, buffers = every_parameter(model), list(model.named_buffers(remove_duplicate=False))
    found = registered(report, "parameter")
    assert [slot.path for slot in found] == [name for name, _ in parameters]
    assert [slot.path for slot in registered(report, "buffer")] == [name for name, _ in buffers]
    modules = [path for path, module in report.modules.items() if module.registered]
    assert modules == [name for name, _ in model.named_modules(remove_duplicate=False)]

    totals = report.totals
    assert totals.parameters == numel(model.parameters())
    assert totals.trainable == numel(p for p in model.parameters() if p.requires_grad)
    assert totals.frozen == numel(p for p in model.parameters() if not p.requires_grad)
    assert totals.buffers == numel(model.buffers())
    assert totals.by_name == numel(p for _, p in parameters)

    for (_, parameter), slot in zip(parameters, found, strict=True):
        assert slot.shape == (None if is_lazy(parameter) else tuple(parameter.shape))
        assert slot.gradient is (parameter.requires_grad and parameter.is_leaf)
        assert slot.status == ("trainable" if parameter.requires_grad else "frozen")

    assert_saved(model, report)
    # What a hidden module holds may be part of a tie that torch sees the rest of.
    tied = [[path for path in r.slots if report.slots[path].registered] for r in report.sharing if r.kind == "tied"]
    assert {tuple(group) for group in tied if len(group) > 1} == ties_by_id(model)


def assert_saved(model: nn.Module, report: Report) -> None:
    """The slots said to be saved are the tensors in `state_dict()`; none is left unknown."""
    slots = [slot for slot in report.slots.records() if slot.status != "empty"]
    assert {slot.path: slot.unknown for slot in slots if slot.saved is None} == {}
    saved = {slot.path for slot in slots if slot.saved}
    assert saved == {key for key, value in model.state_dict().items() if isinstance(value, torch.Tensor)}


def assert_moved(report: Report, twin: nn.Module) -> None:
    """The slots said to be moved are those that `.to()` moves in a twin of the model, which it uses up."""
    after = audit(twin.to("meta"))
    slots = [slot for slot in report.slots.records() if slot.status not in ("empty", "unknown")]
    assert {slot.path for slot in slots if slot.moved is None} == set()
    assert {slot.device for slot in slots} <= {"cpu"}, "a model on meta cannot show what moves"
    moved = {slot.path for slot in slots if after.slots[slot.path].device == "meta"}
    assert {slot.path for slot in slots if slot.moved} == moved


def assert_stepped(model: nn.Module) -> None:
    """The slots said to be stepped are those of an AdamW over every other parameter."""
    members = list(model.parameters())[::2]
    if not members:
        return
    optimizer = torch.optim.AdamW(members, lr=0.1)
    report = audit(model, optimizer=optimizer)
    inside = {id(member) for member in members}
    expected = {name: id(p) in inside and p.requires_grad for name, p in every_parameter(model)}
    assert {slot.path: slot.stepped for slot in registered(report, "parameter")} == expected
    assert all(slot.stepped is False for slot in registered(report, "buffer"))
    (group,) = report.optimizers[0].groups
    assert (len(group.slots), group.foreign) == (len(members), ())
    assert group.numel == numel(members)
