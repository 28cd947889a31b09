"""What binds a model to those of other ranks: who averages its gradients, who cuts its parameters, what should agree.

Told by torch.distributed itself: DistributedDataParallel, both kinds of FSDP, DTensors. No rank is asked, and nothing
is known of a model that none of them has wrapped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch.distributed as dist
from torch.autograd.graph import get_gradient_edge

from paramscope.capture.checksums import checksums, looks_constant
from paramscope.capture.classes import class_dict, is_text
from paramscope.capture.parts import dtensor, mesh_names
from paramscope.capture.states import instance_dict
from paramscope.capture.values import unread_notes, why_unread
from paramscope.capture.walk import Walk
from paramscope.snapshot import PARAMETER, Agreement, Checksums, Note, Oddity

_DDP = "torch.nn.parallel.distributed.DistributedDataParallel"
_FSDP1 = "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel"
_FSDP2 = (
    "torch.distributed.fsdp.FSDPModule",
    "torch.distributed.fsdp._fully_shard._fully_shard.FSDPModule",
    "torch.distributed._composable.fsdp.fully_shard.FSDPModule",  # before torch 2.6
)
_NOTED = "paramscope audit"


class Unit(NamedTuple):
    """A module that is trained on several ranks together."""

    path: str
    kind: str
    """The last word of its class, `DistributedDataParallel`, or `fully_shard`."""
    ranks: tuple[int, ...]
    """All that hold it, or a part of it."""
    replicas: tuple[int, ...]
    """Those that hold what this one does."""
    mesh: tuple[str, ...]
    """Dimensions of the mesh that it is cut along."""
    managed: frozenset[int]
    """Ids of the parameters that it cuts."""
    ignored: frozenset[str]
    """Names below it that it leaves alone."""
    keeps_buffers: bool
    """Whether each rank has buffers of its own."""

    def ignores(self, path: str) -> bool:
        """Whether it leaves a slot below it alone."""
        return path.removeprefix(f"{self.path}." if self.path else "").removeprefix("module.") in self.ignored


def _units(walk: Walk) -> dict[str, Unit]:
    """The modules that are trained on several ranks together, by path."""
    kinds = {name: walk.facts.classes_named(name) for name in (_DDP, _FSDP1, *_FSDP2)}
    if not any(kinds.values()):
        return {}
    found = {}
    for position, module in walk.held_modules():
        cls, path = id(type(module)), walk.paths[position]
        if cls in kinds[_DDP]:
            found[path] = _of_ddp(path, instance_dict(module))
        elif cls in kinds[_FSDP1]:
            found[path] = _of_fsdp(path, instance_dict(module))
        elif any(cls in kinds[name] for name in _FSDP2) and (unit := _of_fully_shard(path, module)):
            found[path] = unit
    return found


def add_units(walk: Walk) -> dict[str, Unit]:
    """Marks the units, parameters that no unit cuts, and those whose gradients a reducer does not hear of."""
    found = _units(walk)
    if not found:
        return found
    managed = frozenset[int]().union(*(each.managed for each in found.values()))
    held, add = walk.tensors.held, walk.facts.oddities.append
    for unit in found.values():
        add(Oddity(unit.path, "unit", unit.kind, ",".join(unit.mesh)))
    for _, path, hold, tensor in walk.first_slots():
        if hold != PARAMETER:
            continue
        own = _unit_of(path, found)
        if own is not None and own.kind == "DistributedDataParallel":
            if walk.tensors.is_trainable(tensor) and not own.ignores(path) and not _is_kept(held[tensor]):
                add(Oddity(path, "unheard", own.path, None))
        elif managed and id(held[tensor]) not in managed:
            add(Oddity(path, "uncut", "" if own is None else own.path, None))
    return found


def _unit_of(path: str, found: dict[str, Unit]) -> Unit | None:
    """The unit that a slot lies in: the nearest above."""
    while path:
        path = path.rpartition(".")[0]
        if path in found:
            return found[path]
    return None


def _members(group: Any) -> tuple[int, ...]:
    return tuple(sorted(dist.get_process_group_ranks(group)))


def _ranks_of(mesh: Any) -> tuple[int, ...]:
    return tuple(sorted(mesh.mesh.flatten().tolist()))


def _of_ddp(path: str, state: dict[str, Any]) -> Unit:
    ranks = _members(state["process_group"])
    ignored = frozenset(state.get("parameters_to_ignore", ()))
    if state.get("_use_python_reducer"):  # its hooks are others
        ignored |= {name for name, _ in state["_modules"]["module"].named_parameters()}
    # A property since torch 2.13.
    keeps = not state.get("forward_sync_buffers", state.get("broadcast_buffers", True))
    return Unit(path, "DistributedDataParallel", ranks, ranks, (), frozenset(), ignored, keeps_buffers=keeps)


def _of_fsdp(path: str, state: dict[str, Any]) -> Unit:
    inner, outer = _members(state["process_group"]), state.get("_inter_node_pg")
    is_whole = getattr(state.get("sharding_strategy"), "name", "") == "NO_SHARD"
    replicas = inner if is_whole else () if outer is None else _members(outer)
    handle = state.get("_handle")
    managed: set[int] = set()
    if handle is not None:
        flat = handle.flat_param
        managed = {id(flat), *map(id, getattr(flat, "_params", None) or ())}
    ranks = tuple(sorted({*inner, *replicas}))
    kind = "FullyShardedDataParallel"
    return Unit(path, kind, ranks, replicas, (), frozenset(managed), frozenset(), keeps_buffers=True)


def _of_fully_shard(path: str, module: Any) -> Unit | None:
    """None where it cuts nothing itself."""
    state = sys.modules["torch.distributed._composable_state"]._get_module_state(module)
    groups = getattr(state, "_fsdp_param_groups", None) or [getattr(state, "_fsdp_param_group", None)]
    groups = [each for each in groups if each is not None]
    if not groups:
        return None
    managed = {
        id(getattr(each, name, None))
        for group in groups
        for each in group.fsdp_params
        for name in ("sharded_param", "_unsharded_param")
    }
    mesh = groups[0].mesh_info.mesh
    managed.discard(id(None))
    names, ranks = mesh_names(mesh), _ranks_of(mesh)
    return Unit(path, "fully_shard", ranks, (), names, frozenset(managed), frozenset(), keeps_buffers=True)


def gradient_notes(tensor: Any) -> Any:
    """A dict at the node that adds to the gradient of a leaf, to note something in. A reducer keeps the node, with
    its own hook on it. `.to()` of another dtype, or to another kind of device and back, gives a tensor another node
    (pytorch #104336)."""
    return get_gradient_edge(tensor).node.metadata


def _is_kept(tensor: Any) -> bool:
    """Whether something keeps the node that adds to the gradient of a leaf: a reducer does, with its hook on it, and
    so does a graph that is not freed yet. Without a reducer's, nobody hears of the gradient."""
    if tensor.is_inference():
        return True
    gradient_notes(tensor)[_NOTED] = True
    return bool(gradient_notes(tensor).pop(_NOTED, False))


class _Bound(NamedTuple):
    """A tensor's elements here, and who should have the same ones, or others."""

    kind: Agreement
    ranks: tuple[int, ...]
    by: str


def checksums_of(
    walk: Walk, found: dict[str, Unit], progress: Callable[[int, int], None] | None = None
) -> tuple[tuple[Checksums, ...], list[Note]]:
    """Checksums of what should agree with other ranks, or should not; notes on what could not be read. progress: see
    `checksums`."""
    binding = _Binding(walk, found)
    paths: list[str] = []
    tensors: list[Any] = []
    kept: list[list[_Bound]] = []
    unread: dict[str, list[str]] = {}
    for module, path, hold, number in walk.first_slots():
        tensor, bounds = binding.of(path, module, walk.tensors.held[number], is_parameter=hold == PARAMETER)
        bounds = [each for each in bounds if len(each.ranks) > 1]
        if bounds and (reason := why_unread(tensor)):
            unread.setdefault(reason, []).append(path)
            continue
        bounds = [each for each in bounds if each.kind in ("replica", "buffer") or not looks_constant(tensor)]
        if bounds:
            paths.append(path)
            tensors.append(tensor)
            kept.append(bounds)
    codes: dict[_Bound, list[tuple[str, str]]] = {}
    for path, code, bounds in zip(paths, checksums(tensors, progress), kept, strict=True):
        for bound in bounds:
            codes.setdefault(bound, []).append((path, code))
    return tuple(Checksums(*bound, tuple(held)) for bound, held in codes.items()), unread_notes(unread)


class _Binding:
    """Which ranks should have the same elements as this one, or others."""

    def __init__(self, walk: Walk, found: dict[str, Unit]) -> None:
        self._modules, self._walk, self._units = dict(walk.held_modules()), walk, found
        self._cuts: dict[tuple[int, tuple[Any, ...]], list[_Bound]] = {}
        self._cls = dtensor()
        cut = [] if self._cls is None else [each for each in walk.tensors.held if issubclass(type(each), self._cls)]
        meshes = {id(mesh): mesh for mesh in (self._spec(each).mesh for each in cut)}
        self._is_cut = {id(each) for each in cut}
        over = {_ranks_of(mesh): mesh_names(mesh) for mesh in meshes.values()}
        self._mesh = next(iter(over.items())) if len(over) == 1 else None
        self._is_bare = not found and not cut
        self._world = tuple(range(dist.get_world_size()))

    def _spec(self, tensor: Any) -> Any:
        return class_dict(self._cls)["_spec"].__get__(tensor)

    def of(self, path: str, module: int, tensor: Any, *, is_parameter: bool) -> tuple[Any, list[_Bound]]:
        """(what lies here of a tensor, who should have the same, or others)."""
        if id(tensor) in self._is_cut:
            local = class_dict(self._cls)["_local_tensor"].__get__(tensor)
            return local, self._of_cut(self._spec(tensor), is_parameter=is_parameter)
        unit = _unit_of(path, self._units)
        if unit is not None:
            if unit.ignores(path) or not (is_parameter or unit.keeps_buffers):
                return tensor, []
            kind: Agreement = "replica" if is_parameter else "buffer"
            ranks = unit.replicas if is_parameter else unit.ranks
            return tensor, [_Bound(kind, ranks, unit.kind)] if ranks else []
        if not is_parameter:
            return tensor, []
        if self._is_bare:
            is_trained = tensor.requires_grad
            return tensor, [_Bound("unbound", self._world, "")] if is_trained else []
        if self._mesh is not None and self._is_beside(module, path):
            ranks, names = self._mesh
            return tensor, [_Bound("replica", ranks, f"the mesh {', '.join(names)}")]
        return tensor, []

    def _is_beside(self, module: int, path: str) -> bool:
        """Whether a tensor that is not cut is the norm of layers that are, or the bias of one: whole on each rank."""
        owner = self._modules[self._walk.first_path_of(module)]
        if "norm" in type(owner).__name__.lower():
            return True
        state = instance_dict(owner)
        weight = state["_parameters"].get("weight") if is_text(state) else None
        return path.endswith("bias") and id(weight) in self._is_cut

    def _of_cut(self, spec: Any, *, is_parameter: bool) -> list[_Bound]:
        key = id(spec.mesh), (*spec.placements, is_parameter)
        if key not in self._cuts:
            self._cuts[key] = list(_bounds_of(spec.mesh, spec.placements, is_parameter=is_parameter))
        return self._cuts[key]


def _bounds_of(mesh: Any, placements: Any, *, is_parameter: bool) -> Iterator[_Bound]:
    here = mesh.get_coordinate()
    if here is None or any(each.is_partial() for each in placements):
        return
    names = mesh_names(mesh)

    def along(*, replicated: bool) -> tuple[tuple[int, ...], str]:
        free = [at for at, each in enumerate(placements) if each.is_replicate() is replicated]
        at = tuple(slice(None) if each in free else here[each] for each in range(mesh.ndim))
        over = ", ".join(names[each] for each in free)
        return tuple(sorted(mesh.mesh[at].flatten().tolist())), f"the mesh {over}"

    if any(each.is_replicate() for each in placements):
        yield _Bound("replica" if is_parameter else "buffer", *along(replicated=True))
    if is_parameter and not all(each.is_replicate() for each in placements):
        yield _Bound("shard", *along(replicated=False))
