"""Tensors of every make: no storage, no bytes, no shape, code of their own. Each is audited and left as it was."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.hostile_models import Everything, Holder, examine
from support.traps import mine, ran, trip, watched
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from paramscope import Report


def fake() -> torch.Tensor:
    """Of a mode of its own."""
    with FakeTensorMode():
        return torch.zeros(2, 3)


def freed() -> torch.Tensor:
    """Its storage was given back."""
    made = torch.zeros(2, 3)
    made.untyped_storage().resize_(0)
    return made


def inference() -> torch.Tensor:
    """Made where autograd does not look."""
    with torch.inference_mode():
        return torch.zeros(2, 3)


def nested(layout: torch.layout) -> torch.Tensor:
    """Rows of two lengths."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=layout)


def compressed(name: str) -> torch.Tensor:
    """A compressed sparse tensor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes = {"blocksize": (1, 1)} if name.startswith("to_sparse_bs") else {}
        made: torch.Tensor = getattr(torch.eye(3), name)(**sizes)
        return made


def bits(dtype: torch.dtype) -> torch.Tensor:
    """A dtype without arithmetic."""
    return torch.zeros(4, dtype=torch.uint8).view(dtype)


def quantized() -> torch.Tensor:
    """One scale for all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.zeros(2, 3), 0.1, 0, torch.qint8)


def per_channel() -> torch.Tensor:
    """A scale for each row."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_channel(torch.zeros(2, 3), torch.ones(2), torch.zeros(2), 0, torch.quint8)


def shared() -> torch.Tensor:
    """In memory that other processes may map."""
    return torch.zeros(2, 3).share_memory_()


def grown() -> torch.Tensor:
    """Its storage was shrunk below what it views."""
    made = torch.zeros(2, 3)
    made.untyped_storage().resize_(4)
    return made


def overlapping() -> torch.Tensor:
    """Its elements overlap one another."""
    return torch.zeros(4).as_strided((3, 2), (1, 1))


def non_leaf() -> torch.Tensor:
    """It was computed."""
    return torch.zeros(2, 3, requires_grad=True) * 2


def hooked() -> torch.Tensor:
    """It keeps its gradient, and has hooks."""
    made = non_leaf()
    made.retain_grad()
    made.register_hook(lambda grad: trip("hook"))
    return made


def attributed() -> torch.Tensor:
    """Things were put on it."""
    made: Any = torch.zeros(2, 3)
    made.held = Everything()
    made.tags = {"a": torch.zeros(3)}
    made.requires_grad_ = True
    made.itself = made
    return made


def own_dict() -> torch.Tensor:
    """The dict of its attributes has a class of its own."""
    made = torch.zeros(2, 3)
    made.__dict__ = type("Own", (dict,), {name: mine(name, dict) for name in ("items", "get", "__iter__")})(a=1)
    return made


def lazy() -> torch.Tensor:
    """Not known yet."""
    return nn.parameter.UninitializedParameter()


def vmapped() -> torch.Tensor:
    """It stands for many, and its time is over."""
    kept: list[torch.Tensor] = []

    def keep(x: torch.Tensor) -> torch.Tensor:
        kept.append(x)
        return x

    torch.vmap(keep)(torch.zeros(2, 3))
    return kept[0]


def dual() -> torch.Tensor:
    """It carries a tangent."""
    import torch.autograd.forward_ad as fwad

    with warnings.catch_warnings(), fwad.dual_level():
        warnings.simplefilter("ignore")
        return fwad.make_dual(torch.zeros(2, 3), torch.ones(2, 3))


def functional() -> torch.Tensor:
    """Wrapped for functionalisation."""
    return torch._to_functional_tensor(torch.zeros(2, 3))


def shared_with_numpy() -> torch.Tensor:
    """Over memory that torch did not allocate, which cannot be written."""
    array = np.zeros((2, 3), dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array.flags.writeable = False
        return torch.from_numpy(array)


def deep_graph() -> torch.Tensor:
    """Behind many computations."""
    made = torch.zeros(2, 3, requires_grad=True)
    for _ in range(5_000):
        made = made + 1
    return made


PLAIN: dict[str, Callable[[], Any]] = {
    "0-dim": lambda: torch.tensor(1.0),
    "0-dim of a whole number": lambda: torch.tensor(1),
    "empty": lambda: torch.zeros(0),
    "empty in the middle": lambda: torch.zeros(2, 0, 3),
    "64 dimensions": lambda: torch.zeros((1,) * 64),
    "bool": lambda: torch.zeros(2, 3, dtype=torch.bool),
    "int": lambda: torch.zeros(2, 3, dtype=torch.int64),
    "uint16": lambda: torch.zeros(2, 3, dtype=torch.uint16),
    "complex": lambda: torch.zeros(2, 3, dtype=torch.complex64),
    "complex of halves": lambda: torch.zeros(2, 3, dtype=torch.complex32),
    "float8": lambda: torch.zeros(2, 3, dtype=torch.float8_e4m3fn),
    "float8 of exponents": lambda: torch.zeros(2, 3, dtype=torch.float8_e8m0fnu),
    "float4": lambda: torch.zeros(2, 3, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
    "bits8": lambda: bits(torch.bits8),
    "bits1x8": lambda: bits(torch.bits1x8),
    "uint4": lambda: torch.empty(2, dtype=torch.uint4, device="meta"),
    "int1": lambda: torch.empty(2, dtype=torch.int1, device="meta"),
    "quantized": quantized,
    "quantized per channel": per_channel,
    "sparse COO": lambda: torch.eye(3).to_sparse(),
    "sparse COO, uncoalesced": lambda: torch.sparse_coo_tensor([[0, 0]], [1.0, 2.0], (3,), is_coalesced=False),
    "hybrid sparse": lambda: torch.eye(3).to_sparse(1),
    "empty sparse": lambda: torch.sparse_coo_tensor(size=(0, 3)),
    "sparse of 2**60 elements": lambda: torch.sparse_coo_tensor(size=(1 << 30, 1 << 30)),
    "sparse CSR": lambda: compressed("to_sparse_csr"),
    "sparse CSC": lambda: compressed("to_sparse_csc"),
    "sparse BSR": lambda: compressed("to_sparse_bsr"),
    "sparse BSC": lambda: compressed("to_sparse_bsc"),
    "nested": lambda: nested(torch.strided),
    "jagged": lambda: nested(torch.jagged),
    "mkldnn": lambda: torch.zeros(2, 3).to_mkldnn(),
    "fake": fake,
    "meta": lambda: torch.zeros(2, 3, device="meta"),
    "meta of 2**61 elements": lambda: torch.zeros(1 << 61, device="meta", dtype=torch.int8),
    "conjugate": lambda: torch.zeros(2, 3, dtype=torch.complex64).conj(),
    "negative": lambda: torch.zeros(3, dtype=torch.complex64).conj().imag,
    "copy on write": lambda: torch._lazy_clone(torch.zeros(2, 3)),
    "inference": inference,
    "freed": freed,
    "smaller than its view": grown,
    "shared memory": shared,
    "at an offset": lambda: torch.zeros(10)[3:7],
    "expanded": lambda: torch.zeros(1).expand(1_000_000, 1_000),
    "overlapping itself": overlapping,
    "transposed": lambda: torch.zeros(2, 3).t(),
    "channels last": lambda: torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "attributed": attributed,
    "attributes of a class of their own": own_dict,
    "read-only": shared_with_numpy,
    "over numpy": lambda: torch.from_numpy(np.zeros((2, 3))),
    "over bytes": lambda: torch.frombuffer(bytearray(24), dtype=torch.float32),
    "lazy": lazy,
    "functional": functional,
}
_DTYPES = {"float8 of exponents": "float8_e8m0fnu", "float4": "float4_e2m1fn_x2", "int1": "int1"}
LACKING = {kind: name for kind, name in _DTYPES.items() if not hasattr(torch, name)}
"""Kinds of tensor that an older torch has no dtype for."""
COMPUTED: dict[str, Callable[[], Any]] = {
    "non-leaf": non_leaf,
    "hooked": hooked,
    "behind a deep graph": deep_graph,
    "of a vmap that is over": vmapped,
    "dual": dual,
}


def cases() -> list[Any]:
    """Every kind of tensor in every place; a tensor that was computed can be no Parameter."""
    places = ("parameter", "frozen parameter", "buffer", "attribute", "behind an object", "gradient")
    lacking = {kind: pytest.mark.skip(reason=f"this torch has no {name}") for kind, name in LACKING.items()}
    return [
        pytest.param(kind, place, marks=lacking.get(kind, ())) for kind in (*PLAIN, *COMPUTED) for place in places
    ]


@pytest.mark.parametrize(("kind", "place"), cases())
def test_a_tensor_of_each_kind_in_each_place(kind: str, place: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensor = {**PLAIN, **COMPUTED}[kind]()
    model: Any = nn.Sequential(nn.Linear(3, 2))
    if "parameter" in place:
        wants_grad = place == "parameter" and (tensor.is_floating_point() or tensor.is_complex())
        # torch makes no Parameter of some; by hand these can be put there all the same.
        with contextlib.suppress(RuntimeError, NotImplementedError, TypeError, ValueError):
            tensor = nn.Parameter(tensor, requires_grad=wants_grad)
        model[0]._parameters["odd"] = tensor
        path = "0.odd"
    elif place == "buffer":
        model[0]._buffers["odd"] = tensor
        path = "0.odd"
    elif place == "attribute":
        model[0].__dict__["odd"] = tensor
        path = "0.odd"
    elif place == "behind an object":
        model[0].held = {"a": Holder([tensor])}
        path = "0.held['a']->part[0]"
    else:
        if set_grad(model[0].weight, tensor) is None:
            pytest.skip("torch does not take it for a gradient")
        path = "0.weight"
    is_cow = torch._C._has_storage(tensor) and torch._C._is_cow_tensor(tensor)
    report = examine(model)
    assert path in list(report.slots)
    assert report.slots["0.weight"].numel == 6
    if is_cow:
        assert torch._C._is_cow_tensor(tensor)
    if kind == "lazy" and place != "gradient":
        assert report.slots[path].numel is None


def set_grad(weight: torch.Tensor, grad: torch.Tensor) -> torch.Tensor | None:
    """The gradient, where torch lets it be one of a tensor of two by three."""
    try:
        weight.grad = grad
    except (RuntimeError, NotImplementedError, TypeError):
        return None
    return weight.grad


class FunctionMode(TorchFunctionMode):
    """Sees every torch function."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        trip(f"mode: {getattr(func, '__name__', func)}")
        return func(*args, **(kwargs or {}))


class DispatchMode(TorchDispatchMode):
    """Sees every operator."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        trip(f"mode: {func}")
        return func(*args, **(kwargs or {}))


# What is active around an audit, and may not see it.
AROUND: dict[str, Callable[[], Any]] = {
    "a function mode": FunctionMode,
    "a dispatch mode": DispatchMode,
    "fake tensors": FakeTensorMode,
    "another device": lambda: torch.device("meta"),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
    "no subclasses": torch._C.DisableTorchFunctionSubclass,
    "forward mode": torch.autograd.forward_ad.dual_level,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


@pytest.mark.parametrize("around", AROUND)
def test_every_kind_at_once_within_what_is_active_out_there(around: str) -> None:
    model = nn.Module()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        there = [make for kind, make in PLAIN.items() if kind not in LACKING]
        for i, make in enumerate(there):
            model.register_buffer(f"buffer{i}", make()) if i % 2 else setattr(model, f"attribute{i}", make())
    outside = examine(model)
    with AROUND[around]():
        inside = examine(model)
    assert inside == outside
    assert len(inside.slots) >= len(there)


@pytest.mark.parametrize(
    ("kind", "numel", "nbytes"),
    [
        ("0-dim", 1, 4),
        ("empty", 0, 0),
        ("complex", 6, 48),
        ("float8", 6, 6),
        ("meta", 6, 24),
        ("freed", 6, 0),
        ("expanded", 1_000_000_000, 4),
        ("at an offset", 4, 16),
        ("copy on write", 6, 24),
        ("shared memory", 6, 24),
    ],
)
def test_elements_and_bytes(kind: str, numel: int, nbytes: int) -> None:
    model = nn.Module()
    model.weight = nn.Parameter(PLAIN[kind]())
    report = examine(model)
    assert (report.slots["weight"].numel, report.totals.nbytes) == (numel, nbytes)
    assert report.totals.parameters == numel


def trapped_properties() -> type[torch.Tensor]:
    """A tensor class in which whatever may be asked of a tensor is a method or property of its own."""
    body: dict[str, Any] = {}
    left = ("__class__", "__new__", "__init__", "__init_subclass__", "__subclasshook__", "__torch_function__")
    for name in dir(torch.Tensor):
        if name in left or name in (
            "__doc__",
            "__module__",
            "__dict__",
            "__weakref__",
            "__getattribute__",
            "__del__",
        ):
            continue
        member = getattr(torch._C.TensorBase, name, None)
        if callable(member) or callable(getattr(torch.Tensor, name, None)):
            body[name] = mine(name, torch.Tensor)
        else:
            body[name] = property(lambda self, name=name: asked(self, name))
    return type("Trapped", (torch.Tensor,), body)


def asked(tensor: Any, name: str) -> Any:
    """What torch would have answered."""
    trip(name)
    return getattr(torch.Tensor, name).__get__(tensor)


Trapped = trapped_properties()


class Getting(torch.Tensor):
    """A tensor that sees all that is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        trip(f"Getting.{name}")
        return super().__getattribute__(name)


class Disabled(torch.Tensor):
    """A tensor that wants no torch functions."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        trip(f"Disabled: {func}")
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))


class Metered(type(torch.Tensor)):
    """A metaclass of tensors."""

    __eq__ = mine("__eq__", type)
    __hash__ = mine("__hash__", type)
    __instancecheck__ = mine("__instancecheck__", type)
    __subclasscheck__ = mine("__subclasscheck__", type)
    __getattribute__ = mine("__getattribute__", type)


class OfMeta(torch.Tensor, metaclass=Metered):
    """Its class answers, too."""


@pytest.mark.parametrize("cls", [Trapped, Getting, Disabled, OfMeta])
def test_tensor_classes_that_answer_all_themselves(cls: Any) -> None:
    model = nn.Module()
    model.__dict__["held"] = [torch.zeros(2, 3).as_subclass(cls)]
    model._parameters["weight"] = torch.Tensor._make_subclass(cls, torch.zeros(4), require_grad=True)
    model._buffers["state"] = torch.zeros(5).as_subclass(cls)
    model._buffers["view"] = torch.zeros(5)[1:].as_subclass(cls)
    sgd = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    sgd.param_groups[0]["params"] = [model._parameters["weight"], torch.zeros(2).as_subclass(cls)]
    sgd.param_groups[0]["lr"] = torch.zeros(()).as_subclass(cls)
    sgd.state[sgd.param_groups[0]["params"][0]] = {"momentum": torch.zeros(4).as_subclass(cls)}
    report = examine(model, optimizer=sgd)
    assert [slot.shape for slot in report.slots.records()] == [(4,), (5,), (4,), (2, 3)]
    assert report.optimizers[0].groups[0].numel == 6


def test_the_traps_work() -> None:
    tensor: Any = torch.zeros(2).as_subclass(Trapped)
    with watched():
        for name in (
            "shape",
            "device",
            "requires_grad",
            "grad",
            "data_ptr",
            "untyped_storage",
            "is_leaf",
            "_version",
        ):
            with pytest.raises(RuntimeError):
                getattr(tensor, name)() if name in ("data_ptr", "untyped_storage") else getattr(tensor, name)
    assert len(ran) == 8


class Wrapper(torch.Tensor):
    """A tensor without data of its own."""

    inner: Any

    @staticmethod
    def __new__(cls, inner: torch.Tensor, **policy: Any) -> Wrapper:
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), dtype=inner.dtype, device=inner.device, **policy
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        trip(f"Wrapper: {func}")
        return super().__torch_function__(func, types, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        trip(f"Wrapper: {func}")
        return func(*(arg.inner if isinstance(arg, Wrapper) else arg for arg in args), **(kwargs or {}))


class Flattening(Wrapper):
    """It says what it is made of."""

    def __tensor_flatten__(self) -> Any:
        trip("__tensor_flatten__")
        return ["inner"], None

    def __repr__(self, **_: Any) -> str:
        trip("__repr__")
        return "Flattening"


class Sizes(Wrapper):
    """It answers for its sizes."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        return Wrapper.__new__(cls, inner, dispatch_sizes_strides_policy="sizes")


class Strides(Wrapper):
    """It answers for its strides."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        return Wrapper.__new__(cls, inner, dispatch_sizes_strides_policy="strides")


class Place(Wrapper):
    """It answers for its device."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        return Wrapper.__new__(cls, inner, dispatch_device=True)


class Layout(Wrapper):
    """It answers for its layout."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        return Wrapper.__new__(cls, inner, dispatch_layout=True)


class ByVariable(Wrapper):
    """It answers for its sizes; its own code does not spell that out."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        return Wrapper.__new__(cls, inner, **POLICY)


POLICY = {"dispatch_sizes_strides_policy": "sizes"}
# What a tensor answers for itself lies in a flag that torch does not show; whether it may is told from the code of
# its class, which here names no such option.
HIDDEN = pytest.mark.xfail(strict=True, raises=AssertionError, reason="the flag is out of sight")
WRAPPERS = [Wrapper, Flattening, Sizes, Strides, Place, Layout, pytest.param(ByVariable, marks=HIDDEN)]


@pytest.mark.parametrize("cls", WRAPPERS)
@pytest.mark.parametrize("place", ["parameter", "buffer", "attribute", "inside another", "optimizer", "gradient"])
def test_wrappers(cls: Any, place: str) -> None:
    model: Any = nn.Sequential(nn.Linear(3, 2))
    weight = nn.Parameter(torch.zeros(2, 3))
    wrapped = cls(torch.zeros(2, 3))
    sgd = torch.optim.SGD([*model.parameters(), weight], lr=0.1)
    if place == "parameter":
        model[0]._parameters["odd"] = wrapped
    elif place == "buffer":
        model[0]._buffers["odd"] = wrapped
    elif place == "attribute":
        model[0].__dict__["odd"] = wrapped
    elif place == "inside another":
        model[0]._buffers["odd"] = cls(wrapped) if cls not in (Place, Layout) else cls(torch.zeros(2, 3))
    elif place == "optimizer":
        sgd.param_groups[0]["params"].append(wrapped)
        sgd.param_groups[0]["lr"] = wrapped
        sgd.state[weight] = {"momentum": wrapped}
    elif set_grad(model[0].weight, wrapped) is None:
        pytest.skip("torch does not take it for a gradient")
    report = examine(model, optimizer=sgd)
    assert report.slots["0.weight"].numel == 6
    if place in ("parameter", "buffer", "attribute"):
        assert report.slots["0.odd"].dtype == "float32"


def test_a_wrapper_around_itself() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    first, second = Flattening(torch.zeros(2)), Flattening(torch.zeros(2))
    first.inner, second.inner = second, first
    model[0]._buffers["odd"] = first
    model[0]._buffers["own"] = own = Flattening(torch.zeros(2))
    own.inner = own
    model[0]._buffers["lost"] = lost = Flattening(torch.zeros(2))
    del lost.inner
    report = examine(model)
    assert {"0.odd", "0.own", "0.lost"} <= set(report.slots)


def test_wrappers_in_one_another_and_over_many() -> None:
    inner: torch.Tensor = torch.zeros(2)
    for _ in range(2_000):
        inner = Flattening(inner)
    wide = Flattening(torch.zeros(2))
    for i in range(2_000):
        setattr(wide, f"part{i}", torch.zeros(2))
    model = nn.Sequential(nn.Linear(3, 2))
    model[0]._buffers["deep"] = inner
    model[0]._buffers["wide"] = wide
    report = examine(model)
    assert {"0.deep", "0.wide"} <= set(report.slots)


def test_exponentially_many_parts() -> None:
    part: torch.Tensor = torch.zeros(2)
    for _ in range(40):
        outer: Any = Flattening(torch.zeros(2))
        outer.inner, outer.again = part, part
        part = outer
    model = nn.Module()
    model._buffers["odd"] = part
    assert list(examine(model).slots) == ["odd"]


def test_odd_parts() -> None:
    model = nn.Module()
    for i, inner in enumerate([lazy(), fake(), freed(), quantized(), torch.eye(3).to_sparse(), inference()]):
        model._buffers[f"odd{i}"] = wrapper = Flattening(torch.zeros(2))
        wrapper.inner = inner
    for i, kind in enumerate([nested(torch.strided), nested(torch.jagged), torch.zeros(2).to_mkldnn()]):
        model._buffers[f"more{i}"] = wrapper = Flattening(torch.zeros(2))
        wrapper.inner = kind
    assert len(examine(model).slots) == 9


def test_what_is_put_on_tensors_and_on_their_classes() -> None:
    cls = type("Odd", (torch.Tensor,), {"requires_grad_": True, "table": torch.zeros(3), "held": Everything()})
    model = nn.Module()
    model._parameters["weight"] = weight = torch.zeros(2).as_subclass(cls)
    weight.__dict__.update({"_is_param": Everything(), "requires_grad_": Everything(), 3: Everything()})
    weight.__dict__.update({"held": nn.Linear(1, 1), "_fake_device": 1, "fake_mode": None})
    report = examine(model)
    assert report.slots["weight"].numel == 2


def test_symbolic_shapes() -> None:
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    real = torch.zeros(5, 3)
    with FakeTensorMode(shape_env=ShapeEnv()) as mode:
        made = mode.from_tensor(real, static_shapes=False)
        assert type(made.shape[0]) is torch.SymInt
        model = nn.Module()
        model.register_buffer("odd", made)
        model.register_buffer("view", made[1:, :2])
        model.size = made.shape[0]
        layer = nn.Linear(3, 2, device="meta")
        layer.in_features = made.shape[1]
        model.layer = layer
    before = str(mode.shape_env.guards)
    report = examine(model)
    assert "odd" in list(report.slots)
    # Nothing was decided about the symbols.
    assert str(mode.shape_env.guards) == before


def test_many_views_of_one_storage_and_odd_ones_of_it() -> None:
    base: Any = torch.zeros(100)
    model: Any = nn.Module()
    model.views = [base[i : i + 2] for i in range(50)]
    model.odd = [base.expand(1 << 20, 100), base[::7], base[:0], base[99:], base.view(torch.int32)]
    model.odd += [base.view(10, 10).t()[1:, ::2], base.as_strided((5, 5, 5), (3, 2, 1)), base.view(torch.complex64)]
    model.zero = torch.zeros(0).set_(base.untyped_storage(), 100, (0,))
    report: Report = examine(model)
    assert len(report.slots) == 50 + 8 + 1
    assert len({slot.storage for slot in report.slots.records()}) == 1


def test_a_gradient_that_has_a_gradient_and_is_an_attribute() -> None:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.zeros(2, requires_grad=True)
    weight.grad.grad = torch.zeros(2)
    model = nn.Module()
    model.weight = weight
    model.held = weight.grad
    model.again = weight.data
    report = examine(model)
    assert report.slots["weight"].has_grad
    assert report.slots["held"].status == "hidden"
