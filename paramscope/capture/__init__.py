"""torch objects → Snapshot. With `probe`, the only part of paramscope that imports torch.

It never moves, casts, runs or changes the user's model, runs none of its code, copies no tensor data, draws
no random number, and keeps no live object in its result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import nn
from torch.utils._python_dispatch import _disable_current_modes

from paramscope.analysis.sharing import find_sharing
from paramscope.capture.adapters import add_adapters
from paramscope.capture.classes import is_a, is_mapping, mapping_items, short_name
from paramscope.capture.declared_ties import declared_ties, saved_once
from paramscope.capture.groups import find_groups
from paramscope.capture.handed import Handed, handed_over
from paramscope.capture.handed import Made as Made
from paramscope.capture.handed import are_groups as are_groups
from paramscope.capture.handed import has_optimizers as has_optimizers
from paramscope.capture.hidden import HiddenSearch
from paramscope.capture.isolation import isolated
from paramscope.capture.lookups import plain_name
from paramscope.capture.odd_tensors import add_odd_tensors, add_own_copying
from paramscope.capture.optimizer import OptimizerReader
from paramscope.capture.quantized import add_quantized
from paramscope.capture.sharded import add_wholes
from paramscope.capture.tp_plans import tp_plans
from paramscope.capture.values import value_facts
from paramscope.capture.walk import Walk
from paramscope.collector import paused_collector
from paramscope.errors import NameClash, NotAModule
from paramscope.snapshot import Interned, Snapshot


def is_module(thing: object) -> bool:
    """Whether something is an `nn.Module`, told from its class: a `__class__` property would run user code."""
    return issubclass(type(thing), nn.Module)


def is_module_class(thing: Any) -> bool:
    """Whether something is a class of modules."""
    return is_a(thing, type) and issubclass(thing, nn.Module)


def is_optimizer(thing: object) -> bool:
    """Whether something has param groups."""
    return find_groups(thing) is not None


def is_optimizer_class(thing: Any) -> bool:
    """Whether something is a class of torch optimizers."""
    return is_a(thing, type) and issubclass(thing, torch.optim.Optimizer)


def on_meta() -> AbstractContextManager[Any]:
    """Within it, factory functions make tensors on the meta device, which take no memory."""
    return torch.device("meta")


def named_roots(model: Any) -> list[tuple[str, Any]]:
    """The roots of a capture as (path, module) pairs. Raises NotAModule for anything but a Module or a
    non-empty dict of Modules by name."""
    if is_module(model):
        return [("", model)]
    roots = [(plain_name(name), root) for name, root in mapping_items(model)] if is_mapping(model) else []
    if roots:
        for name, root in roots:
            if not is_module(root):
                raise NotAModule(
                    f"root {name!r} is no torch.nn.Module but of class {short_name(type(root))}",
                    "Every value of the dict has to be a module: {'model': model, 'criterion': criterion}.",
                )
        _check_names([name for name, _ in roots])
        return roots
    kind = short_name(type(model))
    advice = "Hand over the module itself, or a dict of modules by name."
    if is_a(model, type) and issubclass(model, nn.Module):
        kind, advice = "Module class", f"Build it first: {short_name(model)}(…)."
    raise NotAModule(f"this is no torch.nn.Module but a {kind}", advice)


def without_modes() -> AbstractContextManager[Any]:
    """Within it, no dispatch mode of the user's answers for a tensor."""
    return _disable_current_modes() if torch._C._len_torch_dispatch_stack() else nullcontext()


def _check_names(names: list[str]) -> None:
    """Raises NameClash where what lies below two roots may have one path."""
    for name in names:
        for other in names:
            if other is not name and (not name or other.startswith(f"{name}.")):
                raise NameClash(
                    f"the roots {name!r} and {other!r} may hold parameters of one and the same path",
                    "Name them so that neither is the beginning of the other: {'generator': …, 'critic': …}.",
                )


class Seen(NamedTuple):
    """A snapshot with the live objects that it tells of."""

    snapshot: Snapshot
    tensors: dict[int, int]
    """Number of each tensor in the snapshot by its id; the tensors are held in `held`."""
    modules: dict[int, int]
    """Position of each module's first path by its id."""
    held: tuple[Any, ...]
    """Every tensor and module that was met: an id means nothing once its object is gone."""


def capture_snapshot(
    model: Any, optimizer: Any = None, *, values: bool = False, progress: Callable[[int, int], None] | None = None
) -> Snapshot:
    """Everything that can be told of a model (or a dict of roots) and its optimizers, without running it.

    values: whether the elements of tensors are read, too. progress: see `value_facts`, and `checksums`.

    Raises NotAModule, NameClash and NotAnOptimizer.
    """
    return look(model, optimizer, values=values, progress=progress).snapshot


def look(
    model: Any, optimizer: Any = None, *, values: bool = False, progress: Callable[[int, int], None] | None = None
) -> Seen:
    """The same, with the objects that were met."""
    roots = named_roots(model)
    optimizers = handed_over(optimizer)
    # Neither a tensor subclass's __torch_function__ nor a mode that is active out there may run.
    with paused_collector(), torch._C.DisableTorchFunction(), without_modes():
        walk = Walk()
        snapshot = _capture(walk, roots, optimizers, values, progress)
        tensors, modules = walk.tensors.numbers, walk.numbers
        return Seen(snapshot, tensors, modules, (*walk.tensors.held, *walk.held))


def _capture(
    walk: Walk,
    roots: list[tuple[str, Any]],
    optimizers: list[Handed],
    values: bool,  # noqa: FBT001  # as `look` was given it
    progress: Callable[[int, int], None] | None,
) -> Snapshot:
    walk.walk_registered(roots)
    HiddenSearch(walk).run()
    walk.add_flat_views()
    tensors = walk.tensors
    tensors.flush()
    with isolated(walk.notes, "", "which of its weights are quantized"):
        add_quantized(walk)
    with isolated(walk.notes, "", "what peft keeps of its adapters"):
        add_adapters(walk)
    number, units = _rank(), {}
    if number is not None:
        from paramscope.capture.ranks import add_units, checksums_of

        with isolated(walk.notes, "", "what binds it to other ranks"):
            units = add_units(walk)
    with isolated(walk.notes, "", "what is odd about its tensors"):
        add_odd_tensors(walk)
        add_own_copying(walk)
    with isolated(walk.notes, "", "what its shards are parts of"):
        # After what is odd about tensors: their gradients have the shapes of shards.
        add_wholes(walk)
    with isolated(walk.notes, "", "what it declares as tied"):
        walk.facts.declarations = declared_ties(walk.facts.tying)
    with isolated(walk.notes, "", "how it is sharded for tensor parallelism"):
        walk.facts.tp_plan = tuple(tp_plans(walk.facts.tying))
    reader = OptimizerReader(tensors, walk.tensor_paths() if optimizers else {})
    optimizer_records = reader.read(optimizers)
    memberships, interned_memberships = reader.memberships()
    tensor_columns, storage_columns = tensors.columns(memberships)
    looked_at = sums = None
    if values:
        with isolated(walk.notes, "", "what its values are"):
            looked_at, unread = value_facts(tensors.held, walk.registered_paths(), progress)
            walk.notes.extend(unread)
    if values and number is not None:
        with isolated(walk.notes, "", "what it has in common with other ranks"):
            sums, unsummed = checksums_of(walk, units, progress)
            walk.notes.extend(each for each in unsummed if each not in walk.notes)
    facts: dict[str, Any] = {
        "roots": tuple(path for path, _ in roots),
        "torch_version": str(torch.__version__),
        "module_columns": walk.module_columns(),
        "slot_columns": walk.slots.columns(),
        "tensor_columns": tensor_columns,
        "storage_columns": storage_columns,
        "interned": Interned(
            walk.facts.interned_types,
            tensors.interned_devices,
            tensors.interned_specs,
            interned_memberships,
            walk.facts.interned_settings,
            walk.facts.class_records,
        ),
        "aliases": tuple(walk.aliases),
        "optimizers": optimizer_records,
        "oddities": tuple(walk.facts.oddities),
        "declarations": walk.facts.declarations,
        "tp_plan": walk.facts.tp_plan,
        "notes": tuple(walk.notes),
        "values": looked_at,
        "rank": number,
        "checksums": sums,
    }
    bare = Snapshot(**facts)
    sharing, undecided = find_sharing(bare, tensors.repeated, tensors.crowded)
    if not sharing and not undecided:
        return bare
    if sharing:
        with isolated(walk.notes, "", "what it leaves out when it is saved"):
            facts["oddities"] += tuple(saved_once(walk.facts.tying, sharing))
        facts["notes"] = tuple(walk.notes)
    facts["notes"] += undecided
    return Snapshot(**facts, sharing=sharing)


def _rank() -> int | None:
    """Which rank of a job this is; None where there is no process group."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else None


class _CapturePackage(ModuleType):
    """This package shares its name with the public function `paramscope.capture`, and importing it puts it in the
    function's place: so it can be called as that is."""

    def __call__(
        self,
        model: Any,
        *,
        optimizer: Any = None,
        values: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Snapshot:
        """As `paramscope.api.capture`."""
        return capture_snapshot(model, optimizer, values=values, progress=progress)


sys.modules[__name__].__class__ = _CapturePackage
