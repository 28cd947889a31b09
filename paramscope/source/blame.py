"""The line that can have caused a finding: in the classes of what is concerned, else in the functions around them."""

from __future__ import annotations

import ast

from paramscope.snapshot import Snapshot
from paramscope.snapshot.path import to_steps
from paramscope.source.causes import IN_PLACE, Cause, Fit, able, fit
from paramscope.source.finder import Assignment
from paramscope.source.optimizers import locate_optimizer
from paramscope.source.outside import Outside, narrowed, outside, own_files
from paramscope.source.owners import locate
from paramscope.source.search import Located, by_line


def locate_cause(snapshot: Snapshot, path: str, cause: Cause) -> Located:
    """The assignments to a slot or module that can have caused something, best first; or why there are none."""
    return _located(snapshot, path, cause, None)


def locate_replaced(snapshot: Snapshot, path: str, optimizer: str) -> Located:
    """Where something else was put in a place after an optimizer was built; where that is not known, the line that
    builds the optimizer."""
    built = locate_optimizer(snapshot, optimizer)
    near = built.assignments[0] if built.assignments else None
    found = _located(snapshot, path, "later", near)
    return found if found.assignments else built


def _located(snapshot: Snapshot, path: str, cause: Cause, near: Assignment | None) -> Located:
    """near: where several statements outside may be it, those behind it in the same function are."""
    found = locate(snapshot, path, with_changes=cause in IN_PLACE)
    fitting = able(found.assignments, cause)
    if fitting and _makes_bare_object(fitting[0], snapshot, path):
        fitting = ()
    if fitting:
        return Located(fitting, None)
    beside = _from_outside(snapshot, path, cause, near)
    if beside is not None:
        return Located((beside,), None)
    if found.assignments:
        return Located((), "none of the assignments in its classes can have made this: it was assigned from outside")
    return found


def _makes_bare_object(assignment: Assignment, snapshot: Snapshot, path: str) -> bool:
    """Whether it makes, of no arguments, an object whose class is known and does not make what lies in it: that was
    put there later."""
    is_bare = isinstance(assignment.value, ast.Call) and not (assignment.value.args or assignment.value.keywords)
    return is_bare and not assignment.is_whole and bool(_object_around(snapshot, path))


def _object_around(snapshot: Snapshot, path: str) -> str:
    """Path of the plain object of the user's own, the nearest one, whose attribute holds what stands at a path; empty
    where there is none."""
    classes = snapshot.classes
    around = [
        oddity.path
        for oddity in snapshot.oddities
        if oddity.kind == "object-class" and path.startswith(f"{oddity.path}->") and str(oddity.value) in classes
    ]
    return max(around, key=len, default="")


def locate_odd_attribute(snapshot: Snapshot, path: str, name: str) -> Located:
    """Where an attribute such as `require_grad` was assigned to a module or a Parameter: in a class above it, or in
    any function of the files of the user's own classes; where several may be, none is reported."""
    assigned = locate(snapshot, path, below=name).assignments
    within = [each for each in assigned if each.is_whole and not each.type.startswith("torch.")]
    places = by_line(within)
    found = [
        each
        for file in own_files(snapshot)
        for each in outside(file)
        if each.steps[-1:] == (name,)
        and _is_on_the_way(each, path, snapshot)
        and (each.assignment.file, each.assignment.line) not in places
    ]
    lines = by_line(each.assignment for each in narrowed(found, snapshot))
    if within and (not lines or within[0].is_straight):
        return Located((within[0],), None)
    if len(lines) == 1 and not within:
        return Located(tuple(lines.values()), None)
    if lines:
        where = ", ".join(f"line {line}" for _, line in sorted(lines)[:3])
        return Located((), f"several statements may have assigned it: {where}")
    return Located((), f"no file of the user's own classes assigns {name!r}: it was assigned from elsewhere")


def _is_on_the_way(each: Outside, path: str, snapshot: Snapshot) -> bool:
    """Whether a statement may concern what stands at a path, or all that a loop goes over and that lies there."""
    steps = [step.text for step in to_steps(path)]
    written = list(each.steps[:-1])
    is_module = path in snapshot.modules
    loops = [step for step in written if step.startswith("*")]
    if loops:
        # The loop goes over what lies below; the name that it begins with may stand for any part of the model.
        is_other = loops[0] == ("*parameters" if is_module else "*modules")
        return not is_other and _contains(steps, written[: written.index(loops[0])])
    if not written:
        # A name that stands for the thing itself; but of a Parameter `requires_grad` is no odd attribute.
        if is_module and steps and each.steps[-1] == "requires_grad":
            return False
        return each.receiver != "self" or not steps
    return steps[-len(written) :] == written or written[-len(steps) :] == steps


def _contains(steps: list[str], head: list[str]) -> bool:
    # `self.model.body`: the first names lead to the model.
    ends = [head[start:] for start in range(len(head))]
    return not head or any(steps[at : at + len(end)] == end for end in ends for at in range(len(steps)))


def _from_outside(snapshot: Snapshot, path: str, cause: Cause, near: Assignment | None) -> Assignment | None:
    """The one statement outside the classes that can have made a slot or module what it is; None for several."""
    steps = tuple(step.text for step in to_steps(path))
    if not steps or any(step.kind == "class" for step in to_steps(path)):
        return None
    to_object = len(to_steps(_object_around(snapshot, path)))
    found = []
    for file in own_files(snapshot):
        for each in outside(file):
            written = each.steps
            if any(step.startswith("*") for step in written) or (
                each.receiver in ("self", "cls") and len(written) <= len(steps)
            ):
                continue
            is_whole = written[-len(steps) :] == steps
            # `head.weight = …` in a function that was given the head.
            is_part = cause == "alias" and len(written) > 1 and steps[-len(written) :] == written
            is_around = (cause == "later" or len(written) > to_object > 0) and steps[: len(written)] == written
            if (is_whole or is_part or is_around) and fit(each.assignment, cause) is not Fit.NO:
                found.append(each)
    if near is not None:
        here = [
            each
            for each in found
            if (each.assignment.file, each.assignment.method) == (near.file, near.method)
            and each.assignment.line > near.line
        ]
        found = here or found
    lines = by_line(each.assignment for each in narrowed(found, snapshot))
    return next(iter(lines.values())) if len(lines) == 1 else None
