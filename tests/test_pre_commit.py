"""The hook of .pre-commit-hooks.yaml, run by pre-commit on commits of a project that uses it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.check_models import write_models

ROOT = Path(__file__).parent.parent


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What git does in a folder, as somebody without a configuration."""
    home = folder.parent
    environment = {
        **os.environ,
        "PRE_COMMIT_HOME": str(home / "cache"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    named = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", *named, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository in which pre-commit is installed, with the hook as a published revision has it."""
    hooks, project = tmp_path / "hooks", tmp_path / "project"
    for folder in (hooks, project):
        folder.mkdir()
        assert git(folder, "init", "-q", ".").returncode == 0
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks)
    git(hooks, "add", ".")
    assert git(hooks, "commit", "-qm", "one").returncode == 0
    revision = git(hooks, "rev-parse", "HEAD").stdout.strip()
    write_models(project)
    (project / ".pre-commit-config.yaml").write_text(
        f"repos:\n  - repo: {hooks}\n    rev: {revision}\n    hooks:\n      - id: paramscope-check\n"
    )
    (project / "pyproject.toml").write_text('[tool.paramscope.models.net]\ntarget = "models.py:clean"\n')
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "install"], cwd=project, capture_output=True, text=True, check=True
    )
    assert "pre-commit installed" in done.stdout
    return project


def test_a_commit_of_a_broken_model_is_stopped_at_its_line(project: Path) -> None:
    git(project, "add", ".")
    done = git(project, "commit", "-m", "clean")
    assert done.returncode == 0, done.stderr
    assert "paramscope check" in done.stderr
    assert "Passed" in done.stderr
    (project / "pyproject.toml").write_text('[tool.paramscope.models.net]\ntarget = "models.py:hidden"\n')
    git(project, "add", ".")
    done = git(project, "commit", "-m", "broken")
    assert done.returncode == 1
    assert "models.py:7: error PS101 module-in-container" in done.stderr
    (project / "notes.md").write_text("Nothing that builds a model.\n")
    git(project, "reset", "-q", "--hard")
    git(project, "add", "notes.md")
    done = git(project, "commit", "-m", "notes")
    assert done.returncode == 0
    assert "Skipped" in done.stderr
