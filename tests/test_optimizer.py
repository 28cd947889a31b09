"""The optimizer's view: groups, members, strangers and what took their place, several optimizers, wrappers."""

from __future__ import annotations

import inspect
from typing import Any, cast

import pytest
import torch
from support.versions import takes_names
from torch import nn

from paramscope import audit
from paramscope.errors import NotAModule, NotAnOptimizer
from paramscope.snapshot import Membership
from paramscope.snapshot.hyperparameters import DEFAULTS


def net() -> nn.Sequential:
    """Two linears: 6 + 3 and 3 + 1 elements."""
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One training step."""
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()


def test_groups_options_members_and_state() -> None:
    model = net()
    optimizer = torch.optim.AdamW(
        [{"params": model[0].parameters(), "lr": 0.5}, {"params": model[1].parameters(), "weight_decay": 0.0}], lr=0.1
    )
    (record,) = audit(model, optimizer=optimizer).optimizers
    assert (record.name, record.type) == ("0", "torch.optim.adamw.AdamW")
    first, second = record.groups
    assert (first.index, first.slots, first.numel, first.state_nbytes) == (0, ("0.weight", "0.bias"), 9, 0)
    assert (second.slots, second.numel) == (("1.weight", "1.bias"), 4)
    assert (dict(first.options)["lr"], dict(second.options)["lr"]) == (0.5, 0.1)
    assert dict(second.options)["weight_decay"] == 0.0
    assert dict(first.options)["betas"] == (0.9, 0.999)
    assert "params" not in dict(first.options)
    step(model, optimizer)
    (record,) = audit(model, optimizer=optimizer).optimizers
    held = sum(t.numel() * t.itemsize for p in model[0].parameters() for t in optimizer.state[p].values())
    assert record.groups[0].state_nbytes == held > 0


@pytest.mark.parametrize(
    "kind",
    [k for k in vars(torch.optim).values() if isinstance(k, type) and issubclass(k, torch.optim.Optimizer)],
)
def test_every_optimizer_of_torch(kind: type[torch.optim.Optimizer]) -> None:
    model = net()
    if kind is torch.optim.Optimizer:
        optimizer = kind(model.parameters(), {"lr": 0.1})
    else:
        members = [p for p in model.parameters() if p.ndim == 2] if kind.__name__ == "Muon" else model.parameters()
        optimizer = kind(members)  # type: ignore[call-arg]
    report = audit(model, optimizer=optimizer)
    inside = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert report.slots[name].stepped is (id(parameter) in inside)
    assert report.optimizers[0].type.endswith(f".{kind.__name__}")


def test_stepped_needs_a_group_and_a_gradient_to_come_or_left_over() -> None:
    model: Any = net()
    model[0].bias.requires_grad_(False)
    model[1].bias.requires_grad_(False)
    model[1].bias.grad = torch.ones(1)
    optimizer = torch.optim.SGD([model[0].weight, model[0].bias, model[1].bias], lr=0.1)
    slots = audit(model, optimizer=optimizer).slots
    assert {path: slots[path].stepped for path in slots} == {
        "0.weight": True, "0.bias": False, "1.weight": False, "1.bias": True,
    }  # fmt: skip
    before = model[1].bias.detach().clone()
    optimizer.step()
    assert not torch.equal(model[1].bias, before), "torch steps a frozen parameter that holds a gradient"


def test_without_an_optimizer_stepped_is_unknown_with_a_reason() -> None:
    slot = audit(net()).slots["0.weight"]
    assert slot.stepped is None
    assert dict(slot.unknown)["stepped"] == "no optimizer was given"


def test_trainable_slots_in_no_group_and_slots_in_several() -> None:
    model: Any = net()
    one = torch.optim.SGD(model[0].parameters(), lr=0.1)
    two = torch.optim.Adam([model[0].weight], lr=0.1)
    report = audit(model, optimizer=[one, two])
    assert [slot.path for slot in report.not_stepped()] == ["1.weight", "1.bias"]
    assert [slot.path for slot in report.in_several_groups()] == ["0.weight"]
    assert report.slots["0.weight"].groups == (Membership("0", 0), Membership("1", 0))
    assert audit(model).not_stepped() == ()


def test_a_dict_of_optimizers_keeps_its_names() -> None:
    model = net()
    report = audit(
        model,
        optimizer={"gen": torch.optim.SGD(model[0].parameters()), "disc": torch.optim.SGD(model[1].parameters())},
    )
    assert [optimizer.name for optimizer in report.optimizers] == ["gen", "disc"]
    assert report.slots["1.bias"].groups == (Membership("disc", 0),)


def test_a_tied_parameter_is_one_member_and_stepped_under_both_names() -> None:
    model = nn.Sequential(nn.Embedding(10, 3), nn.Linear(3, 10))
    model[1].weight = model[0].weight
    report = audit(model, optimizer=torch.optim.Adam(model.parameters()))
    (group,) = report.optimizers[0].groups
    assert group.slots == ("0.weight", "1.bias")
    assert group.numel == 40
    assert report.slots["1.weight"].stepped is True
    assert report.slots["1.weight"].groups == report.slots["0.weight"].groups


def strangers(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[tuple[Any, ...]]:
    """(position, name, shape, replaced_by, evidence) of each foreign member."""
    (record,) = audit(model, optimizer=optimizer).optimizers
    return [
        (f.position, f.name, f.shape, f.replaced_by, f.evidence) for group in record.groups for f in group.foreign
    ]


@takes_names
def test_a_stranger_is_matched_by_name_first() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.named_parameters(), lr=0.1)
    model[1].weight = nn.Parameter(torch.zeros(1, 3))
    assert strangers(model, optimizer) == [(2, "1.weight", (1, 3), "1.weight", "name")]


def test_else_by_its_position_among_the_members() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model[0].bias = nn.Parameter(torch.zeros(5))
    assert strangers(model, optimizer) == [(1, None, (3,), "0.bias", "position")]


def test_else_by_its_shape() -> None:
    model: Any = net()
    optimizer = torch.optim.SGD([model[1].bias, model[0].weight], lr=0.1)
    model[0].weight = nn.Parameter(torch.zeros(3, 2))
    assert strangers(model, optimizer) == [(1, None, (3, 2), "0.weight", "shape")]


def test_else_it_is_a_stranger_and_no_more() -> None:
    model = net()
    optimizer = torch.optim.SGD([*model.parameters(), nn.Parameter(torch.zeros(7))], lr=0.1)
    assert strangers(model, optimizer) == [(4, None, (7,), None, None)]


def test_a_run_of_strangers_stands_where_its_like_stood() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model[1] = nn.Sequential(nn.Linear(2, 4, bias=False), nn.Linear(4, 2, bias=False))
    assert strangers(model, optimizer) == [
        (2, None, (2, 2), "1.0.weight", "position"),
        (3, None, (2,), "1.1.weight", "position"),
    ]


def test_of_two_strangers_of_one_shape_neither_took_the_one_place() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    # Weight, bias, weight, bias gave way to one bias and more weights.
    model[0], model[1] = nn.Linear(2, 2), nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(4)))
    assert [path for *_, path, _ in strangers(model, optimizer)] == [None] * 4


def test_an_optimizer_of_an_older_copy_is_all_strangers() -> None:
    model = net()
    optimizer = torch.optim.SGD(net().parameters(), lr=0.1)
    found = strangers(model, optimizer)
    assert [shape for _, _, shape, _, _ in found] == [(3, 2), (3,), (1, 3), (1,)]
    assert [path for *_, path, _ in found] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert len(audit(model, optimizer=optimizer).not_stepped()) == 4


def test_a_hidden_parameter_in_a_group_is_a_member_by_its_path() -> None:
    model: Any = net()
    model.extra = [nn.Parameter(torch.zeros(2))]
    optimizer = torch.optim.SGD([*model.parameters(), model.extra[0]], lr=0.1)
    report = audit(model, optimizer=optimizer)
    assert report.optimizers[0].groups[0].slots[-1] == "extra[0]"
    assert report.slots["extra[0]"].stepped is True


class Wrapper:
    """Holds an optimizer as trainers do."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    @property
    def param_groups(self) -> Any:
        raise RuntimeError("the wrapped optimizer's own groups are enough")


class Computed:
    """Makes its groups when asked."""

    def __init__(self, members: list[nn.Parameter]) -> None:
        self._members = members

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [{"params": self._members, "lr": 0.1}]


class Subclass(torch.optim.SGD):
    """A user's own."""


def test_subclasses_and_wrappers_count_as_optimizers() -> None:
    model = net()
    plain = torch.optim.SGD(model.parameters(), lr=0.1)
    handed: list[Any] = [Wrapper(plain), Wrapper(cast(Any, Wrapper(plain)))]
    handed += [Computed(list(model.parameters())), Subclass(model.parameters())]
    for optimizer in handed:
        report = audit(model, optimizer=optimizer)
        assert report.optimizers[0].groups[0].numel == 13, optimizer
        assert report.slots["1.bias"].stepped is True


def test_accelerate_wraps_and_is_seen_through() -> None:
    from accelerate import Accelerator

    model = net()
    wrapped = Accelerator(cpu=True).prepare(torch.optim.SGD(model.parameters(), lr=0.1))
    assert type(wrapped).__name__ == "AcceleratedOptimizer"
    report = audit(model, optimizer=wrapped)
    assert report.optimizers[0].groups[0].slots == ("0.weight", "0.bias", "1.weight", "1.bias")


def test_options_become_plain_values() -> None:
    class Thing:
        def __repr__(self) -> str:
            raise RuntimeError("nobody asked")

    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=torch.tensor(0.5), momentum=float("nan"))
    optimizer.param_groups[0].update(schedule=Thing(), steps=[1, (2, 3)], name="naïve")
    options = dict(audit(model, optimizer=optimizer).optimizers[0].groups[0].options)
    assert options["lr"] == "<tensor float32 [] on cpu>"
    assert options["momentum"] == "nan"
    assert options["schedule"] == "<Thing>"
    assert options["steps"] == (1, (2, 3))
    assert options["name"] == "naïve"


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_classes_take_for_options_that_they_are_not_given_is_what_torch_says(name: str) -> None:
    parameters = inspect.signature(getattr(torch.optim, name.rpartition(".")[2])).parameters
    assert DEFAULTS[name] == {option: parameters[option].default for option in DEFAULTS[name]}


@pytest.mark.parametrize("thing", [3, "adam", object(), net(), {"a": 3}, [None]])
def test_what_is_no_optimizer_is_refused(thing: object) -> None:
    with pytest.raises(NotAnOptimizer, match="has no param_groups"):
        audit(net(), optimizer=thing)


@pytest.mark.parametrize("thing", [3, None, nn.Linear, {}, {"a": 3}, [net()]])
def test_what_is_no_module_is_refused(thing: Any) -> None:
    with pytest.raises(NotAModule, match=r"torch\.nn\.Module"):
        audit(thing)
