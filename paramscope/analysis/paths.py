"""Paths that differ in numbers alone → one row, with what is said of them behind it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from paramscope import text
from paramscope.snapshot.path import parent


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


def tie_lines(groups: Sequence[tuple[str, ...]], what: str = "one tensor") -> list[str]:
    """Slots that are, or were, one tensor: `h.[0-11].a = h.[0-11].b ×12`, `h.[0-11].scale ×12 (one tensor)`."""
    lines = []
    apart = []
    for group in groups:
        rows = fold_paths([((path,), None) for path in group])
        if len(rows) < len(group):
            lines.append(" = ".join(map(with_facts, rows)) + f" ({what})")
        else:
            apart.append(group)
    return [with_facts(row) for row in fold_paths([(group, None) for group in apart])] + lines


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


def fold_paths(entries: Sequence[tuple[tuple[str, ...], Hashable]], between: str = " = ") -> list[PathRow]:
    """Paths that differ only in numbers, and have equal facts, as one row each, in the order of their first.

    entries: (paths, facts) pairs. Several paths in one entry, such as the slots of a tie, are written
    `a = b`, and a number that stands at the same place in the first of them runs with it: `h.[0-11].a = h.[0-11].b`.
    """
    rows = [
        PathRow(template.filled(numbers), positions) for template, numbers, positions in _folded(entries, between)
    ]
    return sorted(rows, key=lambda row: row.members[0])


def covering(paths: Iterable[str], among: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Paths, with those that are all that there is below a module as one, `backbone.*`: the highest such module, and
    of those that hold the same paths the lowest. With the paths that each stands for, in the order of the first.

    among: all that there is.
    """
    paths = list(paths)
    there, mine = _counts(among), _counts(paths)
    wholes: dict[str, str | None] = {}
    found: dict[str, list[str]] = {}
    for path in paths:
        module = parent(path)
        if module not in wholes:
            above = [each for each in at_and_above(module) if mine[each] == there[each] > 1]
            wholes[module] = f"{above[0]}.*" if above else None
        found.setdefault(wholes[module] or path, []).append(path)
    return [(what if len(each) == 1 else _below(each), tuple(each)) for what, each in found.items()]


def _below(paths: Sequence[str]) -> str:
    """All that lies in the lowest module that holds some paths; `*` for the root."""
    # What the first and the last have in common all others have, too.
    above = [list(at_and_above(parent(path))) for path in (min(paths), max(paths))]
    lowest = max((each for each in above[0] if each in above[1]), key=len)
    return f"{lowest}.*" if lowest else "*"


def _counts(slots: Iterable[str]) -> Counter[str]:
    """How many slots there are below each module."""
    found: Counter[str] = Counter()
    for module, count in Counter(map(parent, slots)).items():
        for each in at_and_above(module):
            found[each] += count
    return found


def at_and_above(module: str) -> Iterator[str]:
    """A module and those that it lies in, the root first."""
    if module:
        yield ""
    for end, character in enumerate(module):
        if character == ".":
            yield module[:end]
    yield module


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
        for numbers_of, positions in merged(members):
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


def merged(
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
