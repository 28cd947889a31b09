"""`paramscope check`: what people read, what it exits with, and which rules are asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.check_models import line_of, model_folder
from support.targets import run
from wcwidth import wcswidth

from paramscope import Report

folder = model_folder
ROOT = Path(__file__).parent.parent


def test_the_fixture_of_a_rule_names_slot_shapes_and_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert run("check", "fixtures/rules/ps501.py:bad") == 1
    out = capsys.readouterr().out
    lines = (ROOT / "fixtures/rules/ps501.py").read_text(encoding="utf-8").splitlines()
    blamed = next(number for number, line in enumerate(lines, 1) if line.endswith("# blame: bad"))
    assert f"fixtures/rules/ps501.py:{blamed}: error PS501" in out
    for word in ("lin.weight", "3×5", "5×3"):
        assert word in out
    assert run("check", "fixtures/rules/ps501.py:good") == 0


def test_what_a_person_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "models.py:both", "--select", "PS101,PS104") == 1
    out, err = capsys.readouterr()
    assert err == ""
    blocks = out.split("\n\n")
    assert blocks[0].startswith(f"models.py:{line_of(folder, 'self.layers')}: error PS101 module-in-container\n  ")
    assert "\n  help: " in blocks[0]
    assert blocks[1].startswith(f"models.py:{line_of(folder, 'self.mask')}: warning PS104 plain-tensor-attribute\n  ")
    assert blocks[2] == "models.py:both: 1 error, 1 warning\n"
    assert len(blocks) == 3


def test_nothing_found_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "models.py:clean", "--select", "PS101,PS104") == 0
    assert capsys.readouterr() == ("models.py:clean: nothing found, 2 rules asked\n", "")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(
    folder: Path, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert run("check", "models.py:both", "models.py:sized", "--arg", "dim=3", "--select", "PS1") == 2
    assert run("check", "models.py:both", "models.py:hidden", "--select", "PS1") == 1
    assert max(map(wcswidth, capsys.readouterr().out.splitlines())) <= width


@pytest.mark.parametrize(
    ("target", "fail_on", "code"),
    [
        ("hidden", None, 1),
        ("hidden", "error", 1),
        ("hidden", "never", 0),
        ("plain", None, 1),
        ("plain", "error", 0),
        ("plain", "warning", 1),
        ("plain", "info", 1),
        ("plain", "never", 0),
        ("clean", "info", 0),
    ],
)
def test_the_exit_code(folder: Path, target: str, fail_on: str | None, code: int) -> None:
    options = [] if fail_on is None else ["--fail-on", fail_on]
    assert run("check", f"models.py:{target}", "--select", "PS101,PS104", *options) == code


def test_the_configuration_may_say_what_fails(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.paramscope]\nfail-on = "error"\nselect = ["PS104"]\n')
    assert run("check", "models.py:plain") == 0
    assert run("check", "models.py:plain", "--fail-on", "warning") == 1


def test_info_fails_only_where_that_is_asked_for(folder: Path) -> None:
    (folder / "net.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.one = torch.ones(())\n"
    )
    assert run("check", "net.py:Net", "--select", "PS104") == 0
    assert run("check", "net.py:Net", "--select", "PS104", "--fail-on", "info") == 1


def test_several_targets_are_told_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "models.py:clean", "models.py:hidden", "models.py:plain", "--select", "PS101,PS104") == 1
    out = capsys.readouterr().out
    assert out.index("models.py:hidden\n") < out.index("PS101") < out.index("models.py:plain\n") < out.index("PS104")
    assert out.endswith(
        "models.py:clean: nothing found, 2 rules asked\nmodels.py:hidden: 1 error\nmodels.py:plain: 1 warning\n"
        "3 targets: 1 error, 1 warning\n"
    )


def test_an_optimizer_that_fits_one_target_only_fails_for_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "make.py").write_text(
        "import torch\n\ndef make(model):\n    return torch.optim.SGD([{'params': model.lin.parameters()}], lr=0.1)\n"
    )
    assert run("check", "models.py:plain", "models.py:clean", "-O", "make.py:make", "--select", "PS104") == 2
    out, err = capsys.readouterr()
    assert out.endswith("models.py:plain: 1 warning\n2 targets, 1 of them failed: 1 warning\n")
    assert err.startswith("error: models.py:clean: make.py:make raised AttributeError\nTraceback")
    assert err.endswith(
        "help: The error is in make.py:make, called with the Linear of models.py:clean: mend that first.\n"
    )


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        (["--select", "PS101"], {"PS101"}),
        (["--select", "ps101"], {"PS101"}),
        (["--select", "plain-tensor-attribute"], {"PS104"}),
        (["--select", "PS10"], {"PS101", "PS104"}),
        (["--select", "PS1", "--ignore", "PS104"], {"PS101"}),
        (["--select", "PS101", "--select", "PS104"], {"PS101", "PS104"}),
        (["--select", "PS1", "--ignore", "PS102,PS103,PS101"], {"PS104"}),
    ],
)
def test_rules_are_chosen(
    folder: Path, options: list[str], codes: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", "models.py:both", *options, "-f", "json") == 1
    assert {finding.code for finding in Report.from_json(capsys.readouterr().out).findings} == codes


def test_what_needs_an_optimizer_is_said_to_be_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from paramscope.rules.discovery import discover

    needy = [loaded.rule.code for loaded in discover().rules if loaded.rule.needs == "optimizer"]
    if not needy:
        pytest.skip("no rule needs an optimizer")
    assert run("check", "models.py:clean") == 0
    assert f"not checked: {len(needy)} rules need an optimizer (-O)" in capsys.readouterr().out
    run("check", "models.py:clean", "-O", "models.py:adam")
    assert "(-O)" not in capsys.readouterr().out


def test_values_are_looked_at_on_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "nan.py").write_text(
        "import torch\nfrom torch import nn\n\ndef build():\n    net = nn.Linear(2, 2)\n"
        "    net.weight.data[0, 0] = float('nan')\n    return net\n"
    )
    assert run("check", "nan.py:build") == 0
    assert "(--values)" in capsys.readouterr().out
    assert run("check", "nan.py:build", "--values", "--select", "PS506") == 1
    out = capsys.readouterr().out
    assert "error PS506" in out
    assert "(--values)" not in out


def test_json_of_one_target_is_its_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "models.py:both", "-f", "json", "--select", "PS101") == 1
    report = Report.from_json(capsys.readouterr().out)
    assert [(each.code, each.paths) for each in report.findings] == [("PS101", ("hidden.layers[0]",))]
    assert report.target == "models.py:both"


def test_a_saved_report_is_told_from_its_target(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models.py:hidden", "-o", "old.json") == 0
    assert run("check", "models.py:hidden", "old.json", "--select", "PS101") == 1
    out = capsys.readouterr().out
    assert "\nmodels.py:hidden: 1 error\nold.json (models.py:hidden): 1 error\n2 targets" in out
    assert "\nold.json (models.py:hidden)\n" in out
    for format in ("github", "junit"):
        assert run("check", "models.py:hidden", "old.json", "--select", "PS101", "-f", format) == 1
        assert "old.json (models.py:hidden)" in capsys.readouterr().out
    # Whatever is read, what was accepted of a target is accepted of its report.
    assert run("check", "models.py:hidden", "--select", "PS101", "--write-baseline", "accepted.json") == 0
    assert run("check", "old.json", "--select", "PS101", "--baseline", "accepted.json") == 0
    capsys.readouterr()
    assert run("check", "models.py:hidden", "models.py:nope", "none.py:build") == 2
    err = capsys.readouterr().err
    assert "error: models.py has no 'nope'" in err
    assert "error: none.py does not exist" in err


def test_json_of_several_targets_holds_their_reports(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "models.py:hidden", "models.py:clean", "-f", "json", "--select", "PS101") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["version"]) == ("paramscope.reports", 1)
    reports = [Report.from_json(json.dumps(each)) for each in found["reports"]]
    assert [(each.target, len(each.findings)) for each in reports] == [
        ("models.py:hidden", 1),
        ("models.py:clean", 0),
    ]


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.json", '{"format"'), ("a.sarif", '{\n "$schema"'), ("a.xml", "<?xml"), ("a.txt", "models.py:")],
)
def test_the_ending_of_the_output_tells_the_format(
    folder: Path, name: str, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", "models.py:hidden", "-o", name) == 1
    assert (folder / name).read_text(encoding="utf-8").startswith(start)
    assert capsys.readouterr().out == ""


def test_a_saved_report_is_checked_anew(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "models.py:hidden", "-o", "saved.json") == 0
    damaged = json.loads((folder / "saved.json").read_text())
    damaged["findings"] = []
    (folder / "saved.json").write_text(json.dumps(damaged))
    code = "import sys; sys.modules['torch'] = None\nfrom paramscope.cli import main\nmain(sys.argv[1:])"
    command = [sys.executable, "-c", code, "check", "saved.json", "--select", "PS101"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert f"models.py:{line_of(folder, 'self.layers')}: error PS101" in done.stdout
    assert done.stdout.endswith("saved.json (models.py:hidden): 1 error\n")


def test_a_target_that_fails_stops_none_of_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "models.py:nowhere", "models.py:hidden", "models.py:gone", "--select", "PS101") == 2
    told = capsys.readouterr()
    assert "models.py:hidden: 1 error" in told.out
    assert "error: models.py has no 'nowhere'" in told.err
    assert "error: models.py has no 'gone'" in told.err
    assert run("check", "models.py:clean", "models.py:gone", "--write-baseline", "b.json") == 2
    assert not (folder / "b.json").exists()


def test_an_optimizer_that_fails_names_the_target(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "train.py").write_text(
        "import torch\n\ndef make(model):\n    return torch.optim.SGD(model.layers[0].parameters())\n\n"
        "def alone():\n    return None\n"
    )
    assert run("check", "models.py:hidden", "models.py:clean", "-O", "train.py:make", "--select", "PS101") == 2
    told = capsys.readouterr()
    assert "models.py:hidden: 1 error" in told.out
    assert "error: models.py:clean: train.py:make raised" in told.err
    assert run("check", "models.py:clean", "-O", "train.py:alone") == 2
    assert "help: It is called with the model: def alone(model): …" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["rules"], ["explain", "PS101"], ["check", "--help"], ["--help"]])
def test_no_command_that_only_tells_imports_torch(arguments: list[str]) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\nfrom paramscope.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    print('code', end.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.endswith("code 0\n")


def test_rules_are_listed_one_a_line_for_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from paramscope.rules.discovery import discover

    monkeypatch.delenv("COLUMNS", raising=False)
    assert run("rules") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        [each.rule.code, each.rule.name, each.rule.severity.value] for each in discover().rules
    ]


@pytest.mark.parametrize("width", [60, 80, 160])
def test_rules_fit_the_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert run("rules") == 0
    assert max(map(wcswidth, capsys.readouterr().out.splitlines())) <= width


@pytest.mark.parametrize("code", ["PS101", "ps101", "module-in-container"])
def test_explain_prints_the_documentation_with_its_example(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", code) == 0
    out = capsys.readouterr().out
    assert out.startswith("PS101 module-in-container (error)\n")
    assert "\nExample\n    from torch import nn\n" in out
    assert "```" not in out
    for heading in ("What it finds", "Why it matters", "Instead", "When it is wrong to follow it"):
        assert f"\n{heading}\n" in out


def test_infos_are_counted_by_code_unless_they_are_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    (folder / "rows.py").write_text(
        "from torch import nn\ndef build():\n"
        "    return nn.ModuleList([nn.Embedding(9, 2, padding_idx=0), nn.Embedding(5, 3, padding_idx=1)])\n"
    )

    def shown(*options: str, exit_code: int = 0) -> str:
        assert run("check", "rows.py:build", *options) == exit_code
        return capsys.readouterr().out

    brief = shown()
    assert brief.startswith("rows.py:build: 2 infos (PS205 untrained-rows ×2: --verbose shows them)\n")
    assert "padding_idx" not in brief
    for full in (shown("--verbose"), shown("--fail-on", "info", exit_code=1)):
        assert full.count("info PS205 untrained-rows\n") == 2
        assert "--verbose" not in full
    assert shown("-q") == ""
    assert shown("-q", "--fail-on", "info", exit_code=1).count("PS205 untrained-rows\n") == 2


def test_quiet_is_a_line_a_finding(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "models.py:both", "models.py:clean", "--select", "PS101,PS104", "-q") == 1
    assert capsys.readouterr().out == (
        f"models.py:{line_of(folder, 'self.layers')}: error PS101 module-in-container\n"
        f"models.py:{line_of(folder, 'self.mask')}: warning PS104 plain-tensor-attribute\n"
    )


def test_nothing_is_wrapped_where_there_is_no_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    done = subprocess.run(
        [sys.executable, "-m", "paramscope", "check", "models.py:both", "--select", "PS101,PS104"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    # The place, the message and the help of each of two findings.
    assert [len(block.splitlines()) for block in done.stdout.split("\n\n")[:2]] == [3, 3]
