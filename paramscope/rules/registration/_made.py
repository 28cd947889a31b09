"""What the forward of a user's own class makes: Parameters and layers that an optimizer built before cannot know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from paramscope import source
from paramscope.rules.facts import Facts
from paramscope.rules.once import once
from paramscope.rules.places import modules_above
from paramscope.snapshot import join
from paramscope.snapshot.path import names_below
from paramscope.source.library import is_own


class Made(NamedTuple):
    """A place that the forward of one module fills."""

    owner: str
    """Path of that module."""
    path: str
    """Where what is made stands, or is to stand."""
    made: source.forward.Assigned


@once
def in_forward(facts: Facts, type: str) -> tuple[source.forward.Assigned, ...]:
    """All that the forward of a class assigns, by its source."""
    return source.forward.assigned_in_forward(facts.snapshot.classes, type)


def made_in_forward(facts: Facts) -> Iterator[Made]:
    """What learns and is made by the forward of a registered module of the user's own classes."""
    for kind, modules in facts.module_kinds:
        for made in _made_by(facts, kind.type) if kind.is_registered else ():
            for module in modules:
                owner = facts.modules.path_at(module)
                yield Made(owner, join(owner, ".".join(made.steps)), made)


@once
def _made_by(facts: Facts, type: str) -> list[source.forward.Assigned]:
    record = facts.class_of(type)
    return source.forward.slots_of(in_forward(facts, type)) if record is not None and is_own(record) else []


def made_by_forward(facts: Facts, path: str) -> source.forward.Assigned | None:
    """The assignment in forward that made a slot or a module, or what holds it; None where the model was built with
    it, as far as the source tells."""
    for owner in reversed(modules_above(facts, path)):
        below = tuple(names_below(path, owner))
        for made in _made_by(facts, facts.modules[owner].type):
            if below[: len(made.steps)] == made.steps:
                here = join(owner, ".".join(made.steps))
                if made.when == "always" or not _is_built_before(facts, here):
                    return made
    return None


def _is_built_before(facts: Facts, path: str) -> bool:
    """Whether the constructor surely makes what stands at a path."""
    is_there = path in facts.slots or path in facts.modules
    return any(
        each.method == "__init__"
        and each.is_whole
        and each.is_straight
        and (source.causes.is_module(each.value) or source.causes.is_parameter(each.value))
        for each in (source.owners.locate(facts.snapshot, path).assignments if is_there else ())
    )
