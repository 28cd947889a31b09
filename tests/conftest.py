"""What the tests of this folder have in common: the same surroundings on every machine, and pytest's own fixture."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings

from paramscope.render.picture import _layout

pytest_plugins = "pytester"
# What the shared helpers assert is explained as what the tests assert is.
pytest.register_assert_rewrite("support")

# What a shell or a build server may say to every program. It changes what ours and pytest print, so no test inherits it.
for name in (
    *("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "PYTEST_ADDOPTS", "PARAMSCOPE_OUTPUT_FORMAT"),
    *("GITHUB_WORKSPACE", "CI_PROJECT_DIR"),
    *("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PY_COLORS", "COLUMNS", "LINES"),
    *("PYTHONWARNINGS", "PYTHONPROFILEIMPORTTIME", "PYTHONSAFEPATH", "PYTHONIOENCODING"),
):
    os.environ.pop(name, None)
# The interpreters that tests start import what is tested here, not what else is installed.
ROOT = Path(__file__).parent.parent
if {"site-packages", "dist-packages"} & set(ROOT.parts):
    # Findings then point at none of the fixtures' lines, which is as it should be.
    raise pytest.UsageError(f"{ROOT} is where packages are installed: what lies there is taken for a library's")
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT), str(ROOT / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])]
)
# No test loads anything from anywhere.
os.environ["HF_HUB_OFFLINE"] = "1"

# The same examples each time, whatever ran before, and as long as they take: how loaded a machine is fails no test.
settings.register_profile(
    "suite", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is released, built once a process."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(autouse=True)
def _one_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn by the wheel that the tests install, whichever Graphviz the system has besides."""
    if importlib.util.find_spec("pygraphviz") is not None:
        monkeypatch.setattr(_layout, "shutil", SimpleNamespace(which=lambda name: None))
