"""A plugin of pytest that tells what ours costs a run that does not use it, as `python -m benchmarks` asks.

Whole runs with and without it differ by less than one run does from the next. So one run takes our plugin in and out
again, a few tests at a time, and compares tests that stand beside each other.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Generator
from types import SimpleNamespace

import pytest

BLOCK = 10
"""Tests with the plugin, and as many without."""
MODULE, NAME = "pytest_paramscope", "ours"  # `-p no:paramscope` keeps the module's own name out

_with: list[float] = []
_without: list[float] = []
_entering: list[float] = []
"""Seconds of the import and the configuration, and of the first test."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Times a test, and changes sides before it where it is the first of its block."""
    manager = item.config.pluginmanager
    done = len(_with) + len(_without)
    if done and done % BLOCK == 0:
        if manager.has_plugin(NAME):
            manager.unregister(name=NAME)
        else:
            start = time.process_time()
            plugin = importlib.import_module(MODULE)
            if _with:  # pytest takes an option once
                manager.register(SimpleNamespace(**{**vars(plugin), "pytest_addoption": None}), NAME)
            else:
                manager.register(plugin, NAME)
                _entering.append(time.process_time() - start)
    start = time.process_time()
    result = yield
    (_with if manager.has_plugin(NAME) else _without).append(time.process_time() - start)
    return result


def pytest_unconfigure() -> None:
    """Prints milliseconds of a run and microseconds of a test, in CPU time."""
    a_test = statistics.median(_without)
    first, *others = _with
    print((sum(_entering) + first - a_test) * 1e3, (statistics.median(others) - a_test) * 1e6)
