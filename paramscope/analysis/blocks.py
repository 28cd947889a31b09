"""Snapshot → repeated siblings that differ in whether they train, with what becomes of each: which of 80 layers are
frozen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple

from paramscope.analysis.fold.numbering import numbered
from paramscope.snapshot import Snapshot, join

State = Literal["trains", "frozen", "in part", "not stepped", "nothing"]
"""What becomes of the parameters of a block: all train, none do, or some; some train, but no optimizer steps them; or
it has none that are registered."""

_LEAST = 4
"""Siblings with parameters from which on they count as repeated."""
_SPREAD = 4
"""Places for each sibling: where their numbers lie further apart, these say nothing of how they follow each other."""

_LAST = 999_999
"""A greater number is no place in a row: a date, or a key."""

_TRAINS, _FROZEN, _NOT_STEPPED = 1, 2, 4
_STATES: dict[int, State] = {0: "nothing", _TRAINS: "trains", _FROZEN: "frozen", _TRAINS | _FROZEN: "in part"}


class Family(NamedTuple):
    """Numbered siblings that differ."""

    holder: int
    """Position of the module that holds them."""
    path: str
    """Theirs, as far as it says nothing of numbers: `model.layers`."""
    states: Mapping[int, State]
    """By number, rising."""


def families(snapshot: Snapshot, wanted: Collection[int] | None = None) -> list[Family]:
    """Repeated siblings that differ, in the order of the model; of those within one another the outermost.

    wanted: positions of the slots that it is about, as if there were no others.
    """
    tree, paths = snapshot.tree, snapshot.module_columns.paths
    found = _found(snapshot, wanted)
    differing = []
    stack = [module for module in range(len(paths) - 1, -1, -1) if tree.parents[module] < 0]
    while stack:
        holder = stack.pop()
        told: set[int] = set()
        for (start, _), members in _numbered(snapshot, holder).items():
            states = {number: _state(found[at]) for number, at in sorted(members.items()) if found[at] >= 0}
            if _differ(states):
                differing.append(Family(holder, join(paths[holder], start).rstrip(".[{'"), states))
                told.update(members.values())
        stack += [child for child in reversed(tree.children.get(holder, ())) if child not in told]
    return differing


def _numbered(snapshot: Snapshot, holder: int) -> dict[tuple[str, str], dict[int, int]]:
    """The numbered children of a module: (start, end) of their names → number → position."""
    siblings: dict[tuple[str, str], dict[int, int]] = {}
    for child in snapshot.tree.children.get(holder, ()):
        name = numbered(snapshot.tree.names[child])
        if name is not None:
            siblings.setdefault((name.start, name.end), {})[name.number] = child
    return siblings


def _differ(states: Mapping[int, State]) -> bool:
    met = [state for state in states.values() if state != "nothing"]
    if len(met) < _LEAST or len(set(met)) == 1:
        return False
    first, *_, last = states
    return last <= _LAST and last - first < _SPREAD * len(states)


def _state(found: int) -> State:
    return "not stepped" if found & _NOT_STEPPED else _STATES[found]


def _found(snapshot: Snapshot, wanted: Collection[int] | None) -> list[int]:
    """For each module what is among the parameters in it and below it; -1 where nothing that is wanted is."""
    modules, parents = snapshot.slot_columns.modules, snapshot.tree.parents
    found = [-1 if wanted is not None else 0] * len(parents)
    for slot, bits in _bits(snapshot, wanted):
        found[modules[slot]] = max(found[modules[slot]], 0) | bits
    for module in range(len(parents) - 1, -1, -1):  # a child stands behind its parent
        above = parents[module]
        if above >= 0 and found[module] >= 0:
            found[above] = max(found[above], 0) | found[module]
    return found


def _bits(snapshot: Snapshot, wanted: Collection[int] | None) -> Iterator[tuple[int, int]]:
    """(position, what it is) of each slot."""
    for slot in range(len(snapshot.slot_columns.modules)) if wanted is None else wanted:
        status = snapshot.status(slot)
        if status == "trainable":
            is_forgotten = bool(snapshot.optimizers) and snapshot.fates(slot)[0].stepped is False
            yield slot, _TRAINS | (_NOT_STEPPED if is_forgotten else 0)
        else:
            yield slot, _FROZEN if status == "frozen" else 0
