"""Facts about a class, read without running a line of it.

A metaclass or a descriptor may run code when an attribute is looked up, so the names and dicts of classes are
read through the descriptors of `type` itself. It may define `__hash__` and `__eq__`, too, so classes that are not
torch's are told apart by their ids (their instances keep them alive) and by `issubclass`, which compares identities.
"""

from __future__ import annotations

from types import FunctionType, MappingProxyType, MethodType
from typing import Any, NamedTuple

import torch
from torch import nn

_name_of = type.__dict__["__qualname__"].__get__
_mro_of = type.__dict__["__mro__"].__get__
_dict_of = type.__dict__["__dict__"].__get__


def class_mro(cls: type) -> tuple[type, ...]:
    """The classes that attributes are looked up in, nearest first."""
    mro: tuple[type, ...] = _mro_of(cls)
    return mro


def class_dict(cls: type) -> MappingProxyType[str, Any]:
    """What the class itself defines."""
    members: MappingProxyType[str, Any] = _dict_of(cls)
    return members


def module_name(cls: type) -> str:
    """Name of the Python module that defines the class."""
    # NOTE: `type.__module__` answers "builtins" for a class whose own dict has no module.
    name = class_dict(cls).get("__module__", "builtins")
    return name if type(name) is str else "?"


def qualified_name(cls: type) -> str:
    """`package.module.Class`, the name that reports use."""
    return f"{module_name(cls)}.{_name_of(cls)}"


def short_name(cls: type) -> str:
    """The class's own name."""
    name: str = _name_of(cls)
    return name.rpartition(".")[2]


def definer(cls: type, name: str) -> type | None:
    """The class in the MRO whose body defines `name`."""
    for base in class_mro(cls):
        if name in class_dict(base):
            return base
    return None


def is_a(thing: object, *kinds: type) -> bool:
    """As `isinstance`, but for the class alone: `isinstance` asks for `thing.__class__`, which may be user code."""
    return issubclass(type(thing), kinds)


def is_tensor_class(cls: type) -> bool:
    """Whether instances of the class are tensors."""
    return issubclass(cls, torch.Tensor)


def is_torch(cls: type) -> bool:
    """Whether torch itself defines the class."""
    return module_name(cls).partition(".")[0] == "torch"


# What an override of each of these leaves in doubt, by the fates of snapshot.ModuleRecord.unknown.
_DECIDES: tuple[tuple[str, str], ...] = (
    ("state_dict", "saved"),
    ("_save_to_state_dict", "saved"),
    ("get_extra_state", "attributes_saved"),
    ("_apply", "attributes_moved"),
    ("to", "attributes_moved"),
)

# The settings of torch.nn layers that views need.
_SETTINGS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (nn.Embedding, ("padding_idx", "max_norm", "sparse")),
    (nn.EmbeddingBag, ("padding_idx", "max_norm", "sparse")),
)

# What torch.nn keeps beside its registered weights: a flat list of them, and lists of their names.
_RNN_DERIVED = frozenset({"_flat_weights", "_flat_weight_refs", "_flat_weights_names", "_all_weights"})


class ClassFacts(NamedTuple):
    """What every instance of one Module class has in common."""

    type: str
    """Qualified name."""
    settings: tuple[str, ...]
    """Names of the instance attributes to record."""
    derived: frozenset[str]
    """Names of the instance attributes that only repeat what is registered."""
    subtree: tuple[tuple[str, str], ...]
    """(fate, reason) pairs that hold for the module and all below it."""
    own: tuple[tuple[str, str], ...]
    """(fate, reason) pairs that hold for the module alone."""


def class_facts(cls: type) -> ClassFacts:
    """Reads one Module class."""
    mro = class_mro(cls)
    settings: tuple[str, ...] = ()
    for layer, names in _SETTINGS:
        if issubclass(cls, layer):
            settings = names
    subtree: list[tuple[str, str]] = []
    own: list[tuple[str, str]] = []
    overridden: set[str] = set()
    for base in mro:
        if base is nn.Module:
            break
        members = class_dict(base)
        for method, fate in _DECIDES:
            if method in members and method not in overridden:
                overridden.add(method)
                # torch.nn's own overrides (lazy modules, RNNs, quantized layers) save and move what is registered.
                if not is_torch(base):
                    fact = (fate, f"{short_name(base)} overrides {method}()")
                    (subtree if method == "state_dict" else own).append(fact)
    derived = _RNN_DERIVED if issubclass(cls, nn.RNNBase) else frozenset()
    return ClassFacts(qualified_name(cls), settings, derived, tuple(subtree), tuple(own))


def hook_reason(owner: type, hooks: tuple[Any, ...]) -> str | None:
    """Why state_dict hooks leave it open what is saved; None where all are known to be good.

    Those of torch.nn (old-style weight_norm and spectral_norm) add metadata and leave the entries alone.
    """
    for hook in hooks:
        kind = type(hook)
        if kind is MethodType:
            hook = hook.__func__
            kind = type(hook)
        if kind is FunctionType:
            module, name = hook.__module__, hook.__name__
        else:
            module, name = module_name(kind), short_name(kind)
        if type(module) is not str or not module.startswith("torch.nn."):
            return f"{short_name(owner)} carries the state_dict hook {name}"
    return None
