"""A shell completes commands, options and the words that these take, and torch is not imported for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.forking import run

CLICK = "import sys; from paramscope.cli import main; main([])"


def answers(line: str, cwd: Path) -> list[str]:
    """What is offered at the end of a command line, in click's words to a shell, each with its kind."""
    words = line.split(" ")
    env = {"_PARAMSCOPE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = run(CLICK, cwd=cwd, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def offered(line: str, cwd: Path) -> list[str]:
    """The words among them."""
    return [each.removeprefix("plain,") for each in answers(line, cwd) if each.startswith("plain,")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project that declares a model."""
    (tmp_path / "pyproject.toml").write_text('[tool.paramscope.models.gpt]\ntarget = "model.py:build"\n')
    (tmp_path / "model.py").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("paramscope in", ["inspect"]),
        ("paramscope check -f git", ["github", "gitlab"]),
        ("paramscope check --output-format gith", ["github"]),
        ("paramscope inspect model.py:build -f ht", ["html"]),
        ("paramscope model.py:build -f tab", ["table"]),
        ("paramscope graph model.py:build -f s", ["svg"]),
        ("paramscope diff a b -f m", ["markdown"]),
        ("paramscope merge rank0.json -f tab", ["table"]),
        ("paramscope check --fail-on w", ["warning"]),
        ("paramscope explain PS101", ["PS101"]),
        ("paramscope explain ps101", ["PS101"]),
        ("paramscope explain module-in", ["module-in-container"]),
        ("paramscope check --select PS101", ["PS101"]),
        ("paramscope check --ignore PS301,PS101", ["PS301,PS101"]),
        ("paramscope check --show-i", ["--show-ignored"]),
    ],
)
def test_words(line: str, expected: list[str], folder: Path) -> None:
    assert offered(line, folder) == expected


def test_targets_are_files_and_declared_models(folder: Path) -> None:
    for command in ("check", "inspect", "graph", "lock", "diff"):
        assert answers(f"paramscope {command} g", folder) == ["file,g", "plain,gpt"]
    assert answers("paramscope g", folder) == ["file,g", "plain,gpt", "plain,graph"]
    assert "plain,check" in answers("paramscope ", folder)


def test_where_nothing_can_be_said_nothing_is(folder: Path) -> None:
    """An unknown command, and a configuration that cannot be read: what is wrong is said when the command is run."""
    assert "PS101" not in offered("paramscope chekc --select PS10", folder)
    (folder / "pyproject.toml").write_text("[tool.paramscope]\nmodels = 3\n")
    assert answers("paramscope check g", folder) == ["file,g"]


def test_torch_is_not_imported(folder: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from paramscope.cli import main; main([])"
    for line in (
        "paramscope ",
        "paramscope check -f ",
        "paramscope inspect x -f ",
        "paramscope explain PS",
        "paramscope check g",
    ):
        env = {"_PARAMSCOPE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, env={**os.environ, **env}, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "plain," in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash to complete in")
def test_bash_completes(folder: Path) -> None:
    """As docs/ci.md says to set it up; a Tab is what calls the function that is registered then."""
    script = textwrap.dedent(
        f"""
        paramscope() {{ {sys.executable} -m paramscope "$@"; }}
        eval "$(_PARAMSCOPE_COMPLETE=bash_source paramscope)"
        complete -p paramscope
        COMP_WORDS=(paramscope check -f git) COMP_CWORD=3
        "$(complete -p paramscope | sed 's/.*-F \\([^ ]*\\) .*/\\1/')" "$PWD/paramscope"
        printf '%s\\n' "${{COMPREPLY[@]}}"
        """
    )
    (folder / "paramscope").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m paramscope "$@"\n')
    (folder / "paramscope").chmod(0o755)
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert first.startswith("complete -o nosort -F _paramscope_completion")
    assert rest == ["github", "gitlab"]
