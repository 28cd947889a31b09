"""accelerate: what a hook takes out of a model and brings back is marked, and nothing behind the hooks is wandered into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.idioms import look, marks, only, shared, small, unregistered
from torch import nn

from paramscope import Report, audit
from paramscope.capture.hidden import HiddenSearch

accelerate = pytest.importorskip("accelerate")

from accelerate import hooks  # noqa: E402  # it needs accelerate

CPU = torch.device("cpu")


def net() -> nn.Module:
    """Two levels, a norm with buffers."""
    return nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2)))


class Tied(nn.Module):
    """An embedding and a head of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4, 3)
        self.head = nn.Linear(3, 4, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.embedding(x))


def offloaded(report: Report) -> set[str]:
    """Paths of modules whose tensors come and go."""
    assert all(mark.name == "_hf_hook" for mark in report.snapshot.oddities if mark.kind == "offloaded")
    return {path for path, kind, _ in marks(report) if kind == "offloaded"}


def own_forward(report: Report) -> set[str]:
    """Paths of modules with a forward of the instance's."""
    return {path for path, kind, _ in marks(report) if kind == "own-forward"}


def hooked(model: nn.Module, **kwargs: Any) -> Report:
    """The report of a model with accelerate's hooks: whatever these hold, it is no place of the model's."""
    report = look(model, **kwargs)
    assert unregistered(report) == []
    assert report.snapshot.aliases == ()
    assert {kind for _, kind, _ in marks(report)} <= {"offloaded", "own-forward"}
    assert [path for path, module in report.modules.items() if not module.registered] == []
    return report


LEAVES = {"0", "1.0", "1.1"}


@pytest.mark.parametrize("buffers", ["buffers-stay", "buffers-go"])
def test_offloaded_to_the_cpu(buffers: str) -> None:
    model = accelerate.cpu_offload(net(), execution_device=CPU, offload_buffers=buffers == "buffers-go")
    for _ in range(2):
        report = hooked(model)
        assert offloaded(report) == LEAVES
        assert own_forward(report) == {"", *LEAVES}
        assert report.slots["0.weight"].device == "meta"
        assert report.slots["1.0.running_mean"].device == ("cpu" if buffers == "buffers-stay" else "meta")
        assert report.sharing == ()
        assert report.totals.parameters == 16
        model.eval()(torch.ones(2, 2))
    assert {name for name, tensor in model.state_dict().items() if tensor.device.type == "meta"} == {
        slot.path for slot in report.slots.records() if slot.device == "meta"
    }


def test_offloaded_to_the_disk(tmp_path: Path) -> None:
    model = accelerate.disk_offload(net(), tmp_path, execution_device=CPU)
    report = hooked(model)
    assert offloaded(report) == LEAVES
    assert {slot.device for slot in report.slots.records() if slot.role == "parameter"} == {"meta"}


@pytest.mark.filterwarnings("ignore:.*offloaded.*")
def test_dispatched_to_several_places(tmp_path: Path) -> None:
    model = accelerate.dispatch_model(
        net(), {"0": "cpu", "1": "disk"}, main_device="cpu", offload_dir=tmp_path, force_hooks=True
    )
    report = hooked(model)
    assert offloaded(report) == {"1.0", "1.1"}
    assert {path for path, slot in report.slots.items() if slot.device == "meta"} == {
        "1.0.weight",
        "1.0.bias",
        "1.1.weight",
        "1.1.bias",
    }
    whole = hooked(accelerate.dispatch_model(net(), {"": "cpu"}, force_hooks=True))
    assert offloaded(whole) == set()
    assert own_forward(whole) == {"", "0", "1", "1.0", "1.1"}


def test_hooks_that_one_attaches_by_hand() -> None:
    model: Any = net()
    state = model.state_dict()
    hooks.attach_align_device_hook(model, execution_device=CPU, offload=True, weights_map=state)
    assert offloaded(hooked(model)) == LEAVES
    # Several in one, and one that only moves what goes in and comes out.
    model = small()
    hooks.add_hook_to_module(model[0], hooks.AlignDevicesHook(execution_device=CPU))
    hooks.add_hook_to_module(
        model[0],
        hooks.AlignDevicesHook(execution_device=CPU, offload=True, weights_map=model[0].state_dict()),
        append=True,
    )
    hooks.add_hook_to_module(model[1], hooks.AlignDevicesHook(execution_device=CPU, io_same_device=True))
    report = hooked(model)
    assert offloaded(report) == {"0"}
    assert own_forward(report) == {"0", "1"}


class OwnHook(hooks.AlignDevicesHook):
    """A hook of the user's, that holds more than it should."""

    def __init__(self) -> None:
        super().__init__(execution_device=CPU)
        self.kept = nn.Linear(7, 7)


def test_a_hook_of_the_user_s_is_a_hook() -> None:
    model: Any = small()
    hooks.add_hook_to_module(model[0], OwnHook())
    assert offloaded(hooked(model)) == set()
    # Held elsewhere, it is none of the model's either.
    model.pipeline_hook = hooks.UserCpuOffloadHook(nn.Linear(3, 3), OwnHook())
    hooked(model)


def test_a_hook_that_was_removed_leaves_the_forward_of_the_class() -> None:
    model = accelerate.cpu_offload(net(), execution_device=CPU)
    hooks.remove_hook_from_module(model, recurse=True)
    assert "forward" in vars(model)
    report = look(model)
    only(report)
    assert {slot.device for slot in report.slots.records()} == {"cpu"}
    model.forward = nn.Linear(2, 2).forward  # of another one
    assert own_forward(audit(model)) == {""}


def test_a_prepared_model_has_another_forward() -> None:
    model = net()
    model.forward = accelerate.utils.convert_outputs_to_fp32(model.forward)
    report = hooked(model)
    assert own_forward(report) == {""}


@pytest.mark.filterwarnings("ignore:.*offloaded.*")
def test_a_tie_that_is_offloaded(tmp_path: Path) -> None:
    # On meta, the two have nothing in common; a map that the hooks share keeps them one when they come back.
    model = accelerate.cpu_offload(Tied(), execution_device=CPU)
    report = hooked(model)
    assert offloaded(report) == {"embedding", "head"}
    assert report.sharing == ()
    assert report.totals.parameters == 24
    model = Tied()
    state = model.state_dict()
    together: dict[int, dict[Any, Any]] = {model.embedding.weight.data_ptr(): {}}
    hooks.attach_align_device_hook(
        model, execution_device=CPU, offload=True, weights_map=state, tied_params_map=together
    )
    for _ in range(2):
        report = hooked(model)
        assert offloaded(report) == {"embedding", "head"}
        assert report.sharing == ()
        model(torch.tensor([1]))
    # Where one of the two stays, both do.
    model = accelerate.dispatch_model(
        Tied(), {"embedding": "cpu", "head": "disk"}, main_device="cpu", offload_dir=tmp_path, force_hooks=True
    )
    assert shared(hooked(model)) == [("tied", ("embedding.weight", "head.weight"))]


def test_empty_weights_are_on_meta() -> None:
    with accelerate.init_empty_weights():
        model = net()
    report = look(model)
    only(report)
    assert {slot.device for slot in report.slots.records() if slot.role == "parameter"} == {"meta"}
    assert {slot.device for slot in report.slots.records() if slot.role == "buffer"} == {"cpu"}
    with accelerate.init_empty_weights(include_buffers=True):
        model = net()
    assert {slot.device for slot in look(model).slots.records()} == {"meta"}


def chain(length: int) -> nn.Module:
    """Many small layers."""
    return nn.Sequential(*(nn.Linear(2, 2) for _ in range(length)))


def test_the_weights_behind_the_hooks_are_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    # Every hook leads to the one map of all weights, and every replaced forward to its module.
    models = [accelerate.cpu_offload(chain(length), execution_device=CPU) for length in (20, 40)]
    looked: list[int] = []
    run = HiddenSearch.run

    def counted(search: HiddenSearch) -> None:
        run(search)
        looked.append(search._items)

    monkeypatch.setattr(HiddenSearch, "run", counted)
    for model in models:
        audit(model)
    first, second = looked
    assert second <= 2.2 * first
    assert second <= 40 * 50
