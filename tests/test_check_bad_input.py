"""What `check`, `rules` and `explain` say of bad input: a short error, what to write instead, exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.check_models import line_of, model_folder, write_models
from support.targets import run

folder = model_folder

CONTRADICTIONS = [
    (["--select", "PS999"], "error: there is no rule 'PS999'\n"),
    (["--select", "PS1O1"], "help: Did you mean PS101"),
    (["--ignore", "module-in-contaner"], "help: Did you mean module-in-container"),
    (["--select", "PS101", "--ignore", "PS101"], "error: PS101 is both selected and ignored\nhelp: Keep one"),
    (["--select", "PS101", "--ignore", "PS1"], "error: PS101 is both selected and ignored\n"),
    (["--ignore", "PS"], "error: every rule is ignored\n"),
    (
        ["--fail-on", "errors"],
        "error: --fail-on cannot be 'errors'\nhelp: Choose from error, warning, info, never.\n",
    ),
    (["-f", "serif"], "error: a check cannot be written as 'serif'\nhelp: Did you mean sarif?\n"),
    (["-f", "table"], "error: a check cannot be written as 'table'\n"),
    (["-o", "nowhere/out.json"], "error: nowhere/out.json cannot be written: nowhere is not a folder\n"),
    (["--write-baseline", "nowhere/b.json"], "error: nowhere/b.json cannot be written: nowhere is not a folder\n"),
    (
        ["--baseline", "b.json", "--write-baseline", "b.json"],
        "error: --baseline and --write-baseline contradict each other\nhelp: Write first, then read it.\n",
    ),
    (["--baseline", "none.json"], "error: none.json cannot be read: No such file or directory\n"),
    (["--baseline", "models.py"], "error: models.py is not a baseline: it is not JSON\n"),
]


@pytest.mark.parametrize(("options", "told"), CONTRADICTIONS, ids=lambda value: " ".join(value)[:40])
def test_options(folder: Path, options: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "models.py:hidden", *options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.startswith("error: ")
    assert "\nhelp: " in err
    assert "Traceback" not in err
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == ["models.py"]


@pytest.mark.parametrize(
    ("baseline", "told"),
    [
        ({"format": "paramscope.baseline", "version": 2, "findings": []}, "has version 2, and this paramscope reads version 1"),
        ({"format": "paramscope.baseline", "version": True, "findings": []}, "has version True"),
        ({"format": "paramscope.baseline", "findings": []}, "has version None"),
        ({"format": "paramscope.report", "version": 1}, "is not a paramscope baseline"),
        ([], "is not a paramscope baseline"),
        ({"format": "paramscope.baseline", "version": 1}, "is damaged: findings is not a list"),
        ({"format": "paramscope.baseline", "version": 1, "findings": [{}]}, "is damaged: findings[0] lacks one of"),
    ],
)  # fmt: skip
def test_baselines(folder: Path, baseline: object, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.json").write_text(json.dumps(baseline))
    assert run("check", "models.py:hidden", "--baseline", "b.json") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: b.json ")
    assert told in err
    assert "--write-baseline" in err


def test_a_hostile_baseline_is_no_crash(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.json").write_text("[" * 100_000)
    assert run("check", "models.py:hidden", "--baseline", "b.json") == 2
    assert capsys.readouterr().err.startswith("error: b.json is not a")


@pytest.mark.parametrize("options", [["-O", "models.py:adam"], ["--meta"], ["--values"], ["--arg", "dim=3"]])
def test_a_saved_report_builds_nothing(folder: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "models.py:hidden", "-o", "saved.json") == 0
    assert run("check", "saved.json", *options) == 2
    assert "saved.json is a saved report" in capsys.readouterr().err


def test_no_target_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check") == 2
    assert capsys.readouterr().err.startswith("error: TARGET is missing\nhelp: Write paramscope check TARGET")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("PS999", "error: there is no rule 'PS999'"),
        ("401", "help: Did you mean PS401?"),
        ("PS10", "is the beginning of"),
        ("", "error: there is no rule ''"),
        ("module-in-contaner", "help: Did you mean module-in-container"),
        ("frozen-norm", "help: Did you mean frozen-norm-updates-statistics or "),
    ],
)
def test_explain(code: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", code) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        ("# paramscope: ignore[PS101]", "the ignore of PS101 has no reason"),
        ("# paramscope: ignore", "it names no code"),
        ("# paramscope: ignore[] because", "it names no code"),
        ("# paramscope: ingore[PS101] why", "'ingore' is no word for it: did you mean ignore?"),
        ("# paramscope: ignore[PS999] why", "there is no rule 'PS999'"),
    ],
)
def test_comments(folder: Path, comment: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_models(folder, inline=comment)
    assert run("check", "models.py:hidden") == 2
    err = capsys.readouterr().err
    assert f"models.py:{line_of(folder, 'nn.Linear(4, 4),')}: " in err
    assert told in err
    assert "\nhelp: " in err


def edit_missing(path: Path) -> None:
    path.unlink()


def edit_bytes(path: Path) -> None:
    path.write_bytes(b"# -*- coding: utf-8 -*-\nx = '\xff\xfe'\n")


def edit_syntax(path: Path) -> None:
    path.write_text("class Hidden(:\n")


def edit_away(path: Path) -> None:
    path.write_text("# nothing is left\n")


def edit_nul(path: Path) -> None:
    path.write_bytes(b"\0" * 100)


def edit_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("edit", [edit_missing, edit_bytes, edit_syntax, edit_away, edit_nul, edit_folder])
def test_source_that_changed_since_the_report_was_saved(
    folder: Path, edit: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("inspect", "models.py:hidden", "-o", "saved.json") == 0
    edit(folder / "models.py")  # type: ignore[operator]
    for format_ in ("text", "json", "github", "gitlab", "sarif", "junit"):
        assert run("check", "saved.json", "--select", "PS101", "-f", format_) == 1
        out, err = capsys.readouterr()
        assert "PS101" in out
        assert err == ""


def test_source_in_another_encoding_is_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_models(folder, plain="# paramscope: ignore[PS104] gefüllt vom Lader")
    path.write_bytes(("# -*- coding: latin-1 -*-\n" + path.read_text(encoding="utf-8")).encode("latin-1"))
    assert run("check", "models.py:plain", "--select", "PS104", "--show-ignored") == 0
    assert "gefüllt vom Lader" in capsys.readouterr().out


def test_generated_source_is_no_crash(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "made.py").write_text(
        "from torch import nn\nspace = {'nn': nn}\n"
        "exec('class Made(nn.Module):\\n def __init__(self):\\n  super().__init__()\\n  self.l = [nn.Linear(2, 2)]', space)\n"
        "Made = space['Made']\nMade.__module__ = __name__\n"
    )
    assert run("check", "made.py:Made", "--select", "PS101") == 1
    out, err = capsys.readouterr()
    assert "l[0]: error PS101" in out
    assert err == ""
