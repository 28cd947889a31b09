"""The line to blame for a path: in the class of its owner, or of whoever of the user's own classes is above."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import NamedTuple

from paramscope.snapshot import REGISTERED, ClassRecord, Snapshot
from paramscope.snapshot.path import PathStep, Steps, last_name, parent, prefixes, to_steps
from paramscope.source.finder import Assignment, Goal, Match
from paramscope.source.library import is_own, lineage
from paramscope.source.locals import bound_to
from paramscope.source.search import Located, search, to_located
from paramscope.source.steps import is_numbered


class _Owner(NamedTuple):
    """A module above a path."""

    type: str
    steps: int
    """Number of steps from there to the path."""


def locate(
    snapshot: Snapshot, path: str, *, below: str = "", with_changes: bool = False, with_libraries: bool = False
) -> Located:
    """Where the slot or module of a path was assigned. Raises KeyError for a path that is neither.

    below: an attribute of what stands there, which is then looked for instead. with_changes: what changes a tensor in
    place counts, too. with_libraries: what the classes of libraries assign does, too.

    What a library's layer holds is blamed on the nearest class above that is the user's own, where this assigns
    the step that leads there. An assignment from further above that reaches below that class
    (`self.head.weight = …`) stands before its own.
    """
    owners, steps, is_empty = _owners(snapshot, path)
    if below:
        step = to_steps(below)
        here = [_Owner(snapshot.modules[path].type, 0)] if path in snapshot.modules else []
        owners = [_Owner(owner.type, owner.steps + len(step)) for owner in (*here, *owners)]
        steps += step
    if not owners:
        return Located((), "it is a root: no attribute of a module holds it")
    classes = snapshot.classes
    own = [
        i
        for i, owner in enumerate(owners)
        if _has_own(classes, owner.type) or (with_libraries and not owner.type.startswith("torch."))
    ]
    matches = _in_objects(snapshot, path, is_empty=is_empty, with_changes=with_changes)
    if not own:
        types = ", ".join(dict.fromkeys(owner.type for owner in owners))
        return to_located(matches, f"no class of the user's own holds it: above it stand only {types}")
    nearest = owners[own[0]]
    reason = ""
    for i in own:
        owner = owners[i]
        goal = Goal(steps[len(steps) - owner.steps :], owner.steps - nearest.steps, is_empty, with_changes)
        found = search(classes, owner.type, goal, distance=i)
        matches.extend(found.matches)
        reason = reason or found.reason
    return to_located(matches, reason)


def _in_objects(snapshot: Snapshot, path: str, *, is_empty: bool, with_changes: bool) -> list[Match]:
    """What the classes of the plain objects on the way assign."""
    matches: list[Match] = []
    for oddity in snapshot.oddities:
        if oddity.kind != "object-class" or not path.startswith(oddity.path) or len(path) == len(oddity.path):
            continue
        if _THROUGH_CALLABLE.search(oddity.path):
            continue
        first, *rest = to_steps(path[len(oddity.path) :])
        if first.kind != "item":
            goal = Goal((PathStep("name", first.text), *rest), 0, is_empty, with_changes)
            found = search(snapshot.classes, str(oddity.value), goal).matches
            matches.extend(each for each in found if not _is_given(each.assignment))
    return matches


_THROUGH_CALLABLE = re.compile(r"->(__self__|func|args|keywords|<)")


def _is_given(assignment: Assignment) -> bool:
    """Whether it only keeps what the object was made with: a field of a dataclass, an argument of `__init__`."""
    if not assignment.method:
        return assignment.value is None
    if assignment.method != "__init__" or not isinstance(assignment.value, ast.Name):
        return False
    return bound_to(assignment.value.id, assignment) is None


def _has_own(classes: Mapping[str, ClassRecord], type: str) -> bool:
    """Whether the user wrote a class, or a library made it from one of theirs, as `parametrize` does."""
    return any(map(is_own, lineage(classes, type)))


def _owners(snapshot: Snapshot, path: str) -> tuple[list[_Owner], Steps, bool]:
    """The modules above a path, nearest first; the steps from the last of them; and whether it is an empty slot."""
    slots = snapshot.slots
    is_empty = False
    above: tuple[str, Steps] | None
    try:
        position = slots.position(path)
    except KeyError:
        snapshot.modules.position(path)
        above = _above(snapshot, path)
    else:
        slot = slots.at(position)
        is_empty = slot.status == "empty"
        is_whole = slot.role in ("parameter", "buffer")
        above = slot.module, (PathStep("name", slot.name),) if is_whole else to_steps(slot.name)
    owners: list[_Owner] = []
    backwards: list[PathStep] = []
    while above is not None:
        module, between = above
        backwards.extend(reversed(between))
        owners.append(_Owner(snapshot.modules[module].type, len(backwards)))
        above = _above(snapshot, module)
    return owners, tuple(reversed(backwards)), is_empty


def _above(snapshot: Snapshot, path: str) -> tuple[str, Steps] | None:
    """The module that holds a module, and the steps from there; None for a root."""
    if path in snapshot.roots:
        return None
    module = snapshot.modules[path]
    if module.registered:
        head = parent(path)
        return head, (_counted(snapshot, head, PathStep("name", last_name(path))),)
    for head in reversed(("", *prefixes(path))):
        if head in snapshot.modules:
            steps = to_steps(path[len(head) :])
            if len(steps) == 1 and path[len(head)] == ".":
                steps = (_counted(snapshot, head, steps[0]),)
            return head, steps
    return None


def _counted(snapshot: Snapshot, owner: str, step: PathStep) -> PathStep:
    """A step to a numbered child, with the number of its siblings, for code that counts from the end."""
    if not is_numbered(step):
        return step

    def count() -> int:
        flags = snapshot.module_columns.flags
        children = snapshot.tree.children.get(snapshot.modules.position(owner), ())
        return sum(bool(flags[child] & REGISTERED) for child in children)

    return step._replace(siblings=count)
