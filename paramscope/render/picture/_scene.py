"""Report → the scene that DOT and Mermaid write down: what was asked for, within a number of boxes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from paramscope import text
from paramscope.render._chosen import check_depth
from paramscope.render.picture import _text as words
from paramscope.render.picture import around as select_around
from paramscope.render.picture import build_graph
from paramscope.render.picture import only as select_only
from paramscope.render.picture._parts import GLYPHS, Box, Link, LinkKind, Look, Scene
from paramscope.render.picture._plan import Limits, Plan
from paramscope.render.picture._steps import steppers

if TYPE_CHECKING:
    import networkx as nx

    from paramscope.report.data import ReportData


class View:
    """What a picture was asked for."""

    def __init__(
        self, report: ReportData, *, fold: bool, depth: int | None, around: str | None, only: str | None
    ) -> None:
        """Raises FormatError for a depth or an `only` that does not exist, GlobError for a path that does not."""
        check_depth(depth)
        self._depth, self._around, self._only = depth, around, only
        self._report = report
        graph = build_graph(report, fold=fold)
        if around is not None:
            graph = select_around(report, graph, around)
        if only is not None:
            graph = select_only(graph, only)
        self._graph: nx.MultiDiGraph[str] = graph

    def scene(self, boxes: int, *, levels: int | None = None, lines: int = words.MOST_LINES) -> Scene:
        """The scene with at most so many boxes, so many of them in a row, and so many lines of tensors in one."""
        plan = Plan(self._graph, Limits(boxes, self._depth, levels))
        links = _Drawing(plan, lines).links
        return Scene(self._title(plan), list(plan.boxes.values()), list(links), self._notes(plan))

    def _title(self, plan: Plan) -> str:
        roots = [name for name in plan.of_kind("module") if not self._graph.pred[name]]
        kinds = " + ".join(text.class_name(plan.facts[root]["type"]) for root in roots)
        return words.cut(f"{self._report.target}: {kinds}" if self._report.target else kinds, 90)

    def _notes(self, plan: Plan) -> list[str]:
        totals = self._report.totals
        notes = [f"{text.count(totals.parameters)} parameters, {text.count(totals.trainable)} trainable"]
        if self._around is not None:
            notes.append(words.cut(f"around {self._around}", 90))
        if self._only is not None:
            # The roots are always there.
            modules = len(self._report.snapshot.roots) if self._only == "hidden" else len(plan.of_kind("module"))
            notes.append(f"only {self._only}" + ("" if len(self._graph) > modules else ": there is none"))
        if plan.is_folded_further:
            notes.append("folded further to stay legible: --depth, --around PATH show more")
        return notes


class _Drawing:
    """Boxes and links of a plan, told by the graph."""

    def __init__(self, plan: Plan, most_lines: int) -> None:
        self._plan, self._facts, self._boxes = plan, plan.facts, plan.boxes
        self._most_lines = most_lines
        self.links: dict[Link, None] = {}
        self._steppers = steppers(plan)
        self._tags: defaultdict[str, list[str]] = defaultdict(list)
        """By tensor, what marks it in the order of the groups."""
        for stepper in self._steppers:
            for tensor in stepper.tensors if stepper.tag else ():
                self._tags[tensor].append(stepper.tag)
        for box in list(self._boxes.values()):
            self._tell_of_module(box)
        for tail, head in plan.again:
            if tail in plan.box_of and head in plan.box_of:
                self._link(plan.box_of[tail], plan.box_of[head], "contains")
        for tensor in plan.own:
            self._add_tensor(tensor)
        for storage in plan.of_kind("storage"):
            self._add_storage(storage)
        self._add_groups()

    def _tell(self, box: Box, look: Look, told: tuple[list[str], list[str]], tip: str) -> None:
        box.look, (box.title, box.lines), box.tip = look, told, text.name(tip)
        self._boxes[box.name] = box

    def _link(self, tail: str, head: str, kind: LinkKind) -> None:
        if tail != head:
            self.links[Link(tail, head, kind)] = None

    def _tell_of_module(self, box: Box) -> None:
        facts = self._facts[box.name]
        title = facts["path"] or text.class_name(facts["type"])
        if box.above is not None:
            title = words.module_title(self._facts[box.above]["path"], facts["path"])
            self._link(box.above, box.name, "contains" if facts["registered"] else "contains-hidden")
        lines = words.module_lines(facts, is_closed=box.closed)
        lines += words.listed(self._tensor_lines(box), self._most_lines)
        tip = f"{facts['path']}: {facts['type']}" if facts["path"] else facts["type"]
        self._tell(box, _look(facts), ([words.cut(title, words.TITLE)], lines), tip)

    def _tensor_lines(self, box: Box) -> list[words.Line]:
        """The tensors that a module holds itself, then a line or more for each module that has no box."""
        plan, path = self._plan, self._facts[box.name]["path"]
        found: list[words.Line] = []
        if plan.limits.depth is not None and box.depth >= plan.limits.depth:
            return found
        for part, (glyph, said) in self._told(box.name):
            found.append(words.Line(glyph, f"{part} {said}".rstrip()))
        for module in box.inside:
            if len(found) > self._most_lines:
                # These are only counted.
                kinds = dict.fromkeys(held["status"] for _, held in plan.held[module])
                found += [words.Line(GLYPHS.get(kind, "?"), "") for kind in kinds]
                continue
            facts = self._facts[module]
            alike: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
            for part, told in self._told(module):
                alike[told].append(part)
            name, kind = words.relative(path, facts["path"]), text.class_name(facts["type"])
            for (glyph, said), parts in alike.items():
                found.append(words.Line(glyph, words.module_line(name, kind, parts, said, glyph)))
        return found

    def _told(self, module: str) -> list[tuple[str, tuple[str, str]]]:
        """(name and shape, (glyph, what else is to be said)) of the tensors of a module that have no box."""
        path = self._facts[module]["path"]
        return [
            (
                f"{words.relative(path, held['path'])} {text.shape(self._facts[tensor]['shape'])}",
                words.tensor_words(self._facts[tensor], held, self._tags[tensor]),
            )
            for tensor, held in self._plan.held[module]
            if tensor not in self._plan.own
        ]

    def _holders(self, tensor: str) -> list[tuple[str, dict[str, Any]]]:
        """The boxes that hold a tensor, each with the edge that says so."""
        box_of = self._plan.box_of
        return [(box_of[owner], held) for owner, held in self._plan.holders[tensor] if owner in box_of]

    def _add_tensor(self, tensor: str) -> None:
        facts, holders = self._facts[tensor], self._holders(tensor)
        boxes = {box for box, _ in holders}
        # What happens within one closed box is not drawn beside it.
        if not boxes or (len(boxes) == 1 and not facts.get("focus") and self._is_closed_at(tensor)):
            return
        look: Look = "tensor"
        if facts["status"] == "hidden":
            look = "hidden"
        elif self._plan.is_shared(tensor):
            look = "tied" if "tied" in facts["sharing"] else "aliased"
        elif facts["not_stepped"]:
            look = "unstepped"
        told = words.tensor_lines(facts, [held["path"] for _, held in holders], self._tags[tensor])
        box = Box(tensor, 1 + max(self._boxes[each].level for each in boxes))
        self._tell(box, look, told, f"{facts['path']}: {facts['type']}")
        kind: LinkKind = "holds-shared" if look in ("tied", "aliased") else "holds"
        for tail, held in holders:
            self._link(tail, tensor, "holds-hidden" if held["status"] == "hidden" else kind)

    def _is_closed_at(self, tensor: str) -> bool:
        """Whether all holders of a tensor stand in a box that closes them."""
        boxes, box_of = self._boxes, self._plan.box_of
        return all(
            owner not in boxes and not (owner in box_of and owner in boxes[box_of[owner]].inside)
            for owner, _ in self._plan.holders[tensor]
        )

    def _add_storage(self, storage: str) -> None:
        """A storage with a box, where it shows how tensors with a box meet."""
        facts, viewers = self._facts[storage], list(dict.fromkeys(self._plan.graph.predecessors(storage)))
        levels = [self._boxes[tensor].level for tensor in viewers if tensor in self._boxes]
        is_met = any({"aliased", "overlapping"} & set(self._facts[tensor]["sharing"]) for tensor in viewers)
        if not levels or len(viewers) < 2 or not is_met:
            return
        told = words.storage_lines(facts, sum(self._facts[tensor]["count"] for tensor in viewers))
        self._tell(Box(storage, 1 + max(levels)), "storage", told, f"storage on {facts['device']}")
        for tensor in viewers:
            tails = [tensor] if tensor in self._boxes else [box for box, _ in self._holders(tensor)]
            for tail in tails:
                self._link(tail, storage, "views")

    def _add_groups(self) -> None:
        for stepper in self._steppers:
            groups = [self._facts[name] for name in stepper.groups]
            heads = [head for head in stepper.heads if head in self._boxes]
            box = Box(stepper.groups[0], min((self._boxes[head].level for head in heads), default=0) - 1)
            tip = f"{groups[0]['optimizer']}: {groups[0]['type']}"
            self._tell(box, "group", words.group_lines(groups, stepper.tag), tip)
            for head in heads:
                self._link(box.name, head, "steps")


def _look(facts: dict[str, Any]) -> Look:
    if not facts["registered"]:
        return "hidden"
    if facts["not_stepped"] and facts["not_stepped"] == facts["steppable"]:
        return "unstepped"
    looks: dict[str, Look] = {"trainable": "trainable", "frozen": "frozen", "partly frozen": "mixed"}
    return looks.get(facts["status"], "plain")
