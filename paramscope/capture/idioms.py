"""Legitimate shapes of modules that are not what `nn.Module` leaves behind, each by torch's own way to read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from paramscope.capture.classes import class_dict, class_mro, definer, is_a, is_tensor_class, qualified_name
from paramscope.capture.lookups import attribute_reader
from paramscope.capture.parts import tensor_dict

# Forward pre-hooks that make an attribute of registered tensors: what it is called, and where it keeps the name.
_RECOMPUTING: tuple[tuple[type, str, str], ...] = (
    (WeightNorm, "weight_norm", "->name"),
    (SpectralNorm, "spectral_norm", "->name"),
    (BasePruningMethod, "pruning", "->_tensor_name"),
)
# By name: to import it takes longer than an audit.
_COMPILED = "torch._dynamo.eval_frame.OptimizedModule"
_instance_dict = class_dict(nn.Module)["__dict__"].__get__


def recomputed_by(name: str, hooks: Iterable[Any]) -> str | None:
    """What computes an attribute anew before each forward; None where nothing is known to."""
    for hook in hooks:
        for kind, method, kept_as in _RECOMPUTING:
            if is_a(hook, kind):
                steps = attribute_reader(type(hook))
                if steps is not None and dict(steps(hook)).get(kept_as) == name:
                    return method
    return None


def flat_parameters(state: dict[str, Any]) -> list[Any]:
    """What a FullyShardedDataParallel made of the parameters below it."""
    flat: Any = state.get("params")
    return [each for each in list.__iter__(flat) if is_tensor_class(type(each))] if is_a(flat, list) else []


def flat_views(state: dict[str, Any]) -> Iterator[tuple[Any, str]]:
    """(module, name) of what a FullyShardedDataParallel makes anew of its flat parameters, before each use of them.

    As attributes, or as parameters where it was told to keep the original ones: their shapes are then those of
    what lies on this rank, one-dimensional.
    """
    for flat in flat_parameters(state):
        held = tensor_dict(flat)
        infos: Any
        for infos in (held.get("_param_infos"), held.get("_shared_param_infos")):
            for info in infos if type(infos) in (list, tuple) else ():
                name, module, *_ = tuple.__iter__(info)
                if type(name) is str and is_a(module, nn.Module):
                    yield module, name


def compiled_state(cls: type, state: dict[str, Any]) -> dict[str, Any] | None:
    """What a module that torch.compile made holds, as other modules hold it; None for other modules.

    It leaves `training` to the module that it wraps.
    """
    if "training" in state or all(qualified_name(base) != _COMPILED for base in class_mro(cls)):
        return None
    children: Any = state.get("_modules")
    while is_a(children, dict) and is_a(dict.get(children, "_orig_mod"), nn.Module):
        wrapped = dict.get(children, "_orig_mod")
        held = _instance_dict(wrapped)
        if is_a(wrapped, torch.jit.ScriptModule):
            held = scripted_state(held)
        if "training" in held:
            return {**state, "training": held["training"]}
        children = held.get("_modules")
    return None


def is_class_forward(module: Any, value: Any) -> bool:
    """Whether an instance's `forward` is that of its class all the same, as a hook that was removed leaves it."""
    if type(value) is not MethodType or value.__self__ is not module:
        return False
    holder = definer(type(module), "forward")
    return holder is not None and class_dict(holder)["forward"] is value.__func__


def packed_type(value: Any) -> str | None:
    """What an object of C++ is that may hold tensors, as quantized layers hold their weights; None for others."""
    if not is_a(value, torch.ScriptObject):
        return None
    name: str = value._type().qualified_name()
    return name.removeprefix("__torch__.torch.classes.")


def scripted_state(state: dict[str, Any]) -> dict[str, Any]:
    """What a ScriptModule holds, as the instance dict of an ordinary module would hold it.

    Its parameters, buffers and tensors live in C++; asking for them runs nothing that was scripted.
    """
    while "_c" not in state:  # a traced or a class-based one wraps the module that was made of it
        state = object.__getattribute__(state["_actual_script_module"], "__dict__")
    cpp: Any = state["_c"]
    children = state["_modules"]
    # torch.jit keeps the Python side of the children in a wrapper of its own.
    python_modules = getattr(children, "_python_modules", children)
    in_cpp: Any = torch._C
    parameters = dict(in_cpp.ParameterDict(cpp).items())
    buffers = dict(in_cpp.BufferDict(cpp).items())
    declared = state.get("_concrete_type")
    types: dict[str, tuple[Any, bool]] = {} if declared is None else declared.get_attributes()
    # Tensors that are not registered, and containers of them.
    others = {
        name: cpp.getattr(name)
        for name, (kind, _) in sorted(types.items())
        if "Tensor" in kind.annotation_str and name not in parameters and name not in buffers and cpp.hasattr(name)
    }
    return {
        # Only what was frozen for inference has no such flag.
        "training": cpp.hasattr("training") and cpp.getattr("training"),
        "_parameters": parameters,
        "_buffers": buffers,
        "_modules": dict(python_modules.items()),
        **others,
    }
