"""Faults planted into GPT-2 that only a run can see: the findings name exactly them, and of the clean model nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.tiny_transformers import transformers

from paramscope import audit

IDS = torch.arange(32).view(2, 16) % 50


def gpt() -> Any:
    """Eight blocks."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=8, n_head=2, n_embd=16, vocab_size=50, n_positions=16)
    return transformers.GPT2LMHeadModel(config)


def found(model: Any, run: Any, loss: Callable[[Any], Any] | None = None) -> list[tuple[str, str]]:
    """(code, message) of what a run shows, and of what is frozen or in another mode."""
    report = audit(model, inputs={"input_ids": IDS, "labels": IDS}, loss=loss, run=run)
    return [(each.code, each.message) for each in report.findings if each.code != "PS602"]


def _replace(block: Any, forward: Callable[..., Any]) -> None:
    block.__class__ = type("Block", (type(block),), {"forward": forward})


def _detach(model: Any) -> None:
    block = model.transformer.h[5]
    original = type(block).forward
    _replace(block, lambda self, states, *args, **named: original(self, states.detach(), *args, **named))


def _skip(model: Any) -> None:
    _replace(model.transformer.h[3], lambda _, states, *__, **___: states)


def _leave_dropout_on(model: Any) -> None:
    model.eval()
    model.transformer.h[2].mlp.dropout.train()


def _early(output: Any) -> torch.Tensor:
    keys = output.past_key_values.layers[0].keys
    assert isinstance(keys, torch.Tensor)
    return keys.sum()


RUNS = pytest.mark.parametrize("run", ["graph", "backward"])


@RUNS
def test_nothing_is_found_in_the_clean_model(run: str) -> None:
    assert found(gpt(), run) == []
    assert found(gpt().eval(), run) == []


@RUNS
def test_a_detach_in_the_middle(run: str) -> None:
    model = gpt()
    _detach(model)
    ((code, message),) = found(model, run)
    assert code == "PS701"
    assert message.startswith(
        "No gradient reaches transformer.wpe and transformer.h.[0-4], though the run called them"
    )
    (finding,) = [
        each for each in audit(model, inputs={"input_ids": IDS, "labels": IDS}).findings if each.code == "PS701"
    ]
    assert finding.help.startswith("transformer.h.5, which comes next, is reached")


@RUNS
def test_a_block_that_is_skipped(run: str) -> None:
    model = gpt()
    _skip(model)
    ((code, message),) = found(model, run)
    assert code == "PS701"
    assert message.startswith("No gradient reaches transformer.h.3, though the run called it")


@RUNS
def test_a_tie_that_is_frozen(run: str) -> None:
    model = gpt()
    model.lm_head.weight.requires_grad_(False)
    ((code, message),) = found(model, run)
    assert code == "PS210"
    assert message.startswith("transformer.wte.weight is frozen")


def test_dropout_that_stays_on_in_eval_mode() -> None:
    model = gpt()
    _leave_dropout_on(model)
    by_code = dict(found(model, "backward"))
    assert by_code.keys() == {"PS208", "PS209", "PS709"}
    assert by_code["PS709"].endswith("transformer.h.2.mlp.dropout is in training mode.")


@RUNS
def test_a_loss_of_the_wrong_output(run: str) -> None:
    ((code, message),) = found(gpt(), run, _early)
    assert code == "PS701"
    assert "transformer.h.0.attn.c_proj, transformer.h.0.ln_2, transformer.h.0.mlp and 8 more" in message
