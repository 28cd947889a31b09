"""CSV: every slot with every fact that JSON has of it, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import pytest
import torch
from support.csv_checks import is_cell_of
from support.view_models import report
from torch import nn

from paramscope import Report, audit, capture
from paramscope.api import judge
from paramscope.errors import FormatError, GlobError


def rows_of(report: Report, **options: object) -> list[dict[str, str]]:
    """Every row by its header, as Python reads it back."""
    text = report.render("csv", **options)
    assert isinstance(text, str)
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_a_row_a_slot_with_the_facts_of_json() -> None:
    net = report()
    rows = rows_of(net)
    slots = json.loads(net.to_json())["slots"]
    assert [row["path"] for row in rows] == list(net.slots)
    assert list(rows[0]) == list(slots[0])
    assert len(rows) > 30
    for row, slot in zip(rows, slots, strict=True):
        for name, fact in slot.items():
            if fact is None or fact in ([], {}):
                assert row[name] == ("[]" if name == "shape" and fact == [] else ""), (row["path"], name)
            elif isinstance(fact, str):
                assert row[name] == fact
            else:
                assert json.loads(row[name]) == fact, (row["path"], name)


def test_cells() -> None:
    model = nn.Linear(2, 2, bias=False)
    model.register_buffer("scalar", torch.tensor(1.0), persistent=False)
    weight, scalar, empty = (
        next(row for row in rows_of(audit(model)) if row["name"] == name) for name in ("weight", "scalar", "bias")
    )
    assert weight["shape"] == "[2, 2]"
    assert weight["requires_grad"] == "true"
    assert weight["persistent"] == ""
    assert weight["stepped"] == ""
    assert json.loads(weight["unknown"]) == {"stepped": "no optimizer was given"}
    assert scalar["shape"] == "[]"
    assert scalar["persistent"] == "false"
    assert (empty["status"], empty["shape"], empty["numel"], empty["saved"]) == ("empty", "", "0", "")
    model.weight.requires_grad_(False)
    stepped = rows_of(audit(model, optimizer={"a b": torch.optim.SGD(model.parameters(), lr=0.1)}))[0]
    assert json.loads(stepped["groups"]) == [{"optimizer": "a b", "group": 0}]
    assert stepped["stepped"] == "false"


def test_what_is_chosen_and_how_it_is_sorted() -> None:
    net = report()
    assert [row["path"] for row in rows_of(net, path="layers.4.*", status="frozen", sort="elements")] == [
        "layers.4.up.weight",
        "layers.4.down.weight",
        "layers.4.up.bias",
        "layers.4.norm.weight",
        "layers.4.norm.bias",
    ]
    assert {row["status"] for row in rows_of(net, status=["hidden", "buffer"])} == {"hidden", "buffer"}
    assert rows_of(net, status="unknown") == []
    with pytest.raises(GlobError):
        net.render("csv", path="nothing")
    with pytest.raises(FormatError):
        net.render("csv", status="nothing")


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_what_begins_like_a_formula_stands_behind_an_apostrophe(begin: str) -> None:
    model = nn.Module()
    model._parameters[f"{begin}1+2"] = nn.Parameter(torch.zeros(2))
    (row,) = rows_of(audit(model))
    assert row["path"] == row["name"] == f"'{begin}1+2"
    assert row["numel"] == "2"


def test_names_are_read_back_but_for_what_cannot_be_printed() -> None:
    names = ['a,"b";c', "a\nb\r\nc\rd", "层 😀", "'", " a ", "a\x1b[31mb", "a\u202eb"]
    model = nn.Module()
    for name in names:
        model._parameters[name] = nn.Parameter(torch.zeros(2))
    assert [row["name"] for row in rows_of(audit(model))] == [*names[:5], "a\\x1b[31mb", "a\\u202eb"]


def test_a_hundred_thousand_slots() -> None:
    class Four(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in "abcd":
                self.register_parameter(name, nn.Parameter(torch.empty(2, 3, device="meta")))

    model = nn.Sequential(*(nn.Sequential(*(Four() for _ in range(100))) for _ in range(250)))
    many = judge(capture(model), rules=())
    text = many.render("csv")
    assert isinstance(text, str)
    assert text.count("\r\n") == 100_001


def test_a_formula_in_a_cell_is_noticed() -> None:
    assert not is_cell_of("=1", "=1")
    assert is_cell_of("'=1", "=1")
    assert not is_cell_of("", "x")
    assert not is_cell_of("a\x1bb", "a\x1bb")
