"""`locked=True` and `--paramscope-update`: models held to the lock file, which is written once, by one process.

A worker of pytest-xdist hands what its tests have locked to the process that runs the workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from paramscope import api, text
from paramscope.errors import ParamscopeError
from paramscope.load import lock as locks
from paramscope.wire.lock import NAME, Locked, from_plain, to_plain

UPDATE = "--paramscope-update"
_OUTPUT = "paramscope_locked"


def differences(item: pytest.Item, model: Any, target: str, base: Path, arguments: Mapping[str, Any]) -> list[str]:
    """How a model differs from the lock file in pytest's root; nothing where that is to be updated. Raises LockError,
    NotAModule."""
    lock = item.config.rootpath / NAME
    name = locks.name_in(lock, target, base, arguments)
    now = locks.locked(api.capture(model))
    stash, is_updated = item.config.stash, item.config.getoption(UPDATE)
    if _KNOWN not in stash:
        stash[_KNOWN] = locks.read(lock) if lock.exists() or not is_updated else {}
    if is_updated:
        stash.setdefault(_NEW, {})[name] = now
        return []
    other = locks.difference(name, stash[_KNOWN].get(name), now, lock)
    return other.lines if other else []


_KNOWN, _NEW = pytest.StashKey[dict[str, Locked]](), pytest.StashKey[dict[str, Locked]]()
"""What is locked, read once a run; and what is to be."""


def finish(config: pytest.Config) -> None:
    """Writes what the tests of this process have locked, or hands it on."""
    new = config.stash.get(_NEW, {})
    if not new:
        return
    if hasattr(config, "workeroutput"):
        config.workeroutput[_OUTPUT] = {name: to_plain(each) for name, each in new.items()}
        return
    try:
        is_new = locks.update(config.rootpath / NAME, new)
    except ParamscopeError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"\n{NAME}: {text.plural(len(new), 'model')}, {'written' if is_new else 'as it was'}")


def take(config: pytest.Config, output: Mapping[str, Any]) -> None:
    """Takes what a worker hands on."""
    for name, plain in output.get(_OUTPUT, {}).items():
        model = from_plain(plain)
        assert model is not None
        config.stash.setdefault(_NEW, {})[name] = model
