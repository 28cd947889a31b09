"""Report → the scene that DOT and Mermaid write down: what was asked for, within a number of boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paramscope import text
from paramscope.errors import FormatError
from paramscope.render.picture import _text as words
from paramscope.render.picture import around as select_around
from paramscope.render.picture import build_graph
from paramscope.render.picture import only as select_only
from paramscope.render.picture._parts import FOUND, GLYPHS, MEANINGS, STEPPED, Box, Link, LinkKind, Look, Scene
from paramscope.render.picture._plan import Limits, Plan
from paramscope.render.picture._steps import Steps

if TYPE_CHECKING:
    import networkx as nx

    from paramscope.report.data import ReportData


class View:
    """What a picture was asked for."""

    def __init__(
        self, report: ReportData, *, fold: bool, depth: int | None, around: str | None, only: str | None
    ) -> None:
        """Raises FormatError for a depth or an `only` that does not exist, GlobError for a path that does not."""
        if depth is not None and depth < 0:
            raise FormatError(f"a depth of {depth} is no depth", "Depth 0 closes the root itself, 1 its children.")
        self.fold, self.depth, self.around, self.only = fold, depth, around, only
        self._report = report
        graph = build_graph(report, fold=fold)
        if around is not None:
            graph = select_around(report, graph, around)
        if only is not None:
            graph = select_only(graph, only)
        self._graph: nx.MultiDiGraph[str] = graph

    def scene(self, boxes: int, *, levels: int | None = None, lines: int = words.MOST_LINES) -> Scene:
        """The scene with at most so many boxes, so many of them in a row, and so many lines of tensors in one."""
        plan = Plan(self._graph, Limits(boxes, self.depth, levels))
        return _Drawing(plan, lines, self._title(), self._notes(plan)).scene

    def _title(self) -> str:
        graph = self._graph
        modules = [(name, facts) for name, facts in graph.nodes(data=True) if facts["kind"] == "module"]
        roots = [facts for name, facts in modules if not graph.pred[name]]
        kinds = " + ".join(words.class_name(root["type"]) for root in roots)
        target = f"{self._report.target}: " if self._report.target else ""
        return words.cut(f"{target}{kinds}", 90)

    def _notes(self, plan: Plan) -> list[str]:
        totals = self._report.totals
        notes = [f"{text.count(totals.parameters)} parameters, {text.count(totals.trainable)} trainable"]
        if self.around is not None:
            notes.append(words.cut(f"around {self.around}", 90))
        if self.only is not None:
            found = any(
                facts["kind"] != "module" or self.only == "hidden" for _, facts in self._graph.nodes(data=True)
            )
            is_any = found and (self.only != "hidden" or len(self._graph) > len(self._report.snapshot.roots))
            notes.append(f"only {self.only}" + ("" if is_any else ": there is none"))
        if plan.is_folded_further:
            notes.append("folded further to stay legible: --depth, --around PATH show more")
        return notes


class _Drawing:
    def __init__(self, plan: Plan, most_lines: int, title: str, notes: list[str]) -> None:
        self._plan, self._most_lines = plan, most_lines
        self._steps = Steps(plan)
        self._boxes: list[Box] = []
        self._links: dict[Link, None] = {}
        self._levels: dict[str, int] = {}
        self._add_modules()
        self._add_tensors()
        self._add_storages()
        self._add_groups()
        self.scene = Scene(title, tuple(self._boxes), tuple(self._links), tuple(self._legend()), tuple(notes))

    def _add(self, name: str, look: Look, title: list[str], lines: list[str], tip: str, level: int) -> None:
        marks = frozenset(mark for mark in (*GLYPHS.values(), FOUND, STEPPED) if any(mark in line for line in lines))
        self._boxes.append(Box(name, look, tuple(title), tuple(lines), text.name(tip), level, marks))
        self._levels[name] = level

    def _link(self, tail: str, head: str, kind: LinkKind) -> None:
        if tail != head:
            self._links[Link(tail, head, kind)] = None

    def _add_modules(self) -> None:
        plan = self._plan
        for name, box in plan.drawn.items():
            facts = plan.module(name)
            if box.above is None:
                title = facts["path"] or words.class_name(facts["type"])
            else:
                title = words.module_title(plan.module(box.above)["path"], facts["path"])
            lines = words.module_lines(facts, is_closed=plan.closed.get(name, 0))
            lines += words.listed(self._tensor_lines(name), self._most_lines)
            tip = f"{facts['path']}: {facts['type']}" if facts["path"] else facts["type"]
            self._add(name, _look(facts), [words.cut(title, words.TITLE)], lines, tip, box.level)
            if box.above is not None:
                self._link(box.above, name, "contains" if facts["registered"] else "contains-hidden")
        for tail, head in plan.again:
            if tail in plan.box_of and head in plan.box_of:
                self._link(plan.box_of[tail], plan.box_of[head], "contains")

    def _tensor_lines(self, box: str) -> list[words.Line]:
        """The tensors that a module holds itself, then a line or more for each module that has no box."""
        plan, path = self._plan, self._plan.module(box)["path"]
        found: list[words.Line] = []
        if self._plan.limits.depth is not None and plan.drawn[box].depth >= self._plan.limits.depth:
            return found
        for tensor, held in plan.held.get(box, ()):
            if tensor not in plan.own:
                glyph, said = self._words(tensor, held)
                found.append(
                    words.Line(glyph, f"{words.relative(path, held['path'])} {_shape(plan, tensor)} {said}".rstrip())
                )
        for module in plan.lines_of.get(box, ()):
            if len(found) > self._most_lines:
                # These are only counted.
                kinds = dict.fromkeys(held["status"] for tensor, held in plan.held.get(module, ()))
                found += [words.Line(GLYPHS.get(kind, "?"), "") for kind in kinds]
                continue
            facts = plan.module(module)
            name = words.relative(path, facts["path"])
            alike: dict[tuple[str, str], list[str]] = {}
            for tensor, held in plan.held.get(module, ()):
                if tensor not in plan.own:
                    part = words.relative(facts["path"], held["path"])
                    alike.setdefault(self._words(tensor, held), []).append(f"{part} {_shape(plan, tensor)}")
            for (glyph, said), parts in alike.items():
                kind = words.class_name(facts["type"])
                found.append(words.Line(glyph, words.module_line(name, kind, parts, said, glyph)))
        return found

    def _words(self, tensor: str, held: dict[str, Any]) -> tuple[str, str]:
        return words.tensor_words(self._plan.module(tensor), held, self._steps.tags_of.get(tensor, ()))

    def _add_tensors(self) -> None:
        plan = self._plan
        for tensor in plan.own:
            facts = plan.module(tensor)
            holders = [
                (plan.box_of[owner], held) for owner, held in plan.holders.get(tensor, ()) if owner in plan.box_of
            ]
            boxes = dict.fromkeys(box for box, _ in holders)
            # What happens within one closed box is not drawn beside it.
            if not boxes or (len(boxes) == 1 and not facts.get("focus") and self._is_closed_at(tensor)):
                continue
            title, lines = words.tensor_lines(facts, [held["path"] for _, held in holders])
            level = 1 + max(self._levels[box] for box in boxes)
            kinds = set(facts["sharing"])
            look: Look = "tensor"
            if facts["status"] == "hidden":
                look = "hidden"
            elif plan.is_shared(tensor):
                look = "tied" if "tied" in kinds else "aliased"
            elif facts["not_stepped"]:
                look = "unstepped"
            self._add(tensor, look, title, lines, f"{facts['path']}: {facts['type']}", level)
            for box, held in holders:
                kind: LinkKind = "holds-shared" if look in ("tied", "aliased") else "holds"
                self._link(box, tensor, "holds-hidden" if held["status"] == "hidden" else kind)

    def _is_closed_at(self, tensor: str) -> bool:
        """Whether all holders of a tensor stand in a box that closes them."""
        plan = self._plan
        return all(
            owner not in plan.drawn and owner not in plan.lines_of.get(plan.box_of.get(owner, ""), ())
            for owner, _ in plan.holders[tensor]
        )

    def _add_storages(self) -> None:
        plan = self._plan
        for name, facts in plan.graph.nodes(data=True):
            if facts["kind"] != "storage":
                continue
            viewers = list(dict.fromkeys(plan.graph.predecessors(name)))
            drawn = [tensor for tensor in viewers if tensor in self._levels]
            is_met = any({"aliased", "overlapping"} & set(plan.module(tensor)["sharing"]) for tensor in viewers)
            if not drawn or len(viewers) < 2 or not is_met:
                continue
            title, lines = words.storage_lines(facts, sum(plan.module(tensor)["count"] for tensor in viewers))
            self._add(
                name,
                "storage",
                title,
                lines,
                f"storage on {facts['device']}",
                1 + max(map(self._levels.__getitem__, drawn)),
            )
            for tensor in viewers:
                tails = (
                    [tensor]
                    if tensor in self._levels
                    else [plan.box_of[owner] for owner, _ in plan.holders.get(tensor, ()) if owner in plan.box_of]
                )
                for tail in tails:
                    self._link(tail, name, "views")

    def _add_groups(self) -> None:
        for stepper in self._steps.steppers:
            title, lines = words.group_lines(stepper.groups, stepper.tag)
            heads = [head for head in stepper.heads if head in self._levels]
            level = min((self._levels[head] for head in heads), default=0) - 1
            tip = f"{stepper.groups[0]['optimizer']}: {stepper.groups[0]['type']}"
            self._add(stepper.name, "group", title, lines, tip, level)
            for head in heads:
                self._link(stepper.name, head, "steps")

    def _legend(self) -> list[tuple[str, str]]:
        looks = {box.look for box in self._boxes}
        marks = {mark for box in self._boxes for mark in box.marks}
        found: list[tuple[str, str]] = [(look, meaning) for look, meaning in MEANINGS.items() if look in looks]
        found += [(glyph, status) for status, glyph in GLYPHS.items() if glyph in marks]
        if FOUND in marks:
            found.append((FOUND, "finding"))
        if STEPPED in marks:
            found.append((STEPPED + "A", "stepped by group A"))
        return found


def _look(facts: dict[str, Any]) -> Look:
    if not facts["registered"]:
        return "hidden"
    if facts["not_stepped"] and facts["not_stepped"] == facts["steppable"]:
        return "unstepped"
    looks: dict[str, Look] = {"trainable": "trainable", "frozen": "frozen", "partly frozen": "mixed"}
    return looks.get(facts["status"], "plain")


def _shape(plan: Plan, tensor: str) -> str:
    return text.shape(plan.module(tensor)["shape"])
