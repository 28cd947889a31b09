"""Rules of sharing where a fixture cannot show it: what FSDP marks, what was not decided, and what a search costs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import paramscope.analysis.overlap
from paramscope import Snapshot, capture
from paramscope.rules.discovery import discover
from paramscope.rules.engine import check
from paramscope.snapshot import Oddity
from paramscope.snapshot.data import SnapshotData

RULES = {loaded.rule.code: loaded for loaded in discover().rules}


def found(snapshot: Snapshot, *codes: str) -> list[tuple[str, tuple[str, ...]]]:
    """(code, paths) of what some rules find."""
    return [(each.code, each.paths) for each in check(snapshot, [RULES[code] for code in codes]).findings]


def marked(model: nn.Module, *paths: str) -> Snapshot:
    """A snapshot in which some slots are made anew before each forward, as those of FSDP are."""
    snapshot = capture(model)
    oddities = (*snapshot.oddities, *(Oddity(path, "recomputed", "fsdp", None) for path in paths))
    facts: dict[str, Any] = {name: getattr(snapshot, name) for name in SnapshotData.__slots__ if name[0] != "_"}
    return Snapshot(**{**facts, "oddities": oddities})


class Views(nn.Module):
    """Aliases, overlaps and views of one block."""

    def __init__(self) -> None:
        super().__init__()
        block = torch.zeros(4, 4)
        self.whole = nn.Parameter(block)
        self.again = nn.Parameter(block.t(), requires_grad=False)
        self.rows = nn.Parameter(block[:2])
        self.kept = block[1]


ALL = ("PS301", "PS302", "PS306", "PS307", "PS309")


def test_what_fsdp_makes_anew_is_no_parameter_of_its_own() -> None:
    model = Views()
    assert {code for code, _ in found(capture(model), *ALL)} == {"PS302", "PS306", "PS307"}
    assert found(marked(model, "again", "rows"), *ALL) == [("PS307", ("kept", "whole"))]
    assert found(marked(model, "whole", "again", "rows"), *ALL) == []
    assert found(marked(model, "kept", "again", "rows"), *ALL) == []


def test_all_rules_together_name_each_cause_once() -> None:
    codes = tuple(code for code in RULES if code.startswith("PS3") and RULES[code].rule.needs is None)
    assert found(capture(Views()), *codes) == [
        ("PS302", ("whole", "again", "rows")),
        ("PS306", ("again", "whole")),
        ("PS307", ("kept", "whole", "again", "rows")),
    ]


def hard(model: nn.Module) -> nn.Module:
    """Views whose strides make it hard to tell whether they meet, or repeat an element."""
    block = torch.zeros(200_000)
    sizes, strides = (9,) * 5, (2_003, 1_511, 1_009, 601, 211)
    for number in range(3):
        view = torch.as_strided(block, sizes, strides, 17 * number)
        setattr(model, f"p{number}", nn.Parameter(view, requires_grad=False))
    return model


def test_what_is_past_the_bounds_is_skipped_and_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paramscope.analysis.overlap, "WORK_BOUND", 10)
    monkeypatch.setattr(paramscope.analysis.overlap, "RUN_BOUND", 10)
    snapshot = capture(hard(nn.Module()))
    assert [note.kind for note in snapshot.notes].count("overlap") >= 2
    checked = check(snapshot, [RULES["PS302"], RULES["PS303"]])
    assert checked.findings == ()
    assert {skipped.code for skipped in checked.skipped} == {"PS302", "PS303"}
    assert all("was not decided" in skipped.reason for skipped in checked.skipped)


def test_what_was_not_decided_of_buffers_and_attributes_is_nobody_s_concern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paramscope.analysis.overlap, "WORK_BOUND", 10)
    monkeypatch.setattr(paramscope.analysis.overlap, "RUN_BOUND", 10)
    model = nn.Module()
    for name, parameter in list(hard(nn.Module()).named_parameters()):
        setattr(model, name, parameter.data)
    checked = check(capture(model), [RULES["PS302"], RULES["PS303"]])
    assert (checked.findings, checked.skipped) == ((), ())


def test_thousands_of_views_of_one_block_take_no_longer_than_they_should() -> None:
    model: Any = nn.Module()
    flat: Any = torch.zeros(40_000)
    for number in range(8_000):
        setattr(model, f"p{number}", nn.Parameter(flat[5 * number : 5 * number + 5]))
    model.flat = flat
    model.views = [flat[5 * number + 1 : 5 * number + 7] for number in range(7_998)]
    snapshot = capture(model)
    findings = found(snapshot, *ALL)  # each view against each parameter would take minutes
    assert [(code, len(paths)) for code, paths in findings] == [("PS307", 8_001), ("PS307", 7_998 + 7_999)]


def test_declarations_that_cannot_be_told_are_one_line_for_each_reason() -> None:
    model: Any = nn.ModuleDict({name: nn.Linear(2, 2, device="meta") for name in "abc"})
    model.all_tied_weights_keys = {"b.weight": "a.weight", "c.weight": "a.weight", "x.weight": "a.weight"}
    checked = check(capture(model), [RULES["PS304"]])
    assert checked.findings == ()
    assert [skipped.reason for skipped in checked.skipped] == [
        "b.weight and a.weight (and 1 more): both are on the meta device, to be tied when they are loaded",
        "x.weight and a.weight: no two slots have these names",
    ]
