"""Frozen copies of what is trained: momentum encoders, teachers, averages, targets; told by their structure."""

from __future__ import annotations

from itertools import takewhile
from typing import NamedTuple

from paramscope.rules.facts import Facts
from paramscope.rules.once import once
from paramscope.rules.places import upwards
from paramscope.rules.structures import structures, summed
from paramscope.snapshot.path import numberless


class _Built(NamedTuple):
    """What each module is with all below it."""

    structures: list[int]
    layers: list[int]
    """Modules with parameters of their own, a module itself among them."""
    trained: list[int]
    """Those of them of which one requires grad."""
    alike: dict[int, list[int]]
    """The modules of each structure."""


def twin_of(facts: Facts, module: int) -> int | None:
    """What is trained in the place of a frozen copy, by its position: another module of the same structure in which
    something is trained, while nothing is in this one. None where there is none, and for what is no more than one
    layer: any two norms of one size are alike. Nor is the next block of a list, or of the next stage, one."""
    built = _built(facts)
    if built.trained[module] or built.layers[module] < 2:
        return None
    place = numberless(facts.modules.path_at(module))
    twins = [other for other in built.alike[built.structures[module]] if built.trained[other]]
    elsewhere = [other for other in twins if numberless(facts.modules.path_at(other)) != place]
    return elsewhere[0] if elsewhere else None


def copy_around(facts: Facts, module: int) -> tuple[int, int] | None:
    """(the copy, what it is a copy of) for something that lies in a frozen copy; None for anything else."""
    built = _built(facts)
    trained, parents = built.trained, facts.parents
    found = None
    for at in takewhile(lambda each: not trained[each], upwards(facts, module)):
        twin = twin_of(facts, at)
        is_topmost = parents[at] < 0 or trained[parents[at]] > 0
        if twin is not None and (is_topmost or _is_copied(built, at)):
            found = (at, twin)
    return found


def _is_copied(built: _Built, module: int) -> bool:
    """Whether each that is trained has one frozen copy, or there is one that has all of them: a block that is used
    here and there is neither."""
    alike = built.alike[built.structures[module]]
    trained = sum(built.trained[other] > 0 for other in alike)
    return trained == 1 or 2 * trained == len(alike)


@once
def _built(facts: Facts) -> _Built:
    modules = facts.snapshot.slot_columns.modules
    layers, trained = [0] * len(facts.modules), [0] * len(facts.modules)
    for kind in facts.slot_kinds:
        for slot in kind.slots if kind.role == "parameter" and kind.spec is not None else ():
            layers[modules[slot]] = 1
            trained[modules[slot]] |= kind.requires_grad
    built = _Built(structures(facts), summed(facts, layers), summed(facts, trained), {})
    for module, structure in enumerate(built.structures):
        built.alike.setdefault(structure, []).append(module)
    return built
