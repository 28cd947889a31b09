"""The pytest plugin: the fixture and the marker `paramscope`, and the memory behind both.

A plugin is loaded in every run of pytest: this module imports nothing of paramscope, and torch is imported
when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_paramscope.fixture import Paramscope

MARKER = (
    'paramscope(target="model.py:build", *, optimizer="train.py:make", args={}, meta=False, trainable=…, total=…, '
    "hidden=…, frozen=[…], trainable_only=[…], tied=[…], stepped=…): builds a model and expects of it what "
    "paramscope.testing.expect does."
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


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
    from paramscope.testing.memory import CURRENT_MEMORY
    from pytest_paramscope.cache import CachedMemory

    CURRENT_MEMORY.set(CachedMemory(item))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Checks the marks of a test when it is called, before its body."""
    marks = list(item.iter_markers("paramscope"))
    if marks:
        from pytest_paramscope.marks import failures

        found = failures(item, marks)
        if found:
            pytest.fail("\n".join(found), pytrace=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Writes down what the test's expectations held for."""
    from paramscope.testing.memory import CURRENT_MEMORY
    from pytest_paramscope.cache import current_cached_memory

    try:
        return (yield)
    finally:
        memory = current_cached_memory()
        CURRENT_MEMORY.set(None)
        problem = memory.save() if memory else None
        if problem:
            item.add_report_section("teardown", "paramscope", problem)
