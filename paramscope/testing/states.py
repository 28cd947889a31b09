"""The state that an expectation last held for ⇄ JSON::

{"format": "paramscope.state", "version": 1,
 "parameters": {"head.weight": "frozen 5x4", "scale": "trainable scalar", "proj.weight": "trainable unknown"},
 "ties": [["head.weight", "embed.weight"]]}
"""

from __future__ import annotations

import re
from math import prod
from typing import Any, get_args

from paramscope.analysis.changes import ParameterState, ParameterStatus, State

FORMAT, VERSION = "paramscope.state", 1


def state_to_json(state: State) -> dict[str, Any]:
    """A state as plain values for `json.dumps`, a string for each parameter."""
    parameters = {path: f"{each.status} {_shape_text(each.shape)}" for path, each in state.parameters.items()}
    ties = [list(group) for group in state.ties]
    return {"format": FORMAT, "version": VERSION, "parameters": parameters, "ties": ties}


def state_from_json(value: object) -> State | None:
    """A state that was kept; None for what is damaged, foreign or of another version."""
    if not isinstance(value, dict) or value.get("format") != FORMAT or value.get("version") != VERSION:
        return None
    parameters, ties = value.get("parameters"), value.get("ties")
    if not isinstance(parameters, dict) or not isinstance(ties, list):
        return None
    known: dict[str, ParameterState] = {}
    for path, facts in parameters.items():
        match = _FACTS.fullmatch(facts) if isinstance(facts, str) else None
        if match is None:
            return None
        known[path] = _parameter_state(match)
    for group in ties:
        if not isinstance(group, list) or not all(isinstance(path, str) for path in group):
            return None
    return State(known, tuple(tuple(group) for group in ties))


_STATUSES: tuple[ParameterStatus, ...] = get_args(ParameterStatus)
_FACTS = re.compile(rf"({'|'.join(_STATUSES)}) (scalar|unknown|[0-9]{{1,18}}(?:x[0-9]{{1,18}}){{0,63}})", re.ASCII)


def _shape_text(shape: tuple[int, ...] | None) -> str:
    return "unknown" if shape is None else "x".join(map(str, shape)) or "scalar"


def _parameter_state(match: re.Match[str]) -> ParameterState:
    status = next(each for each in _STATUSES if each == match[1])
    if match[2] == "unknown":
        return ParameterState(None, status, None)
    shape = () if match[2] == "scalar" else tuple(map(int, match[2].split("x")))
    return ParameterState(shape, status, prod(shape))
