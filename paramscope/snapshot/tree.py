"""How the modules of a snapshot lie below one another, and where the slots of each begin. Told from paths alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


class Tree:
    """The modules by position; a child always comes after its parent."""

    __slots__ = ("children", "first_slots", "names", "parents")

    parents: list[int]
    """For each module the position of the module above; -1 for roots."""
    names: list[str]
    """For each module its own part of the path."""
    children: dict[int, list[int]]
    """Positions of the modules directly below each module that has any."""
    first_slots: list[int]
    """The slots of module `m` are `range(first_slots[m], first_slots[m + 1])`."""

    def __init__(self, paths: Sequence[str], roots: Iterable[str], slot_modules: Iterable[int]) -> None:
        """slot_modules: of each slot the position of its module; slots lie module by module."""
        self.parents, self.names = _parents(paths, frozenset(roots))
        self.children = {}
        for module, parent in enumerate(self.parents):
            if parent >= 0:
                self.children.setdefault(parent, []).append(module)
        self.first_slots = first = [0] * (len(paths) + 1)
        for module in slot_modules:
            first[module + 1] += 1
        for module in range(len(paths)):
            first[module + 1] += first[module]

    def slots_of(self, module: int) -> range:
        """Positions of the slots that one module holds itself."""
        return range(self.first_slots[module], self.first_slots[module + 1])

    def above(self, module: int) -> Iterator[int]:
        """The modules above one, nearest first."""
        while (module := self.parents[module]) >= 0:
            yield module

    def below(self, module: int) -> Iterator[int]:
        """A module and all modules below it, in order."""
        stack = [module]
        while stack:
            at = stack.pop()
            yield at
            stack.extend(reversed(self.children.get(at, ())))


def _parents(paths: Sequence[str], roots: frozenset[str]) -> tuple[list[int], list[str]]:
    positions: dict[str, int] = {}
    find = positions.get
    parents: list[int] = []
    names: list[str] = []
    for index, path in enumerate(paths):
        above, _, name = path.rpartition(".")
        parent = find(above)
        if parent is None or path in roots:
            parent, name = _parent(path, positions, is_root=path in roots and path not in positions)
            if parent >= 0 and paths[parent]:
                name = path[len(paths[parent]) + 1 :]
        parents.append(parent)
        names.append(name)
        positions.setdefault(path, index)
    return parents, names


def _parent(path: str, positions: dict[str, int], *, is_root: bool) -> tuple[int, str]:
    """The nearest module above by its path, where that is not the path less its last name."""
    above = path
    while above and not is_root:
        above = above.rpartition(".")[0]
        found = positions.get(above)
        if found is not None:
            return found, path
    return -1, path
