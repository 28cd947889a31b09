"""What the optimizers will really step: param groups, their members by slot path, and strangers.

Anything that has `param_groups` counts as an optimizer: torch's own, user subclasses, and wrappers.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

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
from paramscope.capture.tensors import spec_of, tensor_facts
from paramscope.errors import NotAnOptimizer
from paramscope.snapshot import ForeignRecord, GroupRecord, Membership, OptimizerRecord

_CHOICE = 1_000
"""Missing tensors between two members, past which a stranger's place tells nothing."""
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
        every = [(name, optimizer, *_groups_and_state(optimizer)) for name, optimizer in named]
        for name, _, groups, _ in every:
            self._enter(name, groups)
        unstepped = Unstepped(self._tensors, self._paths, self._memberships)
        return tuple(
            OptimizerRecord(
                name,
                qualified_name(type(optimizer)),
                tuple(self._group(i, group, state, unstepped) for i, group in enumerate(groups)),
            )
            for name, optimizer, groups, state in every
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
        self, index: int, group: dict[str, Any], state: Mapping[int, Any], unstepped: Unstepped
    ) -> GroupRecord:
        members = _members(group)
        names = _items(group.get("param_names"))
        if len(names) != len(members):
            names = []
        numbers = [self._tensors.numbers.get(id(member)) for member in members]
        slots, foreign, numel, state_nbytes = [], [], 0, 0
        for position, (member, number) in enumerate(zip(members, numbers, strict=True)):
            state_nbytes += _state_nbytes(state.get(id(member)))
            if number is not None:
                slots.append(self._paths[number])
                numel += self._tensors.spec(number).numel or 0
                continue
            shape, dtype, device, count, requires_grad = tensor_facts(member)
            numel += count or 0
            name = plain_name(names[position]) if names else None
            replaced_by, evidence = unstepped.replacement(name, position, numbers, shape)
            foreign.append(
                ForeignRecord(position, name, shape, dtype, device, count, requires_grad, replaced_by, evidence)
            )
        options = tuple(
            (key, plain_option(value)) for key, value in group.items() if key not in ("params", "param_names")
        )
        return GroupRecord(index, options, tuple(slots), tuple(foreign), numel, state_nbytes)


class Unstepped:
    """The model's trainable parameters that no optimizer holds: one of them may have replaced a stranger."""

    def __init__(
        self, tensors: TensorRegister, paths: Mapping[int, str], memberships: Mapping[int, list[Membership]]
    ) -> None:
        self._paths = paths
        self._missing = sorted(
            number for number in paths if number >= 0 and number not in memberships and tensors.is_trainable(number)
        )
        self._by_path = {paths[number]: number for number in self._missing}
        self._shapes = {number: tensors.spec(number).shape for number in self._missing}
        self._by_shape: dict[tuple[int, ...] | None, list[int]] = {}
        for number, shape in self._shapes.items():
            self._by_shape.setdefault(shape, []).append(number)
        self._group: list[int | None] | None = None
        self._sides: list[tuple[int | None, int | None]] = []

    def replacement(
        self, name: str | None, position: int, numbers: list[int | None], shape: tuple[int, ...] | None
    ) -> tuple[str | None, str | None]:
        """(path of the slot that took a stranger's place, how that was told), or (None, None).

        name: what the group calls the stranger. position: where it stands among `numbers`, the group's
        members by tensor number (None for strangers).
        """
        if name is not None and name in self._by_path:
            return name, "name"
        between = self._between(position, numbers)
        if len(between) == 1:
            return self._paths[between[0]], "position"
        alike = [number for number in between if self._shapes[number] == shape]
        if len(alike) == 1:
            return self._paths[alike[0]], "position"
        alike = self._by_shape.get(shape, [])
        if len(alike) == 1:
            return self._paths[alike[0]], "shape"
        return None, None

    def _between(self, position: int, numbers: list[int | None]) -> list[int]:
        """Missing tensors that lie, in model order, between the known neighbours of a stranger."""
        before, after = self._neighbours(numbers)[position]
        if before is None and after is None:
            return []
        low = 0 if before is None else bisect_right(self._missing, before)
        high = len(self._missing) if after is None else bisect_left(self._missing, after)
        return self._missing[low:high] if high - low <= _CHOICE else []

    def _neighbours(self, numbers: list[int | None]) -> list[tuple[int | None, int | None]]:
        """For each position of a group the nearest members before and after it that the model knows."""
        if self._group is not numbers:
            self._group = numbers
            self._sides = list(zip(_last_known(numbers), reversed(_last_known(numbers[::-1])), strict=True))
        return self._sides


def _last_known(numbers: list[int | None]) -> list[int | None]:
    """For each number the last one before it that is not None."""
    found: list[int | None] = []
    last = None
    for number in numbers:
        found.append(last)
        last = last if number is None else number
    return found


def has_param_groups(thing: Any) -> bool:
    """Whether something can be read as an optimizer."""
    return _find_groups(thing) is not None


def _groups_and_state(optimizer: Any) -> tuple[list[dict[str, Any]], Mapping[int, Any]]:
    found = _find_groups(optimizer)
    if found is None:
        raise NotAnOptimizer(
            f"this is no optimizer: a {short_name(type(optimizer))} has no param_groups",
            "Hand over a torch.optim.Optimizer, a list of them, or a dict such as {'gen': a, 'disc': b}.",
        )
    return found


def _find_groups(optimizer: Any) -> tuple[list[dict[str, Any]], Mapping[int, Any]] | None:
    """The param groups of an optimizer, or of the one that a wrapper wraps, and its state by parameter id."""
    seen: set[int] = set()
    inner = optimizer
    while id(inner) not in seen:
        seen.add(id(inner))
        state = _instance_dict(inner)
        groups = _as_groups(state.get("param_groups"))
        if groups is not None:
            held: Any = state.get("state")
            # By identity: looking a tensor up would hash it.
            return groups, {id(key): value for key, value in dict.items(held)} if is_a(held, dict) else {}
        inner = next((state[name] for name in _WRAPPED_AS if state.get(name) is not None), inner)
    if definer(type(optimizer), "param_groups") is None:
        return None
    # A wrapper that computes its groups: asking it is the only way to know them.
    groups = _as_groups(optimizer.param_groups)
    return None if groups is None else (groups, {})


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


def _state_nbytes(state: Any) -> int:
    if not is_a(state, dict):
        return 0
    total = 0
    for value in dict.values(state):
        if is_tensor_class(type(value)):
            total += spec_of(value).nbytes or 0
    return total


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
