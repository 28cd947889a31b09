"""What a run may change, kept and put back: attributes, containers, tensors, gradients, random states.

Everything that hangs on the roots is visited once: modules, their containers, the user's own objects, optimizers and
their states. Containers and attributes are put back in place, so that who else holds them sees them as they were.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import is_not
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch

_PLAIN = (str, bytes, int, float, complex, type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
_CONTAINERS: tuple[tuple[Any, Callable[..., Any]], ...] = (
    (dict, dict.update),
    (list, list.extend),
    (set, set.update),
    (deque, deque.extend),
)
_MOST = 1_000_000
"""Objects that are visited: what lies behind more of them is not put back."""


@contextmanager
def kept(held: Iterable[Any], *, with_elements: bool) -> Iterator[None]:
    """All that hangs on some objects is, when the block ends in whatever way, as it was.

    with_elements: whether the elements of tensors are kept, too, which takes as much memory as they do.
    """
    keeper = _Keeper(with_elements=with_elements)
    keeper.visit(held)
    numbers = _random_states()
    try:
        yield
    finally:
        with torch.no_grad():
            for put_back in reversed(keeper.undo):
                put_back()
        for restore in numbers:
            restore()


class _Keeper:
    def __init__(self, *, with_elements: bool) -> None:
        self.undo: list[Callable[[], None]] = []
        self._with_elements = with_elements
        self._seen: dict[int, Any] = {}
        """By id, and held: an id means nothing once its object is gone."""
        self._storages: set[int] = set()

    def visit(self, held: Iterable[Any]) -> None:
        """Keeps some objects, and all that hangs on them."""
        pending = deque(held)
        seen = self._seen
        while pending and len(seen) < _MOST:
            each = pending.popleft()
            if each is None or isinstance(each, _PLAIN) or id(each) in seen:
                continue
            seen[id(each)] = each
            if isinstance(each, torch.Tensor):
                self._keep_tensor(each)
                pending.append(each.grad if each.is_leaf else None)
                continue
            state = getattr(each, "__dict__", None)
            for container in (each, state):
                if isinstance(container, tuple):
                    pending.extend(tuple.__iter__(container))
                for kind, fill in _CONTAINERS:
                    if isinstance(container, kind):
                        pending.extend(self._keep(container, kind, fill))

    def _keep(self, container: Any, kind: Any, fill: Callable[..., Any]) -> list[Any]:
        """What a container holds, which is put back."""
        content = list(dict.items(container)) if kind is dict else list(kind.__iter__(container))
        held = [value for _, value in content] if kind is dict else content

        def put_back() -> None:
            now = list(dict.items(container)) if kind is dict else list(kind.__iter__(container))
            values = [value for _, value in now] if kind is dict else now
            # What is as it was is left alone: other threads may look at it.
            if len(now) != len(content) or any(map(is_not, values, held)):
                kind.clear(container)
                fill(container, content)

        self.undo.append(put_back)
        return held

    def _keep_tensor(self, tensor: torch.Tensor) -> None:
        requires_grad, grad = tensor.requires_grad, tensor.grad if tensor.is_leaf else None

        def put_back() -> None:
            if tensor.is_leaf:
                if tensor.requires_grad is not requires_grad:
                    tensor.requires_grad_(requires_grad)
                if tensor.grad is not grad:
                    tensor.grad = grad

        self.undo.append(put_back)
        if self._with_elements:
            self._keep_elements(tensor)

    def _keep_elements(self, tensor: torch.Tensor) -> None:
        raise NotImplementedError


def _random_states() -> list[Callable[[], None]]:
    """What puts the random states of Python, numpy and torch back."""
    found: list[Callable[[], None]] = []
    state = random.getstate()
    found.append(lambda: random.setstate(state))
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        drawn = numpy.random.get_state()
        found.append(lambda: numpy.random.set_state(drawn))
    cpu = torch.get_rng_state()
    found.append(lambda: torch.set_rng_state(cpu))
    for device in (torch.cuda, torch.xpu):
        if device.is_available() and device.is_initialized():
            states = device.get_rng_state_all()
            found.append(lambda device=device, states=states: device.set_rng_state_all(states))  # type: ignore[misc]
    return found
