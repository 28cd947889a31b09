"""A report and a mesh → what each rank would hold: parameters, gradients and optimizer state at the first step."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise, product
from typing import Any

from paramscope.analysis.cost import Foreseen, Member
from paramscope.analysis.paths import at_and_above
from paramscope.analysis.plan import (
    STYLES,
    Held,
    Load,
    Mesh,
    Placed,
    Plan,
    Split,
    Stretches,
    parse_mesh,
    split_of,
)
from paramscope.errors import MeshError, nearest
from paramscope.report.cost import OF_SPARSE, PARAMETERS, Kept, Tensors, answer_of
from paramscope.report.data import ReportData
from paramscope.snapshot import HERE, NO_OPTIMIZER, OptimizerRecord, Snapshot
from paramscope.snapshot.path import is_at_or_below, last_name, names_below, parent

_NUMBER = re.compile(r"\.\d+(\.|$)")
"""What `*` stands for in a plan of transformers, which replaces it in this very way."""


def plan_of(report: ReportData, words: str, tp_plan: Mapping[str, str] | None = None) -> Plan:
    """As `Report.plan`. Raises MeshError."""
    mesh = parse_mesh(words)
    snapshot = report.snapshot
    for tensor, parts in snapshot.tensor_columns.parts.items():
        if any(part.name == HERE for part in parts):
            path = snapshot.slots.path_at(snapshot.slot_columns.tensors.index(tensor))
            raise MeshError(
                f"{path} is sharded already",
                "Plan it as it is before. What this rank holds is its cost: report.cost, --cost.",
            )
    return _Loading(snapshot, mesh, _Placing(snapshot, mesh, _plans(snapshot, mesh, tp_plan))).plan()


def _plans(snapshot: Snapshot, mesh: Mesh, given: Mapping[str, str] | None) -> dict[str, Mapping[str, str]]:
    """Styles by pattern, by the path of the module below which they hold; nothing without tensor parallelism."""
    if "tp" not in dict(mesh.sizes):
        return {}
    if given is not None:
        for style in given.values():
            if style not in STYLES:
                near = nearest(str(style), STYLES)
                raise MeshError(
                    f"there is no style {style!r}",
                    f"Did you mean {near[0]}?" if near else f"Styles: {', '.join(STYLES)}.",
                )
        return {"": given}
    found: dict[str, dict[str, str]] = {}
    for module, pattern, style in snapshot.tp_plan:
        found.setdefault(module, {})[pattern] = style
    return dict(found)


class _Placing:
    """Where the parameters of a model go."""

    def __init__(self, snapshot: Snapshot, mesh: Mesh, plans: Mapping[str, Mapping[str, str]]) -> None:
        self._plans = plans
        self.by_tensor: dict[int, Placed] = {}
        self.by_path: dict[str, Placed] = {}
        """By the first path of each."""
        self.unsized: list[int] = []
        """Those that have no shape yet."""
        self.doubts: dict[str, str] = {}
        """What is left whole, and why."""
        columns, specs, is_sharded = snapshot.slot_columns, snapshot.interned.specs, "fsdp" in dict(mesh.sizes)
        first: dict[int, str] = {}
        for slot, tensor in enumerate(columns.tensors):
            status = snapshot.status(slot)
            if status not in PARAMETERS or (status == "hidden" and tensor in first):
                continue
            spec = specs[snapshot.tensor_columns.specs[tensor]]
            if (shape := spec.shape) is None:
                self.unsized.append(tensor)
                continue
            itemsize = None if spec.nbytes is None else spec.nbytes // (spec.numel or 1)
            path = snapshot.slots.path_at(slot)
            split = None if status == "hidden" else self._split(path, len(shape))
            placement = Placed(shape, split, is_sharded and status != "hidden" and bool(shape), itemsize)
            if placement != self.by_tensor.setdefault(tensor, placement):
                self.by_tensor[tensor] = placement._replace(split=None)
                self.doubts[first[tensor]] = f"it is tied to {path}, of which the plan says something else"
            first.setdefault(tensor, path)
        self.by_path.update((path, self.by_tensor[tensor]) for tensor, path in first.items())

    def _split(self, path: str, ndim: int) -> Split | None:
        for module, styles in self._plans.items():
            if is_at_or_below(path, module):
                name = _NUMBER.sub(r".*\1", ".".join(names_below(path, module)))
                style = styles.get(name, styles.get(parent(name)))
                if style is None:
                    if any(STYLES.get(styles.get(each, "")) for each in at_and_above(parent(name))):
                        self.doubts[path] = "the plan cuts a module in which it lies, and does not name it"
                elif style in STYLES:
                    return split_of(style, last_name(path), ndim)
                else:
                    self.doubts[path] = f"the style {style} is not known"
        return None


class _Loading:
    """What is placed, by its weight."""

    def __init__(self, snapshot: Snapshot, mesh: Mesh, placing: _Placing) -> None:
        self._mesh, self._placing = mesh, placing
        self._tensors = Tensors(snapshot)
        held = self._tensors.held().cost()
        self._buffers = held.buffers
        self._unknown = {part: why for part, why in held.unknown.items() if part == "buffers"}
        self._stretches = Stretches.of(mesh, placing.by_path.values())
        self._kinds = Counter(
            (placement, bool(self._tensors.are_reached[tensor])) for tensor, placement in placing.by_tensor.items()
        )
        """What is placed, and whether it has a gradient; those alike weigh the same on every rank."""
        self._explain([*placing.by_tensor, *placing.unsized])
        self._states: list[tuple[Counter[tuple[Placed, Any]], dict[Member, int]]] = []
        self._foreseen = tuple(map(self._ask, snapshot.optimizers))
        if not self._foreseen:
            self._unknown["optimizer_state"] = NO_OPTIMIZER

    def _explain(self, tensors: Iterable[int]) -> None:
        """Keeps why parameters or gradients are unknown."""
        for tensor in tensors:
            if isinstance(plain := self._tensors.plain(tensor), str):
                self._unknown.update(parameters=plain, gradients=plain, padding=plain)
            elif self._tensors.are_reached[tensor] and tensor in self._tensors.sparse:
                self._unknown.setdefault("gradients", OF_SPARSE)

    def _ask(self, optimizer: OptimizerRecord) -> Foreseen:
        """What an optimizer keeps for what ranks hold of its members."""
        groups = [[self._placed(kept) for kept in group if kept.becomes] for group in self._tensors.groups(optimizer)]
        answer = answer_of(optimizer, [list(self._pieces(group)) for group in groups])
        if answer.how == "unknown":
            self._unknown.setdefault("optimizer_state", answer.why)
        for group, states in zip(groups, answer.states, strict=False):
            sizes = {member: sum(each.nbytes for each in kept) for member, kept in states.items()}
            self._states.append((Counter(group), sizes))
        return Foreseen(optimizer.name, optimizer.type, answer.how, answer.why)

    def _placed(self, kept: Kept) -> tuple[Placed, Member | str | None]:
        shape = kept.becomes.shape if isinstance(kept.becomes, Member) else ()
        whole = Placed(shape, None, is_sharded=False, itemsize=None)
        return self._placing.by_tensor.get(-1 if kept.tensor is None else kept.tensor, whole), kept.becomes

    def _pieces(self, group: Iterable[tuple[Placed, Any]]) -> Iterator[Member | str]:
        """All that a rank may hold of the members of a group, and these themselves."""
        for placement, member in dict.fromkeys(group):
            yield member
            if isinstance(member, Member):
                for at in product(*self._stretches):
                    yield member._replace(shape=placement.local(self._mesh, *at))

    def _load(self, mesh: Mesh, fsdp: int = 0, tp: int = 0) -> Load:
        """What a rank holds, by where it stands."""
        found = Counter[str]()
        for (placement, has_gradient), number in self._kinds.items():
            nbytes = number * placement.nbytes(mesh, fsdp, tp)
            found["parameters"] += nbytes
            found["gradients"] += nbytes * has_gradient
            found["padding"] += number * placement.nbytes(mesh, 0, tp) - nbytes
        for members, sizes in self._states:
            for (placement, member), number in members.items():
                found["optimizer_state"] += number * sizes[member._replace(shape=placement.local(mesh, fsdp, tp))]
        found["buffers"] = self._buffers or 0
        return Load(*(None if part in self._unknown else found[part] for part in Load._fields))

    def plan(self) -> Plan:
        """What was found, for every rank."""
        mesh, placing, (fsdp, tp) = self._mesh, self._placing, self._stretches
        ends = (*fsdp, mesh.size("fsdp")), (*tp, mesh.size("tp"))
        by_stretch = {}
        for (at_fsdp, next_fsdp), (at_tp, next_tp) in product(*map(pairwise, ends)):
            ranks = (next_fsdp - at_fsdp) * (next_tp - at_tp) * mesh.size("replicate")
            load = self._load(mesh, at_fsdp, at_tp)
            by_stretch[at_fsdp, at_tp] = Held(load, ranks, mesh.rank_at(at_fsdp, at_tp))
        whole = self._load(Mesh(()))
        placed = placing.by_path, placing.doubts
        return Plan(mesh, whole, self._stretches, by_stretch, *placed, self._unknown, self._foreseen)
