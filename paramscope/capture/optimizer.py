"""What the optimizers will really step: param groups, their members by slot path, and foreign_members.

Anything that has `param_groups` counts as an optimizer: torch's own, user subclasses, and wrappers.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from paramscope.capture.classes import is_a, is_tensor_class, qualified_name, short_name
from paramscope.capture.code import strings_in
from paramscope.capture.foreign import ForeignMembers
from paramscope.capture.groups import Found, by_id, defaults_of, instance_dict, items, members
from paramscope.capture.handed import Handed, Made
from paramscope.capture.lookups import plain_name
from paramscope.capture.register import TensorRegister
from paramscope.capture.state_bytes import state_bytes
from paramscope.capture.stepping import misfits_of, mro_names, steps_as, what_fits
from paramscope.capture.tensors import tensor_facts
from paramscope.snapshot import GroupRecord, Membership, OptimizerRecord, StateBytes, StateRecord
from paramscope.snapshot.hyperparameters import PUT_BY_TORCH

DEPTH_BOUND = 8
"""Lists within lists of which an option's value is shown."""

# By their ids: a class of the user's may define what it is equal to.
_PLAIN = frozenset(map(id, (int, float, bool, str, type(None))))
_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")


class OptimizerReader:
    """Reads optimizers against the tensors that the walk entered."""

    def __init__(self, tensors: TensorRegister, paths: Mapping[int, str]) -> None:
        self._tensors = tensors
        self._paths = paths
        """First path of each tensor, by number."""
        self._memberships: dict[int, list[Membership]] = {}
        self._interned: dict[tuple[Membership, ...], int] = {(): 0}

    def read(self, handed: Iterable[Handed]) -> tuple[OptimizerRecord, ...]:
        """Every optimizer's groups."""
        # One that a wrapper steps may have been handed over beside it.
        resolved = (each for one in handed for each in self._resolved(one))
        every = list({id(each.found.holder): each for each in reversed(list(resolved))}.values())[::-1]
        for each in every:
            self._enter(each.name, each.found.groups)
        held = (member for each in every for group in each.found.groups for member in members(group))
        foreign_members = ForeignMembers(self._tensors, self._paths, self._memberships, held)
        return tuple(self._optimizer(each, foreign_members) for each in every)

    def _resolved(self, handed: Handed) -> Iterator[_Stepping]:
        """What really steps: the optimizer, the one within it, or both, each its own part."""
        name, outer, found = handed.name, handed.optimizer, handed.found
        inner = found.inner
        if inner is None:
            yield _Stepping(name, outer, found, handed.schedulers, handed.made)
            return
        own, theirs = by_id(found.groups), by_id(inner.found.groups)
        is_disjoint = own.keys().isdisjoint(theirs)
        if is_disjoint and not self._tensors.numbers.keys().isdisjoint(theirs):
            yield _Stepping(name, outer, found, handed.schedulers, handed.made)
            yield _Stepping(f"{name}.{inner.name}", inner.found.holder, inner.found, (), handed.made)
        elif is_disjoint and _are_copies(own.values(), theirs.values()):
            yield _Stepping(name, outer, found, handed.schedulers, handed.made)
        else:
            numbers = [self._tensors.numbers.get(each) for each in own if each not in theirs]
            listed = tuple(self._paths[number] for number in numbers if number is not None)
            yield _Stepping(name, outer, inner.found, handed.schedulers, handed.made, listed)

    def _optimizer(self, stepping: _Stepping, foreign_members: ForeignMembers) -> OptimizerRecord:
        name, outer, found, schedulers, made, listed = stepping
        cls, holder = type(outer), type(found.holder)
        steps = steps_as(holder)
        counted: set[int] = set()
        known = defaults_of(found.holder, outer)
        return OptimizerRecord(
            name,
            qualified_name(cls),
            tuple(
                self._group(i, group, found.state, steps, foreign_members, counted)
                for i, group in enumerate(found.groups)
            ),
            mro_names(cls)[1:],
            () if holder is cls else mro_names(holder),
            steps,
            None if known is None else tuple((key, plain_option(value)) for key, value in known.items()),
            () if known is None else self._read_keys(stepping, known),
            tuple(qualified_name(type(each)) for each in schedulers),
            listed,
            made and made.file,
            made and made.function,
        )

    def _read_keys(self, stepping: _Stepping, known: Mapping[str, Any]) -> tuple[str, ...]:
        """Keys of the groups, beyond the defaults, that the code of the optimizer's class, of its hooks or of its
        schedulers speaks of."""
        odd = {key: None for group in stepping.found.groups for key in group if key not in known and key != "params"}
        # What torch itself puts there is known without reading any code.
        if all(key in PUT_BY_TORCH for key in odd):
            return ()
        hooks: Iterator[Any] = (instance_dict(stepping.found.holder).get(name) for name in _HOOKS)
        others = [each for held in hooks if is_a(held, dict) for each in dict.values(held)]
        classes = list(map(type, (stepping.outer, stepping.found.holder, *stepping.schedulers)))
        spoken = strings_in(classes, others)
        return tuple(key for key in odd if key in spoken)

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
            for member in members(group):
                tensor = known(id(member))
                if tensor is not None:
                    self._memberships.setdefault(tensor, []).append(place)

    def _group(
        self,
        index: int,
        group: dict[str, Any],
        state: Mapping[int, Any],
        steps: str | None,
        foreign_members: ForeignMembers,
        counted: set[int],
    ) -> GroupRecord:
        """counted: ids of the state that was counted for members of other groups."""
        held = members(group)
        names = items(group.get("param_names"))
        if len(names) != len(held):
            names = []
        numbers = [self._tensors.numbers.get(id(member)) for member in held]
        fitting = what_fits(steps, is_fused=group.get("fused") is True)
        slots, foreign, numel = [], [], 0
        misfits: list[StateRecord] = []
        states: dict[tuple[StateBytes, ...], int] = {}
        state_of: list[int] = []
        for position, (member, number) in enumerate(zip(held, numbers, strict=True)):
            spec = foreign_members.spec(member) if number is None else self._tensors.spec(number)
            numel += spec.numel or 0
            if state:
                of_member = state.get(id(member))
                kept = state_bytes(of_member, counted)
                state_of.append(states.setdefault(kept, len(states)))
                own = spec if number is None else self._tensors.own_spec(number)
                misfits += misfits_of(of_member, fitting, position, own, member)
            if number is not None:
                slots.append(self._paths[number])
                continue
            name = plain_name(names[position]) if names else None
            foreign.append(foreign_members.record(held, name, position, numbers))
        options = tuple(
            (key, plain_option(value)) for key, value in group.items() if key not in ("params", "param_names")
        )
        distinct = tuple(states)
        nbytes = [sum(each.nbytes for each in kept) for kept in distinct]
        return GroupRecord(
            index=index,
            options=options,
            slots=tuple(slots),
            foreign=tuple(foreign),
            numel=numel,
            state_nbytes=sum(map(nbytes.__getitem__, state_of)),
            states=distinct if any(distinct) else (),
            state_of=tuple(state_of) if any(distinct) else (),
            misfits=tuple(misfits),
        )


class _Stepping(NamedTuple):
    """One optimizer as it steps."""

    name: str
    outer: Any
    """What was handed over."""
    found: Found
    schedulers: tuple[Any, ...]
    made: Made | None
    listed: tuple[str, ...] = ()
    """Slots that only the groups of a wrapper around it hold."""


def _are_copies(own: Collection[Any], theirs: Collection[Any]) -> bool:
    """Whether an inner optimizer may step copies in another dtype, or flat vectors, of what the wrapper lists."""
    if len(theirs) < len(own) and all(len(tensor_facts(each)[0] or ()) == 1 for each in theirs):
        return True
    return {tensor_facts(each)[1] for each in own}.isdisjoint(tensor_facts(each)[1] for each in theirs)


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
