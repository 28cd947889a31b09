"""What help says to write does what it promises, and names what it is about as Python does."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from paramscope import Finding, audit


def parameter() -> nn.Parameter:
    """A small one."""
    return nn.Parameter(torch.zeros(2))


class Holding(nn.Module):
    """It holds something in an attribute."""

    def __init__(self, held: Any) -> None:
        super().__init__()
        self.held = held


def told(model: nn.Module, code: str) -> Finding:
    """The finding of one rule."""
    (found,) = (each for each in audit(model).findings if each.code == code)
    return found


def test_nested_containers_are_registered_level_by_level() -> None:
    """One nn.ParameterList of lists registers nothing, and an nn.ModuleDict of lists raises: help says neither."""
    parameters = told(Holding([[parameter()], [parameter()]]), "PS102").help
    assert "= nn.ParameterList(" not in parameters
    assert "each level" in parameters
    modules = told(Holding({"a": [nn.Linear(2, 2)]}), "PS101").help
    assert "= nn.ModuleDict(" not in modules
    assert "each level" in modules
    assert "each level" not in told(Holding([parameter()]), "PS102").help
    mended = (
        nn.ModuleList([nn.ParameterList([parameter()]), nn.ParameterList([parameter()])]),
        nn.ModuleDict({"a": nn.ModuleList([nn.Linear(2, 2)])}),
    )
    for held in mended:
        model = Holding(held)
        assert len(list(model.parameters())) == 2
        assert not audit(model).findings


class Packed(nn.Module):
    """Three parts of one, which have nothing in common with one another."""

    def __init__(self) -> None:
        super().__init__()
        packed = torch.randn(12, 4)
        self.qkv = nn.Parameter(packed)
        self.q, self.k, self.v = (nn.Parameter(each) for each in packed.chunk(3))


def test_parts_of_one_are_said_to_be_parts() -> None:
    """And what help says holds for each of them."""
    model = Packed()
    found = told(model, "PS302")
    assert "q, k and v are different Parameters, each of them a part of qkv" in found.message
    for part, use in (("q", "[:4]"), ("k", "[4:8]"), ("v", "[8:]")):
        assert f"self.qkv{use} instead of self.{part}" in found.help
        assignment = f"model.{part} = nn.Parameter(model.{part}.detach().clone())"
        assert assignment in found.help
        exec(assignment, {"nn": nn, "model": model})
    assert not [each for each in audit(model).findings if each.code == "PS302"]


class Block(nn.Module):
    """A part that keeps what is put there."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(2, 2)
        self.last: Any = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Nothing is kept here."""
        return self.lin(x)


class Above(nn.Module):
    """It keeps something in its part."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From above."""
        y = self.block(x)
        self.block.last = y
        return y


class Below(Above):
    """Its forward takes the place of the other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Cut off."""
        y = self.block(x)
        for each in self.modules():
            if isinstance(each, Block):
                each.last = y.detach()
        return y


def test_what_is_assigned_from_above_keeps_its_owner() -> None:
    """`self.last` would be another attribute."""
    model = Above()
    model(torch.ones(1, 2))
    assert "self.block.last = ….detach()" in told(model, "PS109").help


def test_a_forward_that_is_overridden_is_innocent() -> None:
    """It never ran."""
    model = Below()
    model(torch.ones(1, 2))
    assert told(model, "PS104").location is None


def test_several_places_are_named_as_python_does() -> None:
    """`0.1` is a number."""
    model = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)) for _ in range(2)), nn.Linear(2, 2))
    model[:2].requires_grad_(False)
    assert "model[0][1] and model[1][1]" in told(model, "PS202").help


def test_a_common_norm_is_counted_where_it_is_used() -> None:
    """The name that registers it uses nothing; and a layer goes by its public name."""
    bn = nn.BatchNorm2d(4)
    model = nn.ModuleDict({"bn": bn, **{each: nn.Sequential(nn.Conv2d(3, 4, 1), bn) for each in ("left", "right")}})
    assert "in 2 places" in told(model, "PS110").message
    conv = nn.Conv2d(4, 8, 3)
    conv.weight = nn.Parameter(torch.zeros(8, 4, 5, 5))
    assert "its layer, Conv2d(" in told(conv, "PS501").message
