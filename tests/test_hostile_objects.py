"""Objects, classes and modules that answer everything with code of their own: none of it runs."""

from __future__ import annotations

import abc
import collections
import dataclasses
import enum
import functools
import types
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import pytest
import torch
from support.hostile_models import DUNDERS, EXTRAS, Everything, Holder, everything, examine
from support.traps import hostile, mine, ran, trip, watched
from torch import nn

from paramscope import audit
from paramscope.errors import NotAModule


@dataclasses.dataclass
class Parts:
    """A dataclass."""

    part: Any
    count: int = 0


class Pair(NamedTuple):
    """A namedtuple."""

    first: Any
    second: Any


class Slotted:
    """An object without a dict."""

    __slots__ = ("part",)

    def __init__(self, part: Any) -> None:
        self.part = part


def closure(part: Any) -> Callable[[], Any]:
    """A function that closes over something."""
    return lambda: part


def default(part: Any) -> Callable[..., Any]:
    """A function with a default."""

    def fn(first: Any = part, *, second: Any = part) -> Any:
        return first, second

    return fn


PLACES: dict[str, Callable[[Any], Any]] = {
    "itself": lambda part: part,
    "list": lambda part: [part, part],
    "tuple": lambda part: (part,),
    "dict": lambda part: {"a": part},
    "dict's key": lambda part: {part: part},
    "set": lambda part: {part},
    "frozenset": lambda part: frozenset([part]),
    "deque": lambda part: collections.deque([part]),
    "OrderedDict": lambda part: collections.OrderedDict([(part, part)]),
    "defaultdict": lambda part: collections.defaultdict(lambda: trip("factory"), {part: part}),
    "Counter": lambda part: collections.Counter([part]),
    "UserDict": lambda part: collections.UserDict({"a": part}),
    "UserList": lambda part: collections.UserList([part]),
    "ChainMap": lambda part: collections.ChainMap({}, {"a": part}),
    "namedtuple": lambda part: Pair(part, 1),
    "dataclass": Parts,
    "object": Holder,
    "slots": Slotted,
    "closure": closure,
    "default": default,
    "partial": lambda part: functools.partial(print, part, end=part),
    "cached": lambda part: functools.lru_cache(closure(part)),
    "a long list of numbers": lambda part: [*range(300), part],
}


@pytest.mark.parametrize("place", PLACES)
def test_an_object_of_which_nothing_can_be_asked(place: str) -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    model[0].held = PLACES[place](Everything())
    assert examine(model).totals.parameters == 8


@pytest.mark.parametrize("place", PLACES)
def test_what_such_an_object_holds_is_found(place: str) -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    part = Everything()
    part.secret = nn.Parameter(torch.zeros(5))
    model[0].held = PLACES[place](part)
    report = examine(model)
    hidden = [path for path in report.slots if report.slots[path].status == "hidden"]
    # What functools caches keeps to itself.
    assert len(hidden) == (0 if place == "cached" else 1)
    assert report.totals.hidden == (0 if place == "cached" else 5)
    assert all(path.startswith("0.held") and path.endswith("->secret") for path in hidden)


def single(name: str) -> Any:
    """An object with one special method, which trips."""
    return type("Single", (), {name: mine(name, object)})()


@pytest.mark.parametrize("name", sorted({*DUNDERS, *EXTRAS}))
def test_one_special_method_alone(name: str) -> None:
    part = single(name)
    model: Any = nn.Sequential(nn.Linear(3, 2))
    model.held = part
    model[0].held = [part, (part, {"a": part}), Holder(part), Slotted(part), closure(part), default(part)]
    model[0].bound = functools.partial(print, part)
    model[0].keyed = {part: part, 1: part} if name not in ("__hash__", "__eq__") else {1: part}
    part.__dict__["secret"] = nn.Parameter(torch.zeros(5))
    report = examine(model)
    assert [path for path in report.slots if report.slots[path].status == "hidden"] == ["held->secret"]


def test_the_traps_work() -> None:
    part = Everything()
    with watched():
        for ask in (repr, hash, bool, len, iter, str, dir, list, lambda p: p == 1, lambda p: p(), lambda p: p.x):
            with pytest.raises(RuntimeError):
                ask(part)
    assert len(ran) == 11


class Del:
    """Says when it goes."""

    def __del__(self) -> None:
        trip("__del__")


def test_nothing_held_is_let_go() -> None:
    model: Any = nn.Module()
    model.held = [Del(), {"a": Del()}]
    assert list(examine(model).slots) == []


NAMES_THAT_ARE_READ = (
    *("training", "forward", "requires_grad", "requires_grad_", "require_grad", "_hf_hook", "config"),
    *("all_tied_weights_keys", "_tied_weights_keys", "state_dict", "to", "_apply", "_save_to_state_dict"),
    *("get_extra_state", "hook", "_flat_weights", "_actual_script_module", "_orig_mod", "_c", "parametrizations"),
)


@pytest.mark.parametrize("name", NAMES_THAT_ARE_READ)
@pytest.mark.parametrize("where", ["instance", "class", "tensor"])
def test_attributes_that_mean_something_hold_such_an_object(name: str, where: str) -> None:
    class Net(nn.Linear):
        """A layer."""

    model = nn.Sequential(Net(3, 2))
    part = Everything()
    if where == "instance":
        model[0].__dict__[name] = part
    elif where == "class":
        setattr(Net, name, part)
    else:
        model[0].weight.__dict__[name] = part
    assert examine(model).totals.parameters == 8


# What torch itself asks of these while it trains a model; an audit gets none of them from anybody else.
OWN_DICTS = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "_state_dict_hooks")


@pytest.mark.parametrize("name", [*OWN_DICTS, "_state_dict_pre_hooks", "_forward_pre_hooks", "_forward_hooks"])
@pytest.mark.parametrize("kind", ["such an object", "None", "a number", "a list"])
def test_what_module_keeps_its_things_in_is_replaced(name: str, kind: str) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    model[1].__dict__[name] = {"such an object": Everything(), "None": None, "a number": 1, "a list": [1]}[kind]
    report = examine(model)
    # Whatever is left of that layer, the others are whole.
    assert report.slots["0.weight"].numel == 6
    assert report.slots["2.weight"].numel == 4


@pytest.mark.parametrize("name", ["_parameters", "_buffers", "_modules"])
@pytest.mark.parametrize("value", [Everything(), 1, "text", (), nn.ReLU, object(), [torch.zeros(2)], len])
def test_what_is_registered_is_neither_tensor_nor_module(name: str, value: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    model[0].__dict__[name]["odd"] = value
    model[1].__dict__[name]["odd"] = value
    report = examine(model)
    assert report.slots["0.weight"].numel == 6
    assert report.slots["1.running_mean"].numel == 2


def test_modules_tensors_and_parameters_in_one_anothers_places() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    model[0]._parameters["module"] = nn.Linear(1, 1)
    model[0]._parameters["tensor"] = torch.zeros(2)
    model[0]._buffers["module"] = nn.Linear(1, 1)
    model[0]._buffers["parameter"] = nn.Parameter(torch.zeros(2))
    model[0]._modules["tensor"] = torch.zeros(2)
    model[0]._modules["class"] = nn.Linear
    report = examine(model)
    assert report.slots["0.weight"].numel == 6
    assert report.slots["1.weight"].numel == 2


SETTINGS: dict[str, Any] = {
    "an int of its own": everything(int)(3),
    "a float of its own": everything(float)(1.5),
    "a str of its own": everything(str)("zeros"),
    "a tuple of its own": everything(tuple)((1, 2)),
    "an object": Everything(),
    "a tuple with an object": (1, Everything()),
    "nan": float("nan"),
    "infinity": float("-inf"),
    "a long number": 10**5_000,
    "a number of 64 bits": 1 << 63,
    "tuples in tuples": functools.reduce(lambda inner, _: (inner,), range(5_000), ()),
    "a lone surrogate": "\ud800",
    "bytes": b"\xff",
    "a complex number": 1j,
    "a tensor": torch.tensor(3),
    "a dtype": torch.float32,
    "a class": Everything,
}


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (nn.Linear(3, 2), "in_features"),
        (nn.Conv2d(1, 2, 3), "kernel_size"),
        (nn.LayerNorm(2), "eps"),
        (nn.Embedding(5, 2), "padding_idx"),
        (nn.GRU(2, 2), "num_layers"),
        (nn.Conv1d(1, 1, 1), "padding_mode"),
    ],
)
def test_settings_of_layers(layer: nn.Module, name: str, kind: str) -> None:
    model = nn.Sequential(layer, nn.Linear(2, 2))
    had = layer.__dict__[name]
    layer.__dict__[name] = SETTINGS[kind]
    try:
        assert examine(model).slots["1.weight"].numel == 4
    finally:
        layer.__dict__[name] = had


@pytest.mark.parametrize("name", sorted(OWN_DICTS))
def test_what_module_keeps_its_things_in_is_missing(name: str) -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    del model[0].__dict__[name]
    report = examine(model)
    assert report.slots["1.weight"].numel == 4
    assert [note.kind for note in report.snapshot.notes] == ["uninitialised"]


def test_a_module_without_init_and_an_empty_one() -> None:
    class Early(nn.Module):
        """Forgets to call Module.__init__."""

        def __init__(self) -> None:
            object.__setattr__(self, "held", [nn.Linear(2, 2)])

    model = nn.Sequential(nn.Module())
    model._modules["early"] = Early()
    report = examine(model)
    assert list(report.slots) == ["early.held[0].weight", "early.held[0].bias"]
    assert [note.kind for note in report.snapshot.notes] == ["uninitialised"]
    assert list(examine(nn.Module()).slots) == list(examine(Early.__new__(Early)).slots) == []


def test_none_slots_and_children() -> None:
    model: Any = nn.Sequential(nn.Linear(3, 2))
    model[0].register_parameter("empty", None)
    model[0].register_buffer("nothing", None)
    model.register_module("child", None)
    model[0].held = [None, None]
    report = examine(model)
    assert [slot.path for slot in report.slots.records() if slot.status == "empty"] == ["0.empty", "0.nothing"]
    assert list(report.modules) == ["", "0"]


class Data:
    """A data descriptor."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        trip("__get__")
        return nn.Parameter(torch.zeros(3))

    def __set__(self, instance: Any, value: Any) -> None:
        trip("__set__")


class NonData:
    """A descriptor that an instance may hide."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        trip("__get__")
        return nn.Parameter(torch.zeros(3))


@pytest.mark.parametrize("make", [Data, NonData, Everything, property, functools.cached_property])
@pytest.mark.parametrize("name", ["weight", "other", "training", "_parameters", "_modules", "__doc__", "__slots__"])
def test_descriptors_in_the_class(make: Any, name: str) -> None:
    def compute(self: Any) -> Any:
        trip("compute")
        return None

    model = nn.Sequential(nn.Linear(3, 2))
    member = make(compute) if make in (property, functools.cached_property) else make()
    model[0].__class__ = type("Described", (nn.Linear,), {name: member} if name != "__slots__" else {"some": member})
    assert list(examine(model).slots) == ["0.weight", "0.bias"]


@pytest.mark.parametrize("make", [Data, NonData, property])
def test_descriptors_in_the_class_of_an_object(make: Any) -> None:
    def compute(self: Any) -> Any:
        trip("compute")
        return None

    member = make(compute) if make is property else make()
    names = ("part", "__dict__", "__class__", "__weakref__", "__dataclass_fields__", "_fields", "__slots__")
    thing = Holder(nn.Parameter(torch.zeros(4)))
    thing.__class__ = type("Described", (Holder,), {name: member for name in names if name != "__slots__"})
    model: Any = nn.Sequential(nn.Linear(3, 2))
    model.held = thing
    assert list(examine(model).slots) == ["held->part", "0.weight", "0.bias"]


def meta(*names: str) -> type[Any]:
    """A metaclass whose methods of these names are its own."""
    body: dict[str, Any] = {name: mine(name, type) for name in names}
    # A class body may not hold a property for its own qualified name.
    for name in ("__name__", "__module__", "__dict__", "__mro__", "__bases__", "__base__", "__flags__", "__class__"):
        body[name] = property(functools.partial(_claimed, name))
    return type("Meta", (type,), body)


def _claimed(name: str, cls: Any) -> Any:
    trip(f"metaclass {name}")
    return type.__dict__[name].__get__(cls) if name != "__class__" else type(cls)


META = (
    *("__eq__", "__ne__", "__hash__", "__instancecheck__", "__subclasscheck__", "__getattribute__", "__call__"),
    *("__repr__", "__str__", "__dir__", "__or__", "__ror__", "__prepare__", "__subclasses__", "__format__"),
    *("__len__", "__bool__", "__iter__", "__contains__", "__getitem__", "__getattr__"),
)


@pytest.mark.parametrize("name", [*META, "mro", "all"])
@pytest.mark.parametrize("of", [object, nn.Linear, dict, list, abc.ABC])
def test_metaclasses(name: str, of: Any) -> None:
    body = {each: mine(each, type) for each in (META if name == "all" else (name,))}
    if of is not abc.ABC:
        maker = type("Meta", (type,), body)
        made = maker("Metered", (of,), {})
    else:
        maker = type("Meta", (abc.ABCMeta,), body)
        made = maker("Metered", (), {})
    thing = type.__call__(made, *((2, 2) if of is nn.Linear else ()))
    model: Any = nn.Sequential(nn.Linear(3, 2))
    model.held = [thing, made, {"a": (thing, made)}]
    if of is nn.Linear:
        model._modules["metered"] = thing
    model.again = thing
    report = examine(model)
    assert report.totals.parameters == (14 if of is nn.Linear else 8)


def test_a_metaclass_that_answers_for_the_names_of_its_classes() -> None:
    maker = meta(*META)
    layer = maker("Layer", (nn.Linear,), {"__module__": "somewhere"})
    model = nn.Sequential(type.__call__(layer, 3, 2))
    model.held = type.__call__(maker("Thing", (Holder,), {}), nn.Parameter(torch.zeros(2)))
    report = examine(model)
    assert report.modules["0"].type == "somewhere.Layer"
    assert report.slots["held->part"].status == "hidden"


class Sly(str):
    """A string with methods of its own."""

    __slots__ = ()


for _name in (
    "__eq__",
    "__hash__",
    "__format__",
    "__str__",
    "__add__",
    "__radd__",
    "rpartition",
    "partition",
    "encode",
):
    setattr(Sly, _name, mine(_name, str))
for _name in ("__len__", "__contains__", "__iter__", "startswith", "endswith", "isprintable", "__repr__", "join"):
    setattr(Sly, _name, mine(_name, str))


def _named(base: type, attribute: str, value: Any) -> type[Any]:
    cls = type("Named", (base,), {})
    setattr(cls, attribute, value)
    return cls


CLASS_NAMES: list[tuple[str, Any]] = [
    ("__module__", None),
    ("__module__", 3),
    ("__module__", "\ud800"),
    ("__module__", Sly("torch.nn.modules.linear")),
    ("__module__", Everything()),
    ("__module__", "torch"),
    ("__module__", ""),
    ("__module__", "a\nb\x1b[31m\0"),
    ("__qualname__", "\udfff"),
    ("__qualname__", ""),
    ("__qualname__", "."),
    ("__qualname__", "a\nb\x1b[31m<b>\u202e"),
    ("__qualname__", "x" * 10_000),
    ("__qualname__", Sly("Linear")),
    ("__name__", "other\n"),
    ("__name__", Sly("Linear")),
    ("__doc__", Everything()),
    ("__annotations__", Everything()),
    ("__firstlineno__", Everything()),
    ("__abstractmethods__", ["x"]),
]


@pytest.mark.parametrize(("attribute", "value"), CLASS_NAMES)
def test_classes_with_changed_names(attribute: str, value: Any) -> None:
    model: Any = nn.Sequential(nn.Linear(3, 2))
    model[0].__class__ = _named(nn.Linear, attribute, value)
    model[0].weight.__class__ = _named(nn.Parameter, attribute, value)
    thing = Holder(nn.Parameter(torch.zeros(4)))
    thing.__class__ = _named(Holder, attribute, value)
    model.held = [thing, {thing: thing}]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.__class__ = _named(torch.optim.SGD, attribute, value)
    report = examine(model, optimizer=optimizer)
    assert report.totals.parameters == 8
    assert report.slots["0.weight"].stepped


def test_classes_whose_members_have_hostile_names_and_values() -> None:
    body = {Sly("forward"): Everything(), Sly("state_dict"): Everything(), Sly("other"): torch.zeros(3)}
    layer: Any = type("Layer", (nn.Linear,), body)
    layer.method = types_function()
    model = nn.Sequential(layer(3, 2))
    model.held = type("Thing", (Holder,), body)(nn.Parameter(torch.zeros(2)))
    report = examine(model)
    assert report.totals.parameters == 8
    assert report.totals.hidden == 2


def types_function() -> Any:
    """A method that says it is of another class, in a file with an odd name."""

    def method(self: Any) -> int:
        return 1

    method.__code__ = method.__code__.replace(co_filename="a\nb\ud800\x1b.py")
    method.__qualname__ = "Layer.method"
    return method


@pytest.mark.parametrize("file", [None, 3, Everything(), "\ud800\n", "<frozen>"])
def test_a_python_module_with_an_odd_file(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    home = types.ModuleType("odd_home")
    home.__file__ = file
    monkeypatch.setitem(sys.modules, "odd_home", home)
    model = nn.Sequential(type("Layer", (nn.Linear,), {"__module__": "odd_home"})(3, 2))
    assert examine(model).modules["0"].type == "odd_home.Layer"


def test_a_hostile_object_in_the_place_of_a_python_module(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "odd_home", Everything())
    model = nn.Sequential(type("Layer", (nn.Linear,), {"__module__": "odd_home"})(3, 2))
    assert examine(model).modules["0"].type == "odd_home.Layer"


T = TypeVar("T")


class Colour(enum.Enum):
    """An enum whose members hold things."""

    RED = "red"


class Typed(Generic[T]):
    """A generic class."""

    def __init__(self, part: T) -> None:
        self.part = part


class Shaped(Protocol):
    """A protocol."""

    part: Any


class Implemented(Shaped):
    """Its implementation."""

    def __init__(self, part: Any) -> None:
        self.part = part


class Abstract(abc.ABC):  # noqa: B024  # as users write them
    """An abstract class."""

    def __init__(self, part: Any) -> None:
        self.part = part

    @classmethod
    def __subclasshook__(cls, other: Any) -> Any:
        trip("__subclasshook__")
        return NotImplemented


@pytest.mark.parametrize("kind", [Typed, Typed[int], Implemented, Abstract])
def test_objects_of_special_classes(kind: Any) -> None:
    model: Any = nn.Module()
    model.held = kind(nn.Parameter(torch.zeros(4)))
    model.colour = {Colour.RED: Colour.RED}
    assert "held->part" in list(examine(model).slots)


def test_a_module_whose_instance_dict_is_a_dict_of_its_own() -> None:
    own = hostile(dict, "__getitem__", "__contains__", "__iter__", "__len__", "items", "keys", "values", "get")
    model: Any = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    model[0].__dict__ = own(model[0].__dict__)
    model.held = Holder(nn.Parameter(torch.zeros(4)))
    model.held.__dict__ = own(model.held.__dict__)
    report = examine(model)
    assert report.totals.parameters == 8 + 6
    assert report.totals.hidden == 4


class Slots(nn.Linear):
    """A layer with slots."""

    __slots__ = ("part",)


def test_a_module_with_slots() -> None:
    model = nn.Sequential(Slots(3, 2))
    object.__setattr__(model[0], "part", [1])
    assert examine(model).totals.parameters == 8


def test_a_module_whose_dict_was_emptied() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    model[0].__dict__.clear()
    report = examine(model)
    assert list(report.slots) == ["1.weight", "1.bias"]
    assert [note.kind for note in report.snapshot.notes] == ["uninitialised"]


OwnDict = everything(dict)


@pytest.mark.parametrize("kind", [OwnDict, collections.OrderedDict])
@pytest.mark.parametrize("key", ["a", Sly("a"), 1])
def test_roots_and_optimizers_in_dicts_of_their_own(kind: Any, key: Any) -> None:
    first, second = nn.Linear(3, 2), nn.Linear(2, 2)
    optimizer = torch.optim.SGD(first.parameters(), lr=0.1)
    report = examine(kind({key: first, "b": second}), optimizer=kind({key: optimizer}))
    assert report.totals.parameters == 8 + 6
    assert report.snapshot.roots == (str(key), "b")
    assert type(report.snapshot.roots[0]) is str
    assert type(report.optimizers[0].name) is str


@pytest.mark.parametrize("kind", [everything(list), everything(tuple)])
def test_optimizers_in_lists_of_their_own(kind: Any) -> None:
    model = nn.Linear(3, 2)
    one, other = (torch.optim.SGD([parameter], lr=0.1) for parameter in model.parameters())
    assert len(examine(model, optimizer=kind([one, other])).optimizers) == 2
    # The same one twice is one.
    assert len(examine(model, optimizer=kind([one, one])).optimizers) == 1


def strange(kind: str) -> Any:
    """What is no module."""
    if kind == "an object":
        return Everything()
    if kind == "a class":
        return Everything
    if kind == "an object of a metaclass":
        return type.__call__(type("Meta", (type,), {name: mine(name, type) for name in META})("Thing", (), {}))
    return {"a": Everything()}


@pytest.mark.parametrize("kind", ["an object", "a class", "an object of a metaclass", "a dict of an object"])
def test_what_is_no_module_is_refused(kind: str) -> None:
    thing = strange(kind)
    with watched(), pytest.raises(NotAModule):
        audit(thing)
    assert ran == []
