"""The tutorials' models once more: what the rules say of shapes, of what is frozen, and of what an optimizer holds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from fixtures import backbone, embedding, linear_shapes, padding, soft_prompt
from paramscope import Finding, Severity, audit

BACKBONE = ("backbone.0.weight", "backbone.0.bias", "backbone.2.weight", "backbone.2.bias")


def found(model: nn.Module, code: str, optimizer: Any = None) -> list[Finding]:
    """The findings of one rule."""
    report = audit(model) if optimizer is None else audit(model, optimizer=optimizer)
    return [finding for finding in report.findings if finding.code == code]


def test_frozen_vectors_in_an_optimizer() -> None:
    model = embedding.pretrained()
    (finding,) = found(model, "PS403", embedding.adam(model))
    assert finding.paths == ("embedding.weight",)


def test_vectors_that_from_pretrained_froze() -> None:
    (finding,) = found(embedding.from_pretrained(), "PS210")
    assert finding.paths == ("embedding.weight",)
    assert "from_pretrained freezes by default" in finding.message
    assert found(embedding.from_pretrained_thawed(), "PS210") == []


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (soft_prompt.random_branch(), {"soft_prompt.weight": ("2×10", "20×768")}),
        (
            linear_shapes.network(),
            {"linear1.weight": ("5×2", "2×5"), "linear2.weight": ("5×2", "3×2"), "linear2.bias": ("2", "3")},
        ),
        (linear_shapes.swapped(), {"weight": ("3×5", "5×3")}),
    ],
)
def test_shapes_that_the_layers_do_not_declare(model: nn.Module, shapes: dict[str, tuple[str, str]]) -> None:
    findings = found(model, "PS501")
    assert [finding.paths for finding in findings] == [(path,) for path in shapes]
    for finding, (there, declared) in zip(findings, shapes.values(), strict=True):
        assert finding.severity is Severity.ERROR
        assert f" is {there}, " in finding.message
        assert f" declares {declared}: " in finding.message


def test_a_backbone_that_was_thawed_too_late() -> None:
    (finding,) = found(*_late())
    assert finding.paths == BACKBONE
    model = backbone.frozen()
    assert found(model, "PS401", backbone.adam(model)) == []
    thawed = backbone.unfreeze(model)
    assert found(thawed, "PS401", backbone.adam(thawed)) == []


def _late() -> tuple[nn.Module, str, Any]:
    model, optimizer = backbone.unfrozen_late()
    return model, "PS401", optimizer


@pytest.mark.parametrize(
    ("model", "word"), [(backbone.required_grad(), "required_grad"), (backbone.require_grad(), "require_grad")]
)
def test_a_misspelled_requires_grad(model: nn.Module, word: str) -> None:
    (finding,) = found(model, "PS203")
    assert finding.paths == BACKBONE
    assert f"'{word}'" in finding.message


def test_a_padding_row_is_named_and_not_said_to_be_zero() -> None:
    for build in (padding.padded, padding.padded_and_filled):
        (finding,) = found(build(), "PS205")
        assert finding.message.startswith("Row 0 of weight")
        assert "3 of its 9 elements are never" in finding.message
        assert "zero" not in finding.message + finding.help


def test_max_norm_is_told_where_it_rewrites_what_is_frozen() -> None:
    (finding,) = found(padding.max_norm_frozen(), "PS206")
    assert finding.paths == ("weight",)
    assert found(padding.max_norm(), "PS206") == []


def test_one_parameter_gets_a_group_of_its_own_and_several_of_their_own() -> None:
    for model, words in ((nn.Linear(2, 2), "it a group of its own"), (nn.LayerNorm(2), "them a group of their own")):
        (finding,) = found(model, "PS405", torch.optim.AdamW(model.parameters()))
        assert finding.help == f'Give {words}, {{"params": …, "weight_decay": 0.0}}.'
