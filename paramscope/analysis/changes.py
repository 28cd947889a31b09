"""Two states of a model → what changed, parameter by parameter, with numbered siblings as one line."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from paramscope import text
from paramscope.snapshot import Snapshot

ChangeKind = Literal[
    "unfroze", "froze", "untied", "tied", "reshaped", "registered", "unregistered", "appeared", "vanished"
]
KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)

ParameterStatus = Literal["trainable", "frozen", "hidden"]


class ParameterState(NamedTuple):
    """What is compared of one slot that holds a parameter."""

    shape: tuple[int, ...] | None
    """Sizes, in elements; None while a lazy parameter does not know them."""
    status: ParameterStatus
    numel: int | None
    """Number of elements; None when unknown."""


class State(NamedTuple):
    """The parameters of a model at one time, registered and hidden, and which of them were tied."""

    parameters: Mapping[str, ParameterState]
    """By slot path, in the model's order."""
    ties: tuple[tuple[str, ...], ...]
    """Registered slots that hold one tensor, two paths or more in each group."""


class Change(NamedTuple):
    """One thing that is no longer as it was."""

    kind: ChangeKind
    paths: tuple[str, ...]
    """The slot; for `tied` and `untied` all slots of the group that exist on both sides, in the order of the
    side on which they are tied."""
    before: ParameterState | None
    """None where it appeared, and for ties."""
    after: ParameterState | None
    """None where it vanished, and for ties."""


class PathRow(NamedTuple):
    """Paths that are written as one."""

    path: str
    """The one path, or one with ranges in it: `layers.[0-6,8-31].weight`."""
    members: list[int]
    """Positions of the paths among those that were folded."""


class GroupRow(NamedTuple):
    """Groups of paths that are written as one, number by number."""

    paths: tuple[str, ...]
    """Those of one group, with a letter for each number that runs: `layers.[i].up` and `layers.[i].down`."""
    runs: str
    """What the letters stand for: `i in 0-31`; empty where none runs."""
    members: list[int]
    """Positions of the groups among those that were folded."""


def state_of(snapshot: Snapshot) -> State:
    """What later states are compared with."""
    parameters: dict[str, ParameterState] = {}
    for position, path in enumerate(snapshot.slots):
        status = snapshot.status(position)
        if status == "trainable" or status == "frozen" or status == "hidden":
            spec = snapshot.tensor(snapshot.slot_columns.tensors[position]).spec
            parameters.setdefault(path, ParameterState(spec.shape, status, spec.numel))
    return State(parameters, tied_parameters(snapshot))


def tied_parameters(snapshot: Snapshot) -> tuple[tuple[str, ...], ...]:
    """Groups of registered parameter slots that hold one tensor, in the snapshot's order."""
    groups: dict[int, list[str]] = {}
    for position, path in enumerate(snapshot.slots):
        if snapshot.status(position) in ("trainable", "frozen"):
            groups.setdefault(snapshot.slot_columns.tensors[position], []).append(path)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def changes_between(before: State, after: State) -> tuple[Change, ...]:
    """What differs, by slot path, ordered by kind and within one kind as the model is."""
    found = [
        *_slot_changes(before.parameters, after.parameters),
        *(Change("tied", paths, None, None) for paths in _newly_tied(before, after)),
        *(Change("untied", paths, None, None) for paths in _newly_tied(after, before)),
    ]
    return tuple(sorted(found, key=lambda change: KINDS.index(change.kind)))


def _slot_changes(before: Mapping[str, ParameterState], after: Mapping[str, ParameterState]) -> Iterator[Change]:
    for path, now in after.items():
        was = before.get(path)
        if was is None:
            yield Change("appeared", (path,), None, now)
            continue
        if was.status != now.status:
            yield Change(_status_change(was.status, now.status), (path,), was, now)
        if was.shape != now.shape:
            yield Change("reshaped", (path,), was, now)
    for path, was in before.items():
        if path not in after:
            yield Change("vanished", (path,), was, None)


def _status_change(was: ParameterStatus, now: ParameterStatus) -> ChangeKind:
    if now == "hidden":
        return "unregistered"
    if was == "hidden":
        return "registered"
    return "unfroze" if now == "trainable" else "froze"


def _newly_tied(before: State, after: State) -> Iterator[tuple[str, ...]]:
    """Slots that exist on both sides, are one tensor after and were not before."""
    was_in = {path: number for number, group in enumerate(before.ties) for path in group}
    for group in after.ties:
        members = tuple(path for path in group if path in before.parameters)
        if len({was_in.get(path, path) for path in members}) > 1:
            yield members


def change_lines(changes: Iterable[Change]) -> list[str]:
    """One line for each change, folded: `unfroze  layers.[0-31].weight ×32 (4×4, 512 elements)`."""
    changes = list(changes)
    lines: list[tuple[str, str]] = []
    for kind in KINDS:
        mine = [change for change in changes if change.kind == kind]
        if kind in ("tied", "untied"):
            lines += [(kind, line) for line in tie_lines([change.paths for change in mine])]
            continue
        for row in fold_paths([(change.paths, change[2:]) for change in mine]):
            first = mine[row.members[0]]
            lines.append((kind, _row(row, first)))
    return aligned(lines)


def tie_lines(groups: Sequence[tuple[str, ...]]) -> list[str]:
    """Slots that are, or were, one tensor: `h.[0-11].a = h.[0-11].b ×12`, `h.[0-11].scale ×12 (one tensor)`."""
    lines = []
    apart = []
    for group in groups:
        rows = fold_paths([((path,), None) for path in group])
        if len(rows) < len(group):
            lines.append(" = ".join(map(with_facts, rows)) + " (one tensor)")
        else:
            apart.append(group)
    return [with_facts(row) for row in fold_paths([(group, None) for group in apart])] + lines


def _row(row: PathRow, change: Change) -> str:
    before, after = change.before, change.after
    if change.kind == "reshaped" and before and after:
        return with_facts(row, f"{text.shape(before.shape)} → {text.shape(after.shape)}")
    state = after or before
    if state is None:
        return with_facts(row)
    facts = [*sizes(state.shape, state.numel, len(row.members))]
    if change.kind in ("appeared", "vanished"):
        facts.append(state.status)
    return with_facts(row, *facts)


def with_facts(row: PathRow, *facts: str) -> str:
    """`layers.[0-31].weight ×32 (4×4, 512 elements)`."""
    repeated = f" ×{text.count(len(row.members))}" if len(row.members) > 1 else ""
    return row.path + repeated + (f" ({', '.join(facts)})" if facts else "")


def sizes(shape: tuple[int, ...] | None, numel: int | None, repetitions: int) -> tuple[str, ...]:
    """The shape of one tensor, and the elements of all: `4×4`, `512 elements`."""
    if numel is None:
        return ("shape unknown before the first forward",)
    return text.shape(shape), text.plural(numel * repetitions, "element")


def aligned(lines: Iterable[tuple[str, str]]) -> list[str]:
    """Lines of (word, rest), the rests below each other."""
    lines = list(lines)
    width = max((len(word) for word, _ in lines), default=0)
    return [f"{word:<{width}}  {rest}" for word, rest in lines]


def fold_paths(entries: Sequence[tuple[tuple[str, ...], Hashable]]) -> list[PathRow]:
    """Paths that differ only in numbers, and have equal facts, as one row each, in the order of their first.

    entries: (paths, facts) pairs. Several paths in one entry, such as the slots of a tie, are written
    `a = b`, and a number that stands at the same place in the first of them runs with it: `h.[0-11].a = h.[0-11].b`.
    """
    rows = [PathRow(template.filled(numbers), positions) for template, numbers, positions in _folded(entries, " = ")]
    return sorted(rows, key=lambda row: row.members[0])


def fold_groups(groups: Sequence[tuple[str, ...]]) -> list[GroupRow]:
    """Groups of paths that differ only in numbers as one row each, in the order of their first.

    Each letter of a row has one value at a time, so that it still says which paths are together.
    """
    rows = [
        GroupRow(*template.lettered(numbers), positions)
        for template, numbers, positions in _folded([(group, None) for group in groups], _BETWEEN)
    ]
    return sorted(rows, key=lambda row: row.members[0])


_Numbers = tuple[tuple[int, ...], ...]
"""For each variable of a template the numbers that it runs through."""
_BETWEEN = "\ue001"
"""Stands between the paths of a group, where a name may hold anything that is printed."""
_LETTERS = "ijkmnpqrstuvw"


def _folded(
    entries: Sequence[tuple[tuple[str, ...], Hashable]], between: str
) -> Iterator[tuple[_Template, _Numbers, list[int]]]:
    """What entries of one template and equal facts come to; and their positions."""
    alike: dict[Hashable, list[tuple[_Numbers, list[int]]]] = {}
    shapes: list[_Template] = []
    for position, (paths, facts) in enumerate(entries):
        template, numbers = _template(paths, between)
        shapes.append(template)
        alike.setdefault((template, facts), []).append((tuple((n,) for n in numbers), [position]))
    for members in alike.values():
        for numbers_of, positions in _merged(members):
            yield shapes[positions[0]], numbers_of, positions


_NUMBER = re.compile(r"(?<![0-9])(0|[1-9][0-9]{0,17})(?![0-9])")


class _Template(NamedTuple):
    """Paths without their numbers."""

    pieces: tuple[str, ...]
    """What stands before, between and behind the numbers."""
    variables: tuple[int, ...]
    """For each number which variable it is: two that always agree are one."""

    def filled(self, numbers: Sequence[Sequence[int]]) -> str:
        parts = []
        for index, variable in enumerate(self.variables):
            before, after = self.pieces[index], self.pieces[index + 1]
            found = text.ranges(numbers[variable])
            in_brackets = before.endswith(("[", "{")) and after.startswith(("]", "}"))
            parts += [before, found if len(numbers[variable]) == 1 or in_brackets else f"[{found}]"]
        return text.name("".join([*parts, self.pieces[-1]]))

    def lettered(self, numbers: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], str]:
        """The paths with a letter for each variable of several numbers, and what these letters stand for."""
        running = [variable for variable, found in enumerate(numbers) if len(found) > 1]
        letters = {variable: _LETTERS[at] if at < len(_LETTERS) else f"i{at}" for at, variable in enumerate(running)}
        parts = []
        for index, variable in enumerate(self.variables):
            before, after = self.pieces[index], self.pieces[index + 1]
            letter = letters.get(variable)
            in_brackets = before.endswith(("[", "{")) and after.startswith(("]", "}"))
            shown = str(numbers[variable][0]) if letter is None else letter if in_brackets else f"[{letter}]"
            parts += [before, shown]
        paths = "".join([*parts, self.pieces[-1]]).split(_BETWEEN)
        runs = [f"{letters[variable]} in {text.ranges(numbers[variable])}" for variable in running]
        return tuple(map(text.name, paths)), text.listed(runs) if runs else ""


def _template(paths: tuple[str, ...], between: str) -> tuple[_Template, list[int]]:
    """The template of an entry, and its numbers by variable."""
    pieces = _NUMBER.split(between.join(paths))
    numbers: list[int] = []
    variables: list[int] = []
    in_first = len(_NUMBER.findall(paths[0]))
    for path in paths:
        for index, found in enumerate(_NUMBER.findall(path)):
            number = int(found)
            if path is not paths[0] and index < in_first and number == numbers[index]:
                variables.append(index)
            else:
                variables.append(len(numbers))
                numbers.append(number)
    return _Template(tuple(pieces[::2]), tuple(variables)), numbers


def _merged(
    members: list[tuple[tuple[tuple[int, ...], ...], list[int]]],
) -> list[tuple[tuple[tuple[int, ...], ...], list[int]]]:
    """Entries of one template, those that differ in one variable alone joined, the last variable first."""
    for variable in reversed(range(len(members[0][0]))):
        joined: dict[Hashable, tuple[list[int], list[int], tuple[tuple[int, ...], ...]]] = {}
        for numbers, positions in members:
            others = (*numbers[:variable], *numbers[variable + 1 :])
            values, together, _ = joined.setdefault(others, ([], [], numbers))
            values += numbers[variable]
            together += positions
        members = [
            ((*numbers[:variable], tuple(sorted(set(values))), *numbers[variable + 1 :]), sorted(positions))
            for values, positions, numbers in joined.values()
        ]
    return members
