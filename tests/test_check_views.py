"""Findings in the views: the block after the totals, the marks of rows, and text that fits the terminal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.drawn_findings import HOSTILE, REPORTS, finding, report
from torch import nn
from wcwidth import wcswidth

from paramscope import Finding, Location, Report, Severity, Skipped, capture
from paramscope.render._findings import counted
from paramscope.render.terminal._finding_lines import LISTED, finding_lines
from paramscope.render.terminal._layout import Screen
from paramscope.render.terminal.text import skipped_lines
from paramscope.rules.engine import NEEDED

SCREEN = Screen(80, color=False)


@pytest.mark.parametrize("format_", ["table", "tree"])
def test_the_block_stands_between_totals_and_the_rest(format_: str) -> None:
    text = report(finding()).render(format_)
    assert isinstance(text, str)
    blocks = text.split("\n\n")
    at = next(i for i, block in enumerate(blocks) if block.startswith("findings\n"))
    assert blocks[at] .rstrip("\n") == (
        "findings\n  net.py:3: error PS101 module-in-container\n    It is hidden.\n    help: Register it."
    )  # fmt: skip
    assert blocks[at - 1].startswith("trainable params: ")
    assert "findings" not in str(report().render(format_))


def test_the_worst_come_first_and_the_rest_is_counted() -> None:
    infos = [finding(severity=Severity.INFO, location=Location("net.py", line)) for line in range(1, 13)]
    lines = finding_lines(report(*infos, finding()), SCREEN)
    heads = [line for line in lines if " PS101 " in line]
    assert len(heads) == LISTED
    assert heads[0] == "  net.py:3: error PS101 module-in-container"
    assert heads[1:] == [f"  net.py:{line}: info PS101 module-in-container" for line in range(1, 10)]
    assert lines[-1] == "  … and 3 infos: paramscope check lists them"


def test_one_line_of_colour_a_severity() -> None:
    every = [finding(severity=each) for each in Severity]
    lines = finding_lines(report(*every), Screen(80, color=True))
    colours = {word: line for line in lines for word in ("error", "warning", "info") if f" {word} PS101" in line}
    assert {word: line.split("m")[0].strip() for word, line in colours.items()} == {
        "error": "\x1b[1;31",
        "warning": "\x1b[33",
        "info": "\x1b[36",
    }


def test_places_stand_in_for_a_line_that_is_not_known() -> None:
    (_, head, *_) = finding_lines(report(finding(location=None, paths=("a.b", "c"))), SCREEN)
    assert head == "  a.b and 1 more: error PS101 module-in-container"
    (_, head, *_) = finding_lines(report(finding(location=None, paths=("",))), SCREEN)
    assert head == "  the root: error PS101 module-in-container"


@settings(deadline=None)
@given(REPORTS, st.integers(min_value=40, max_value=120))
def test_whatever_is_found_fits_and_moves_no_cursor(drawn: Report, width: int) -> None:
    for lines in (
        finding_lines(drawn, Screen(width, color=False)),
        str(drawn.render("text", width=width)).splitlines(),
    ):
        for line in lines:
            assert line.isprintable()
            assert wcswidth(line) <= width


def test_hostile_words_are_spelled_out() -> None:
    text = report(finding(message=HOSTILE, location=Location(HOSTILE, 1)), target=HOSTILE).render("text", width=400)
    assert isinstance(text, str)
    assert r"\x1b[31m" in text
    assert all(line.isprintable() for line in text.split("\n"))


class Net(nn.Module):
    """Registered, hidden, and a root."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))
        self.layers = [nn.Linear(2, 2)]


def marks(*found: tuple[str, tuple[str, ...]], fold: bool = False) -> dict[str, str]:
    """Codes by path, of the rows that a table marks where findings are at these places."""
    drawn = Report(capture(Net()), findings=tuple(finding(code=code, paths=paths) for code, paths in found))
    text = drawn.render("table", fold=fold, width=200, columns="findings")
    assert isinstance(text, str)
    rows = [line.split() for line in text.split("\n\n")[1].splitlines()[2:]]
    return {row[0]: " ".join(row[2:] if row[1:2] and row[1][0] in "!×" else row[1:]) for row in rows if len(row) > 1}


def test_slots_are_marked_with_their_codes() -> None:
    assert marks() == {}
    assert marks(("PS501", ("body.0.weight",)), ("PS101", ("body.0.weight", "body.0.bias"))) == {
        "body.0.weight": "PS501 PS101",
        "body.0.bias": "PS101",
    }


def test_what_lies_below_a_module_is_marked_with_it() -> None:
    assert marks(("PS110", ("body.1",)), ("PS101", ("layers[0]",)), ("PS501", ("body.1.0.bias",))) == {
        "body.1.0.weight": "PS110",
        "body.1.0.bias": "PS501 PS110",
        "layers[0].weight": "PS101",
        "layers[0].bias": "PS101",
    }


def test_the_root_an_optimizer_and_what_is_gone_mark_nothing() -> None:
    assert marks(("PS208", ("",)), ("PS402", ("optimizer[0].groups[0][3]",)), ("PS101", ("gone.weight",))) == {}


class Stack(nn.Module):
    """Blocks that fold."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(2, 2)) for _ in range(4))


def drawn(format_: str, *found: Finding) -> str:
    options = {"width": 120} if format_ in ("table", "tree") else {}
    shown = Report(capture(Stack()), findings=found).render(format_, **options)
    assert isinstance(shown, str)
    return shown


def test_folded_rows_are_marked() -> None:
    slot = finding(code="PS501", paths=("blocks.2.0.weight",))
    block = finding(code="PS209", paths=("blocks.1",))
    table = drawn("table", slot, block)
    # One of the four is named: it stands apart. A block that is one of four marks no row of all four.
    assert "blocks.[0-1,3].0.weight ×3 " in table
    assert "blocks.2.0.weight !PS501 " in table
    assert "blocks.[0-3].0.bias ×4 " in table
    assert "!PS209" not in table
    assert "!PS501: see findings" in table
    tree = drawn("tree", slot, block)
    assert "blocks.[0-3].0: Linear ×4 !PS209" in tree
    assert "blocks.[0-1,3].0.weight ×3  2×2" in tree
    assert "blocks.2.0.weight !PS501  2×2" in tree
    assert "!PS501: see findings" in tree
    assert "!PS" not in drawn("table") + drawn("tree")
    everywhere = finding(code="PS209", paths=tuple(f"blocks.{i}" for i in range(4)))
    assert drawn("table", everywhere).count("×4 !PS209 ") == 2
    each = finding(code="PS501", paths=tuple(f"blocks.{i}.0.weight" for i in range(4)))
    assert "blocks.[0-3].0.weight ×4 !PS501 " in drawn("table", each)


def test_of_many_codes_the_worst_are_shown() -> None:
    codes = ["PS501", "PS502", "PS503", "PS504"]
    severities = [Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.INFO]
    several = [
        finding(code=code, severity=severity, paths=("blocks.0.0.bias",))
        for code, severity in zip(codes, severities, strict=True)
    ]
    assert "blocks.0.0.bias !PS503,PS502+2 " in drawn("table", *several)


def test_a_document_marks_its_rows_too() -> None:
    found = finding(code="PS501", paths=("blocks.2.0.weight",))
    assert "!PS501: see findings" in drawn("html", found).replace("</code>", "").replace("<code>", "")
    assert "!PS501" in drawn("markdown", found)


def test_what_was_skipped_is_told_in_a_line_for_each_want() -> None:
    skipped = [Skipped(f"PS40{n}", NEEDED["optimizer"]) for n in range(3)]
    skipped += [Skipped("PS506", NEEDED["values"]), Skipped("PS302", "1,000 views were not compared")]
    assert skipped_lines([("a", skipped), ("b", skipped)], 80) == [
        "not checked: 3 rules need an optimizer (-O), 1 rule needs values (--values)",
        "skipped: PS302: 1,000 views were not compared",
    ]
    went_on = [
        Skipped("PS702", NEEDED["backward"]),
        Skipped("PS703", NEEDED["backward"]),
        Skipped("PS706", NEEDED["step"]),
    ]
    assert skipped_lines([("a", [Skipped("PS701", NEEDED["run"]), *went_on])], 80) == [
        "not checked: 4 rules need a run (--run)"
    ]
    assert skipped_lines([("a", went_on)], 200) == [
        "not checked: 2 rules need a run of backward (--run backward), 1 rule needs a run of step (--run step)"
    ]
    assert skipped_lines([("a", skipped), ("b", skipped[3:-1])], 100) == [
        "not checked for a: 3 rules need an optimizer (-O), 1 rule needs values (--values)",
        "skipped for a: PS302: 1,000 views were not compared",
        "not checked for b: 1 rule needs values (--values)",
    ]
    assert skipped_lines([("a", [])], 80) == []
    assert len(skipped_lines([("a", [Skipped(f"X{n}", "why") for n in range(30)])], 80)) == LISTED + 1


def test_findings_are_counted_by_severity() -> None:
    assert counted([finding(), finding(severity=Severity.INFO), finding()]) == "2 errors, 1 info"
    assert counted([]) == ""
