"""What is reachable and not registered, each form of it: where it is found, by the path that code would write."""

from __future__ import annotations

import dataclasses
import functools
import logging
import types
import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import torch
from support.hiding import FORMS, Plain, Slotted, linear, parameter
from torch import nn

from paramscope import Report, audit
from paramscope.snapshot import AliasRecord


@pytest.mark.parametrize("form", FORMS)
def test_a_parameter_is_found_wherever_it_is_kept(form: str) -> None:
    make, path = FORMS[form]
    model = nn.Sequential(nn.Linear(1, 1))
    model[0].held = make(parameter())
    report = audit(model)
    path = f"0.{path}"
    slot = report.slots[path]
    assert (slot.status, slot.role, slot.registered, slot.numel) == ("hidden", "attribute", False, 4)
    assert (slot.gradient, slot.saved, slot.moved) == (True, False, False)
    assert report.totals.hidden == 4
    assert list(report.slots) == ["0.weight", "0.bias", path]
    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize("form", FORMS)
def test_a_module_is_found_wherever_it_is_kept(form: str) -> None:
    make, path = FORMS[form]
    model = nn.Sequential(nn.Linear(1, 1))
    model[0].held = make(linear())
    report = audit(model)
    path = f"0.{path}"
    assert not report.modules[path].registered
    assert report.slots[f"{path}.weight"].status == "hidden"
    assert (report.slots[f"{path}.weight"].role, report.slots[f"{path}.weight"].module) == ("parameter", path)
    assert report.totals.hidden == 3
    assert list(report.slots) == ["0.weight", "0.bias", f"{path}.weight", f"{path}.bias"]


def test_a_bound_method_of_a_module() -> None:
    model: Any = nn.Sequential(nn.Linear(1, 1))
    model.act = linear().forward
    assert not audit(model).modules["act->__self__"].registered


@pytest.mark.parametrize("form", [form for form in FORMS if form != "dict with an object"])
def test_a_registered_tensor_is_an_alias_there(form: str) -> None:
    make, path = FORMS[form]
    model = nn.Sequential(nn.Linear(1, 1))
    model.held = make(model[0].weight)
    report = audit(model)
    assert AliasRecord(path, "0.weight") in report.snapshot.aliases
    assert list(report.slots) == ["0.weight", "0.bias"]
    assert report.totals.hidden == 0


@pytest.mark.parametrize("form", FORMS)
def test_a_registered_module_is_not_hidden_there(form: str) -> None:
    make, path = FORMS[form]
    model = nn.Sequential(nn.Linear(1, 1))
    model.held = make(model[0])
    report = audit(model)
    assert list(report.modules) == ["", "0"]
    # What knows the module it belongs to is no second place of it; a container is.
    of_container = AliasRecord(path, "0") if "->" not in path else None
    assert report.snapshot.aliases == ((of_container,) if of_container else ())


class Shared(nn.Module):
    """Holds all it has in its class."""

    table = torch.zeros(5)
    layer = linear()
    scale = nn.Parameter(torch.zeros(6))
    layers = (linear(), {"a": linear()})
    sizes = (1, 2, 3)


class Derived(Shared):
    """Adds one."""

    more = torch.zeros(2)


def test_what_lies_in_the_class_is_found_once() -> None:
    model = nn.Sequential(Derived(), Shared(), Derived())
    report = audit(model)
    assert {path: report.slots[path].status for path in report.slots} == {
        "0::more": "attribute",
        "0::table": "attribute",
        "0::scale": "hidden",
        "0::layer.weight": "hidden",
        "0::layer.bias": "hidden",
        "0::layers[0].weight": "hidden",
        "0::layers[0].bias": "hidden",
        "0::layers[1]['a'].weight": "hidden",
        "0::layers[1]['a'].bias": "hidden",
    }
    assert report.totals.hidden == 6 + 3 * 3
    assert report.sharing == ()
    assert Report.from_json(report.to_json()) == report


class StepDecay(torch.optim.lr_scheduler.LRScheduler):
    """A scheduler of one's own drives the training as torch's do."""

    def __init__(self, part: Any) -> None:
        self.part = part


class NamedLogger(logging.Logger):
    """So does a logger."""

    def __init__(self, part: Any) -> None:
        self.part = part


FOREIGN: dict[str, Callable[[Any], Any]] = {
    "scheduler": StepDecay,
    "logger": NamedLogger,
    "loader": lambda part: torch.utils.data.DataLoader(torch.utils.data.TensorDataset(part)),
    "mock": lambda part: mock.MagicMock(return_value=part),
    "optimizer": lambda part: torch.optim.SGD([part], lr=0.1),
    "dataset": lambda part: torch.utils.data.TensorDataset(part),
    "hook's handle": lambda part: part.register_hook(lambda grad: grad),
    "generator": lambda part: (each for each in [part]),
    "iterator": lambda part: iter([part]),
    "module of Python": lambda part: types.ModuleType("made", str(part)),
    "class": lambda part: type("Made", (), {"part": part}),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_objects_are_not_wandered_through(kind: str) -> None:
    model = nn.Sequential(nn.Linear(1, 1))
    part = parameter()
    model.held = FOREIGN[kind](part)
    report = audit(model)
    assert list(report.slots) == ["0.weight", "0.bias"]


def test_an_iterator_is_not_advanced() -> None:
    model: Any = nn.Module()
    model.rest = iter([parameter(), parameter()])
    audit(model)
    assert len(list(model.rest)) == 2


def test_hooks_are_not_looked_into() -> None:
    model = nn.Linear(1, 1)
    other = linear()
    for register in (
        model.register_forward_hook,
        model.register_forward_pre_hook,
        model.register_full_backward_hook,
        getattr(model, "register_state_dict_post_hook", None),  # since torch 2.5
        model.register_load_state_dict_post_hook,
    ):
        if register is not None:
            register(lambda *_: other(torch.zeros(2)))
    assert list(audit(model).slots) == ["weight", "bias"]


def test_each_object_is_entered_once_however_many_hold_it() -> None:
    shared = {f"w{i}": parameter() for i in range(300)}
    model: Any = nn.Sequential(*(nn.Linear(1, 1) for _ in range(300)))
    for layer in model:
        layer.map = shared
        layer.behind = functools.partial(print, shared)
    report = audit(model)
    hidden = [path for path in report.slots if report.slots[path].status == "hidden"]
    assert hidden == [f"0.map['w{i}']" for i in range(300)]


def test_hidden_modules_hold_hidden_things_of_their_own() -> None:
    inner: Any = linear()
    inner.held = Plain([parameter()])
    model: Any = nn.Module()
    model.outer = (inner,)
    assert list(audit(model).slots) == ["outer[0].weight", "outer[0].bias", "outer[0].held->part[0]"]


def test_a_model_that_an_object_knows_again() -> None:
    model: Any = nn.Sequential(linear())
    holder: Any = Plain(model)
    model.holder = holder
    holder.itself = holder
    model.method = model.forward
    model.bound = holder.method
    report = audit(model)
    assert list(report.modules) == ["", "0"]
    assert report.snapshot.aliases == ()
    assert report.snapshot.notes == ()


def test_unset_slots_and_empty_cells() -> None:
    def make() -> Callable[[], Any]:
        late: int

        def fn() -> Any:
            return late

        if fn is None:
            late = 1
        return fn

    model: Any = nn.Module()
    model.slotted = Slotted(parameter())
    model.fn = make()
    assert list(audit(model).slots) == ["slotted->part"]


@pytest.mark.parametrize(
    ("bound", "value", "what"),
    [
        ("ITEM_BOUND", 14, "items were looked at"),
        ("OBJECT_BOUND", 2, "objects were looked"),
        ("THING_BOUND", 2, "listed"),
    ],
)
def test_a_bound_that_is_met_is_stated_once_for_each_attribute(
    bound: str, value: int, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"paramscope.capture.hidden.{bound}", value)
    model: Any = nn.Module()
    model.first = [Plain([parameter()]) for _ in range(10)]
    model.second = [Plain([parameter()]) for _ in range(10)]
    report = audit(model)
    assert 1 <= len(report.slots) < 20
    notes = report.snapshot.notes
    assert {note.kind for note in notes} == {"items"}
    assert 1 <= len(notes) <= 2
    assert all(what in note.text for note in notes)
    assert what in str(report)


def test_objects_deep_in_one_another() -> None:
    chain = Plain(parameter())
    for _ in range(5_000):
        chain = Plain(chain)
    model: Any = nn.Module()
    model.chain = chain
    report = audit(model)
    assert [note.kind for note in report.snapshot.notes] == ["depth"]
    assert report.snapshot.notes[0].path == "chain" + "->part" * 32


def test_keys_that_look_alike_have_paths_of_their_own() -> None:
    class Key:
        pass

    model: Any = nn.Module()
    model.held = {Key(): parameter(), Key(): parameter(), "k": parameter()}
    assert list(audit(model).slots) == ["held[<Key>]", "held[<Key>#1]", "held['k']"]


def test_what_a_decorator_of_torch_wraps_is_looked_into() -> None:
    model: Any = nn.Module()
    layer: Any = linear()
    model.run = torch.no_grad()(lambda x: layer(x))
    assert list(audit(model).modules) == ["", "run->__wrapped__-><layer>"]


def test_lightning_keeps_what_a_module_was_built_with_and_that_is_not_looked_into() -> None:
    lightning = pytest.importorskip("lightning")

    class Net(lightning.LightningModule):  # type: ignore[name-defined]
        def __init__(self, backbone: nn.Module) -> None:
            super().__init__()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.save_hyperparameters()

    # It stands in `_hparams`, from where no forward takes it.
    assert audit(Net(linear())).totals.hidden == 0


def test_a_dataclass_that_was_made_by_a_call_is_the_users() -> None:
    made = dataclasses.make_dataclass("Made", ["part"])
    model = nn.Module()
    model.held = made(parameter())
    assert list(audit(model).slots) == ["held->part"]
