"""Declared exceptions: comments, pyproject.toml and baselines, what they accept, and when they are told to be stale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.check_models import forget_imports, line_of, model_folder, write_models
from support.targets import run

from paramscope import Finding, Report, Severity
from paramscope.config import DeclaredIgnore
from paramscope.exceptions.apply import Exceptions, apply, overridden
from paramscope.exceptions.baseline import read_baseline, to_baseline, write_baseline
from paramscope.exceptions.fingerprint import fingerprint, fingerprints
from paramscope.source.comments import ignores_at, to_comment

folder = model_folder
ONLY = ("--select", "PS101,PS104")


def finding(*paths: str, code: str = "PS104", severity: Severity = Severity.WARNING) -> Finding:
    """A finding without a line."""
    return Finding(code, "plain-tensor-attribute", severity, "It stays behind.", paths)


def check_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Report, str]:
    """(exit code, report, what stands on stderr) of a check."""
    code = run("check", *arguments, "-f", "json")
    out, err = capsys.readouterr()
    return code, Report.from_json(out), err


# Comments.


@pytest.mark.parametrize(
    ("text", "codes", "reason"),
    [
        ("# paramscope: ignore[PS104] filled by the loader", ("PS104",), "filled by the loader"),
        ("#paramscope:ignore[ps104]:  why", ("PS104",), "why"),
        ("# noqa: E501  # paramscope: ignore[PS104, PS1] - both", ("PS104", "PS1"), "both"),
        ("# paramscope: ignore [PS104] see [1]", ("PS104",), "see [1]"),
    ],
)
def test_a_comment_is_read(text: str, codes: tuple[str, ...], reason: str) -> None:
    comment = to_comment(text)
    assert comment is not None
    assert (comment.codes, comment.reason, comment.problem) == (codes, reason, "")


@pytest.mark.parametrize(
    "text", ["# paramscope is good", "# paramscope: the tool", "# ignore[PS104] x", "# noqa", "#"]
)
def test_a_comment_that_is_not_for_us(text: str) -> None:
    assert to_comment(text) is None


@given(st.text())
def test_no_comment_is_a_crash(text: str) -> None:
    for prefix in ("#", "# paramscope: ", "# paramscope: ignore", "# paramscope: ignore["):
        comment = to_comment(prefix + text)
        assert comment is None or comment.problem or (comment.codes and comment.reason)


def test_comments_on_any_line_of_the_statement_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "x = 1  # paramscope: ignore[PS101] before\n"
        "y = [\n"
        "    '# paramscope: ignore[PS102] in a text',\n"
        "    2,  # paramscope: ignore[PS103] within\n"
        "]  # paramscope: ignore[PS104] at its end\n"
        "z = 3  # paramscope: ignore[PS105] after\n"
        "for a in y:  # paramscope: ignore[PS106] the head\n"
        "    b = a  # paramscope: ignore[PS107] the body\n"
    )
    found = {line: [comment.codes[0] for comment in ignores_at(str(path), line)] for line in range(1, 9)}
    assert found[2] == ["PS103", "PS104"]
    assert found[1] == ["PS101"]
    assert found[6] == ["PS105"]
    assert found[7] == ["PS106"]
    assert found[8] == ["PS107"]


@pytest.mark.parametrize("where", ["inline", "plain"])
def test_a_comment_accepts_the_finding_of_its_line(
    folder: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = {"inline": "PS101", "plain": "PS104"}[where]
    write_models(folder, **{where: f"# paramscope: ignore[{code}] because I say so"})
    exit_code, report, err = check_json(capsys, "models.py:both", *ONLY)
    assert exit_code == 1
    assert [each.code for each in report.ignored] == [code]
    assert [each.code for each in report.findings] == [{"PS101", "PS104"}.difference({code}).pop()]
    assert err == ""


def test_a_comment_for_another_rule_accepts_nothing_and_is_stale(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_models(folder, plain="# paramscope: ignore[PS101] not this one")
    exit_code, report, err = check_json(capsys, "models.py:plain", *ONLY)
    assert (exit_code, len(report.ignored)) == (1, 0)
    line = line_of(folder, "self.mask")
    assert err == f"warning: models.py:{line}: ignore[PS101] matches nothing any more: take it out\n"


def test_stale_comments_never_fail_a_check_and_are_judged_over_all_targets(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_models(folder, inline="# paramscope: ignore[PS104] mistaken")
    assert run("check", "models.py:hidden", "--select", "PS104") == 0
    assert "matches nothing" in capsys.readouterr().err
    # A rule that is not asked cannot tell, and neither can a model without that class.
    assert run("check", "models.py:hidden", "--select", "PS102") == 0
    assert run("check", "models.py:clean", "--select", "PS104") == 0
    assert capsys.readouterr().err == ""


def test_ignored_findings_are_counted_and_listed_on_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_models(folder, plain="# paramscope: ignore[PS104] filled by the loader")
    assert run("check", "models.py:plain", *ONLY) == 0
    out = capsys.readouterr().out
    assert out == "models.py:plain: nothing found, 2 rules asked, 1 ignored (--show-ignored lists\n  them)\n"
    assert run("check", "models.py:plain", *ONLY, "--show-ignored") == 0
    out = capsys.readouterr().out
    assert "warning PS104 plain-tensor-attribute" in out
    assert f"  ignored: filled by the loader (models.py:{line_of(folder, 'self.mask')})" in out


# pyproject.toml.


def declare(folder: Path, *entries: str, more: str = "") -> None:
    """A pyproject.toml with these ignores."""
    (folder / "pyproject.toml").write_text(f"[tool.paramscope]\nignore = [{', '.join(entries)}]\n{more}\n")


@pytest.mark.parametrize(
    ("entry", "ignored"),
    [
        ('{code = "PS104", reason = "r"}', ["PS104"]),
        ('{code = "PS1", reason = "r"}', ["PS101", "PS104"]),
        ('{code = "plain-tensor-attribute", reason = "r"}', ["PS104"]),
        ('{code = "PS104", path = "plain.*", reason = "r"}', ["PS104"]),
        ('{code = "PS104", path = "hidden.*", reason = "r"}', []),
        ('{code = "PS104", target = "models.py:*", reason = "r"}', ["PS104"]),
        ('{code = "PS104", target = "other.py:*", reason = "r"}', []),
        ('{code = "PS104", file = "models.py", reason = "r"}', ["PS104"]),
        ('{code = "PS104", file = "third_party/*", reason = "r"}', []),
    ],
)
def test_a_declared_ignore(folder: Path, entry: str, ignored: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    declare(folder, entry)
    _, report, _ = check_json(capsys, "models.py:both", *ONLY)
    assert [each.code for each in report.ignored] == ignored
    assert sorted([each.code for each in report.findings] + ignored) == ["PS101", "PS104"]


def test_an_ignore_that_matches_nothing_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(
        folder,
        '{code = "PS104", path = "gone.*", target = "models.py:*", reason = "r"}',
        '{code = "PS101", target = "x.py:*", reason = "r"}',
        # These may be meant for a target that is not checked this time.
        '{code = "PS101", path = "decoder.*", reason = "r"}',
        '{code = "PS101", reason = "r"}',
    )
    exit_code, _, err = check_json(capsys, "models.py:clean", *ONLY)
    assert exit_code == 0
    assert err == "warning: pyproject.toml: ignore[0]: PS104 at gone.* matches nothing any more: take it out\n"


@pytest.mark.parametrize("key", ["select = ['PS999']", "severity = {PS999 = 'error'}", "fail-on = 'errors'"])
def test_a_wrong_configuration_exits_2(folder: Path, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.paramscope]\n{key}\n")
    assert run("check", "models.py:clean") == 2
    assert capsys.readouterr().err.startswith("error: pyproject.toml:2:")


def test_an_unknown_code_in_an_ignore_exits_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(folder, '{code = "PS1O4", reason = "r"}')
    assert run("check", "models.py:clean") == 2
    err = capsys.readouterr().err
    assert err == "error: pyproject.toml:2:11: ignore[0]: there is no rule 'PS1O4'\nhelp: Did you mean PS104?\n"


def test_places_are_covered_together_or_not_at_all() -> None:
    one = DeclaredIgnore("PS104", "one", ("a.*",), origin="0")
    two = DeclaredIgnore("PS1", "two", ("b.*",), origin="1")
    found = [finding("a.x", "b.x"), finding("a.x"), finding("a.x", "c.x"), finding("b.y", code="PS201")]
    applied = apply(found, Exceptions((one, two)), "net.py:Net")
    assert [each.finding for each in applied.ignored] == found[:2]
    assert applied.findings == tuple(found[2:])
    assert applied.ignores == {0: 2, 1: 1}


def test_an_ignore_that_covers_some_places_only_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(folder, '{code = "PS101", path = "0.*", reason = "r"}')
    exit_code, report, err = check_json(capsys, "models.py:sized", "--arg", "dim=2", *ONLY)
    assert exit_code == 1
    assert [each.paths for each in report.findings] == [("0.layers[0]", "1.layers[0]")]
    assert "PS101 at 0.* covers some places of a finding and not all, so the finding stands" in err


def test_severities_are_overridden() -> None:
    found = (
        finding("a", severity=Severity.INFO),
        finding("b", severity=Severity.WARNING),
        finding("c", code="PS101", severity=Severity.ERROR),
        finding("d", code="PS101", severity=Severity.WARNING),
        finding("e", code="PS501", severity=Severity.ERROR),
    )
    own = {"PS104": Severity.WARNING, "PS101": Severity.ERROR, "PS501": Severity.ERROR}
    told = overridden(found, {"PS104": Severity.ERROR, "PS101": Severity.INFO}, own)
    assert {each.paths[0]: each.severity.value for each in told} == {
        "a": "info",  # what a rule only mentions is not raised with it
        "b": "error",
        "c": "info",
        "d": "info",
        "e": "error",
    }
    assert [each.severity.rank for each in told] == sorted((each.severity.rank for each in told), reverse=True)


def test_a_lowered_rule_fails_no_check(folder: Path) -> None:
    assert run("check", "models.py:hidden", *ONLY) == 1
    (folder / "pyproject.toml").write_text("[tool.paramscope]\nseverity = { PS1 = 'info' }\n")
    assert run("check", "models.py:hidden", *ONLY) == 0


# Baselines.


def test_a_baseline_accepts_what_was_found_and_nothing_new(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "models.py:hidden", *ONLY, "--write-baseline", "b.json") == 0
    assert capsys.readouterr().err == (
        "b.json: 1 finding written; paramscope check --baseline b.json accepts what is in it\n"
    )
    path = folder / "models.py"
    path.write_text("# moved\n\n\n" + path.read_text())
    forget_imports()
    exit_code, report, err = check_json(capsys, "models.py:hidden", *ONLY, "--baseline", "b.json")
    assert (exit_code, len(report.ignored), err) == (0, 1, "")
    # Another target has findings of its own.
    exit_code, report, _ = check_json(capsys, "models.py:both", *ONLY, "--baseline", "b.json")
    assert (exit_code, len(report.ignored), len(report.findings)) == (1, 0, 2)
    text = path.read_text()
    path.write_text(text.replace("nn.Linear(4, 4),", "nn.Linear(4, 4), nn.Linear(4, 4),"))
    forget_imports()
    exit_code, report, err = check_json(capsys, "models.py:hidden", *ONLY, "--baseline", "b.json")
    assert (exit_code, len(report.findings)) == (1, 1)
    assert "1 entry matches nothing any more (PS101 at layers[0])" in err


def test_a_mended_finding_leaves_a_stale_entry(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "models.py:both", *ONLY, "--write-baseline", "b.json") == 0
    capsys.readouterr()
    path = folder / "models.py"
    path.write_text(path.read_text().replace("self.mask = torch.ones(4, 4)", "pass"))
    forget_imports()
    exit_code, _, err = check_json(capsys, "models.py:both", *ONLY, "--baseline", "b.json")
    assert exit_code == 0
    assert err == "warning: b.json: 1 entry matches nothing any more (PS104 at plain.mask): write it anew\n"
    assert check_json(capsys, "models.py:both", "--select", "PS101", "--baseline", "b.json")[2] == ""
    assert check_json(capsys, "models.py:clean", *ONLY, "--baseline", "b.json")[2] == ""


def test_a_baseline_leaves_other_exceptions_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_models(folder, plain="# paramscope: ignore[PS104] reason")
    assert run("check", "models.py:both", *ONLY, "--write-baseline", "b.json") == 0
    out, err = capsys.readouterr()
    assert "2 ignored" in out
    assert "matches nothing" not in err
    assert [each["code"] for each in json.loads((folder / "b.json").read_text())["findings"]] == ["PS101"]


NAMES = st.lists(st.text(max_size=6), min_size=1, max_size=3).map(tuple)
FINDINGS = st.lists(st.tuples(st.sampled_from(["PS101", "PS104"]), NAMES), max_size=6)


@given(FINDINGS)
def test_a_baseline_accepts_exactly_what_it_was_written_of(tmp_path_factory: object, drawn: list[Any]) -> None:
    found = [finding(*paths, code=code) for code, paths in drawn]
    baseline = to_baseline([("net.py:Net", found)])
    path = tmp_path_factory.getbasetemp() / "drawn.json"  # type: ignore[attr-defined]
    path.write_text(write_baseline(baseline))
    read = read_baseline(path)
    assert read.entries == baseline.entries
    applied = apply(found, Exceptions((), read), "net.py:Net")
    assert applied.findings == ()
    assert len(applied.ignored) == len(found)
    assert apply(found, Exceptions((), read), "net.py:Other").findings == tuple(found)
    # One more of what was accepted is one too many.
    assert len(apply([*found, *found[:1]], Exceptions((), read), "net.py:Net").findings) == len(found[:1])


@given(FINDINGS, FINDINGS)
def test_fingerprints_agree_just_where_findings_do(left: list[Any], right: list[Any]) -> None:
    one = [finding(*paths, code=code) for code, paths in left]
    other = [finding(*paths, code=code) for code, paths in right]
    for a in one:
        for b in other:
            same = (a.code, a.paths) == (b.code, b.paths)
            assert (fingerprint(a, "t") == fingerprint(b, "t")) is same
    assert len(set(fingerprints(one, "t"))) == len(one)


def test_fingerprints_do_not_know_lines_files_and_words() -> None:
    one = finding("a.x")
    other = one._replace(message="Reworded.", help="Else.", severity=Severity.ERROR)
    assert fingerprint(one, "./net.py:Net") == fingerprint(other, "net.py:Net")
    assert fingerprint(one, "net.py:Net") != fingerprint(one, "net.py:Other")
    assert fingerprint(finding("\ud800"), "t") != fingerprint(finding("\udfff"), "t")
