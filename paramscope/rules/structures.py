"""What each module is with all that lies below it: numbers that are equal where nothing tells two modules apart."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.once import once
from paramscope.snapshot import REGISTERED


@once
def structures(facts: Facts) -> list[int]:
    """For each module what it is built like: equal numbers where classes, settings, and the names, roles and shapes
    of parameters and buffers are the same, and so are those of all below."""
    modules = facts.snapshot.module_columns
    shapes = by_slot(facts, lambda kind: (kind.name, kind.role, kind.persistent, kind.spec and kind.spec[:2]))
    return numbered(facts, list(zip(modules.types, modules.settings, strict=True)), shapes)


def by_slot(facts: Facts, tell: Callable[[SlotKind], Hashable]) -> list[int]:
    """For each slot the number of what is worked out of its kind; -1 for attributes."""
    found = [-1] * len(facts.slots)
    known: dict[Hashable, int] = {}
    for kind in facts.slot_kinds:
        if kind.role != "attribute":
            number = known.setdefault(tell(kind), len(known))
            for slot in kind.slots:
                found[slot] = number
    return found


def numbered(facts: Facts, own: Sequence[Hashable], of_slots: list[int]) -> list[int]:
    """For each module the number of what it is itself, of its slots, and of its children's numbers: of a registered
    one what it hides does not count.

    own: of each module. of_slots: of each slot, as `by_slot` tells it.
    """
    flags, first = facts.snapshot.module_columns.flags, facts.first_slots
    found = [0] * len(flags)
    known: dict[Hashable, int] = {}
    # A child comes after its parent, so counting down meets children first.
    for module in range(len(flags) - 1, -1, -1):
        held = of_slots[first[module] : first[module + 1]]
        # Attributes stand last among the slots of a module.
        while held and held[-1] < 0:
            held.pop()
        children, kept = facts.children.get(module, ()), flags[module] & REGISTERED
        below = [found[child] for child in children if flags[child] & REGISTERED == kept]
        found[module] = known.setdefault((own[module], *held, -1, *below), len(known))
    return found


def summed(facts: Facts, own: Sequence[int]) -> list[int]:
    """For each module the sum of what it and all below it count."""
    found = list(own)
    # A child comes after its parent.
    for module in range(len(found) - 1, -1, -1):
        parent = facts.parents[module]
        if parent >= 0:
            found[parent] += found[module]
    return found
