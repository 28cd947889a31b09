"""An audit runs none of the code of tensor subclasses, and none of the modes that are active around it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.traps import audit_watched, ran, trip, watched
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from paramscope import audit


class Tensor(torch.Tensor):
    """A tensor that records what is done with it."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        trip(f"__torch_function__ of {getattr(func, '__name__', func)}")
        return super().__torch_function__(func, types, args, kwargs or {})

    def __bool__(self) -> bool:
        trip("Tensor.__bool__")
        return super().__bool__()

    def __len__(self) -> int:
        trip("Tensor.__len__")
        return super().__len__()

    def __eq__(self, other: object) -> Any:
        trip("Tensor.__eq__")
        return super().__eq__(other)

    __hash__ = torch.Tensor.__hash__

    @property
    def shape(self) -> torch.Size:
        """A property in the place of torch's own."""
        trip("Tensor.shape")
        return super().shape


def test_the_traps_work() -> None:
    with watched():
        for trap in (lambda t: t + 1, lambda t: t.shape, len, bool):
            with pytest.raises(RuntimeError):
                trap(torch.ones(1).as_subclass(Tensor))
    assert len(ran) == 4


def test_a_tensor_subclass() -> None:
    model: Any = nn.Module()
    model.registered = nn.Parameter(torch.ones(2, 3).as_subclass(Tensor))
    model.register_buffer("state", torch.ones(4).as_subclass(Tensor))
    model.plain = [torch.ones(5).as_subclass(Tensor)]
    model.view = model.state[1:]
    model.registered.grad = torch.ones(2, 3)
    report = audit_watched(model)
    assert [(slot.path, slot.shape, slot.role) for slot in report.slots.records()] == [
        ("registered", (2, 3), "parameter"),
        ("state", (4,), "buffer"),
        ("plain[0]", (5,), "attribute"),
        ("view", (3,), "attribute"),
    ]
    assert report.slots["registered"].trainable
    assert report.slots["registered"].has_grad
    assert report.slots["view"].storage == report.slots["state"].storage
    assert report.slots["view"].offset == 1


class FunctionMode(TorchFunctionMode):
    """Records every torch function."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        trip(f"mode: {getattr(func, '__name__', func)}")
        return func(*args, **(kwargs or {}))


class DispatchMode(TorchDispatchMode):
    """Records every operator."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        trip(f"mode: {func}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mode", [FunctionMode, DispatchMode])
def test_an_active_mode(mode: type[Any]) -> None:
    model: Any = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.LazyLinear(3))
    model.plain = torch.ones(4, 4).t()[1:]
    model.hidden = [nn.Linear(2, 2)]
    model.sparse = torch.eye(3).to_sparse()
    optimizer = torch.optim.Adam(model[:2].parameters(), lr=0.1)
    with mode():
        report = audit_watched(model, optimizer=optimizer)
        with watched(), pytest.raises(RuntimeError):
            torch.ones(1) + 1
    assert report == audit(model, optimizer=optimizer)
    assert report.totals.hidden == 6


class Wrapper(torch.Tensor):
    """A tensor that has no data of its own."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        made = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, device=inner.device)
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        trip(f"Wrapper: {func}")
        # All that nn.Parameter asks for.
        return cls(args[0].inner) if func is torch.ops.aten.detach.default else NotImplemented


def test_a_wrapper_subclass() -> None:
    model = nn.Module()
    model.weight = nn.Parameter(Wrapper(torch.ones(2, 3)))
    model.plain = Wrapper(torch.ones(4))
    report = audit_watched(model)
    assert [(slot.path, slot.shape, slot.numel) for slot in report.slots.records()] == [
        ("weight", (2, 3), 6),
        ("plain", (4,), 4),
    ]
    assert report.slots["weight"].trainable


class HashedTensor(torch.Tensor):
    """A tensor with a hash of its own; optimizers keep their state by it."""

    def __hash__(self) -> int:
        trip("HashedTensor.__hash__")
        return id(self)


def test_a_parameter_with_a_hash_of_its_own_in_an_optimizer() -> None:
    model = nn.Module()
    model.weight = nn.Parameter(torch.ones(2).as_subclass(HashedTensor))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    assert audit_watched(model, optimizer=optimizer).slots["weight"].stepped


class SizedWrapper(Wrapper):
    """A wrapper subclass that answers for its own sizes."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> SizedWrapper:
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, dtype=inner.dtype, device=inner.device, dispatch_sizes_strides_policy="sizes"
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        trip(f"SizedWrapper: {func}")
        return func(*(arg.inner if isinstance(arg, SizedWrapper) else arg for arg in args), **(kwargs or {}))


def test_a_wrapper_subclass_that_answers_for_its_sizes() -> None:
    model = nn.Linear(2, 2)
    model.plain = SizedWrapper(torch.ones(2, 3))
    # Its sizes cannot be told without running it; the rest can.
    report = audit_watched(model)
    assert (report.totals.parameters, report.totals.unknown) == (6, 1)
    slot = report.slots["plain"]
    assert (slot.shape, slot.numel, slot.dtype) == (None, None, "float32")
    assert [(part.name, part.spec.shape) for part in slot.parts] == [("inner", (2, 3))]
    assert [(note.path, note.kind) for note in report.snapshot.notes] == [("plain", "unreadable")]
