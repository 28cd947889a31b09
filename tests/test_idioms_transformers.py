"""transformers: gradient checkpointing, generation, and what a model declares of its ties, whatever wraps it."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest
import torch
from support.idioms import look, marks, only, shared, unregistered
from support.tiny_transformers import gpt2, llama, transformers
from torch import nn
from torch.nn.utils import parametrizations

from paramscope import Report, audit
from paramscope.snapshot import DeclaredTie

TIE = ("lm_head.weight", "transformer.wte.weight")
TIED = ("tied", ("transformer.wte.weight", "lm_head.weight"))


def ties(report: Report) -> tuple[DeclaredTie, ...]:
    """What is declared."""
    return report.snapshot.declared_ties


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable.*:FutureWarning")
def test_training_with_gradient_checkpointing() -> None:
    model = gpt2()
    before = look(model)
    assert unregistered(before) == []
    assert shared(before) == [TIED]
    assert ties(before) == (DeclaredTie("", "instance", TIE, (TIE,), None),)
    model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
    model.train()
    model(torch.tensor([[1, 2]]), use_cache=False).logits.sum().backward()
    after = look(model)
    assert after.totals == before.totals
    assert (shared(after), marks(after), unregistered(after)) == ([TIED], set(), [])


def test_after_a_forward_and_a_generation() -> None:
    # The rotary embedding of a Llama keeps buffers that are not saved; a GPT-2 has none.
    for model, transient in ((gpt2(), set()), (llama(tie_word_embeddings=True), {False})):
        model.eval()
        before = look(model)
        assert {slot.saved for slot in before.slots.records() if slot.persistent is False} == transient
        model(torch.tensor([[1, 2]]))
        model.generate(torch.tensor([[1]]), max_new_tokens=2, do_sample=False, pad_token_id=0)
        assert look(model) == before
        assert model.generation_config is not None


def test_ties_that_are_not_declared_or_not_meant() -> None:
    for model in (llama(), gpt2(tie_word_embeddings=False)):
        report = look(model)
        only(report)
        assert ties(report) == ()


def test_a_tie_that_broke_is_still_declared() -> None:
    model = gpt2()
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())
    report = look(model, codes=("PS304",))
    assert report.sharing == ()
    assert ties(report) == (DeclaredTie("", "instance", TIE, (TIE,), None),)
    model.tie_weights()
    assert shared(look(model)) == [TIED]
    model.resize_token_embeddings(15)
    report = look(model)
    assert shared(report) == [TIED]
    assert report.slots["lm_head.weight"].declared == report.slots["lm_head.weight"].shape == (15, 8)


def test_what_the_class_says_where_the_instance_says_nothing() -> None:
    model = gpt2()
    del model.__dict__["all_tied_weights_keys"]
    assert ties(look(model)) == (DeclaredTie("", "class", TIE, (TIE,), None),)
    model = gpt2(tie_word_embeddings=False)
    del model.__dict__["all_tied_weights_keys"]
    assert ties(look(model)) == ()


class Listed(transformers.GPT2LMHeadModel):
    """As before transformers 5."""

    _tied_weights_keys = ["lm_head.weight"]  # noqa: RUF012  # as it was


class Computed(transformers.GPT2LMHeadModel):
    """Says it with code."""

    _tied_weights_keys = property(lambda _: pytest.fail("the property ran"))


@pytest.mark.parametrize(("cls", "says"), [(Listed, "list"), (Computed, "computed")])
def test_what_the_class_says_in_other_ways_is_undecided(cls: Any, says: str) -> None:
    model = gpt2()
    del model.__dict__["all_tied_weights_keys"]
    object.__setattr__(model, "__class__", cls)
    (tie,) = audit(model).snapshot.declared_ties
    assert (tie.source, tie.pairs) == ("class", ())
    assert tie.undecided is not None
    assert says in tie.undecided


def test_t5_declares_three_ties() -> None:
    config = transformers.T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=16)
    report = look(transformers.T5ForConditionalGeneration(config))
    assert {tie.pairs for tie in ties(report)} == {
        (("encoder.embed_tokens.weight", "shared.weight"),),
        (("decoder.embed_tokens.weight", "shared.weight"),),
        (("lm_head.weight", "shared.weight"),),
    }
    (record,) = report.sharing
    assert set(record.slots) == {path for tie in ties(report) for pair in tie.pairs for path in pair}


def pairs_are_tied(report: Report) -> bool:
    """Whether each declared pair is one tensor."""
    ((pair,),) = [tie.pairs for tie in ties(report)]
    one, other = pair
    return report.slots[one].tensor == report.slots[other].tensor


def test_a_declared_tie_is_found_below_wrappers() -> None:
    model = gpt2()
    for wrapped, prefix in ((nn.DataParallel(model), "module."), (nn.ModuleList([nn.Identity(), model]), "1.")):
        report = look(wrapped)
        (tie,) = ties(report)
        assert tie.module == prefix.rstrip(".")
        assert tie.pairs == (tuple(prefix + name for name in TIE),)
        assert pairs_are_tied(report)
    report = look(copy.deepcopy(model).half())
    assert pairs_are_tied(report)


def test_a_declared_tie_is_found_through_wrappers() -> None:
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    model = gpt2()
    parametrizations.spectral_norm(model.lm_head)
    report = look(model)
    assert ties(report)[0].pairs == (("lm_head.parametrizations.weight.original", "transformer.wte.weight"),)
    assert pairs_are_tied(report)
    model = gpt2()
    model.transformer.wte = checkpoint_wrapper(model.transformer.wte)
    report = look(model, saved=False)
    assert ties(report)[0].pairs == (("lm_head.weight", "transformer.wte._checkpoint_wrapped_module.weight"),)
    assert pairs_are_tied(report)


def test_a_declared_tie_is_found_through_compiled_layers() -> None:
    model = gpt2()
    model.lm_head = torch.compile(model.lm_head, backend="eager")
    report = look(model)
    assert ties(report)[0].pairs == (("lm_head._orig_mod.weight", "transformer.wte.weight"),)
    assert pairs_are_tied(report)
    report = look(cast(Any, torch.compile(gpt2(), backend="eager")))
    assert [tie.module for tie in ties(report)] == ["_orig_mod"]
    assert pairs_are_tied(report)


def test_a_model_on_meta() -> None:
    with torch.device("meta"):
        model = gpt2()
    report = look(model)
    assert shared(report) == [TIED]
    assert pairs_are_tied(report)
    # Ties survive what accelerate does while a model is built, as far as the model makes them again.
    accelerate = pytest.importorskip("accelerate")
    with accelerate.init_empty_weights():
        model = gpt2()
    model.tie_weights()
    assert shared(look(model)) == [TIED]
