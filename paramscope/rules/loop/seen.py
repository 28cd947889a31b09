"""What one step of an optimizer showed, beside those before it, as plain values: what the rules here judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Gap(NamedTuple):
    """A slot that gets no gradient any more."""

    path: str
    got: int
    """Steps before the gap, in each of which it had one."""
    missed: int
    """Steps since, in each of which others of the optimizer had theirs."""
    is_relieved: bool
    """Whether others had their first gradient since: another branch took its place."""


class Flip(NamedTuple):
    """A root that was in training mode in the step before and is not now."""

    path: str
    modules: tuple[str, ...]
    """Those below it, or itself, that went along and do something else in each mode."""


class Step(NamedTuple):
    """One step, seen when its gradients were complete and, for what says so, after it."""

    number: int
    """Steps of this optimizer that were seen, with this one."""
    words: str
    """`step 3`; of several optimizers, `step 3 of optimizer critic`. As it stands in a template."""
    accumulated: int | None
    """Times that backward added to the gradients since the step before; None where that was not seen."""
    carried: tuple[str, ...] = ()
    """Slots whose gradient was still what the step before used when backward added to it."""
    still: Mapping[str, int] = {}
    """By slot that the optimizer steps: steps in a row since which the elements that were looked at are the same,
    though each of them had a gradient and a learning rate that are large enough to move one."""
    still_outside: Mapping[str, int] = {}
    """The same of slots with a gradient where the optimizers hold nothing at all of the model."""
    replaced: tuple[str, ...] = ()
    """Slots that hold a trainable tensor which no optimizer has, in place of one that an optimizer holds and the
    model no longer does."""
    unreduced: tuple[str, ...] = ()
    """Trainable slots of which DistributedDataParallel no longer hears when they have a gradient."""
    flips: tuple[Flip, ...] = ()
    thawed: tuple[str, ...] = ()
    """Slots that were frozen in all steps before, and now have a gradient and no optimizer."""
    moved_frozen: tuple[str, ...] = ()
    """Slots that were trained, are frozen in this step and in the one before, and were changed by this one."""
    bad_gradients: tuple[str, ...] = ()
    """Slots with a gradient that is not finite."""
    bad_weights: tuple[str, ...] = ()
    """Slots with elements that are not finite after the step."""
    gaps: tuple[Gap, ...] = ()
