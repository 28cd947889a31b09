"""What a test framework remembers of an expectation: the state of the model that it last held for.

A framework sets a Memory around each test (the pytest plugin does); `expect` asks it for the n-th state and
hands it the n-th state that is as expected. As JSON a state is::

    {"format": "paramscope.state", "version": 1, "shapes": [[4, 4], null],
     "parameters": {"head.weight": [0, "trainable"]}, "ties": [["head.weight", "embed.weight"]]}
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any, Protocol, get_args

from paramscope.changes import ParameterState, ParameterStatus, State

FORMAT, VERSION = "paramscope.state", 1


class Memory(Protocol):
    """What one test knows of its expectations, in the order in which they are stated."""

    def recall(self) -> State | None:
        """Goes on to the next expectation, and gives the state that it last held for."""

    def remember(self, state: State) -> None:
        """Keeps the state that the expectation holds for which was recalled last."""


_MEMORY: ContextVar[Memory | None] = ContextVar("paramscope_expectations", default=None)


def current_memory() -> Memory | None:
    """The memory of the test that runs; None outside of one."""
    return _MEMORY.get()


@contextmanager
def remembering(memory: Memory) -> Iterator[None]:
    """Within it, every `expect` uses this memory."""
    token = _MEMORY.set(memory)
    try:
        yield
    finally:
        _MEMORY.reset(token)


def state_to_json(state: State) -> dict[str, Any]:
    """A state as plain values for `json.dumps`."""
    shapes: dict[tuple[int, ...] | None, int] = {}
    parameters = {
        path: [shapes.setdefault(parameter.shape, len(shapes)), parameter.status]
        for path, parameter in state.parameters.items()
    }
    return {
        "format": FORMAT,
        "version": VERSION,
        "shapes": [None if shape is None else list(shape) for shape in shapes],
        "parameters": parameters,
        "ties": [list(group) for group in state.ties],
    }


def state_from_json(value: object) -> State | None:
    """A state that was kept; None for what is damaged, foreign or of another version."""
    if not isinstance(value, dict) or value.get("format") != FORMAT or value.get("version") != VERSION:
        return None
    shapes, parameters, ties = value.get("shapes"), value.get("parameters"), value.get("ties")
    if not isinstance(shapes, list) or not isinstance(parameters, dict) or not isinstance(ties, list):
        return None
    if not all(shape is None or _is_list_of(shape, int) for shape in shapes):
        return None
    known: dict[str, ParameterState] = {}
    for path, facts in parameters.items():
        if not isinstance(facts, list) or len(facts) != 2:
            return None
        index, status = facts
        if type(index) is not int or not 0 <= index < len(shapes) or status not in get_args(ParameterStatus):
            return None
        shape = None if shapes[index] is None else tuple(shapes[index])
        known[path] = ParameterState(shape, status, None if shape is None else prod(shape))
    if not all(_is_list_of(group, str) for group in ties):
        return None
    return State(known, tuple(tuple(group) for group in ties))


def _is_list_of(value: object, kind: type) -> bool:
    return isinstance(value, list) and all(type(each) is kind for each in value)
