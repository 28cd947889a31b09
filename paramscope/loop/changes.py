"""Two looks → what changed between them, slot by slot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import eq, is_
from typing import Literal, NamedTuple, get_args

from paramscope.analysis.changes import SlotState, State, changes_between
from paramscope.loop.look import Look, are_same
from paramscope.snapshot import Membership
from paramscope.text import listed, option

ChangeKind = Literal[
    "added",
    "removed",
    "replaced",
    "tied",
    "untied",
    "froze",
    "thawed",
    "joined",
    "left",
    "got gradient",
    "lost gradient",
    "to training",
    "to eval",
    "learning rate",
]
KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)
UNHEARD = "in no optimizer"


class Change(NamedTuple):
    """One thing that is no longer as it was."""

    kind: ChangeKind
    paths: tuple[str, ...]
    """The slot; all slots of a tie; the module whose mode changed; the group whose learning rate did, as
    `optimizer[0].groups[1]`."""
    facts: str = ""
    """What else there is to say: which groups were joined or left, `0.1 → 0.01`, that no optimizer holds it."""


def changes(before: Look, after: Look) -> tuple[Change, ...]:
    """What differs, ordered by kind, and within one kind as the model is."""
    found = [*_slots(before, after), *_modes(before, after), *_rates(before, after)]
    return tuple(sorted(found, key=lambda change: KINDS.index(change.kind)))


def _slots(before: Look, after: Look) -> Iterator[Change]:
    if before.slots is after.slots:
        pairs = [(at, at) for at in _differing(before, after)]
    else:
        was = {path: at for at, path in enumerate(before.slots)}
        pairs = [(was[path], at) for at, path in enumerate(after.slots) if path in was]
    if before.slots is not after.slots or not are_same(before.identities, after.identities):
        there = set(after.slots)
        same = {path: path for path in before.slots if path in there}
        for change in changes_between(_state(before), _state(after), same).changes:
            kind = change.kind
            if kind == "added" or kind == "removed" or kind == "tied" or kind == "untied":
                yield Change(kind, change.paths)
    for old, new in pairs:
        path = (after.slots[new],)
        if before.identities[old] is not after.identities[new]:
            yield Change("replaced", path)
        if before.is_trainable[old] != after.is_trainable[new]:
            is_unheard = after.is_trainable[new] and after.rates and not after.places[new]
            yield Change("thawed" if after.is_trainable[new] else "froze", path, UNHEARD if is_unheard else "")
        if before.has_grad[old] != after.has_grad[new]:
            yield Change("got gradient" if after.has_grad[new] else "lost gradient", path)
        if joined := [place for place in after.places[new] if place not in before.places[old]]:
            yield Change("joined", path, listed(list(map(to_path, joined))))
        if left := [place for place in before.places[old] if place not in after.places[new]]:
            yield Change("left", path, listed(list(map(to_path, left))))


def _differing(before: Look, after: Look) -> Iterable[int]:
    """The slots that anything is new of, where the paths are the same."""
    if (
        are_same(before.identities, after.identities)
        and before.is_trainable == after.is_trainable
        and before.has_grad == after.has_grad
        and before.places == after.places
    ):
        return ()
    same: tuple[Iterator[bool], ...] = (
        map(is_, before.identities, after.identities),
        map(is_, before.is_trainable, after.is_trainable),
        map(is_, before.has_grad, after.has_grad),
        map(eq, before.places, after.places),
    )
    return [at for at, each in enumerate(zip(*same, strict=True)) if not all(each)]


def _state(look: Look) -> State:
    """What is tied, and what there is; nothing else is compared there."""
    groups: dict[int, list[str]] = {}
    for path, identity in zip(look.slots, look.identities, strict=True):
        groups.setdefault(id(identity), []).append(path)
    ties = tuple(tuple(group) for group in groups.values() if len(group) > 1)
    return State(dict.fromkeys(look.slots, SlotState("trainable", None, None, None)), ties)


def _modes(before: Look, after: Look) -> Iterator[Change]:
    if before.modules is after.modules and before.is_training == after.is_training:
        return
    was = dict(zip(before.modules, before.is_training, strict=True))
    for path, is_training in zip(after.modules, after.is_training, strict=True):
        if was.get(path, is_training) != is_training:
            yield Change("to training" if is_training else "to eval", (path,))


def _rates(before: Look, after: Look) -> Iterator[Change]:
    for place, rate in after.rates.items():
        if place in before.rates and before.rates[place] != rate:
            yield Change("learning rate", (to_path(place),), f"{option(before.rates[place])} → {option(rate)}")


def to_path(place: Membership) -> str:
    """A group as findings name it."""
    return f"optimizer[{place.optimizer}].groups[{place.group}]"
