"""States that expectations last held for, in pytest's own cache: one entry a test.

One entry a test, because pytest-xdist's workers write without asking each other, and run no test twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from paramscope.testing.memory import CURRENT_MEMORY

if TYPE_CHECKING:
    from paramscope.analysis.changes import State

VERSION = 2


def current_cached_memory() -> CachedMemory | None:
    """The memory of the test that runs."""
    memory = CURRENT_MEMORY.get()
    return memory if isinstance(memory, CachedMemory) else None


class CachedMemory:
    """The memory of one test. Without a cache (`-p no:cacheprovider`) it remembers nothing."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._cache: pytest.Cache | None = getattr(item.config, "cache", None)
        self._known: dict[str, Any] | None = None
        self._series = ""
        self._counts: dict[str, int] = {}

    @contextmanager
    def series(self, name: str) -> Iterator[None]:
        """Within it, expectations are counted separately, so that one more mark does not shift the others."""
        outer, self._series = self._series, name
        try:
            yield
        finally:
            self._series = outer

    def recall(self) -> State | None:
        from paramscope.wire.lock import from_plain

        self._counts[self._series] = self._counts.get(self._series, 0) + 1
        known = from_plain(self._load().get(self._current()))
        return known and known.state

    def remember(self, state: State) -> None:
        """Writes the state at once, where it is new: most never change, and so no end of a test has to be awaited."""
        from paramscope.wire.lock import Locked, to_plain

        known, current, fresh = self._load(), self._current(), to_plain(Locked("", state))
        if self._cache is None or known.get(current) == fresh:
            return
        known[current] = fresh
        try:
            self._cache.set(self._key(), {"version": VERSION, "test": self._item.nodeid, "states": known})
        # pytest warns where it cannot write, and a project may have made its warnings errors.
        except (OSError, ValueError, pytest.PytestWarning) as error:
            self._cache = None
            told = f"what this test expects could not be remembered: {error}"
            self._item.add_report_section("teardown", "paramscope", told)

    def _current(self) -> str:
        number = str(self._counts.get(self._series, 0))
        return f"{self._series} {number}" if self._series else number

    def _key(self) -> str:
        import hashlib

        digest = hashlib.sha256(self._item.nodeid.encode("utf-8", "surrogatepass")).hexdigest()
        return f"paramscope/{digest[:32]}"

    def _load(self) -> dict[str, Any]:
        """The states that are kept for this test; none where the entry is missing, damaged or not ours."""
        if self._known is None:
            self._known = {}
            if self._cache is not None:
                entry = self._cache.get(self._key(), None)
                if (
                    isinstance(entry, dict)
                    and entry.get("version") == VERSION
                    and entry.get("test") == self._item.nodeid
                ):
                    states = entry.get("states")
                    self._known = states if isinstance(states, dict) else {}
        return self._known
