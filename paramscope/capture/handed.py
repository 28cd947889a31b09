"""What was handed over as optimizers → the optimizers themselves: out of lists and dicts, behind their schedulers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import FunctionType
from typing import Any, NamedTuple

from paramscope.capture.classes import definer, is_a, is_mapping, mapping_items, short_name
from paramscope.capture.groups import WRAPPED_AS, Found, as_groups, find_groups, instance_dict, items, keeps
from paramscope.capture.lookups import plain_name
from paramscope.errors import NotAnOptimizer

_DEPTH = 4
"""Lists and dicts within one another: Lightning's `[a, b], [{"scheduler": s}]` are two."""
# What a dict of Lightning's holds beside these says when a scheduler steps, and is no optimizer.
_CONFIGURED = frozenset({"optimizer", "lr_scheduler", "scheduler"})
_SCHEDULE = re.compile(r"sched|warmup|LR$", re.IGNORECASE)
"""In the names of classes that set rates and step nothing."""
# Where schedulers keep what they are for: accelerate wraps a scheduler, ChainedScheduler has a list of them.
_ONE = ("scheduler", "lr_scheduler", "opt", *WRAPPED_AS)
_SEVERAL = ("_schedulers", "schedulers", "optimizers")
_PLAIN = (int, float, bool, str)


class Made(NamedTuple):
    """Optimizers with the function that made them, which `handed_over` takes wherever it takes them alone."""

    optimizers: Any
    file: str
    function: str
    """Its qualified name within the file."""

    @classmethod
    def by(cls, function: Any, optimizers: Any) -> Any:
        """What a call returned; alone where the callee is no Python function."""
        plain = inspect.unwrap(function)
        if type(plain) is not FunctionType:
            return optimizers
        return cls(optimizers, plain.__code__.co_filename, plain.__qualname__)


class Handed(NamedTuple):
    """One optimizer."""

    name: str
    """Its key in a dict of optimizers, else its position."""
    optimizer: Any
    found: Found
    schedulers: tuple[Any, ...] = ()
    """What was handed over with it and sets its rates."""
    made: Made | None = None
    """Who made it, as far as that is known."""


class _Leaf(NamedTuple):
    """One thing out of the lists and dicts."""

    name: str | None
    """Its key in the outermost dict."""
    thing: Any
    made: Made | None


def handed_over(optimizer: Any) -> list[Handed]:
    """One optimizer, several, or a dict of them; schedulers stand for the optimizers that they set the rates of.

    Raises NotAnOptimizer for what is neither, and where there is neither among several things.
    """
    if optimizer is None:
        return []
    if are_groups(optimizer):
        raise NotAnOptimizer(
            "these are param groups: they have no optimizer yet",
            "Hand them to one, and hand over that: torch.optim.AdamW(groups, lr=1e-3).",
        )
    leaves = list(_leaves(optimizer, None, 0, None))
    given = [leaf for leaf in leaves if leaf.thing is not None]
    if leaves and not given:
        _refuse(None)
    found: list[Handed] = []
    schedulers: list[tuple[_Leaf, list[Any]]] = []
    for leaf in given:
        scheduled = _scheduled(leaf.thing)
        if scheduled is not None:
            schedulers.append((leaf, scheduled))
            continue
        groups = find_groups(leaf.thing)
        if groups is None:
            _refuse(leaf.thing)
        elif all(each.optimizer is not leaf.thing and each.found.holder is not groups.holder for each in found):
            found.append(Handed(_name(leaf, found), leaf.thing, groups, made=leaf.made))
    for leaf, scheduled in schedulers:
        _attach(found, leaf, scheduled)
    return found


def are_groups(thing: Any) -> bool:
    """Whether something is a param group, or a list of such, that no optimizer was built of."""
    every = items(thing) if is_a(thing, list, tuple) else [thing]
    return bool(every) and all(is_mapping(each) and _holds_params(each) for each in every)


def _holds_params(thing: Any) -> bool:
    return any(plain_name(key) == "params" and find_groups(value) is None for key, value in mapping_items(thing))


def has_optimizers(thing: Any) -> bool:
    """Whether something can be handed over as optimizers, and holds one."""
    try:
        return bool(handed_over(thing))
    except NotAnOptimizer:
        return False


def _leaves(thing: Any, name: str | None, depth: int, made: Made | None) -> Iterator[_Leaf]:
    if type(thing) is Made:
        yield from _leaves(thing.optimizers, name, depth, thing)
    elif depth < _DEPTH and is_mapping(thing):
        pairs = [(plain_name(key), value) for key, value in mapping_items(thing)]
        is_configured = not _CONFIGURED.isdisjoint(key for key, _ in pairs)
        for key, value in pairs:
            if not is_configured or key in _CONFIGURED or not (value is None or is_a(value, *_PLAIN)):
                yield from _leaves(value, name if depth else key, depth + 1, made)
    elif depth < _DEPTH and is_a(thing, list, tuple):
        for each in items(thing):
            yield from _leaves(each, name, depth + 1, made)
    else:
        yield _Leaf(name, thing, made)


def _name(leaf: _Leaf, before: list[Handed]) -> str:
    """A name that no optimizer before it has."""
    name = number = str(len(before)) if leaf.name is None else leaf.name
    taken = {each.name for each in before}
    count = 0
    while number in taken:
        count += 1
        number = f"{name}.{count}"
    return number


def _scheduled(thing: Any) -> list[Any] | None:
    """The optimizers that a scheduler sets the rates of; None for what is none: it has groups of its own, clears
    gradients, or leads to no optimizer."""
    cls = type(thing)
    if definer(cls, "zero_grad") is not None:
        return None
    state = instance_dict(thing)
    has_groups = definer(cls, "param_groups") is not None or as_groups(state.get("param_groups")) is not None
    if has_groups and not _SCHEDULE.search(short_name(cls)):
        return None
    found: list[Any] = []
    seen = {id(thing)}
    pending = [state]
    while pending:
        attributes = pending.pop()
        # accelerate keeps the scheduler that it wraps, and a list; ChainedScheduler has a list of schedulers.
        inner = [attributes.get(name) for name in ("scheduler", "lr_scheduler", "opt", *WRAPPED_AS)]
        inner += [
            each for name in ("_schedulers", "schedulers", "optimizers") for each in items(attributes.get(name))
        ]
        for each in inner:
            if each is None or id(each) in seen:
                continue
            seen.add(id(each))
            groups = find_groups(each)
            if groups is not None:
                found += [groups.holder] if all(known is not groups.holder for known in found) else []
            else:
                pending.append(instance_dict(each))
    return found or None


def _attach(found: list[Handed], leaf: _Leaf, scheduled: list[Any]) -> None:
    """Adds a scheduler to the optimizers that it is for; one that was not handed over is added with it."""
    for optimizer in scheduled:
        groups = find_groups(optimizer)
        if groups is None:
            continue
        for at, each in enumerate(found):
            if each.found.holder is optimizer or keeps(each.found.holder, optimizer):
                found[at] = each._replace(schedulers=(*each.schedulers, leaf.thing))
                break
        else:
            found.append(Handed(_name(leaf, found), optimizer, groups, (leaf.thing,), leaf.made))


def _refuse(thing: Any) -> None:
    raise NotAnOptimizer(
        f"this is no optimizer: a {short_name(type(thing))} has no param_groups",
        "Hand over a torch.optim.Optimizer, a list of them, or a dict such as {'gen': a, 'disc': b}.",
    )
