"""Where the param groups of an optimizer lie: in itself, or in the one within it that does the stepping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from paramscope.capture.classes import class_mro, definer, is_a, is_torch, short_name
from paramscope.capture.code import calls_on
from paramscope.capture.lookups import attribute_reader, plain_name
from paramscope.capture.stepping import steps_as

Group = dict[str, Any]

WRAPPED_AS = ("optimizer", "_optimizer", "optim", "base_optimizer", "inner_optimizer")
"""Attributes in which wrappers, and schedulers, keep the optimizer that they are for."""
# Each rank steps a part of what these list, and sends the result to the others.
_SHARDING = frozenset({"ZeroRedundancyOptimizer", "OSS"})
# DeepSpeed's: where the parameters of each group lie, and where what is stepped for them: this rank's part of all, in
# one row and in float32. ZeRO-1 and 2; bfloat16 without ZeRO; ZeRO-3; float16 without ZeRO, fused and not.
_FLATTENED = (
    ("bit16_groups", "single_partition_of_fp32_groups"),
    ("bf16_groups", "fp32_groups_flat_partition"),
    ("fp16_groups", "fp32_partitioned_groups_flat"),
    ("fp16_groups", "fp32_groups_flat"),
    ("fp16_groups", "fp32_groups"),
)
_ITERABLE = (list, tuple, set)


class Found(NamedTuple):
    """The groups that a step goes over."""

    holder: Any
    """The optimizer itself, or the one that it wraps."""
    groups: list[Group]
    state: Mapping[int, Any]
    """By the parameter's id."""
    inner: Inner | None = None
    """An optimizer within the holder that its step hands over to, where that one holds other tensors."""


class _Flattened(NamedTuple):
    """Parameters of one group, or of a part of it, that a wrapper had flattened before the optimizer within it."""

    group: int
    originals: list[Any]
    copies: list[Any]


class Inner(NamedTuple):
    """An optimizer within another one."""

    name: str
    """The attribute that holds it."""
    found: Found


def find_groups(optimizer: Any) -> Found | None:
    """The param groups of an optimizer, or of the one that a wrapper wraps; None for what has none."""
    seen: set[int] = set()
    inner = optimizer
    flattened: list[_Flattened] = []
    while id(inner) not in seen:
        seen.add(id(inner))
        state = instance_dict(inner)
        groups = as_groups(state.get("param_groups"))
        if groups is not None and flattened:
            return _of_originals(Found(inner, groups, _states(state)), flattened)
        if groups is not None:
            return Found(inner, groups, _states(state), _inner(inner, groups, state))
        flattened = flattened or list(_flattened(state))
        inner = next((state[name] for name in WRAPPED_AS if state.get(name) is not None), inner)
    if definer(type(optimizer), "param_groups") is None:
        return None
    # A wrapper that computes its groups: asking it is the only way to know them.
    groups = as_groups(optimizer.param_groups)
    return None if groups is None else Found(optimizer, groups, {})


def _flattened(state: Mapping[str, Any]) -> Iterator[_Flattened]:
    """What a wrapper says of the parameters whose copies the optimizer within it steps."""
    for originals, copies in _FLATTENED:
        if is_a(state.get(originals), list) and is_a(state.get(copies), list):
            group_of: Any = state.get("sub_group_to_group_id")
            pairs = zip(items(state[originals]), items(state[copies]), strict=False)
            for at, (of_group, flat) in enumerate(pairs):
                group = dict.get(group_of, at, at) if is_a(group_of, dict) else at
                yield _Flattened(group, items(of_group), items(flat) if is_a(flat, *_ITERABLE) else [flat])
            return


def _of_originals(found: Found, flattened: list[_Flattened]) -> Found:
    """The groups with the model's own parameters in place of their copies; what is kept for the copies lies with the
    first of these parameters, as one thing that is made for no single one."""
    copies = {id(copy) for each in flattened for copy in each.copies}
    groups = []
    for index, group in enumerate(found.groups):
        originals = [each for part in flattened if part.group == index for each in part.originals]
        groups.append({**group, "params": [*originals, *(m for m in members(group) if id(m) not in copies)]})
    kept = {
        id(part.originals[0]): {str(at): found.state.get(id(copy)) for at, copy in enumerate(part.copies)}
        for part in flattened
        if part.originals and any(id(copy) in found.state for copy in part.copies)
    }
    return found._replace(groups=groups, state={**found.state, **kept})


def _inner(holder: Any, groups: list[Group], state: Mapping[str, Any]) -> Inner | None:
    """What a wrapper steps in place of its own groups, where these hold other tensors."""
    for name in WRAPPED_AS:
        held = state.get(name)
        if held is None or held is holder:
            continue
        below = instance_dict(held)
        theirs = as_groups(below.get("param_groups"))
        if theirs is None:
            continue
        own, inner = by_id(groups).keys(), by_id(theirs).keys()
        if own == inner or not _hands_over(type(holder), name):
            return None
        # Of several optimizers within it, each steps its part.
        if not own <= inner and own <= _held_by_all(state):
            return None
        return Inner(name, Found(held, theirs, _states(below)))
    return None


def _hands_over(cls: type, name: str) -> bool:
    """Whether a wrapper's class steps through the optimizer that it keeps under a name, and does not step itself."""
    if any(short_name(base) in _SHARDING for base in class_mro(cls)):
        return False
    steps = steps_as(cls) or ""
    if steps.startswith("torch.optim.") and steps != "torch.optim.optimizer.Optimizer":
        return False
    return any(calls_on(base, name, "step") for base in class_mro(cls) if not is_torch(base))


def _held_by_all(state: Mapping[str, Any]) -> set[int]:
    """Ids of the members of all optimizers that something keeps."""
    return {number for _, groups in _kept(state) for number in by_id(groups)}


def _kept(state: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], list[Group]]]:
    """The attributes and groups of all optimizers that something keeps, one by one or in lists."""
    for name, value in state.items():
        if name != "param_groups":
            for each in (value, *items(value)):
                below = instance_dict(each)
                groups = as_groups(below.get("param_groups"))
                if groups is not None:
                    yield below, groups


def keeps(thing: Any, other: Any) -> bool:
    """Whether something has another thing for an attribute, or in a list there."""
    return any(each is other for value in instance_dict(thing).values() for each in (value, *items(value)))


def defaults_of(*optimizers: Any) -> dict[str, Any] | None:
    """What optimizers, and those that they keep, say in their `defaults`; None where none says anything."""
    found: dict[str, Any] | None = None
    for each in optimizers:
        state = instance_dict(each)
        for attributes in (state, *(below for below, _ in _kept(state))):
            said: Any = attributes.get("defaults")
            if is_a(said, dict):
                found = {} if found is None else found
                for key, value in dict.items(said):
                    found.setdefault(plain_name(key), value)
    return found


def _states(state: Mapping[str, Any]) -> Mapping[int, Any]:
    held: Any = state.get("state")
    # By identity: looking a tensor up would hash it.
    return {id(key): value for key, value in dict.items(held)} if is_a(held, dict) else {}


def by_id(groups: list[Group]) -> dict[int, Any]:
    """The members of all groups by their ids, each once."""
    return {id(member): member for group in groups for member in members(group)}


def as_groups(groups: Any) -> list[Group] | None:
    """Groups as plain dicts with plain keys; None for anything else."""
    found = items(groups)
    if not is_a(groups, list, tuple) or not all(is_a(group, dict) for group in found):
        return None
    return [{plain_name(key): value for key, value in dict.items(group)} for group in found]


def instance_dict(thing: Any) -> Mapping[str, Any]:
    """The attributes of any object, read as the search for hidden things reads them."""
    steps = attribute_reader(type(thing))
    return {} if steps is None else {step.removeprefix("->"): value for step, value in steps(thing)}


def members(group: Group) -> list[Any]:
    """What a group holds; of one that holds a tensor in place of a list, that."""
    params = group.get("params", [])
    return items(params) if is_a(params, *_ITERABLE) else [params]


def items(things: Any) -> list[Any]:
    """What a list, a tuple or a set holds, read through the built-in class; nothing of anything else."""
    for base in _ITERABLE:
        if is_a(things, base):
            return list(base.__iter__(things))
    return []
