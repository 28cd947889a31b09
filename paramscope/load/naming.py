"""`path/model.py:build`, `package.module:attr` → the object that it names, and the surroundings for its code."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from paramscope.errors import TargetError, nearest
from paramscope.load.arguments import Callee, required
from paramscope.load.blaming import blaming
from paramscope.load.importing import import_file, own_arguments, search_path, stdout_to_stderr


class Sought(NamedTuple):
    """What a TARGET is to name."""

    missing: str
    """What a TARGET without an attribute does not say: `what to build`."""
    purpose: str
    """What the object is there for: `build a model`."""
    is_likely: Callable[[Any, str], bool]
    """Whether an object that is found in a module of some name may be meant."""
    first: str
    """What the names of the likeliest begin with, a regular expression."""
    given: int = 0
    """How many arguments it is given by position."""


@contextlib.contextmanager
def running(target: str, base: Path) -> Iterator[None]:
    """The surroundings that the code of a target finds."""
    place, _ = split(target)
    with search_path(*_folders(target, base)), own_arguments(place), stdout_to_stderr():
        yield


_SHAPE_OF_TARGET = "A target is path/model.py:build or package.module:attr."


def split(target: str) -> tuple[str, str]:
    """(file or module, attribute path) of a TARGET; the latter may be empty."""
    place, colon, attribute = target.rpartition(":")
    if not colon or "/" in attribute or "\\" in attribute:
        place, attribute = target, ""
    if not place or not all(part.isidentifier() for part in attribute.split(".") if attribute):
        raise TargetError(f"{target!r} is not a target", _SHAPE_OF_TARGET)
    return place, attribute


def names_file(place: str) -> bool:
    """Whether the place of a TARGET is a path, and no dotted name of a module."""
    return place.endswith(".py") or "/" in place or "\\" in place


def _folders(target: str, base: Path) -> tuple[Path, ...]:
    place, _ = split(target)
    return ((base / place).resolve().parent,) if names_file(place) else (base,)


def resolve(target: str, base: Path, sought: Sought) -> Any:
    """The object that a TARGET names. Raises TargetError."""
    place, attribute = split(target)
    module = import_place(target, place, base)
    if not attribute:
        raise TargetError(f"{target} does not say {sought.missing}", choices(target, base, sought))
    thing: Any = module
    try:
        for name in attribute.split("."):
            thing = getattr(thing, name)
    except AttributeError:
        raise TargetError(f"{place} has no {attribute!r}", choices(target, base, sought)) from None
    return thing


def import_place(target: str, place: str, base: Path) -> ModuleType:
    """The module or file of a TARGET. Raises TargetError."""
    if names_file(place):
        path = base / place
        if not path.is_file():
            fault = "is a folder" if path.is_dir() else "does not exist"
            near = nearest(path.name, [p.name for p in path.parent.glob("*.py")], n=1)
            hint = f"Did you mean {Path(place).with_name(near[0]).as_posix()}?" if near else _SHAPE_OF_TARGET
            raise TargetError(f"{place} {fault}", hint)
        with blaming(target), own_arguments(place), stdout_to_stderr():
            return import_file(path)
    if not all(part.isidentifier() for part in place.split(".")):
        raise TargetError(f"{place!r} is neither a .py file nor a module name", _SHAPE_OF_TARGET)
    with blaming(target), search_path(base), own_arguments(place), stdout_to_stderr():
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name and (place == error.name or place.startswith(error.name + ".")):
                above, _, attribute = error.name.rpartition(".")
                if hasattr(sys.modules.get(above), attribute):
                    advice = f"Write a colon before what is in the module: {above}:{place[len(above) + 1 :]}"
                    raise TargetError(f"{error.name!r} is not a module", advice) from None
                raise TargetError(
                    f"no module named {error.name!r} is found from here",
                    f"Name the file instead ({place.replace('.', '/')}.py:…), or install the package.",
                ) from None
            raise


def choices(target: str, base: Path, sought: Sought) -> str:
    """Advice that lists what a target's module has to offer."""
    place, attribute = split(target)
    module = import_place(target, place, base)
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    near = nearest(attribute, public.keys() - {attribute}, n=1) if attribute else []
    if near:
        return f"Did you mean {place}:{near[0]}?"
    own = [name for name, value in public.items() if sought.is_likely(value, module.__name__)]
    lacking = {name: len(required(Callee(name, public[name], sought.given))) for name in own}
    # A class that cannot be built as it is, is most often a part of a model.
    own = [name for name in own if not (lacking[name] and isinstance(public[name], type))] or own
    own.sort(key=lambda name: (lacking[name] > 0, not re.match(sought.first, name.lower())))
    if not own:
        return f"{place} defines nothing that could {sought.purpose}."
    return "Write one of: " + ", ".join(f"{place}:{name}" for name in own[:6]) + (", …" if len(own) > 6 else "")


def what(thing: Any) -> str:
    """`None`, `a list of 2`, `an int`."""
    if thing is None:
        return "None"
    if isinstance(thing, (list, tuple)):
        return f"a {type(thing).__name__} of {len(thing)}"
    kind = type(thing).__name__
    return f"an {kind}" if kind[0] in "aeiouAEIOU" else f"a {kind}"
