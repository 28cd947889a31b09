"""Which weights a model says are one: transformers' instance and class attributes, read without running a property.

An instance's `all_tied_weights_keys` names slots. A class's `_tied_weights_keys` holds patterns, and means them only
where the configuration says `tie_word_embeddings`; before transformers 5 it was a list, which says less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from paramscope.capture.classes import class_dict, class_mro, definer, is_a
from paramscope.capture.lookups import attribute_reader
from paramscope.snapshot import DeclaredTie, Oddity, SharingRecord, join, without_wrappers

_NAME = re.compile(r"[\w.]+")
"""A key that is the name of one slot, and no pattern."""

Pairs = list[tuple[str, str]]


def declared_ties(tying: Iterable[tuple[str, Any]]) -> tuple[DeclaredTie, ...]:
    """Every tie that is declared, by its names alone.

    tying: (path, module) of the modules that may declare any.
    """
    found: list[DeclaredTie] = []
    for path, module in tying:
        state = _attributes(module, "all_tied_weights_keys", "config")
        declared: Any = state.get("all_tied_weights_keys")
        if is_a(declared, dict):
            found.extend(DeclaredTie(path, "instance", names, (), None) for names in _texts(declared))
        else:
            found.extend(_of_class(path, type(module), state.get("config")))
    return tuple(found)


def _of_class(path: str, cls: type, config: Any) -> list[DeclaredTie]:
    holder = definer(cls, "_tied_weights_keys")
    declared = None if holder is None else class_dict(holder)["_tied_weights_keys"]
    if declared is None:
        return []
    if type(declared) is not dict:
        what = "a list, which does not say what is tied to what" if is_a(declared, list, tuple, set) else "computed"
        return [DeclaredTie(path, "class", ("", ""), (), f"_tied_weights_keys is {what}")]
    is_meant = _setting(config, "tie_word_embeddings")
    if is_meant is False or is_meant is None:
        return []
    undecided = None if is_meant is True else "tie_word_embeddings is computed"
    return [DeclaredTie(path, "class", names, (), undecided) for names in _texts(declared)]


def saved_once(tying: Iterable[tuple[str, Any]], sharing: Iterable[SharingRecord]) -> Iterator[Oddity]:
    """The names of shared memory that transformers' `save_pretrained` leaves out besides those of `declared_ties`:
    those that `_tied_weights_keys` has as keys, whatever the configuration says, and those that are never saved.

    tying: (path, module) of the modules that may name any.
    """
    shared: set[str] = set()
    for path, module in tying:
        state = _attributes(module, "all_tied_weights_keys", "_tied_weights_keys", "_keys_to_ignore_on_save")
        tied: Any = state.get("all_tied_weights_keys")
        known = frozenset(name for name, _ in _texts(tied)) if is_a(tied, dict) else frozenset()
        for attribute, is_always in (("_tied_weights_keys", False), ("_keys_to_ignore_on_save", True)):
            declared: Any = state.get(attribute)
            if declared is None:
                holder = definer(type(module), attribute)
                declared = None if holder is None else class_dict(holder)[attribute]
            # NOTE: in transformers 4 it is a list. The order of a set is another one in the next process.
            if type(declared) in (dict, list, tuple, set):
                for name in sorted(each for each in declared if type(each) is str):
                    if name in known and not is_always:
                        continue
                    shared = shared or {without_wrappers(slot) for record in sharing for slot in record.slots}
                    if not _NAME.fullmatch(name) or without_wrappers(join(path, name)) in shared:
                        yield Oddity(path, "saved-once", name, is_always)


def _texts(declared: dict[Any, Any]) -> Pairs:
    return [(key, value) for key, value in dict.items(declared) if type(key) is str and type(value) is str]


def _attributes(thing: Any, *names: str) -> dict[str, Any]:
    """Those of an object's own attributes that have one of these names."""
    steps, wanted = attribute_reader(type(thing)), {f"->{name}": name for name in names}
    return {} if steps is None else {wanted[step]: item for step, item in steps(thing) if step in wanted}


def _setting(config: Any, name: str) -> Any:
    """A plain attribute of a configuration, from the instance or its class; None where there is none."""
    held = _attributes(config, name)
    if name in held:
        return held[name]
    for base in class_mro(type(config)):
        if name in class_dict(base):
            return class_dict(base)[name]
    return None
