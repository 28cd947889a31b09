"""Report → MultiDiGraph: modules contain modules and hold tensors, tensors view storages, groups step tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import networkx as nx

from paramscope.analysis.fold import unfolded_tree
from paramscope.render.picture._places import COUNTED, Places, Sums
from paramscope.report.finding_codes import folded, named
from paramscope.snapshot import HOLDS, REGISTERED, Membership, Snapshot
from paramscope.snapshot.fates import is_steppable

if TYPE_CHECKING:
    from paramscope.report.data import ReportData


def build_graph(report: ReportData, *, fold: bool = True) -> nx.MultiDiGraph[str]:
    """The graph of a report; nodes and edges in the order of the model.

    Every node has `kind`: `module`, `tensor`, `storage` or `group`; and `findings`, the codes found there. A node
    stands for `count` things where siblings fold. Every edge has `kind`: `contains` (module → module), `holds`
    (module → tensor), `views` (tensor → storage) or `steps` (group → tensor). A module with several paths is one
    node; so is a tensor in several slots.

    fold: repeated siblings as one, and only storages that more than one tensor views.
    """
    return _Build(report, fold=fold).graph


class _Build:
    def __init__(self, report: ReportData, *, fold: bool) -> None:
        self._snapshot, self._fold = report.snapshot, fold
        self._named = named(report)
        roots = folded(report.snapshot, self._named) if fold else unfolded_tree(report.snapshot)
        self._places = Places(report.snapshot, roots)
        self.graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(
            target=report.target, fold=fold, has_optimizer=bool(report.optimizers)
        )
        self._taken: set[str] = set()
        """Names of nodes."""
        self._of_place: list[str | None] = []
        """The node of a place; None at and below a second path of a module: all of it stands at the first."""
        self._of_tensor: dict[int, str] = {}
        """The node of a tensor by its number; for tensors that the same rows hold, by the first of them."""
        self._add_modules()
        self._add_tensors(self._sharing(report))
        self._add_storages()
        self._add_groups()

    def _new(self, path: str, facts: Mapping[str, Any], **own: Any) -> str:
        """A node; of two with one path the second is numbered."""
        name, number = f"{facts['kind']}:{path}", 1
        while name in self._taken:
            number += 1
            name = f"{facts['kind']}:{path}#{number}"
        self._taken.add(name)
        self.graph.add_node(name, path=path, **facts, **own)
        return name

    def _add_modules(self) -> None:
        columns, places = self._snapshot.module_columns, self._places
        repeats, inside = columns.repeats, _numbers_inside(self._snapshot)
        first_of: dict[tuple[int, ...], str] = {}
        alike: dict[Any, dict[str, Any]] = {}
        """What is the same for thousands of modules."""
        for node, above, below in zip(places.nodes, places.parents, places.sums(), strict=True):
            owner = self._of_place[above] if above >= 0 else None
            if above >= 0 and owner is None:
                self._of_place.append(None)
                continue
            modules, path = node.modules, node.path
            is_registered = bool(columns.flags[modules[0]] & REGISTERED)
            objects = tuple(map(repeats.get, modules, modules)) if repeats else ()
            first = first_of.get(objects) if repeats else None
            if first is None:
                count = len(modules), len(set(objects)) if repeats else len(modules)
                modules_inside = sum(inside[module] for module in modules)
                key = columns.types[modules[0]], is_registered, count, modules_inside, *below.items()
                facts = alike.get(key)
                if facts is None:
                    kind = self._snapshot.interned.types[columns.types[modules[0]]]
                    facts = alike[key] = _module_facts(
                        kind, *count, modules_inside, below, is_registered=is_registered
                    )
                codes = _codes(self._named.modules, modules)
                name = first_of[objects] = self._new(path, facts, paths=(path,), findings=codes)
            else:
                name = first
                self.graph.nodes[name]["paths"] += (path,)
            self._of_place.append(name if first is None else None)
            if owner is not None:
                self.graph.add_edge(
                    owner,
                    name,
                    # The key of a first edge is known; networkx would look for others in 1 µs.
                    0 if first is None else None,
                    kind="contains",
                    path=path,
                    registered=is_registered,
                    again=first is not None,
                )

    def _add_tensors(self, sharing: Mapping[int, Iterable[str]]) -> None:
        rows, codes = self._places.rows, self._named.slots
        columns = self._snapshot.tensor_columns
        alike: dict[Any, dict[str, Any]] = {}
        """What is the same for thousands of tensors."""
        for numbers, tensors, status in self._places.held:
            first, count = tensors[0], len(tensors)
            slots = sum([len(rows[number].slots) for number in numbers])
            key = columns.specs[first], columns.flags[first], columns.memberships[first], status, count, slots
            facts = alike.get(key)
            if facts is None:
                facts = alike[key] = self._tensor_facts(first, status, count, slots)
            if sharing:
                kinds = dict.fromkeys(kind for tensor in tensors for kind in sharing.get(tensor, ()))
                facts = facts | {"sharing": tuple(kinds)}
            if codes:
                facts = facts | {
                    "findings": _codes(codes, [slot for number in numbers for slot in rows[number].slots])
                }
            name = self._of_tensor[first] = self._new(rows[numbers[0]].path, facts)
            for number in numbers:
                self._hold(name, number, is_first=number == numbers[0])

    def _tensor_facts(self, tensor: int, status: str, count: int, slots: int) -> dict[str, Any]:
        """What a tensor, or several that are alike, has in common with others."""
        snapshot, columns = self._snapshot, self._snapshot.tensor_columns
        spec = snapshot.interned.specs[columns.specs[tensor]]
        memberships = snapshot.interned.memberships[columns.memberships[tensor]]
        return {
            "kind": "tensor",
            "type": spec.type,
            "shape": spec.shape,
            "dtype": spec.dtype,
            "device": spec.device,
            "count": count,
            "elements": None if spec.numel is None else spec.numel * count,
            "status": status,
            "stepped": bool(memberships) and is_steppable(columns.flags[tensor]) if snapshot.optimizers else None,
            "groups": tuple(dict.fromkeys(f"{place.optimizer}[{place.group}]" for place in memberships)),
            "not_stepped": bool(snapshot.optimizers) and status == "trainable" and not memberships,
            "slots": slots,
            "sharing": (),
            "findings": (),
        }

    def _hold(self, tensor: str, number: int, *, is_first: bool) -> None:
        """The edge of a row, by its position, to the node of the tensor that it holds."""
        owner = self._of_place[self._places.owners[number]]
        if owner is None:
            return
        snapshot, columns = self._snapshot, self._snapshot.slot_columns
        path, slots = self._places.rows[number]
        self.graph.add_edge(
            owner,
            tensor,
            0 if is_first else None,  # as above
            kind="holds",
            path=path,
            name=columns.names[slots[0]],
            slots=len(slots),
            role=HOLDS[columns.holds[slots[0]]][0],
            status=self._places.statuses_of[number],
            registered=snapshot.is_registered(slots[0]),
        )

    def _sharing(self, report: ReportData) -> dict[int, dict[str, None]]:
        """How tensors share memory, by their number."""
        found: dict[int, dict[str, None]] = {}
        tensors = self._snapshot.slot_columns.tensors
        for record in report.sharing:
            for slot in report.slots.positions(record.slots):
                found.setdefault(tensors[slot], {})[record.kind] = None
        return found

    def _add_storages(self) -> None:
        tensors, of, held = self._snapshot.tensor_columns, self._snapshot.memory.of, self._places.held
        viewed: list[list[int]] = []
        """For each of `held` the numbers of the memories that its tensors, and what they are made of, lie in."""
        for _, members, _ in held:
            storages = [
                storage
                for tensor in members
                for storage in (tensors.storages[tensor], *[part.storage for part in tensors.parts.get(tensor, ())])
            ]
            viewed.append([of(storage) for storage in storages if storage is not None and storage >= 0])
        viewers = Counter(chain.from_iterable(viewed)) if self._fold else {}
        names: dict[int, str] = {}
        """By the number of the memory."""
        columns, devices = self._snapshot.storage_columns, self._snapshot.interned.devices
        for (_, members, _), memories in zip(held, viewed, strict=True):
            wanted = [memory for memory in memories if viewers[memory] > 1] if self._fold else memories
            joint = next((names[memory] for memory in wanted if memory in names), None) if self._fold else None
            for memory in wanted:
                if memory in names:
                    continue
                device, nbytes = devices[columns.devices[memory]], columns.nbytes[memory]
                if joint is None:
                    names[memory] = self._new(
                        str(memory), {"kind": "storage"}, device=device, nbytes=nbytes, count=1, findings=()
                    )
                    joint = names[memory] if self._fold else None
                else:
                    names[memory] = joint
                    self.graph.nodes[joint]["count"] += 1
                    self.graph.nodes[joint]["nbytes"] += nbytes
            for name in dict.fromkeys([names[memory] for memory in wanted]):
                self.graph.add_edge(self._of_tensor[members[0]], name, 0, kind="views")

    def _add_groups(self) -> None:
        nodes: dict[tuple[str, int], str] = {}
        frozen = self._snapshot.frozen_in_groups
        for optimizer in self._snapshot.optimizers:
            for group in optimizer.groups:
                facts = {
                    "kind": "group",
                    "optimizer": optimizer.name,
                    "type": optimizer.type,
                    "index": group.index,
                    "options": group.options,
                    "tensors": len(group.slots) + len(group.foreign),
                    "foreign": len(group.foreign),
                    "elements": group.numel,
                    "frozen": frozen.get(Membership(optimizer.name, group.index), 0),
                    "findings": self._codes_of_group(optimizer.name, group.index),
                }
                nodes[optimizer.name, group.index] = self._new(f"{optimizer.name}[{group.index}]", facts)
        columns, memberships = self._snapshot.tensor_columns, self._snapshot.interned.memberships
        for held in self._places.held if nodes else ():
            if not is_steppable(columns.flags[held.tensors[0]]):
                continue
            for place in dict.fromkeys(memberships[columns.memberships[held.tensors[0]]]):
                node = nodes.get((place.optimizer, place.group))
                if node is not None:
                    self.graph.add_edge(node, self._of_tensor[held.tensors[0]], kind="steps", count=len(held.tensors))

    def _codes_of_group(self, optimizer: str, index: int) -> tuple[str, ...]:
        starts = tuple(f"optimizer[{name}].groups[{index}]" for name in (optimizer, repr(optimizer)))
        there = (codes for path, codes in self._named.others.items() if path.startswith(starts))
        return tuple(dict.fromkeys(code for codes in there for code in codes))


def _numbers_inside(snapshot: Snapshot) -> list[int]:
    """For each module how many there are below it, with or without slots, each counted where it is met first."""
    repeats = snapshot.module_columns.repeats
    found = [0] * len(snapshot.tree.parents)
    for module in range(len(found) - 1, -1, -1):  # a child stands behind its parent
        parent = snapshot.tree.parents[module]
        if parent >= 0:
            found[parent] += found[module] + (repeats.get(module, module) == module)
    return found


def _module_facts(
    type: str, count: int, objects: int, inside: int, below: Sums, *, is_registered: bool
) -> dict[str, Any]:
    """What a module, or several that are alike, has in common with others."""
    there = [status for status in COUNTED if below.get(status)]
    status = "partly frozen" if there[:2] == ["trainable", "frozen"] else there[0] if there else "empty"
    return {
        "kind": "module",
        "type": type,
        "count": count,
        "objects": objects,
        "inside": inside,
        "registered": is_registered,
        "elements": sum(below[status] for status in there),
        "trainable": below.get("trainable", 0),
        "frozen": below.get("frozen", 0),
        "hidden": below.get("hidden", 0),
        "buffers": below.get("buffer", 0),
        "tensors": below.get("tensors", 0),
        "again": {name: below[f"again {name}"] for name in COUNTED if below.get(f"again {name}")},
        "unsized": below.get("unsized", 0),
        "not_stepped": below.get("not_stepped", 0),
        "steppable": below.get("not_stepped", 0) + below.get("in_groups", 0),
        "status": status,
    }


def _codes(codes: Mapping[int, tuple[str, ...]], positions: Iterable[int]) -> tuple[str, ...]:
    """Of the findings that name any of some places, most severe first."""
    return tuple(dict.fromkeys(code for position in positions for code in codes.get(position, ()))) if codes else ()
