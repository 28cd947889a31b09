"""What was read of classes before: reading one takes as long as walking ten of its instances.

Classes are known by identity, held weakly, and read again when anything in them, or in what they inherit from, was
replaced since. Nothing of the user's keeps the cache from forgetting them.
"""

from __future__ import annotations

from collections import deque
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from torch import nn

from paramscope.capture.by_class import ByClass
from paramscope.capture.classes import (
    ClassFacts,
    class_dict,
    class_facts,
    class_mro,
    class_record,
    dict_of,
    is_torch,
)
from paramscope.capture.lookups import INERT
from paramscope.snapshot import ClassRecord

_SHARED = (torch.Tensor, nn.Module, dict, list, tuple, set, frozenset, deque)


class KnownClass(NamedTuple):
    """One class."""

    edition: tuple[int, ...]
    """Ids of all that its body holds: another edition is another class. None for torch's own."""
    record: ClassRecord
    shared: tuple[str, ...]
    """Names of class attributes that may hold tensors or modules; none of torch's own classes."""


class KnownModuleClass(NamedTuple):
    """One class of modules."""

    editions: tuple[tuple[int, ...], ...]
    """Of the whole MRO."""
    facts: ClassFacts
    read: Any
    """Reads the settings from an instance's dict; None where there are none."""


_classes: ByClass[KnownClass] = ByClass()
_module_classes: ByClass[KnownModuleClass] = ByClass()


def look_up(cls: type) -> KnownClass:
    """One class, read anew if it changed."""
    known = _classes.get(cls)
    if known is not None and (known.edition == () or known.edition == _edition(cls)):
        return known
    if is_torch(cls):
        # Nothing in the bodies of torch's own classes matters but their names and places.
        return _classes.put(cls, KnownClass((), class_record(cls), ()))
    return _classes.put(cls, KnownClass(_edition(cls), class_record(cls), tuple(_shared_names(cls))))


def _edition(cls: type) -> tuple[int, ...]:
    members = dict_of(cls)
    values = list(members.values())
    # Their names and classes, too: what replaces another may get its address.
    return (*map(id, members), *map(id, values), *map(id, map(type, values)))


def look_up_module_class(cls: type, editions: tuple[tuple[int, ...], ...]) -> KnownModuleClass:
    """One class of modules, whose MRO has these editions."""
    known = _module_classes.get(cls)
    if known is not None and known.editions == editions:
        return known
    facts = class_facts(cls)
    read = itemgetter(*facts.settings) if facts.settings else None
    return _module_classes.put(cls, KnownModuleClass(editions, facts, read))


def _shared_names(cls: type) -> list[str]:
    return [
        name
        for name, value in class_dict(cls).items()
        if type(name) is str
        and not name.startswith("__")
        and id(type(value)) not in INERT
        and issubclass(type(value), _SHARED)
    ]


def mro_of(cls: type) -> list[type]:
    """A class and what it inherits from, without `object`."""
    return [base for base in class_mro(cls) if base is not object]
