"""Where the gradient does not get to: the topmost modules of which no trainable parameter is reached, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paramscope import source
from paramscope.rules.facts import Facts
from paramscope.rules.once import once
from paramscope.rules.optimizer._members import distinct
from paramscope.rules.optimizer._twins import averages
from paramscope.rules.places import type_of, upwards
from paramscope.rules.structures import structures, summed
from paramscope.snapshot import TensorRun
from paramscope.snapshot.path import names_below

if TYPE_CHECKING:
    from paramscope.source.forward_uses import Use

_LISTS = ("torch.nn.modules.container.ParameterList", "torch.nn.modules.container.ParameterDict")
"""Modules that nobody calls: what holds them reads what they hold."""


class Trained(NamedTuple):
    """A trainable tensor that a gradient can reach, and what the run showed of it."""

    slot: int
    """Its first slot."""
    further: tuple[int, ...]
    """The other slots that hold it."""
    run: TensorRun


class Reach(NamedTuple):
    """What the loss depends on, of what is trained."""

    reached: tuple[Trained, ...]
    unreached: tuple[Trained, ...]
    below: list[int]
    """For each module, how many slots of reached tensors it and all below it hold."""
    calls: list[int]
    """For each module, how often it and all below it were called."""


@once
def reach(facts: Facts) -> Reach:
    """What the loss of the run depends on, of all trainable parameters that have elements; averages of the model are
    left out, which no loss is meant to reach."""
    snapshot = facts.snapshot
    modules, kept = snapshot.slot_columns.modules, averages(facts)
    kinds = [kind for kind in facts.slot_kinds if kind.is_trainable and kind.spec and kind.spec.is_differentiable]
    reached: list[Trained] = []
    unreached: list[Trained] = []
    own = [0] * len(facts.modules)
    for slot, further in distinct(facts, [kind for kind in kinds if kind.spec and kind.spec.numel]):
        run = snapshot.run_of_tensor(snapshot.slot_columns.tensors[slot])
        if run is None or run.reached is None or all(modules[each] in kept for each in (slot, *further)):
            continue
        # What backward itself steps, as a hook on each gradient does, keeps none.
        is_reached = run.reached or "backward" in run.changed_by
        (reached if is_reached else unreached).append(Trained(slot, further, run))
        for each in (slot, *further):
            own[modules[each]] += is_reached
    calls = [ran.calls if (ran := snapshot.run_of_module(each)) else 0 for each in range(len(facts.modules))]
    return Reach(tuple(reached), tuple(unreached), summed(facts, own), summed(facts, calls))


def is_loss_made(facts: Facts) -> bool:
    """Whether the loss of the run is no loss of the user's, but the sum of what forward returned."""
    run = facts.snapshot.run
    return run is not None and run.is_loss_made


class Region(NamedTuple):
    """A module of which nothing is reached, or the one that uses the parameter at hand and whose others are."""

    module: int
    """Its position."""
    is_called: bool
    """Whether it, or something in it, was called."""
    is_whole: bool
    """Whether nothing in it that trains is reached."""
    has_reached_siblings: bool
    """Whether something is reached in another one of the same list, built like it, or of the same dict."""


def region_of(facts: Facts, slot: int) -> Region:
    """What an unreached slot lies in: the topmost module that was called, or of which nothing was, and of which
    nothing is reached; where there is none, the module that holds the slot."""
    found = reach(facts)
    owner = facts.snapshot.slot_columns.modules[slot]
    while facts.is_a(type_of(facts, owner), *_LISTS) and facts.parents[owner] >= 0:
        owner = facts.parents[owner]
    known: Region = facts.once(("region", owner), lambda: _region(facts, owner, found))
    return known


def _region(facts: Facts, owner: int, found: Reach) -> Region:
    for module in reversed(list(upwards(facts, owner))):
        # Of a container, which is never called itself, each child is looked at by itself, unless none was called.
        if not found.below[module] and (_is_called(facts, module) or not found.calls[module]):
            has_reached = any(found.below[each] for each in _siblings(facts, module))
            return Region(module, found.calls[module] > 0, is_whole=True, has_reached_siblings=has_reached)
    return Region(owner, found.calls[owner] > 0, is_whole=False, has_reached_siblings=False)


def _is_called(facts: Facts, module: int) -> bool:
    return facts.snapshot.run_of_module(module) is not None


def _siblings(facts: Facts, module: int) -> list[int]:
    """The modules that inputs may choose among: those of a list that are built alike, or all of a dict; the module
    itself alone where it is in neither."""
    parent = facts.parents[module]
    if parent >= 0 and facts.is_a(type_of(facts, parent), "torch.nn.modules.container.ModuleDict"):
        return facts.children[parent]
    if parent < 0 or not facts.modules.path_at(module).rpartition(".")[2].isdecimal():
        return [module]
    of = structures(facts)
    return [each for each in facts.children[parent] if of[each] == of[module]]


def uses_in_forward(facts: Facts, path: str, module: int) -> tuple[Use, ...]:
    """Where the nearest forward of the user's own that ran and lies above a place uses what stands there.

    module: where to begin: what holds the slot, or the module itself.
    """
    for above in upwards(facts, module):
        owner, type = facts.modules.path_at(above), type_of(facts, above)
        if owner != path and _is_called(facts, above) and facts.has_own_forward(type, owner):
            return _uses(facts, type, tuple(names_below(path, owner)))
    return ()


def cut_within(facts: Facts, module: int) -> Use | None:
    """The line from which on a module's own forward keeps gradients from all in it that is trained and not reached;
    None where it does not, for certain."""
    path, type = facts.modules.path_at(module), type_of(facts, module)
    if not facts.has_own_forward(type, path):
        return None
    below = set(facts.subtree(module))
    owners = facts.snapshot.slot_columns.modules
    names = {
        names_below(facts.slots.path_at(each.slot), path)[0]
        for each in reach(facts).unreached
        if owners[each.slot] in below
    }
    cuts = [cut_of(_uses(facts, type, (name,))) for name in sorted(names)]
    found = [cut for cut in cuts if cut is not None]
    return min(found, key=lambda each: each.at.line) if found and len(found) == len(cuts) else None


def cut_of(uses: tuple[Use, ...]) -> Use | None:
    """The first of some uses, where each of them is cut off from gradients."""
    return uses[0] if uses and all(each.cut for each in uses) else None


@once
def _uses(facts: Facts, type: str, steps: tuple[str, ...]) -> tuple[Use, ...]:
    return source.forward_uses.uses(facts.snapshot.classes, type, steps)
