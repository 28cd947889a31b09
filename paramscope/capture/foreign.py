"""What an optimizer holds and the model does not have: what it is, where it lies, and what took its place."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import torch

from paramscope.capture.classes import is_tensor_class
from paramscope.capture.parts import inner_tensors
from paramscope.capture.register import TensorRegister
from paramscope.capture.tensors import flags_of, spec_of
from paramscope.snapshot import IS_LEAF, IS_PARAMETER, REQUIRES_GRAD, ForeignRecord, Membership, TensorSpec

_CHOICE = 1_000
"""Missing tensors between two members, past which a foreign tensor's place tells nothing."""

_Base: Any = torch._C.TensorBase
# Made of no other tensors: looking for some takes longer than all else.
_PLAIN = frozenset(map(id, (torch.Tensor, torch.nn.Parameter)))


class ForeignMembers:
    """All foreign tensors of all optimizers, and the model's trainable parameters in none: one of these may have
    replaced a foreign one."""

    def __init__(
        self,
        tensors: TensorRegister,
        paths: Mapping[int, str],
        memberships: Mapping[int, list[Membership]],
        members: Iterable[Any],
    ) -> None:
        """members: of all groups, in order; they live as long as this does."""
        self._tensors = tensors
        self._paths = paths
        self._specs: dict[int, TensorSpec] = {}
        """By id, in order."""
        self._numbers: dict[int, int] = {}
        alike: dict[tuple[int, ...] | None, list[int]] = {}
        for member in members:
            if id(member) not in tensors.numbers and id(member) not in self._specs:
                self._numbers[id(member)] = len(self._numbers)
                spec = self._specs[id(member)] = spec_of(member)
                alike.setdefault(spec.shape, []).append(id(member))
        self._missing = sorted(
            number for number in paths if number >= 0 and number not in memberships and tensors.is_trainable(number)
        )
        self._by_path = {paths[number]: number for number in self._missing}
        self._shapes = {number: tensors.spec(number).shape for number in self._missing}
        by_shape: dict[tuple[int, ...] | None, list[int]] = {}
        for number, shape in self._shapes.items():
            by_shape.setdefault(shape, []).append(number)
        self._by_shape: dict[int, int] = {}
        """What is missing, by the id of the foreign tensor that has the same place among those of the same shape."""
        for shape, ids in alike.items():
            missing = by_shape.get(shape, [])
            if len(missing) == len(ids):
                self._by_shape.update(zip(ids, missing, strict=True))
        self._group: Sequence[int | None] | None = None
        self._last: _Run | None = None
        self._storages: dict[int, int] | None = None

    def spec(self, member: Any) -> TensorSpec:
        """What can be said of a foreign tensor."""
        return self._specs[id(member)]

    def record(
        self, members: Sequence[Any], name: str | None, position: int, numbers: Sequence[int | None]
    ) -> ForeignRecord:
        """Everything that is known of a foreign tensor.

        members: of its group. name: what the group calls it. position: where it stands among them. numbers: their
        tensor numbers (None for foreign ones).
        """
        member = members[position]
        spec = self.spec(member)
        flags = flags_of(member) if is_tensor_class(type(member)) else IS_LEAF
        storage = self._storage(member, spec)
        replaced_by, evidence = self._replacement(members, name, position, numbers)
        return ForeignRecord(
            position=position,
            name=name,
            shape=spec.shape,
            stride=spec.stride,
            offset=None if storage is None else _Base.storage_offset(member),
            dtype=spec.dtype,
            device=spec.device,
            layout=spec.layout,
            numel=spec.numel,
            nbytes=spec.nbytes,
            requires_grad=bool(flags & REQUIRES_GRAD),
            is_leaf=bool(flags & IS_LEAF),
            is_parameter=bool(flags & IS_PARAMETER),
            tensor=self._numbers[id(member)],
            storage=storage,
            replaced_by=replaced_by,
            evidence=evidence,
        )

    def _storage(self, member: Any, spec: TensorSpec) -> int | None:
        """The storage of the model that a foreign tensor views."""
        if spec.stride is None or not torch._C._has_storage(member):
            return None
        if id(type(member)) not in _PLAIN and any(True for _ in inner_tensors(member)):
            return None
        if self._storages is None:
            held = zip(self._tensors.held, self._tensors.storages, strict=True)
            self._storages = {_Base.untyped_storage(each)._cdata: number for each, number in held if number >= 0}
        return self._storages.get(_Base.untyped_storage(member)._cdata)

    def _replacement(
        self, members: Sequence[Any], name: str | None, position: int, numbers: Sequence[int | None]
    ) -> tuple[str | None, str | None]:
        """(path of the slot that took a foreign tensor's place, how that was told), or (None, None)."""
        if name is not None and name in self._by_path:
            return name, "name"
        run = self._run(members, position, numbers)
        # A number that is learned beside the model took no layer's place.
        if run.is_numbers and any(prod(self._shapes[number] or (0,)) != 1 for number in run.missing):
            return None, None
        # As many are missing there as there are foreign tensors: each stands where its like stood.
        if len(run.missing) == len(run.shapes):
            return self._paths[run.missing[position - run.start]], "position"
        shape = run.shapes[position - run.start]
        alike = run.alike.get(shape, [])
        if len(alike) == 1 and run.counts[shape] == 1:
            return self._paths[alike[0]], "position"
        replacing = None if run.is_numbers else self._by_shape.get(id(members[position]))
        return (None, None) if replacing is None else (self._paths[replacing], "shape")

    def _between(self, before: int | None, after: int | None, count: int) -> list[int]:
        """Missing tensors that lie, in model order, between the known neighbours of some foreign tensors."""
        if before is None and after is None:
            return []
        low = 0 if before is None else bisect_right(self._missing, before)
        high = len(self._missing) if after is None else bisect_left(self._missing, after)
        return self._missing[low:high] if high - low <= max(_CHOICE, count) else []

    def _run(self, members: Sequence[Any], position: int, numbers: Sequence[int | None]) -> _Run:
        """The foreign tensors that follow each other around one of them."""
        if self._group is not numbers:
            self._group = numbers
            self._last = None
        if self._last is None or position >= self._last.start + len(self._last.shapes):
            start = position
            while start and numbers[start - 1] is None:
                start -= 1
            end = position + 1
            while end < len(numbers) and numbers[end] is None:
                end += 1
            shapes = [self.spec(member).shape for member in members[start:end]]
            before = numbers[start - 1] if start else None
            after = numbers[end] if end < len(numbers) else None
            missing = self._between(before, after, len(shapes))
            alike: dict[tuple[int, ...] | None, list[int]] = {}
            for number in missing:
                alike.setdefault(self._shapes[number], []).append(number)
            is_numbers = all(shape is not None and prod(shape) == 1 for shape in shapes)
            self._last = _Run(start, shapes, Counter(shapes), missing, alike, is_numbers)
        return self._last


class _Run(NamedTuple):
    """ForeignMembers of a group that follow each other."""

    start: int
    """Position of the first of them."""
    shapes: list[tuple[int, ...] | None]
    counts: Counter[tuple[int, ...] | None]
    """How many there are of each shape."""
    missing: list[int]
    """Trainable tensors of the model in no group that lie, in model order, between the members around them."""
    alike: dict[tuple[int, ...] | None, list[int]]
    """The same by shape."""
    is_numbers: bool
    """Whether each of the foreign tensors is a single number."""
