"""A live model and its optimizers → what they are at one moment: identities and flags; nothing read, nothing kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import is_
from typing import Any, NamedTuple, TypeAlias
from weakref import ref

import torch

from paramscope.capture.classes import is_text
from paramscope.capture.groups import Group, find_groups, members
from paramscope.capture.handed import Handed
from paramscope.capture.lookups import plain_name
from paramscope.capture.optimizer import plain_option
from paramscope.capture.states import instance_dict, read_needed, usual_state
from paramscope.capture.walk import REPEAT_BOUND
from paramscope.errors import NotAnOptimizer
from paramscope.snapshot import PARAMETER, Membership
from paramscope.snapshot.path import slot_path

_Base: Any = torch._C.TensorBase
_requires_grad, _is_leaf, _grad = _Base.requires_grad.__get__, _Base.is_leaf.__get__, _Base.grad.__get__
_Above: TypeAlias = "tuple[Any, _Above] | None"
"""The modules above one, nearest first."""
_NOWHERE: tuple[Membership, ...] = ()


class Held:
    """An optimizer that is watched, held weakly."""

    def __init__(self, handed: Handed) -> None:
        self.name = handed.name
        found = handed.found if handed.found.inner is None else handed.found.inner.found
        try:
            self._holder = ref(found.holder)
        except TypeError:
            raise NotAnOptimizer(
                f"optimizer {handed.name} cannot be watched: its class allows no weak references",
                "Hand over the torch.optim.Optimizer within it.",
            ) from None

    @property
    def holder(self) -> Any:
        """The object whose step goes over the groups; None once it is gone."""
        return self._holder()

    def groups(self) -> Sequence[Group]:
        """Its groups of today."""
        holder = self._holder()
        if isinstance(holder, torch.optim.Optimizer):
            return holder.param_groups
        found = None if holder is None else find_groups(holder)
        return () if found is None else found.groups


class Look(NamedTuple):
    """What there is at one moment, in columns. Parameters alone: buffers are replaced all the time."""

    modules: list[str]
    """Paths of the modules."""
    is_training: list[bool]
    """One a module."""
    counts: list[int]
    """How many slots each module holds."""
    names: list[str]
    """Of each slot, within its module."""
    slots: list[str]
    """Paths of the slots."""
    identities: list[ref[Any]]
    """Of each slot's tensor. NOTE: there is one weak reference to a tensor as long as anybody holds it, so that `is`
    tells whether two slots, at whatever time, held one tensor; comparing them with `==` would compare tensors."""
    is_trainable: list[bool]
    has_grad: list[bool]
    places: list[tuple[Membership, ...]]
    """Where in the optimizers."""
    rates: dict[Membership, Any]
    """The learning rate of each group, as a plain value."""

    def shows_same(self, other: Look) -> bool:
        """Whether slots and modules are the same, by their paths."""
        return self.slots is other.slots and self.modules is other.modules


class Live(NamedTuple):
    """The objects that a look was taken at, for as long as a caller needs them."""

    modules: list[Any]
    tensors: list[Any]


def look(
    roots: Iterable[tuple[str, Any]], optimizers: Iterable[Held], before: Look | None = None
) -> tuple[Look, Live]:
    """All that is registered below some roots. before: an earlier look, whose paths are taken if they hold."""
    modules, tensors, paths, training, counts, names = _walk(roots)
    if before is not None and names == before.names and counts == before.counts and paths == before.modules:
        paths, counts, names, slots = before.modules, before.counts, before.names, before.slots
    else:
        of_slot = (path for path, count in zip(paths, counts, strict=True) for path in repeat(path, count))
        slots = [slot_path(path, name, PARAMETER) for path, name in zip(of_slot, names, strict=True)]
    found = Look(
        paths,
        training,
        counts,
        names,
        slots,
        list(map(ref, tensors)),
        list(map(_requires_grad, tensors)),
        _have_grad(tensors),
        *_memberships(optimizers, tensors),
    )
    return found, Live(modules, tensors)


def _walk(
    roots: Iterable[tuple[str, Any]],
) -> tuple[list[Any], list[Any], list[str], list[bool], list[int], list[str]]:
    """(modules, tensors, paths, training flags, numbers of slots, names of slots). A module that stands in several
    places is listed under each, unless it stands within itself."""
    modules: list[Any] = []
    tensors: list[Any] = []
    paths: list[str] = []
    training: list[bool] = []
    counts: list[int] = []
    names: list[str] = []
    seen: set[int] = set()
    repeats = 0
    stack: list[tuple[str, Any, _Above]] = [(path, root, None) for path, root in roots]
    stack.reverse()
    while stack:
        path, module, above = stack.pop()
        if id(module) in seen:
            repeats += 1
            if repeats > REPEAT_BOUND or _stands_within(module, above):
                continue
        seen.add(id(module))
        state = instance_dict(module)
        try:
            is_training, parameters, _, children, _, _ = read_needed(state)
        except KeyError:
            state = usual_state(path, module, state, [])
            is_training, parameters, _, children, _, _ = read_needed(state)
        modules.append(module)
        paths.append(path)
        training.append(is_training is True)
        if parameters:
            before = len(tensors)
            for name, tensor in parameters.items():
                if tensor is not None:
                    names.append(name)
                    tensors.append(tensor)
            counts.append(len(tensors) - before)
        else:
            counts.append(0)
        if children:
            prefix = f"{path}." if path else ""
            here = (module, above)
            stack += [
                (prefix + (name if type(name) is str else plain_name(name)), child, here)
                for name, child in reversed(children.items())
                if child is not None
            ]
    return modules, tensors, paths, training, counts, names if is_text(names) else list(map(plain_name, names))


def _stands_within(module: Any, above: _Above) -> bool:
    while above is not None:
        holder, above = above
        if holder is module:
            return True
    return False


def _have_grad(tensors: list[Any]) -> list[bool]:
    if all(map(_is_leaf, tensors)):
        return [grad is not None for grad in map(_grad, tensors)]
    # Asking a non-leaf for its gradient warns.
    return [_is_leaf(tensor) and _grad(tensor) is not None for tensor in tensors]


def _memberships(
    optimizers: Iterable[Held], tensors: list[Any]
) -> tuple[list[tuple[Membership, ...]], dict[Membership, Any]]:
    """(places of each tensor in the optimizers, learning rates of the groups)."""
    places: dict[int, tuple[Membership, ...]] = {}
    rates: dict[Membership, Any] = {}
    for held in optimizers:
        for index, group in enumerate(held.groups()):
            place = Membership(held.name, index)
            rates[place] = plain_option(group.get("lr"))
            mine = dict.fromkeys(map(id, members(group)), (place,))
            both = places.keys() & mine.keys()
            places |= mine | {each: (*places[each], place) for each in both}
    return [places.get(number, _NOWHERE) for number in map(id, tensors)], rates


def are_same(some: list[Any], others: list[Any]) -> bool:
    """Whether two columns hold the very same objects."""
    return len(some) == len(others) and all(map(is_, some, others))
