"""A group of entry points → what installed packages offer in it, at once where that is nothing.

importlib.metadata takes 20 to 30 ms of a command to import itself and to read every distribution, and the answer is
nearly always: nothing. So the files that name entry points are searched for the group first. Nothing is remembered
between two processes: a package that is installed, changed or removed is seen by the next.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def offered(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group, as `importlib.metadata.entry_points` gives them."""
    if not _may_be_offered(group):
        return ()
    from importlib.metadata import entry_points

    return tuple(entry_points(group=group))


def origin_of(point: EntryPoint) -> str:
    """The name of the package that an entry point comes from; what it points at, where that is unknown."""
    return point.dist.name if point.dist is not None else point.value


def _may_be_offered(group: str) -> bool:
    """Whether importlib.metadata could find an entry point of a group: True wherever that cannot be ruled out.

    NOTE: it asks the finders on `sys.meta_path`, and Python's own looks for `*.dist-info` and `*.egg-info` in
    the folders and archives of `sys.path`. Editable installations leave such a folder behind, too.
    """
    if any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path):
        return True
    return any(_holds(os.fspath(path) or ".", group.encode()) for path in sys.path)


def _holds(path: str, group: bytes) -> bool:
    """Whether a package in a folder names the group; True also for an archive, which importlib.metadata reads."""
    try:
        names = os.listdir(path)
    except NotADirectoryError:
        return True
    except OSError:
        return False
    endings = (".dist-info", ".egg-info", "egg-info" if path.lower().endswith(".egg") else ".egg-info")
    return any(group in _read(f"{path}/{name}/entry_points.txt") for name in names if name.lower().endswith(endings))


def _read(file: str) -> bytes:
    """The content of a file; empty where it cannot be read, as for importlib.metadata.

    `os.open` takes a third of the time of `open`, and there may be hundreds of files.
    """
    try:
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return b""
    try:
        return os.read(handle, os.fstat(handle).st_size)
    except OSError:
        return b""
    finally:
        os.close(handle)
