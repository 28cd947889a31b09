"""The pytest plugin, run by pytest itself: what a person sees when an expectation fails."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import forking

GOLDENS = Path(__file__).parent / "goldens"

MODEL = '''
import os
import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim, rank):
        super().__init__()
        self.c_attn = nn.Linear(dim, 3 * dim)
        self.lora_a = nn.Linear(dim, rank, bias=False)
        self.lora_b = nn.Linear(rank, 3 * dim, bias=False)


class Block(nn.Module):
    def __init__(self, dim, rank):
        super().__init__()
        self.ln_1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, rank)


class Transformer(nn.Module):
    def __init__(self, dim, rank):
        super().__init__()
        self.wte = nn.Embedding(1000, dim)
        self.h = nn.ModuleList(Block(dim, rank) for _ in range(12))


class GPT(nn.Module):
    """A GPT-2 in small, with adapters; TOTAL parameters, of which LORA are trainable."""

    def __init__(self, dim=16, rank=2, tie=True):
        super().__init__()
        self.transformer = Transformer(dim, rank)
        self.lm_head = nn.Linear(dim, 1000, bias=False)
        if tie:
            self.lm_head.weight = self.transformer.wte.weight
        for name, parameter in self.named_parameters():
            parameter.requires_grad = "lora_" in name


LORA = 12 * (2 * 16 + 2 * 48)
TOTAL = LORA + 16_000 + 12 * (32 + 48 * 17)


def build(tie=True):
    return GPT(tie=tie)


class Steps:
    """An optimizer in small: making the first of torch.optim takes three seconds, for it imports the compiler."""

    def __init__(self, parameters):
        self.param_groups = [{"params": list(parameters), "lr": 0.1}]


def make(model):
    return Steps(p for p in model.parameters() if p.requires_grad)
'''

FAILING = """
import pytest, torch
from torch import nn
from model import GPT, LORA, TOTAL, Steps, make
from paramscope import audit
from paramscope.testing import expect


def test_trainable():
    model = GPT(tie=False)
    model.lm_head.weight.requires_grad = True
    expect(model, trainable=LORA)


def test_trainable_range():
    model = GPT()
    model.transformer.h[3].requires_grad_(False)
    expect(model, trainable=range(LORA, LORA + 100))


def test_total():
    expect(GPT(), total=TOTAL + 16_000)


def test_hidden():
    model = GPT()
    model.experts = [nn.Linear(3, 3) for _ in range(4)]
    expect(model, hidden=0)


def test_frozen():
    model = GPT()
    model.transformer.h[3].requires_grad_(True)
    model.transformer.h[7].requires_grad_(True)
    expect(model, frozen=["*.ln_1.*", "*.c_attn.*", "transfomer.wte.*"])


def test_trainable_only():
    model = GPT()
    model.transformer.h[3].requires_grad_(False)
    model.lm_head.requires_grad_(True)
    expect(model, trainable_only=["*.lora_*"])


def test_tied():
    model = GPT(tie=False)
    for block in model.transformer.h[1:]:
        block.ln_1.weight = model.transformer.h[0].ln_1.weight
    expect(model, tied=[{"lm_head.weight", "transformer.wte.weight"}, {"lm_head.wieght", "transformer"}])


def test_optimizer():
    model = GPT()
    optimizer = make(model)
    model.transformer.h[0].attn.lora_a = nn.Linear(16, 2, bias=False)
    expect(model, optimizer=optimizer, stepped="all-trainable")


def test_stepped():
    model = GPT()
    expect(model, optimizer=Steps(model.parameters()), stepped=["*.lora_a.*", "lm_head.weight", "*.gamma"])


def test_like():
    model = GPT()
    before = audit(model)
    model.lm_head = nn.Linear(16, 1001)
    model.transformer.h[3].attn.c_attn.weight.requires_grad_(True)
    for block in model.transformer.h:
        block.attn.lora_b.requires_grad_(False)
    del model.transformer.h[11]
    expect(model, trainable=LORA, total=TOTAL, like=before)


def test_many():
    model = nn.ModuleDict({f"w{'a' * i}": nn.Linear(i + 1, i + 1) for i in range(30)})
    expect(model, total=1, frozen=["*"])


def test_lazy():
    expect(nn.Sequential(nn.LazyLinear(3), nn.LazyLinear(4)), trainable=3)


def test_usage():
    expect(GPT(), frozen="transformer.*")


def test_no_module(paramscope):
    paramscope(GPT)


def test_fixture(paramscope):
    assert paramscope(GPT(), make(GPT())).totals.trainable == LORA
    paramscope.expect(GPT(), trainable=0)


@pytest.mark.paramscope(target="model.py:build", args={"tie": False}, trainable=LORA, tied=[{"a", "b"}])
@pytest.mark.paramscope(target="model:build", optimizer="model.py:make", stepped="all-trainable")
@pytest.mark.paramscope(target="model.py:build", meta=True, total=5)
def test_marker():
    raise AssertionError("marks are checked before the body")


@pytest.mark.paramscope(target="model.py:buidl", trainable=1)
@pytest.mark.paramscope(target="model.py:build", trainabel=1)
@pytest.mark.paramscope("model.py:build", trainable=1)
@pytest.mark.paramscope(trainable=1)
@pytest.mark.paramscope(target="model.py:build")
@pytest.mark.paramscope(target="model.py:build", stepped=["*"])
@pytest.mark.paramscope(target="model.py:build", args=["tie"])
def test_marker_usage():
    pass
"""

KEYWORDS = re.findall(r"def test_(\w+)", FAILING)


def failures(output: str) -> dict[str, str]:
    """By test, what pytest says of its failure, without the test's own source."""
    output = output.partition("short test summary info")[0]
    found = {}
    for name, block in re.findall(r"(?ms)^_+ test_(\w+) _+$(.*?)(?=^_+ test_|^=+ |\Z)", output):
        lines = [line[1:].removeprefix("       ") for line in block.splitlines() if line.startswith("E   ")]
        # A failure without a traceback; xdist names its worker above it.
        bare = [line for line in block.splitlines() if line and not line.startswith("[gw")]
        found[name] = "\n".join(lines or bare) + "\n"
    return found


def assert_golden(name: str, text: str) -> None:
    path = GOLDENS / f"expect_{name}.txt"
    if os.environ.get("PARAMSCOPE_UPDATE_GOLDENS") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{path} is missing: PARAMSCOPE_UPDATE_GOLDENS=1 writes it"
    assert text == path.read_text(encoding="utf-8")


UPGRADE = '''
import os
import pytest
from model import GPT, LORA, TOTAL
from paramscope.testing import expect


def upgraded():
    """What a dependency builds, which an upgrade of it changes."""
    model = GPT(tie=not os.environ.get("UPGRADE"))
    if os.environ.get("UPGRADE"):
        for block in model.transformer.h:
            block.attn.c_attn.weight.requires_grad_(True)
    return model


@pytest.fixture
def model():
    model = upgraded()
    expect(model, hidden=0)
    return model


def test_first_of_two(model):
    expect(model, frozen=["*.ln_1.*"])
    expect(model, trainable=LORA, total=TOTAL)


@pytest.mark.paramscope(target="test_upgrade.py:upgraded", total=TOTAL)
@pytest.mark.paramscope(target="test_upgrade.py:upgraded", trainable=LORA)
def test_marks():
    expect(GPT(), total=TOTAL)
'''


INI = "[pytest]\naddopts = --strict-markers -W error\npythonpath = .\n"


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project whose tests were run by two workers of pytest-xdist, and what was printed.

    The workers are interpreters of their own, which import torch: ten seconds, once for all that asks for them.
    """
    folder = tmp_path_factory.mktemp("spread")
    for name, text in {
        "pytest.ini": INI,
        "model.py": MODEL,
        "test_failing.py": FAILING,
        "test_upgrade.py": UPGRADE,
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-n", "2", f"--basetemp={folder / 'temp'}"]
    environment = {**os.environ, "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return folder, done.stdout


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini(INI)
    pytester.makepyfile(model=MODEL)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """A run of pytest in a process of its own, which has imported torch."""
    temp = f"--basetemp={project.path / 'temp'}"
    done = forking.run_pytest(temp, *arguments, cwd=project.path, imported=["torch._dynamo"])
    return pytest.RunResult(done.returncode, done.stdout.splitlines(), done.stderr.splitlines(), 0.0)


def test_every_keyword_fails_with_a_message_of_its_own(project: pytest.Pytester, spread: tuple[Path, str]) -> None:
    project.makepyfile(test_failing=FAILING)
    alone = run(project)
    alone.assert_outcomes(failed=len(KEYWORDS))
    shown = str(alone.stdout)
    messages = failures(shown)
    assert list(messages) == KEYWORDS
    for name, message in messages.items():
        assert_golden(name, message)
        assert len(message.splitlines()) <= 21
    # The traceback is the line of the test and nothing else.
    assert not re.search(r"(?m)^\S*(paramscope|pluggy|_pytest)\S*:\d+: ", shown)

    assert failures(spread[1]) == messages


def cache_entries(folder: Path) -> dict[Path, Any]:
    """What is remembered of the tests of the upgrade."""
    files = sorted((folder / ".pytest_cache" / "v" / "paramscope").glob("*"))
    entries = {file: json.loads(file.read_text(encoding="utf-8")) for file in files}
    return {file: entry for file, entry in entries.items() if entry["test"].startswith("test_upgrade.py")}


def test_a_failure_names_what_changed_since_the_test_last_passed(
    project: pytest.Pytester, spread: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makepyfile(test_upgrade=UPGRADE)
    folder, shown = spread
    # Two workers shared the cache, and both tests passed there.
    assert re.search(rf"^=+ {len(KEYWORDS)} failed, 2 passed in ", shown, re.MULTILINE)
    shutil.copytree(folder / ".pytest_cache", project.path / ".pytest_cache")
    remembered = cache_entries(project.path)
    entries = list(remembered)
    kept = {entry["test"]: sorted(entry["states"]) for entry in remembered.values()}
    marks = "test_upgrade.py:upgraded"
    assert kept == {
        "test_upgrade.py::test_first_of_two": ["1", "2", "3"],
        "test_upgrade.py::test_marks": ["1", f"{marks} 1", f"{marks} 2"],
    }

    before = [entry.read_bytes() for entry in entries]
    monkeypatch.setenv("UPGRADE", "1")
    after = run(project)
    after.assert_outcomes(failed=2)
    changed = failures(str(after.stdout))
    for name, message in changed.items():
        assert_golden(f"since_{name}", message)
    # What fails is not remembered; the expectations before it held, for the model as it is now.
    states = json.loads(entries[0].read_text(encoding="utf-8"))["states"]
    assert states["1"] != states["3"]
    assert states["3"] == json.loads(before[0])["states"]["3"]
    assert entries[1].read_bytes() == before[1]

    first, second = entries
    first.write_text("{damaged", encoding="utf-8")
    entry = json.loads(second.read_text(encoding="utf-8"))
    entry["states"] = {name: {"format": "foreign", "version": [name]} for name in entry["states"]}
    second.write_text(json.dumps(entry), encoding="utf-8")
    for arguments in ((), ("-p", "no:cacheprovider")):
        result = run(project, *arguments)
        result.assert_outcomes(failed=2)
        result.stdout.no_fnmatch_line("*since this last passed*")
        result.stdout.no_fnmatch_line("*INTERNALERROR*")
        first.write_bytes(before[0])
        second.write_bytes(before[1])


def test_marks_of_many_kinds(project: pytest.Pytester) -> None:
    (project.path / "deep").mkdir()
    (project.path / "deep" / "near.py").write_text("from model import build, make, LORA, TOTAL\n", encoding="utf-8")
    (project.path / "deep" / "test_deep.py").write_text(
        """
import random
import unittest

import pytest, torch
from model import LORA, TOTAL

pytestmark = pytest.mark.paramscope(target="near.py:build", trainable=LORA)


@pytest.fixture
def seeded():
    torch.manual_seed(3)
    random.seed(3)


@pytest.mark.paramscope(target="model.py:build", total=TOTAL)
def test_a_mark_draws_no_random_number(seeded):
    drawn = torch.rand(3).tolist(), random.random()
    torch.manual_seed(3)
    random.seed(3)
    assert drawn == (torch.rand(3).tolist(), random.random())


@pytest.mark.xfail(strict=True)
@pytest.mark.paramscope(target="near:build", optimizer="make", stepped=["*.lora_a.*"])
def test_expected_to_fail():
    pass


@pytest.mark.paramscope(target="near.py:build", total=1)
class TestUnittest(unittest.TestCase):
    def test_marked(self):
        raise RuntimeError("marks are checked before the body")


def test_skipped():
    pytest.skip("marks hold, the body decides")
""",
        encoding="utf-8",
    )
    result = run(project)
    result.assert_outcomes(passed=1, xfailed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["near.py:build: total: expected 1, found 27,712*"])
    result.stdout.no_fnmatch_line("*RuntimeError*")


WATCH = """
import sys
from pathlib import Path

def pytest_sessionfinish(session):
    loaded = [name for name in ("torch", "paramscope.capture", "paramscope.report", "paramscope.snapshot", "pytest_paramscope") if name in sys.modules]
    Path(__file__).with_name(f"loaded_{hasattr(session.config, 'workerinput')}.txt").write_text(" ".join(loaded))
"""


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("--collect-only",), "False"),
        ((), "False"),
        (("-p", "no:cacheprovider"), "False"),
        (("-n", "1"), "True"),
        (("--markers",), None),
    ],
)
def test_torch_is_imported_only_when_a_test_asks(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], where: str | None
) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeconftest(WATCH)
    pytester.makepyfile(
        """
        import pytest
        import paramscope.testing

        def test_nothing_of_ours():
            pass

        @pytest.mark.skip
        @pytest.mark.paramscope(target="missing.py:build", trainable=3)
        def test_skipped(paramscope):
            pass
        """
    )
    result = pytester.runpytest_subprocess("--strict-markers", "-W", "error", *arguments)
    assert result.ret == 0
    if where is None:
        result.stdout.fnmatch_lines(["@pytest.mark.paramscope(target=*"])
    else:
        assert (pytester.path / f"loaded_{where}.txt").read_text() == "pytest_paramscope"


def test_a_cache_that_cannot_be_written_fails_no_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from torch import nn
        from paramscope.testing import expect

        class Cache:
            def get(self, key, default):
                return default
            def set(self, key, value):
                raise pytest.PytestWarning("no room")

        @pytest.fixture(autouse=True, scope="session")
        def cache(pytestconfig):
            pytestconfig.cache = Cache()

        @pytest.mark.parametrize("number", range(2))
        def test_it(number):
            expect(nn.Linear(2, 2), total=6)
            expect(nn.Linear(2, 2), trainable=6)
        """
    )
    result = run(pytester, "-p", "no:cacheprovider", "-rP")
    result.assert_outcomes(passed=2)
    assert result.stdout.str().count("what this test expects could not be remembered: no room") == 2  # once a test
