"""Why parameters are in no optimizer: what their names, shapes, owners and gradients say together."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.naming import literal
from paramscope.rules.optimizer._members import is_beside
from paramscope.rules.places import upwards
from paramscope.snapshot.path import last_name
from paramscope.text import listed, plural

_HAND_OVER = (
    'Hand {0|it|them} to an optimizer, optimizer.add_param_group({"params": …}), or freeze {0|it|them}: '
    "requires_grad_(False)."
)
_COMPLETE = (
    "Build the optimizer once the model is complete, or hand over what is missing: optimizer.add_param_group("
    '{"params": …}).'
)
_FILTERED = (
    'Give what the filter leaves out a group of its own, {"params": …, "weight_decay": 0.0}, or freeze it: '
    "requires_grad_(False)."
)
_LEFT_OUT = 'Give what the filter leaves out a group of its own, {"params": …}, or freeze it: requires_grad_(False).'
_AFTERWARDS = (
    'thawed or put in, or hand over what is missing: optimizer.add_param_group({"params": …}). If another optimizer '
    "steps {0|it|them}, hand over that one as well."
)
_ITS_OWN = (
    "Hand over the optimizer that steps {0|it|them} as well, in a list or a dict; if there is none, build one, or "
    "freeze {0|it|them}: requires_grad_(False)."
)
_SPECIAL = re.compile("norm|embed", re.IGNORECASE)
"""Kinds of layers that go without weight decay, and so have a group of their own."""
_SPECIAL_NAMES = frozenset({"weight", "bias", "gamma", "beta"})
_ADDED = frozenset({"lora", "adapter", "adapters", "prompt", "prompts", "dora", "lokr", "loha", "vera"})
"""Words for what is put into a model later."""
_WORD = re.compile(r"[A-Za-z]{3,}")


class _Set(NamedTuple):
    """Trainable parameters, by what tells them apart."""

    kinds: list[SlotKind]
    slots: list[int]


def reason(facts: Facts, missing: Collection[int]) -> tuple[str, str]:
    """(how the message that no optimizer holds some trainable slots goes on, what to write instead)."""
    lacking = set(missing)
    absent, held = _Set([], []), _Set([], [])
    for kind in facts.slot_kinds:
        if kind.is_trainable:
            slots = kind.slots if kind.groups else [slot for slot in kind.slots if slot in lacking]
            into = held if kind.groups else absent
            if slots:
                into.kinds.append(kind)
                into.slots.extend(slots)
    whole, instead_of_whole = _whole(facts, absent, held)
    filtered, instead = _filter(facts, absent, held)
    if filtered and not whole:
        return f": {filtered}", instead
    if all(kind.has_grad for kind in absent.kinds):
        return ": no step uses {0|its gradient|their gradients}.", _HAND_OVER
    # What has an optimizer to itself may be another network, which is trained beside this one.
    foreign = [
        each
        for optimizer in facts.optimizers
        if not held.slots or any(group.slots for group in optimizer.groups)
        for group in optimizer.groups
        if not is_beside(group)
        for each in group.foreign
    ]
    if foreign:
        count = plural(len(foreign), "tensor")
        return (
            ": no step changes what is in no group. Perhaps it came after the optimizer was built, which holds "
            f"{count} that the model does not have."
        ), _COMPLETE
    if any(kind.has_grad for kind in held.kinds) and not any(kind.has_grad for kind in absent.kinds):
        return (
            ": no step changes what is in no group. There is no gradient, though some of what is held has one: "
            "perhaps it was added or thawed since, or forward does not use it."
        ), _HAND_OVER
    return f": no step changes what is in no group.{whole}", instead_of_whole or _HAND_OVER


def _whole(facts: Facts, absent: _Set, held: _Set) -> tuple[str, str]:
    """(that whole roots, or one part of several layers, are missing, as the end of a message, what to write instead);
    empty where it is not so. A filter would hardly leave out just that."""
    columns = facts.snapshot.slot_columns
    missing = {columns.tensors[slot] for slot in absent.slots}
    others = {
        columns.modules[slot]
        for kind in facts.slot_kinds
        if kind.is_trainable
        for slot in kind.slots
        if columns.tensors[slot] not in missing
    }
    if not held.slots:
        return "", ""
    owners = {columns.modules[slot] for slot in absent.slots}
    reached = {module for owner in others for module in upwards(facts, owner)}
    free = [[module for module in upwards(facts, owner) if module not in reached] for owner in owners]
    if not all(free):
        return "", ""
    tops = sorted({modules[-1] for modules in free})
    are_roots = all(facts.parents[top] < 0 for top in tops)
    if not are_roots and (len(tops) > 1 or len(owners) < 2):
        return "", ""
    names = listed([literal(facts.modules.path_at(top)) for top in tops])
    instead = _ITS_OWN if are_roots else f"Build the optimizer after {names} was {_AFTERWARDS}"
    return f" {{0|It is|They are}} all that trains in {names}.", instead


def _filter(facts: Facts, absent: _Set, held: _Set) -> tuple[str, str]:
    """(what kind of filter would leave out just these, as the end of a message, what to write instead); empty where
    none that is usual."""
    owners = {facts.snapshot.slot_columns.modules[slot] for slot in absent.slots}
    if not held.slots or len(absent.slots) < 2:
        return "", ""
    few, many = set(map(_dims, absent.kinds)), set(map(_dims, held.kinds))
    if max(few) < 2 <= min(many) or max(many) < 2 <= min(few):
        size = "fewer than two." if max(few) < 2 else "two or more."
        return f"perhaps a filter by dimensions leaves out all that has {size}", _FILTERED
    if len(owners) < 2:
        return "", ""
    names = {kind.name for kind in absent.kinds}
    if len(names) == 1 and names <= _SPECIAL_NAMES and names.isdisjoint(kind.name for kind in held.kinds):
        return "perhaps a filter leaves out all of that name.", _FILTERED
    layers = {_layer(kind) for kind in absent.kinds}
    if len(layers) == 1 and layers.isdisjoint(map(_layer, held.kinds)):
        # What is of another kind than all the rest may as well have been put in after the optimizer was built.
        is_special = all(_SPECIAL.search(last_name(each)) for each in layers)
        return ("perhaps a filter leaves out all layers of that kind.", _FILTERED) if is_special else ("", "")
    common = set.intersection(*(_words(path) for path in facts.paths(absent.slots)))
    spoken = set().union(*(_words(path) for path in facts.paths(held.slots)))
    if common - spoken and common.isdisjoint(_ADDED) and len({facts.parents[owner] for owner in owners}) > 1:
        return "perhaps a filter leaves out all of such a name.", _LEFT_OUT
    return "", ""


def _words(path: str) -> set[str]:
    return set(map(str.lower, _WORD.findall(path)))


def _dims(kind: SlotKind) -> int:
    # A lazy parameter has no shape yet, and what has none is no scalar.
    return 2 if kind.spec is None or kind.spec.shape is None else len(kind.spec.shape)


def _layer(kind: SlotKind) -> str:
    return str(kind.owner.settings.get("layer") or kind.owner.type)
