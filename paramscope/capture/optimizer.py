"""What the optimizers will really step: param groups, their members by slot path, and strangers.

Anything that has `param_groups` counts as an optimizer: torch's own, user subclasses, and wrappers.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from paramscope.capture.classes import (
    definer,
    is_a,
    is_mapping,
    is_tensor_class,
    mapping_items,
    qualified_name,
    short_name,
)
from paramscope.capture.kinds import attribute_steps, plain_name
from paramscope.capture.register import TensorRegister
from paramscope.capture.stepping import mro_names, per_element, read_state, steps_as
from paramscope.capture.strangers import Strangers
from paramscope.capture.tensors import tensor_facts
from paramscope.errors import NotAnOptimizer
from paramscope.snapshot import GroupRecord, Membership, OptimizerRecord, StateRecord

DEPTH_BOUND = 8
"""Lists within lists of which an option's value is shown."""

_WRAPPED_AS = ("optimizer", "_optimizer", "optim", "base_optimizer", "inner_optimizer")
# By their ids: a class of the user's may define what it is equal to.
_PLAIN = frozenset(map(id, (int, float, bool, str, type(None))))


def named_optimizers(optimizer: Any) -> list[tuple[str, Any]]:
    """One optimizer, several, or a dict of them, as (name, optimizer) pairs."""
    if optimizer is None:
        return []
    if is_mapping(optimizer):
        return [(plain_name(name), each) for name, each in mapping_items(optimizer)]
    if is_a(optimizer, list, tuple):
        return [(str(i), each) for i, each in enumerate(_items(optimizer))]
    return [("0", optimizer)]


class OptimizerReader:
    """Reads optimizers against the tensors that the walk entered."""

    def __init__(self, tensors: TensorRegister, paths: Mapping[int, str]) -> None:
        self._tensors = tensors
        self._paths = paths
        """First path of each tensor, by number."""
        self._memberships: dict[int, list[Membership]] = {}
        self._interned: dict[tuple[Membership, ...], int] = {(): 0}

    def read(self, named: Iterable[tuple[str, Any]]) -> tuple[OptimizerRecord, ...]:
        """Every optimizer's groups. Raises NotAnOptimizer for what has no param groups."""
        every = [(name, optimizer, _found(optimizer)) for name, optimizer in named]
        for name, _, found in every:
            self._enter(name, found.groups)
        members = (member for _, _, found in every for group in found.groups for member in _members(group))
        strangers = Strangers(self._tensors, self._paths, self._memberships, members)
        return tuple(self._optimizer(name, type(optimizer), found, strangers) for name, optimizer, found in every)

    def _optimizer(self, name: str, cls: type, found: _Found, strangers: Strangers) -> OptimizerRecord:
        steps = steps_as(type(found.holder))
        names = per_element(steps)
        return OptimizerRecord(
            name,
            qualified_name(cls),
            tuple(self._group(i, group, found.state, names, strangers) for i, group in enumerate(found.groups)),
            mro_names(cls)[1:],
            () if type(found.holder) is cls else mro_names(type(found.holder)),
            steps,
        )

    def memberships(self) -> tuple[array[int], tuple[tuple[Membership, ...], ...]]:
        """For each tensor the number of its memberships, and the memberships by number."""
        column = array("i", bytes(4 * len(self._tensors.specs)))
        for tensor in sorted(self._memberships):
            places = tuple(self._memberships[tensor])
            column[tensor] = self._interned.setdefault(places, len(self._interned))
        return column, tuple(self._interned)

    def _enter(self, name: str, groups: list[dict[str, Any]]) -> None:
        known = self._tensors.numbers.get
        for index, group in enumerate(groups):
            place = Membership(name, index)
            for member in _members(group):
                tensor = known(id(member))
                if tensor is not None:
                    self._memberships.setdefault(tensor, []).append(place)

    def _group(
        self,
        index: int,
        group: dict[str, Any],
        state: Mapping[int, Any],
        per_element: frozenset[str],
        strangers: Strangers,
    ) -> GroupRecord:
        members = _members(group)
        names = _items(group.get("param_names"))
        if len(names) != len(members):
            names = []
        numbers = [self._tensors.numbers.get(id(member)) for member in members]
        slots, foreign, numel, state_nbytes = [], [], 0, 0
        misfits: list[StateRecord] = []
        for position, (member, number) in enumerate(zip(members, numbers, strict=True)):
            spec = strangers.spec(member) if number is None else self._tensors.spec(number)
            numel += spec.numel or 0
            nbytes, unfit = read_state(state.get(id(member)), per_element, position, spec)
            state_nbytes += nbytes
            misfits += unfit
            if number is not None:
                slots.append(self._paths[number])
                continue
            name = plain_name(names[position]) if names else None
            foreign.append(strangers.record(members, name, position, numbers))
        options = tuple(
            (key, plain_option(value)) for key, value in group.items() if key not in ("params", "param_names")
        )
        return GroupRecord(index, options, tuple(slots), tuple(foreign), numel, state_nbytes, tuple(misfits))


def has_param_groups(thing: Any) -> bool:
    """Whether something can be read as an optimizer."""
    return _find_groups(thing) is not None


class _Found(NamedTuple):
    """Where the param groups of an optimizer lie."""

    holder: Any
    """The optimizer itself, or the one that it wraps."""
    groups: list[dict[str, Any]]
    state: Mapping[int, Any]
    """By the parameter's id."""


def _found(optimizer: Any) -> _Found:
    found = _find_groups(optimizer)
    if found is None:
        raise NotAnOptimizer(
            f"this is no optimizer: a {short_name(type(optimizer))} has no param_groups",
            "Hand over a torch.optim.Optimizer, a list of them, or a dict such as {'gen': a, 'disc': b}.",
        )
    return found


def _find_groups(optimizer: Any) -> _Found | None:
    """The param groups of an optimizer, or of the one that a wrapper wraps."""
    seen: set[int] = set()
    inner = optimizer
    while id(inner) not in seen:
        seen.add(id(inner))
        state = _instance_dict(inner)
        groups = _as_groups(state.get("param_groups"))
        if groups is not None:
            held: Any = state.get("state")
            # By identity: looking a tensor up would hash it.
            states = {id(key): value for key, value in dict.items(held)} if is_a(held, dict) else {}
            return _Found(inner, groups, states)
        inner = next((state[name] for name in _WRAPPED_AS if state.get(name) is not None), inner)
    if definer(type(optimizer), "param_groups") is None:
        return None
    # A wrapper that computes its groups: asking it is the only way to know them.
    groups = _as_groups(optimizer.param_groups)
    return None if groups is None else _Found(optimizer, groups, {})


def _as_groups(groups: Any) -> list[dict[str, Any]] | None:
    """Groups as plain dicts with plain keys; None for anything else."""
    found = _items(groups)
    if not is_a(groups, list, tuple) or not all(is_a(group, dict) for group in found):
        return None
    return [{plain_name(key): value for key, value in dict.items(group)} for group in found]


def _instance_dict(thing: Any) -> Mapping[str, Any]:
    """The attributes of any object, read as the search for hidden things reads them."""
    steps = attribute_steps(type(thing))
    return {} if steps is None else {step.removeprefix("->"): value for step, value in steps(thing)}


def _members(group: dict[str, Any]) -> list[Any]:
    params = group.get("params", [])
    return _items(params) if is_a(params, *_ITERABLE) else [params]


_ITERABLE = (list, tuple, set)


def _items(things: Any) -> list[Any]:
    """What a list, a tuple or a set holds, read through the built-in class; nothing of anything else."""
    for base in _ITERABLE:
        if is_a(things, base):
            return list(base.__iter__(things))
    return []


def plain_option(value: Any, depth: int = 0) -> Any:
    """A hyperparameter as a plain value that JSON can hold."""
    kind = type(value)
    if kind is float and value not in (float("inf"), float("-inf")) and value == value:
        return value
    if kind is int and not -(1 << 63) <= value < 1 << 63:
        return "<int>"
    if id(kind) in _PLAIN and kind is not float:
        return value
    if kind is float:
        return str(value)
    if (kind is list or kind is tuple) and depth < DEPTH_BOUND:
        return tuple(plain_option(item, depth + 1) for item in value)
    if is_tensor_class(kind):
        # NOTE: reading the value would copy from, and wait for, the tensor's device.
        shape, dtype, device, _, _ = tensor_facts(value)
        return f"<tensor {dtype} {list(shape or ())} on {device}>"
    return f"<{short_name(kind)}>"
