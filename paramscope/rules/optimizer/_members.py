"""Members of param groups as rules speak of them: where they stand, how they are stepped, what lies in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.once import once
from paramscope.snapshot import ForeignRecord, GroupRecord, Membership, OptimizerRecord
from paramscope.snapshot.path import last_name

HALVES = ("float16", "bfloat16")
"""Floating-point types of half precision."""


class ForeignMember(NamedTuple):
    """A tensor that optimizers hold and the model does not have."""

    record: ForeignRecord
    """As it stands in the first of its places."""
    optimizer: OptimizerRecord
    """That of the first place."""
    group: GroupRecord
    memberships: tuple[Membership, ...]
    """One for each place."""
    places: tuple[str, ...]


def place(optimizer: OptimizerRecord, group: int, position: int | None = None) -> str:
    """`optimizer[0].groups[0][3]` for a member, `optimizer[0].groups[0]` for a group."""
    whole = f"optimizer[{optimizer.name}].groups[{group}]"
    return whole if position is None else f"{whole}[{position}]"


@once
def groups(facts: Facts) -> dict[Membership, tuple[OptimizerRecord, GroupRecord]]:
    """Every param group, by what the slots say of where they stand."""
    return {
        Membership(optimizer.name, group.index): (optimizer, group)
        for optimizer in facts.optimizers
        for group in optimizer.groups
    }


def member_paths(group: GroupRecord) -> list[str | None]:
    """The slots of a group's members by position; None for foreign members."""
    positions = {each.position for each in group.foreign}
    slots = iter(group.slots)
    total = len(group.slots) + len(group.foreign)
    return [None if position in positions else next(slots, None) for position in range(total)]


@once
def foreign_members(facts: Facts) -> list[ForeignMember]:
    """All of them, each once."""
    found: dict[int, ForeignMember] = {}
    for optimizer in facts.optimizers:
        for group in optimizer.groups:
            for record in group.foreign:
                known = found.get(record.tensor) or ForeignMember(record, optimizer, group, (), ())
                found[record.tensor] = known._replace(
                    memberships=(*known.memberships, Membership(optimizer.name, group.index)),
                    places=(*known.places, place(optimizer, group.index, record.position)),
                )
    return list(found.values())


def distinct(facts: Facts, kinds: Iterable[SlotKind]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The slots of some kinds in the model's order, each tensor once: (its first slot, its further ones)."""
    tensors = facts.snapshot.slot_columns.tensors
    by_tensor: dict[int, list[int]] = {}
    for slot in sorted(slot for kind in kinds for slot in kind.slots):
        by_tensor.setdefault(tensors[slot], []).append(slot)
    for first, *further in by_tensor.values():
        yield first, tuple(further)


def number_of(group: GroupRecord, option: str) -> float | None:
    """A hyperparameter, where it is a plain number."""
    value = dict(group.options).get(option)
    return value if type(value) is float else float(value) if type(value) is int else None


def is_set(group: GroupRecord, option: str) -> bool:
    """Whether a switch of a group is on."""
    return dict(group.options).get(option) is True


def class_name(optimizer: OptimizerRecord) -> str:
    """The optimizer's class, or that of the one it wraps, without its package."""
    return (optimizer.inner[0] if optimizer.inner else optimizer.type).rpartition(".")[2]


def torch_class(optimizer: OptimizerRecord) -> str | None:
    """The class of torch.optim whose `step` it runs, by its own name; None for a `step` that somebody else wrote."""
    steps = optimizer.steps_as or ""
    own = last_name(steps)
    return own if steps.startswith("torch.optim.") and own != "Optimizer" else None


def is_master_copy(record: ForeignRecord, dtype: str | None) -> bool:
    """Whether a foreign tensor in float32 may be stepped in place of a parameter in half precision."""
    return record.dtype == "float32" and dtype in HALVES


def is_number(record: ForeignRecord) -> bool:
    """Whether a foreign tensor is a single number, such as a temperature that is learned beside the model."""
    return record.numel == 1


def is_beside(group: GroupRecord) -> bool:
    """Whether all foreign members of a group are single numbers, which no layer of a model consists of."""
    return all(map(is_number, group.foreign))
