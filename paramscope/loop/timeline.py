"""Changes by moments → lines: what all slots of a module did is said of the module, of numbered siblings at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from paramscope import text
from paramscope.analysis.paths import aligned, covering, fold_paths
from paramscope.loop.changes import KINDS, Change
from paramscope.snapshot.path import parent


class Moment(NamedTuple):
    """What changed up to one mark, since the one before."""

    label: str
    steps: tuple[tuple[str, int], ...]
    """Steps that were seen of each optimizer until then, by its name; none where steps are not watched."""
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    """What is not watched any more."""
    slots: tuple[Sequence[str], Sequence[str]]
    """Paths of all slots, before and after."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The changes as text, folded, and the notes."""
        return (*_lines(self.changes, [path for paths in self.slots for path in paths]), *self.notes)

    def __str__(self) -> str:
        counted = [f"{text.plural(number, 'step')}{_of(name, self.steps)}" for name, number in self.steps]
        head = text.name(self.label) + (f" ({', '.join(counted)})" if counted else "")
        return "\n".join([head, *(f"  {line}" for line in self.lines or ("no change",))])


class Timeline(tuple[Moment, ...]):
    """All moments, in order."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self))


def _of(name: str, several: Sequence[object]) -> str:
    return f" of optimizer {text.name(name)}" if len(several) > 1 else ""


def _lines(changes: Sequence[Change], slots: Sequence[str]) -> list[str]:
    lines: list[tuple[str, str]] = []
    for kind in KINDS:
        mine = [change for change in changes if change.kind == kind]
        for facts in dict.fromkeys(change.facts for change in mine):
            paths = [change.paths for change in mine if change.facts == facts]
            if kind == "learning rate":
                lines += [
                    (kind, _row(row.path, len(row.members), facts)) for row in fold_paths([(p, None) for p in paths])
                ]
            elif kind in ("to training", "to eval"):
                lines += [(kind, each) for each in _modules([path for (path,) in paths])]
            elif kind in ("tied", "untied"):
                lines += [(kind, row.path) for row in fold_paths([(group, None) for group in paths])]
            else:
                lines += [(kind, each) for each in folded([path for (path,) in paths], slots, facts)]
    return aligned(lines)


def folded(paths: Sequence[str], slots: Sequence[str], facts: str = "") -> list[str]:
    """Slots as lines: `backbone.* ×60`, `layers.[0-31].weight ×32`. slots: all there are."""
    parts = covering(paths, {*slots, *paths})
    rows = fold_paths([((what,), None) for what, _ in parts])
    return [_row(row.path, sum(len(parts[at][1]) for at in row.members), facts) for row in rows]


def _row(path: str, count: int, facts: str) -> str:
    return path + (f" ×{text.count(count)}" if count > 1 else "") + (f" ({facts})" if facts else "")


def _modules(paths: Sequence[str]) -> list[str]:
    """Modules as lines: of those below one that is listed, how many they are."""
    wanted = set(paths)
    tops: dict[str, int] = {}
    for path in paths:
        top = next((module for module in reversed(_above(path)) if module in wanted), path)
        tops[top] = tops.get(top, 0) + 1
    rows = fold_paths([((path,), count) for path, count in tops.items()])
    counts = list(tops.values())
    return [
        _row(
            row.path or "the root",
            len(row.members),
            f"{counts[row.members[0]] - 1} below" if counts[row.members[0]] > 1 else "",
        )
        for row in rows
    ]


def _above(module: str) -> list[str]:
    """The modules above one, nearest first, the root last."""
    found = []
    while module:
        module = parent(module)
        found.append(module)
    return found
