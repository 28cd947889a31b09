"""The tutorials' models: what they find by printing stands in the slots, fates and totals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from fixtures import (
    backbone,
    embedding,
    layer,
    linear_shapes,
    optimizers,
    padding,
    rnn_cache,
    soft_prompt,
    tying,
    views,
    vit,
)
from paramscope import Report, Severity, audit


def fates(report: Report, path: str) -> tuple[bool | None, bool | None, bool | None, bool | None]:
    """(gradient, stepped, saved, moved) of one slot."""
    slot = report.slots[path]
    return slot.gradient, slot.stepped, slot.saved, slot.moved


def trainable_names(report: Report) -> list[str]:
    """Paths of the trainable slots, in order."""
    return [slot.path for slot in report.slots.records() if slot.trainable]


@pytest.fixture(scope="module")
def vision() -> tuple[nn.Module, Report]:
    """The ViT, with Adam over its parameters."""
    model = vit.build()
    return model, audit(model, optimizer=vit.adam(model))


def test_direct_parameters_of_a_vit_are_its_first_rows(vision: tuple[nn.Module, Report]) -> None:
    model, report = vision
    assert list(report.slots)[:2] == ["pos_embedding", "cls_token"]
    filled = [slot.path for slot in report.slots.records() if slot.status != "empty"]
    assert filled == [name for name, _ in model.named_parameters()]
    position, token = report.slots["pos_embedding"], report.slots["cls_token"]
    assert (position.shape, position.numel) == ((1, 65, 1024), 66_560)
    assert (token.shape, token.numel) == ((1, 1, 1024), 1_024)
    for slot in (position, token):
        assert (slot.module, slot.role, slot.status, slot.registered) == ("", "parameter", "trainable", True)
        assert slot.type == "torch.nn.parameter.Parameter"
    assert all((p == 0.98).all() for p in list(model.parameters())[:2])


def test_direct_parameters_of_a_vit_count_and_are_stepped(vision: tuple[nn.Module, Report]) -> None:
    model, report = vision
    assert fates(report, "pos_embedding") == fates(report, "cls_token") == (True, True, True, True)
    assert report.totals.parameters == sum(p.numel() for p in model.parameters()) == 54_622_184
    (group,) = report.optimizers[0].groups
    assert group.slots[:2] == ("pos_embedding", "cls_token")
    assert (len(group.slots), group.numel, group.foreign) == (74, report.totals.parameters, ())
    assert report.not_stepped() == ()


def test_the_six_blocks_of_a_vit_are_one_in_the_table(vision: tuple[nn.Module, Report]) -> None:
    _, report = vision
    text = report.render("table")
    assert isinstance(text, str)
    assert "transformer.layers.[0-5].attention.to_qkv" in text
    assert "layers.0." not in text


def test_an_embedding_trains_by_default() -> None:
    report = audit(embedding.trained())
    assert list(report.slots) == ["weight"]
    assert (report.slots["weight"].status, report.slots["weight"].gradient) == ("trainable", True)
    assert report.totals.trainable == report.totals.parameters == 20


def test_vectors_put_in_and_frozen() -> None:
    model = embedding.pretrained()
    report = audit(model, optimizer=embedding.adam(model))
    weight = report.slots["embedding.weight"]
    assert (weight.status, weight.shape) == ("frozen", (4, 5))
    # In the optimizer's group, and yet not stepped.
    assert fates(report, "embedding.weight") == (False, False, True, True)
    assert [place.optimizer for place in weight.groups] == ["0"]
    assert (report.totals.frozen, report.totals.trainable) == (20, 12)
    assert report.sharing == ()


@pytest.mark.parametrize(
    ("build", "status"), [(embedding.from_pretrained, "frozen"), (embedding.from_pretrained_thawed, "trainable")]
)
def test_from_pretrained_freezes_whatever_its_tensor_requires(build: Callable[[], nn.Module], status: str) -> None:
    report = audit(build())
    assert report.slots["embedding.weight"].status == status
    assert report.slots["embedding.weight"].gradient is (status == "trainable")
    assert trainable_names(report)[-2:] == ["head.weight", "head.bias"]


def test_an_embedding_and_a_linear_side_by_side() -> None:
    report = audit(embedding.side_by_side())
    assert trainable_names(report) == ["emb.weight", "lin.weight", "lin.bias"]
    assert (report.slots["emb.weight"].shape, report.slots["lin.weight"].shape) == ((3, 5), (5, 3))


def test_a_soft_prompt_of_the_wrong_size() -> None:
    report = audit(soft_prompt.random_branch())
    assert report.slots["soft_prompt.weight"].shape == (2, 10)
    assert report.totals.trainable == 20


def test_linears_filled_by_hand_list_the_shapes_they_were_given() -> None:
    report = audit(linear_shapes.network())
    assert [(slot.path, slot.shape) for slot in report.slots.records()] == [
        ("linear1.weight", (5, 2)),
        ("linear1.bias", (2,)),
        ("linear2.weight", (5, 2)),
        ("linear2.bias", (2,)),
    ]
    assert report.totals.trainable == 24


def test_a_linear_with_its_sizes_swapped() -> None:
    report = audit(linear_shapes.swapped())
    assert (report.slots["weight"].shape, report.slots["bias"].shape) == ((3, 5), (5,))


def test_a_bare_tensor_is_refused_by_torch() -> None:
    with pytest.raises(TypeError, match="cannot assign"):
        linear_shapes.bare_tensor()


def test_an_optimizer_with_its_argument_spelled_out_is_refused_by_torch() -> None:
    with pytest.raises(TypeError, match="learning_rate"):
        optimizers.learning_rate(optimizers.build())


def test_a_parameter_assigned_to_an_attribute_is_registered() -> None:
    model = layer.parameter()
    report = audit(model, optimizer=layer.adam(model))
    assert (report.slots["weight"].role, report.slots["weight"].status) == ("parameter", "trainable")
    assert fates(report, "weight") == (True, True, True, True)
    assert report.totals.parameters == 2 + 3


def test_a_plain_tensor_assigned_to_an_attribute_is_nothing_to_torch() -> None:
    model = layer.plain_tensor()
    report = audit(model, optimizer=layer.adam(model))
    weight = report.slots["weight"]
    assert (weight.role, weight.status, weight.registered, weight.is_parameter) == (
        "attribute",
        "attribute",
        False,
        False,
    )
    assert fates(report, "weight") == (False, False, False, False)
    assert "weight" not in dict(model.named_parameters())
    assert "weight" not in model.state_dict()
    assert (report.totals.parameters, report.totals.hidden, report.totals.attributes) == (3, 0, 2)


def test_a_plain_tensor_that_requires_grad_is_hidden() -> None:
    model = layer.plain_tensor_with_grad()
    report = audit(model, optimizer=layer.adam(model))
    weight = report.slots["weight"]
    assert (weight.role, weight.status, weight.registered) == ("attribute", "hidden", False)
    assert fates(report, "weight") == (True, False, False, False)
    assert weight.groups == ()
    assert (report.totals.parameters, report.totals.hidden, report.totals.attributes) == (3, 2, 0)


def test_a_bias_registered_as_none_is_an_empty_slot() -> None:
    model = layer.without_bias()
    report = audit(model, optimizer=layer.adam(model))
    bias = report.slots["bias"]
    assert (bias.status, bias.role, bias.registered) == ("empty", "parameter", True)
    assert (bias.shape, bias.numel, bias.tensor, bias.storage) == (None, 0, None, None)
    assert fates(report, "bias") == (None, None, None, None)
    assert (report.totals.parameters, report.totals.unknown) == (12, 0)


def test_a_backbone_is_frozen_and_then_not() -> None:
    model: Any = backbone.frozen()
    names = [name for name, _ in model.backbone.named_parameters(prefix="backbone")]
    before = audit(model, optimizer=backbone.adam(model))
    after = audit(backbone.unfreeze(model), optimizer=backbone.adam(model))
    assert {before.slots[name].status for name in names} == {"frozen"}
    assert {after.slots[name].status for name in names} == {"trainable"}
    changed = [path for path in before.slots if before.slots[path].gradient != after.slots[path].gradient]
    assert changed == names
    assert (before.totals.trainable, before.totals.frozen) == (18, 280)
    assert (after.totals.trainable, after.totals.frozen) == (298, 0)
    assert audit(backbone.unfrozen()).totals == after.totals


def test_an_optimizer_of_the_trainable_never_hears_of_the_unfrozen() -> None:
    model, optimizer = backbone.unfrozen_late()
    report = audit(model, optimizer=optimizer)
    assert [slot.path for slot in report.not_stepped()] == [
        "backbone.0.weight",
        "backbone.0.bias",
        "backbone.2.weight",
        "backbone.2.bias",
    ]
    assert fates(report, "backbone.0.weight") == (True, False, True, True)
    assert fates(report, "head.weight") == (True, True, True, True)


@pytest.mark.parametrize("build", [backbone.required_grad, backbone.require_grad])
def test_a_misspelled_requires_grad_freezes_nothing(build: Callable[[], nn.Module]) -> None:
    report = audit(build())
    assert (report.totals.trainable, report.totals.frozen) == (298, 0)


def test_a_padding_row_is_no_part_of_what_learns() -> None:
    for build in (padding.padded, padding.padded_and_filled):
        report = audit(build())
        assert (report.totals.trainable, report.totals.effective_trainable) == (9, 6)
        assert ("padding_idx", 0) in report.modules[""].settings


def test_a_padding_row_is_counted_from_the_end_and_only_where_the_weight_trains() -> None:
    last = audit(nn.Embedding(3, 3, padding_idx=-1))
    assert (last.totals.effective_trainable, dict(last.modules[""].settings)["padding_idx"]) == (6, 2)
    frozen = audit(padding.padded().requires_grad_(requires_grad=False))
    assert (frozen.totals.trainable, frozen.totals.effective_trainable) == (0, 0)
    head: Any = nn.Linear(3, 3, bias=False)
    tied: Any = nn.ModuleDict({"embedding": padding.padded(), "head": head})
    head.weight = tied["embedding"].weight
    # Through the head, row 0 gets gradients after all.
    assert audit(tied).totals.effective_trainable == 9


@pytest.mark.parametrize(("build", "status"), [(padding.max_norm, "trainable"), (padding.max_norm_frozen, "frozen")])
def test_max_norm_is_told_of_its_embedding(build: Callable[[], nn.Module], status: str) -> None:
    report = audit(build())
    assert ("max_norm", 1.0) in report.modules[""].settings
    assert report.slots["weight"].status == status


def test_a_cached_state_is_an_attribute_and_nothing_hidden() -> None:
    assert "hidden" not in audit(rnn_cache.fresh()).slots
    for build, is_leaf in ((rnn_cache.cached, True), (rnn_cache.cached_with_graph, False)):
        report = audit(build())
        state = report.slots["hidden"]
        assert (state.role, state.status, state.is_leaf, state.shape) == ("attribute", "attribute", is_leaf, (1, 4))
        assert (state.gradient, state.saved, state.moved) == (False, False, False)
        assert (report.totals.hidden, report.totals.attributes, report.totals.parameters) == (0, 4, 36)
        # Only the forward assigns it: information.
        codes = ["PS104"] if is_leaf else ["PS109", "PS115"]
        assert [finding.code for finding in report.findings] == codes
        assert {finding.severity for finding in report.findings} == {Severity.INFO}


BUILDERS = {
    f"{module.__name__}.{name}": thing
    for module in (
        backbone,
        embedding,
        layer,
        linear_shapes,
        optimizers,
        padding,
        rnn_cache,
        soft_prompt,
        tying,
        views,
    )
    for name, thing in vars(module).items()
    if getattr(thing, "__annotations__", None) == {"return": "nn.Module"} and name != "bare_tensor"
}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_fixture_s_totals_are_torch_s(name: str) -> None:
    model = BUILDERS[name]()
    totals = audit(model).totals
    assert totals.parameters == sum(p.numel() for p in model.parameters())
    assert totals.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_no_fixture_is_left_out() -> None:
    # Among them one of each kind that the module above looks for by its annotation.
    assert {"fixtures.tying.tied", "fixtures.padding.padded", "fixtures.soft_prompt.shared"} <= set(BUILDERS)
