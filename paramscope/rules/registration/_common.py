"""Layers that several places have in common beside their own weights: a norm, an activation, a default argument."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Literal, NamedTuple

from paramscope.rules.facts import Facts
from paramscope.rules.registration._repeats import is_list, shared_modules
from paramscope.rules.registration._requests import is_asked_for, is_made_default
from paramscope.snapshot import PARAMETER

Kind = Literal["statistics", "norm", "activation", "default"]

_STATISTICS = "torch.nn.modules.batchnorm._NormBase"
_ACTIVATIONS = ("torch.nn.modules.activation.PReLU",)
_SEQUENTIAL = "torch.nn.modules.container.Sequential"


class Common(NamedTuple):
    """A layer that stands in several places, each with weights of its own."""

    places: tuple[int, ...]
    """Positions of the module's places."""
    kind: Kind
    """What makes it suspicious."""
    users: int
    """How many of these places use it beside weights of their own: the name that merely registers it is none."""


def common_layers(facts: Facts) -> tuple[Common, ...]:
    """In the model's order."""
    return facts.once("common-layers", lambda: tuple(_common_layers(facts)))


def _common_layers(facts: Facts) -> Iterator[Common]:
    for places in shared_modules(facts):
        kind = _kind(facts, places)
        if kind is None:
            continue
        branches = _branches(facts, places)
        if branches is None or not _have_their_own(facts, branches):
            continue
        above = facts.parents[branches[0]]
        is_row = above >= 0 and is_list(facts, above)
        if kind == "norm" and not (is_row and _is_uniform(facts, branches)):
            continue
        if not is_row and kind != "default" and all(_is_first(facts, place) for place in places):
            # What comes in is the same for all of them.
            continue
        if not is_asked_for(facts, facts.modules.path_at(places[1])):
            yield Common(tuple(places), kind, sum(place not in branches for place in places) or len(places))


def _kind(facts: Facts, places: list[int]) -> Kind | None:
    module = places[0]
    # Of what is made once as its function is defined, the line tells most.
    if any(_tensors(facts, module)) and any(is_made_default(facts, facts.modules.path_at(each)) for each in places):
        return "default"
    return _leaf_kind(facts, module)


def _leaf_kind(facts: Facts, module: int) -> Kind | None:
    columns = facts.snapshot.module_columns
    type = facts.snapshot.interned.types[columns.types[module]]
    names = {
        facts.snapshot.slot_columns.names[slot]
        for slot in range(facts.first_slots[module], facts.first_slots[module + 1])
        if facts.snapshot.slot_columns.tensors[slot] >= 0
    }
    if not facts.children.get(module):
        own = type.rpartition(".")[2].lower()
        is_norm = facts.is_a(type, _STATISTICS) or ("norm" in own and "frozen" not in own)
        if is_norm and "running_mean" in names:
            return "statistics"
        if facts.is_a(type, *_ACTIVATIONS):
            return "activation"
        if is_norm and names:
            return "norm"
    return None


def _branches(facts: Facts, places: list[int]) -> list[int] | None:
    """For each place the module that holds it, right below the one that holds all; None where one is that itself."""
    lines = []
    for place in places:
        line = [place]
        while facts.parents[line[-1]] >= 0:
            line.append(facts.parents[line[-1]])
        lines.append(line[::-1])
    same = 0
    while all(len(line) > same for line in lines) and len({line[same] for line in lines}) == 1:
        same += 1
    if any(len(line) <= same for line in lines):
        return None
    return list(dict.fromkeys(line[same] for line in lines))


def _have_their_own(facts: Facts, branches: list[int]) -> bool:
    """Whether two at least have weights that no other has, and all that they have in common are norms and
    activations: else they share a branch, in pieces."""
    if len(branches) < 2:
        return False
    return facts.once(("own-weights", tuple(branches)), lambda: _compare(facts, branches))


def _compare(facts: Facts, branches: list[int]) -> bool:
    held = [set(_tensors(facts, branch)) for branch in branches]
    count: dict[int, int] = {}
    for tensor in chain.from_iterable(held):
        count[tensor] = count.get(tensor, 0) + 1
    if sum(any(count[tensor] == 1 for tensor in tensors) for tensors in held) < 2:
        return False
    return not any(
        any(count[tensor] > 1 for tensor in _own_tensors(facts, module)) and not _is_small(facts, module)
        for module in facts.subtree(branches[0])
    )


def _is_small(facts: Facts, module: int) -> bool:
    """Whether it is a norm or an activation, or what a default argument made, or lies in that."""
    at = module
    while at >= 0 and at in _repeated(facts):
        if _kind(facts, [at]) is not None:
            return True
        at = facts.parents[at]
    return False


def _repeated(facts: Facts) -> frozenset[int]:
    """Modules that stand in several places, at each of them."""
    repeats = facts.snapshot.module_columns.repeats
    return facts.once("repeated", lambda: frozenset(chain(repeats.keys(), repeats.values())))


def _own_tensors(facts: Facts, module: int) -> Iterator[int]:
    slots = facts.snapshot.slot_columns
    for slot in range(facts.first_slots[module], facts.first_slots[module + 1]):
        if slots.holds[slot] == PARAMETER and slots.tensors[slot] >= 0:
            yield slots.tensors[slot]


def _tensors(facts: Facts, module: int) -> Iterator[int]:
    """Tensors of the parameters at or below a module."""
    for each in facts.subtree(module):
        yield from _own_tensors(facts, each)


def _is_uniform(facts: Facts, modules: list[int]) -> bool:
    return len({facts.snapshot.module_columns.types[module] for module in modules}) == 1


def _is_first(facts: Facts, place: int) -> bool:
    """Whether it is what a Sequential begins with."""
    above = facts.parents[place]
    if above < 0:
        return False
    columns = facts.snapshot.module_columns
    is_sequential = facts.is_a(facts.snapshot.interned.types[columns.types[above]], _SEQUENTIAL)
    return is_sequential and facts.children[above][0] == place
