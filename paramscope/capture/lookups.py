"""How to look into a value for tensors and modules, told from its class: as a container, a callable, an object.

Nothing is read through the value's own methods: containers through the built-in type that they inherit from,
attributes through the descriptors that Python itself puts into a class.
"""

from __future__ import annotations

import functools
import marshal
import sys
from argparse import Namespace
from collections import ChainMap, OrderedDict, UserDict, UserList, deque
from collections.abc import Callable, Iterator
from gc import get_referents
from types import (
    BuiltinMethodType,
    CellType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, NamedTuple

import torch
from torch import nn

from paramscope.capture.by_class import ByClass
from paramscope.capture.classes import class_dict, class_mro, module_name, qualified_name, short_name
from paramscope.capture.outsiders import LIBRARIES, holds_data, is_outsider

Contents = Iterator[tuple[str, Any]]
"""(step of a path, value) pairs."""

# Of the standard library, only what holds other things by its nature.
_CONTAINERS = frozenset(map(id, (UserDict, UserList, ChainMap)))
_RECORDS = (SimpleNamespace, Namespace)
_STORES = _CONTAINERS | set(map(id, _RECORDS))
_PYTHON = sys.stdlib_module_names


class Lookup(NamedTuple):
    """What values of one class are to the search."""

    is_thing: bool
    """A tensor or a module: what is searched for."""
    contents: Callable[[Any], Contents] | None
    """What a value holds; None where values of this class are not looked into."""
    is_object: bool
    """Looked into attribute by attribute, which takes longer than a container's items."""
    way: tuple[int, str] = (0, "")
    """How well it hides what it holds, as an index into `WAYS`, and its class; a container only holds it."""
    is_data: bool = False
    """Whether the plain tensors in it are data, thousands at times, and none of the model's."""
    is_copied: bool = True
    """Whether `copy.deepcopy` copies what it holds, as far as its class leaves that to Python."""


WAYS = ("container", "record", "object", "callable")
"""What may stand between a module and what it holds, from the one that shows the most to the one that hides it best;
a record is a dataclass, a SimpleNamespace or argparse's Namespace."""
_THING = Lookup(is_thing=True, contents=None, is_object=False)
NOTHING = Lookup(is_thing=False, contents=None, is_object=False)
PACKED = Lookup(is_thing=False, contents=None, is_object=True)
"""An object in C++ that may hold tensors."""
_LONGEST = 10**40
"""Numbers from here on are not written out."""
_PLAIN_KEYS = frozenset(map(id, (str, int, bool, float, bytes, type(None))))
INERT = frozenset(
    map(
        id,
        (
            int,
            float,
            bool,
            str,
            bytes,
            complex,
            type(None),
            type,
            range,
            slice,
            torch.dtype,
            torch.device,
            torch.Size,
        ),
    )
)
"""Ids of the classes whose instances hold no tensor and no module, whatever they are."""


def _begins_with_numbers(value: Any) -> bool:
    """Told from a few of many: what marshal copies must not be large."""
    return all(type(value[i]) in (int, float) for i in (0, 1, len(value) // 2, -1))


def is_inert(value: Any) -> bool:
    """Whether a value is a container of nothing but numbers, strings and the like."""
    kind = type(value)
    if kind is dict or kind is OrderedDict:
        return INERT.issuperset(map(id, map(type, dict.values(value)))) and INERT.issuperset(
            map(id, map(type, value))
        )
    if (kind is list or kind is tuple) and len(value) > 256 and _begins_with_numbers(value):
        # Long lists of numbers: marshal knows the built-in types by identity, and fails at the first other one.
        try:
            return bool(marshal.dumps(value))
        except ValueError:
            return False
    if kind is list or kind is tuple or kind is set or kind is frozenset or kind is deque:
        return INERT.issuperset(map(id, map(type, value)))
    return False


_lookups: ByClass[tuple[str, Lookup]] = ByClass()


def lookup_of(cls: type) -> Lookup:
    """Tells one class; anew where it was called otherwise before."""
    name = qualified_name(cls)
    known = _lookups.get(cls)
    if known is None or known[0] != name:
        known = _lookups.put(cls, (name, _lookup_of(cls)))
    return known[1]


def _lookup_of(cls: type) -> Lookup:
    if issubclass(cls, torch.Tensor) or issubclass(cls, nn.Module):
        return _THING
    if issubclass(cls, torch.ScriptObject):
        return PACKED
    container = _container_reader(cls)
    if container is not None:
        package = module_name(cls).partition(".")[0]
        if package in LIBRARIES:
            return NOTHING  # Lightning's copy of what a module was built with, for one
        of_attributes = None if is_outsider(cls, _STORES) else attribute_reader(cls)
        steps = _both(container, of_attributes)
        return Lookup(is_thing=False, contents=steps, is_object=False, is_copied=not copies_itself(cls))
    if issubclass(cls, (FunctionType, MethodType, BuiltinMethodType, functools.partial)):
        way = (WAYS.index("callable"), qualified_name(cls))
        # A copy of a function is the function itself; a partial and a method are taken apart.
        is_copied = not issubclass(cls, FunctionType)
        return Lookup(is_thing=False, contents=_callable_reader(cls), is_object=True, way=way, is_copied=is_copied)
    if issubclass(cls, (type, ModuleType)) or is_outsider(cls, _STORES):
        return NOTHING
    of_object = attribute_reader(cls)
    if of_object is None:
        return NOTHING
    return Lookup(
        is_thing=False,
        contents=of_object,
        is_object=True,
        way=_way_of(cls),
        is_data=holds_data(cls),
        is_copied=not copies_itself(cls),
    )


_COPYING = frozenset({"__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__"})


def copies_itself(cls: type) -> bool:
    """Whether a class of the user's, or one that it inherits from, says itself what a copy of an instance holds."""
    return any(
        not _COPYING.isdisjoint(class_dict(base))
        for base in class_mro(cls)
        if base is not object
        and (package := module_name(base).partition(".")[0]) not in _PYTHON
        # What libraries leave out of a copy is a trainer or a logger.
        and package not in LIBRARIES
    )


def _way_of(cls: type) -> tuple[int, str]:
    """How well an object hides what it holds; those that are containers by their nature do not."""
    mro = class_mro(cls)
    if any(id(base) in _CONTAINERS for base in mro):
        return (0, "")
    is_record = issubclass(cls, _RECORDS) or any("__dataclass_fields__" in class_dict(base) for base in mro)
    return (WAYS.index("record" if is_record else "object"), qualified_name(cls))


_ITERABLE: tuple[tuple[Any, str, str], ...] = (
    (list, "[", "]"),
    (tuple, "[", "]"),
    (deque, "[", "]"),
    (set, "{", "}"),
    (frozenset, "{", "}"),
)


def _both(first: Callable[[Any], Contents], second: Callable[[Any], Contents] | None) -> Callable[[Any], Contents]:
    if second is None:
        return first

    def steps(value: Any) -> Contents:
        yield from first(value)
        yield from second(value)

    return steps


def _container_reader(cls: type) -> Callable[[Any], Contents] | None:
    if issubclass(cls, dict):
        return _dict_contents
    if issubclass(cls, MappingProxyType):
        return _proxy_contents
    for base, before, after in _ITERABLE:
        if issubclass(cls, base):
            return functools.partial(_items, base.__iter__, before, after)
    return None


def _items(iterate: Callable[[Any], Iterator[Any]], before: str, after: str, value: Any) -> Contents:
    inert = INERT
    for i, item in enumerate(iterate(value)):
        if id(type(item)) not in inert:
            yield f"{before}{i}{after}", item


def _dict_contents(value: Any) -> Contents:
    inert = INERT
    met: set[str] = set()
    for position, (key, item) in enumerate(dict.items(value)):
        if id(type(item)) not in inert:
            text = key_text(key)
            if id(type(key)) not in _PLAIN_KEYS:
                # Of keys whose text is not their own to write, some may look alike.
                text = f"{text}#{position}" if text in met else text
                met.add(text)
            yield f"[{text}]", item
        if id(type(key)) not in inert:
            yield f"{{{position}}}", key


def _proxy_contents(value: Any) -> Contents:
    # What a proxy stands for has no attribute of its own, and the proxy's methods call those of what it stands for.
    return (step for held in get_referents(value) if issubclass(type(held), dict) for step in _dict_contents(held))


def key_text(key: Any) -> str:
    """A dict key as code would write it; of a key with a `__repr__` of its own, only the class."""
    if id(type(key)) in _PLAIN_KEYS and not (type(key) is int and abs(key) >= _LONGEST):
        return repr(key)
    return f"<{short_name(type(key))}>"


def plain_name(name: Any) -> str:
    """A name as it stands, without what a class of the user's would make of it."""
    return str.__str__(name) if issubclass(type(name), str) else key_text(name)


_readers: ByClass[tuple[Callable[[Any], Contents] | None]] = ByClass()


def attribute_reader(cls: type) -> Callable[[Any], Contents] | None:
    """Reads `__dict__` and `__slots__` through the descriptors of the classes that make them; None where instances
    have neither."""
    known = _readers.get(cls) or _readers.put(cls, (_attribute_reader(cls),))
    return known[0]


def _attribute_reader(cls: type) -> Callable[[Any], Contents] | None:
    readers: list[tuple[str, Any]] = []
    dict_of: Any = None
    for base in reversed(class_mro(cls)):
        for name, member in class_dict(base).items():
            if type(name) is not str:
                continue
            if name == "__dict__" and type(member) in (GetSetDescriptorType, MemberDescriptorType):
                dict_of = member.__get__
            elif type(member) is MemberDescriptorType and not name.startswith("__"):
                readers.append((f"->{name}", member.__get__))
    if dict_of is None and not readers:
        return None

    def steps(value: Any) -> Contents:
        if dict_of is not None:
            held = dict_of(value)
            if issubclass(type(held), dict):
                for name, item in dict.items(held):
                    yield f"->{plain_name(name)}", item
        for step, read in readers:
            item = _read_or(None, AttributeError, read, value)  # a slot may not be set
            yield step, item

    return steps


def _read_or(default: Any, missing: type[Exception], read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except missing:
        return default


def _callable_reader(cls: type) -> Callable[[Any], Contents] | None:
    if issubclass(cls, FunctionType):
        return _function_contents
    if issubclass(cls, MethodType):
        return lambda method: iter((("->__self__", method.__self__), ("->__func__", method.__func__)))
    if issubclass(cls, BuiltinMethodType):
        return lambda method: iter((("->__self__", method.__self__),))
    return attribute_reader(cls)  # a partial keeps `func`, `args` and `keywords`


def _function_contents(function: Any) -> Contents:
    # The code of torch and its like closes over what it works on, not over what a model trains.
    if _is_of_a_library(function):
        yield "->__wrapped__", dict.get(function.__dict__, "__wrapped__")
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        yield f"-><{name}>", _read_or(None, ValueError, _cell_contents, cell)  # a cell may be empty
    if function.__defaults__ is not None:
        for i, item in enumerate(tuple.__iter__(function.__defaults__)):
            yield f"->__defaults__[{i}]", item
    if function.__kwdefaults__ is not None:
        for name, item in dict.items(function.__kwdefaults__):
            yield f"->__kwdefaults__[{key_text(name)}]", item
    for name, item in dict.items(function.__dict__):
        yield f"->{plain_name(name)}", item


_cell_contents: Callable[[Any], Any] = class_dict(CellType)["cell_contents"].__get__


def _is_of_a_library(function: Any) -> bool:
    # Not its __module__, which functools.wraps copies from what is wrapped.
    name = dict.get(function.__globals__, "__name__")
    package = name.partition(".")[0] if type(name) is str else ""
    return package in LIBRARIES or package in _PYTHON
