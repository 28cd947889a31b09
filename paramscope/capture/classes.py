"""Facts about a class, read without running a line of it.

A metaclass or a descriptor may run code when an attribute is looked up, so the names and dicts of classes are
read through the descriptors of `type` itself. It may define `__hash__` and `__eq__`, too, so classes that are not
torch's are told apart by their ids (their instances keep them alive) and by `issubclass`, which compares identities.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, NamedTuple

import torch
from torch import nn

from paramscope.snapshot import ClassRecord
from paramscope.snapshot.declared import LAYERS

_name_of = type.__dict__["__qualname__"].__get__
_mro_of = type.__dict__["__mro__"].__get__
dict_of = type.__dict__["__dict__"].__get__


_TEXT = frozenset({id(str)})


def class_mro(cls: type) -> tuple[type, ...]:
    """The classes that attributes are looked up in, nearest first."""
    mro: tuple[type, ...] = _mro_of(cls)
    return mro


def is_text(names: Iterable[Any]) -> bool:
    """Whether all names are plain strings: to look one up among others may run these."""
    return _TEXT.issuperset(map(id, map(type, names)))


def class_dict(cls: type) -> Mapping[str, Any]:
    """What the class itself defines, under plain names."""
    members: MappingProxyType[str, Any] = dict_of(cls)
    return members if is_text(members) else {name: value for name, value in members.items() if type(name) is str}


def module_name(cls: type) -> str:
    """Name of the Python module that defines the class."""
    # NOTE: `type.__module__` answers "builtins" for a class whose own dict has no module.
    name = class_dict(cls).get("__module__", "builtins")
    return name if type(name) is str else "?"


def qualified_name(cls: type) -> str:
    """`package.module.Class`, the name that reports use."""
    return f"{module_name(cls)}.{str.__str__(_name_of(cls))}"


def short_name(cls: type) -> str:
    """The class's own name."""
    name = str.__str__(_name_of(cls))
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


def is_mapping(thing: object) -> bool:
    """Whether something is a dict, or inherits from Mapping: to ask Mapping itself would hash the class."""
    return is_a(thing, dict, MappingProxyType) or any(base is Mapping for base in class_mro(type(thing)))


def mapping_items(thing: Any) -> list[tuple[Any, Any]]:
    """What a mapping holds; of a dict, without its own methods."""
    return list(dict.items(thing) if is_a(thing, dict) else thing.items())


def is_tensor_class(cls: type) -> bool:
    """Whether instances of the class are tensors."""
    return issubclass(cls, torch.Tensor)


def is_torch(cls: type) -> bool:
    """Whether torch itself defines the class."""
    return module_name(cls).partition(".")[0] == "torch"


# What an override of each of these leaves in doubt for the module itself, by the fates of ModuleRecord.unknown.
DECIDING: dict[str, str] = {
    "_save_to_state_dict": "saved",
    "get_extra_state": "attributes_saved",
    "_apply": "attributes_moved",
}
_HANDING_OUT = ("parameters", "named_parameters")
# These `to()` methods check what they are given, and then move what is registered.
_MOVES_AS_TORCH = frozenset({"transformers", "lightning", "lightning_fabric", "pytorch_lightning"})

# What torch keeps beside what is registered: lists of it, flat or by name.
_DERIVED: dict[str, frozenset[str]] = {
    "torch.nn.modules.rnn.RNNBase": frozenset(
        {"_flat_weights", "_flat_weight_refs", "_flat_weights_names", "_all_weights"}
    ),
    "torch.nn.parallel.distributed.DistributedDataParallel": frozenset(
        {"_module_parameters", "_former_parameters", "modules_buffers", "named_module_buffers"}
    ),
    "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel": frozenset(
        {
            "params",
            "_fully_sharded_module_to_handle",
            "_all_fsdp_states",
            "_all_handles",
            "_ignored_modules",
            "_ignored_params",
        }
    ),
}


class ClassFacts(NamedTuple):
    """What every instance of one Module class has in common."""

    type: str
    """Qualified name."""
    layer: str | None
    """Qualified name of the torch.nn layer that it is or inherits from."""
    settings: tuple[str, ...]
    """Names of the instance attributes that say what a torch.nn layer is."""
    derived: frozenset[str]
    """Names of the instance attributes that only repeat what is registered."""
    subtree: tuple[tuple[str, str], ...]
    """(fate, reason) pairs that hold for the module and all below it."""
    own: tuple[tuple[str, str], ...]
    """(fate, reason) pairs that hold for the module alone."""
    moves_itself: str | None
    """Why it cannot be told what `.to()` of an instance moves beside what is registered; None where it can."""
    hides: tuple[tuple[str, str], ...]
    """(name, kind of thing) of class attributes that would hide what is registered under their names."""
    defines: frozenset[str]
    """Which of the names that look like `requires_grad` the class itself defines."""
    declares_ties: bool
    """Whether a class in the MRO says which weights are tied."""
    flattens: bool
    """Whether it puts the parameters below it into a flat one."""
    hands_out: tuple[str, str] | None
    """(class, method) where one of the user's classes says itself what `parameters()` hands out."""


_CALLING = (
    "RESUME",
    "COPY_FREE_VARS",
    "LOAD_",
    "PUSH_NULL",
    "CALL",
    "PRECALL",
    "KW_NAMES",
    "RETURN_",
    "NOP",
    "CACHE",
)
"""How the instructions begin that a function consists of that calls one other, and hands back what that gives."""


def _only_hands_on(function: object, method: str) -> bool:
    """Whether a function does nothing but return what the method that it overrides returns, given the same."""
    if type(function) is not FunctionType:
        return False
    code = function.__code__
    return (
        set(code.co_names) == {"super", method}
        and False not in code.co_consts
        and all(each.opname.startswith(_CALLING) for each in dis.get_instructions(code))
    )


_OVERRIDES = ("state_dict", "to", *DECIDING)
"""Methods of Module of which an override leaves a fate in doubt."""


def class_facts(cls: type) -> ClassFacts:
    """Reads one Module class."""
    names = [qualified_name(base) for base in class_mro(cls)]
    overridden = _overrides(cls)
    layer = next((name for name in names if name in LAYERS), None)
    saving, moving = overridden.get("state_dict"), overridden.get("to")
    return ClassFacts(
        names[0],
        layer,
        () if layer is None else LAYERS[layer].settings,
        frozenset().union(*(_DERIVED.get(name, ()) for name in names)),
        () if saving is None else (("saved", f"{short_name(saving)} overrides state_dict()"),),
        tuple(
            (DECIDING[method], f"{short_name(base)} overrides {method}()")
            for method, base in overridden.items()
            if method in DECIDING
        ),
        None if moving is None or _moves_as_torch(moving) else f"{short_name(moving)} overrides to()",
        tuple(_hides(cls)),
        frozenset(
            name for name in ("requires_grad", "requires_grad_") if definer(cls, name) not in (None, nn.Module)
        ),
        definer(cls, "_tied_weights_keys") is not None,
        "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel" in names,
        _hands_out(cls),
    )


def _own_bases(cls: type) -> list[type]:
    """The classes in the MRO that are not torch's."""
    return [base for base in class_mro(cls) if not is_torch(base)]


def _overrides(cls: type) -> dict[str, type]:
    """By method, the class of the user's or a library's whose override counts. Those of torch's own classes (lazy
    modules, RNNs, quantized layers) save and move what is registered."""
    found: dict[str, type] = {}
    for base in class_mro(cls):
        for method in _OVERRIDES:
            if method in class_dict(base):
                found.setdefault(method, base)
    return {method: base for method, base in found.items() if not is_torch(base)}


def _moves_as_torch(cls: type) -> bool:
    return module_name(cls).partition(".")[0] in _MOVES_AS_TORCH


def _hands_out(cls: type) -> tuple[str, str] | None:
    for base in _own_bases(cls):
        members = class_dict(base)
        for method in _HANDING_OUT:
            if method in members and not _only_hands_on(members[method], method):
                return short_name(base), method
    return None


def _hides(cls: type) -> Iterator[tuple[str, str]]:
    met: set[str] = set()
    for base in _own_bases(cls):
        for name, value in class_dict(base).items():
            if name not in met and name not in _OVERRIDES and not name.startswith("__"):
                met.add(name)
                kind = hiding_kind(value)
                if kind is not None:
                    yield name, kind


def hiding_kind(value: Any) -> str | None:
    """What a class attribute is, where it would hide a registered parameter, buffer or module of its name.

    Annotations alone are no attributes; properties are meant to stand there.
    """
    if value is None:
        return "None"
    cls = type(value)
    if issubclass(cls, nn.Module):
        return "module"
    return "tensor" if is_tensor_class(cls) else None


def class_record(cls: type) -> ClassRecord:
    """Where a class comes from."""
    names = [qualified_name(base) for base in class_mro(cls) if base is not object]
    file, line = class_place(cls)
    with_forward = definer(cls, "forward")
    forward = None if with_forward is None else qualified_name(with_forward)
    return ClassRecord(names[0], module_name(cls), tuple(names[1:]), file, line, forward)


def class_place(cls: type) -> tuple[str | None, int | None]:
    """(source file, first line of the topmost function in the class body), each None where it is not known."""
    home = sys.modules.get(module_name(cls))
    file = vars(home).get("__file__") if is_a(home, ModuleType) else None
    if type(file) is not str:
        file = None
    begins = f"{str.__str__(_name_of(cls))}."
    places: dict[str, int] = {}
    for member in class_dict(cls).values():
        if type(member) in (staticmethod, classmethod):
            member = member.__func__
        elif type(member) is property:
            member = member.fget
        if type(member) is not FunctionType or not member.__qualname__.startswith(begins):
            continue
        code = member.__code__
        if not code.co_filename.startswith("<"):
            places[code.co_filename] = min(code.co_firstlineno, places.get(code.co_filename, code.co_firstlineno))
    # A decorator of another file may have put its function in the place of the class's own.
    if file in places:
        return file, places[file]
    if file is None and places:
        return next(iter(places.items()))
    return file, None


_HARMLESS_HOOKS = ("torch.nn.", "torch.distributed.fsdp._fully_shard.")


def hook_reason(owner: type, hooks: tuple[Any, ...]) -> str | None:
    """Why state_dict hooks leave it open what is saved; None where all are known to be good.

    Those of torch.nn (old-style weight_norm and spectral_norm) add metadata and leave the entries alone; that of
    `fully_shard` shards what is gathered at the time, and leaves the names alone.
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
        if type(module) is not str or not module.startswith(_HARMLESS_HOOKS):
            return f"{short_name(owner)} carries the state_dict hook {name}"
    return None
