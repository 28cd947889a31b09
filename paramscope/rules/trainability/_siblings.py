"""Runs of siblings that are built alike, and in what one of them is not like the others."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from itertools import groupby
from typing import Literal

from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.structures import by_slot, numbered, structures, summed
from paramscope.snapshot import REGISTERED, TRAINING

Aspect = Literal["requires_grad", "dtype", "device", "training mode"]
"""In what siblings of one structure may differ."""


def varying(facts: Facts) -> list[Aspect]:
    """The aspects in which any two slots or modules of one class and name differ: few models have any."""
    met: dict[tuple[str, Hashable], set[Hashable]] = {}
    for kind in facts.slot_kinds:
        spec = kind.spec
        if spec is None or not kind.is_registered or kind.role == "attribute":
            continue
        key = (kind.owner.type, kind.name)
        met.setdefault(("dtype", key), set()).add(spec.dtype)
        met.setdefault(("device", key), set()).add(spec.device)
        if kind.role == "parameter" and spec.is_differentiable:
            met.setdefault(("requires_grad", key), set()).add(kind.requires_grad)
    for owner, _ in facts.module_kinds:
        if owner.is_registered:
            met.setdefault(("training mode", owner.type), set()).add(owner.training)
    found = {aspect for (aspect, _), states in met.items() if len(states) > 1}
    # What dispatches modules puts a hook around their forwards.
    is_placed = any(oddity.kind in ("offloaded", "own-forward") for oddity in facts.snapshot.oddities)
    if is_placed or any(spec.device == "meta" for spec in facts.snapshot.interned.specs):
        found.discard("device")
    order: tuple[Aspect, ...] = ("requires_grad", "dtype", "device", "training mode")
    return [aspect for aspect in order if aspect in found]


def _learns(kind: SlotKind) -> bool:
    is_able = kind.role == "parameter" and kind.spec is not None and kind.spec.is_differentiable
    return is_able and kind.requires_grad


_STATES: dict[Aspect, Callable[[SlotKind], Hashable]] = {
    "requires_grad": _learns,
    "dtype": lambda kind: kind.spec and kind.spec.dtype,
    "device": lambda kind: kind.spec and kind.spec.device,
}
"""What tells the state of a slot in each aspect."""


def states_in(facts: Facts, aspect: Aspect) -> list[int]:
    """For each module in which state it is with all below it: equal numbers for equal ones."""
    flags = facts.snapshot.module_columns.flags
    if aspect == "training mode":
        return numbered(facts, [flag & TRAINING for flag in flags], [-1] * len(facts.slots))
    return numbered(facts, [0] * len(flags), by_slot(facts, _STATES[aspect]))


def runs(facts: Facts, shortest: int) -> Iterator[list[int]]:
    """Siblings of one structure, one after the other; those that hold nothing are passed over where others do."""
    flags, built = facts.snapshot.module_columns.flags, structures(facts)
    own = [0] * len(flags)
    for kind in facts.slot_kinds:
        for slot in kind.slots if kind.role != "attribute" else ():
            own[facts.snapshot.slot_columns.modules[slot]] += 1
    held = summed(facts, own)
    for children in facts.children.values():
        siblings = [child for child in children if flags[child] & REGISTERED]
        if len(siblings) >= shortest:
            siblings = [child for child in siblings if held[child]] or siblings
            for _, alike in groupby(siblings, key=built.__getitem__):
                run = list(alike)
                if len(run) >= shortest:
                    yield run
