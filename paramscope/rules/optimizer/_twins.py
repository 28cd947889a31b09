"""Copies that nothing is meant to step: target networks, teachers and averages, told from forgotten siblings."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from paramscope.rules.facts import Facts
from paramscope.rules.places import upwards
from paramscope.rules.structures import structures, summed
from paramscope.snapshot import REGISTERED, TRAINING
from paramscope.snapshot.path import last_name
from paramscope.text import words

_AVERAGES = (
    "torch.optim.swa_utils.AveragedModel",
    "timm.utils.model_ema.ModelEma",
    "timm.utils.model_ema.ModelEmaV2",
    "timm.utils.model_ema.ModelEmaV3",
    "ema_pytorch.ema_pytorch.EMA",
    "mmengine.model.averaged_model.BaseAveragedModel",
)
"""Modules that keep an average of another one's parameters: no optimizer is meant to step these."""
_COPY = re.compile(
    r"targets?|targ|tgt|ema|teacher|momentum|slow|lagg(?:ed|ing)|delayed|polyak|old|prev(?:ious)?|ref(?:erence)?|best|"
    r"avg|averaged?|averages|swa|cop(?:y|ies)|copied|shadow|frozen|fixed|snapshot|backup|prime|bar|hat|minus|stale"
)
"""Words in the names of copies."""
_OPPOSITES = (
    *(frozenset(pair) for pair in (("left", "right"), ("first", "second"), ("top", "bottom"), ("up", "down"))),
    *(frozenset((one, other)) for one in ("source", "src") for other in ("target", "tgt", "trg")),
    *(frozenset((one, "text")) for one in ("image", "vision", "visual", "audio")),
    *(frozenset(("query", other)) for other in ("doc", "document", "passage", "context")),
    *(frozenset(("mean", other)) for other in ("std", "var", "logvar")),
    *(frozenset(pair) for pair in (("user", "item"), ("img", "txt"), ("audio", "video"), ("question", "answer"))),
    *(frozenset(pair) for pair in (("encoder", "decoder"), ("enc", "dec"), ("forward", "backward"), ("fwd", "bwd"))),
    *(frozenset(pair) for pair in (("input", "output"), ("in", "out"), ("low", "high"), ("mu", "sigma"))),
    *(frozenset(pair) for pair in (("actor", "critic"), ("policy", "value"), ("generator", "discriminator"))),
    *(frozenset(pair) for pair in (("real", "fake"), ("positive", "negative"), ("pos", "neg"), ("ab", "ba"))),
)
"""Words that name two equals: neither of these is a copy of the other."""
_SHARE = 3
"""A copy whose name does not say so is one of what trains: of at least a third of it."""
_FURTHER = frozenset({"aux", "auxiliary", "extra", "additional", "side"})
"""Words in the names of parts that train beside others of their kind."""
_MANY = 50
"""Modules built alike that a name is compared with."""


class Twin(NamedTuple):
    """A module that looks like a copy of another one."""

    module: int
    """By position."""
    of: int
    """What is stepped."""
    rests: bool
    """Whether it is in eval mode, and what it belongs to or is a copy of is not."""
    is_named: bool
    """Whether a word in its name says so, too."""


class Held(NamedTuple):
    """What optimizers hold of each module and of all below it."""

    missing: list[int]
    """Trainable slots that are in no group."""
    stepped: list[int]
    """Trainable slots that are in one."""
    layers: list[int]
    """Modules with trainable slots of their own."""
    gradients: list[int]
    """Trainable slots that hold one."""
    total: int
    """Trainable slots that are in a group, of the whole model."""


def averages(facts: Facts) -> frozenset[int]:
    """Modules at or below one that keeps an average, roots too, unless an optimizer holds something there."""
    found: set[int] = set()
    keepers = [
        module for kind, modules in facts.module_kinds if facts.is_a(kind.type, *_AVERAGES) for module in modules
    ]
    if keepers:
        stepped = {facts.snapshot.slot_columns.modules[s] for k in facts.slot_kinds if k.groups for s in k.slots}
        for module in keepers:
            below = set(facts.subtree(module))
            if below.isdisjoint(stepped) or facts.parents[module] >= 0:
                found |= below
    return frozenset(found)


def twins(facts: Facts, missing: Collection[int]) -> list[Twin]:
    """Modules none of whose trainable slots are stepped, and that look like copies of one that wholly is.

    missing: the trainable slots that no optimizer holds.
    """
    held = _held(facts, missing)
    if not any(held.stepped):
        return []
    built = structures(facts)
    flags = facts.snapshot.module_columns.flags
    wanted = {built[m] for m, count in enumerate(held.missing) if count and not held.stepped[m]}
    stepped: dict[int, list[int]] = {}
    for module, count in enumerate(held.stepped):
        if count and not held.missing[module] and flags[module] & REGISTERED and built[module] in wanted:
            stepped.setdefault(built[module], []).append(module)
    found = list(_topmost(facts, held, built, stepped)) if stepped else []
    # Beside a copy that is called one, what else is built alike is a part of its own.
    copied = {twin.of for twin in found if twin.is_named}
    return [twin for twin in found if twin.is_named or twin.of not in copied]


def _topmost(facts: Facts, held: Held, built: list[int], stepped: dict[int, list[int]]) -> Iterator[Twin]:
    flags = facts.snapshot.module_columns.flags
    pending = [module for module, parent in enumerate(facts.parents) if parent < 0]
    while pending:
        module = pending.pop()
        if not flags[module] & REGISTERED or not held.missing[module]:
            continue
        if not held.stepped[module] and not held.gradients[module]:
            of, is_named = _original(facts, held, module, stepped.get(built[module], ()))
            if of is not None:
                yield Twin(module, of, _rests(facts, module, of), is_named)
                continue
        pending += reversed(facts.children.get(module, ()))


def _rests(facts: Facts, module: int, of: int) -> bool:
    flags = facts.snapshot.module_columns.flags
    *_, root = upwards(facts, module)
    return not flags[module] & TRAINING and bool(flags[root] & TRAINING or flags[of] & TRAINING)


def _original(facts: Facts, held: Held, module: int, candidates: Collection[int]) -> tuple[int | None, bool]:
    """(what a module looks like a copy of, None where it looks like a sibling that was forgotten; whether its name
    says so)."""
    paths, layers = facts.snapshot.module_columns.paths, held.layers[module]
    # Names are compared only where they can tell: to compare all with all takes too long in a large model.
    large = [other for other in candidates if held.stepped[other] * _SHARE >= held.total]
    if (layers < 2 or not large) and not _copy_words(set(words(paths[module]))):
        return None, False
    if len(candidates) > _MANY:
        tail = paths[module].partition(".")[2]
        candidates = [other for other in candidates if paths[other].partition(".")[2] == tail][:_MANY]
    found: int | None = None
    is_sibling = False
    # Of several, the one by whose name it is called comes first: `critic2_target` is a copy of `critic2`.
    compared = [(other, *_difference(paths[module], paths[other])) for other in candidates]
    for other, own, theirs in sorted(compared, key=lambda each: len(each[1] | each[2])):
        copies, originals = _copy_words(own), _copy_words(theirs)
        opposed = {word for pair in _OPPOSITES if _is_opposed(pair, own, theirs) for word in pair}
        if originals and not copies:
            # The copy is stepped, and what it was copied from is not.
            is_sibling = True
        elif own & _FURTHER or opposed or _is_numbered(own, theirs, is_deep=layers > 1):
            is_sibling = is_sibling or copies <= opposed
        elif copies - originals:
            return other, True
        elif layers > 1 and found is None and other in large and not _is_listed(facts, module):
            found = other
    return None if is_sibling else found, False


def _difference(one: str, other: str) -> tuple[set[str], set[str]]:
    """The words of two paths in which they differ, in lower case."""
    mine, theirs = words(one), words(other)
    while mine and theirs and mine[0] == theirs[0]:
        del mine[0], theirs[0]
    while mine and theirs and mine[-1] == theirs[-1]:
        del mine[-1], theirs[-1]
    return set(mine), set(theirs)


def _is_opposed(pair: frozenset[str], own: set[str], theirs: set[str]) -> bool:
    """Whether one of two words stands in each of two names."""
    return pair <= own | theirs and bool(pair & own) and bool(pair & theirs) and pair & own != pair & theirs


def _copy_words(found: set[str]) -> set[str]:
    return {word for word in found if _COPY.fullmatch(word)}


def _is_numbered(own: set[str], theirs: set[str], *, is_deep: bool) -> bool:
    """Whether nothing but numbers or letters tells two names apart, as `critic1` and `critic2`, `a` and `b`."""
    if is_deep and (own, theirs) in (({"k"}, {"q"}), ({"key"}, {"query"})):
        return False  # the two encoders of momentum contrast
    return all(word.isdigit() or len(word) == 1 or word in ("one", "two", "three") for word in own | theirs)


def _is_listed(facts: Facts, module: int) -> bool:
    """Whether a module is one of a list, whose others stand beside it."""
    paths = facts.snapshot.module_columns.paths
    return last_name(paths[module]).isdigit() and facts.parents[module] >= 0


def _held(facts: Facts, missing: Collection[int]) -> Held:
    columns, count = facts.snapshot.slot_columns, len(facts.parents)
    missing_in, stepped, layers, gradients = ([0] * count for _ in range(4))
    lacking = set(missing)
    for kind in facts.slot_kinds:
        if not kind.is_trainable:
            continue
        for slot in kind.slots:
            module = columns.modules[slot]
            if kind.groups:
                stepped[module] += 1
            elif slot in lacking:
                missing_in[module] += 1
            layers[module] = 1
            gradients[module] += kind.has_grad
    return Held(
        summed(facts, missing_in),
        summed(facts, stepped),
        summed(facts, layers),
        summed(facts, gradients),
        sum(stepped),
    )
