"""After a run, the model, its optimizers and all random states are as they were, bit for bit, however it ended."""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.run_models import NAMES, Ready, made
from support.versions import TORCH
from torch import nn

from paramscope import audit
from paramscope.errors import RunError


def bits(tensor: torch.Tensor | None) -> Any:
    """All of a tensor that a run could change: identity, storage, elements, of its gradient, too."""
    if tensor is None:
        return None
    held = tensor.detach()
    if held.layout is torch.sparse_coo:
        return id(tensor), bits(held._indices())[1:], bits(held._values())[1:]
    flat = held.contiguous().view(-1).view(torch.uint8) if held.numel() else held
    return (
        id(tensor),
        type(tensor),
        (tensor.shape, tensor.stride(), tensor.dtype, tensor.requires_grad, tensor.is_leaf, tensor.storage_offset()),
        (tensor.untyped_storage()._cdata, tensor.untyped_storage().nbytes()),
        flat.tolist(),
        bits(tensor.grad) if tensor.is_leaf else None,
        list((tensor._backward_hooks or {}).items()),
        [(name, id(value)) for name, value in vars(tensor).items()],
    )


def values(thing: Any) -> Any:
    """A value as it can be compared: tensors by their bits, objects by identity."""
    if isinstance(thing, torch.Tensor):
        return bits(thing)
    if isinstance(thing, dict):
        return id(thing), [(id(key), values(value)) for key, value in thing.items()]
    if isinstance(thing, (list, tuple, deque)):
        return id(thing), [values(each) for each in thing]
    return thing if isinstance(thing, (int, float, str)) else id(thing)


def draws() -> Any:
    """All random states."""
    return torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state())


def state_of(ready: Ready) -> Any:
    """All that a run must put back."""
    modules = [module for _, root in ready.roots() for module in root.modules()]
    return {
        "modules": [(id(module), type(module), values(vars(module))) for module in modules],
        "optimizers": [
            (values(each.state), values(each.param_groups), list(vars(each))) for each in ready.optimizers()
        ],
        "inputs": values(ready.inputs),
        "draws": draws(),
        "modes": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch._C._len_torch_dispatch_stack()),
        "hooks": len(nn.modules.module._global_forward_hooks) + len(nn.modules.module._global_forward_pre_hooks),
    }


@pytest.fixture(params=NAMES)
def ready(request: pytest.FixtureRequest) -> Ready:
    """Each of the models."""
    return made(request.param)


@pytest.mark.parametrize(("run", "is_stepped"), [("backward", True), ("step", True), ("step", False)])
def test_a_run_leaves_no_trace(ready: Ready, run: Any, is_stepped: bool) -> None:  # noqa: FBT001  # a parameter
    if is_stepped:
        ready.step()
    before = state_of(ready)
    audit(ready.model, optimizer=ready.optimizer, inputs=ready.inputs, loss=ready.loss, run=run)
    assert state_of(ready) == before
    # What is compared would show a change; and the model can be trained as ever.
    ready.step()
    assert state_of(ready) != before


PLACES = ["in forward", "in the loss", "in backward", "in the step"]
FOUND_IN_ALL = {nn.Linear, nn.Conv2d}
"""Every model has a layer of these, and calls it."""


def interrupted(ready: Ready, place: str) -> Ready:
    """The same, but that somebody presses Ctrl-C."""

    def press(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    if place == "in forward":
        called = [module for _, root in ready.roots() for module in root.modules() if type(module) in FOUND_IN_ALL]
        called[(len(called) - 1) // 2].register_forward_hook(press)
    if place == "in the loss":
        return ready._replace(loss=press)
    if place == "in backward":
        trained = [p for _, p in ready.named() if p.requires_grad]
        trained[len(trained) // 2].register_hook(press)
    if place == "in the step":
        ready.optimizers()[-1].register_step_post_hook(press)
    return ready


@pytest.mark.parametrize("place", PLACES)
def test_an_interrupted_run_leaves_no_trace(ready: Ready, place: str) -> None:
    ready.step()
    ready = interrupted(ready, place)
    before = state_of(ready)
    with pytest.raises(KeyboardInterrupt):
        audit(ready.model, optimizer=ready.optimizer, inputs=ready.inputs, loss=ready.loss, run="step")
    assert state_of(ready) == before


class Slotted:
    """An object without a dict."""

    __slots__ = ("new", "old")

    def __init__(self) -> None:
        self.old = torch.ones(2)


class Changing(nn.Module):
    """Its forward changes all that can be changed."""

    child: nn.Linear
    count: torch.Tensor
    part: torch.Tensor
    freed: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.swapped = nn.Parameter(torch.ones(2))
        self.child = nn.Linear(2, 2)
        self.register_buffer("count", torch.zeros(2))
        self.register_buffer("part", torch.zeros(4)[1:3])
        self.register_buffer("freed", torch.ones(4))
        self.plain: dict[str, Any] = {"a": torch.ones(2), "b": [torch.zeros(2)]}
        self.order = OrderedDict(a=1, b=2)
        self.recent = deque([1, 2], maxlen=2)
        self.slotted = Slotted()
        self.generator = torch.Generator()
        self.weight.tag = [1]  # type: ignore[attr-defined]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Much."""
        first = x.clone()
        out = (self.weight.clone() * first).sum() + (self.frozen * first).sum() + self.child(first).sum()
        with torch.no_grad():
            self.weight.mul_(2)
            self.swapped.data = torch.zeros(3)
            x.add_(1)
        self.count.add_(self.child.weight[0])  # no leaf any more
        self.part += 1
        self.freed.untyped_storage().resize_(0)
        self.frozen.requires_grad_()
        self.weight.grad = torch.full((2,), 7.0)
        self.weight.register_hook(lambda grad: grad)
        self.weight.tag.append(2)  # type: ignore[attr-defined]
        self.weight.other = 3  # type: ignore[attr-defined]
        self.plain["a"].zero_()
        self.plain["c"] = self.plain.pop("b")
        self.order.pop("a")
        self.recent.append(3)
        self.slotted.old, self.slotted.new = None, 1  # type: ignore[assignment, attr-defined]
        self.child.register_forward_hook(lambda *_: None)
        self.child = nn.Linear(2, 2)
        self.train(not self.training)
        self.more = nn.Linear(2, 2)
        torch.randn(2, generator=self.generator)
        torch.rand(1), random.random(), np.random.random()
        return out


@pytest.mark.parametrize("is_raising", [False, True])
def test_whatever_forward_changes(is_raising: bool) -> None:  # noqa: FBT001  # a parameter
    def loss(out: torch.Tensor) -> torch.Tensor:
        if is_raising:
            raise ValueError("too much")
        return out

    model = Changing()
    model.weight.grad = torch.ones(2)
    ready = Ready(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.ones(2), loss)
    slotted = bits(model.slotted.old)
    before, drawn = state_of(ready), model.generator.get_state().tolist()
    try:
        audit(model, optimizer=ready.optimizer, inputs=ready.inputs, loss=loss, run="step")
    except RunError:
        assert is_raising
    assert state_of(ready) == before
    assert model.generator.get_state().tolist() == drawn
    assert (bits(model.slotted.old), hasattr(model.slotted, "new")) == (slotted, False)
    assert list(model.order.items()) == [("a", 1), ("b", 2)]


IN_MODES = pytest.mark.skipif(TORCH < (2, 5), reason="torch 2.4 makes no tensor of a class of its own in a mode")


@pytest.mark.parametrize("norm", [nn.Identity, pytest.param(nn.LazyBatchNorm1d, marks=IN_MODES)])
def test_what_lazy_modules_make(norm: type[nn.Module]) -> None:
    model = nn.Sequential(nn.LazyLinear(3), norm())
    report = audit(model, inputs=torch.ones(2, 4), run="backward")
    assert report.slots["0.weight"].reached
    assert [type(each) for each in model] == [nn.LazyLinear, norm]
    assert all(isinstance(each, nn.UninitializedParameter) for each in model.parameters())
    assert model(torch.ones(2, 5)).shape == (2, 3)


def test_gradients_of_what_only_the_loss_holds() -> None:
    critic = nn.Linear(2, 1)
    critic.weight.grad = torch.ones(1, 2)
    before = bits(critic.weight), bits(critic.bias)
    audit(nn.Linear(2, 2), inputs=torch.ones(2), loss=lambda out: critic(out).sum(), run="backward")
    assert (bits(critic.weight), bits(critic.bias)) == before


@pytest.mark.parametrize(
    "tensor",
    [
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.empty(0),
        lambda: torch.zeros(2, 3, device="meta"),
        lambda: torch.zeros(2, 3, dtype=torch.complex128),
        lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
        lambda: torch.zeros(1).expand(1 << 40),
        lambda: torch._lazy_clone(torch.ones(2)),
    ],
    ids=["sparse", "empty", "meta", "complex", "nested", "expanded", "copy-on-write"],
)
def test_tensors_of_every_make(tensor: Callable[[], torch.Tensor]) -> None:
    model = nn.Linear(2, 2)
    model.register_buffer("odd", tensor())
    report = audit(model, inputs=torch.ones(2), run="backward")
    assert report.slots["odd"].changed_by == ()
    assert report.slots["weight"].reached
