"""An audit leaves no trace: the model, its gradients, random numbers and the collector are as they were."""

from __future__ import annotations

import gc
import pickle
import random
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from importlib import import_module
from operator import attrgetter
from typing import Any

import pytest
import torch
from torch import nn

from paramscope import audit, capture

_C: Any = torch._C


class Net(nn.Module):
    """Something of everything: a tie, a shared module, buffers, hidden things, hooks, gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4, padding_idx=0)
        self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.again = self.body[0]
        self.head = nn.Linear(4, 5)
        self.head.weight = self.embedding.weight
        self.register_buffer("positions", torch.arange(4), persistent=False)
        self.register_buffer("nothing", None)
        self.hidden = [nn.Linear(2, 2), nn.Parameter(torch.ones(3))]
        self.plain = {"a": torch.ones(2), "b": (torch.zeros(1),)}
        self.view = self.head.weight.detach()[1:]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.embedding(x)))


def noop(*_: Any) -> None:
    """A hook."""


def trained() -> tuple[Net, torch.optim.Optimizer]:
    """A model after one step, with gradients, hooks, a frozen tensor and a part in eval mode."""
    model = Net()
    model.head.bias.requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.tensor([1, 2, 3])).sum().backward()
    optimizer.step()
    model.body[2].eval()
    model.register_forward_hook(noop)
    model.body.register_full_backward_hook(noop)
    model.head.register_state_dict_pre_hook(noop)
    model.embedding.weight.register_hook(noop)
    return model, optimizer


def bits(tensor: torch.Tensor | None) -> Any:
    """Everything of a tensor that could change: identity, version, place and bytes, of its gradient, too."""
    if tensor is None:
        return None
    data = tensor.detach().contiguous()
    return (
        id(tensor),
        tensor._version,
        tensor.data_ptr(),
        (tensor.shape, tensor.stride(), tensor.dtype, tensor.requires_grad),
        data.view(torch.uint8).numpy().tobytes() if data.ndim else data.item(),
        bits(tensor.grad) if tensor.is_leaf else None,
        repr(tensor._backward_hooks),
    )


def state_of(model: Any, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Everything that an audit must leave alone."""
    return {
        "parameters": [bits(p) for p in model.parameters()],
        "buffers": [bits(b) for b in model.buffers()],
        "others": [bits(t) for t in (model.hidden[1], model.plain["a"], model.plain["b"][0], model.view)],
        "modules": [
            (
                id(module),
                module.training,
                [(key, id(value)) for key, value in vars(module).items()],
                [(key, repr(value)) for key, value in vars(module).items() if "hook" in key],
                list(module._parameters),
                list(module._buffers),
                [(name, id(child)) for name, child in module._modules.items()],
            )
            for module in model.modules()
        ],
        "optimizer": [
            [(key, bits(value)) for key, value in optimizer.state[p].items()]
            for p in optimizer.param_groups[0]["params"]
        ],
        "options": [(key, value) for key, value in optimizer.param_groups[0].items() if key != "params"],
        "torch": (torch.get_rng_state().tolist(), torch.is_grad_enabled(), torch.get_default_dtype()),
        "modes": (_C._is_torch_function_enabled(), _C._len_torch_function_stack()),
        "random": random.getstate(),
    }


def test_nothing_is_changed() -> None:
    model, optimizer = trained()
    before = state_of(model, optimizer)
    report = audit(model, optimizer=optimizer)
    str(report), report.to_json(), report.totals, list(report.slots.records())
    assert state_of(model, optimizer) == before
    # What is compared would show a change.
    with torch.no_grad():
        model.head.bias.add_(0.0)
    assert state_of(model, optimizer) != before


def test_two_captures_are_equal_and_a_change_shows() -> None:
    model, optimizer = trained()
    first = capture(model, optimizer=optimizer)
    assert capture(model, optimizer=optimizer) == first
    assert audit(model, optimizer=optimizer) == audit(model, optimizer=optimizer)
    model.head.bias.requires_grad_()
    assert capture(model, optimizer=optimizer) != first


def test_a_snapshot_pickles() -> None:
    model, optimizer = trained()
    snapshot = capture(model, optimizer=optimizer)
    again = pickle.loads(pickle.dumps(snapshot))  # our own, made a moment ago
    assert again == snapshot
    assert list(again.slots.records()) == list(snapshot.slots.records())
    assert dict(again.modules) == dict(snapshot.modules)
    assert again.optimizers == snapshot.optimizers


def test_a_pickled_snapshot_loads_where_there_is_no_torch() -> None:
    snapshot = capture(Net())
    code = (
        "import sys, pickle; sys.modules['torch'] = None\n"
        "snapshot = pickle.load(sys.stdin.buffer)\n"
        "print(len(snapshot.slots), snapshot.slots['head.weight'].shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(snapshot), capture_output=True, check=True)
    assert done.stdout.decode().split(maxsplit=1) == [str(len(snapshot.slots)), "(5, 4)\n"]


def test_a_report_keeps_nothing_alive() -> None:
    model, optimizer = trained()
    watched: list[weakref.ref[Any]] = [
        weakref.ref(thing) for thing in (*model.modules(), *model.parameters(), *model.buffers(), *model.hidden)
    ]
    watched += [weakref.ref(model.view), weakref.ref(model.plain["a"]), weakref.ref(optimizer)]
    report = audit(model, optimizer=optimizer)
    text = str(report)
    assert all(ref() is not None for ref in watched)
    del model, optimizer
    gc.collect()
    assert [ref() for ref in watched if ref() is not None] == []
    assert str(report) == text
    assert report.slots["head.weight"].shape == (5, 4)


def test_a_copy_on_write_tensor_stays_one() -> None:
    model = nn.Linear(2, 2)
    model.weight = nn.Parameter(torch._lazy_clone(torch.ones(2, 2)))
    assert _C._is_cow_tensor(model.weight)
    report = audit(model)
    str(report)
    assert _C._is_cow_tensor(model.weight)
    assert report.slots["weight"].storage is not None


# Where an interruption may strike: at the start of the walk, after it, while it looks further, near the end.
PLACES = [
    "paramscope.capture.walk.Walk.walk_registered",
    "paramscope.capture.modules.look_up_module_class",
    "paramscope.capture.odd_tensors.whole_spec",
    "paramscope.capture.hidden.HiddenSearch.run",
    "paramscope.capture.walk.lookup_of",
    "paramscope.capture.optimizer.OptimizerReader.read",
    "paramscope.capture.find_sharing",
]


@pytest.fixture(params=[True, False], ids=["gc-on", "gc-off"])
def collector(request: pytest.FixtureRequest) -> Iterator[bool]:
    """The garbage collector, on or off, and on again afterwards."""
    gc.enable() if request.param else gc.disable()
    yield request.param
    gc.enable()


def found(place: str) -> tuple[Any, str]:
    """The module or class that holds what stands at a place, and the name there."""
    parts = place.split(".")
    end = next(at for at, part in enumerate(parts) if part[0].isupper() or at == len(parts) - 1)
    holder = import_module(".".join(parts[:end]))
    return attrgetter(*parts[end:-1])(holder) if parts[end:-1] else holder, parts[-1]


def interrupt(*_: Any, **__: Any) -> None:
    """Somebody presses Ctrl-C; on the way there, the collector has to be off."""
    assert not gc.isenabled()
    raise KeyboardInterrupt


def test_the_collector_is_as_it_was(collector: bool) -> None:  # noqa: FBT001  # a fixture
    audit(Net())
    assert gc.isenabled() is collector


@pytest.mark.parametrize("place", PLACES)
def test_an_interrupted_audit_leaves_no_trace(
    place: str,
    collector: bool,  # noqa: FBT001  # a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, optimizer = trained()
    before = state_of(model, optimizer)
    with monkeypatch.context() as patch:
        # NOTE: not by its name, which goes by way of `paramscope.capture`: that is a function, too.
        patch.setattr(*found(place), interrupt)
        with pytest.raises(KeyboardInterrupt):
            audit(model, optimizer=optimizer)
    assert gc.isenabled() is collector
    assert state_of(model, optimizer) == before
    # No half-made state stays behind: the next audit is a whole one.
    assert audit(model, optimizer=optimizer).totals.parameters == sum(p.numel() for p in model.parameters())


def test_an_interrupted_audit_keeps_nothing_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Net()
    watched = [weakref.ref(thing) for thing in (*model.modules(), *model.parameters())]
    monkeypatch.setattr("paramscope.capture.hidden.HiddenSearch.run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        audit(model)
    del model
    gc.collect()
    assert [ref() for ref in watched if ref() is not None] == []


@pytest.mark.parametrize("freeze", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_report_does_not_depend_on_the_grad_mode(freeze: Callable[[], Any]) -> None:
    model, optimizer = trained()
    outside = audit(model, optimizer=optimizer)
    before = state_of(model, optimizer)
    with freeze():
        inside = audit(model, optimizer=optimizer)
    assert inside == outside
    assert state_of(model, optimizer) == before


def test_no_random_number_is_drawn_and_nothing_is_made_on_a_default_device() -> None:
    model = Net()
    torch.manual_seed(0)
    random.seed(0)
    with torch.device("meta"):
        report = audit(model)
    assert {slot.device for slot in report.slots.records() if slot.status != "empty"} == {"cpu"}
    drawn = torch.rand(1), random.random()
    torch.manual_seed(0)
    random.seed(0)
    assert drawn == (torch.rand(1), random.random())
