"""The tutorials' models that share memory: vectors and views of a parameter, a prompt, an Embedding tied to a Linear."""

from __future__ import annotations

from typing import Any

from fixtures import embedding, soft_prompt, tying, views
from paramscope import audit


def test_views_kept_as_attributes_share_the_parameter_s_memory() -> None:
    report = audit(views.views())
    slots = report.slots
    for name in ("viewed", "transposed", "reshaped"):
        assert (slots[name].role, slots[name].status) == ("attribute", "attribute")
        assert (slots[name].saved, slots[name].moved) == (False, False)
        assert slots[name].storage == slots["weight"].storage is not None
        assert slots[name].tensor != slots["weight"].tensor
    assert slots["copied"].storage != slots["weight"].storage
    (shared,) = report.sharing
    assert (shared.kind, shared.slots) == ("aliased", ("weight", "viewed", "transposed", "reshaped"))
    assert (shared.storage, shared.nbytes) == (slots["weight"].storage, 48)
    assert report.totals.nbytes == 2 * 48


def test_views_show_their_strides() -> None:
    model: Any = views.views()
    slots = audit(model).slots
    assert {name: (slot.shape, slot.stride, slot.offset) for name, slot in slots.items()} == {
        "weight": ((3, 4), (4, 1), 0),
        "viewed": ((2, 6), (6, 1), 0),
        "transposed": ((4, 3), (1, 4), 0),
        "reshaped": ((12,), (1,), 0),
        "copied": ((12,), (1,), 0),
    }
    assert not model.transposed.is_contiguous()


def test_a_column_starts_inside_the_parameter_and_steps_over_the_rest() -> None:
    model: Any = views.column()
    report = audit(model)
    column = report.slots["column"]
    assert (column.shape, column.stride, column.offset) == ((3,), (4,), 1)
    assert column.storage == report.slots["weight"].storage is not None
    assert report.totals.nbytes == 48
    assert not model.column.is_contiguous()


def test_untied_models_hold_three_tensors() -> None:
    model = tying.untied()
    report = audit(model, optimizer=tying.adam(model))
    assert [slot.numel for slot in report.slots.records()] == [30, 30, 10]
    assert (report.totals.parameters, report.totals.by_name) == (70, 70)
    assert report.sharing == ()
    (group,) = report.optimizers[0].groups
    assert (len(group.slots), group.numel) == (3, 70)


def test_tied_models_hold_two_tensors_and_three_names() -> None:
    model = tying.tied()
    report = audit(model, optimizer=tying.adam(model))
    assert (report.totals.parameters, report.totals.by_name, report.totals.nbytes) == (40, 70, 160)
    (tie,) = report.sharing
    assert (tie.kind, tie.slots, tie.nbytes) == ("tied", ("embedding.weight", "head.weight"), 120)
    first, second = (report.slots[path] for path in tie.slots)
    assert first.tensor == second.tensor
    assert tie.storage == first.storage == second.storage is not None
    assert first.status == second.status == "trainable"


def test_a_tie_is_stepped_once() -> None:
    model = tying.tied()
    report = audit(model, optimizer=tying.adam(model))
    (group,) = report.optimizers[0].groups
    assert (group.slots, group.numel) == (("embedding.weight", "head.bias"), 40)
    assert report.in_several_groups() == ()
    # Under either name it is stepped, saved and moved.
    for path in ("embedding.weight", "head.weight"):
        slot = report.slots[path]
        assert (slot.stepped, slot.saved, slot.moved, len(slot.groups)) == (True, True, True, 1)


def test_equal_values_are_no_tie() -> None:
    model: Any = tying.equal()
    assert model.embedding.weight.equal(model.head.weight)
    report = audit(model)
    assert report.sharing == ()
    assert report.slots["embedding.weight"].tensor != report.slots["head.weight"].tensor
    assert report.slots["embedding.weight"].storage != report.slots["head.weight"].storage
    assert report.totals.parameters == 70


def test_vectors_that_were_kept_are_the_weight_and_no_copy() -> None:
    report = audit(embedding.pretrained_kept())
    vectors, weight = report.slots["emb"], report.slots["embedding.weight"]
    assert (vectors.role, vectors.status, vectors.registered) == ("attribute", "attribute", False)
    assert (vectors.saved, vectors.moved) == (False, False)
    assert vectors.storage == weight.storage is not None
    assert vectors.tensor != weight.tensor
    (shared,) = report.sharing
    assert (shared.kind, set(shared.slots), shared.nbytes) == ("aliased", {"emb", "embedding.weight"}, 80)
    assert (report.totals.parameters, report.totals.attributes) == (32, 20)
    assert report.totals.nbytes == 4 * 32


def test_a_soft_prompt_that_was_cloned_has_its_own_memory() -> None:
    model = soft_prompt.cloned()
    report = audit(model, optimizer=soft_prompt.adam(model))
    prompt, words = report.slots["soft_prompt.weight"], report.slots["wte.weight"]
    assert (prompt.shape, prompt.status, prompt.is_leaf) == ((20, 768), "trainable", True)
    assert prompt.storage != words.storage
    assert report.sharing == ()
    assert (prompt.gradient, prompt.stepped) == (True, True)
    assert (words.gradient, words.stepped) == (False, False)
    assert report.totals.trainable == report.optimizers[0].groups[0].numel == 20 * 768


def test_a_soft_prompt_without_a_clone_lies_in_the_word_embedding() -> None:
    report = audit(soft_prompt.shared())
    prompt, words = report.slots["soft_prompt.weight"], report.slots["wte.weight"]
    assert prompt.storage == words.storage is not None
    assert prompt.tensor != words.tensor
    assert (prompt.status, words.status) == ("trainable", "frozen")
    # The prompt's bytes are some of the embedding's.
    assert report.totals.nbytes == words.nbytes == 4 * 1000 * 768
