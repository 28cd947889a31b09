"""Boxes → the links from optimizer groups, a few for each: to whole modules where all below them is stepped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

from paramscope.render.picture._plan import Plan

MOST_GROUPS = 8
"""Groups of one optimizer, and optimizers, that get a box each; more stand in one."""
MOST_LINKS = 6
"""Links of one group; with more, one link goes to the module above all, and the tensors are marked."""


class Stepper(NamedTuple):
    """A group's box, or that of many groups."""

    groups: list[str]
    heads: list[str]
    """Modules with a box, and tensors with one."""
    tensors: set[str]
    tag: str
    """What marks the tensors it steps; empty where links tell all."""


def steppers(plan: Plan) -> list[Stepper]:
    """The groups of a picture, each with what it links to. To be asked while all boxes are modules."""
    links = _Links(plan)
    found = []
    for groups in _bundles(plan):
        tensors = {tensor for group in groups for tensor in plan.graph.successors(group)}
        found.append((groups, tensors, *links.heads(tensors)))
    is_marked = len(found) > 1 and not all(is_exact for *_, is_exact in found)
    return [
        Stepper(groups, heads, tensors, chr(ord("A") + number) if is_marked and number < 26 else "")
        for number, (groups, tensors, heads, _) in enumerate(found)
    ]


def _bundles(plan: Plan) -> list[list[str]]:
    """The groups that stand in each box."""
    groups = plan.of_kind("group")
    by_optimizer: defaultdict[str, list[str]] = defaultdict(list)
    for name in groups:
        by_optimizer[plan.facts[name]["optimizer"]].append(name)
    if len(by_optimizer) > MOST_GROUPS:
        return [groups]
    found: list[list[str]] = []
    for names in by_optimizer.values():
        many = len(names) > MOST_GROUPS or len(names) + len(by_optimizer) > MOST_GROUPS + 2
        found += [names] if many else [[name] for name in names]
    return found


class _Links:
    """The boxes of modules as a tree, and how many of some tensors each holds."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._boxes = list(plan.boxes.values())
        self._below: defaultdict[str, list[str]] = defaultdict(list)
        for box in self._boxes:
            if box.above is not None:
                self._below[box.above].append(box.name)
        self._stepped = self._counted([name for name in plan.of_kind("tensor") if plan.facts[name]["stepped"]])

    def _counted(self, tensors: Collection[str]) -> dict[str, int]:
        """For each box how many of some tensors are held in and below it."""
        counts = dict.fromkeys((box.name for box in self._boxes), 0)
        for tensor in tensors:
            owners = [owner for owner, _ in self._plan.holders[tensor] if owner in self._plan.box_of]
            for box in {self._plan.box_of[owner] for owner in owners}:
                counts[box] += 1
        for each in reversed(self._boxes):
            if each.above is not None:
                counts[each.above] += counts[each.name]
        return counts

    def heads(self, tensors: Collection[str]) -> tuple[list[str], bool]:
        """(what a group links to, whether that tells exactly what it steps)."""
        plan, counts = self._plan, self._counted(tensors)
        heads: dict[str, None] = {}
        is_exact = True
        tops = [box.name for box in self._boxes if box.above is None and counts[box.name]]
        stack = tops[::-1]
        while stack:
            name = stack.pop()
            below = [each for each in self._below[name] if counts[each]]
            is_below = counts[name] == sum(counts[each] for each in below)
            if counts[name] == self._stepped[name] and not (is_below and name in plan.stepped_in_part):
                heads[name] = None
                continue
            if not is_below:
                own = self._own_heads(name, tensors)
                is_exact &= bool(own)
                heads.update(dict.fromkeys(own or [name]))
            stack.extend(reversed(below))
        if len(heads) <= (MOST_LINKS if is_exact else 2):
            return list(heads), is_exact
        # For each root the lowest module above all that is counted there.
        lowest = []
        for name in tops:
            while len(below := [each for each in self._below[name] if counts[each]]) == 1:
                if counts[below[0]] != counts[name]:
                    break
                name = below[0]
            lowest.append(name)
        return lowest, all(counts[name] == self._stepped[name] for name in lowest)

    def _own_heads(self, name: str, tensors: Collection[str]) -> list[str]:
        """The tensors with a box of their own that are all that a group steps of a module's box; else nothing."""
        plan, box = self._plan, self._plan.boxes[name]
        held = [each for inner in (name, *box.inside) for each, _ in plan.held[inner] if each in tensors]
        return held if all(each in plan.own for each in held) and not box.closed else []
