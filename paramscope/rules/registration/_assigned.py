"""Where plain attributes were assigned: as the module was built, in its forward, or elsewhere. Reads source, so only
for the few slots in question, once for each attribute of a class."""

from __future__ import annotations

import re
from typing import NamedTuple

from paramscope.rules.facts import Facts
from paramscope.rules.naming import numberless
from paramscope.snapshot import SlotRecord
from paramscope.source import Assignment, locate, locate_attribute
from paramscope.source.uses import Stage, Uses

_CLEARED = re.compile(r"=\s*(None\s*,?\s*)+(#.*)?$")
_EMPTY = re.compile(
    r"=\s*(\[\]|\{\}|\(\)|([\w.]+\.)?(dict|list|tuple|set|deque|OrderedDict|defaultdict)\((list|dict|maxlen=.*)?\))"
    r"\s*(#.*)?$"
)


class Assigned(NamedTuple):
    """What the source tells of an attribute."""

    stages: frozenset[Stage]
    """When its assignments may run; empty where none was found."""
    is_only_forward: bool
    """Whether each of them runs in the forward alone."""
    is_made_of_data: bool
    """Whether one of them may run in the forward, or stands in a method that is given something."""
    is_of_torch: bool
    """Whether torch's own code alone assigns it."""


def assigned(facts: Facts, slot: SlotRecord) -> Assigned:
    """When an attribute is assigned. Where it is emptied (`self.hidden = None`), or a container is made
    that holds nothing yet, does not count."""
    type = facts.modules[slot.module].type
    key = ("assigned", type, numberless(slot.name))
    return facts.once(key, lambda: _assigned(facts, slot, type))


def _assigned(facts: Facts, slot: SlotRecord, type: str) -> Assigned:
    classes = facts.snapshot.classes
    found = locate(facts.snapshot, slot.path).assignments or locate_attribute(classes, type, slot.name).assignments
    filling = [each for each in found if not _CLEARED.search(each.source) and not _EMPTY.search(each.source)]
    stages = [(each, _uses(facts, _runner(facts, type, each)).stages(each)) for each in filling]
    return Assigned(
        frozenset(stage for _, several in stages for stage in several),
        bool(stages) and all(several == {"forward"} for _, several in stages),
        any("forward" in several or _takes_data(facts, type, each, several) for each, several in stages),
        bool(filling) and all(each.type.startswith("torch.") for each in filling),
    )


def _takes_data(facts: Facts, type: str, assignment: Assignment, stages: set[Stage]) -> bool:
    return stages == {"other"} and _uses(facts, _runner(facts, type, assignment)).takes_data(assignment)


def _runner(facts: Facts, type: str, assignment: Assignment) -> str:
    """The class whose methods decide when an assignment runs: the owner's, or that of a module above it."""
    return type if facts.is_a(type, assignment.type) else assignment.type


def _uses(facts: Facts, type: str) -> Uses:
    return facts.once(("uses", type), lambda: Uses(facts.snapshot.classes, type))


def is_moved_when_read(facts: Facts, slot: SlotRecord) -> bool:
    """Whether the class that holds an attribute moves it wherever it reads it."""
    type = facts.modules[slot.module].type
    return facts.once(("moved", type, slot.name), lambda: _uses(facts, type).is_moved_when_read(slot.name))


def is_read_at_construction_alone(facts: Facts, slot: SlotRecord) -> bool:
    """Whether the class that holds an attribute needs it only to build other things."""
    type = facts.modules[slot.module].type
    key = ("construction", type, slot.name)
    return facts.once(key, lambda: _uses(facts, type).is_read_at_construction_alone(slot.name))
