"""Graph → its boxes: which modules get one, which stand as a line in the box above, and which are closed."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from paramscope.render._line import LEARNING
from paramscope.render.picture._parts import Box

if TYPE_CHECKING:
    import networkx as nx

ABSORBED = 6
"""Tensors that a module without modules below it may hold and still stand as a line in the box above it."""

APART = 3
"""Modules without modules below them that get boxes of their own where they are all that is stepped."""


class Limits(NamedTuple):
    """How much a picture holds."""

    boxes: int
    depth: int | None = None
    """Modules so many steps below the root are closed."""
    levels: int | None = None
    """Boxes in a row, from the root on."""


class Plan:
    """The boxes of a picture, and which of them stands for each module of the graph."""

    def __init__(self, graph: nx.MultiDiGraph[str], limits: Limits) -> None:
        self.graph, self.limits = graph, limits
        self.facts: dict[str, dict[str, Any]] = dict(graph.nodes.items())
        self.children: defaultdict[str, list[str]] = defaultdict(list)
        self.held: defaultdict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        self.holders: defaultdict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        self.again: list[tuple[str, str]] = []
        """Modules, and those that they hold under a second path."""
        for tail, head, facts in graph.edges(data=True):
            if facts["kind"] == "holds":
                self.held[tail].append((head, facts))
                self.holders[head].append((tail, facts))
            elif facts["kind"] == "contains" and facts["again"]:
                self.again.append((tail, head))
            elif facts["kind"] == "contains":
                self.children[tail].append(head)
        self._repeated = {head for _, head in self.again}
        self._stepped, self.stepped_in_part = self._count_stepped()
        self.is_folded_further = False
        self.own = self._chosen_tensors()
        """Tensors that get a box of their own."""
        self.boxes: dict[str, Box] = {}
        """By node, those of modules in the order from the roots on."""
        self.box_of: dict[str, str] = {}
        """For every module the module of the box that stands for it."""
        self._open_all()

    def of_kind(self, kind: str) -> list[str]:
        """The nodes of one kind."""
        return [name for name, facts in self.facts.items() if facts["kind"] == kind]

    def _count_stepped(self) -> tuple[dict[str, int], set[str]]:
        """(for each module how many tensors in and below it are stepped, modules that hold both modules of which
        something is stepped and modules of whose parameters nothing is)."""
        stepped: dict[str, int] = {}
        learning: dict[str, int] = {}
        in_part: set[str] = set()
        for module in reversed(self.of_kind("module")):  # a child stands behind its parent
            held, children = [self.facts[tensor] for tensor, _ in self.held[module]], self.children[module]
            stepped[module] = sum(bool(each["stepped"]) for each in held) + sum(map(stepped.__getitem__, children))
            learning[module] = sum(each["status"] in LEARNING for each in held) + sum(
                map(learning.__getitem__, children)
            )
            is_left_out = any(learning[child] and not stepped[child] for child in children)
            if (stepped[module] and is_left_out) or not in_part.isdisjoint(children):
                in_part.add(module)
        return stepped, in_part

    def is_shared(self, tensor: str) -> bool:
        """Whether a tensor meets another slot in memory, other than by being in a module with several paths."""
        facts, holders = self.facts[tensor], self.holders[tensor]
        if not {"aliased", "overlapping"}.isdisjoint(facts["sharing"]):
            return True
        return "tied" in facts["sharing"] and (
            len(holders) > 1
            or any(
                held["slots"] * self.facts[owner]["objects"] > facts["count"] * self.facts[owner]["count"]
                for owner, held in holders
            )
        )

    def _chosen_tensors(self) -> dict[str, None]:
        ranks: dict[str, int] = {}
        for name in self.of_kind("tensor"):
            facts = self.facts[name]
            owners = [self.facts[owner] for owner, _ in self.holders[name]]
            reasons = (
                facts.get("focus"),
                facts["status"] == "hidden" and any(owner["registered"] for owner in owners),
                self.is_shared(name),
                facts["not_stepped"] and any(owner["not_stepped"] < owner["steppable"] for owner in owners),
                facts["findings"],
            )
            if any(reasons):
                ranks[name] = [bool(each) for each in reasons].index(True)
        most = max(4, self.limits.boxes // 3)
        self.is_folded_further |= len(ranks) > most
        return dict.fromkeys(sorted(ranks, key=ranks.__getitem__)[:most])

    def _is_line(self, module: str) -> bool:
        """Whether a module may stand as a line in the box above it."""
        facts, held = self.facts[module], self.held[module]
        return (
            not self.children[module]
            and len(held) <= ABSORBED
            and facts["registered"]
            and not facts.get("focus")
            and not facts["findings"]
            and module not in self._repeated
            and not any(tensor in self.own and self.is_shared(tensor) for tensor, _ in held)
        )

    def _open_all(self) -> None:
        roots = [name for name in self.of_kind("module") if not self.graph.pred[name]]
        # Storages, and groups: every group its own box, or all groups one.
        others = {head for tensor in self.own for head in self.graph.successors(tensor)}
        room = max(1, self.limits.boxes - len(self.own) - len(others) - min(len(self.of_kind("group")), 10))
        shown = roots[:room]
        self.is_folded_further |= len(shown) < len(roots)
        queue: deque[Box] = deque()
        for root in shown:
            self._draw(Box(root, 0), [root], queue)
        room -= len(shown)
        while queue:
            room -= self._open(queue.popleft(), room, queue)

    def _draw(self, box: Box, modules: list[str], queue: deque[Box]) -> None:
        """Enters a box that stands for some modules, to be opened in its turn."""
        self.boxes[box.name] = box
        self.box_of.update(dict.fromkeys(modules, box.name))
        queue.append(box)

    def _open(self, box: Box, room: int, queue: deque[Box]) -> int:
        """Opens one box, or closes it; returns how many boxes that adds."""
        children = self.children[box.name]
        if self.limits.depth is not None and box.depth >= self.limits.depth:
            self._close(box, children)
            return 0
        box.inside = [child for child in children if self._is_line(child)]
        if box.name in self.stepped_in_part:
            # A link to this box would say that all of it is stepped.
            stepped = [child for child in box.inside if self._stepped[child]]
            if len(stepped) <= APART:
                box.inside = [child for child in box.inside if child not in stepped]
        self.box_of.update(dict.fromkeys(box.inside, box.name))
        boxes = [child for child in children if child not in self.box_of]
        kept = len(boxes)
        if boxes and self.limits.levels is not None and box.level + 1 >= self.limits.levels:
            kept = 0
        elif len(boxes) > room:
            # Of very many children the first stand for all; a few fewer are closed together.
            most = self.limits.boxes
            kept = 0 if len(boxes) < 2 * most // 3 else max(0, min(room // 2, most // 3))
        self.is_folded_further |= kept < len(boxes)
        self._close(box, boxes[kept:])
        for child in boxes[:kept]:
            chain = self._chain(child, box.depth + 1)
            self._draw(Box(chain[-1], box.level + 1, box.name, box.depth + len(chain)), chain, queue)
        return kept

    def _chain(self, child: str, depth: int) -> list[str]:
        """A module and those below it that stand in its box: it does nothing but hold one other, and so on."""
        chain = [child]
        while self.limits.depth is None or depth < self.limits.depth:
            below, facts = self.children[child], self.facts[child]
            is_plain = not self.held[child] and not facts["findings"] and not facts.get("focus")
            if len(below) != 1 or not is_plain or not self._repeated.isdisjoint((child, below[0])):
                break
            if self.facts[below[0]]["registered"] != facts["registered"]:
                break
            child = below[0]
            chain.append(child)
            depth += 1
        return chain

    def _close(self, box: Box, children: list[str]) -> None:
        """Leaves out some children of a box, with all that is below them."""
        if children == self.children[box.name]:
            # Modules without tensors are no nodes.
            box.closed = self.facts[box.name]["inside"] if children else 0
        else:
            box.closed = sum(self.facts[each]["count"] + self.facts[each]["inside"] for each in children)
        stack = list(children)
        while stack:
            child = stack.pop()
            self.box_of[child] = box.name
            stack.extend(self.children[child])
