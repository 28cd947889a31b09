"""What the rules of sharing say of the tutorials' models."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fixtures import embedding, soft_prompt, tying, views
from paramscope import Report, Severity, audit


def sharing(report: Report) -> list[tuple[str, Severity, tuple[str, ...]]]:
    """(code, severity, paths) of what the rules of sharing and of checkpoints find."""
    return [(each.code, each.severity, each.paths) for each in report.findings if each.code[2] in "36"]


def test_vectors_that_were_kept_are_a_view_of_the_weight() -> None:
    """Row 4: the article says the data is copied."""
    report = audit(embedding.pretrained_kept())
    assert sharing(report) == [("PS307", Severity.INFO, ("emb", "embedding.weight"))]
    assert sharing(audit(embedding.pretrained())) == []


def test_a_soft_prompt_that_was_cloned_shares_nothing() -> None:
    """Row 6."""
    model = soft_prompt.cloned()
    assert sharing(audit(model, optimizer=soft_prompt.adam(model))) == []


def test_a_soft_prompt_without_a_clone_overlaps_the_words() -> None:
    """Row 6, the near miss: training the prompt rewrites frozen rows."""
    model: Any = soft_prompt.shared()
    report = audit(model, optimizer=soft_prompt.adam(model))
    overlap, refused = sharing(report)
    assert overlap == ("PS302", Severity.ERROR, ("wte.weight", "soft_prompt.weight"))
    assert refused == ("PS602", Severity.INFO, ("wte.weight", "soft_prompt.weight"))
    (found,) = (each for each in report.findings if each.code == "PS302")
    assert "frozen" in found.message
    assert found.help.startswith("Give soft_prompt.weight memory of its own")
    before = model.wte.weight.detach().clone()
    model(torch.zeros(1, 2, dtype=torch.long)).sum().backward()
    soft_prompt.adam(model).step()
    assert not torch.equal(model.wte.weight, before)


def test_views_are_named_with_their_contiguity() -> None:
    """Row 16."""
    report = audit(views.views())
    assert sharing(report) == [
        ("PS307", Severity.INFO, (name, "weight")) for name in ("viewed", "transposed", "reshaped")
    ]
    said = {each.paths[0]: each.message for each in report.findings if each.code == "PS307"}
    assert {name: "a non-contiguous view" in message for name, message in said.items()} == {
        "viewed": False,
        "transposed": True,
        "reshaped": False,
    }
    assert "a contiguous view" in said["viewed"]
    (column,) = (each for each in audit(views.column()).findings if each.code == "PS307")
    assert column.paths == ("column", "weight")
    assert "non-contiguous" in column.message


def test_a_tie_is_nothing_wrong() -> None:
    """Row 19: one tensor, which only safetensors minds."""
    for build in (tying.untied, tying.equal):
        model = build()
        assert sharing(audit(model, optimizer=tying.adam(model))) == []
    model = tying.tied()
    assert sharing(audit(model, optimizer=tying.adam(model))) == [
        ("PS602", Severity.INFO, ("embedding.weight", "head.weight"))
    ]


def test_a_tie_that_was_wrapped_is_an_alias() -> None:
    """Row 19, the near miss: `.data` in a new Parameter looks tied, and trains as two."""
    model = tying.Model()
    model.embedding.weight = nn.Parameter(model.head.weight.data)
    assert [code for code, _, _ in sharing(audit(model))] == ["PS301", "PS602"]
