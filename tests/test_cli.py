"""The command line: targets, streams, outputs and exit codes."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import forking
from support.targets import run, target_folder

from paramscope import Report

folder = target_folder


def test_a_saved_report_is_shown_as_the_model_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "net.py:build", "-O", "net.py:adam") == 0
    live = capsys.readouterr().out
    assert run("inspect", "net.py:build", "-O", "net.py:adam", "-o", "good.json") == 0
    capsys.readouterr()
    assert run("inspect", "good.json") == 0
    assert capsys.readouterr().out == live
    assert "lin: Linear" in live


def test_stdout_holds_the_result_alone(folder: Path) -> None:
    done = forking.run(forking.COMMAND, "inspect", "net.py:build", "-f", "json")
    assert done.returncode == 0
    assert done.stderr == "importing\nbuilding\n"
    report = Report.from_json(done.stdout)
    assert report.target == "net.py:build"
    assert report.totals.parameters == 8


def test_what_c_code_prints_goes_to_stderr_too(folder: Path) -> None:
    (folder / "shouts.py").write_text("import os\nfrom torch import nn\nos.system('echo shouted')\nnet = nn.ReLU()\n")
    done = forking.run(forking.COMMAND, "inspect", "shouts.py:net", "-f", "json")
    assert done.stdout.startswith('{"format"')
    assert done.stderr == "shouted\n"


@pytest.mark.parametrize(
    ("target", "paths"),
    [
        ("net.py:Net", ["lin.weight", "lin.bias"]),
        ("net.py:build", ["lin.weight", "lin.bias"]),
        ("net.py:built", ["lin.weight", "lin.bias"]),
        ("net:build", ["lin.weight", "lin.bias"]),
        ("./net.py:pair", ["lin.weight", "lin.bias"]),
        ("net.py:roots", ["model.lin.weight", "model.lin.bias", "criterion.weight", "criterion.bias"]),
        ("pkg/model.py:build", ["weight", "bias"]),
        ("pkg.model:build", ["weight", "bias"]),
        ("torch.nn:Identity", []),
        ("net.py:named_pair", ["model.lin.weight", "model.lin.bias", "criterion.weight", "criterion.bias"]),
    ],
)
def test_targets(folder: Path, capsys: pytest.CaptureFixture[str], target: str, paths: list[str]) -> None:
    assert run("inspect", target, "-f", "json") == 0
    report = Report.from_json(capsys.readouterr().out)
    assert list(report.slots) == paths
    assert bool(report.optimizers) == target.endswith("pair")
    assert "__main__" not in report.modules.at(0).type


def test_arguments_and_meta_reach_the_builder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "net.py:build", "--arg", "dim=50_000_000", "--meta", "-f", "json") == 0
    slot = Report.from_json(capsys.readouterr().out).slots["lin.weight"]
    assert slot.shape == (2, 50_000_000)
    assert slot.device == "meta"


@pytest.mark.parametrize(
    ("target", "optimizer", "arguments", "lr"),
    [
        ("net.py:build", "net.py:rated", ["lr=0.25"], 0.25),
        ("net.py:build", "net.py:rated", ["lr=0.25", "dim=5"], 0.25),
        ("net.py:built", "net.py:rated", ["lr=0.25"], 0.25),
        ("net.py:build", "torch.optim:SGD", ["lr=0.25"], 0.25),
        ("net.py:takes_any", "net.py:rated", ["lr=0.25", "dim=5"], 0.25),
        ("net.py:takes_rate", "net.py:rated", ["lr=5"], 5),
    ],
)
def test_arguments_reach_what_takes_them(
    folder: Path, capsys: pytest.CaptureFixture[str], target: str, optimizer: str, arguments: list[str], lr: float
) -> None:
    options = [word for each in arguments for word in ("--arg", each)]
    assert run("inspect", target, "-O", optimizer, *options, "-f", "json") == 0
    report = Report.from_json(capsys.readouterr().out)
    assert dict(report.optimizers[0].groups[0].options)["lr"] == lr
    is_wide = "dim=5" in arguments or target == "net.py:takes_rate"
    assert report.slots["lin.weight"].shape == (2, 5 if is_wide else 3)


@pytest.mark.parametrize(
    ("target", "optimizer"),
    [
        ("ready.py:model", "ready.py:optimizer"),
        ("ready.py:model", "ready.py:several"),
        ("ready.py:model", "optimizer"),
        ("ready.py:hiding", "ready.py:of_hidden"),
    ],
)
def test_an_optimizer_that_is_there_already_is_taken(
    folder: Path, capsys: pytest.CaptureFixture[str], target: str, optimizer: str
) -> None:
    assert run("inspect", target, "-O", optimizer, "-f", "json") == 0
    report = Report.from_json(capsys.readouterr().out)
    assert [each.type.rpartition(".")[2] for each in report.optimizers] == ["SGD"]


def test_an_optimizer_by_its_name_alone_is_in_the_targets_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("inspect", "net.py:build", "-O", "adam", "-f", "json") == 0
    assert Report.from_json(capsys.readouterr().out).slots["lin.bias"].stepped is True


def test_several_optimizers_and_an_optimizer_class(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "net.py:build", "-O", "net.py:adam", "-O", "torch.optim:SGD", "-f", "json") == 0
    report = Report.from_json(capsys.readouterr().out)
    assert [optimizer.type.rpartition(".")[2] for optimizer in report.optimizers] == ["Adam", "SGD"]
    assert [place.optimizer for place in report.slots["lin.weight"].groups] == ["0", "1"]


def test_the_model_and_its_optimizer_come_from_one_import(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "net.py:build", "-O", "net.py:adam", "-f", "json") == 0
    captured = capsys.readouterr()
    assert captured.err.count("importing") <= 1
    assert Report.from_json(captured.out).slots["lin.bias"].stepped is True


def test_two_folders_keep_their_own_siblings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, size in (("one", 1), ("two", 2)):
        (folder / name).mkdir()
        (folder / name / "parts.py").write_text(f"size = {size}\n")
        (folder / name / "net.py").write_text(
            "from parts import size\nfrom torch import nn\n\ndef build():\n    return nn.Linear(size, 1, bias=False)\n"
        )
    for name, size in (("one", 1), ("two", 2)):
        assert run("inspect", f"{name}/net.py:build", "-f", "json") == 0
        assert Report.from_json(capsys.readouterr().out).totals.parameters == size


def test_an_output_file_tells_the_format_and_is_replaced_whole(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "out.json"
    path.write_text("old")
    assert run("inspect", "net.py:build", "-o", "out.json") == 0
    assert capsys.readouterr().out == ""
    assert Report.from_json(path.read_text()).target == "net.py:build"
    assert run("inspect", "net.py:build", "-o", "out.txt") == 0
    assert (folder / "out.txt").read_text().startswith("net.py:build: Net, training mode, float32 on cpu\n")
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []
    assert path.stat().st_mode & 0o777 == (folder / "out.txt").stat().st_mode & 0o777


def test_an_output_that_cannot_be_replaced_leaves_nothing_behind(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    before = sorted(path.name for path in folder.iterdir())
    assert run("inspect", "net.py:build", "-o", "out.json") == 2
    assert "out.json cannot be written: Permission denied" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == before


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["inspect", "--help"]])
def test_help_does_not_import_torch(arguments: list[str]) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\nfrom paramscope.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    print('code', end.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.endswith("code 0\n")
    assert "paramscope" in done.stdout


def test_without_arguments_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    out, err = capsys.readouterr()
    assert "Usage: paramscope" in out + err


def test_the_module_runs_as_a_program(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "paramscope", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("paramscope 0.")


def on_a_terminal(command: list[str], environment: dict[str, str]) -> bytes:
    """What a command that succeeds writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux tells that the other end is closed
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    assert process.returncode == 0
    return shown


@pytest.mark.parametrize(
    ("environment", "colored"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_color_on_a_terminal_only(folder: Path, environment: dict[str, str], colored: object) -> None:
    assert run("inspect", "net.py:build", "-o", "report.json") == 0
    command = [sys.executable, "-m", "paramscope", "inspect", "report.json"]
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    shown = on_a_terminal(command, {**kept, **environment})
    assert b"lin: Linear" in shown
    assert (b"\x1b[" in shown) is colored
    piped = subprocess.run(command, capture_output=True, env={**kept, **environment}, check=True)
    assert b"\x1b[" not in piped.stdout


@pytest.mark.parametrize(
    ("environment", "options", "drawn"),
    [
        ({}, [], "████░█"),
        ({"NO_COLOR": "1"}, [], "████░█"),
        ({"PYTHONIOENCODING": "ascii"}, [], "####.#"),
        ({"TERM": "dumb"}, [], ""),
        ({"TERM": "dumb"}, ["--bars"], "████░█"),
        ({}, ["--no-bars"], ""),
    ],
)
def test_a_map_of_blocks_and_bars_on_a_terminal_only(
    folder: Path, environment: dict[str, str], options: list[str], drawn: str
) -> None:
    (folder / "blocks.py").write_text(
        "from torch import nn\ndef build():\n    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(6)))\n"
        "    model[4].requires_grad_(False)\n    return model\n"
    )
    assert run("inspect", "blocks.py:build", "-o", "report.json") == 0
    command = [sys.executable, "-m", "paramscope", "inspect", "report.json", *options]
    kept = {name: value for name, value in os.environ.items() if name != "TERM"}
    surroundings = {**kept, "TERM": "xterm", "COLUMNS": "120", **environment}
    shown = re.sub("\x1b\\[[0-9;]*m", "", on_a_terminal(command, surroundings).decode())
    lines = [line for line in shown.splitlines() if line.startswith("  Sequential  0 ")]
    assert lines == ([f"  Sequential  0 {drawn} 5"] if drawn else [])
    assert bool(re.search(r"100\.0%  (█|#){12} ", shown)) is bool(drawn)
    piped = subprocess.run(command, capture_output=True, env=surroundings, check=True).stdout.decode()
    assert ("  Sequential  0 " in piped) is ("--bars" in options)
    written = subprocess.run([*command, "-o", "tree.txt"], env=surroundings, check=True)
    assert written.returncode == 0
    assert ("  Sequential  0 " in (folder / "tree.txt").read_text()) is ("--bars" in options)


def test_a_format_without_bars_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "net.py:build", "-f", "json", "--bars") == 2
    assert "error: the format json takes no --bars\nhelp: These do: table, tree." in capsys.readouterr().err


def test_a_target_needs_no_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "net.py:build", "-f", "table") == 0
    table = capsys.readouterr().out
    assert run("net.py:build", "-f", "table") == 0
    assert capsys.readouterr().out == table
    assert run("net.py:build", "-o", "report.json") == 0
    assert run("report.json", "-f", "table") == 0
    assert capsys.readouterr().out == table


def test_inspect_opens_on_the_tree_and_table_options_on_the_table(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown(*options: str) -> str:
        assert run("inspect", "net.py:build", *options) == 0
        return capsys.readouterr().out

    assert "\nNet " in shown()
    assert "lin: Linear  2×3 + bias" in shown()
    assert shown("-o", "tree.txt") == ""
    assert (folder / "tree.txt").read_text() == shown()
    for options in (["--sort", "elements"], ["--columns", "shape"]):
        assert "\nlin.weight  " in shown(*options)
    assert "lin.weight & Linear   & 2×3" in shown("--style", "latex_booktabs")


def test_paths_may_be_given_several_times_and_as_they_are_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in (
        ["--path", "lin.weight", "--path", "lin.bias"],
        ["--path", "lin.weight,lin.bias"],
        ["--path", "lin"],
        ["--path", "li?.*"],
    ):
        assert run("inspect", "net.py:build", "-f", "csv", *options) == 0
        assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["lin.weight", "lin.bias"]


def test_a_target_finds_arguments_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "script.py").write_text(
        "import argparse, sys\nfrom torch import nn\nASKED = argparse.ArgumentParser().parse_args()\n"
        "def build():\n    print(sys.argv)\n    return nn.Linear(1, 1)\n"
    )
    before = list(sys.argv)
    assert run("inspect", "script.py:build", "-f", "summary") == 0
    assert capsys.readouterr().err == "['script.py']\n"
    assert sys.argv == before


def test_a_function_of_parameters_makes_the_optimizer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for target, slots in (("net.py:build", 2), ("net.py:roots", 4)):
        assert run("inspect", target, "-O", "net.py:of_params", "-f", "json") == 0
        report = Report.from_json(capsys.readouterr().out)
        assert sum(bool(slot.groups) for slot in report.slots.records()) == slots


def test_after_three_seconds_an_import_says_what_is_waited_for(folder: Path) -> None:
    (folder / "slow.py").write_text(
        "import time\ntime.sleep(3.5)\nfrom torch import nn\ndef build():\n    return nn.Linear(1, 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "paramscope", "slow.py:build"], capture_output=True, text=True, check=True
    )
    assert done.stderr == "importing slow.py …; if it trains on import, put that under `if __name__ == '__main__':`\n"
    assert done.stdout.startswith("slow.py:build: Linear")


def test_a_terminal_sees_what_a_command_is_at_and_then_the_result_alone(folder: Path) -> None:
    (folder / "slow.py").write_text(
        "import time\nfrom torch import nn\ndef build():\n    time.sleep(2)\n    return nn.Linear(1, 1)\n"
    )
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "paramscope", "slow.py:build"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        assert process.stdout is not None
        assert b"Linear" in process.stdout.read()
        seen = b""
        with contextlib.suppress(OSError):  # how Linux tells that the other end is closed
            while part := os.read(ours, 4096):
                seen += part
    os.close(ours)
    assert "building slow.py:build … 1 s" in seen.decode()
    assert seen.endswith(b"\r\x1b[K")


def test_help_lists_formats_and_columns_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    from paramscope.render import formats
    from paramscope.render._columns import COLUMNS

    assert run("inspect", "--help") == 0
    words = set(re.findall(r"[\w-]+", capsys.readouterr().out))
    assert {*formats(), *COLUMNS, "not-stepped"} <= words
