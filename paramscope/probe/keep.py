"""What a run may change, kept and put back: attributes, containers, tensors, gradients, random states.

Everything that hangs on the roots is visited once: modules, their containers, the user's own objects, optimizers and
their states. Containers and attributes are put back in place, so that who else holds them sees them as they were.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from operator import is_not
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import torch

from paramscope.collector import paused_collector
from paramscope.probe.elements import Elements

_PLAIN = (str, bytes, int, float, complex, type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
_CONTAINERS: tuple[tuple[Any, Callable[..., Any]], ...] = (
    # NOTE: an OrderedDict keeps its order beside the dict that it is: the dict's own methods tear the two apart.
    (OrderedDict, OrderedDict.update),
    (dict, dict.update),
    (list, list.extend),
    (set, set.update),
    (deque, deque.extend),
)
_MAPPINGS = (OrderedDict, dict)
_EXACT: dict[Any, Callable[..., Any]] = {
    OrderedDict: OrderedDict.update,
    dict: dict.update,
    list: list.extend,
    set: set.update,
}
"""Containers that are nothing else: an object has a dozen of them, most of them empty."""
_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
_MOST = 1_000_000
"""Objects that are visited: what lies behind more of them is not put back."""


@contextmanager
def kept(held: Iterable[Any], *, without: Collection[int] = ()) -> Iterator[Keeper]:
    """All that hangs on some objects is, when the block ends in whatever way, as it was, the elements of tensors
    included, which takes as much memory as they do.

    without: ids of tensors that nobody writes to. Raises RunError where memory is short.
    """
    keeper = Keeper(without=without)
    keeper.visit(held)
    draws = _random_states()
    # What cannot be put back keeps nothing else from it.
    with _later_interrupts() as later, ExitStack() as stack:
        for restore in (*draws, keeper.put_back, later):
            stack.callback(restore)
        yield keeper


@contextmanager
def _later_interrupts() -> Iterator[Callable[[], None]]:
    """Gives what puts interrupts off until the block ends: to put things back takes a moment, and is not to end
    halfway."""
    waiting: list[tuple[Any, ...]] = []
    before: list[Any] = []

    def later() -> None:
        if threading.current_thread() is threading.main_thread():
            before.append(signal.getsignal(signal.SIGINT))
            signal.signal(signal.SIGINT, lambda *what: waiting.append(what))

    try:
        yield later
    finally:
        if before:
            signal.signal(signal.SIGINT, before[0])
    if waiting:
        raise KeyboardInterrupt


class Keeper:
    """Keeps what it visits, and puts it back as often as it is asked."""

    def __init__(self, *, without: Collection[int] = ()) -> None:
        self.elements = Elements()
        self.tensors: list[torch.Tensor] = []
        """All that were visited."""
        self._undo: list[Callable[[], object]] = []
        self._empty: list[Any] = []
        """Containers that held nothing."""
        self._without = without
        self._seen: dict[int, Any] = {}
        """By id, and held: an id means nothing once its object is gone."""

    def put_back(self) -> None:
        """Everything that was visited is as it was then, random states excepted."""
        with torch.no_grad(), torch._C.DisableTorchFunctionSubclass(), ExitStack() as stack:
            stack.callback(self.elements.put_back)
            for container in self._empty:
                if container:
                    container.clear()
            for put_back in self._undo:
                stack.callback(put_back)

    def visit(self, held: Iterable[Any]) -> list[torch.Tensor]:
        """Keeps some objects, and all that hangs on them. The tensors that were not visited before."""
        pending = deque(held)
        seen, before = self._seen, len(self.tensors)
        # What is made here stays until the end: the garbage collector would go through it a dozen times.
        with paused_collector(), torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
            while pending and len(seen) < _MOST:
                each = pending.popleft()
                if each is None or isinstance(each, _PLAIN) or id(each) in seen:
                    continue
                seen[id(each)] = each
                if (fill := _EXACT.get(type(each))) is not None:
                    if each:
                        pending.extend(self._keep_items(each, type(each), fill))
                    else:
                        self._empty.append(each)
                    continue
                if isinstance(each, torch.Tensor):
                    self.tensors.append(each)
                    pending.extend(self._keep_tensor(each))
                elif isinstance(each, torch.Generator):
                    self._undo.append(partial(each.set_state, each.get_state()))
                pending.extend(self._keep_object(each))
        return self.tensors[before:]

    def _keep_object(self, each: Any) -> list[Any]:
        """What an object holds, as a container and in its attributes, all of which are put back."""
        held: list[Any] = []
        state = getattr(each, "__dict__", None)
        for container in (each, state):
            if isinstance(container, tuple):
                held.extend(tuple.__iter__(container))
            for kind, fill in _CONTAINERS:
                if isinstance(container, kind):
                    held.extend(self._keep_items(container, kind, fill))
                    break
        for member in _slots(type(each)):
            held.extend(self._keep_slot(each, member))
        if state is not None:
            self._undo.append(_class_of(each))
        return held

    def _keep_items(self, container: Any, kind: Any, fill: Callable[..., Any]) -> list[Any]:
        def items() -> list[Any]:
            return list(kind.items(container)) if kind in _MAPPINGS else list(kind.__iter__(container))

        def parts(items: list[Any]) -> list[Any]:
            return [part for pair in items for part in pair] if kind in _MAPPINGS else items

        content = items()
        held = parts(content)

        def put_back() -> None:
            now = parts(items())
            # What is as it was is left alone: other threads may look at it.
            if len(now) != len(held) or any(map(is_not, now, held)):
                kind.clear(container)
                fill(container, content)

        self._undo.append(put_back)
        return held

    def _keep_slot(self, each: Any, member: Any) -> list[Any]:
        held = [member.__get__(each)] if _is_set(each, member) else []

        def put_back() -> None:
            if held:
                member.__set__(each, held[0])
            elif _is_set(each, member):
                member.__delete__(each)

        self._undo.append(put_back)
        return held

    def _keep_tensor(self, tensor: torch.Tensor) -> list[Any]:
        """What hangs on a tensor, which is put back: the memory that it views, its gradient, its hooks."""
        is_leaf, requires_grad, data = tensor.is_leaf, tensor.requires_grad, tensor.data
        grad = tensor.grad if is_leaf else None
        hooks = [(name, getattr(tensor, name)) for name in _HOOKS]

        def put_back() -> None:
            if _place(tensor) != _place(data):
                tensor.data = data
            for name, hook in hooks:
                if getattr(tensor, name) is not hook:
                    setattr(tensor, name, hook)
            if is_leaf:
                if not tensor.is_leaf:
                    tensor.detach_()
                if tensor.requires_grad is not requires_grad:
                    tensor.requires_grad_(requires_grad)
                if tensor.grad is not grad:
                    tensor.grad = grad

        self._undo.append(put_back)
        if id(tensor) not in self._without:
            self.elements.keep(tensor)
        return [grad, *(hook for _, hook in hooks)]


def _place(tensor: torch.Tensor) -> tuple[Any, ...]:
    """What differs between two tensors unless they view the same elements in the same way."""
    if tensor.is_nested or tensor.layout is not torch.strided:
        return (tensor.layout,)
    address = tensor.untyped_storage()._cdata if torch._C._has_storage(tensor) else None
    return address, tensor.storage_offset(), tensor.size(), tensor.stride(), tensor.dtype, tensor.device


def _slots(cls: type) -> list[Any]:
    """The descriptors of what a class of the user's keeps in `__slots__`."""
    return [
        member
        for base in cls.__mro__
        if "__slots__" in vars(base)
        for member in vars(base).values()
        if isinstance(member, MemberDescriptorType)
    ]


def _is_set(each: Any, member: Any) -> bool:
    try:
        member.__get__(each)
    except AttributeError:
        return False
    return True


def _class_of(each: Any) -> Callable[[], None]:
    """What gives an object its class back: a lazy module, and a lazy parameter, get another when they are run."""
    cls = type(each)

    def put_back() -> None:
        if type(each) is not cls:
            each.__class__ = cls

    return put_back


def _random_states() -> list[Callable[[], object]]:
    """What puts the random states of Python, numpy and torch back."""
    found: list[Callable[[], object]] = [
        partial(random.setstate, random.getstate()),
        partial(torch.set_rng_state, torch.get_rng_state()),
    ]
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        found.append(partial(numpy.random.set_state, numpy.random.get_state()))
    devices = [each for each in (torch.cuda, torch.xpu) if each.is_available() and each.is_initialized()]
    return [*found, *(partial(each.set_rng_state_all, each.get_rng_state_all()) for each in devices)]
