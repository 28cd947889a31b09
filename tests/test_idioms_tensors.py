"""Tensors that are made of others, or stand for some: wrapper subclasses, nested, fake, masked and quantized ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.idioms import look, shared, unregistered
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.masked import masked_tensor
from torch.testing._internal.two_tensor import TwoTensor

from paramscope import audit

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:The PyTorch API of (MaskedTensors|nested tensors) is in prototype:UserWarning"
    ),
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*quantize.*deprecated"),
]

# Its own subclasses answer for themselves, through the dispatcher.
TORCH_OWN = ("nested", "masked", "_library", "_ops.py")


def holder(**tensors: torch.Tensor) -> nn.Module:
    """A module with a Parameter for each tensor."""
    model = nn.Module()
    for name, tensor in tensors.items():
        model.register_parameter(name, nn.Parameter(tensor, requires_grad=tensor.is_floating_point()))
    return model


def parts(report: Any, path: str) -> list[tuple[str, tuple[int, ...] | None]]:
    """(name, shape) of each."""
    return [(part.name, part.spec.shape) for part in report.slots[path].parts]


def test_a_tensor_made_of_two() -> None:
    model = holder(w=TwoTensor(torch.ones(2, 3), torch.zeros(2, 3)))
    model.register_buffer("b", TwoTensor(torch.ones(2), torch.zeros(2)))
    model.plain = TwoTensor(torch.ones(5), torch.zeros(5))
    report = look(model, codes=("PS104",))
    slot = report.slots["w"]
    assert (slot.status, slot.shape, slot.numel, slot.nbytes, slot.storage) == ("trainable", (2, 3), 6, 48, None)
    assert slot.type == "torch.testing._internal.two_tensor.TwoTensor"
    assert slot.is_parameter
    assert parts(report, "w") == [("a", (2, 3)), ("b", (2, 3))]
    assert parts(report, "b") == [("a", (2,)), ("b", (2,))]
    assert unregistered(report) == ["plain"]
    assert report.totals.nbytes == 4 * 2 * (6 + 2 + 5)
    assert report.sharing == ()
    assert report.totals.local is None


def test_parts_share_memory_as_any_tensor_does() -> None:
    base = torch.ones(4)
    report = look(holder(w=TwoTensor(base, torch.ones(4)), v=base[:2]))
    assert shared(report) == [("overlapping", ("w", "v"))]
    # Both parts of one tensor over the same memory is between these alone.
    assert shared(look(holder(w=TwoTensor(base, base)))) == []
    model = holder(w=TwoTensor(torch.ones(2), torch.ones(2)))
    model.again = model.w
    assert shared(look(model)) == [("tied", ("w", "again"))]
    assert look(model).totals.by_name == 4


class Wrapped(torch.Tensor):
    """A wrapper subclass of the user's, whose own code raises."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Any:
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, dtype=inner.dtype, device=inner.device, requires_grad=inner.requires_grad
        )

    def __init__(self, inner: torch.Tensor) -> None:
        self._inner = inner

    def __tensor_flatten__(self) -> Any:
        raise RuntimeError("__tensor_flatten__ ran")

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.detach.default:
            return cls(args[0]._inner)
        raise RuntimeError(f"__torch_dispatch__ ran: {func}")


def test_wrappers_in_wrappers_are_opened_and_their_code_does_not_run() -> None:
    base = torch.ones(3, 2)
    model = holder(w=Wrapped(Wrapped(base)), v=Wrapped(torch.ones(4)))
    model.deeper = Wrapped(TwoTensor(torch.ones(2), Wrapped(torch.ones(2))))
    model.view = base[0]
    report = look(model, codes=("PS104",))
    assert parts(report, "w") == [("_inner._inner", (3, 2))]
    assert parts(report, "v") == [("_inner", (4,))]
    assert parts(report, "deeper") == [("_inner.a", (2,)), ("_inner.b._inner", (2,))]
    assert shared(report) == [("overlapping", ("w", "view"))]
    assert report.totals.nbytes == 4 * (6 + 4 + 4)


class Asked(Wrapped):
    """One that was made to be asked for its device and layout, by code of its own."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Any:
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, dtype=inner.dtype, device=inner.device, dispatch_device=True, dispatch_layout=True
        )


def test_a_wrapper_that_answers_for_its_device_is_not_asked() -> None:
    model = nn.Module()
    model.plain = Asked(torch.ones(3))
    with pytest.raises(RuntimeError, match="ran"):
        model.plain.device  # noqa: B018
    report = audit(model)
    assert report == audit(model)
    slot = report.slots["plain"]
    assert (slot.status, slot.dtype) == ("attribute", "float32")
    assert slot.device in (None, "cpu")
    assert parts(report, "plain") == [("_inner", (3,))]


class Logged(torch.Tensor):
    """A subclass with its own elements, whose code raises while it is watched."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if watching:
            raise RuntimeError(f"__torch_function__ ran: {func}")
        return super().__torch_function__(func, types, args, kwargs or {})


watching: list[bool] = []


def test_a_subclass_with_elements_of_its_own() -> None:
    model = holder(w=torch.ones(2).as_subclass(Logged))
    model.plain = torch.ones(3).as_subclass(Logged)
    watching.append(True)
    try:
        report = audit(model)
    finally:
        watching.clear()
    slot = report.slots["w"]
    assert (slot.status, slot.is_parameter, slot.storage, slot.parts) == ("trainable", True, 0, ())
    assert slot.type is not None
    assert slot.type.endswith("test_idioms_tensors.Logged")
    assert look(model, codes=("PS104",)) == report


def test_nested_tensors_have_no_one_shape() -> None:
    rows = [torch.ones(2, 3), torch.ones(4, 3)]
    jagged = torch.nested.nested_tensor(rows, layout=torch.jagged)
    model = holder(strided=torch.nested.nested_tensor(rows))
    model.jagged = jagged
    report = look(model, codes=("PS104",), runs=TORCH_OWN, parameters=0, trainable=0, by_name=0, unknown=2)
    for path in ("strided", "jagged"):
        assert (report.slots[path].shape, report.slots[path].numel, report.slots[path].device) == (None, None, "cpu")
    assert dict(parts(report, "jagged"))["_values"] == (6, 3)
    assert report.slots["strided"].status == "trainable"


def test_a_fake_model_lies_where_it_pretends_to() -> None:
    with FakeTensorMode():
        model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        away = holder(w=torch.empty(3, 2, device="cuda:1"), v=torch.empty(3, 2, device="cuda:1"))
    model.append(model[0])
    report = look(model, codes=("PS111",))
    assert {slot.device for slot in report.slots.records()} == {"cpu"}
    assert shared(report) == [("tied", ("0.weight", "2.weight")), ("tied", ("0.bias", "2.bias"))]
    report = look(away, codes=("PS104",))
    assert {slot.device for slot in report.slots.records()} == {"cuda:1"}
    assert {slot.type for slot in report.slots.records()} == {"torch._subclasses.fake_tensor.FakeTensor"}
    assert report.sharing == ()
    assert report.totals.nbytes == 48
    # From within the mode, nothing is different, and the mode records nothing.
    with FakeTensorMode():
        assert audit(away) == report


def test_a_masked_tensor_is_its_data_and_its_mask() -> None:
    made = masked_tensor(torch.ones(3), torch.tensor([True, False, True]))
    model = nn.Module()
    model.register_buffer("kept", made)
    model.same = made
    model.register_parameter("w", nn.Parameter(masked_tensor(torch.ones(4), torch.ones(4, dtype=torch.bool))))
    report = look(model, runs=TORCH_OWN)
    assert parts(report, "w") == [("_masked_data", (4,)), ("_masked_mask", (4,))]
    assert [(alias.path, alias.of) for alias in report.snapshot.aliases] == [("same", "kept")]
    assert unregistered(report) == []


def test_sparse_tensors_are_their_indices_and_values() -> None:
    model = holder(coo=torch.eye(3).to_sparse())
    model.csr = torch.eye(3).to_sparse_csr()
    report = look(model, codes=("PS104",))
    assert parts(report, "coo") == [("indices", (2, 3)), ("values", (3,))]
    assert report.slots["coo"].numel == 9
    assert parts(report, "csr") == [("crow_indices", (4,)), ("col_indices", (3,)), ("values", (3,))]
    assert unregistered(report) == ["csr"]


def test_quantized_tensors_count_their_elements_and_their_own_bytes() -> None:
    model = nn.Module()
    model.register_buffer("each", torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8))
    model.rows = torch.quantize_per_channel(torch.ones(3, 2), torch.ones(3), torch.zeros(3), 0, torch.qint8)
    report = look(model, codes=("PS104",))
    assert (report.slots["each"].dtype, report.slots["each"].nbytes) == ("quint8", 3)
    assert (report.slots["rows"].dtype, report.slots["rows"].nbytes) == ("qint8", 6)
    assert report.slots["rows"].status == "attribute"
