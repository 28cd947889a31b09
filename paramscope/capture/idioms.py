"""Legitimate shapes of modules that are not what `nn.Module` leaves behind, each by torch's own way to read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from paramscope.capture.classes import is_a
from paramscope.capture.kinds import attribute_steps

# Forward pre-hooks that make an attribute of registered tensors: what it is called, and where it keeps the name.
_RECOMPUTING: tuple[tuple[type, str, str], ...] = (
    (WeightNorm, "weight_norm", "->name"),
    (SpectralNorm, "spectral_norm", "->name"),
    (BasePruningMethod, "pruning", "->_tensor_name"),
)


def recomputed_by(name: str, hooks: Iterable[Any]) -> str | None:
    """What computes an attribute anew before each forward; None where nothing is known to."""
    for hook in hooks:
        for kind, method, kept_as in _RECOMPUTING:
            if is_a(hook, kind):
                steps = attribute_steps(type(hook))
                if steps is not None and dict(steps(hook)).get(kept_as) == name:
                    return method
    return None


def scripted_state(state: dict[str, Any]) -> dict[str, Any]:
    """What a ScriptModule holds, as the instance dict of an ordinary module would hold it.

    Its parameters and buffers live in C++; asking for them runs nothing that was scripted.
    """
    while "_c" not in state:  # a traced or a class-based one wraps the module that was made of it
        state = object.__getattribute__(state["_actual_script_module"], "__dict__")
    cpp: Any = state["_c"]
    children = state["_modules"]
    # torch.jit keeps the Python side of the children in a wrapper of its own.
    python_modules = getattr(children, "_python_modules", children)
    parameters: Any = torch._C.ParameterDict(cpp)
    buffers: Any = torch._C.BufferDict(cpp)
    return {
        "training": cpp.getattr("training") if cpp.hasattr("training") else True,
        "_parameters": dict(parameters.items()),
        "_buffers": dict(buffers.items()),
        "_modules": dict(python_modules.items()),
    }
