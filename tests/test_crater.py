"""The corpus of packages, without the packages: what is kept, how it is judged, and that a run can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from crater.__main__ import main
from crater.built import Built, total
from crater.guess import arguments, inputs
from crater.look import Looker
from crater.page import page
from crater.records import Found, Outcome, read, read_all
from crater.task import swept
from crater.verdicts import Verdict, judged, verdicts
from torch import nn


class Plain(nn.Module):
    """Leaves a tensor behind."""

    def __init__(self, in_channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.net = nn.Linear(in_channels, num_classes)
        self.drop = nn.Dropout(dropout)
        self.scale = torch.ones(num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.net(x)) * self.scale


def outcome() -> Outcome:
    """What comes of a package whose one class is the one above."""
    found = Outcome("here", distribution="here", version="1.0")
    looker = Looker(found, lambda cls: cls.endswith("Plain"))
    swept(looker, Plain, {})
    return found


def given(verdict: str, classes: str = "*.Plain") -> Verdict:
    """A verdict of what is found in it."""
    return Verdict("PS104", (classes,), verdict, "here.py:3", "because", "it raises", "raise")


def test_a_class_is_built_by_its_arguments_names() -> None:
    assert arguments(Plain, {"num_classes": 3}) == {"in_channels": 16, "num_classes": 3, "dropout": 0.1}
    with pytest.raises(LookupError, match="mode"):
        arguments(type("Odd", (nn.Module,), {"__init__": lambda self, mode: None}), {})


def test_a_class_is_audited_in_every_state_and_once_for_a_rule() -> None:
    found = outcome()
    assert (found.audits, found.steps, len(found.roots), found.wrong) == (4, 1, 1, [])
    (finding,) = found.found
    assert (finding.code, finding.severity, finding.times, finding.state) == ("PS104", "warning", 4, "fresh")
    assert finding.cls.endswith("Plain")


def test_a_finding_belongs_to_the_class_that_owns_the_place() -> None:
    found = Outcome("here")
    Looker(found, lambda cls: True).look("two", Built(nn.Sequential(nn.ModuleList([Plain(16, 2, 0.0)]))))
    assert [each.cls.rpartition(".")[2] for each in found.found] == ["Plain"]


def test_an_input_is_guessed_for_a_forward_of_one_or_two() -> None:
    assert {len(many) for many in inputs(nn.Linear(2, 2))} == {1}
    assert {len(many) for many in inputs(nn.Bilinear(2, 2, 2))} == {2}
    assert total({"x": torch.ones(2)}) is None


def test_an_outcome_is_kept_as_json(tmp_path: Path) -> None:
    found = outcome()
    found.write(tmp_path)
    assert read(tmp_path / "here.json") == found
    assert read_all(tmp_path) == [found]


@pytest.mark.parametrize(
    ("known", "kind", "is_good"),
    [
        ([], "not judged", False),
        ([given("meant")], "meant", False),
        ([given("doubtful")], "doubtful", False),
        ([given("bug", "*.Other")], "not judged", False),
        ([given("bug")], "bug", True),
        ([given("true"), given("meant")], "true", True),
    ],
)
def test_what_is_left_unproven_fails_a_run(known: list[Verdict], kind: str, *, is_good: bool) -> None:
    result = judged([outcome()], known)
    assert [each.kind for each in result.all] == [kind]
    assert result.is_good is is_good
    text = page([outcome()], result)
    assert ("because" in text) is (kind != "not judged")
    assert ("/site-packages/" in text) is False


def test_a_class_met_in_two_packages_counts_once() -> None:
    one, other = outcome(), outcome()
    other.name = "there"
    (each,) = judged([one, other], []).all
    assert each.packages == ("here", "there")


def test_a_verdict_of_nothing_is_said() -> None:
    stale = given("bug", "*.Gone")
    assert judged([outcome()], [stale]).stale == (stale,)


def test_the_verdicts_that_were_given_can_be_read() -> None:
    found = verdicts()
    assert found
    assert all(verdict.where and verdict.why for verdict in found)
    assert all(verdict.proof and verdict.breaks for verdict in found if verdict.verdict == "bug")


def test_the_command_judges_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome().write(tmp_path)
    monkeypatch.setattr("crater.verdicts.verdicts", list)
    arguments = ["--judge", "--keep", str(tmp_path), "--write", str(tmp_path / "page.md")]
    assert main(arguments) == 1
    assert "not judged: PS104" in capsys.readouterr().out
    monkeypatch.setattr("crater.verdicts.verdicts", lambda: [given("bug")])
    assert main(arguments) == 0
    assert Found(**vars(outcome().found[0])).cls in (tmp_path / "page.md").read_text(encoding="utf-8")
