"""Compiled, scripted, traced and exported modules, and wrappers of activations: what they hold, and no more."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from support.idioms import look, marks, only, shared, small, unregistered
from support.versions import TORCH
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper, offload_wrapper

from paramscope import audit

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning"),
    # What export imports.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Net(nn.Module):
    """A layer, a buffer, plain tensors, and a constant in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("scale", torch.ones(2))
        self.shift = torch.ones(2)
        self.several = [torch.ones(1)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * self.scale + self.shift + self.several[0]


def compiled(model: nn.Module) -> Any:
    """What `torch.compile` makes of a model, with the backend that takes least to import."""
    return torch.compile(model, backend="eager")


def tied() -> nn.Module:
    """Two layers with one weight."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    return model


def test_a_compiled_module_is_what_it_wraps() -> None:
    model = compiled(small())
    for mode in ("train", "eval"):
        getattr(model, mode)()
        report = look(model)
        assert report.modules[""].training is model.training  # which torch 2.4 leaves as it was
        assert report.modules["_orig_mod"].training is (mode == "train")
        assert all(path.startswith("_orig_mod.") for path in report.slots)
        assert unregistered(report) == []
        assert report.snapshot.aliases == ()
        assert report.sharing == ()
        assert report.totals == audit(model._orig_mod).totals._replace(modules=4)
    twice = compiled(nn.Sequential(compiled(tied().eval()), nn.Linear(2, 2)))
    report = look(twice)
    assert shared(report) == [("tied", ("_orig_mod.0._orig_mod.0.weight", "_orig_mod.0._orig_mod.1.weight"))]
    assert report.modules["_orig_mod.0._orig_mod"].training is False


def test_compiled_modules_within_others_and_with_their_own_state() -> None:
    inner = Net()
    model = nn.Sequential(compiled(inner), compiled(nn.Linear(2, 2).eval()))
    report = look(model, codes=("PS104",))
    # What was assigned through the wrapper lies in what it wraps.
    model[0].more = torch.ones(5)
    more = look(model, codes=("PS104",))
    assert set(more.slots) - set(report.slots) == {"0._orig_mod.more"}
    assert unregistered(more) == ["0._orig_mod.shift", "0._orig_mod.several[0]", "0._orig_mod.more"]
    twin = copy.deepcopy(model)
    assert list(look(twin, codes=("PS104",)).slots) == list(more.slots)


def test_a_module_that_compiles_itself_is_no_other() -> None:
    model = small()
    before = look(model)
    model.compile(backend="eager")
    after = look(model)
    only(after)
    assert after == before


def test_a_module_without_training_that_is_not_compiled_is_noted() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    del model[0].__dict__["training"]
    assert [note.path for note in audit(model).snapshot.notes] == ["0"]


def test_a_scripted_module_s_plain_tensors_are_attributes() -> None:
    model = torch.jit.script(Net())
    report = look(model, codes=("PS104",))
    assert list(report.slots) == ["scale", "several[0]", "shift", "layer.weight", "layer.bias"]
    assert unregistered(report) == ["several[0]", "shift"]
    assert report.totals.attributes == 3
    # Which is the truth: they stay where they are.
    model.to(torch.float64)
    moved = look(model, codes=("PS104",))
    assert {slot.path for slot in moved.slots.records() if slot.dtype == "float64"} == {
        slot.path for slot in report.slots.records() if slot.moved
    }
    assert report.snapshot.oddities == ()


def test_scripted_saved_and_loaded_within_others() -> None:
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Sequential(Net().eval(), tied())), file)
    file.seek(0)
    model = nn.Sequential(torch.jit.load(file), nn.Linear(2, 2))
    report = look(model, codes=("PS104",))
    assert unregistered(report) == ["0.0.several[0]", "0.0.shift"]
    assert shared(report) == [("tied", ("0.1.0.weight", "0.1.1.weight"))]
    assert [path for path, module in report.modules.items() if not module.training] == ["0.0", "0.0.layer"]


def test_a_traced_module_has_no_plain_tensors_left() -> None:
    model = torch.jit.trace(Net(), torch.ones(1, 2))
    only(look(model))
    assert list(audit(model).slots) == ["scale", "layer.weight", "layer.bias"]
    only(look(nn.Sequential(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)))))


def test_a_frozen_script_has_nothing_left_to_see() -> None:
    # The weights are constants of its graph: no parameters, to torch as well.
    model = torch.jit.freeze(torch.jit.script(Net().eval()))
    report = audit(model)
    assert list(report.slots) == list(model.state_dict()) == []
    assert (report.totals.parameters, report.totals.hidden, report.snapshot.notes) == (0, 0, ())
    assert report.modules[""].training is False


def test_a_symbolic_trace_makes_buffers_of_plain_tensors() -> None:
    model = torch.fx.symbolic_trace(Net())
    for each in (model, copy.deepcopy(model)):
        report = look(each)
        only(report)
        assert {slot.path for slot in report.slots.records() if slot.role == "buffer"} == set(
            dict(each.named_buffers())
        )
        assert "shift" in report.slots
    # Constants made in forward, too.
    constant = torch.fx.symbolic_trace(Constant())
    report = look(constant)
    only(report)
    assert report.slots["_tensor_constant0"].role == "buffer"
    assert report.slots["_tensor_constant0"].saved is True
    assert shared(look(torch.fx.symbolic_trace(tied()))) == [("tied", ("0.weight", "1.weight"))]


class Constant(nn.Module):
    """A tensor made in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + torch.ones(2)


# torch 2.4 warns of what it makes itself.
@pytest.mark.filterwarnings("ignore:.*get_attr:UserWarning")
def test_an_exported_program_s_module() -> None:
    exported = torch.export.export(Net(), (torch.ones(1, 2),))
    report = look(exported.module(), codes=("PS104",))
    constants = {"shift", "self___several_0"} if TORCH < (2, 5) else set()  # which torch 2.4 makes buffers
    saved = {slot.path for slot in report.slots.records() if slot.saved}
    assert saved == {"scale", "layer.weight", "layer.bias"} | constants
    assert report.totals.attributes == (0 if constants else 3)
    assert report.sharing == ()


def test_checkpointed_activations_rename_what_is_saved() -> None:
    model = nn.Sequential(checkpoint_wrapper(nn.Linear(2, 2)), offload_wrapper(nn.Linear(2, 2)))
    report = look(model, saved=False)
    only(report)
    assert next(iter(report.slots)) == "0._checkpoint_wrapped_module.weight"
    # Under other names than these, by a hook: no claim is made.
    assert set(model.state_dict()) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert {slot.saved for slot in report.slots.records()} == {None}
    assert all("state_dict hook" in dict(slot.unknown)["saved"] for slot in report.slots.records())


def test_a_wrapper_of_a_compiled_average() -> None:
    model = torch.optim.swa_utils.AveragedModel(compiled(small()))
    report = look(model)
    assert marks(report) == {("module", "own-forward", "forward")}
    assert report.totals.parameters == 10
