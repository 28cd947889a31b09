"""Runs at the shell: what is typed, what is printed, and what is said of what does not fit."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
import torch
from support.targets import run
from torch import nn

from paramscope.errors import RunError
from paramscope.probe.sizes import Size, maker, parse_sizes

NET = """
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(3, 5)
            self.fc = nn.Linear(5, 2)
            self.spare = nn.Linear(5, 2)

        def forward(self, ids, scale=None):
            print("forward")
            return self.fc(self.embed(ids) * (1 if scale is None else scale))

    def inputs():
        return torch.tensor([[0, 1, 2]])

    def wrong_index():
        return torch.tensor([3])

    def by_hand(model):
        return model(torch.tensor([[2]]))

    def loss(output):
        return output.square().mean()

    def no_scalar(output):
        return output

    def sgd(model):
        return torch.optim.SGD(model.parameters(), lr=0.1)
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").write_text(textwrap.dedent(NET), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def test_the_first_day_of_a_torchinfo_user(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "net.py:Net", "--input-size", "2,4:int64:3") == 0
    out, err = capsys.readouterr()
    assert "forward" in err
    assert out.splitlines()[2].split() == ["module", "output", "elements", "FLOPs", "kept", "fate"]
    lines = {line.split()[1].rstrip(":"): line for line in out.splitlines() if line.startswith(("├─", "└─"))}
    assert "2×4×2" in lines["fc"]
    assert lines["fc"].endswith("g?vmr")
    assert "160" in lines["fc"]
    assert "not called" in lines["spare"]
    assert lines["spare"].endswith("g?vm-")
    assert "ran forward without elements: model(2×4 int64), loss: the sum of the output" in out
    assert "reached by the loss: 3 of 5 tensors" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--inputs", "inputs"], "model(1×3 int64)"),
        (["--inputs", "net.py:by_hand"], "elements: by_hand(model), loss"),
        (["--inputs", "inputs", "--loss", "loss"], "loss: loss(output)"),
        (["--input-size", "ids=1,2:int64 scale=1,2,5"], "model(ids=1×2 int64, scale=1×2×5 float32)"),
        (["--inputs", "inputs", "--run", "step", "-O", "sgd"], "ran forward, backward and step"),
    ],
)
def test_ways_to_say_what_to_run(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "net.py:Net", *arguments) == 0
    assert words in " ".join(capsys.readouterr().out.split())


def test_check_asks_the_rules_on_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "net.py:Net", "--inputs", "inputs", "--run", "backward") == 1
    out = capsys.readouterr().out
    assert "net.py:10: warning PS701 trainable-without-gradient" in out
    assert "The run never called spare" in out
    assert run("check", "net.py:Net") == 0
    assert "need a run (--run)" in capsys.readouterr().out


def test_what_was_run_is_saved(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "net.py:Net", "--inputs", "inputs", "-o", "report.json") == 0
    saved = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert saved["run"]["kind"] == "graph"
    assert saved["totals"]["flops"] == saved["run"]["flops"] == 2 * 3 * 5 * 2
    capsys.readouterr()
    assert run("inspect", "report.json") == 0
    assert "ran forward without elements" in capsys.readouterr().out
    assert run("inspect", "report.json", "--run", "graph") == 2
    assert "nothing is built, so -O, --arg, --meta, --ranks, --run," in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--inputs", "wrong_index"], "index 3 is out of range: the embedding has 3 rows"),
        (["--inputs", "wrong_index", "--run", "backward"], "index 3 is out of range: the embedding has 3 rows"),
        (["--inputs", "inputs", "--loss", "no_scalar"], "no_scalar gave no scalar but 1×3×2 float32"),
        (["--inputs", "inputss"], "net.py has no 'inputss'"),
        (["--inputs", "inputs", "--run", "step"], "there is no optimizer to step"),
        (["--inputs", "inputs", "--input-size", "1"], "--inputs and --input-size both say"),
        (["--run", "graph"], "it is not known what forward is to be given"),
        (["--run", "forward", "--inputs", "inputs"], "'forward' is not one of"),
        (["--input-size", "2,4"], "raised RuntimeError"),
        (["--input-size", "2,x"], "--input-size '2,x' is no size of a tensor"),
        (["--input-size", "2:int65"], "there is no dtype 'int65'"),
        (["--input-size", "2:float32:4"], "only integers have a bound"),
        (["--input-size", "2 scale=3"], "--input-size names some inputs and not others"),
        (["--input-size", "ids=2 ids=3"], "--input-size names ids twice"),
        (["--input-size", " "], "--input-size is empty"),
        (["--input-size", "9999999999,99999"], "making an input of 9999999999×99999 raised RuntimeError"),
    ],
)
def test_what_does_not_fit(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "net.py:Net", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert problem in err
    assert "site-packages" not in err
    assert "Error in" not in err


def test_a_forward_that_fails_shows_the_lines_of_the_user(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "net.py:Net", "--input-size", "2,4") == 2
    err = capsys.readouterr().err
    assert "model(2×4 float32) raised RuntimeError" in err
    assert "return self.fc(self.embed(ids)" in err


def test_sizes_are_read_and_made() -> None:
    assert parse_sizes("1,3,2 2:int64:5 scalar:bool") == [
        Size(None, (1, 3, 2), None, None),
        Size(None, (2,), "int64", 5),
        Size(None, (), "bool", None),
    ]
    half = nn.Linear(2, 2).to(torch.bfloat16)
    image, indices, flag = maker(parse_sizes("1,3,2 99:int64:5 scalar:bool"), half)()
    assert (image.shape, image.dtype) == ((1, 3, 2), torch.bfloat16)
    assert 0 <= int(indices.min()) <= int(indices.max()) == 4
    assert (flag.shape, flag.dtype) == ((), torch.bool)
    with pytest.raises(RunError, match="names some inputs"):
        maker(parse_sizes("1 a=2"), half)
