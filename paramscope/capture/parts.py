"""What a tensor is made of, where its elements lie in other tensors: shards, indices and values, packed weights.

A wrapper subclass says it through `__tensor_flatten__`, which is its own code; the tensors that this names lie in
its attributes, and there they are read.
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType
from typing import Any, Literal

import torch
from torch._subclasses.fake_tensor import FakeTensor

from paramscope.capture.classes import class_dict, class_mro, definer, is_tensor_class, is_torch
from paramscope.capture.lookups import attribute_reader
from paramscope.snapshot import HERE, Placement

DEPTH_BOUND = 8
"""Wrappers within wrappers that are opened."""

_C: Any = torch._C
_Base: Any = _C.TensorBase
_instance_dict = class_dict(torch.Tensor)["__dict__"].__get__
# What holds the elements of each sparse layout.
_SPARSE: dict[torch.layout, tuple[str, ...]] = {
    torch.sparse_coo: ("_indices", "_values"),
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}
_POLICY = "dispatch_sizes_strides_policy"
_ANSWERS = ("dispatch_device", "dispatch_layout")


def tensor_dict(tensor: Any) -> dict[str, Any]:
    """The attributes that were put on a tensor."""
    state = _instance_dict(tensor)
    return state if type(state) is dict else {}


def fake_device(tensor: Any) -> torch.device | None:
    """The device that a FakeTensor stands for; None for any other tensor, which knows its own."""
    if not issubclass(type(tensor), FakeTensor):
        return None
    state = tensor_dict(tensor)
    device = state.get("_fake_device", state.get("fake_device"))  # the latter on torch 2.4
    return device if type(device) is torch.device else None


def answers_for_place(cls: type) -> bool:
    """As `answers_for_itself`, for the device or the layout alone."""
    return any(_asks_for(cls, word) for word in _ANSWERS)


def answers_for_itself(cls: type) -> bool:
    """Whether a tensor class of the user's was made to answer for its sizes, so that asking runs its code.

    torch keeps that as a bit of each tensor that Python cannot read: it is inferred from the call that sets it.
    """
    return _asks_for(cls, _POLICY)


def _asks_for(cls: type, word: str) -> bool:
    for base in class_mro(cls):
        if base is torch.Tensor or base is torch.nn.Parameter:
            return False
        if not is_torch(base):
            for member in class_dict(base).values():
                function = member.__func__ if type(member) in (staticmethod, classmethod) else member
                if type(function) is FunctionType and _mentions(function.__code__, word):
                    return True
    return False


def _mentions(code: CodeType, name: str) -> bool:
    for constant in code.co_consts:
        if constant == name or (type(constant) is tuple and name in constant):
            return True
        if type(constant) is CodeType and _mentions(constant, name):
            return True
    return name in code.co_names


def inner_tensors(tensor: Any) -> list[tuple[str, Any]]:
    """(name, tensor) of all that a tensor is made of; empty for one that has its elements itself.

    Not for one that answers for its sizes and is no wrapper: its layout cannot be asked.
    """
    found: list[tuple[str, Any]] = []
    stack = [("", tensor, 0)]
    while stack:
        name, each, depth = stack.pop()
        inner = _inner(each) if depth < DEPTH_BOUND else []
        if not inner and each is not tensor:
            found.append((name, each))
        stack.extend((f"{name}.{step}" if name else step, part, depth + 1) for step, part in reversed(inner))
    return found


def dtensor() -> Any:
    """The class DTensor; None where nobody has imported it."""
    found = getattr(sys.modules.get("torch.distributed.tensor"), "DTensor", None)
    # In torch 2.4 that package is there and has no DTensor.
    return found or getattr(sys.modules.get("torch.distributed._tensor"), "DTensor", None)


def placements_of(tensor: Any) -> tuple[Placement, ...]:
    """How a DTensor lies on its mesh; nothing for any other tensor. All that is asked is torch's own."""
    cls = dtensor()
    if cls is None or not issubclass(type(tensor), cls):
        return ()
    spec = class_dict(cls)["_spec"].__get__(tensor)  # a slot, whatever a subclass calls so
    mesh = spec.mesh
    return tuple(
        Placement(name, mesh.size(at), *_placed(each))
        for at, (name, each) in enumerate(zip(mesh_names(mesh), spec.placements, strict=True))
    )


def mesh_names(mesh: Any) -> tuple[str, ...]:
    """What the dimensions of a mesh are called: their positions where they have no names."""
    return tuple(mesh.mesh_dim_names or map(str, range(mesh.ndim)))


def _placed(placement: Any) -> tuple[Literal["shard", "replicate", "partial"], int | None]:
    if placement.is_replicate():
        return "replicate", None
    if placement.is_partial():
        return "partial", None
    return "shard", getattr(placement, "dim", None)


def _inner(tensor: Any) -> list[tuple[str, Any]]:
    cls = type(tensor)
    if not _is_wrapper(tensor):
        if answers_for_itself(cls):
            return []
        methods = _SPARSE.get(_Base.layout.__get__(tensor), ())
        # Neither autograd nor a mode that is active out there may see this.
        with torch.no_grad(), _C._DisableTorchDispatch():
            return [(method.lstrip("_"), getattr(_Base, method)(tensor)) for method in methods]
    if _is_sharded(cls):
        shards: Any = tensor_dict(tensor).get("_local_shards")
        here = [_attribute(shard, "->tensor") for shard in (list.__iter__(shards) if type(shards) is list else ())]
        # A process may have no shard of it.
        return [(HERE, shard) for shard in here if is_tensor_class(type(shard))] or [(HERE, torch.empty(0))]
    steps = attribute_reader(cls)
    if steps is None:
        return []
    return [(name.removeprefix("->"), item) for name, item in steps(tensor) if is_tensor_class(type(item))]


def _is_sharded(cls: type) -> bool:
    """Whether a tensor class is torch's ShardedTensor, whose tensors say the whole size themselves."""
    module = sys.modules.get("torch.distributed._shard.sharded_tensor.api")
    return module is not None and issubclass(cls, module.ShardedTensorBase)


def _attribute(thing: Any, step: str) -> Any:
    steps = attribute_reader(type(thing))
    return None if steps is None else dict(steps(thing)).get(step)


def _is_wrapper(tensor: Any) -> bool:
    """Whether a tensor has no elements of its own."""
    cls = type(tensor)
    if cls is torch.Tensor or issubclass(cls, FakeTensor):
        return False
    if definer(cls, "__tensor_flatten__") is not None:
        return True
    keys = _C._dispatch_keys(tensor)
    if not keys.has(_C.DispatchKey.Python) or not _C._has_storage(tensor):
        return False
    # Its storage is there, and says how long it would be, but there is no memory under it.
    address: int = _C._data_address(tensor)
    return address == 0
