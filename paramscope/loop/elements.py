"""What a step does to the elements of what it steps: which slots it leaves as they are, and which are not finite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, NamedTuple
from weakref import ref

import torch

from paramscope.loop.values import is_readable, norms, samples

_SLOTS = 256
"""Slots of which some elements are read in one step; of more, others from one close look to the next."""
_ELEMENTS = 4_000_000
"""Elements of gradients that are looked at for NaN in one step, and as many of weights: all of a small model, some
milliseconds' worth of a large one, and the rest in turn."""
_FIRST, _LONG, _EVERY = 20, 8, 64
"""Steps of the first close look, of later ones, and from one to the next: each is longer than it takes until anything
is said. Between them, what takes most of the time is left out: reading elements that a step is to move; and looking
for NaN, where that waits for a device."""
_LEAST = 1e-6
"""A gradient below it is as good as none."""
_MARGIN = 100.0
"""How many times what rounding may lose a step has to be before it is expected to be seen."""


def is_close(number: int) -> bool:
    """Whether the step of this number is looked at closely."""
    return number <= _FIRST or number % _EVERY < _LONG


class Slot(NamedTuple):
    """A slot that is about to be stepped, with its objects."""

    path: str
    tensor: Any
    grad: Any
    rate: float | None
    """Learning rate of its group; None where it is no number."""
    is_frozen: bool


class Moved(NamedTuple):
    """What a step did."""

    still: dict[str, int]
    """As in `Step`."""
    frozen: tuple[str, ...]
    """Frozen slots that it changed."""
    bad: tuple[str, ...]
    """Slots that are not finite."""


class _Before(NamedTuple):
    path: str
    tensor: ref[Any]
    elements: list[float]
    is_expected: bool
    """Whether the step is large enough to move one of them."""
    is_frozen: bool
    whole: Any
    """A copy of all elements, where those that were read have not changed in the step before; else None."""


class Elements:
    """Of one optimizer."""

    def __init__(self) -> None:
        self._still: dict[str, int] = {}
        self._outside: dict[str, _Before] = {}
        self._since: dict[str, int] = {}
        self._sampled: list[_Before] = []
        self._finite: list[tuple[str, ref[Any]]] = []
        """Those that are looked at in this step, and all that are stepped."""
        self._all: list[tuple[str, ref[Any]]] = []
        self._greatest: dict[str, float] = {}
        """By slot, the greatest magnitude that was seen in its gradients: of an element, or of all, as a mean."""
        self._at = 0
        """Position of the slot at which the next look for NaN begins."""

    def before(self, number: int, slots: Sequence[Slot]) -> tuple[str, ...]:
        """Reads what the step will be held against. The slots whose gradients are not finite."""
        able = [slot for slot in slots if is_readable(slot.tensor) and is_readable(slot.grad)]
        looked: list[Slot] = []
        if able and (able[0].tensor.device.type == "cpu" or is_close(number)):
            looked = self._in_turn(able)
        bad = self._not_finite(looked)
        if bad and len(looked) < len(able):
            looked = able  # one is reason to look at all: which they are says where it comes from
            bad = self._not_finite(looked)
        self._finite = [(slot.path, ref(slot.tensor)) for slot in looked]
        self._all = [(slot.path, ref(slot.tensor)) for slot in able] if looked else []
        if is_close(number):
            start = number // _EVERY * _SLOTS % len(able) if len(able) > _SLOTS else 0
            self._sampled = self._read((able[start:] + able[:start])[:_SLOTS])
        else:
            self._sampled = self._read([slot for slot in able if slot.is_frozen][:_SLOTS])
        return bad

    def _not_finite(self, slots: Sequence[Slot]) -> tuple[str, ...]:
        """Those whose gradients are not finite; of the others it is noted how large they are."""
        found = norms([slot.grad for slot in slots])
        for slot, norm in zip(slots, found, strict=True):
            self._note(slot.path, (norm / slot.grad.numel() ** 0.5,))
        return tuple(slot.path for slot, norm in zip(slots, found, strict=True) if not isfinite(norm))

    def outside(self, slots: Sequence[Slot]) -> dict[str, int]:
        """Steps since which slots that the optimizer does not hold are the same, each of them large enough to move
        them."""
        read = self._read([slot for slot in slots if is_readable(slot.tensor) and is_readable(slot.grad)][:_SLOTS])
        was, self._outside = self._outside, {each.path: each for each in read}
        self._since = {
            each.path: self._since.get(each.path, 0) + 1
            for each in read
            if each.path in was and was[each.path].is_expected and was[each.path].elements == each.elements
        }
        return self._since

    def after(self) -> Moved:
        """What the step did to those that were read."""
        sampled = [(each, each.tensor()) for each in self._sampled]
        there = [(each, tensor) for each, tensor in sampled if tensor is not None and is_readable(tensor)]
        frozen = []
        still = {}
        for (each, tensor), elements in zip(there, samples([tensor for _, tensor in there]), strict=True):
            if elements != each.elements or (each.whole is not None and not tensor.equal(each.whole)):
                if each.is_frozen:
                    frozen.append(each.path)
            elif each.is_expected and not each.is_frozen:
                still[each.path] = self._still.get(each.path, 0) + 1
        if sampled:
            self._still = still
        bad = _bad(self._finite)
        if bad and len(self._finite) < len(self._all):
            bad = _bad(self._all)
        self._sampled, self._finite, self._all = [], [], []
        return Moved(still, tuple(frozen), bad)

    def _in_turn(self, slots: list[Slot]) -> list[Slot]:
        """As many as the bound allows, from where the last step left off."""
        start = self._at % len(slots)
        found: list[Slot] = []
        elements = 0
        for slot in slots[start:] + slots[:start]:
            elements += slot.tensor.numel()
            if found and elements > _ELEMENTS:
                break
            found.append(slot)
        self._at = start + len(found)
        return found

    def _note(self, path: str, gradient: Iterable[float]) -> None:
        self._greatest[path] = max(self._greatest.get(path, 0.0), *filter(isfinite, map(abs, gradient)), 0.0)

    def _read(self, slots: list[Slot]) -> list[_Before]:
        weights, grads = samples([slot.tensor for slot in slots]), samples([slot.grad for slot in slots])
        for slot, grad in zip(slots, grads, strict=True):
            self._note(slot.path, grad)
        return [
            _Before(
                slot.path,
                ref(slot.tensor),
                weight,
                _is_seen(slot, weight, grad, self._greatest[slot.path]),
                slot.is_frozen,
                slot.tensor.clone() if slot.path in self._still else None,
            )
            for slot, weight, grad in zip(slots, weights, grads, strict=True)
        ]


def _bad(slots: Iterable[tuple[str, ref[Any]]]) -> tuple[str, ...]:
    """Those whose elements are not finite."""
    there = [(path, tensor) for path, held in slots if (tensor := held()) is not None and is_readable(tensor)]
    found = norms([tensor for _, tensor in there])
    return tuple(path for (path, _), norm in zip(there, found, strict=True) if not isfinite(norm))


def _is_seen(slot: Slot, weights: list[float], grads: list[float], most: float) -> bool:
    """Whether a step of this rate, along the gradient or along what it is of the greatest so far, moves an element by
    more than rounding may lose: many optimizers divide by those before. Not one that is zero: sparse and pruned
    weights may be kept there."""
    if not slot.rate:
        return False
    scale = slot.rate / (_MARGIN * torch.finfo(slot.tensor.dtype).eps * max(most, 1.0))
    return any(
        weight and _LEAST < abs(grad) < float("inf") and scale * abs(grad) > abs(weight)
        for weight, grad in zip(weights, grads, strict=True)
    )
