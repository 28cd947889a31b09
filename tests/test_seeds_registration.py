"""Of the tutorials: a weight that is a plain tensor, one that requires grad, and a cached hidden state."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fixtures import layer, rnn_cache
from paramscope import Finding, Severity, audit


def found(model: nn.Module) -> list[tuple[str, str, tuple[str, ...]]]:
    """(code, severity, paths) of every finding."""
    return [(each.code, each.severity.value, each.paths) for each in audit(model).findings]


def the(model: nn.Module) -> Finding:
    """The only finding."""
    (finding,) = audit(model).findings
    return finding


def test_a_parameter_is_no_finding() -> None:
    assert found(layer.parameter()) == []


def test_a_plain_tensor_is_named_with_its_line() -> None:
    assert found(layer.plain_tensor()) == [("PS104", "warning", ("weight",))]
    finding = the(layer.plain_tensor())
    assert finding.location is not None
    assert finding.location.file == "fixtures/layer.py"
    assert 'self.register_buffer("weight"' in finding.help


def test_one_that_requires_grad_is_seen_by_no_optimizer() -> None:
    model = layer.plain_tensor_with_grad()
    assert found(model) == [("PS103", "error", ("weight",))]
    assert "self.weight = nn.Parameter(" in the(model).help
    model(torch.ones(3, 2)).sum().backward()
    assert found(model) == [("PS103", "error", ("weight",))]
    optimizer = layer.adam(model)
    codes = [each.code for each in audit(model, optimizer=optimizer).findings if each.severity > Severity.INFO]
    assert codes == ["PS103"]


@pytest.mark.parametrize("build", [rnn_cache.fresh, rnn_cache.cached, rnn_cache.cached_with_graph])
def test_a_cached_state_is_no_more_than_information(build: object) -> None:
    assert callable(build)
    model = build()
    assert all(each.severity is Severity.INFO for each in audit(model).findings)
    named = {each.code for each in audit(model).findings if each.paths == ("hidden",)}
    # What has a graph keeps its memory alive, and makes a copy of the model fail.
    codes = {rnn_cache.fresh: set(), rnn_cache.cached: {"PS104"}, rnn_cache.cached_with_graph: {"PS109", "PS115"}}
    assert named == codes[build]
