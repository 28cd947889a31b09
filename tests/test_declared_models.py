"""Models that a pyproject.toml declares: at the command line, and as tests of pytest."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from support import forking
from support.check_models import forget_imports
from support.targets import run

from paramscope.config import project

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
"""What the documentation declares."""

FILES = {
    "model.py": """
        from torch import nn

        class GPT(nn.Module):
            def __init__(self, dim=16):
                super().__init__()
                self.wte = nn.Embedding(100, dim)
                self.h = nn.Linear(dim, dim)
                self.lm_head = nn.Linear(dim, 100, bias=False)
                self.lm_head.weight = self.wte.weight

            def forward(self, tokens):
                return self.lm_head(self.h(self.wte(tokens)))

        def build(dim=16):
            return GPT(dim)

        def with_adapter():
            model = GPT().requires_grad_(False)
            model.h.lora_a = nn.Linear(16, 2, bias=False)
            return model

        def raises():
            raise ValueError("no weights here")

        class Hidden(nn.Module):
            def __init__(self):
                super().__init__()
                self.lin = nn.Linear(4, 4)
                self.layers = [nn.Linear(4, 4)]
    """,
    "train.py": """
        class Steps:
            def __init__(self, parameters):
                self.param_groups = [{"params": list(parameters), "lr": 0.1}]

        def make_opt(model):
            return Steps(p for p in model.parameters() if p.requires_grad)
    """,
    "data.py": """
        import torch

        def batch():
            return (torch.zeros(1, 3, dtype=torch.long),)
    """,
}


def write_files(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).write_text(textwrap.dedent(text), encoding="utf-8")


def declare(folder: Path, text: str) -> Path:
    file = folder / "pyproject.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with models in it."""
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    for name in ("model", "train", "data", "pkg", "pkg.net"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    forget_imports()
    return tmp_path


def test_the_example_of_the_documentation_holds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(folder, EXAMPLE)
    assert run("check") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\n2 targets: 1 info\n" in out
    assert run("check", "--select", "PS602", "--fail-on", "info", "gpt lora") == 0
    assert run("check", "--select", "PS602", "--fail-on", "info", "gpt") == 1


def test_what_is_not_as_declared_is_said_at_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(folder, EXAMPLE.replace("trainable = 1_872", "trainable = 1_873"))
    assert run("check", "gpt") == 1
    shown = re.findall(r"<!-- unmet:start -->\n```\n(.*?)```", PAGE, re.DOTALL)[0]
    assert capsys.readouterr().out.endswith(shown)


def test_an_unknown_key_is_refused_as_the_documentation_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(folder, EXAMPLE.replace("optimizer", "optimiser"))
    assert run("check") == 2
    assert capsys.readouterr().err in PAGE


UNMET = """
[tool.paramscope.models.a]
target = "model.py:build"
trainable = ["h.*", "hh.*"]
parameters = [1_000, 1_100]
ties = []

[tool.paramscope.models.b]
target = "model.py:build"
parameters = 1_872
trainable = [1_872, 1_900]
"""


def test_every_expectation_has_its_line_and_the_words_of_expect(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(folder, UNMET)
    assert run("check", "--fail-on", "never") == 1
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("pyproject.toml")] == [
        "pyproject.toml:5:1: a: parameters: expected 1,000 to 1,100, found 1,872",
        "pyproject.toml:4:1: a: trainable: 'hh.*' matches no parameter; `*` crosses dots: 'encoder.*', '*.bias'",
        "pyproject.toml:4:1: a: trainable=['h.*', 'hh.*']: 2 other parameters trainable",
        "pyproject.toml:6:1: a: ties: 1 tie not expected",
    ]
    assert run("check", "b", "--fail-on", "never") == 0


def test_what_a_program_reads_stays_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(folder, UNMET)
    assert run("check", "-f", "json", "--fail-on", "never") == 1
    out, err = capsys.readouterr()
    assert [each["target"] for each in json.loads(out)["reports"]] == ["a", "b"]
    assert "a: ties: 1 tie not expected" in err


def test_every_format_has_what_is_not_as_declared_whatever_fails_besides(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(folder, UNMET)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary"))

    def written(format_: str) -> str:
        assert run("check", "-f", format_, "--fail-on", "never") == 1
        return capsys.readouterr().out

    annotations = [line for line in written("github").splitlines() if "DECLARED" in line]
    assert [re.findall(r"::error file=pyproject\.toml,line=(\d),", line) for line in annotations] == [
        [line] for line in "5446"
    ]
    assert annotations[3].endswith(
        "::a is not as declared: ties: 1 tie not expected: tied wte.weight = lm_head.weight"
        "%0AIf that is right, change models.a in pyproject.toml."
    )
    assert (folder / "summary").read_text().count("| error | DECLARED not-as-declared | pyproject.toml\\:") == 4
    cases = ElementTree.fromstring(written("junit")).iter("testcase")
    assert [len(case) for case in cases if case.get("name") == "DECLARED not-as-declared"] == [1, 0]
    issues = [each for each in json.loads(written("gitlab")) if each["check_name"] == "DECLARED"]
    assert [each["location"]["lines"]["begin"] for each in issues] == [5, 4, 4, 6]
    assert len({each["fingerprint"] for each in issues}) == 4
    (sarif,) = json.loads(written("sarif"))["runs"]
    results = [each for each in sarif["results"] if each["ruleId"] == "DECLARED"]
    assert sarif["tool"]["driver"]["rules"][results[0]["ruleIndex"]]["id"] == "DECLARED"
    regions = [each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in results]
    assert regions == [5, 4, 4, 6]
    assert written("text").startswith("a: 4 errors, 1 info")


def test_a_declared_model_is_inspected_without_a_command_and_options_may_stand_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(folder, EXAMPLE)
    assert run("gpt", "--depth", "0") == 0
    assert run("--depth=0", "gpt") == run("--depth", "0", "gpt") == 0
    shown = capsys.readouterr().out
    assert shown.count("gpt: GPT") == 3
    assert "─ h" not in shown
    assert run("gtp") == 2
    assert capsys.readouterr().err == "error: there is no command 'gtp'\nhelp: Did you mean gpt?\n"
    assert run("--dept", "0", "gpt") == 2
    assert "there is no option --dept" in capsys.readouterr().err


def test_every_command_that_takes_a_target_takes_a_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(folder, EXAMPLE)
    assert run("inspect", "gpt", "-f", "json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["target"] == "gpt"
    assert report["totals"]["parameters"] == 1_872
    assert report["run"]["kind"] == "backward"
    assert len(report["optimizers"]) == 1
    assert run("inspect", "gpt", "--arg", "dim=4", "--run", "graph", "-f", "json") == 0
    other = json.loads(capsys.readouterr().out)
    assert other["totals"]["parameters"] == 420
    assert other["run"]["kind"] == "graph"
    assert run("graph", "gpt", "-f", "mermaid") == 0
    assert "GPT" in capsys.readouterr().out
    assert run("diff", "gpt", "gpt lora") == 0
    assert "froze" in capsys.readouterr().out
    assert run("lock", "gpt", "gpt lora") == 0
    assert run("check", "--locked") == 0
    assert run("check", "gpt", "--arg", "dim=4", "--locked", "--fail-on", "never") == 1
    assert "gpt dim=4 is not in paramscope.lock" in capsys.readouterr().out


def test_paths_start_from_the_file_that_declares_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pkg").mkdir()
    (folder / "pkg" / "__init__.py").write_text("")
    (folder / "pkg" / "net.py").write_text("import torch\n\ndef build():\n    return torch.nn.Linear(2, 2)\n")
    declare(folder, EXAMPLE + '\n[tool.paramscope.models.dotted]\ntarget = "pkg.net:build"\nparameters = 6\n')
    below = folder / "deep" / "below"
    below.mkdir(parents=True)
    (below / "own.py").write_text("from train import make_opt\n".replace("train", "own2"))
    (below / "own2.py").write_text(textwrap.dedent(FILES["train.py"]).replace("0.1", "0.7"))
    monkeypatch.chdir(below)
    assert run("check") == 0
    capsys.readouterr()
    assert run("inspect", "gpt", "-O", "own.py:make_opt", "-f", "json") == 0  # from where it was written
    report = json.loads(capsys.readouterr().out)
    assert report["optimizers"][0]["groups"][0]["options"]["lr"] == 0.7


NAMED = """
[tool.paramscope.models."pkg.net"]
target = "model.py:build"
[tool.paramscope.models."saved.json"]
target = "model.py:build"
[tool.paramscope.models.pkg]
target = "model.py:build"
[tool.paramscope.models."pkg.gone"]
target = "model.py:build"
[tool.paramscope.models."Größe 2.0 (klein) \\"x\\" 模型"]
target = "model.py:build"
parameters = 1
"""


def test_a_name_takes_the_place_of_no_file_and_of_no_module(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pkg").mkdir()
    (folder / "pkg" / "__init__.py").write_text("raise SystemExit('it was imported')")
    (folder / "pkg" / "net.py").write_text("")
    declare(folder, NAMED)
    for name in ("saved.json", "pkg", "pkg.gone"):
        assert run("inspect", name, "-f", "json") == 0
        assert json.loads(capsys.readouterr().out)["target"] == name
    assert run("check", "pkg.net") == 2
    assert capsys.readouterr().err.startswith("error: pkg.net raised SystemExit\n")
    (folder / "saved.json").write_text("{}")
    assert run("inspect", "saved.json") == 2
    assert "saved.json" in capsys.readouterr().err
    # All of them are checked by what is declared.
    assert run("check", "--fail-on", "never") == 1
    name = 'Größe 2.0 (klein) "x" 模型'
    assert f"pyproject.toml:12:1: {name}: parameters: expected 1, found 1,872" in capsys.readouterr().out
    assert run("check", name, "--fail-on", "never") == 1


def test_a_mistyped_name_is_answered_with_the_nearest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(folder, EXAMPLE)
    assert run("check", "gtp") == 2
    assert capsys.readouterr().err == (
        "error: pyproject.toml:1:18: there is no model 'gtp'\nhelp: Did you mean gpt?\n"
    )
    assert run("check", "something.else") == 2
    assert capsys.readouterr().err.startswith("error: no module named 'something' is found from here\n")


@pytest.mark.parametrize("content", [None, "[tool.other]\n", '[tool.paramscope]\nselect = ["PS1"]\n'])
def test_without_targets_and_models_there_is_nothing_to_check(
    folder: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        declare(folder, content)
    assert run("check") == 2
    assert capsys.readouterr().err == (
        "error: TARGET is missing\nhelp: Write paramscope check TARGET, or declare in pyproject.toml what to check: "
        '[tool.paramscope.models.gpt2] target = "model.py:build"\n'
    )


BROKEN = """
[tool.paramscope.models.raises]
target = "model.py:raises"
[tool.paramscope.models.gone]
target = "modell.py:build"
[tool.paramscope.models.misspelt]
target = "model.py:buidl"
[tool.paramscope.models.opt]
target = "model.py:build"
optimizer = ["train.py:make_opt", "train.py:mak_opt"]
[tool.paramscope.models.runs]
target = "model.py:build"
inputs = "data.py:bach"
[tool.paramscope.models.sized]
target = "model.py:build"
input-size = "one"
[tool.paramscope.models.argued]
target = "model.py:build"
args = { dimension = 3 }
[tool.paramscope.models.saved]
target = "report.json"
[tool.paramscope.models.hidden]
target = "model.py:Hidden"
"""


def test_a_model_that_cannot_be_built_stops_no_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(folder, BROKEN)
    assert run("check") == 2
    out, err = capsys.readouterr()
    assert "error PS101 module-in-container" in out
    assert "hidden: 1 error" in out
    assert "ValueError: no weights here" in err
    for told in (
        "error: pyproject.toml:3:1: raises: model.py:raises raised ValueError",
        "error: pyproject.toml:5:1: gone: modell.py does not exist\nDid you mean model.py?",
        "error: pyproject.toml:7:1: misspelt: model.py has no 'buidl'\nDid you mean model.py:build?",
        "error: pyproject.toml:10:35: opt: train.py has no 'mak_opt'\nDid you mean train.py:make_opt?",
        "error: pyproject.toml:13:1: runs: data.py has no 'bach'\nDid you mean data.py:batch?",
        "error: pyproject.toml:16:1: sized: input-size 'one' is no size of a tensor",
        "error: pyproject.toml:19:1: argued: model.py:build takes no argument 'dimension'",
        "error: pyproject.toml:21:1: saved: report.json names no code that builds a model",
    ):
        assert told in err


RULES = """
[tool.paramscope]
select = ["PS2"]
[tool.paramscope.models.as-the-project]
target = "model.py:Hidden"
[tool.paramscope.models.own]
target = "model.py:Hidden"
select = "PS101"
[tool.paramscope.models.accepted]
target = "model.py:Hidden"
select = ["PS101"]
ignore = [{ code = "PS101", reason = "a test" }, { code = "PS101", path = "lin", reason = "stale" }]
"""


NONE_BUILT = """
[tool.paramscope.models.made.args]
dim = 8
[tool.paramscope.models.made]
target = "model.py:build"
optimizer = "data.py:batch"
[tool.paramscope.models.stepped]
target = "model.py:build"
inputs = "data.py:batch"
run = "step"
"""


def test_where_nothing_can_be_built_each_error_has_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(folder, NONE_BUILT)
    assert run("check") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "error: pyproject.toml:6:1: made: data.py:batch raised TypeError" in err
    assert "error: pyproject.toml:10:1: stepped: " in err
    declare(folder, "[tool.paramscope.models.a.args]\ndim = 8\n\n[tool.paramscope.models.a]\nmeta = true\n")
    assert run("check") == 2
    assert "pyproject.toml:4:25: models.a has no target" in capsys.readouterr().err


def test_a_model_may_choose_its_rules_and_accept_findings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(folder, RULES)
    assert run("check", "as-the-project") == 0
    assert run("check", "own") == 1
    assert run("check", "accepted") == 0
    capsys.readouterr()
    assert run("check", "accepted", "--show-ignored") == 0
    out, err = capsys.readouterr()
    assert "pyproject.toml: models.accepted.ignore[0]" in out
    assert err.startswith("warning: pyproject.toml: models.accepted.ignore[1]: PS101 at lin matches nothing any more")
    assert (
        run("check", "model.py:Hidden", "--select", "PS101") == 1
    )  # what is declared is said of the model of that name


MODEL = '[tool.paramscope.models.m]\ntarget = "model.py:build"\n'
WRONG = [
    ("[tool.paramscope]\nmodels = 3", "2:1: models is not a table", "[tool.paramscope.models.gpt2]"),
    (
        "[tool.paramscope.models]\nm = 'model.py:build'",
        "2:1: models.m is not a table",
        "[tool.paramscope.models.gpt2]",
    ),
    ("[tool.paramscope.models.m]\nmeta = true", "1:25: models.m has no target", 'target = "model.py:build"'),
    ("[tool.paramscope.models.m]\ntarget = ['a']", "2:1: models.m.target is no text", 'target = "model.py:build"'),
    ("[tool.paramscope.models.'a:b']\ntarget = 'm.py:b'", "1:25: 'a:b' cannot be the name", "none of :"),
    ("[tool.paramscope.models.'']\ntarget = 'm.py:b'", "1:25: '' cannot be the name", "printable"),
    (MODEL + "tainable = 3", "3:1: models.m has an unknown key 'tainable'", "Did you mean trainable?"),
    (MODEL + "input_size = '3'", "3:1: models.m has an unknown key 'input_size'", "Did you mean input-size?"),
    (MODEL + "optimizer = 3", "3:1: models.m.optimizer is neither a string nor a list", 'optimizer = ["…"]'),
    (MODEL + "args = ['dim=3']", "3:1: models.m.args is not a table", "args = { dim = 64 }"),
    (MODEL + "args = { 'a b' = 3 }", "3:10: 'a b' names no argument", "args = { dim = 64 }"),
    (MODEL + "meta = 'yes'", "3:1: models.m.meta is neither true nor false", "meta = true"),
    (MODEL + "inputs = 3", "3:1: models.m.inputs is no text", 'inputs = "data.py:batch"'),
    (MODEL + "run = 'graph'", "3:1: models.m.run says that it is run, and not on what", 'inputs = "data.py:batch"'),
    (MODEL + "inputs = 'batch'\nrun = 'grap'", "4:1: models.m.run cannot be 'grap'", "Did you mean graph?"),
    (MODEL + "inputs = 'a'\ninput-size = '3'", "4:1: inputs and input-size both", "Leave one of them out."),
    (MODEL + "trainable = '290_000..300_000'", "3:1: models.m.trainable is the text", "[290_000, 300_000]"),
    (MODEL + "trainable = true", "3:1: models.m.trainable is neither a number", 'globs of what trains: ["*.lora_*"]'),
    (
        MODEL + "trainable = [1, 2, 3]",
        "3:1: models.m.trainable is neither a number",
        "trainable = [290_000, 300_000]",
    ),
    (MODEL + "trainable = [5, 3]", "3:1: models.m.trainable allows no number at all", "trainable = [3, 5]"),
    (MODEL + "trainable = ['a', '']", "3:1: models.m.trainable is neither a string", 'trainable = ["*.lora_*"]'),
    (MODEL + "trainable = ['a', 3]", "3:1: models.m.trainable is neither", "trainable = "),
    (MODEL + "parameters = -1", "3:1: models.m.parameters is neither a number", "parameters = 294_912"),
    (MODEL + "parameters = 1.5", "3:1: models.m.parameters is neither a number", "parameters = 294_912"),
    (MODEL + "parameters = ['*']", "3:1: models.m.parameters is neither a number", "parameters = 294_912"),
    (MODEL + "ties = 'a'", "3:1: models.m.ties is not a list of lists", 'ties = [["lm_head.weight"'),
    (MODEL + "ties = [['a', 'b'], 'c']", "3:21: models.m.ties[1] is not a list of paths", "ties = [["),
    (MODEL + "ties = [['a', 'a']]", "3:9: models.m.ties[0] names ['a', 'a'], and one slot", "ties = []"),
    (MODEL + "ignore = ['PS104']", "3:11: models.m.ignore[0] is 'PS104': an ignore has to say why", "reason ="),
    (
        MODEL + "ignore = [{ code = 'PS104', reason = 'r', target = '*' }]",
        "3:43: models.m.ignore[0] has an unknown key 'target'",
        "Choose from code, path, file, reason.",
    ),
    (MODEL + "select = ['PS1O4']", "3:1: models.m.select: there is no rule 'PS1O4'", "Did you mean PS104?"),
    (
        MODEL + "ignore = [{ code = 'PS1O4', reason = 'r' }]",
        "3:11: models.m.ignore[0]: there is no rule 'PS1O4'",
        "Did you mean PS104?",
    ),
    ("[tool.paramscope.models.m]\n[tool.paramscope.models.m]", " is not TOML: ", "Fix that line"),
    ("[tool.paramscope.models.m\n", " is not TOML: ", "Fix that line"),
]


@pytest.mark.parametrize(("text", "told", "advice"), WRONG, ids=[told for _, told, _ in WRONG])
def test_what_cannot_be_is_said_with_line_and_column(
    folder: Path, text: str, told: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(folder, text + "\n")
    assert run("check") == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: pyproject.toml{told if told[0] == ' ' else ':' + told}")
    assert advice in err.partition("\nhelp: ")[2]
    assert "Traceback" not in err


def test_what_is_declared_and_what_is_imported_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(folder, EXAMPLE)
    read: list[str] = []
    parse = project._parse

    def counted(path: str, shown: str) -> object:
        read.append(path)
        return parse(path, shown)

    monkeypatch.setattr(project, "_parse", counted)
    with (folder / "model.py").open("a") as file:
        file.write("with open('imports', 'a') as file:\n    file.write('x')\n")
    assert run("check") == 0
    assert read == [str(folder / "pyproject.toml")]
    assert (folder / "imports").read_text() == "x"


def pytest_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forking.run_pytest(f"--basetemp={folder / 'temp'}", *arguments, cwd=folder, imported=["torch._dynamo"])


TESTED = (
    "[tool.pytest.ini_options]\ntestpaths = ['tests']\naddopts = '--strict-markers -W error'\n"
    + EXAMPLE
    + """
[tool.paramscope.models."odd. 模型"]
target = "model.py:build"
parameters = 1
[tool.paramscope.models.hidden]
target = "model.py:Hidden"
[tool.paramscope.models.accepted]
target = "model.py:Hidden"
ignore = [{ code = "PS101", reason = "a test" }]
[tool.paramscope.models.raises]
target = "model.py:raises"
"""
)


@pytest.fixture
def tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose models are tested."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    write_files(tmp_path)
    declare(tmp_path, TESTED)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_own.py").write_text("def test_own():\n    pass\n")
    return tmp_path


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {test: word for word, test in re.findall(r"(?m)^(PASSED|FAILED) (.*?)(?: - .*)?$", done.stdout)}


def test_each_declared_model_is_a_test_where_pytest_is_asked(tested: Path) -> None:
    done = pytest_run(tested, "--paramscope", "-rA", "--junitxml=junit.xml")
    assert done.returncode == 1, done.stdout + done.stderr
    assert outcomes(done) == {
        "tests/test_own.py::test_own": "PASSED",
        "pyproject.toml::gpt": "PASSED",
        "pyproject.toml::gpt lora": "PASSED",
        "pyproject.toml::odd. 模型": "FAILED",
        "pyproject.toml::hidden": "FAILED",
        "pyproject.toml::accepted": "PASSED",
        "pyproject.toml::raises": "FAILED",
    }
    lines = TESTED.splitlines()
    odd, hidden, raises = (
        lines.index(f"[tool.paramscope.models.{name}]") + 1 for name in ('"odd. 模型"', "hidden", "raises")
    )
    assert f"pyproject.toml:{odd + 2}:1: odd. 模型: parameters: expected 1, found 1,872" in done.stdout
    finding = "findings: expected none of severity warning or above, found 1 finding\n  model.py:"
    assert f"pyproject.toml:{hidden}:25: hidden: {finding}" in done.stdout
    assert f"pyproject.toml:{raises + 1}:1: raises: model.py:raises raised ValueError" in done.stdout
    assert "INTERNALERROR" not in done.stdout
    cases = ElementTree.parse(tested / "junit.xml").iter("testcase")
    assert "odd. 模型" in {case.get("name") for case in cases if case.get("classname") == "pyproject.toml"}


def test_tests_of_models_are_chosen_as_others_are(tested: Path) -> None:
    assert outcomes(pytest_run(tested, "-rA")) == {"tests/test_own.py::test_own": "PASSED"}
    chosen = {"pyproject.toml::gpt": "PASSED", "pyproject.toml::gpt lora": "PASSED"}
    assert outcomes(pytest_run(tested, "--paramscope", "-rA", "-k", "gpt")) == chosen
    lora = "pyproject.toml::gpt lora"
    assert outcomes(pytest_run(tested, "-rA", lora)) == {lora: "PASSED"}
    assert outcomes(pytest_run(tested, "--paramscope", "-rA", lora)) == {lora: "PASSED"}
    # pytest 8.0 collects nothing of a folder but what is named within it.
    within = ["tests"] if pytest.version_tuple >= (8, 2) else []
    listed = pytest_run(tested, "--paramscope", "--collect-only", "-q", ".", *within).stdout.splitlines()
    assert listed.count("pyproject.toml::gpt") == listed.count("tests/test_own.py::test_own") == 1
    odd = pytest_run(tested, "pyproject.toml::odd. 模型")
    assert odd.returncode == 1
    assert "model odd. 模型" in odd.stdout


def test_the_file_may_lie_above_the_root_of_pytest(tested: Path) -> None:
    (tested / "tests" / "pytest.ini").write_text("[pytest]\n")
    done = pytest_run(tested / "tests", "--paramscope", "-rA", "-k", "gpt")
    assert outcomes(done) == {"../pyproject.toml::gpt": "PASSED", "../pyproject.toml::gpt lora": "PASSED"}


def test_a_failure_says_what_changed_since_the_test_last_passed(tested: Path) -> None:
    assert pytest_run(tested, "--paramscope", "-k", "gpt").returncode == 0
    model = tested / "model.py"
    model.write_text(model.read_text().replace("return GPT(dim)", "return GPT(dim).requires_grad_(False)"))
    done = pytest_run(tested, "pyproject.toml::gpt")
    assert done.returncode == 1
    assert "since this last passed:\n  froze " in done.stdout


def test_workers_of_xdist_share_the_models(tested: Path) -> None:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-n", "2", "-rA", "--paramscope", "-k", "gpt or own"]
    done = subprocess.run(command, cwd=tested, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcomes(done) == {
        "tests/test_own.py::test_own": "PASSED",
        "pyproject.toml::gpt": "PASSED",
        "pyproject.toml::gpt lora": "PASSED",
    }


@pytest.mark.parametrize(
    ("text", "arguments", "told"),
    [
        (
            "[tool.pytest.ini_options]\n",
            ["--paramscope"],
            "--paramscope: there is no model\nDeclare one in pyproject",
        ),
        (EXAMPLE + "tainable = 3\n", ["--paramscope"], "has an unknown key 'tainable'\nDid you mean trainable?"),
        (
            EXAMPLE + "tainable = 3\n",
            ["pyproject.toml::gpt"],
            "has an unknown key 'tainable'\nDid you mean trainable?",
        ),
    ],
)
def test_what_cannot_be_collected_is_a_usage_error(tested: Path, text: str, arguments: list[str], told: str) -> None:
    declare(tested, text)
    done = pytest_run(tested, *arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert told in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_to_collect_models_imports_no_torch(tested: Path) -> None:
    (tested / "conftest.py").write_text(
        "import sys\n\ndef pytest_sessionfinish():\n    print('torch' in sys.modules, 'model' in sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "--paramscope", "--collect-only", "-q", "-s"]
    done = subprocess.run(command, cwd=tested, capture_output=True, text=True, check=False)
    assert "pyproject.toml::gpt\n" in done.stdout
    assert "False False" in done.stdout
