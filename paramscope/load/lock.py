"""The lock file of a project: found, read, held against models, written anew."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from paramscope import text
from paramscope.analysis.changes import change_lines, changes_between, roots_of, state_of
from paramscope.errors import OutputError
from paramscope.snapshot import Snapshot
from paramscope.wire.lock import NAME, Locked, LockError, read_lock, write_lock

_WRITE = "paramscope check --update-lock, or pytest --paramscope-update"
_MOST_BYTES = 1 << 28
"""Bytes of a lock that is read: 256 MiB."""


def nearest_lock(folder: Path) -> Path:
    """The lock of a folder or of the nearest one above it; where there is none, what it would be in the folder."""
    return next((each / NAME for each in (folder, *folder.parents) if (each / NAME).is_file()), folder / NAME)


def locked(snapshot: Snapshot) -> Locked:
    """What is locked of a model."""
    return Locked(roots_of(snapshot), state_of(snapshot))


def name_in(lock: Path, target: str, base: Path, arguments: Mapping[str, Any]) -> str:
    """What a lock calls a model: its TARGET, a file as it lies from the lock, and what it was built with."""
    place, colon, attribute = target.rpartition(":")
    if place.endswith(".py") or "/" in place:
        file = base / place
        # Folders are told by what they are: the same one may be reached through a link.
        place = os.path.relpath(file.parent.resolve() / file.name, lock.parent.resolve()).replace(os.sep, "/")
    return " ".join([f"{place}{colon}{attribute}", *(f"{key}={value!r}" for key, value in sorted(arguments.items()))])


def read(lock: Path) -> dict[str, Locked]:
    """The models of a lock file. Raises LockError, also where there is none."""
    try:
        if lock.stat().st_size > _MOST_BYTES:
            raise LockError(f"{lock} is larger than {_MOST_BYTES:,} bytes", "Is it a lock file?")
        return read_lock(lock.read_bytes(), _shown(lock))
    except OSError as error:
        advice = "Write one: paramscope lock TARGET…, or pytest --paramscope-update"
        raise LockError(f"{_shown(lock)} cannot be read: {error.strerror}", advice) from None


def update(lock: Path, models: Mapping[str, Locked]) -> bool:
    """Writes what models are into a lock file, beside the others that it holds, in one step; whether that changed it.

    Raises LockError for a file that cannot be read, OutputError for one that cannot be written.
    """
    known = read(lock) if lock.exists() else {}
    written = write_lock({**known, **models}).encode("utf-8")
    lock = lock.resolve()  # a link stays one
    part = lock.with_name(f".{lock.name}.{os.getpid()}")
    try:
        if lock.exists() and lock.read_bytes() == written:
            return False
        part.write_bytes(written)
        part.replace(lock)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{_shown(lock)} cannot be written: {error.strerror}", "Name a file that can.") from None
    return True


class Difference(NamedTuple):
    """How a model differs from what is locked of it."""

    said: str
    advice: str
    changes: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """The changes below a line that says so."""
        return [f"{self.said}: {self.advice}", *(f"  {line}" for line in self.changes)]


def difference(name: str, was: Locked | None, now: Locked, lock: Path) -> Difference | None:
    """Of a model from what is locked of it; None where there is none."""
    if was is None:
        return Difference(f"{text.name(name)} is not in {_shown(lock)}", f"add it with {_WRITE}")
    if was == now:
        return None
    lines = change_lines(changes_between(was.state, now.state))
    if was.type != now.type:
        lines = [f"class  {text.name(was.type)} → {text.name(now.type)}", *lines]
    # What is in another order alone is not said: nothing of it is another.
    if not lines:
        return None
    said = f"{text.name(name)} is not as {_shown(lock)} has it"
    return Difference(said, f"if that is right, write it anew with {_WRITE}", tuple(lines))


def _shown(lock: Path) -> str:
    return os.path.relpath(lock) if lock.is_relative_to(Path.cwd()) else str(lock)
