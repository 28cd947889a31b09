"""What models are ⇄ the lock file, which is meant to be read in a pull request::

{"format": "paramscope.lock", "version": 1, "models": {"model.py:build": {
  "type": "Decoder", "parameters": 1024, "trainable": 512,
  "slots": {"layers.[0-31].weight": "trainable float32 4x4", "scale": "frozen bfloat16 scalar"},
  "ties": [["embed.weight", "head.weight"]]}}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain, product
from math import prod
from typing import Any, NamedTuple, get_args

import msgspec

from paramscope import text
from paramscope.analysis.changes import SlotState, State
from paramscope.analysis.paths import merged
from paramscope.errors import ParamscopeError
from paramscope.snapshot import Status
from paramscope.wire.records import Natural

FORMAT, VERSION = "paramscope.lock", 1
NAME = "paramscope.lock"
_MOST = 1_000_000
"""Slots of a lock that are read: more than any model has."""


class LockError(ParamscopeError, ValueError):
    """A lock file is missing, damaged, edited by hand, half merged, or from a newer version."""


class Locked(NamedTuple):
    """What one model is."""

    type: str
    """Class name of its root; of several roots, names and classes: `gen: Generator, disc: Critic`."""
    state: State


class _Model(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    parameters: Natural
    trainable: Natural
    slots: dict[str, str]
    ties: list[tuple[str, ...]]
    folded: bool = True


class _Lock(msgspec.Struct):
    format: str
    version: int
    models: dict[str, _Model]


def write_lock(models: Mapping[str, Locked]) -> str:
    """A lock file of models by their targets: sorted, a line for each folded slot."""
    written = {target: to_plain(models[target]) for target in sorted(models)}
    whole = {"format": FORMAT, "version": VERSION, "models": written}
    return json.dumps(whole, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace").decode() + "\n"


def to_plain(model: Locked) -> dict[str, Any]:
    """One model as plain values for `json.dumps`."""
    slots = {path: _facts(each) for path, each in model.state.slots.items()}
    folded = _folded(slots)
    plain: dict[str, Any] = {"type": model.type}
    plain |= dict(zip(("parameters", "trainable"), _counts(model.state), strict=True))
    # A name that looks like a range is one that cannot be told from it: then nothing is folded.
    if (is_folded := dict(_unfolded(folded)) == slots) is False:
        plain["folded"] = False
    plain["slots"] = dict(sorted((folded if is_folded else slots).items()))
    plain["ties"] = sorted(sorted(group) for group in model.state.ties)
    return plain


def read_lock(data: str | bytes, file: str) -> dict[str, Locked]:
    """The models of a lock file by their targets. file: its name, for errors. Raises LockError."""
    advice = "Restore it, or delete it and write it anew: paramscope lock TARGET…"
    whole = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    for number, line in enumerate(whole.splitlines(), 1):
        if line.startswith((b"<<<<<<< ", b"||||||| ", b"=======", b">>>>>>> ")):
            raise LockError(
                f"{file}:{number}: it is half merged: {text.name(line.decode('utf-8', 'replace'))}", advice
            )
    try:
        lock = msgspec.json.decode(whole, type=_Lock)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise LockError(f"{file} is no lock file: {error}", advice) from None
    if lock.format != FORMAT:
        raise LockError(f"{file} is no lock file: its format is {text.name(lock.format)}", advice)
    if lock.version != VERSION:
        raise LockError(f"{file} is of version {lock.version}, and this paramscope reads {VERSION}", advice)
    found = {}
    for target, each in lock.models.items():
        model = _from_model(each)
        if isinstance(model, str):
            problem = f"{file}: {text.name(target)}: {model}"
            raise LockError(problem, f"It was edited by hand. {advice}")
        found[target] = model
    return found


def from_plain(value: object) -> Locked | None:
    """One model that was kept; None for what is damaged or foreign."""
    try:
        model = _from_model(msgspec.convert(value, _Model))
    except (msgspec.MsgspecError, RecursionError):
        return None
    return None if isinstance(model, str) else model


def _from_model(model: _Model) -> Locked | str:
    """A model, or what is wrong with it."""
    if (sum(map(_count, model.slots)) if model.folded else len(model.slots)) > _MOST:
        return f"it has more than {_MOST:,} slots"
    slots: dict[str, SlotState] = {}
    known: dict[str, SlotState] = {}
    for path, facts in _unfolded(model.slots) if model.folded else model.slots.items():
        state = known.get(facts) or _state(facts)
        if state is None:
            return f"{text.name(path)} cannot be {text.name(facts)}"
        slots[path] = known[facts] = state
    for path in (path for group in model.ties for path in group):
        if path not in slots:
            return f"it ties {text.name(path)}, which it does not list"
    state_ = State(slots, tuple(model.ties))
    counts = _counts(state_)
    if counts != (model.parameters, model.trainable):
        said = f"{model.parameters:,} parameters, {model.trainable:,} trainable"
        return f"it says {said}, and its slots add up to {counts[0]:,} and {counts[1]:,}"
    return Locked(model.type, state_)


def _counts(state: State) -> tuple[int, int]:
    """Elements of registered parameters, and of those that train, each tensor once."""
    later = {path for group in state.ties for path in group[1:]}
    once = [each for path, each in state.slots.items() if path not in later]
    trainable = sum(each.numel or 0 for each in once if each.status == "trainable")
    return trainable + sum(each.numel or 0 for each in once if each.status == "frozen"), trainable


_FACTS = re.compile(
    rf"({'|'.join(get_args(Status))}) ([a-z0-9_]+)(?: (scalar|unknown|[0-9]{{1,18}}(?:x[0-9]{{1,18}}){{0,63}}))"
    r"(?: =([0-9]{1,18}))?",
    re.ASCII,
)


def _facts(state: SlotState) -> str:
    shape = "unknown" if state.shape is None else "x".join(map(str, state.shape)) or "scalar"
    # What is packed or sharded stands for other elements than its shape has.
    more = "" if state.numel == _numel(state.shape) else f" ={state.numel}"
    return f"{state.status} {state.dtype} {shape}{more}"


def _state(facts: str) -> SlotState | None:
    match = _FACTS.fullmatch(facts)
    if match is None:
        return None
    status = next(each for each in get_args(Status) if each == match[1])
    sizes = {"unknown": None, "scalar": ()}
    shape = sizes[match[3]] if match[3] in sizes else tuple(map(int, match[3].split("x")))
    return SlotState(status, shape, match[2], int(match[4]) if match[4] else _numel(shape))


def _numel(shape: tuple[int, ...] | None) -> int | None:
    return None if shape is None else prod(shape)


_NUMBER = re.compile(r"(?<![^.])(0|[1-9][0-9]{0,8})(?![^.])")
"""A name that is a number."""
_PART = r"[0-9]{1,9}(?:-[0-9]{1,9}(?::[0-9]{1,9})?)?"
_RANGES = re.compile(rf"(?<![^.])\[({_PART}(?:,{_PART})*)\](?![^.])", re.ASCII)


def _folded(slots: Mapping[str, str]) -> dict[str, str]:
    """Slots that have equal facts and differ in numbers alone, as one: `layers.[0-31].weight`."""
    alike: dict[tuple[tuple[str, ...], str], list[tuple[tuple[tuple[int, ...], ...], list[int]]]] = {}
    for path, facts in slots.items():
        pieces = _NUMBER.split(path)
        numbers = tuple((int(each),) for each in pieces[1::2])
        alike.setdefault((tuple(pieces[::2]), facts), []).append((numbers, [0]))
    found = {}
    for (between, facts), members in alike.items():
        for running, _ in merged(members):
            names = [str(*each) if len(each) == 1 else f"[{text.ranges(each)}]" for each in running]
            found["".join(part for pair in zip(between, [*names, ""], strict=True) for part in pair)] = facts
    return found


def _unfolded(slots: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for path, facts in slots.items():
        pieces = _RANGES.split(path)
        for numbers in product(*(chain(*_spans(each)) for each in pieces[1::2])):
            yield (
                "".join(part for pair in zip(pieces[::2], [*map(str, numbers), ""], strict=True) for part in pair),
                facts,
            )


def _count(path: str) -> int:
    """How many slots a folded one stands for."""
    return prod(sum(map(len, _spans(each))) for each in _RANGES.split(path)[1::2])


def _spans(ranges: str) -> Iterator[range]:
    for part in ranges.split(","):
        first, _, rest = part.partition("-")
        last, _, step = rest.partition(":")
        yield range(int(first), int(last or first) + 1, int(step or 1) or 1)
