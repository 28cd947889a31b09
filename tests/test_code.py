"""Paths become Python that can be typed in, or none at all; so does the advice for errors of targets."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from support.targets import run

from paramscope.rules.code import as_code


@pytest.mark.parametrize(
    ("path", "receiver", "code"),
    [
        ("head.weight", "", "head.weight"),
        ("layers.0.weight", "", "layers[0].weight"),
        ("0.weight", "", "model[0].weight"),
        ("stats->mean", "self", "self.stats.mean"),
        ("outer->inner->best", "self", "self.outer.inner.best"),
        ("tables[3]", "self", "self.tables[3]"),
        ("best['head.weight']", "self", "self.best['head.weight']"),
        ("lin->weight", "", "lin.weight"),
        ("::table", "self", "self.table"),
        ("", "self", "self"),
    ],
)
def test_a_path_as_code(path: str, receiver: str, code: str) -> None:
    assert as_code(path, receiver) == code
    ast.parse(f"{code} = 1")


@pytest.mark.parametrize(
    "path", ["", "members{0}", "hook-><lambda>", "a b.weight", "lambda.weight", "x[key]", "x.1a"]
)
def test_what_has_no_code(path: str) -> None:
    assert as_code(path) is None


TARGETS = {
    "several on a line": (
        "lin = nn.Linear(3, 5); lin.weight = torch.rand(5, 3); return lin",
        "lin.weight = nn.Parameter(torch.rand(5, 3))",
    ),
    "over several lines": (
        "lin = nn.Linear(3, 5)\n    lin.weight = torch.rand(\n        5,  # rows\n        3,\n    )\n    return lin",
        "lin.weight = nn.Parameter(torch.rand(5, 3))",
    ),
    "of a chain": (
        "net = nn.Sequential(nn.Linear(3, 5)); net[0].weight = torch.rand(5, 3).abs(); return net",
        "net[0].weight = nn.Parameter(torch.rand(5, 3).abs())",
    ),
    "in a tuple": (
        "lin = nn.Linear(3, 5); lin.weight, rest = torch.rand(5, 3), 1; return lin",
        "weight = nn.Parameter(…)",
    ),
    "by setattr": ("lin = nn.Linear(3, 5); setattr(lin, 'weight', torch.rand(5, 3))", "weight = nn.Parameter(…)"),
    "a keyword": (
        "m = nn.Linear(3, 5); o = torch.optim.Adam(m.parameters(), learning_rate=0.1); return m, o",
        "write o = torch.optim.Adam(m.parameters(), lr=0.1)",
    ),
}


@pytest.mark.parametrize(("body", "wanted"), TARGETS.values(), ids=TARGETS)
def test_the_advice_for_a_target_is_one_whole_statement(
    body: str, wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "net.py"
    file.write_text(f"import torch\nfrom torch import nn\n\n\ndef build():\n    {body}\n", encoding="utf-8")
    assert run("check", f"{file}:build") == 2
    assert capsys.readouterr().err.endswith(f"{wanted}\n")
