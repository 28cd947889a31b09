"""What the tests of hostile models share: classes that trap everything, and the one way to examine a model."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import random
import signal
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import BuiltinMethodType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import _disable_current_modes

from paramscope import Report, audit
from paramscope.render import formats
from support.traps import hostile, ran, trip, watched

HANGS = 300.0
"""What takes longer hangs, on whatever machine and under whatever tracer."""
SECONDS = float(os.environ.get("PARAMSCOPE_SECONDS", HANGS))
"""CPU time within which a hostile model is audited, rendered in every text format and read back. `make hostile` sets
what is promised, 5; other runs are not timed."""
IS_TIMED = SECONDS < HANGS
PICTURES = ("png", "pdf", "svg")

DUNDERS = tuple(
    name
    for name in dir(object)
    if name not in ("__class__", "__new__", "__init__", "__init_subclass__", "__subclasshook__", "__doc__")
)
"""What every object has."""
EXTRAS = (
    *("__getattr__", "__get__", "__set__", "__delete__", "__set_name__", "__call__", "__len__", "__bool__"),
    *("__iter__", "__next__", "__reversed__", "__contains__", "__getitem__", "__setitem__", "__missing__"),
    *("__length_hint__", "__instancecheck__", "__subclasscheck__", "__enter__", "__exit__", "__await__"),
    *("__int__", "__index__", "__float__", "__complex__", "__abs__", "__add__", "__radd__", "__mul__", "__rmul__"),
    *("__and__", "__or__", "__ror__", "__mod__", "__rmod__", "__round__", "__trunc__", "__bytes__", "__fspath__"),
    *("__copy__", "__deepcopy__", "__getnewargs__", "__getnewargs_ex__", "__array__", "__array_interface__"),
    *("__buffer__", "__torch_function__", "__tensor_flatten__", "__html__", "__rich__", "_repr_html_"),
    *("keys", "values", "items", "get", "copy", "state_dict", "parameters", "named_parameters", "to"),
)
"""What Python and libraries ask of objects that may have it."""


def _dunders_of(base: type) -> list[str]:
    asked = [name for name in dir(base) if callable(getattr(base, name, None)) or name in DUNDERS]
    left = (
        "__class__",
        "__new__",
        "__init__",
        "__init_subclass__",
        "__subclasshook__",
        "__class_getitem__",
        "__doc__",
    )
    # Python itself hashes a str when it is interned, and torch deletes what it holds: these are no one's questions.
    return [name for name in asked if name not in left]


def everything(base: type = object) -> type[Any]:
    """A subclass of which nothing can be asked without tripping."""
    extras = EXTRAS if base is object else ("__getattr__", "__radd__", "__ror__", "__rmul__")
    made = hostile(base, *_dunders_of(base), *extras)
    # ABCMeta would say that it made the class itself.
    made.__module__ = __name__
    if base is object:
        made.__set_name__ = _named
    return made


def _named(self: Any, owner: type, name: str) -> None:
    """Python calls it when a class is made with such an object in its body."""
    trip("__set_name__")


Everything = everything()


def many(count: int) -> int:
    """So many of what takes long to draw in every format, where that is timed; else a tenth."""
    return count if IS_TIMED else count // 10


class Holder:
    """A plain object that holds one thing."""

    def __init__(self, part: Any) -> None:
        self.part = part


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """What hangs is a failure, not the end of the test run; nothing where there are no signals."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: Any) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def examine(model: Any, *, optimizer: Any = None) -> Report:
    """The report of a model, after everything that is promised of any model was checked.

    No user code runs, nothing raises, every text format renders, JSON reads back as an equal report, all in five
    seconds, and the model is as it was.
    """
    before = trace(model, optimizer)
    with _alarm(HANGS), watched():
        cpu = time.thread_time()
        report = audit(model, optimizer=optimizer)
        assert ran == [], ran
        rendered = {format: report.render(format) for format in formats() if format not in PICTURES}
        text = rendered["json"]
        assert isinstance(text, str)
        assert Report.from_json(text) == report, "another report is read back"
        cpu = time.thread_time() - cpu
    assert ran == [], ran
    assert [note for note in report.snapshot.notes if note.kind == "crashed"] == []
    assert cpu < SECONDS, f"{cpu:.1f} s"
    after = trace(model, optimizer)
    assert len(before) == len(after)
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert changed == [], changed
    for format, drawn in rendered.items():
        check_text(format, drawn)
    assert {"json", "table"} <= rendered.keys()
    assert text.isascii()
    assert json.loads(text)["format"] == "paramscope.report"
    return report


ALLOWED = {"\n", "\t", "\r"}
DIRECTIONS = {chr(code) for code in (0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_PLAIN = bytes(range(32, 127))


def check_text(format: str, drawn: str | bytes) -> None:
    """No control character, lone surrogate or mark of direction stands in a text, but line breaks and tabs."""
    data = drawn if isinstance(drawn, bytes) else drawn.encode("utf-8")
    # A page has a megabyte of what need not be looked at one by one.
    used = set(data.translate(None, _PLAIN).decode("utf-8"))
    bad = {c for c in used - ALLOWED if ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in DIRECTIONS}
    assert bad == set(), (format, bad)
    if format in ("table", "tree"):
        assert all(c.isprintable() for c in used - {"\n"}), format


# What a trace does not look behind: it leads to the whole interpreter.
_LEAVES = (type, ModuleType, BuiltinMethodType)
_FOREIGN = ("torch", "numpy", "threading", "logging", "unittest", "_io", "socket", "weakref", "ctypes", "_pytest")
_TRACED = 20_000
"""Objects of a trace."""
_HEAP = 1 << 9
"""The flag of classes that were made by a class statement."""
_tensor_dict = torch.Tensor.__dict__["__dict__"].__get__
_C: Any = torch._C
"""Not all of it is in the types of torch."""
_Base: Any = torch._C.TensorBase


def trace(*roots: Any) -> list[tuple[Any, ...]]:
    """Everything that an audit must leave alone: what holds what, versions, bytes, gradients, random numbers."""
    with _disable_current_modes():
        drawn = torch.get_rng_state().numpy().tobytes()
    found: list[tuple[Any, ...]] = [
        (drawn, random.getstate()),
        (gc.isenabled(), torch.is_grad_enabled(), torch._C._is_torch_function_enabled()),
        (torch.get_default_dtype(), _C._len_torch_function_stack(), threading.active_count()),
    ]
    seen: set[int] = set()
    pending: deque[Any] = deque(roots)
    with torch._C.DisableTorchFunction():
        while pending and len(seen) < _TRACED:
            thing = pending.popleft()
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            facts, held = _look(thing)
            found.append((id(thing), id(type(thing)), facts))
            pending.extend(held)
    return found


def _look(thing: Any) -> tuple[Any, list[Any]]:
    cls = type(thing)
    if issubclass(cls, torch.Tensor):
        state = _tensor_dict(thing)
        return (_bits(thing), *_pairs(state)), list(dict.values(state)) if issubclass(type(state), dict) else []
    if issubclass(cls, dict):
        order = OrderedDict.__iter__ if issubclass(cls, OrderedDict) else dict.__iter__
        keys = list(order(thing))
        return (_pairs(thing), list(map(id, keys))), [*keys, *dict.values(thing), *_held_by(thing, cls)]
    for base in (list, tuple, set, frozenset, deque):
        if issubclass(cls, base):
            items = list(base.__iter__(thing))
            return list(map(id, items)), [*items[:_TRACED], *_held_by(thing, cls)]
    if issubclass(cls, _LEAVES):
        return None, []
    if issubclass(cls, FunctionType):
        held = [thing.__closure__, thing.__defaults__, thing.__kwdefaults__, thing.__dict__]
        return list(map(id, held[:3])), held
    if issubclass(cls, (CellType, MethodType)):
        held = gc.get_referents(thing)
        return list(map(id, held)), held
    module = type.__dict__["__module__"].__get__(cls) if "__module__" in cls.__dict__ else "builtins"
    is_kept = issubclass(cls, (nn.Module, torch.optim.Optimizer))
    if not is_kept and (type(module) is not str or module.partition(".")[0] in _FOREIGN):
        return None, []
    held = _held_by(thing, cls)
    return list(map(id, held)), held


def _held_by(thing: Any, cls: type) -> list[Any]:
    """The instance's dict, and its slots."""
    held: list[Any] = []
    for base in type.__dict__["__mro__"].__get__(cls):
        if not type.__dict__["__flags__"].__get__(base) & _HEAP:
            continue
        for name, member in type.__dict__["__dict__"].__get__(base).items():
            if type(name) is not str or (name.startswith("__") and name != "__dict__"):
                continue
            if type(member).__name__ in ("getset_descriptor", "member_descriptor") and (
                name == "__dict__" or type(member).__name__ == "member_descriptor"
            ):
                try:
                    held.append(member.__get__(thing))
                except AttributeError:
                    held.append(None)
    return held


def _pairs(state: Any) -> list[tuple[int, int]]:
    return [(id(key), id(value)) for key, value in dict.items(state)] if issubclass(type(state), dict) else []


def _bits(tensor: Any) -> tuple[Any, ...]:
    """What of a tensor could change, read without an operator: its version, place, bytes and gradient."""
    facts: list[Any] = [_Base.requires_grad.__get__(tensor), _Base.is_leaf.__get__(tensor)]
    facts.append(None if _Base.is_inference(tensor) else _Base._version.__get__(tensor))
    if facts[1]:
        grad = _Base.grad.__get__(tensor)
        facts.append(None if grad is None else (id(grad), _bits(grad)))
    if not torch._C._has_storage(tensor):
        return tuple(facts)
    facts.append(_C._is_cow_tensor(tensor))
    address = _C._data_address(tensor)
    facts.append(address)
    storage = _Base.untyped_storage(tensor)
    if address and storage.device.type == "cpu":
        facts.append(hash(ctypes.string_at(address, min(storage.nbytes(), 1 << 10))))
    return tuple(facts)


__all__ = ["Everything", "Holder", "check_text", "everything", "examine", "many", "trace", "trip"]
