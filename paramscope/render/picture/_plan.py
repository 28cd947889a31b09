"""Graph → which modules get a box, which stand as a line in the box above, and which are closed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import networkx as nx

ABSORBED = 6
"""Tensors that a module without modules below it may hold and still stand as a line in the box above it."""


class Limits(NamedTuple):
    """How much a picture holds."""

    boxes: int
    depth: int | None = None
    """Modules so many steps below the root are closed."""
    levels: int | None = None
    """Boxes in a row, from the root on."""


class Drawn(NamedTuple):
    """A module's box in the plan."""

    module: str
    """The last module of a chain that it stands for."""
    above: str | None
    """The module of the box above."""
    level: int
    """Boxes above it."""
    depth: int
    """Modules above it."""


class Plan:
    """Which nodes of a graph are boxes."""

    def __init__(self, graph: nx.MultiDiGraph[str], limits: Limits) -> None:
        self.graph, self.limits = graph, limits
        self._facts: dict[str, dict[str, Any]] = dict(graph.nodes.items())
        self.children: dict[str, list[str]] = {}
        self.held: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self.holders: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self.again: list[tuple[str, str]] = []
        for tail, head, facts in graph.edges(data=True):
            if facts["kind"] == "contains":
                if facts["again"]:
                    self.again.append((tail, head))
                else:
                    self.children.setdefault(tail, []).append(head)
            elif facts["kind"] == "holds":
                self.held.setdefault(tail, []).append((head, facts))
                self.holders.setdefault(head, []).append((tail, facts))
        self.shared_modules = {head for _, head in self.again}
        self.is_folded_further = False
        self.own = self._chosen_tensors()
        """Tensors that get a box of their own."""
        self.drawn: dict[str, Drawn] = {}
        """By module, in the order of boxes from the roots on."""
        self.lines_of: dict[str, list[str]] = {}
        """Modules that stand as lines in the box of a module."""
        self.closed: dict[str, int] = {}
        """Modules that the box of a module closes."""
        self.box_of: dict[str, str] = {}
        """For every module the module of the box that stands for it."""
        self._open_all()

    def module(self, name: str) -> dict[str, Any]:
        """The facts of a node."""
        return self._facts[name]

    def is_shared(self, tensor: str) -> bool:
        """Whether a tensor meets another slot in memory, other than by being in a module with several paths."""
        facts = self.module(tensor)
        kinds = set(facts["sharing"])
        if kinds & {"aliased", "overlapping"}:
            return True
        if "tied" not in kinds:
            return False
        holders = self.holders.get(tensor, [])
        if len(holders) > 1:
            return True
        return any(
            held["slots"] * self.module(owner)["objects"] > facts["count"] * self.module(owner)["count"]
            for owner, held in holders
        )

    def _chosen_tensors(self) -> dict[str, None]:
        tensors = [name for name, facts in self.graph.nodes(data=True) if facts["kind"] == "tensor"]
        ranks: dict[str, int] = {}
        for name in tensors:
            facts = self.module(name)
            owners = [self.module(owner) for owner, _ in self.holders.get(name, ())]
            if facts.get("focus"):
                ranks[name] = 0
            elif facts["status"] == "hidden" and any(owner["registered"] for owner in owners):
                ranks[name] = 1
            elif self.is_shared(name):
                ranks[name] = 2
            elif facts["not_stepped"] and any(owner["not_stepped"] < owner["steppable"] for owner in owners):
                ranks[name] = 3
            elif facts["findings"]:
                ranks[name] = 4
        most = max(4, self.limits.boxes // 3)
        self.is_folded_further |= len(ranks) > most
        return dict.fromkeys(sorted(ranks, key=ranks.__getitem__)[:most])

    def _is_line(self, module: str) -> bool:
        """Whether a module may stand as a line in the box above it."""
        facts, held = self.module(module), self.held.get(module, ())
        return (
            not self.children.get(module)
            and len(held) <= ABSORBED
            and facts["registered"]
            and not facts.get("focus")
            and not facts["findings"]
            and module not in self.shared_modules
            and not any(tensor in self.own and self.is_shared(tensor) for tensor, _ in held)
        )

    def _open_all(self) -> None:
        roots = [
            name
            for name, facts in self.graph.nodes(data=True)
            if facts["kind"] == "module" and not any(True for _ in self.graph.predecessors(name))
        ]
        room = max(1, self.limits.boxes - len(self.own) - self._others())
        shown = roots[:room]
        self.is_folded_further |= len(shown) < len(roots)
        queue: deque[str] = deque()
        for root in shown:
            self.drawn[root] = Drawn(root, None, 0, 0)
            self.box_of[root] = root
            queue.append(root)
        room -= len(shown)
        while queue:
            room -= self._open(queue.popleft(), room, queue)

    def _others(self) -> int:
        """How many boxes storages and groups may take: every group its own, or all groups one."""
        met = {head for tensor in self.own for head in self.graph.successors(tensor)}
        groups = sum(1 for _, facts in self.graph.nodes(data=True) if facts["kind"] == "group")
        return len(met) + min(groups, 10)

    def _open(self, module: str, room: int, queue: deque[str]) -> int:
        """Opens one box, or closes it; returns how many boxes that adds."""
        box = self.drawn[module]
        children = self.children.get(module, [])
        if self.limits.depth is not None and box.depth >= self.limits.depth:
            self._close(module, children)
            return 0
        lines = [child for child in children if self._is_line(child)]
        boxes = [child for child in children if not self._is_line(child)]
        if boxes and self.limits.levels is not None and box.level + 1 >= self.limits.levels:
            self.is_folded_further = True
            self._close(module, boxes)
            boxes = []
        if len(boxes) > room:
            self.is_folded_further = True
            # Of very many children the first stand for all; a few fewer are closed together.
            kept = 0 if len(boxes) < 2 * self.limits.boxes // 3 else max(0, min(room // 2, self.limits.boxes // 3))
            self._close(module, boxes[kept:])
            boxes = boxes[:kept]
        self.lines_of[module] = lines
        for child in lines:
            self.box_of[child] = module
        for child in boxes:
            last, depth = self._end_of_chain(child, module, box.depth + 1)
            self.drawn[last] = Drawn(last, module, box.level + 1, depth)
            queue.append(last)
        return len(boxes)

    def _end_of_chain(self, child: str, box: str, depth: int) -> tuple[str, int]:
        """Modules that do nothing but hold one other stand in its box."""
        chain = [child]
        while self.limits.depth is None or depth < self.limits.depth:
            below = self.children.get(child, ())
            facts = self.module(child)
            is_plain = not self.held.get(child) and not facts["findings"] and not facts.get("focus")
            if len(below) != 1 or not is_plain or child in self.shared_modules:
                break
            if self.module(below[0])["registered"] != facts["registered"] or below[0] in self.shared_modules:
                break
            child = below[0]
            chain.append(child)
            depth += 1
        self.box_of.update(dict.fromkeys(chain, child))
        return child, depth

    def _close(self, module: str, children: list[str]) -> None:
        """Leaves out some children of a box, with all that is below them."""
        stack = list(children)
        while stack:
            child = stack.pop()
            self.box_of[child] = module
            self.closed[module] = self.closed.get(module, 0) + self.module(child)["count"]
            stack.extend(self.children.get(child, ()))
