"""What the head of a report says of models of which not all could be counted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from paramscope import Report, audit
from paramscope.snapshot import Note


def _quantized(model: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized: nn.Module = torch.ao.quantization.quantize_dynamic(model.eval(), {nn.Linear}, dtype=torch.qint8)
    return quantized


@pytest.mark.parametrize("view", ["table", "tree", "markdown", "html"])
def test_weights_in_cpp_are_not_called_nothing(view: str) -> None:
    packed = audit(_quantized(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)))).render(view)
    assert isinstance(packed, str)
    assert "no tensors" not in packed
    assert "2 packed weights in C++ not counted" in packed
    empty = audit(nn.Sequential(nn.ReLU())).render(view)
    assert isinstance(empty, str)
    assert "no tensors" in empty
    assert "not counted" not in empty


def test_some_in_cpp_are_told_beside_what_is_counted() -> None:
    table = str(audit(_quantized(nn.Sequential(nn.Conv1d(1, 2, 1), nn.Linear(4, 2)))))
    assert "all params: 4" in table
    assert "1 packed weight in C++ not counted" in table


class Policy(nn.Module):
    """Hands out one of its two networks."""

    def __init__(self) -> None:
        super().__init__()
        self.policy, self.reference = nn.Linear(4, 4), nn.Linear(4, 4).requires_grad_(requires_grad=False)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:  # noqa: FBT001
        """The policy's alone."""
        raise AssertionError


class Named(Policy):
    """The other method, too."""

    def named_parameters(self, *args: object, **kwargs: object) -> Iterator[tuple[str, nn.Parameter]]:
        """Not asked either."""
        raise AssertionError


def _overridden(report: Report) -> list[Note]:
    return [note for note in report.snapshot.notes if note.kind == "overridden"]


def test_who_says_itself_what_its_parameters_are_is_counted_by_what_is_registered_and_noted() -> None:
    report = audit(Policy())
    assert report.totals.parameters == 40
    (note,) = _overridden(report)
    assert note.path == ""
    for width in (60, 80, 120):
        table = report.render("table", width=width)
        assert isinstance(table, str)
        assert "parameters()" in table
    assert Report.from_json(report.to_json()) == report


def test_a_part_that_does_so_is_noted_once_for_its_class() -> None:
    (note,) = _overridden(audit(nn.ModuleList([nn.Linear(2, 2), Named(), Named()])))
    assert note.path == "1"
    assert "Named overrides named_parameters()" in note.text
    assert not _overridden(audit(nn.Sequential(nn.Linear(2, 2))))
