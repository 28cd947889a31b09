"""What the optimizers will really step: param groups, their members by slot path, and strangers.

Anything that has `param_groups` counts as an optimizer: torch's own, user subclasses, and wrappers.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

from paramscope.capture.classes import definer, is_a, is_tensor_class, qualified_name, short_name
from paramscope.capture.register import TensorRegister
from paramscope.capture.tensors import tensor_facts
from paramscope.errors import NotAnOptimizer
from paramscope.snapshot import ForeignRecord, GroupRecord, Membership, OptimizerRecord

_WRAPPED_AS = ("optimizer", "_optimizer", "optim", "base_optimizer", "inner_optimizer")
_PLAIN = (int, float, bool, str, type(None))


def named_optimizers(optimizer: Any) -> list[tuple[str, Any]]:
    """One optimizer, several, or a dict of them, as (name, optimizer) pairs."""
    if optimizer is None:
        return []
    if is_a(optimizer, Mapping):
        return [(str(name), each) for name, each in optimizer.items()]
    if is_a(optimizer, list, tuple):
        return [(str(i), each) for i, each in enumerate(optimizer)]
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
        names: Any = group.get("param_names")
        if not is_a(names, list, tuple) or len(names) != len(members):
            names = None
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
            name = str(names[position]) if names else None
            replaced_by, evidence = unstepped.replacement(name, position, numbers, shape)
            foreign.append(
                ForeignRecord(position, name, shape, dtype, device, count, requires_grad, replaced_by, evidence)
            )
        options = tuple(
            (str(key), plain_option(value)) for key, value in group.items() if key not in ("params", "param_names")
        )
        return GroupRecord(index, options, tuple(slots), tuple(foreign), numel, state_nbytes)


class Unstepped:
    """The model's trainable parameters that no optimizer holds: one of them may have replaced a stranger."""

    def __init__(
        self, tensors: TensorRegister, paths: Mapping[int, str], memberships: Mapping[int, list[Membership]]
    ) -> None:
        self._paths = paths
        self._missing = [
            number for number in paths if number >= 0 and number not in memberships and tensors.is_trainable(number)
        ]
        self._by_path = {paths[number]: number for number in self._missing}
        self._shapes = {number: tensors.spec(number).shape for number in self._missing}

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
        alike = [number for number in self._missing if self._shapes[number] == shape]
        if len(alike) == 1:
            return self._paths[alike[0]], "shape"
        return None, None

    def _between(self, position: int, numbers: list[int | None]) -> list[int]:
        """Missing tensors that lie, in model order, between the known neighbours of a stranger."""
        before = next((n for n in reversed(numbers[:position]) if n is not None), None)
        after = next((n for n in numbers[position + 1 :] if n is not None), None)
        if before is None and after is None:
            return []
        low = -1 if before is None else before
        high = float("inf") if after is None else after
        return [number for number in self._missing if low < number < high]


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
            return groups, {id(key): value for key, value in held.items()} if is_a(held, Mapping) else {}
        inner = next((state[name] for name in _WRAPPED_AS if state.get(name) is not None), inner)
    if definer(type(optimizer), "param_groups") is None:
        return None
    # A wrapper that computes its groups: asking it is the only way to know them.
    groups = _as_groups(optimizer.param_groups)
    return None if groups is None else (groups, {})


def _as_groups(groups: Any) -> list[dict[str, Any]] | None:
    if is_a(groups, list, tuple) and all(is_a(group, dict) for group in groups):
        return list(groups)
    return None


def _instance_dict(thing: Any) -> Mapping[str, Any]:
    try:
        state = object.__getattribute__(thing, "__dict__")
    except AttributeError:  # an object without a dict
        return {}
    return state if type(state) is dict else {}


def _members(group: dict[str, Any]) -> list[Any]:
    params = group.get("params", [])
    return list(params) if is_a(params, list, tuple, set) else [params]


def _state_nbytes(state: Any) -> int:
    if not is_a(state, Mapping):
        return 0
    total = 0
    for value in state.values():
        if is_tensor_class(type(value)):
            _, dtype, _, numel, _ = tensor_facts(value)
            if dtype is not None and numel is not None:
                total += numel * value.dtype.itemsize
    return total


def plain_option(value: Any) -> Any:
    """A hyperparameter as a plain value that JSON can hold."""
    kind = type(value)
    if kind is float and value not in (float("inf"), float("-inf")) and value == value:
        return value
    if kind in _PLAIN and kind is not float:
        return value
    if kind is float:
        return str(value)
    if kind in (list, tuple):
        return tuple(plain_option(item) for item in value)
    if is_tensor_class(kind):
        # NOTE: reading the value would copy from, and wait for, the tensor's device.
        shape, dtype, device, _, _ = tensor_facts(value)
        return f"<tensor {dtype} {list(shape or ())} on {device}>"
    return f"<{short_name(kind)}>"
