"""The instance dict of a module → one with all that `nn.Module.__init__` puts there, whatever was done to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any

import torch
from torch import nn

from paramscope.capture.classes import class_dict, is_text
from paramscope.capture.idioms import compiled_state, scripted_state
from paramscope.capture.lookups import plain_name
from paramscope.snapshot import Note

# What a module without Module.__init__ is taken to hold.
_BARE: dict[str, Any] = nn.Module().__dict__
OWN = frozenset(_BARE)
"""Names of what `nn.Module.__init__` puts into every instance; a user's own attributes come after these."""
OWN_COUNT = len(OWN)
LAST_OWN = "_modules"
"""The last of them."""
Registered, Hooks = type(nn.Module()._parameters), type(nn.Module()._state_dict_hooks)
"""What torch keeps tensors and modules in, and hooks: of any other class, asking for the items would run its code."""
_KEYS = frozenset(map(id, (str, int)))
_DICTS = {
    "_parameters": Registered,
    "_buffers": Registered,
    "_modules": Registered,
    "_state_dict_hooks": Hooks,
    "_state_dict_pre_hooks": Hooks,
}
read_needed = itemgetter("training", *_DICTS)
"""What the walk cannot do without, of a plain state. Raises KeyError, or whatever a key of the user's does."""

# Asked of the class that makes the dict: a subclass may define a property of that name.
instance_dict: Callable[[Any], dict[str, Any]] = class_dict(nn.Module)["__dict__"].__get__
"""The instance dict of a module. Raises TypeError for anything else."""


def usual_state(path: str, module: Any, state: dict[str, Any], notes: list[Note]) -> dict[str, Any]:
    """What stands for the instance dict of a module that lacks some of Module's own attributes."""
    if issubclass(type(module), torch.jit.ScriptModule):
        return {**_BARE, **scripted_state(state)}
    if not is_text(state):
        state = {plain_name(name): value for name, value in state.items()}
    state = compiled_state(type(module), state) or state
    if not state.keys() >= {"training", *_DICTS}:
        notes.append(Note(path, "uninitialised", "Module.__init__ did not run, or part of it was deleted"))
    state = {**_BARE, **state}
    for name in _DICTS:
        held = state[name]
        if are_plain(held):
            continue
        is_dict = issubclass(type(held), dict)
        if not is_dict:
            notes.append(Note(path, "uninitialised", f"its {name} is no dict"))
        state[name] = {plain_name(key): value for key, value in dict.items(held)} if is_dict else {}
    return state


def are_plain(*held: Any) -> bool:
    """Whether what a module holds is in dicts that run nobody's code as they are gone through.

    An OrderedDict, which torch 2.4 keeps everything in, asks its keys for their hashes.
    """
    return all(
        type(each) is dict or (type(each) is OrderedDict and _KEYS.issuperset(map(id, map(type, dict.keys(each)))))
        for each in held
    )


def transient_names(path: str, state: dict[str, Any], notes: list[Note]) -> set[str]:
    """The names of the buffers that are not saved."""
    names: Any = state.get("_non_persistent_buffers_set")
    if type(names) is set and is_text(names):
        return names
    if issubclass(type(names), set):
        return set(map(plain_name, set.__iter__(names)))
    notes.append(Note(path, "uninitialised", "its _non_persistent_buffers_set is no set"))
    return set()


def is_registered_name(name: str, state: dict[str, Any]) -> bool:
    """Whether a parameter, a buffer or a module is registered under a name."""
    for registered in (state["_parameters"], state["_buffers"], state["_modules"]):
        names = registered if is_text(registered) else {plain_name(each) for each in registered}
        if name in names:
            return True
    return False


def early_attributes(state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What was assigned before `Module.__init__` ran, or before one of its own attributes was replaced."""
    for name, value in state.items():
        if type(name) is not str:
            continue
        if name == LAST_OWN:
            return
        if name not in OWN:
            yield name, value
