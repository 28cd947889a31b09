"""Report → MultiDiGraph: modules contain modules and hold tensors, tensors view storages, groups step tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import networkx as nx

from paramscope.analysis.fold import unfolded_tree
from paramscope.render.picture._places import Held, Place, Places
from paramscope.report.finding_codes import folded, named
from paramscope.snapshot import HAS_GRAD, HOLDS, REGISTERED, REQUIRES_GRAD

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
        self._report, self._snapshot, self._fold = report, report.snapshot, fold
        found = named(report)
        roots = folded(report.snapshot, found) if fold else unfolded_tree(report.snapshot)
        self._tree = Places(report.snapshot, roots)
        self.graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(
            target=report.target, fold=fold, has_optimizer=bool(report.optimizers)
        )
        self._named = found
        self._taken: set[str] = set()
        """Names of nodes."""
        self._of_place: dict[int, str] = {}
        """The node of a place; for a second path of a module, that of the first."""
        self._second_paths: set[int] = set()
        """Places that are second paths of a module."""
        self._of_tensor: dict[int, str] = {}
        """The node of a tensor by its number; for tensors that the same rows hold, by the first of them."""
        self._add_modules()
        self._add_tensors()
        self._add_storages()
        self._add_groups()

    def _new(self, kind: str, path: str, **facts: Any) -> str:
        """A node; of two with one path the second is numbered."""
        name, number = f"{kind}:{path}", 1
        while name in self._taken:
            number += 1
            name = f"{kind}:{path}#{number}"
        self._taken.add(name)
        self.graph.add_node(name, kind=kind, path=path, **facts)
        return name

    def _add_modules(self) -> None:
        columns, types = self._snapshot.module_columns, self._snapshot.interned.types
        repeats = columns.repeats
        sums = self._tree.sums()
        known: dict[tuple[int, ...], str] = {}
        is_inside = [False] * len(self._tree.places)
        for number, place in enumerate(self._tree.places):
            above = place.parent
            if above >= 0 and is_inside[above]:
                is_inside[number] = True  # below a second path: all of it stands below the first
                continue
            modules = place.node.modules
            objects = tuple(map(repeats.get, modules, modules)) if repeats else ()
            first = known.get(objects) if repeats else None
            if first is not None:
                is_inside[number] = True
                self._of_place[number] = first
                self._second_paths.add(number)
                self.graph.nodes[first]["paths"] += (place.node.path,)
                if above >= 0:
                    self._contain(above, first, place, is_again=True)
                continue
            model, below = modules[0], sums[number]
            name = self._new(
                "module",
                place.node.path,
                type=types[columns.types[model]],
                count=len(modules),
                objects=len(set(objects)) if repeats else len(modules),
                paths=(place.node.path,),
                registered=bool(columns.flags[model] & REGISTERED),
                elements=sum(below.elements.values()),
                trainable=below.elements.get("trainable", 0),
                frozen=below.elements.get("frozen", 0),
                hidden=below.elements.get("hidden", 0),
                buffers=below.elements.get("buffer", 0),
                tensors=below.tensors,
                unsized=below.unsized,
                not_stepped=below.not_stepped,
                steppable=below.not_stepped + below.in_groups,
                status=_status(below.elements),
                findings=_codes(self._named.modules, modules),
            )
            self._of_place[number] = name
            if repeats:
                known[objects] = name
            if above >= 0:
                self._contain(above, name, place, is_again=False)

    def _contain(self, above: int, name: str, place: Place, *, is_again: bool) -> None:
        registered = bool(self._snapshot.module_columns.flags[place.node.modules[0]] & REGISTERED)
        self.graph.add_edge(
            self._of_place[above],
            name,
            kind="contains",
            path=place.node.path,
            registered=registered,
            again=is_again,
        )

    def _add_tensors(self) -> None:
        sharing, named = self._sharing(), self._named.slots
        snapshot, rows = self._snapshot, self._tree.rows
        columns = snapshot.tensor_columns
        alike: dict[Any, dict[str, Any]] = {}
        """What is the same for thousands of tensors."""
        for held, status in zip(self._tree.held, self._tree.statuses, strict=True):
            first, count = held.tensors[0], len(held.tensors)
            key = columns.specs[first], columns.flags[first], columns.memberships[first], status, count
            facts = alike.get(key)
            if facts is None:
                facts = alike[key] = self._facts(first, status, count)
            name = self._new(
                "tensor",
                rows[held.rows[0]].path,
                **facts,
                slots=sum([len(rows[row].slots) for row in held.rows]),
                sharing=tuple(dict.fromkeys(kind for tensor in held.tensors for kind in sharing.get(tensor, ())))
                if sharing
                else (),
                findings=_codes(named, [slot for row in held.rows for slot in rows[row].slots]) if named else (),
            )
            self._of_tensor[first] = name
            self._hold(name, held)

    def _facts(self, tensor: int, status: str, count: int) -> dict[str, Any]:
        """What a tensor, or several that are alike, has in common with others."""
        snapshot, columns = self._snapshot, self._snapshot.tensor_columns
        spec = snapshot.interned.specs[columns.specs[tensor]]
        memberships = snapshot.interned.memberships[columns.memberships[tensor]]
        learns = bool(columns.flags[tensor] & (REQUIRES_GRAD | HAS_GRAD))
        return {
            "type": spec.type,
            "shape": spec.shape,
            "dtype": spec.dtype,
            "device": spec.device,
            "count": count,
            "elements": None if spec.numel is None else spec.numel * count,
            "status": status,
            "stepped": bool(memberships) and learns if snapshot.optimizers else None,
            "groups": tuple(dict.fromkeys(f"{place.optimizer}[{place.group}]" for place in memberships)),
            "not_stepped": bool(snapshot.optimizers) and status == "trainable" and not memberships,
        }

    def _hold(self, name: str, held: Held) -> None:
        snapshot, columns = self._snapshot, self._snapshot.slot_columns
        for number in held.rows:
            place = self._tree.owners[number]
            # What stands at and below a second path of a module stands there for the first.
            if place not in self._of_place or place in self._second_paths:
                continue
            row = self._tree.rows[number]
            slot = row.slots[0]
            self.graph.add_edge(
                self._of_place[place],
                name,
                kind="holds",
                path=row.path,
                name=columns.names[slot],
                slots=len(row.slots),
                role=HOLDS[columns.holds[slot]][0],
                status=self._tree.statuses_of[number],
                registered=snapshot.is_registered(slot),
            )

    def _sharing(self) -> dict[int, list[str]]:
        """How tensors share memory, by their number."""
        found: dict[int, list[str]] = {}
        tensors, position = self._snapshot.slot_columns.tensors, self._report.slots.position
        for record in self._report.sharing:
            for path in record.slots:
                kinds = found.setdefault(tensors[position(path)], [])
                if record.kind not in kinds:
                    kinds.append(record.kind)
        return found

    def _add_storages(self) -> None:
        columns, memories = self._snapshot.tensor_columns, self._snapshot.storage_columns.memories
        viewers = Counter(columns.storages)
        viewers.update(part.storage for parts in columns.parts.values() for part in parts if part.storage is not None)
        wanted = memories.keys() | {storage for storage, count in viewers.items() if count > 1 or not self._fold}
        wanted.discard(-1)
        if not wanted:
            return
        names: dict[int, str] = {}
        """By the number of the memory, which is that of its first storage."""
        for held in self._tree.held:
            seen: dict[int, None] = {}
            """Memories, in order."""
            for tensor in held.tensors:
                parts = columns.parts.get(tensor, ())
                for storage in (columns.storages[tensor], *[part.storage for part in parts]):
                    if storage is not None and storage in wanted:
                        seen[memories[storage][0] if storage in memories else storage] = None
            if not seen:
                continue
            met = dict.fromkeys(names[memory] for memory in seen if memory in names) if self._fold else {}
            name = next(iter(met), None)
            for memory in seen:
                if memory not in names:
                    if name is None or not self._fold:
                        name = self._storage(memory)
                    else:
                        self._extend(name, memory)
                    names[memory] = name
            tensor_node = self._of_tensor[held.tensors[0]]
            for storage_node in {names[memory]: None for memory in seen}:
                self.graph.add_edge(tensor_node, storage_node, kind="views")

    def _storage(self, memory: int) -> str:
        columns = self._snapshot.storage_columns
        device = self._snapshot.interned.devices[columns.devices[memory]]
        return self._new("storage", str(memory), device=device, nbytes=columns.nbytes[memory], count=1, findings=())

    def _extend(self, name: str, memory: int) -> None:
        facts = self.graph.nodes[name]
        facts["count"] += 1
        facts["nbytes"] += self._snapshot.storage_columns.nbytes[memory]

    def _codes_of_group(self, optimizer: str, index: int) -> tuple[str, ...]:
        starts = tuple(f"optimizer[{name}].groups[{index}]" for name in (optimizer, repr(optimizer)))
        there = (codes for path, codes in self._named.others.items() if path.startswith(starts))
        return tuple(dict.fromkeys(code for codes in there for code in codes))

    def _add_groups(self) -> None:
        nodes: dict[tuple[str, int], str] = {}
        for optimizer in self._snapshot.optimizers:
            for group in optimizer.groups:
                nodes[optimizer.name, group.index] = self._new(
                    "group",
                    f"{optimizer.name}[{group.index}]",
                    optimizer=optimizer.name,
                    type=optimizer.type,
                    index=group.index,
                    options=group.options,
                    tensors=len(group.slots) + len(group.foreign),
                    foreign=len(group.foreign),
                    elements=group.numel,
                    findings=self._codes_of_group(optimizer.name, group.index),
                )
        columns, memberships = self._snapshot.tensor_columns, self._snapshot.interned.memberships
        for held in self._tree.held:
            for place in dict.fromkeys(memberships[columns.memberships[held.tensors[0]]]):
                node = nodes.get((place.optimizer, place.group))
                if node is not None:
                    self.graph.add_edge(node, self._of_tensor[held.tensors[0]], kind="steps", count=len(held.tensors))


def _codes(codes: Mapping[int, tuple[str, ...]], positions: Iterable[int]) -> tuple[str, ...]:
    """Of the findings that name any of some places, most severe first."""
    return tuple(dict.fromkeys(code for position in positions for code in codes.get(position, ()))) if codes else ()


def _status(elements: dict[str, int]) -> str:
    """One word for what is below a module."""
    there = [name for name in ("trainable", "frozen") if elements.get(name)]
    if len(there) == 2:
        return "partly frozen"
    if there:
        return there[0]
    return next((name for name in ("hidden", "buffer", "attribute", "unknown") if elements.get(name)), "empty")
