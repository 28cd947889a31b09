"""peft: every kind of adapter on a tiny model is counted as peft counts it, and declared ties are found through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.idioms import look, marks, shared, unregistered
from support.oracle import numel
from torch import nn

from paramscope import Report, audit

peft = pytest.importorskip("peft")
pytest.importorskip("transformers")

from support.tiny_transformers import gpt2, llama  # noqa: E402  # it needs transformers

pytestmark = [
    # peft asks transformers in words that transformers has given up, and says much of tied weights.
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

CAUSAL = {"task_type": "CAUSAL_LM"}


def lora(model: nn.Module, *targets: str, **kwargs: Any) -> Any:
    """A model with LoRA of rank two."""
    return peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=[*targets], **CAUSAL, **kwargs))


def on_gpt2(**kwargs: Any) -> Any:
    """LoRA on the attention of a GPT-2, whose layers hold their weights transposed."""
    return lora(gpt2(), "c_attn", fan_in_fan_out=True, **kwargs)


def adapted(model: Any, codes: tuple[str, ...] = ()) -> Report:
    """The report of a model with adapters, counted as peft counts it."""
    report = look(model, codes=codes)
    assert model.get_nb_trainable_parameters() == (report.totals.trainable, report.totals.parameters)
    # What peft says of its adapters is a fact, and nothing odd.
    said = {kind for _, kind, _ in marks(report)}
    assert "adapter" in said
    assert said <= {"adapter", "adapter-tables", "merged-adapter"}
    return report


def pairs(report: Report) -> list[tuple[tuple[str, str], ...]]:
    """The slots of each declared tie, below the model that peft wraps."""
    cut = "base_model.model."
    found = []
    for tie in report.snapshot.declared_ties:
        assert tie.undecided is None
        assert all(path.startswith(cut) for pair in tie.pairs for path in pair)
        found.append(tuple((one.removeprefix(cut), other.removeprefix(cut)) for one, other in tie.pairs))
    return found


def is_tied(report: Report) -> bool:
    """Whether the one declared pair is one tensor."""
    ((pair,),) = [tie.pairs for tie in report.snapshot.declared_ties]
    return len({report.slots[path].tensor for path in pair}) == 1


# Kinds of adapters whose weights are all registered, with nothing beside them.
PLAIN: dict[str, Callable[[], Any]] = {
    "lora": on_gpt2,
    "dora": lambda: lora(llama(), "q_proj", use_dora=True),
    "lora-bias": lambda: lora(llama(), "q_proj", lora_bias=True, bias="all"),
    "lora-target-parameters": lambda: lora(llama(), target_parameters=["q_proj.weight"]),
    "ia3": lambda: peft.get_peft_model(
        llama(),
        peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"], **CAUSAL),
    ),
    "adalora": lambda: peft.get_peft_model(
        llama(), peft.AdaLoraConfig(target_modules=["q_proj"], total_step=100, init_r=4, target_r=2, **CAUSAL)
    ),
    "loha": lambda: peft.get_peft_model(llama(), peft.LoHaConfig(r=2, target_modules=["q_proj"])),
    "poly": lambda: peft.get_peft_model(llama(), peft.PolyConfig(r=2, target_modules=["q_proj"], **CAUSAL)),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_an_adapter_is_counted_as_peft_counts_it(kind: str) -> None:
    model = PLAIN[kind]()
    report = adapted(model)
    assert unregistered(report) == []
    assert report.snapshot.aliases == ()
    assert {record.kind for record in report.sharing} == ({"tied"} if kind == "lora" else set())
    assert 0 < report.totals.trainable < report.totals.parameters
    # The wrapped layer is what it was, and says the same of itself.
    with_declared = [slot for slot in report.slots.records() if slot.declared is not None]
    assert {slot.shape == slot.declared for slot in with_declared} == {True}
    model(torch.tensor([[1, 2]]), **({"task_ids": torch.tensor([0])} if kind == "poly" else {}))
    assert look(model).totals == report.totals


def test_several_adapters_merged_unmerged_and_disabled() -> None:
    model = lora(llama(), "q_proj")
    one = adapted(model)
    model.add_adapter("two", peft.LoraConfig(r=3, target_modules=["q_proj"], **CAUSAL))
    two = adapted(model)
    assert two.totals.trainable == one.totals.trainable
    assert {slot.frozen for slot in two.select("*.two.weight")} == {True}
    model.set_adapter("two")
    assert {slot.trainable for slot in adapted(model).select("*.two.weight")} == {True}
    assert {slot.frozen for slot in adapted(model).select("*.default.weight")} == {True}
    model.merge_adapter()
    assert unregistered(adapted(model)) == []
    model.unmerge_adapter()
    with model.disable_adapter():
        disabled = adapted(model)
        assert disabled.totals == two.totals._replace(
            trainable=0, frozen=two.totals.parameters, effective_trainable=0
        )
    plain = model.merge_and_unload()
    report = look(plain)
    assert not report.select("*lora*")
    assert report.totals.parameters == numel(plain.parameters())


TIED = ("lm_head.weight", "transformer.wte.weight")
WTE, HEAD = "transformer.wte", "lm_head"
SAVED = ".modules_to_save.default.weight"


def test_a_copy_of_the_head_breaks_the_tie_that_is_declared() -> None:
    # Which is the truth of such a model: it trains the copy, and leaves the embedding as it is.
    report = adapted(on_gpt2(modules_to_save=["lm_head"]), codes=("PS304",))
    assert pairs(report) == [((HEAD + SAVED, WTE + ".weight"),)]
    assert not is_tied(report)
    assert report.slots["base_model.model.lm_head.modules_to_save.default.weight"].trainable
    assert shared(report) == [
        ("tied", ("base_model.model.transformer.wte.weight", "base_model.model.lm_head.original_module.weight"))
    ]
    assert unregistered(report) == []
    (broken,) = (each for each in report.findings if each.code == "PS304")
    learns, frozen = (f"base_model.model.{path}" for path in (HEAD + SAVED, WTE + ".weight"))
    assert f"{learns} learns, {frozen} is frozen" in broken.message
    assert broken.help.startswith("Tie them by ensure_weight_tying=True in peft's configuration")
    report = adapted(on_gpt2(modules_to_save=["lm_head", "wte"]), codes=("PS304",))
    assert pairs(report) == [((HEAD + SAVED, WTE + SAVED),)]
    assert not is_tied(report)
    assert "each learns by itself" in next(each for each in report.findings if each.code == "PS304").message
    adapted(on_gpt2(modules_to_save=["lm_head"], ensure_weight_tying=True), codes=())


def test_the_copy_of_the_active_adapter_is_the_one_that_is_declared() -> None:
    model = on_gpt2(modules_to_save=["lm_head"])
    config = peft.LoraConfig(
        r=2, target_modules=["c_attn"], modules_to_save=["lm_head"], fan_in_fan_out=True, **CAUSAL
    )
    model.add_adapter("two", config)
    assert pairs(adapted(model, codes=("PS304",))) == [((HEAD + SAVED, WTE + ".weight"),)]
    model.set_adapter("two")
    assert pairs(adapted(model, codes=("PS304",))) == [((HEAD + SAVED.replace("default", "two"), WTE + ".weight"),)]


def test_low_rank_embeddings_leave_the_tie_alone() -> None:
    report = adapted(lora(gpt2(), "wte", "c_attn", fan_in_fan_out=True))
    assert pairs(report) == [((HEAD + ".weight", WTE + ".base_layer.weight"),)]
    assert is_tied(report)
    report = adapted(lora(llama(tie_word_embeddings=True), "embed_tokens", "lm_head"))
    assert pairs(report) == [(("lm_head.base_layer.weight", "model.embed_tokens.base_layer.weight"),)]
    assert is_tied(report)
    assert unregistered(report) == []


def test_trainable_tokens_of_tied_embeddings() -> None:
    # Beside an adapter, they stand in a wrapper of their own.
    for model, embedding in (
        (lora(llama(tie_word_embeddings=True), "q_proj", trainable_token_indices=[1, 2]), "model.embed_tokens"),
        (on_gpt2(trainable_token_indices={"wte": [1, 2]}), WTE),
    ):
        report = adapted(model)
        assert pairs(report) == [
            (("lm_head.token_adapter.base_layer.weight", f"{embedding}.token_adapter.base_layer.weight"),)
        ]
        assert is_tied(report)
        assert unregistered(report) == []
        assert {record.kind for record in report.sharing} == {"tied"}
    # As an adapter of its own.
    config = peft.TrainableTokensConfig(token_indices=[1, 2], target_modules=["wte"], **CAUSAL)
    report = adapted(peft.get_peft_model(gpt2(), config))
    assert pairs(report) == [((HEAD + ".base_layer.weight", WTE + ".base_layer.weight"),)]
    assert is_tied(report)


PROMPTS: dict[str, Callable[[], Any]] = {
    "prompt": lambda: peft.PromptTuningConfig(num_virtual_tokens=3, **CAUSAL),
    "prefix": lambda: peft.PrefixTuningConfig(num_virtual_tokens=3, **CAUSAL),
    "p-tuning": lambda: peft.PromptEncoderConfig(num_virtual_tokens=3, encoder_hidden_size=4, **CAUSAL),
    "multitask": lambda: peft.MultitaskPromptTuningConfig(num_virtual_tokens=3, num_tasks=2, **CAUSAL),
}


@pytest.mark.parametrize("kind", PROMPTS)
def test_prompts_keep_their_token_numbers_in_a_dict(kind: str) -> None:
    model = peft.get_peft_model(gpt2(), PROMPTS[kind]())
    report = adapted(model)
    # Which are not moved: peft moves them wherever it reads them.
    assert unregistered(report) == ["prompt_tokens['default']"]
    slot = report.slots["prompt_tokens['default']"]
    assert (slot.status, slot.dtype, slot.gradient) == ("attribute", "int64", False)
    assert shared(report) == [
        ("tied", ("base_model.transformer.wte.weight", "base_model.lm_head.weight", "word_embeddings.weight"))
    ]
    assert {slot.path.partition(".")[0] for slot in report.slots.records() if slot.trainable} == {"prompt_encoder"}
    (tie,) = report.snapshot.declared_ties
    assert tie.pairs == (("base_model.lm_head.weight", "base_model.transformer.wte.weight"),)


@pytest.mark.parametrize("save", [True, False])
def test_vera_shares_its_projections(save: bool) -> None:  # noqa: FBT001  # a parameter of the test
    config = peft.VeraConfig(r=4, target_modules=["q_proj", "v_proj"], save_projection=save, **CAUSAL)
    report = adapted(peft.get_peft_model(llama(), config))
    assert unregistered(report) == []
    assert [kind for kind, _ in shared(report)] == ["tied", "tied"]
    assert {slot.role for slot in report.select("*.vera_A.default")} == {"buffer"}
    assert {slot.saved for slot in report.select("*.vera_A.default")} == {save}
    # Each counts once, however many layers have it.
    projections = {slot.tensor: slot.numel for name in "AB" for slot in report.select(f"*.vera_{name}.default")}
    assert list(projections.values()) == [4 * 8, 8 * 4]


def test_a_bank_of_vectors_is_one_tensor() -> None:
    config = peft.VBLoRAConfig(r=2, num_vectors=10, vector_length=4, target_modules=["q_proj", "v_proj"], **CAUSAL)
    report = adapted(peft.get_peft_model(llama(), config))
    ((kind, slots),) = shared(report)
    assert kind == "tied"
    assert len(slots) == 3
    assert unregistered(report) == []


def test_replicated_layers_share_their_weights() -> None:
    model = lora(llama(), "q_proj", layer_replication=[[0, 1], [0, 1]])
    report = adapted(model)
    assert {kind for kind, _ in shared(report)} == {"tied"}
    assert all(len(slots) == 2 for _, slots in shared(report))
    assert report.totals.by_name is not None
    assert report.totals.by_name > report.totals.parameters


def test_an_optimizer_of_the_adapters_steps_the_adapters() -> None:
    model = on_gpt2(modules_to_save=["lm_head"])
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=0.1)
    report = audit(model, optimizer=optimizer)
    assert {slot.path for slot in report.slots.records() if slot.stepped} == {
        slot.path for slot in report.slots.records() if slot.trainable
    }
    assert report.not_stepped() == ()
