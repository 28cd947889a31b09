"""The pytest plugin: the fixture, the marker and the option `paramscope`, and the memory behind them.

A plugin is loaded in every run of pytest: this one imports next to nothing, and torch is imported when a test asks
for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paramscope.errors import MissingLibrary

try:
    import pytest
except ModuleNotFoundError as _error:
    raise MissingLibrary("pytest cannot be imported", "pip install pytest") from _error

from paramscope.testing.memory import CURRENT_MEMORY
from pytest_paramscope.cache import CachedMemory

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_paramscope.fixture import Paramscope

MARKER = (
    'paramscope(target="model.py:build", *, optimizer="train.py:make", args={}, meta=False, trainable=…, total=…, '
    "hidden=…, frozen=[…], trainable_only=[…], tied=[…], stepped=…, findings=(), locked=True): builds a model and "
    "expects of it what paramscope.testing.expect does, and that it is as paramscope.lock has it."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("paramscope")
    group.addoption(
        "--paramscope",
        action="store_true",
        help="Also test each model that [tool.paramscope.models] of pyproject.toml declares.",
    )
    group.addoption(
        "--paramscope-update",
        action="store_true",
        help="Write what models marked with locked=True are to paramscope.lock, instead of holding them to it.",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    if config.getoption("--paramscope"):
        from pytest_paramscope.collecting import ask_for_models

        ask_for_models(config)
    elif any(each.partition("::")[0].endswith("pyproject.toml") for each in config.args):
        from pytest_paramscope.collecting import declared_in

        declared_in(config)  # what is wrong in it is said before anything is collected


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The models of a pyproject.toml: where they are asked for, or the file is."""
    if file_path.name != "pyproject.toml":
        return None
    if not parent.config.getoption("--paramscope") and not parent.session.isinitpath(file_path):
        return None
    from pytest_paramscope.collecting import models_of

    return models_of(file_path, parent)


@pytest.fixture(scope="session", name="paramscope")
def _paramscope() -> Paramscope:
    """paramscope(model, optimizer=None) gives a Report; paramscope.expect(model, trainable=…) checks one."""
    from pytest_paramscope.fixture import Paramscope

    return Paramscope()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Lets every `expect` of a test, its fixtures included, remember the model that it last held for.

    A test that runs again (pytest-rerunfailures) is set up again, and states its expectations again.
    """
    CURRENT_MEMORY.set(CachedMemory(item))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Checks the marks of a test when it is called, before its body."""
    if marks := list(item.iter_markers("paramscope")):
        from pytest_paramscope.marks import failures

        if found := failures(item, marks):
            pytest.fail("\n".join(found), pytrace=False)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist is done."""
    if node.config.getoption("--paramscope-update") and hasattr(node, "workeroutput"):
        from pytest_paramscope.locking import take

        take(node.config, node.workeroutput)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """All tests have run, those of workers included."""
    if session.config.getoption("--paramscope-update"):
        from pytest_paramscope.locking import finish

        finish(session.config)


def pytest_unconfigure() -> None:
    """No test runs any more."""
    CURRENT_MEMORY.set(None)
