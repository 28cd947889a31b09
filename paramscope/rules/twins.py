"""Frozen copies of what is trained: momentum encoders, teachers, averages, targets; told by their structure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from paramscope.rules.facts import Facts
from paramscope.snapshot import ATTRIBUTE, HOLDS, PARAMETER, REQUIRES_GRAD
from paramscope.snapshot.path import numberless


class _Built(NamedTuple):
    """What each module is with all below it, hidden ones too."""

    structures: list[int]
    """Equal numbers: classes, names, settings and shapes are the same, and so are those of all below."""
    layers: list[int]
    """Modules with parameters of their own, a module itself among them."""
    is_trained: list[bool]
    """Whether any parameter in it requires grad."""
    alike: dict[int, list[int]]
    """The modules of each structure."""


def twin_of(facts: Facts, module: int) -> int | None:
    """What is trained in the place of a frozen copy, by its position: another module of the same structure in which
    something is trained, while nothing is in this one. None where there is none, and for what is no more than one
    layer: any two norms of one size are alike. Nor is the next block of a list, or of the next stage, one."""
    built: _Built = facts.once("built", lambda: _built(facts))
    if built.is_trained[module] or built.layers[module] < 2:
        return None
    place = numberless(facts.modules.path_at(module))
    twins = [other for other in built.alike[built.structures[module]] if built.is_trained[other]]
    elsewhere = [other for other in twins if numberless(facts.modules.path_at(other)) != place]
    return elsewhere[0] if elsewhere else None


def copy_around(facts: Facts, module: int) -> tuple[int, int] | None:
    """(the copy, what it is a copy of) for something that lies in a frozen copy; None for anything else."""
    built: _Built = facts.once("built", lambda: _built(facts))
    is_trained, parents = built.is_trained, facts.parents
    found = None
    while module >= 0 and not is_trained[module]:
        twin = twin_of(facts, module)
        is_topmost = parents[module] < 0 or is_trained[parents[module]]
        if twin is not None and (is_topmost or _is_copied(built, module)):
            found = (module, twin)
        module = parents[module]
    return found


def _is_copied(built: _Built, module: int) -> bool:
    """Whether each that is trained has one frozen copy, or there is one that has all of them: a block that is used
    here and there is neither."""
    alike = built.alike[built.structures[module]]
    trained = sum(built.is_trained[other] for other in alike)
    return trained == 1 or 2 * trained == len(alike)


def _built(facts: Facts) -> _Built:
    snapshot = facts.snapshot
    modules, slots, tensors = snapshot.module_columns, snapshot.slot_columns, snapshot.tensor_columns
    names, specs = snapshot.tree.names, snapshot.interned.specs
    count = len(modules.paths)
    built = _Built([0] * count, [0] * count, [False] * count, {})
    numbers: dict[Hashable, int] = {}
    # A child comes after its parent, so counting down meets children first.
    for module in range(count - 1, -1, -1):
        held: list[Hashable] = []
        below = facts.children.get(module, ())
        is_trained, layers = False, 0
        for slot in range(facts.first_slots[module], facts.first_slots[module + 1]):
            if slots.holds[slot] == ATTRIBUTE:
                continue
            tensor = slots.tensors[slot]
            shape = specs[tensors.specs[tensor]].shape if tensor >= 0 else None
            held.append((slots.names[slot], HOLDS[slots.holds[slot]], shape))
            if slots.holds[slot] == PARAMETER and tensor >= 0:
                layers = 1
                is_trained = is_trained or bool(tensors.flags[tensor] & REQUIRES_GRAD)
        inner = tuple((names[child], built.structures[child]) for child in below)
        key = (modules.types[module], modules.settings[module], tuple(held), inner)
        structure = built.structures[module] = numbers.setdefault(key, len(numbers))
        built.layers[module] = layers + sum(built.layers[child] for child in below)
        built.is_trained[module] = is_trained or any(built.is_trained[child] for child in below)
        built.alike.setdefault(structure, []).append(module)
    for alike in built.alike.values():
        alike.reverse()
    return built
