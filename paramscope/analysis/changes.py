"""Two states of a model → what changed, slot by slot, with what is alike as one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from paramscope import text
from paramscope.analysis.paths import aligned, covering, fold_paths, sizes, tie_lines
from paramscope.analysis.renames import found_again
from paramscope.snapshot import Snapshot, Status
from paramscope.snapshot.path import heads

ChangeKind = Literal[
    "thawed", "froze", "untied", "tied", "reshaped", "retyped", "moved", "registered", "hidden", "renamed", "added",
    "removed",
]  # fmt: skip
KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)


class SlotState(NamedTuple):
    """What is compared of one slot."""

    status: Status
    shape: tuple[int, ...] | None
    """Sizes, in elements; None while a lazy parameter does not know them."""
    dtype: str | None
    numel: int | None
    """Number of elements; None when unknown."""
    device: str | None = None
    """None where it is not compared."""

    @property
    def role(self) -> str:
        """What it is to its module, whether it trains or not."""
        return "parameter" if self.status in ("trainable", "frozen", "hidden") else self.status

    @property
    def is_registered(self) -> bool:
        """Whether the root sees it."""
        return self.status not in ("hidden", "attribute")


class State(NamedTuple):
    """The slots of a model at one time, and which of them were tied."""

    slots: Mapping[str, SlotState]
    """By path, in the model's order; none of those that are empty."""
    ties: tuple[tuple[str, ...], ...]
    """Registered parameter slots that hold one tensor, two paths or more in each group."""


class Change(NamedTuple):
    """One thing that is no longer as it was."""

    kind: ChangeKind
    paths: tuple[str, ...]
    """The slot, as it is called afterwards, where it still is; for `renamed` the old and the new path; for `tied` and
    `untied` all slots of the group that exist on both sides."""
    before: SlotState | None
    """None where it was added, and for ties."""
    after: SlotState | None
    """None where it was removed, and for ties."""


class Changes(NamedTuple):
    """All that changed, and between what."""

    before: State
    after: State
    names: Mapping[str, str]
    """For each path of `before` that is still there, what it is called in `after`."""
    changes: tuple[Change, ...]
    """Ordered by kind, and within one kind as the model is."""


def state_of(snapshot: Snapshot, *, fully: bool = False) -> State:
    """What other states are compared with. fully: with what a training program makes on the way, and where it runs:
    plain tensor attributes, and devices."""
    slots: dict[str, SlotState] = {}
    known: dict[tuple[int, ...], SlotState | None] = {}
    columns, tensors, flags = snapshot.slot_columns, snapshot.tensor_columns, snapshot.module_columns.flags
    places = zip(snapshot.slots, columns.modules, columns.holds, columns.tensors, strict=True)
    for position, (path, module, hold, tensor) in enumerate(places):
        if tensor < 0:
            continue
        key = hold, flags[module], tensors.flags[tensor], tensors.specs[tensor]
        if key not in known:
            status, spec = snapshot.status(position), snapshot.interned.specs[tensors.specs[tensor]]
            state = SlotState(status, spec.shape, spec.dtype, spec.numel, spec.device if fully else None)
            known[key] = state if fully or status != "attribute" else None
        if (found := known[key]) is not None:
            slots.setdefault(path, found)
    return State(slots, tied_parameters(snapshot))


def roots_of(snapshot: Snapshot) -> str:
    """The class name of the root; of roots in a dict names and classes: `gen: Generator, disc: Critic`."""
    roots = [snapshot.modules[path] for path in snapshot.roots]
    if len(roots) == 1 and not roots[0].path:
        return text.class_name(roots[0].type)
    return ", ".join(f"{each.path}: {text.class_name(each.type)}" for each in roots)


def tied_parameters(snapshot: Snapshot) -> tuple[tuple[str, ...], ...]:
    """Groups of registered parameter slots that hold one tensor, in the snapshot's order."""
    tensors = snapshot.slot_columns.tensors
    several = {tensor for tensor, count in Counter(tensors).items() if count > 1 and tensor >= 0}
    groups: dict[int, list[str]] = {}
    for position, tensor in enumerate(tensors) if several else ():
        if tensor in several and snapshot.status(position) in ("trainable", "frozen"):
            groups.setdefault(tensor, []).append(snapshot.slots.path_at(position))
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def changes_between(before: State, after: State, names: Mapping[str, str] | None = None) -> Changes:
    """What differs between two states of a model. names: for each path of `before` that is still there, what it is
    called in `after`, where that is known better than by looking for it."""
    if names is None:
        names = found_again(
            before.slots,
            after.slots,
            lambda each: (each.role, each.shape, each.dtype),
            lambda each: (each.role, each.shape),
        )
    found = [
        *_slot_changes(before, after, names),
        *(Change("tied", paths, None, None) for paths in _newly_tied(before.ties, after.ties, names)),
        *(Change("untied", paths, None, None) for paths in _newly_untied(before.ties, after, names)),
    ]
    return Changes(before, after, names, tuple(sorted(found, key=lambda change: KINDS.index(change.kind))))


def _slot_changes(before: State, after: State, names: Mapping[str, str]) -> Iterator[Change]:
    old_names = {new: old for old, new in names.items()}
    known: dict[tuple[int, int], tuple[ChangeKind, ...]] = {}
    for path, now in after.slots.items():
        old = old_names.get(path)
        if old is None:
            yield Change("added", (path,), None, now)
            continue
        was = before.slots[old]
        if old != path:
            yield Change("renamed", (old, path), was, now)
        pair = id(was), id(now)  # a model has thousands of slots and dozens of states
        if pair not in known:
            known[pair] = () if was == now else tuple(_kinds(was, now))
        for kind in known[pair]:
            yield Change(kind, (path,), was, now)
    for path, was in before.slots.items():
        if path not in names:
            yield Change("removed", (path,), was, None)


def _kinds(was: SlotState, now: SlotState) -> Iterator[ChangeKind]:
    if was.is_registered is not now.is_registered:
        yield "registered" if now.is_registered else "hidden"
    elif was.status != now.status and {was.status, now.status} == {"trainable", "frozen"}:
        yield "thawed" if now.status == "trainable" else "froze"
    elif was.status != now.status:
        yield "retyped"
    if was.dtype != now.dtype:
        yield "retyped"
    if was.shape != now.shape:
        yield "reshaped"
    if was.device != now.device and None not in (was.device, now.device):
        yield "moved"


_Ties = Sequence[tuple[str, ...]]


def _newly_tied(before: _Ties, after: _Ties, names: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Slots that exist on both sides, are one tensor after and were not before, as they are called after."""
    was_in = {names.get(path): number for number, group in enumerate(before) for path in group}
    there = set(names.values())
    for group in after:
        members = tuple(path for path in group if path in there)
        if len({was_in.get(path, path) for path in members}) > 1:
            yield members


def _newly_untied(before: _Ties, after: State, names: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Slots that exist on both sides, were one tensor before and are not after, as they are called after."""
    is_in = {path: number for number, group in enumerate(after.ties) for path in group}
    for group in before:
        members = {names[path] for path in group if path in names}
        if len({is_in.get(path, path) for path in members}) > 1:
            yield tuple(path for path in after.slots if path in members)


class Line(NamedTuple):
    """Changes that are told as one."""

    kind: ChangeKind
    what: str
    """Paths, folded: `backbone.*`, `layers.[0-31].weight ×32`."""
    facts: tuple[str, ...]
    """What is said behind them: `60 slots`, `11,176,512 elements`, `float32 → bfloat16`."""

    def __str__(self) -> str:
        return self.what + (f" ({', '.join(self.facts)})" if self.facts else "")


def change_lines(found: Changes) -> list[str]:
    """One line for each change, folded: `thawed  layers.[0-31].weight ×32 (4×4, 512 elements)`."""
    return aligned((line.kind, str(line)) for line in folded(found))


def folded(found: Changes) -> list[Line]:
    """Changes with those that are alike as one: all that lies in a module, else what differs in numbers alone."""
    lines: list[Line] = []
    for kind in KINDS:
        mine = [change for change in found.changes if change.kind == kind]
        if not mine:
            continue
        if kind in ("tied", "untied"):
            what = "one tensor" if kind == "tied" else "was one tensor"
            lines += (Line(kind, line, ()) for line in tie_lines([change.paths for change in mine], what))
        elif kind == "renamed":
            lines += _renamed(mine, is_whole=all(old != new for old, new in found.names.items()))
        else:
            lines += _alike(kind, mine, found)
    return lines


def _renamed(changes: Sequence[Change], *, is_whole: bool) -> Iterator[Line]:
    """By what their paths have in common at the end: `* → module.*`, where no slot kept its path (is_whole)."""
    moves: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        old, new = change.paths
        is_longer = is_whole and new.endswith(f".{old}")  # as under a wrapper: told at once
        above = ("", new[: -len(old) - 1]) if is_longer else heads(change.paths, least=not is_whole)
        moves.setdefault(above, []).append(change)
    entries: list[tuple[tuple[str, ...], Hashable]] = []
    for places, mine in moves.items():
        below = tuple(f"{each}.*" if each else "*" for each in places)
        entries.append((mine[0].paths, None) if len(mine) == 1 else (below, len(mine)))
    counts = [len(mine) for mine in moves.values()]
    for row in fold_paths(entries, " → "):
        several = sum(counts[each] for each in row.members)
        yield Line("renamed", row.path, (text.plural(several, "slot"),) if several > 1 else ())


def _alike(kind: ChangeKind, changes: Sequence[Change], found: Changes) -> Iterator[Line]:
    said: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        said.setdefault(_said(change), []).append(change)
    for facts, mine in said.items():
        by_path = {change.paths[0]: change for change in mine}
        what, among = _asked(mine[0], found)
        parts = [(path, (path,)) for path in by_path] if kind == "reshaped" else covering(by_path, among)
        alike = [len(paths) if len(paths) > 1 else _state(by_path[path]) for path, paths in parts]
        for row in fold_paths([((path,), each) for (path, _), each in zip(parts, alike, strict=True)]):
            members = [by_path[path] for each in row.members for path in parts[each][1]]
            path = row.path + (f" ×{text.count(len(members))}" if 1 < len(members) == len(row.members) else "")
            yield Line(kind, what if path == "*" else path, (*_size(members, path, found), *facts))


def _state(change: Change) -> SlotState:
    """The slot as it is, or was in the end."""
    state = change.after or change.before
    assert state is not None
    return state


def _said(change: Change) -> tuple[str, ...]:
    """What is said of a change behind its size."""
    was, now = change.before, change.after
    if was is None or now is None:
        return (_state(change).status,)
    if change.kind == "retyped":
        return (f"{was.dtype} → {now.dtype}" if was.dtype != now.dtype else f"{was.status} → {now.status}",)
    if change.kind == "moved":
        return (f"{was.device} → {now.device}",)
    if change.kind == "reshaped":
        return (f"{text.shape(was.shape)} → {text.shape(now.shape)}",)
    return ()


def _asked(change: Change, found: Changes) -> tuple[str, Collection[str]]:
    """What such a change can have been of, in words, and the paths: where it was of all of them that lie in a module,
    it is one of the module."""
    if change.before is None:
        return "all", found.after.slots
    if change.kind == "removed":
        return "all", found.before.slots
    words: Callable[[SlotState], str] = {
        "retyped": lambda each: f"{each.dtype} {each.role}s",
        "moved": lambda each: f"on {each.device}",
        "registered": lambda each: "registered" if each.is_registered else "not registered",
        "hidden": lambda each: "registered" if each.is_registered else "not registered",
    }.get(change.kind, lambda each: each.status)
    was, slots = words(change.before), found.before.slots
    told = f"all {was}" if change.kind == "retyped" else f"all that was {was}"
    return told, [new for old, new in found.names.items() if words(slots[old]) == was]


def _size(changes: Sequence[Change], path: str, found: Changes) -> tuple[str, ...]:
    """How much it is of: the shape of one slot, or how many slots, and the elements of all, each tensor once."""
    state = _state(changes[0])
    if changes[0].kind == "reshaped":
        return ()
    if not path.endswith("*"):
        return sizes(state.shape, state.numel, len(changes))
    first = {path: group[0] for side in (found.before, found.after) for group in side.ties for path in group}
    once = {first.get(change.paths[0], change.paths[0]): _state(change).numel or 0 for change in changes}
    return text.plural(len(changes), "slot"), text.plural(sum(once.values()), "element")
