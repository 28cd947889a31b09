"""What the source of a module's class does with an attribute: when it assigns it, and what becomes of it where it is
read. Reads source, so only for the few slots in question, once for each attribute of a class."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from paramscope import source
from paramscope.rules.facts import Facts
from paramscope.rules.once import once
from paramscope.rules.places import upwards
from paramscope.snapshot import SlotRecord
from paramscope.snapshot.path import Steps, numberless, to_steps
from paramscope.source.library import is_own

_ROUNDS = 4
"""Modules through which a call is followed from the forward on."""


class Assigned(NamedTuple):
    """What the source tells of an attribute."""

    stages: frozenset[source.uses.Stage]
    """When its assignments may run; empty where none was found."""
    is_only_forward: bool
    """Whether each of them runs in the forward alone."""
    is_of_torch: bool
    """Whether torch's own code alone assigns it."""
    is_of_property: bool
    """Whether reading a property makes it."""
    is_of_itself: bool
    """Whether it is computed from what it was: `self.mean = 0.9 * self.mean + …`."""
    is_built_with_graph: bool
    """Whether what is assigned as its object is made may have a graph: `self.mean = torch.zeros(3)` has none."""
    has_graph: bool
    """Whether what is assigned at any time may have one."""


def assigned(facts: Facts, slot: SlotRecord) -> Assigned:
    """When an attribute is assigned. Where it is emptied (`self.hidden = None`), or a container is made
    that holds nothing yet, does not count.

    The module's own class says so, whoever wrote it; only where that never assigns the attribute, or nothing that can
    have made the graph that is there, a module above that reaches into this one (`self.norm.gain = …`).
    """
    key = ("assigned", facts.modules[slot.module].type, numberless(slot.name))
    found: Assigned | None = facts.once(key, lambda: _assigned_by_itself(facts, slot))
    if found is not None and (slot.is_leaf or found.has_graph):
        return found
    above = _from_above(facts, slot.path).assigned
    return above if found is None or above.stages else found


class _Above(NamedTuple):
    """A module that reaches into another one."""

    assigned: Assigned
    type: str
    """Its class; empty where there is none."""
    name: str
    """What it calls the attribute."""
    is_moving: bool
    """Whether its forward brings to another tensor's device and dtype what lies there."""


def _assigned_by_itself(facts: Facts, slot: SlotRecord) -> Assigned | None:
    type = facts.modules[slot.module].type
    steps = to_steps(slot.name)
    found = _filling(source.stages.every_assignment(facts.snapshot.classes, type, steps))
    if steps and uses(facts, type).is_kept_by_helper(steps[0].text):
        kept = _summed(facts, type, found, steps[0].text)
        return kept._replace(stages=kept.stages | {"forward"}, is_only_forward=not found, has_graph=True)
    if not found and steps and uses(facts, type).has_property(steps[0].text):
        # `functools.cached_property`.
        return _summed(facts, type, [], "")._replace(stages=frozenset({"other"}), is_of_property=True)
    return _summed(facts, type, found, steps[0].text) if found else None


@once
def _from_above(facts: Facts, path_of_slot: str) -> _Above:
    """By the modules above, nearest first."""
    slot = facts.slots[path_of_slot]
    below: Steps = to_steps(slot.name)
    own = len(below)
    for at, above in pairwise(upwards(facts, facts.modules.position(slot.module))):
        path, there = facts.modules.path_at(at), facts.modules.path_at(above)
        below = (*to_steps(path[len(there) :]), *below)
        type = facts.modules.at(above).type
        found = _filling(source.stages.every_assignment(facts.snapshot.classes, type, below, beyond=len(below) - own))
        if found:
            name = path[len(there) :].removeprefix(".") + "." + slot.name
            summed = _summed(facts, type, found, to_steps(slot.name)[0].text)
            is_moving = summed.is_only_forward and all(_is_move(each.value, slot.name) for each in found)
            return _Above(summed, type, name, is_moving)
    return _Above(_summed(facts, "", [], ""), "", "", is_moving=False)


def _is_move(value: ast.expr | None, name: str) -> bool:
    """Whether an expression brings an attribute to another tensor: `part.grid.to(x)`."""
    match value:
        case ast.Call(
            func=ast.Attribute(value=ast.Attribute(attr=attr), attr="to" | "type_as"), args=[ast.Name(id=id)]
        ):
            return attr == name and not ("device" in id or "dtype" in id)
    return False


def is_moved_from_above(facts: Facts, slot: SlotRecord) -> bool:
    """Whether the forward of a module above moves an attribute before it goes on."""
    return _from_above(facts, slot.path).is_moving


def _filling(found: Iterable[source.finder.Assignment]) -> list[source.finder.Assignment]:
    return [each for each in found if not source.contents.is_empty(each.value)]


def _summed(facts: Facts, type: str, found: list[source.finder.Assignment], name: str) -> Assigned:
    stages = [uses(facts, type).stages(each) for each in found]
    if {"other"} in stages:
        # Another module of the model may call that as it runs.
        _note_calls(facts)
        stages = [uses(facts, type).stages(each) for each in found]
    graphs = [source.causes.fit(each, "graph") is not source.causes.Fit.NO for each in found]
    return Assigned(
        frozenset(stage for several in stages for stage in several),
        bool(stages) and all(several == {"forward"} for several in stages),
        bool(found) and all(each.type.startswith("torch.") for each in found),
        any(uses(facts, type).is_of_property(each) for each in found),
        any(_reads(each.value, name) for each in found),
        any(
            may_be_caused and "construction" in several for may_be_caused, several in zip(graphs, stages, strict=True)
        ),
        any(graphs),
    )


def _reads(value: ast.expr | None, name: str) -> bool:
    """Whether an expression asks something for an attribute of this name."""
    nodes = ast.walk(value) if value is not None else ()
    return any(isinstance(node, ast.Attribute) and node.attr == name for node in nodes)


@once
def uses(facts: Facts, type: str) -> source.uses.Uses:
    """What a class of modules does with its attributes."""
    return source.uses.Uses(facts.snapshot.classes, type)


def is_managed(facts: Facts, slot: SlotRecord) -> bool:
    """Whether its module, or one above that, moves or saves tensors in ways of its own."""
    if slot.saved is None or slot.moved is None:
        return True
    unknown = facts.snapshot.module_columns.unknown
    above = facts.snapshot.tree.above(facts.modules.position(slot.module))
    return any(fate in ("attributes_moved", "saved") for each in above for fate, _ in unknown.get(each, ()))


def reads(facts: Facts, slot: SlotRecord) -> source.uses.Reads:
    """What becomes of what an attribute holds, in the source of the module's own class; whether it is carried on from
    call to call, a module above may tell that assigns it."""
    type = facts.modules[slot.module].type
    # When its methods run is known once it was asked when the attribute is assigned.
    found = assigned(facts, slot)
    is_row = slot.shape is not None and len(slot.shape) == 1
    is_learned = slot.requires_grad is not False
    key = ("reads", type, slot.name, is_row, is_learned)
    own: source.uses.Reads = facts.once(
        key, lambda: uses(facts, type).reads(slot.name, is_row=is_row, is_learned=is_learned)
    )
    above = _from_above(facts, slot.path) if not slot.is_leaf else None
    if above is None or above.assigned is not found or not above.type:
        return own
    there: source.uses.Reads = facts.once(
        ("reads", above.type, above.name), lambda: uses(facts, above.type).reads(above.name)
    )
    return own._replace(is_carried=own.is_carried or there.is_carried)


def is_read_at_construction_alone(facts: Facts, slot: SlotRecord) -> bool:
    """Whether the class that holds an attribute needs it only to build other things."""
    type = facts.modules[slot.module].type
    key = ("construction", type, slot.name)
    return facts.once(key, lambda: uses(facts, type).is_read_at_construction_alone(slot.name))


def is_unread(facts: Facts, slot: SlotRecord) -> bool:
    """Whether a library's class makes an attribute that neither its methods nor the user's classes read."""
    own = facts.class_of(facts.modules[slot.module].type)
    if own is None or own.file is None or is_own(own) or not assigned(facts, slot).stages:
        return False
    name = to_steps(slot.name)[0].text
    return not any(
        is_own(record) and uses(facts, record.type).mentions(name) for record in facts.snapshot.classes.values()
    )


@once
def _note_calls(facts: Facts) -> None:
    """Has the classes of all modules know which of their methods others call as the model runs."""
    modules: dict[str, list[int]] = {}
    for kind, members in facts.module_kinds:
        modules.setdefault(kind.type, []).extend(members)
    for _ in range(_ROUNDS):
        calls: dict[str, set[str]] = {}
        for type in modules:
            for call in uses(facts, type).running_calls:
                for target in _targets(facts, modules, type, call.attribute):
                    if uses(facts, target).has(call.method):
                        calls.setdefault(target, set()).add(call.method)
        for type in modules:
            uses(facts, type).runs(frozenset(calls.get(type, ())))


def _targets(facts: Facts, modules: dict[str, list[int]], type: str, attribute: str | None) -> set[str]:
    """Classes of what modules of a class hold under an attribute; of all modules, where that is not known."""
    if attribute is None:
        return set(modules)
    found: set[str] = set()
    # Modules of one class hold alike things, as a rule.
    for module in modules[type][:8]:
        path = facts.modules.path_at(module)
        for child in facts.children.get(module, ()):
            rest = facts.modules.path_at(child)[len(path) :].lstrip(".")
            if rest == attribute or (rest.startswith(attribute) and rest[len(attribute)] in ".[{-"):
                found.update(facts.modules.at(each).type for each in facts.subtree(child))
    return found


def target(facts: Facts, slot: SlotRecord, cause: source.causes.Cause) -> str | None:
    """How the statement to blame writes the attribute, such as `self.blk.last` where a module above reaches in; None
    where no statement shows it."""
    return facts.once(("target", cause, numberless(slot.path)), lambda: _target(facts, slot, cause))


def _target(facts: Facts, slot: SlotRecord, cause: source.causes.Cause) -> str | None:
    name = to_steps(slot.name)[0].text
    found = source.blame.locate_cause(facts.snapshot, slot.path, cause).assignments
    if not found:
        return f"self.{name}" if "->" not in slot.path and facts.modules[slot.module].path == "" else None
    written = source.locals.written_at(found[0], name)
    own = facts.snapshot.classes.get(facts.modules[slot.module].type)
    is_own = own is not None and found[0].type in (own.type, *own.bases)
    return written or (f"self.{name}" if is_own else None)
