"""The lock file: what models are, written down, and held against what they have become."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.forking import run_pytest
from support.versions import runner
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, MT5Config, MT5ForConditionalGeneration

from paramscope import capture
from paramscope.cli import cli, error_text
from paramscope.errors import ParamscopeError
from paramscope.load.lock import difference, locked
from paramscope.wire.lock import LockError, read_lock, write_lock

MODEL = """
from torch import nn

class Tied(nn.Module):
    def __init__(self, dim=4, depth=3):
        super().__init__()
        self.embed = nn.Embedding(10, dim)
        self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))
        self.norm = nn.BatchNorm1d(dim)
        self.head = nn.Linear(dim, 10, bias=False)
        self.head.weight = self.embed.weight

def build(dim=4, depth=3):
    return Tied(dim, depth)
"""
TEST = """
import pytest

@pytest.mark.paramscope(target="model.py:build", locked=True)
def test_small():
    pass

@pytest.mark.paramscope(target="model.py:build", args={"dim": 8}, locked=True)
def test_large():
    pass

@pytest.mark.paramscope(target="model.py:build", args={"dim": 2}, locked=True, total=42)
def test_counted():
    pass
"""


def run(*arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    result = runner().invoke(cli, arguments, standalone_mode=False)
    if isinstance(result.exception, ParamscopeError):
        return 2, result.stdout, error_text(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value or 0, result.stdout, result.stderr


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(MODEL)
    return tmp_path


def change(old: str, new: str) -> None:
    text = Path("model.py").read_text()
    assert old in text
    Path("model.py").write_text(text.replace(old, new))


def test_llama_70b_is_tens_of_lines_to_review() -> None:
    sizes = {"hidden_size": 8_192, "intermediate_size": 28_672, "num_hidden_layers": 80, "vocab_size": 128_256}
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=64, num_key_value_heads=8))
    text = write_lock({"llama": locked(capture(model))})
    assert len(text.splitlines()) < 40
    assert '"parameters": 70553706496' in text
    assert '"model.layers.[0-79].mlp.up_proj.weight": "trainable float32 28672x8192"' in text
    assert read_lock(text, "x")["llama"] == locked(capture(model))


def test_what_is_locked_holds_until_the_model_changes(project: Path) -> None:
    assert run("lock", "model.py:build") == (0, "", "paramscope.lock: written, 1 model\n")
    assert run("lock", "model.py:build")[2] == "paramscope.lock: as it was, 1 model\n"
    assert run("check", "model.py:build", "--locked", "-q", "--fail-on", "never")[0] == 0
    change("self.head.weight = self.embed.weight", "self.norm.requires_grad_(False)")
    # What is imported once stays as it is: the changed model needs a process of its own.
    command = [sys.executable, "-m", "paramscope", "check", "model.py:build", "-q", "--fail-on", "never"]
    done = subprocess.run([*command, "--locked"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [head, *lines] = done.stdout.splitlines()[-3:]
    assert head.startswith("model.py:build is not as paramscope.lock has it")
    assert lines == [
        "  froze   norm.* (2 slots, 8 elements)",
        "  untied  embed.weight = head.weight",
    ]
    assert subprocess.run([*command, "--update-lock"], check=False, capture_output=True).returncode == 0
    assert '"norm.weight": "frozen float32 4"' in Path("paramscope.lock").read_text()


def test_a_head_that_is_tied_without_a_word() -> None:
    """What one version of transformers did to mt5, whatever its configuration says."""
    sizes = {"d_model": 8, "d_ff": 8, "num_layers": 1, "num_heads": 2, "d_kv": 4, "vocab_size": 100}
    model = MT5ForConditionalGeneration(MT5Config(**sizes, tie_word_embeddings=False))
    tied = locked(capture(model))
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())
    apart = locked(capture(model))
    other = difference("mt5", apart, tied, Path("paramscope.lock"))
    assert other is not None
    head, *lines = other.lines
    assert "mt5 is not as paramscope.lock has it" in head
    assert [line.split() for line in lines] == [["tied", *SLOTS]]


SLOTS = [
    "shared.weight",
    "=",
    "encoder.embed_tokens.weight",
    "=",
    "decoder.embed_tokens.weight",
    "=",
    "lm_head.weight",
]


def test_every_model_has_its_entry_and_others_stay(project: Path) -> None:
    run("lock", "model.py:build", "--arg", "dim=8")
    run("lock", "model.py:build", "model.py:Tied")
    held = json.loads(Path("paramscope.lock").read_text())["models"]
    assert list(held) == ["model.py:Tied", "model.py:build", "model.py:build dim=8"]
    assert run("check", "model.py:build", "--arg", "dim=8", "--locked", "-q")[0] == 0
    code, out, _ = run("check", "model.py:build", "--arg", "dim=6", "--locked", "-q")
    assert (code, "model.py:build dim=6 is not in paramscope.lock" in out) == (1, True)


def test_a_lock_is_found_from_a_folder_below(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("lock", "model.py:build")
    (project / "sub").mkdir()
    monkeypatch.chdir(project / "sub")
    assert run("check", "../model.py:build", "--locked", "-q")[0] == 0
    assert run("check", "../model.py:build", "--lock-file", "../paramscope.lock", "-q")[0] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no lock file"),
        ("[]", "is no lock file"),
        ('{"format": "other", "version": 1, "models": {}}', "its format is other"),
        ('{"format": "paramscope.lock", "version": 9, "models": {}}', "version 9"),
        ("{\n||||||| base\n}", "paramscope.lock:2: it is half merged"),
        ('{\n<<<<<<< HEAD\n"format"\n=======\n>>>>>>> main\n}', "paramscope.lock:2: it is half merged"),
        ("[" * 100_000, "is no lock file"),
    ],
)
def test_files_that_are_no_locks(project: Path, text: str, said: str) -> None:
    Path("paramscope.lock").write_text(text)
    for command in (("check", "model.py:build", "--locked", "-q"), ("lock", "model.py:build")):
        code, _, err = run(*command)
        assert (code, said in err) == (2, True), err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"parameters": 108', '"parameters": 109', "says 109 parameters, 108 trainable, and its slots add up to 108"),
        ("trainable float32 4x4", "trainable float32 4x", "cannot be trainable float32 4x"),
        ("layers.[0-2].bias", "layers.[0-999999998].bias", "more than 1,000,000 slots"),
        ('"head.weight"\n', '"haed.weight"\n', "ties haed.weight, which it does not list"),
    ],
)
def test_a_lock_that_was_edited_by_hand(project: Path, old: str, new: str, said: str) -> None:
    run("lock", "model.py:build")
    text = Path("paramscope.lock").read_text()
    assert old in text
    Path("paramscope.lock").write_text(text.replace(old, new))
    code, _, err = run("check", "model.py:build", "--locked", "-q")
    assert (code, said in err) == (2, True), err
    assert "delete it and write it anew: paramscope lock" in err


def test_no_lock_at_all(project: Path) -> None:
    code, _, err = run("check", "model.py:build", "--locked", "-q")
    assert (code, "paramscope.lock cannot be read" in err) == (2, True)
    assert run("lock", "model.py:build", "-o", "none/there.lock")[0] == 2


def test_names_that_look_like_ranges_stay_apart() -> None:
    model = nn.ModuleDict({"[0-1]": nn.Linear(2, 2), "0": nn.Linear(2, 2), "1": nn.Linear(2, 2)})
    text = write_lock({"x": locked(capture(model))})
    assert '"folded": false' in text
    assert read_lock(text, "x")["x"] == locked(capture(model))


@pytest.fixture
def tested(tmp_path: Path) -> Path:
    """A folder with a model and its tests."""
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "test_model.py").write_text(TEST)
    return tmp_path


def in_lines(text: str, *said: str) -> bool:
    """Whether something is said in lines that follow one another."""
    return re.search(r".*\n".join(map(re.escape, said)), text) is not None


def test_pytest_writes_it_once_at_any_number_of_workers(tested: Path) -> None:
    lock = tested / "paramscope.lock"
    plain = run_pytest("-q", "-p", "no:cacheprovider", cwd=tested)
    assert "3 failed" in plain.stdout
    assert "paramscope.lock cannot be read" in plain.stdout
    assert "pytest --paramscope-update" in plain.stdout
    assert "3 passed" in run_pytest("-q", "--paramscope-update", cwd=tested).stdout
    text = lock.read_text()
    assert set(json.loads(text)["models"]) == {"model.py:build", "model.py:build dim=2", "model.py:build dim=8"}
    lock.unlink()
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--paramscope-update"]
    done = subprocess.run(command, cwd=tested, capture_output=True, text=True, check=False)
    assert "3 passed" in done.stdout, done.stderr
    assert lock.read_text() == text
    assert "3 passed" in run_pytest("-q", cwd=tested).stdout
    (tested / "model.py").write_text(MODEL.replace("depth=3", "depth=4"))
    changed = run_pytest("-q", cwd=tested).stdout
    assert "3 failed" in changed
    assert in_lines(
        changed,
        "model.py:build dim=8 is not as paramscope.lock has it",
        "  added  layers.3.* (2 slots, 72 elements, trainable)",
    )


def test_pytest_does_not_write_over_what_it_cannot_read(tested: Path) -> None:
    lock = tested / "paramscope.lock"
    lock.write_text("{\n<<<<<<< ours\n")
    found = run_pytest("-q", "--paramscope-update", cwd=tested)
    assert "3 failed" in found.stdout
    assert "paramscope.lock:2: it is half merged" in found.stdout
    lock.unlink()
    lock.symlink_to("none/there.lock")
    found = run_pytest("-q", "--paramscope-update", cwd=tested)
    assert found.returncode == pytest.ExitCode.USAGE_ERROR
    assert "cannot be written: No such file or directory" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_mark_that_cannot_be_understood(tested: Path) -> None:
    (tested / "test_model.py").write_text(TEST.replace("locked=True)", "locked=1)"))
    said = run_pytest("-q", cwd=tested).stdout
    assert "locked= cannot be 1" in said
    assert "Write locked=True." in said


def test_what_cannot_be_read_is_refused_as_an_error() -> None:
    with pytest.raises(LockError, match="half merged"):
        read_lock("<<<<<<< ours\n", "paramscope.lock")


def test_one_folder_has_one_name_whatever_link_leads_to_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "there").mkdir()
    (project / "model.py").rename(project / "there" / "model.py")
    (project / "link").symlink_to(project / "there")
    run("lock", "link/model.py:build")
    assert list(json.loads(Path("paramscope.lock").read_text())["models"]) == ["there/model.py:build"]
    assert run("check", "there/model.py:build", "--lock-file", "link/../paramscope.lock", "-q")[0] == 0


def test_a_lock_that_is_a_link_stays_one(project: Path) -> None:
    Path("real.lock").write_text('{"format": "paramscope.lock", "version": 1, "models": {}}')
    Path("paramscope.lock").symlink_to("real.lock")
    run("lock", "model.py:build")
    assert Path("paramscope.lock").is_symlink()
    assert "model.py:build" in Path("real.lock").read_text()


def test_what_a_program_reads_stays_whole(project: Path) -> None:
    run("lock", "model.py:build", "--arg", "dim=8")
    code, out, err = run("check", "model.py:build", "--locked", "-f", "json")
    assert (code, json.loads(out)["format"]) == (1, "paramscope.report")
    assert "model.py:build is not in paramscope.lock" in err


def test_a_saved_report_is_not_what_is_locked(project: Path) -> None:
    run("inspect", "model.py:build", "-o", "saved.json")
    code, _, err = run("lock", "saved.json")
    assert (code, err.splitlines()[0]) == (2, "error: saved.json names no code that builds a model")
