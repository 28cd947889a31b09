"""The leaves that a computed tensor learns through, read from its graph without running it."""

from __future__ import annotations

from typing import Any

import torch

NODE_BOUND = 256
"""Steps of a computation that are looked back at: an object computes little as it is built."""

_Base: Any = torch._C.TensorBase
_graph_of = _Base.grad_fn.__get__
_C: Any = torch._C
_Leaf, _Function = _C._functions.AccumulateGrad, _C._FunctionBase


def learned_sources(tensor: Any) -> list[Any]:
    """Every leaf that requires grad and that a tensor was computed from, in the order of the computation; none where
    that is longer than what an object computes as it is built."""
    found: dict[int, Any] = {}
    seen: dict[int, Any] = {}
    pending = [_graph_of(tensor)]
    while pending:
        node = pending.pop()
        if node is None or id(node) in seen:
            continue
        if len(seen) >= NODE_BOUND:
            return []
        seen[id(node)] = node
        if type(node) is _Leaf:
            found[id(node.variable)] = node.variable
        pending.extend(each for each, _ in reversed(_next_of(node)))
    return list(found.values())


def _next_of(node: Any) -> Any:
    # The class of a node in Python is the user's own: its attributes are read past it.
    return _Function.next_functions.__get__(node) if issubclass(type(node), _Function) else node.next_functions
