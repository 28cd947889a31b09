"""What a test framework remembers of an expectation: the state of the model that it last held for.

A framework sets a Memory for each test (the pytest plugin does); `expect` asks it for the n-th state and
hands it the n-th state that is as expected. A plugin imports this in every run, so it imports next to nothing.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from paramscope.analysis.changes import State


class Memory(Protocol):
    """What one test knows of its expectations, in the order in which they are stated."""

    def recall(self) -> State | None:
        """Goes on to the next expectation, and gives the state that it last held for."""

    def remember(self, state: State) -> None:
        """Keeps the state that the expectation holds for which was recalled last."""


CURRENT_MEMORY: ContextVar[Memory | None] = ContextVar("paramscope_expectations", default=None)
"""The memory of the test that runs, which every `expect` uses; None outside of one."""
