"""Graph → the links from optimizer groups, a few for each: to whole modules where all below them is stepped."""

from __future__ import annotations

from typing import Any, NamedTuple

from paramscope.render.picture._plan import Plan

MOST_GROUPS = 8
"""Groups of one optimizer, and optimizers, that get a box each; more stand in one."""
MOST_LINKS = 6
"""Links of one group; with more, one link goes to the module above all, and the tensors are marked."""


class Stepper(NamedTuple):
    """A group's box, or that of many groups."""

    name: str
    groups: tuple[dict[str, Any], ...]
    heads: tuple[str, ...]
    """Modules with a box, and tensors with one."""
    tag: str
    """What marks the tensors it steps; empty where links tell all."""


class Steps:
    """The groups of a plan, each with what it links to."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.tags_of: dict[str, list[str]] = {}
        """By tensor, in the order of the groups."""
        self.steppers: list[Stepper] = []
        self._children: dict[str, list[str]] = {}
        for box in plan.drawn.values():
            if box.above is not None:
                self._children.setdefault(box.above, []).append(box.module)
        self._totals = self._counted(
            {name for name, facts in plan.graph.nodes(data=True) if facts["kind"] == "tensor" and facts["groups"]}
        )
        found = [(names, self._heads(self._stepped(names))) for names in self._bundles()]
        is_marked = len(found) > 1 and any(not is_exact for _, (_, is_exact) in found)
        for number, (names, (heads, _)) in enumerate(found):
            tag = chr(ord("A") + number) if is_marked and number < 26 else ""
            self.steppers.append(Stepper(names[0], tuple(plan.module(name) for name in names), heads, tag))
            if tag:
                for tensor in self._stepped(names):
                    self.tags_of.setdefault(tensor, []).append(tag)

    def _bundles(self) -> list[list[str]]:
        groups = [name for name, facts in self._plan.graph.nodes(data=True) if facts["kind"] == "group"]
        by_optimizer: dict[str, list[str]] = {}
        for name in groups:
            by_optimizer.setdefault(self._plan.module(name)["optimizer"], []).append(name)
        if len(by_optimizer) > MOST_GROUPS:
            return [groups]
        found: list[list[str]] = []
        for names in by_optimizer.values():
            many = len(names) > MOST_GROUPS or len(names) + len(by_optimizer) > MOST_GROUPS + 2
            found += [names] if many else [[name] for name in names]
        return found

    def _stepped(self, groups: list[str]) -> set[str]:
        return {tensor for group in groups for tensor in self._plan.graph.successors(group)}

    def _counted(self, tensors: set[str]) -> dict[str, int]:
        """For each box how many of some tensors are held in and below it."""
        counts = dict.fromkeys(self._plan.drawn, 0)
        for tensor in tensors:
            for box in dict.fromkeys(self._plan.box_of.get(owner) for owner, _ in self._plan.holders.get(tensor, ())):
                if box is not None:
                    counts[box] += 1
        for drawn in reversed(self._plan.drawn.values()):
            if drawn.above is not None:
                counts[drawn.above] += counts[drawn.module]
        return counts

    def _heads(self, tensors: set[str]) -> tuple[tuple[str, ...], bool]:
        """(what a group links to, whether that tells exactly what it steps)."""
        counts = self._counted(tensors)
        heads: dict[str, None] = {}
        is_exact = True
        stack = [box.module for box in reversed(self._plan.drawn.values()) if box.above is None]
        top = [module for module in stack if counts[module]]
        while stack:
            module = stack.pop()
            if not counts[module]:
                continue
            if counts[module] == self._totals[module]:
                heads[module] = None
                continue
            below = self._children.get(module, [])
            inside = sum(counts[child] for child in below)
            if counts[module] > inside:
                exact, own = self._own_heads(module, tensors)
                is_exact &= exact
                heads.update(own)
            stack.extend(reversed(below))
        if len(heads) > (MOST_LINKS if is_exact else 2):
            return self._lowest(top, counts), False
        return tuple(heads), is_exact

    def _own_heads(self, module: str, tensors: set[str]) -> tuple[bool, dict[str, None]]:
        """What stands in the box of a module that is stepped in part: tensors with a box, else the box itself."""
        held = [
            tensor
            for inner in (module, *self._plan.lines_of.get(module, ()))
            for tensor, _ in self._plan.held.get(inner, ())
            if tensor in tensors
        ]
        if held and all(tensor in self._plan.own for tensor in held) and module not in self._plan.closed:
            return True, dict.fromkeys(held)
        return False, {module: None}

    def _lowest(self, tops: list[str], counts: dict[str, int]) -> tuple[str, ...]:
        """For each root the lowest module above all that is counted there."""
        found = []
        for module in reversed(tops):
            while True:
                below = [child for child in self._children.get(module, ()) if counts[child]]
                if len(below) != 1 or counts[below[0]] != counts[module]:
                    break
                module = below[0]
            found.append(module)
        return tuple(found)
