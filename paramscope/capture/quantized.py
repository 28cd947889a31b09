"""Quantized weights that Python can see: tensors that hold several elements in one, or numbers that stand for others.

Told by what a Parameter of a class of its own keeps (`quant_state`, a shape that is not its own), or by what its
layer says: sizes, bits, or no more than that it computes in floats. What lies in C++ is `hidden`'s to note.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import torch
from torch import nn

from paramscope.capture.classes import (
    class_dict,
    definer,
    is_a,
    is_tensor_class,
    is_text,
    is_torch,
    mapping_items,
    qualified_name,
)
from paramscope.capture.lookups import attribute_reader
from paramscope.capture.parts import tensor_dict
from paramscope.capture.walk import Walk
from paramscope.snapshot import ATTRIBUTE, PARAMETER, Note, Oddity, TensorSpec, slot_path
from paramscope.snapshot.declared import declared_shapes

Shape = tuple[int, ...]

_STORING = frozenset({"uint8", "int8", "uint16", "int16", "uint32", "int32", "float4_e2m1fn_x2"})
"""What packed elements are stored in; int64 holds positions and counters."""
_STATES = ("quant_state", "meta")
"""What a Parameter or a layer calls the object or dict that says how its weight was quantized."""
_SIZES = (("out_features", "in_features"), ("outfeatures", "infeatures"), ("num_embeddings", "embedding_dim"))
_BITS = ("bits", "w_bit", "wbits", "nbits", "num_bits")
_instance_dict = class_dict(nn.Module)["__dict__"].__get__


class _Slot(NamedTuple):
    """One place that holds a tensor that may be quantized."""

    module: int
    path: str
    name: str
    hold: int
    tensor: int


def add_quantized(walk: Walk) -> None:
    """Marks quantized weights, and counts the elements that they stand for; a note says so where it is not known."""
    tensors = walk.tensors
    storing = {number for number, spec in enumerate(tensors.interned_specs) if spec.dtype in _STORING}
    suspects = {number for number, spec in enumerate(tensors.specs) if spec in storing} if storing else set()
    suspects |= {number for number in tensors.unusual if _keeps_state(tensors.held[number])}
    if not suspects:
        return
    modules = dict(walk.held_modules())
    noted: dict[tuple[str, str, str], tuple[str, int]] = {}
    counted: dict[int, tuple[str, Shape | None]] = {}
    numels: dict[int, int] = {}
    with_floats = _with_floats(walk)
    for slot in _slots(walk, suspects):
        module = modules.get(walk.first_path_of(slot.module))
        found = counted.get(slot.tensor) or _told_of(walk, slot, module, has_floats=slot.module in with_floats)
        if found is None:
            continue
        how, shape = counted[slot.tensor] = found
        walk.facts.oddities.append(Oddity(slot.path, "quantized", how, shape))
        spec = tensors.spec(slot.tensor)
        stored = prod(spec.shape or ())
        if slot.hold == PARAMETER and shape is not None:
            if prod(shape) != stored:
                numels[slot.tensor] = prod(shape)
            continue
        if shape is None:
            text = f"it holds {spec.dtype}, and how many elements are packed into one is not known: counted as stored"
        elif prod(shape) == stored:
            continue
        else:
            text = f"its {stored:,} numbers are packed, and stand for {prod(shape):,} elements: counted as stored"
        key = (qualified_name(type(module)), slot.name, text)
        first, times = noted.get(key, (slot.path, 0))
        noted[key] = (first, times + 1)
    if numels:
        tensors.set_numels(numels)
    for (_, _, text), (path, times) in noted.items():
        more = f" (and {times - 1:,} more like it)" if times > 1 else ""
        walk.notes.append(Note(path, "packed", text + more))


def _slots(walk: Walk, wanted: set[int]) -> Iterator[_Slot]:
    """Parameters, and the largest buffer of each module: zero points and indices are smaller than the weight."""
    largest: dict[int, _Slot] = {}
    for module, name, hold, tensor in walk.slots:
        if tensor in wanted and hold != ATTRIBUTE:
            slot = _Slot(module, slot_path(walk.paths[module], name, hold), name, hold, tensor)
            if hold == PARAMETER:
                yield slot
            elif module not in largest or _nbytes(walk, tensor) > _nbytes(walk, largest[module].tensor):
                largest[module] = slot
    yield from largest.values()


def _nbytes(walk: Walk, tensor: int) -> int:
    return walk.tensors.spec(tensor).nbytes or 0


def _told_of(walk: Walk, slot: _Slot, module: Any, *, has_floats: bool) -> tuple[str, Shape | None] | None:
    """(what tells it, the shape that is meant) of a quantized weight, that None where nothing tells it; None for what
    is none."""
    tensor, spec = walk.tensors.held[slot.tensor], walk.tensors.spec(slot.tensor)
    if spec.shape is None or spec.nbytes is None or slot.tensor in walk.tensors.parted:
        return None
    own = _shape_kept(tensor_dict(tensor), spec) if is_tensor_class(type(tensor)) else None
    if own is not None and own[1] is not None:
        return own
    forward = None if module is None else definer(type(module), "forward")
    # A layer of torch's own has no use for integers: that is another mistake.
    if forward is None or is_torch(forward):
        return own
    state = _instance_dict(module)
    if type(state) is not dict or not is_text(state):
        return own
    told = _shape_kept({name: state[name] for name in _STATES if name in state}, spec)
    declared = declared_shapes(dict(walk.settings_of(slot.module)))
    if told is not None and told[1] is None:
        told = None
    for shape in (declared.get(slot.name), *_sizes(state)):
        if told is None and shape is not None and _is_held_by(shape, spec):
            told = ("its layer's sizes", shape)
    if told is not None:
        return told if slot.hold == PARAMETER or prod(told[1] or ()) > prod(spec.shape) else None
    bits = next((state[name] for name in _BITS if type(state.get(name)) is int), 0)
    is_weight = slot.hold == PARAMETER or slot.name in ("qweight", "weight", "weight_packed")
    if is_weight and 0 < bits < 8 and spec.nbytes * 8 % bits == 0:
        return ("its layer's bits", (spec.nbytes * 8 // bits,))
    if slot.hold == PARAMETER and spec.dtype in _STORING and has_floats:
        return own or ("its dtype", None)
    return own


def _keeps_state(tensor: Any) -> bool:
    """Whether a tensor of a class of its own may keep what quantized it."""
    return is_tensor_class(type(tensor)) and not is_torch(type(tensor)) and bool(tensor_dict(tensor))


def _shape_kept(state: dict[str, Any], spec: TensorSpec) -> tuple[str, Shape | None] | None:
    """The shape that a weight had before, out of what is kept beside it."""
    if not is_text(state):
        return None
    for name in _STATES:
        if state.get(name) is not None:
            shape = _shape_in(state[name])
            if shape is not None and _is_held_by(shape, spec):
                return name, shape
            if shape is None and name == "quant_state":
                return name, None
    for name, value in state.items():
        shape = to_shape(value) if name.endswith("shape") else None
        if shape is not None and prod(shape) > prod(spec.shape or ()) and _is_held_by(shape, spec):
            return name, shape
    return ("bnb_quantized", None) if state.get("bnb_quantized") is True else None


def _shape_in(kept: Any) -> Shape | None:
    """The shape that an object, a dict or a list says of a quantized weight."""
    if is_a(kept, dict):
        items = mapping_items(kept)
        return next((to_shape(value) for name, value in items if type(name) is str and name == "shape"), None)
    if is_a(kept, list, tuple):
        base: Any = list if is_a(kept, list) else tuple
        return next((to_shape(value) for value in base.__iter__(kept) if type(value) is torch.Size), None)
    steps = attribute_reader(type(kept))
    found = () if steps is None else steps(kept)
    return next((to_shape(value) for name, value in found if name == "->shape"), None)


def to_shape(value: Any) -> Shape | None:
    """A shape as plain numbers; None for what is none."""
    if type(value) not in (torch.Size, tuple, list) or not 0 < len(value) <= 16:
        return None
    return tuple(value) if all(type(size) is int and 0 <= size < 1 << 31 for size in value) else None


def _is_held_by(shape: Shape, spec: TensorSpec) -> bool:
    """Whether so many elements may be stored in a tensor, at a bit each or more."""
    return 0 < prod(shape) <= 8 * (spec.nbytes or 0) and prod(shape) >= prod(spec.shape or ())


def _sizes(state: dict[str, Any]) -> Iterator[Shape]:
    for names in _SIZES:
        shape = tuple(state.get(name) for name in names)
        if all(type(size) is int and size > 0 for size in shape):
            yield shape  # type: ignore[misc]


def _with_floats(walk: Walk) -> frozenset[int]:
    """Modules that hold floating tensors: scales, or a bias."""
    floating = [number for number, spec in enumerate(walk.tensors.interned_specs) if "float" in (spec.dtype or "")]
    specs = walk.tensors.specs
    return frozenset(module for module, _, _, tensor in walk.slots if tensor >= 0 and specs[tensor] in floating)
