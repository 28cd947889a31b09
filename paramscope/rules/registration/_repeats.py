"""Modules that stand in several places: one object under several names, and several with one set of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from paramscope.rules.facts import Facts
from paramscope.rules.once import all_once
from paramscope.rules.places import parameters_below, type_of, upwards
from paramscope.rules.sharing._memory import slots_in
from paramscope.snapshot import ATTRIBUTE, PARAMETER

_LISTS = ("torch.nn.modules.container.ModuleList", "torch.nn.modules.container.Sequential")


class Repeated(NamedTuple):
    """Children of one list that are one."""

    container: int
    """Position of the list."""
    members: tuple[int, ...]
    """Positions of the children."""
    is_one_object: bool
    """Whether they are one module; else they are several whose parameters are the same tensors."""


@all_once
def shared_modules(facts: Facts) -> Iterable[list[int]]:
    """The places of each registered module that stands in several, but for what lies in a shared one with it."""
    repeats = facts.snapshot.module_columns.repeats
    found: dict[int, list[int]] = {}
    for place, first in repeats.items():
        # Below a module that is listed again, everything is.
        if facts.parents[place] not in repeats:
            found.setdefault(first, [first]).append(place)
    return found.values()


@all_once
def repeated_modules(facts: Facts) -> Iterator[Repeated]:
    """Children with parameters that stand in one list several times, as one object or by all their parameters."""
    yield from _same_objects(facts)
    yield from _same_parameters(facts)


def _same_objects(facts: Facts) -> Iterator[Repeated]:
    for places in shared_modules(facts):
        by_list: dict[int, list[int]] = {}
        for place in places:
            above = facts.parents[place]
            if above >= 0 and is_list(facts, above):
                by_list.setdefault(above, []).append(place)
        for container, members in by_list.items():
            if len(members) > 1 and parameters_below(facts, members[0]):
                yield Repeated(container, tuple(members), is_one_object=True)


def _same_parameters(facts: Facts) -> Iterator[Repeated]:
    """Lists of which two distinct children hold one tensor, and every other one of theirs in common."""
    repeats = facts.snapshot.module_columns.repeats
    candidates: dict[int, set[int]] = {}
    for places in _tied_places(facts):
        met: dict[int, set[int]] = {}
        for place in places:
            for below, above in pairwise(upwards(facts, place)):
                if is_list(facts, above):
                    met.setdefault(above, set()).add(below)
        for container, children in met.items():
            if len({repeats.get(child, child) for child in children}) > 1:
                candidates.setdefault(container, set()).update(children)
    for container, children in candidates.items():
        # Modules of two classes over one weight are an embedding and its head: a tie, and two layers.
        groups: dict[tuple[str, tuple[tuple[str, int], ...]], list[int]] = {}
        for child in sorted(children):
            key = (type_of(facts, child), tuple(parameters_below(facts, child).items()))
            groups.setdefault(key, []).append(child)
        for (_, parameters), members in groups.items():
            # Of children without any parameter all would be "the same".
            if parameters and len({repeats.get(member, member) for member in members}) > 1:
                yield Repeated(container, tuple(members), is_one_object=False)


def _tied_places(facts: Facts) -> Iterator[list[int]]:
    """Modules that hold one tensor, or are one module, where they are listed first: below those that are listed again
    there is nothing new."""
    slots, repeats = facts.snapshot.slot_columns, facts.snapshot.module_columns.repeats
    yield from shared_modules(facts)
    for positions in slots_in(facts, "tied"):
        modules = {slots.modules[each] for each in positions if slots.holds[each] == PARAMETER}
        # NOTE: `modules - repeats.keys()` would go through all of the keys.
        distinct = sorted(module for module in modules if module not in repeats)
        if len(distinct) > 1:
            yield distinct


def holds_tensors(facts: Facts, module: int) -> bool:
    """Whether a module holds parameters or buffers, itself or below."""
    slots = facts.snapshot.slot_columns
    return any(
        slots.holds[slot] != ATTRIBUTE and slots.tensors[slot] >= 0
        for each in facts.subtree(module)
        for slot in facts.snapshot.tree.slots_of(each)
    )


def is_list(facts: Facts, module: int) -> bool:
    """Whether a module is a ModuleList or a Sequential."""
    return facts.is_a(type_of(facts, module), *_LISTS)
