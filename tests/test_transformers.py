"""Real architectures, built from their configurations alone: counts, ties and fates as torch has them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from support.oracle import assert_moved, assert_saved, assert_stepped, assert_torch_agrees, ties_by_id
from torch import nn

from paramscope import audit

transformers = pytest.importorskip("transformers")


def on_meta(kind: str, **config: Any) -> nn.Module:
    """An architecture of full size, without memory for its tensors."""
    with torch.device("meta"):
        return small(kind, **config)


def small(kind: str, **config: Any) -> nn.Module:
    """An architecture with real tensors."""
    cls = getattr(transformers, kind)
    model: nn.Module = cls(cls.config_class(**config))
    return model


LLAMA_70B = {
    "hidden_size": 8192,
    "intermediate_size": 28_672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
}
# Counts as the papers and the hub give them, rounded there; by name, tied weights count again.
FULL_SIZE: list[tuple[str, dict[str, Any], int, int]] = [
    ("GPT2LMHeadModel", {}, 124_439_808, 163_037_184),
    ("BertModel", {}, 109_482_240, 109_482_240),
    ("LlamaForCausalLM", {**LLAMA_70B, "vocab_size": 32_000}, 68_976_648_192, 68_976_648_192),
    ("LlamaForCausalLM", {**LLAMA_70B, "vocab_size": 128_256}, 70_553_706_496, 70_553_706_496),
    ("T5ForConditionalGeneration", {}, 60_506_624, 109_855_232),
    ("MixtralForCausalLM", {}, 46_702_792_704, 46_702_792_704),
    ("ViTForImageClassification", {"num_labels": 1000}, 86_567_656, 86_567_656),
    ("WhisperForConditionalGeneration", {}, 37_760_640, 57_676_800),
]


@pytest.mark.parametrize(
    ("kind", "config", "parameters", "by_name"),
    FULL_SIZE,
    ids=[f"{kind}-{count}" for kind, _, count, _ in FULL_SIZE],
)
def test_full_size_on_meta(kind: str, config: dict[str, Any], parameters: int, by_name: int) -> None:
    model = on_meta(kind, **config)
    report = audit(model)
    assert (report.totals.parameters, report.totals.by_name) == (parameters, by_name)
    assert_torch_agrees(model, report)
    assert {slot.device for slot in report.slots.records() if slot.registered and slot.tensor is not None} == {"meta"}
    # Two tensors on meta are no alias for having the address 0 in common.
    assert {record.kind for record in report.sharing} == ({"tied"} if by_name > parameters else set())
    assert report.totals.hidden == 0
    assert isinstance(report.render("table"), str)


SMALL: dict[str, dict[str, Any]] = {
    "GPT2LMHeadModel": {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 50, "n_positions": 8},
    "BertForMaskedLM": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "vocab_size": 50,
    },
    "LlamaForCausalLM": {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 50,
        "tie_word_embeddings": True,
    },
    "T5ForConditionalGeneration": {
        "d_model": 16,
        "d_kv": 4,
        "d_ff": 32,
        "num_layers": 2,
        "num_heads": 2,
        "vocab_size": 64,
    },
    "MixtralForCausalLM": {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 50,
        "num_local_experts": 4,
    },
    "ViTModel": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 32,
        "patch_size": 16,
    },
    "WhisperForConditionalGeneration": {
        "d_model": 16,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "num_mel_bins": 8,
        "max_source_positions": 16,
        "max_target_positions": 8,
    },
    "ResNetModel": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
}


@pytest.mark.parametrize("kind", SMALL)
def test_fates_of_a_small_one(kind: str) -> None:
    model = small(kind, **SMALL[kind])
    # Half of it frozen, as in fine-tuning.
    for parameter in list(model.parameters())[1::2]:
        parameter.requires_grad_(False)
    report = audit(model)
    assert_torch_agrees(model, report)
    assert 0 < report.totals.trainable < report.totals.parameters
    assert_moved(report, copy.deepcopy(model))
    assert_stepped(model)
    # What modelling code keeps beside its registered tensors, rotary frequencies for one, is nothing to learn.
    assert report.totals.hidden == 0


def test_the_embedding_of_t5_is_tied_four_ways() -> None:
    model = small("T5ForConditionalGeneration", **SMALL["T5ForConditionalGeneration"])
    (tie,) = audit(model).sharing
    assert tie.kind == "tied"
    assert tie.slots == (
        "shared.weight",
        "encoder.embed_tokens.weight",
        "decoder.embed_tokens.weight",
        "lm_head.weight",
    )
    assert {tie.slots} == ties_by_id(model)
    assert tie.nbytes == 4 * 64 * 16


def test_gpt2_is_tied_and_folds() -> None:
    report = audit(on_meta("GPT2LMHeadModel"))
    (tie,) = report.sharing
    assert (tie.kind, tie.slots) == ("tied", ("transformer.wte.weight", "lm_head.weight"))
    assert report.slots["lm_head.weight"].trainable
    text = report.render("table")
    assert isinstance(text, str)
    assert "transformer.h.[0-11].attn.c_attn" in text


# peft asks transformers in words that transformers has given up.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_lora_on_gpt2() -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=8, target_modules=["c_attn"], fan_in_fan_out=True)
    model = peft.get_peft_model(on_meta("GPT2LMHeadModel"), config)
    report = audit(model)
    assert (report.totals.trainable, report.totals.parameters) == (294_912, 124_734_720)
    assert model.get_nb_trainable_parameters() == (report.totals.trainable, report.totals.parameters)
    assert {".lora_" in slot.path for slot in report.slots.records() if slot.trainable} == {True}
    assert len(report.select("*lora_A*weight")) == len(report.select("*lora_B*weight")) == 12
    assert_torch_agrees(model, report)
    assert_saved(model, report)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    stepped = audit(model, optimizer=optimizer)
    assert stepped.optimizers[0].groups[0].numel == 294_912
    assert stepped.not_stepped() == ()
    assert {slot.path for slot in stepped.slots.records() if slot.stepped} == {
        slot.path for slot in report.slots.records() if slot.trainable
    }
