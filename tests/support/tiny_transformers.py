"""Models of transformers, as small as they can be."""

from __future__ import annotations

from typing import Any

import pytest

transformers = pytest.importorskip("transformers")


GPT2 = {
    "n_embd": 8,
    "n_layer": 1,
    "n_head": 2,
    "vocab_size": 11,
    "n_positions": 6,
    "bos_token_id": 1,
    "eos_token_id": 1,
}
LLAMA = {
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 11,
}


def gpt2(cls: Any = None, **config: Any) -> Any:
    """A tiny GPT-2, tied."""
    return (cls or transformers.GPT2LMHeadModel)(transformers.GPT2Config(**GPT2, **config))


def llama(**config: Any) -> Any:
    """A tiny Llama, not tied."""
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA, **config))
