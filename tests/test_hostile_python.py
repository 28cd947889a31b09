"""What else Python programs keep on a model: generators, mocks, locks, files, proxies, arrays, tracebacks."""

from __future__ import annotations

import abc
import array
import asyncio
import collections
import concurrent.futures
import contextvars
import ctypes
import datetime
import decimal
import enum
import fractions
import functools
import inspect
import io
import itertools
import logging
import mmap
import operator
import pathlib
import queue
import random
import re
import socket
import sys
import tempfile
import threading
import types
import uuid
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from support.hostile_models import Everything, Holder, everything, examine
from support.traps import mine, ran, trip, watched
from torch import nn

from paramscope import audit


def parameter() -> nn.Parameter:
    """A Parameter of four elements."""
    return nn.Parameter(torch.zeros(4))


def linear() -> nn.Linear:
    """Two parameters, six elements."""
    return nn.Linear(2, 2)


def with_held(value: Any) -> nn.Module:
    """A model that holds something."""
    model: Any = nn.Sequential(nn.Linear(3, 2))
    model.held = [value, {"a": value}, Holder(value), (value,)]
    model[0].__dict__["held"] = value
    return model


def counting() -> Any:
    """A generator that says when it goes on."""
    part = parameter()
    while True:
        trip("generator")
        yield part


async def coroutine() -> Any:
    """Never awaited."""
    return parameter()


async def agen() -> Any:
    """Never iterated."""
    yield parameter()


class Counting:
    """An iterator that says when it goes on."""

    def __iter__(self) -> Any:
        trip("__iter__")
        return self

    def __next__(self) -> int:
        trip("__next__")
        return 1


ITERATORS: dict[str, Callable[[], Any]] = {
    "generator": counting,
    "generator expression": lambda: (trip("generator") or i for i in [1, 2]),
    "iterator": Counting,
    "list iterator": lambda: iter([parameter(), 1]),
    "dict iterator": lambda: iter({"a": 1, "b": 2}.items()),
    "map": lambda: map(trip, ["map"]),
    "filter": lambda: filter(trip, ["filter"]),
    "zip": lambda: zip([1], [parameter()], strict=True),
    "enumerate": lambda: enumerate([parameter()]),
    "chain": lambda: itertools.chain([1], [2]),
    "cycle": lambda: itertools.cycle([1]),
    "count": itertools.count,
    "callable iterator": lambda: iter(functools.partial(trip, "iter"), None),
    "parameters": lambda: linear().parameters(),
    "reversed": lambda: reversed([1, 2]),
    "scandir": lambda: pathlib.Path().iterdir(),
}


@pytest.mark.parametrize("kind", ITERATORS)
def test_nothing_is_advanced(kind: str) -> None:
    made, other = ITERATORS[kind](), ITERATORS[kind]()
    assert examine(with_held(made)).totals.parameters == 8
    if kind not in ("scandir", "parameters"):
        assert list(itertools.islice(made, 2)) is not None
    if kind in ("list iterator", "dict iterator", "enumerate", "chain", "count", "zip", "reversed"):
        again = examine(with_held(other))
        assert again.totals.parameters == 8
        assert len(list(itertools.islice(other, 5))) == {"zip": 1, "enumerate": 1, "count": 5}.get(kind, 2)


def test_generators_that_run_and_that_are_over() -> None:
    started = counting()
    next(started)
    over = (i for i in [1])
    list(over)
    model = with_held([started, over])
    examine(model)
    assert inspect.getgeneratorstate(started) == "GEN_SUSPENDED"
    started.close()


def test_coroutines_are_left_alone() -> None:
    waiting = coroutine()
    try:
        assert examine(with_held([waiting, agen()])).totals.parameters == 8
    finally:
        waiting.close()


def dead_ref() -> Any:
    """A reference to nothing."""
    return weakref.ref(Holder(1))


def dead_proxy() -> Any:
    """A proxy of nothing."""
    return weakref.proxy(Holder(1))


KEPT = [Holder(parameter()), linear(), Everything()]


class Weak:
    """It trips when it is asked for."""

    def __call__(self) -> Any:
        trip("__call__")
        return None


def lines(level: int) -> BaseException:
    """An exception with a traceback whose frames hold a model."""
    model = nn.Sequential(linear())
    try:
        if level:
            raise ValueError(model) from lines(level - 1)
        return ValueError(model)
    except ValueError as error:
        error.add_note("a note") if hasattr(error, "add_note") else None
        return error


class Lazy:
    """Imports, or builds, what it stands for when it is asked."""

    def __getattr__(self, name: str) -> Any:
        trip(f"Lazy.{name}")
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        trip("Lazy()")
        return self


class Point(ctypes.Structure):
    """A structure of C."""

    _fields_ = (("x", ctypes.c_int), ("object", ctypes.py_object))


class LazyModule(types.ModuleType):
    """A Python module that loads when it is asked."""

    def __getattr__(self, name: str) -> Any:
        trip(f"LazyModule.{name}")
        raise AttributeError(name)


class Flags(enum.Flag):
    """Flags."""

    A = enum.auto()
    B = enum.auto()


class WithTensor(enum.Enum):
    """An enum whose members are things."""

    ONE = (1, "a")
    NAMES = ("b", "c")


class CachedModel:
    """It builds a model when it is asked."""

    @functools.cached_property
    def model(self) -> Any:
        """Built late."""
        trip("cached_property")
        return linear()

    @functools.singledispatchmethod
    def on(self, x: Any) -> Any:
        """Dispatched."""
        trip("dispatch")
        return x


@functools.lru_cache
def cached(x: int) -> Any:
    """Keeps what it computed."""
    return parameter() if x else None


@functools.singledispatch
def dispatched(x: Any) -> Any:
    """By type."""
    return x


class Meta(abc.ABCMeta):
    """A metaclass with an iterator."""

    def __iter__(cls) -> Any:
        trip("Meta.__iter__")
        return iter(())

    def __len__(cls) -> int:
        trip("Meta.__len__")
        return 0


class Abstract(metaclass=Meta):
    """Its class is a container."""


THINGS: dict[str, Callable[[], Any]] = {
    "Mock": mock.Mock,
    "MagicMock": mock.MagicMock,
    "Mock of a module": lambda: mock.Mock(spec=nn.Linear),
    "MagicMock of a module": lambda: mock.create_autospec(nn.Linear(1, 1)),
    "NonCallableMock": mock.NonCallableMock,
    "AsyncMock": mock.AsyncMock,
    "sentinel": lambda: mock.sentinel.thing,
    "call": lambda: mock.call.a.b(1)[2],
    "ANY": lambda: mock.ANY,
    "lazy": Lazy,
    "lazy Python module": lambda: LazyModule("lazy"),
    "Python module": lambda: torch,
    "main": lambda: __import__("__main__"),
    "class": lambda: nn.Linear,
    "class with an iterator": lambda: Abstract,
    "builtin": lambda: len,
    "method descriptor": lambda: dict.get,
    "slot wrapper": lambda: object.__init__,
    "getset descriptor": lambda: type.__dict__["__dict__"],
    "weakref": lambda: weakref.ref(KEPT[0]),
    "dead weakref": dead_ref,
    "proxy": lambda: weakref.proxy(KEPT[0]),
    "proxy of a module": lambda: weakref.proxy(KEPT[1]),
    "proxy of an object": lambda: weakref.proxy(KEPT[2]),
    "dead proxy": dead_proxy,
    "callable proxy": lambda: weakref.proxy(KEPT[1]),
    "WeakMethod": lambda: weakref.WeakMethod(KEPT[1].forward),
    "WeakSet": lambda: weakref.WeakSet(KEPT[:2]),
    "WeakKeyDictionary": lambda: weakref.WeakKeyDictionary({KEPT[0]: 1}),
    "WeakValueDictionary": lambda: weakref.WeakValueDictionary({1: KEPT[1]}),
    "finalizer": lambda: weakref.finalize(KEPT[0], trip, "finalizer"),
    "weak callback": lambda: weakref.ref(KEPT[0], lambda _: trip("callback")),
    "ctypes number": lambda: ctypes.c_int(3),
    "ctypes array": lambda: (ctypes.c_float * 10)(),
    "ctypes structure": lambda: Point(1, [1]),
    "ctypes pointer": lambda: ctypes.pointer(ctypes.c_int(3)),
    "null pointer": lambda: ctypes.POINTER(ctypes.c_int)(),
    "wild pointer": lambda: ctypes.c_void_p(0xDEAD),
    "ctypes function": lambda: ctypes.CFUNCTYPE(None)(lambda: None),
    "py_object": lambda: ctypes.py_object([1]),
    "null py_object": ctypes.py_object,
    "numpy array": lambda: np.zeros((3, 3)),
    "numpy objects": lambda: objects(linear(), Everything(), None),
    "numpy object of numpy objects": lambda: np.array([np.array([None, 1], dtype=object), 1], dtype=object),
    "numpy record": lambda: np.zeros(3, dtype=[("a", "f4"), ("b", "O")]),
    "numpy scalar": lambda: np.float64(3),
    "numpy dtype": lambda: np.dtype("f4"),
    "numpy generator": np.random.default_rng,
    "numpy memmap": lambda: memmap(),
    "numpy of a class of its own": lambda: np.zeros(3).view(
        type("Own", (np.ndarray,), {"__len__": mine("__len__", np.ndarray)})
    ),
    "lock": threading.Lock,
    "held lock": lambda: held(threading.Lock()),
    "recursive lock": threading.RLock,
    "condition": threading.Condition,
    "event": threading.Event,
    "semaphore": threading.Semaphore,
    "thread": lambda: threading.Thread(target=trip, args=("thread",)),
    "current thread": threading.current_thread,
    "thread local": lambda: local_of(threading.local()),
    "own thread local": lambda: local_of(type("Own", (threading.local,), {})()),
    "executor": lambda: ThreadPoolExecutor(1),
    "future": concurrent.futures.Future,
    "queue": queue.Queue,
    "context": contextvars.copy_context,
    "context variable": lambda: contextvars.ContextVar("x", default=1),
    "text file": lambda: io.StringIO("a\nb"),
    "bytes file": lambda: io.BytesIO(b"abc"),
    "closed file": lambda: closed(io.StringIO()),
    "socket": lambda: closed(socket.socket()),
    "mmap": lambda: mmap.mmap(-1, 10),
    "path": lambda: pathlib.Path("a"),
    "logger": lambda: logging.getLogger("x"),
    "handler": lambda: logging.StreamHandler(),
    "log record": lambda: logging.makeLogRecord({"args": (1,)}),
    "exception": lambda: lines(3),
    "exception with a cause that is itself": lambda: caused(ValueError()),
    "traceback": lambda: lines(1).__cause__.__traceback__ if lines(1).__cause__ else None,
    "frame": inspect.currentframe,
    "code": lambda: trip.__code__,
    "cell": lambda: types.CellType(1),
    "empty cell": types.CellType,
    "descriptor": lambda: property(trip),
    "static method": lambda: staticmethod(trip),
    "class method": lambda: classmethod(trip),
    "super": lambda: super(nn.Linear, KEPT[1]),
    "generic alias": lambda: list[int],
    "union": lambda: int | str,
    "namespace": lambda: types.SimpleNamespace(a=Everything()),
    "enum": lambda: WithTensor.ONE,
    "flags": lambda: Flags.A | Flags.B,
    "date": datetime.datetime.now,
    "decimal": lambda: decimal.Decimal("sNaN"),
    "fraction": lambda: fractions.Fraction(1, 3),
    "uuid": uuid.uuid4,
    "pattern": lambda: re.compile("a"),
    "match": lambda: re.match("a", "a"),
    "array": lambda: array.array("d", [1.0] * 100),
    "memoryview": lambda: memoryview(bytearray(10)),
    "attrgetter": lambda: operator.attrgetter("a"),
    "methodcaller": lambda: operator.methodcaller("trip"),
    "cached": lambda: cached,
    "dispatched": lambda: dispatched,
    "cached property": CachedModel,
    "partial method": lambda: functools.partialmethod(trip, 1),
    "NotImplemented": lambda: NotImplemented,
    "Ellipsis": lambda: ...,
    "random": random.Random,
    "torch generator": torch.Generator,
    "torch storage": lambda: torch.zeros(3).untyped_storage(),
    "typed storage": lambda: typed_storage(),
    "torch size": lambda: torch.Size([1, 2]),
    "torch dtype": lambda: torch.float32,
    "torch device": lambda: torch.device("cpu"),
    "torch function": lambda: torch.nn.functional.relu,
    "torch operator": lambda: torch.ops.aten.add,
    "autograd function": lambda: (torch.zeros(2, requires_grad=True) * 2).grad_fn,
    "profiler": lambda: torch.profiler.profile(),
    "data loader": lambda: torch.utils.data.DataLoader([1, 2]),
    "iterator of a data loader": lambda: iter(torch.utils.data.DataLoader([1, 2])),
    "graph": lambda: torch.fx.symbolic_trace(nn.ReLU()).graph,
    "parametrized class": lambda: nn.utils.parametrizations.weight_norm(linear()).__class__,
    "stack of modes": lambda: torch.no_grad(),
    "counter": lambda: collections.Counter("aab"),
}


def objects(*things: Any) -> Any:
    """An array that holds objects."""
    made = np.empty(len(things), dtype=object)
    for i, thing in enumerate(things):
        made[i] = thing
    return made


def memmap() -> Any:
    """An array in a file that has no name any more."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, shape=(10,), dtype="u1", mode="w+")


def typed_storage() -> Any:
    """The storage that torch used to have."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.zeros(3).storage()


def held(lock: Any) -> Any:
    """A lock that somebody else holds."""
    lock.acquire()
    return lock


def local_of(made: Any) -> Any:
    """Each thread sees its own."""
    made.part = Everything()
    return made


def closed(file: Any) -> Any:
    """Nothing can be read from it."""
    file.close()
    return file


def caused(error: BaseException) -> Any:
    """Its own context."""
    error.__context__ = error
    error.held = error
    return error


@pytest.mark.parametrize("kind", THINGS)
def test_things_that_are_kept_on_a_model(kind: str) -> None:
    value = THINGS[kind]()
    model = with_held(value)
    report = examine(model)
    assert report.totals.parameters == 8
    # Nothing but what is registered, and what an exception, an array or a cache is not looked through for.
    assert {"0.weight", "0.bias"} <= set(report.slots)


def test_mocks_do_not_note_that_they_were_seen() -> None:
    model: Any = nn.Sequential(nn.Linear(3, 2))
    watching: Any = mock.MagicMock()
    model.held = [watching, {"a": watching.child}]
    before = len(watching.mock_calls), len(watching._mock_children)
    examine(model)
    assert (len(watching.mock_calls), len(watching._mock_children)) == before


def test_an_open_file_stays_where_it_is() -> None:
    with tempfile.TemporaryFile("w+") as file:
        file.write("abc\ndef\n")
        file.seek(4)
        assert examine(with_held(file)).totals.parameters == 8
        assert file.read() == "def\n"


def test_an_open_socket_stays_open() -> None:
    first, second = socket.socketpair()
    with first, second:
        first.send(b"abc")
        assert examine(with_held([first, second])).totals.parameters == 8
        assert second.recv(10) == b"abc"


def test_a_held_lock_is_not_waited_for() -> None:
    with threading.Lock() as lock, threading.RLock():
        assert examine(with_held(lock)).totals.parameters == 8


def test_an_event_loop_and_its_tasks() -> None:
    loop = asyncio.new_event_loop()
    try:
        model = with_held([loop, loop.create_future()])
        assert examine(model).totals.parameters == 8
    finally:
        loop.close()


def cell() -> Any:
    """A function whose cell is empty."""

    def fn() -> Any:
        return late

    if fn is None:
        late = 1
    return fn


class Method:
    """It has methods of every kind."""

    def __init__(self, part: Any) -> None:
        self.part = part

    def method(self) -> Any:
        """Bound to it."""
        trip("method")
        return self.part

    @classmethod
    def of_class(cls) -> Any:
        """Bound to the class."""
        trip("classmethod")

    @staticmethod
    def static() -> Any:
        """Bound to nothing."""
        trip("staticmethod")

    def __call__(self) -> Any:
        trip("__call__")
        return self.part


OwnPartial: Any = everything(functools.partial)

CALLABLES: dict[str, tuple[Callable[[Any], Any], str | None]] = {
    "a bound method": (lambda part: Method(part).method, "held->__self__->part"),
    "a bound method of an object": (lambda part: types.MethodType(trip, hold(part)), "held->__self__->secret"),
    "a method bound to a tensor": (lambda part: types.MethodType(trip, part), "held->__self__"),
    "a method of a method": (lambda part: types.MethodType(Method(part).method, 1), "held->__func__->__self__->part"),
    "a class method": (lambda part: Method(part).of_class, None),
    "a static method": (lambda part: Method(part).static, None),
    "a callable object": (Method, "held->part"),
    "a partial of its own": (lambda part: OwnPartial(trip, part), "held->args[0]"),
    "a partial of a partial": (
        lambda part: functools.partial(OwnPartial(trip, part), 1),
        # Newer Pythons make one of the two.
        "held->func->args[0]" if sys.version_info < (3, 13) else "held->args[0]",
    ),
    "a partial of an object": (lambda part: functools.partial(hold(part)), "held->func->secret"),
    "an empty cell": (lambda part: cell(), None),
    "a lambda": (lambda part: lambda: part, "held-><part>"),
    "a lambda's default": (lambda part: lambda x=part: x, "held->__defaults__[0]"),
    "a function with odd attributes": (lambda part: odd_function(part), "held->held"),
    "a function with defaults of their own": (lambda part: own_defaults(part), "held->__kwdefaults__['a']"),
    "a wrapped one": (lambda part: functools.wraps(trip)(lambda: part), "held-><part>"),
    "a wrapper of itself": (lambda part: wraps_itself(part), "held-><part>"),
}


def hold(part: Any) -> Any:
    """An object of which nothing can be asked, with a secret."""
    made = Everything()
    made.secret = part
    return made


def odd_function(part: Any) -> Any:
    """A function with attributes."""

    def fn() -> None:
        return None

    fn.__dict__.update(held=part, other=Everything(), __wrapped__=Everything())
    fn.__annotations__ = {"a": Everything(), "return": "nowhere"}
    fn.__module__ = Everything()
    fn.__doc__ = Everything()
    return fn


def own_defaults(part: Any) -> Any:
    """A function whose defaults lie in classes of their own."""

    def fn(b: Any = None, *, a: Any = None) -> Any:
        return a, b

    fn.__kwdefaults__ = everything(dict)(a=part)
    fn.__defaults__ = everything(tuple)((Everything(),))
    return fn


def wraps_itself(part: Any) -> Any:
    """A chain of wrappers without an end."""

    def fn() -> Any:
        return part

    fn.__wrapped__ = fn
    return fn


@pytest.mark.parametrize("kind", CALLABLES)
def test_callables_are_not_called(kind: str) -> None:
    make, path = CALLABLES[kind]
    model = nn.Module()
    model.held = make(parameter())
    assert list(examine(model).slots) == ([] if path is None else [path])


def test_a_function_whose_globals_are_odd() -> None:
    code = compile("lambda: part", "x", "eval")
    model: Any = nn.Module()
    names: dict[Any, Any] = {"__name__": Everything(), "__builtins__": {}, "part": 1}
    model.first = types.FunctionType(code, names)
    model.second = types.FunctionType(code, everything(dict)({"__name__": "torch"}))
    model.third = types.FunctionType((lambda: model).__code__, {}, "x", (), (types.CellType(parameter()),))
    assert list(examine(model).slots) == ["third-><model>"]


def test_hooks_with_code_of_their_own() -> None:
    model = nn.Linear(3, 2)
    thing = Everything()
    for name in list(model.__dict__):
        if "hook" in name and type(model.__dict__[name]) is collections.OrderedDict:
            model.__dict__[name][1] = thing
            model.__dict__[name][2] = functools.partial(thing)
            model.__dict__[name][3] = types.MethodType(thing, thing)
    model.weight.register_hook(lambda grad: trip("hook"))
    model.weight._backward_hooks[-1] = thing
    report = examine(model)
    assert report.totals.parameters == 8
    assert report.slots["weight"].saved is None


def test_global_hooks_of_torch_do_not_run() -> None:
    handles = [
        nn.modules.module.register_module_forward_hook(lambda *_: trip("forward hook")),
        nn.modules.module.register_module_module_registration_hook(lambda *_: trip("module hook")),
        nn.modules.module.register_module_parameter_registration_hook(lambda *_: trip("parameter hook")),
        nn.modules.module.register_module_buffer_registration_hook(lambda *_: trip("buffer hook")),
    ]
    try:
        model: Any = nn.Linear(3, 2)
        model.held = [linear()]
        assert examine(model).totals.hidden == 6
    finally:
        for handle in handles:
            handle.remove()


def test_saved_tensor_hooks_do_not_run() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    model.computed = model[0](torch.zeros(1, 3))
    model.sparse = torch.eye(3).to_sparse()
    packed = torch.autograd.graph.saved_tensors_hooks(lambda t: trip("pack"), lambda t: trip("unpack"))
    with packed:
        assert examine(model).totals.parameters == 8


def test_the_hostile_things_trip() -> None:
    with watched():
        for ask in (lambda: next(counting()), lambda: next(Counting()), lambda: Lazy().x, lambda: LazyModule("x").y):
            with pytest.raises(RuntimeError):
                ask()
    assert len(ran) == 4


def test_an_array_of_objects_is_not_looked_into_or_is() -> None:
    """Either is right; but what is seen there is hidden, and nothing else is lost."""
    model = nn.Sequential(nn.Linear(3, 2))
    model.held = objects(linear(), parameter())
    report = examine(model)
    assert report.totals.hidden in (0, 10)
    assert report.totals.parameters == 8


def test_another_thread_that_makes_models_meanwhile() -> None:
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))

    thread = threading.Thread(target=work)
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(200)))
    first = audit(model)
    thread.start()
    try:
        assert all(audit(model) == first for _ in range(10))
    finally:
        over.set()
        thread.join()
