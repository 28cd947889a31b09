"""Where things stand in a model: what lies above a place, which parameters a module holds, what its classes are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, takewhile

from paramscope.rules.facts import Facts
from paramscope.snapshot import PARAMETER, join


def type_of(facts: Facts, module: int) -> str:
    """Qualified name of a module's class."""
    return facts.snapshot.interned.types[facts.snapshot.module_columns.types[module]]


def class_names(facts: Facts, type: str) -> tuple[str, ...]:
    """A class and all that it inherits from, by their qualified names."""
    record = facts.class_of(type)
    return (type,) if record is None else (type, *record.bases)


def upwards(facts: Facts, module: int) -> Iterator[int]:
    """A module and all above it, nearest first."""
    yield module
    yield from facts.snapshot.tree.above(module)


def modules_above(facts: Facts, *paths: str) -> list[str]:
    """The registered modules that all of some places lie in, outermost first."""
    steps = zip(*(path.split(".")[:-1] for path in paths), strict=False)
    common = (step for step, *_ in takewhile(lambda each: len(set(each)) == 1, steps))
    return [path for path in accumulate(common, join, initial="") if path in facts.modules]


def own_parameters(facts: Facts, module: int) -> Iterator[int]:
    """The slots in which a module itself holds a parameter that is there."""
    slots = facts.snapshot.slot_columns
    for slot in facts.snapshot.tree.slots_of(module):
        if slots.holds[slot] == PARAMETER and slots.tensors[slot] >= 0:
            yield slot


def parameters_below(facts: Facts, module: int) -> dict[str, int]:
    """The tensor of each parameter at or below a module, by the name that it has there."""
    slots, paths = facts.snapshot.slot_columns, facts.snapshot.module_columns.paths
    start = len(paths[module])
    return {
        f"{paths[each][start:]}.{slots.names[slot]}": slots.tensors[slot]
        for each in facts.subtree(module)
        for slot in own_parameters(facts, each)
    }
