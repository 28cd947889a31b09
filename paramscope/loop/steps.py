"""The steps of one optimizer → what each of them showed: the facts that the rules of loops judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from paramscope.capture.classes import class_dict, definer, is_a
from paramscope.capture.code import speaks_of
from paramscope.capture.groups import members
from paramscope.capture.states import instance_dict
from paramscope.loop.elements import Elements, Slot, is_close
from paramscope.loop.look import Held, Live, Look, are_same
from paramscope.loop.sentinels import Sentinel, choose
from paramscope.rules.loop.seen import Flip, Gap, Step
from paramscope.snapshot.path import is_at_or_below


class Stepping:
    """One optimizer, and what its steps showed so far."""

    def __init__(self, held: Held, start: Look, words: str) -> None:
        """words: what tells it from others, after `step 3`."""
        self.held = held
        self.number = 0
        self.idle = 0
        """Steps in which nothing that is stepped had a gradient."""
        self.accumulated: list[int] = []
        """Of each step from the second on, how often backward added to its gradients."""
        self._words = words
        self.look = start
        self._members: list[int] = []
        self._has_held = any(place.optimizer == held.name for places in start.places for place in places)
        """Whether it ever held any slot of the model."""
        self._froze: set[str] = set()
        self._gradients = _Gradients()
        self._elements = Elements()
        self._sentinels: list[Sentinel] = []

    def close(self) -> None:
        """Listens no more, and refers to no tensor."""
        for sentinel in self._sentinels:
            sentinel.close()
        self._sentinels = []
        self._elements = Elements()
        self.look = self.look._replace(identities=[])

    def before(self, look: Look, live: Live, roots: Sequence[str], frozen: set[str]) -> Step:
        """What shows when all gradients are there. roots: paths of the watched modules. frozen: slots that were so in
        all looks; those that no longer are and have been spoken of, or are stepped, are taken off."""
        self.number += 1
        before, self.look = self.look, look
        self._members = self._members_of(before, look)
        self.idle += not any(look.has_grad[at] for at in self._members)
        self._has_held = self._has_held or bool(self._members)
        accumulated = max((each.accumulated for each in self._sentinels), default=0)
        if accumulated:
            self.accumulated.append(accumulated)
        carried = tuple(each.path for each in self._sentinels if each.is_carried())
        if not self._sentinels:
            self._sentinels = choose(
                [(look.slots[at], live.tensors[at]) for at in self._members if look.has_grad[at]]
            )
        was_frozen = self._froze
        if was_frozen:
            was_frozen = was_frozen & {path for path, is_trainable in _trainable(look) if not is_trainable}
        bad: tuple[str, ...] = ()
        outside: dict[str, int] = {}
        if not _is_skipped(self.held.holder):
            bad = self._elements.before(self.number, list(self._about_to_step(look, live, was_frozen)))
            if not self._has_held and not any(look.places) and is_close(self.number):
                outside = self._elements.outside(list(self._beside(look, live)))
        self._froze = was_frozen | self._frozen_since(before, look)
        return Step(
            self.number,
            f"step {self.number}{self._words}",
            accumulated or None,
            carried=carried,
            still_outside=outside,
            replaced=tuple(self._replaced(before, look)),
            flips=tuple(self._flips(before, look, live, roots)),
            thawed=_thawed(look, frozen),
            bad_gradients=bad,
            gaps=self._gradients.gaps(look, self._members),
        )

    def after(self, *, searches: bool) -> Step:
        """What shows when the step is done. searches: whether the optimizer looks for where to go, and may find
        nothing better than where it is."""
        moved = self._elements.after()
        for sentinel in self._sentinels:
            sentinel.restart(is_close=is_close(self.number + 1))
        return Step(
            self.number,
            f"step {self.number}{self._words}",
            None,
            still={} if searches else moved.still,
            moved_frozen=moved.frozen,
            bad_weights=moved.bad,
        )

    def _members_of(self, before: Look, look: Look) -> list[int]:
        """Slots whose tensors this optimizer holds, each tensor once."""
        is_same = look.slots is before.slots and are_same(look.identities, before.identities)
        if self.number > 1 and is_same and look.places == before.places:
            return self._members
        name = self.held.name
        first: dict[int, int] = {}
        for at, places in enumerate(look.places):
            if any(place.optimizer == name for place in places):
                first.setdefault(id(look.identities[at]), at)
        return list(first.values())

    def _about_to_step(self, look: Look, live: Live, frozen: set[str]) -> Iterator[Slot]:
        """Members with a gradient: those that train, and those that were frozen since they did."""
        # Gradients that are scaled up say nothing of how far a step goes.
        is_scaled = vars(self.held.holder).get("grad_scale") is not None
        rates = [None if is_scaled else _rate(group.get("lr")) for group in self.held.groups()]
        for at in self._members:
            path, is_frozen = look.slots[at], not look.is_trainable[at]
            if look.has_grad[at] and (not is_frozen or path in frozen):
                group = next(place.group for place in look.places[at] if place.optimizer == self.held.name)
                tensor = live.tensors[at]
                yield Slot(path, tensor, tensor.grad, rates[group], is_frozen)

    def _beside(self, look: Look, live: Live) -> Iterator[Slot]:
        """Everything with a gradient, as if the first group held it."""
        rate = next((_rate(group.get("lr")) for group in self.held.groups()), None)
        for at, (path, is_trainable) in enumerate(_trainable(look)):
            if is_trainable and look.has_grad[at]:
                yield Slot(path, live.tensors[at], live.tensors[at].grad, rate, is_frozen=False)

    def _frozen_since(self, before: Look, look: Look) -> set[str]:
        if before.slots is not look.slots or before.is_trainable == look.is_trainable:
            return set()
        changed = zip(look.slots, before.is_trainable, look.is_trainable, strict=True)
        return {path for path, was, now in changed if was and not now}

    def _replaced(self, before: Look, look: Look) -> Iterator[str]:
        """Slots with a new tensor that nothing steps, in place of one that is stepped and in no slot any more."""
        if look.slots is before.slots and are_same(look.identities, before.identities):
            return
        now = set(map(id, look.identities))
        stepped = {id(member) for group in self.held.groups() for member in members(group)}
        was = dict(zip(before.slots, zip(before.identities, before.places, strict=True), strict=True))
        for path, identity, is_trainable, places in zip(
            look.slots, look.identities, look.is_trainable, look.places, strict=True
        ):
            old, old_places = was.get(path, (identity, ()))
            if old is identity or id(old) in now or places or not is_trainable:
                continue
            if any(place.optimizer == self.held.name for place in old_places) and id(old()) in stepped:
                yield path

    def _flips(self, before: Look, look: Look, live: Live, roots: Sequence[str]) -> Iterator[Flip]:
        if look.is_training == before.is_training or self.number == 1:
            return
        was = dict(zip(before.modules, before.is_training, strict=True))
        left = {
            path: module
            for path, module, is_training in zip(look.modules, live.modules, look.is_training, strict=True)
            if was.get(path, False) and not is_training
        }
        for root in roots:
            if root in left and any(is_at_or_below(look.slots[at], root) for at in self._members):
                asking = [path for path in left if is_at_or_below(path, root) and _asks_for_mode(left[path])]
                if asking:
                    yield Flip(root, tuple(asking))


class _Gradients:
    """Which slots have had gradients."""

    def __init__(self) -> None:
        self._steps = 0
        """Those in which any slot had one."""
        self._had: frozenset[str] = frozenset()
        self._ever: set[str] = set()
        self._steady: set[str] = set()
        self._gaps: dict[str, int] = {}
        """By slot, the steps before its gap."""
        self._last_new = 0
        """The last step in which a slot had its first gradient."""

    def gaps(self, look: Look, members: Sequence[int]) -> tuple[Gap, ...]:
        """Slots that had one in each step until some step, and none since."""
        have = frozenset(look.slots[at] for at in members if look.has_grad[at] and look.is_trainable[at])
        if not have:
            return ()
        self._steps += 1
        if have != self._had:
            self._had = have
            if not have <= self._ever:
                self._last_new = self._steps
            if self._steps == 1:
                self._steady = set(have)
            self._gaps |= dict.fromkeys(self._steady - have, self._steps - 1)
            self._steady &= have
            self._ever |= have
            waiting = {look.slots[at] for at in members if look.is_trainable[at]} - have
            self._gaps = {path: got for path, got in self._gaps.items() if path in waiting}
        return tuple(Gap(path, got, self._steps - got, self._last_new > got) for path, got in self._gaps.items())


def _trainable(look: Look) -> Iterator[tuple[str, bool]]:
    return zip(look.slots, look.is_trainable, strict=True)


def _thawed(look: Look, frozen: set[str]) -> tuple[str, ...]:
    """Slots that were frozen in all looks, have a gradient now, and no optimizer."""
    if not frozen:
        return ()
    found = []
    for at, (path, is_trainable) in enumerate(_trainable(look)):
        if is_trainable and path in frozen and (look.has_grad[at] or look.places[at]):
            frozen.discard(path)
            if not look.places[at]:
                found.append(path)
    return tuple(found)


def _asks_for_mode(module: Any) -> bool:
    """Whether the code of a module's class asks for `self.training`; a dropout of nothing does so in vain, and a
    wrapper that has a property of this name, as that of torch.compile, passes on what another module says."""
    holder = definer(type(module), "training")
    if holder is not None and is_a(class_dict(holder)["training"], property):
        return False
    state = instance_dict(module)
    is_nothing = any(type(share) in (int, float) and share == 0 for share in map(state.get, ("p", "dropout")))
    return not is_nothing and speaks_of(type(module), "training", below=torch.nn.Module)


def _rate(rate: Any) -> float | None:
    if isinstance(rate, torch.Tensor):
        return float(rate) if rate.device.type == "cpu" else None
    return rate if isinstance(rate, float | int) else None


def _is_skipped(optimizer: Any) -> bool:
    """Whether a gradient scaler has left it to a fused optimizer to skip this step."""
    found = vars(optimizer).get("found_inf")
    return found is not None and bool(found)
