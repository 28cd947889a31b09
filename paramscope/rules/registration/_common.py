"""Layers that several places have in common beside their own weights: a norm, an activation, a default argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, takewhile
from typing import Literal, NamedTuple

from paramscope.rules.facts import Facts
from paramscope.rules.once import all_once, once
from paramscope.rules.places import own_parameters, parameters_below, type_of, upwards
from paramscope.rules.registration._repeats import is_list, shared_modules
from paramscope.rules.registration._requests import is_asked_for, is_made_default
from paramscope.snapshot.path import last_name

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


@all_once
def common_layers(facts: Facts) -> Iterator[Common]:
    """In the model's order."""
    for places in shared_modules(facts):
        kind = _kind(facts, places)
        if kind is None:
            continue
        branches = _branches(facts, places)
        if branches is None or not _have_their_own(facts, branches):
            continue
        above = facts.parents[branches[0]]
        is_row = above >= 0 and is_list(facts, above)
        if kind == "norm" and not (is_row and len({type_of(facts, branch) for branch in branches}) == 1):
            continue
        if not is_row and kind != "default" and all(_is_first(facts, place) for place in places):
            # What comes in is the same for all of them.
            continue
        if not is_asked_for(facts, facts.modules.path_at(places[1])):
            yield Common(tuple(places), kind, sum(place not in branches for place in places) or len(places))


def _kind(facts: Facts, places: list[int]) -> Kind | None:
    module = places[0]
    # Of what is made once as its function is defined, the line tells most.
    paths = map(facts.modules.path_at, places)
    if parameters_below(facts, module) and any(is_made_default(facts, path) for path in paths):
        return "default"
    return _leaf_kind(facts, module)


def _leaf_kind(facts: Facts, module: int) -> Kind | None:
    type, slots = type_of(facts, module), facts.snapshot.slot_columns
    names = {slots.names[slot] for slot in facts.snapshot.tree.slots_of(module) if slots.tensors[slot] >= 0}
    if facts.children.get(module):
        return None
    own = last_name(type).lower()
    is_norm = facts.is_a(type, _STATISTICS) or ("norm" in own and "frozen" not in own)
    if is_norm and "running_mean" in names:
        return "statistics"
    if facts.is_a(type, *_ACTIVATIONS):
        return "activation"
    return "norm" if is_norm and names else None


def _branches(facts: Facts, places: list[int]) -> tuple[int, ...] | None:
    """For each place the module that holds it, right below the one that holds all; None where one is that itself."""
    lines = [[*upwards(facts, place)][::-1] for place in places]
    same = 0
    while all(len(line) > same for line in lines) and len({line[same] for line in lines}) == 1:
        same += 1
    if any(len(line) <= same for line in lines):
        return None
    return tuple(dict.fromkeys(line[same] for line in lines))


@once
def _have_their_own(facts: Facts, branches: tuple[int, ...]) -> bool:
    """Whether two at least have weights that no other has, and all that they have in common are norms and
    activations: else they share a branch, in pieces."""
    held = [set(parameters_below(facts, branch).values()) for branch in branches]
    count = Counter(chain.from_iterable(held))
    if sum(any(count[tensor] == 1 for tensor in tensors) for tensors in held) < 2:
        return False
    tensors = facts.snapshot.slot_columns.tensors
    return not any(
        any(count[tensors[slot]] > 1 for slot in own_parameters(facts, module)) and not _is_small(facts, module)
        for module in facts.subtree(branches[0])
    )


def _is_small(facts: Facts, module: int) -> bool:
    """Whether it is a norm or an activation, or what a default argument made, or lies in that."""
    repeated = takewhile(_repeated(facts).__contains__, upwards(facts, module))
    return any(_kind(facts, [at]) is not None for at in repeated)


@once
def _repeated(facts: Facts) -> frozenset[int]:
    """Modules that stand in several places, at each of them."""
    repeats = facts.snapshot.module_columns.repeats
    return frozenset(chain(repeats.keys(), repeats.values()))


def _is_first(facts: Facts, place: int) -> bool:
    """Whether it is what a Sequential begins with."""
    above = facts.parents[place]
    return above >= 0 and facts.is_a(type_of(facts, above), _SEQUENTIAL) and facts.children[above][0] == place
