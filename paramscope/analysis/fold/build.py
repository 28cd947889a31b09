"""Signatures → folded tree: nodes for modules, rows for slots, siblings that are alike in one."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from paramscope.analysis.fold.numbering import gathered, numbered
from paramscope.analysis.fold.signatures import Signatures, Told
from paramscope.snapshot import Snapshot, join, slot_path

ALIKE = 0.5
"""Part of the slots that siblings must have in common to stand in one node, with only the rest told apart."""
_FAMILIES = 8
"""Families that a sibling is held against: with more, telling siblings apart would take quadratic time."""


class Row(NamedTuple):
    """Slots that are shown as one."""

    path: str
    """The path of the one slot, or a path with ranges in it."""
    slots: list[int]
    """Positions of the slots in the snapshot, one for each repetition."""


class Node(NamedTuple):
    """Modules that are shown as one, with what they hold."""

    path: str
    """The path of the one module, or a path with ranges in it."""
    modules: list[int]
    """Positions of the modules in the snapshot, one for each repetition."""
    rows: list[Row]
    """Slots that they hold themselves."""
    children: list[Node]
    """Modules below them that hold any slot that is wanted."""


class _Alike(NamedTuple):
    """Numbered siblings of one signature."""

    numbers: list[int]
    modules: list[int]
    """For each number as many modules as there are repetitions of all."""


class _Family(NamedTuple):
    """Siblings that stand in one node."""

    start: str
    """Of their names, before the number; the whole name of one that has none."""
    end: str
    members: dict[int, tuple[list[int], list[int]]]
    """By signature: numbers, none for a name without, and positions among the children."""

    @property
    def first(self) -> int:
        """The position of the first of them."""
        return next(iter(self.members.values()))[1][0]

    def add(self, signature: int, number: int, position: int) -> None:
        """One more of them."""
        numbers, positions = self.members.setdefault(signature, ([], []))
        numbers.append(number)
        positions.append(position)


def fold_tree(snapshot: Snapshot, told: Told | None = None, wanted: Collection[int] | None = None) -> list[Node]:
    """The folded roots of a snapshot; folded once, and not to be changed.

    told: what else tells slots apart. wanted: positions of the slots that it is about, as if there were no others.
    """
    key = "fold", (*told.items(),) if told else (), wanted if wanted is None else frozenset(wanted)
    return snapshot.once(key, lambda: _Folding(snapshot, told or {}, wanted).roots)


def fold_slots(snapshot: Snapshot, told: Told | None = None) -> list[Row]:
    """All slots of a snapshot as rows, in its order. Together the rows hold every slot once."""
    return list(rows_below(fold_tree(snapshot, told)))


def rows_below(nodes: Sequence[Node]) -> Iterator[Row]:
    """The rows of some nodes and of all below them."""
    stack = list(reversed(nodes))
    while stack:
        node = stack.pop()
        yield from node.rows
        stack.extend(reversed(node.children))


def unfolded(snapshot: Snapshot, wanted: Collection[int] | None = None) -> list[Row]:
    """A row for each slot that is wanted."""
    return [Row(path, [index]) for index, path in enumerate(snapshot.slots) if wanted is None or index in wanted]


def unfolded_tree(snapshot: Snapshot, wanted: Collection[int] | None = None) -> list[Node]:
    """A node for each module that holds wanted slots, itself or below it, and a row for each of them."""
    parents, modules = snapshot.tree.parents, snapshot.slot_columns.modules
    nodes = [Node(path, [index], [], []) for index, path in enumerate(snapshot.module_columns.paths)]
    for row in unfolded(snapshot, wanted):
        nodes[modules[row.slots[0]]].rows.append(row)
    roots = []
    for index in range(len(nodes) - 1, -1, -1):  # a child stands behind its parent
        node = nodes[index]
        node.children.reverse()
        if parents[index] < 0:
            roots.append(node)
        elif node.rows or node.children:
            nodes[parents[index]].children.append(node)
    return roots[::-1]


class _Folding:
    def __init__(self, snapshot: Snapshot, told: Told, wanted: Collection[int] | None) -> None:
        self._names = snapshot.slot_columns.names
        self._holds = snapshot.slot_columns.holds
        self._signatures = Signatures(snapshot, told, wanted)
        self._pending: list[Any] = []
        self.roots = [
            self._plain(self._signatures.names[module], [module])
            for module, parent in enumerate(self._signatures.parents)
            if parent < 0
        ]
        while self._pending:
            work, *rest = self._pending.pop()
            work(*rest)

    def _plain(self, path: str, modules: list[int]) -> Node:
        """A node of modules that nothing tells apart; what is below them is entered later."""
        node = Node(path, modules, [], [])
        self._pending.append((self._fill, node))
        return node

    def _mixed(self, start: str, end: str, parts: list[_Alike], tail: str, depth: int) -> Node:
        """A node of siblings that something below them tells apart.

        start, end: of the siblings' paths, before and after their numbers. tail: what follows. depth: modules
        above the siblings.
        """
        numbers, modules = _together(parts)
        node = Node(gathered(start, numbers, end) + tail, modules, [], [])
        self._pending.append((self._fill_mixed, node, start, end, parts, tail, depth))
        return node

    def _fill(self, node: Node) -> None:
        modules, path = node.modules, node.path
        model = modules[0]
        first, signatures = self._signatures.first_slot, self._signatures
        start, stop = first[model], first[model + 1]
        if stop - start == 1 and signatures.slots[start] >= 0:
            slots = [start] if len(modules) == 1 else [first[module] for module in modules]
            node.rows.append(Row(self._slot_path(path, self._names[start], start), slots))
        elif stop > start:
            named = zip(self._names[start:stop], signatures.slots[start:stop], strict=True)
            for name, positions in _runs(list(named)):
                members = [first[module] + i for module in modules for i in positions]
                node.rows.append(Row(self._slot_path(path, name, start + positions[0]), members))
        children = signatures.children.get(model)
        if children is None:
            return
        bundles = [signatures.children[module] for module in modules] if len(modules) > 1 else [children]
        names, weights = signatures.names, signatures.weights
        prefix = f"{path}." if path else ""
        if not any(map(_ends_in_number, map(names.__getitem__, children))):
            for i, child in enumerate(children):
                if weights[child]:
                    node.children.append(self._plain(prefix + names[child], [below[i] for below in bundles]))
            return
        for family in self._families(children):
            found = family.members.values()
            parts = [_Alike(numbers, [below[i] for i in at for below in bundles]) for numbers, at in found]
            head, end_text = prefix + family.start, family.end
            if not parts[0].numbers:
                node.children.append(self._plain(head, parts[0].modules))
            elif len(parts) == 1:
                node.children.append(self._plain(gathered(head, parts[0].numbers, end_text), parts[0].modules))
            else:
                depth = signatures.depth(children[0])
                node.children.append(self._mixed(head, end_text, parts, "", depth))

    def _families(self, children: Sequence[int]) -> list[_Family]:
        """Siblings in the order of the first of each family."""
        signatures = self._signatures
        found: list[_Family] = []
        known: dict[Hashable, list[_Family]] = {}
        last: Hashable = None
        for position, child in enumerate(children):
            if not signatures.weights[child]:
                continue
            name = numbered(signatures.names[child])
            if name is None:
                found.append(_Family(signatures.names[child], "", {signatures.modules[child]: ([], [position])}))
                last = None
                continue
            key = name.start, name.end, signatures.owns[child]
            if not name.is_index and last != key:
                known.pop(key, None)  # such names fold only where they follow each other
            last = key
            families = known.setdefault(key, [])
            family = self._family_of(child, children, families)
            if family is None:
                family = _Family(name.start, name.end, {})
                families.append(family)
                found.append(family)
            family.add(signatures.modules[child], name.number, position)
        return found

    def _family_of(self, child: int, children: Sequence[int], families: Sequence[_Family]) -> _Family | None:
        """The one that a child belongs to: that of its signature, else of siblings with most slots in common."""
        signature = self._signatures.modules[child]
        for family in families:
            if signature in family.members:
                return family
        for family in families[:_FAMILIES]:
            if self._is_alike(children[family.first], child):
                return family
        return None

    def _is_alike(self, one: int, other: int) -> bool:
        """Whether two modules have most of their slots in common, by name and signature."""
        signatures = self._signatures
        first, names, slots = signatures.first_slot, self._names, signatures.slots
        wanted = ALIKE * max(signatures.weights[one], signatures.weights[other])
        common = 0
        stack = [(one, other)]
        while stack and common < wanted:
            a, b = stack.pop()
            if signatures.owns[a] != signatures.owns[b]:
                continue
            if signatures.modules[a] == signatures.modules[b]:
                common += signatures.weights[a]
                continue
            held = {names[slot]: slots[slot] for slot in range(first[a], first[a + 1])}
            common += sum(1 for slot in range(first[b], first[b + 1]) if held.get(names[slot]) == slots[slot] >= 0)
            below = {signatures.names[child]: child for child in signatures.children.get(a, ())}
            for child in signatures.children.get(b, ()):
                match = below.get(signatures.names[child])
                if match is not None and signatures.weights[child]:
                    stack.append((match, child))
        return common >= wanted

    def _fill_mixed(self, node: Node, start: str, end: str, parts: list[_Alike], tail: str, depth: int) -> None:
        self._fill_mixed_rows(node, start, end, parts, tail, depth)
        signatures = self._signatures
        # For each name of a child the parts that have it, in the order of the first that does.
        below: dict[str, list[tuple[_Alike, int]]] = {}
        for part in parts:
            for i, child in enumerate(signatures.children.get(part.modules[0], ())):
                if signatures.weights[child]:
                    below.setdefault(signatures.names[child], []).append((part, i))
        for name, holders in below.items():
            alike: dict[Any, list[_Alike]] = {}
            for part, i in holders:
                inner = _Alike(part.numbers, [signatures.children[module][i] for module in part.modules])
                model = inner.modules[0]
                alike.setdefault((signatures.modules[model], signatures.ties_across(model, depth)), []).append(inner)
            found = [_Alike(*_together(each)) for each in alike.values()]
            end_of = f"{tail}.{name}"
            # Within one node only what differs in its slots, not in what it is.
            by_own: dict[int, list[_Alike]] = {}  # a list of its own for each that holds a list
            for each in found:
                model = each.modules[0]
                is_list = any(
                    _ends_in_number(signatures.names[child]) for child in signatures.children.get(model, ())
                )
                by_own.setdefault(~len(by_own) if is_list else signatures.owns[model], []).append(each)
            for group in by_own.values():
                if len(group) == 1:
                    path = gathered(start, group[0].numbers, end) + end_of
                    node.children.append(self._plain(path, group[0].modules))
                else:
                    node.children.append(self._mixed(start, end, group, end_of, depth))

    def _fill_mixed_rows(self, node: Node, start: str, end: str, parts: list[_Alike], tail: str, depth: int) -> None:
        signatures = self._signatures
        first = signatures.first_slot
        rows: dict[str, dict[Any, list[tuple[_Alike, list[int]]]]] = {}
        for part in parts:
            low, high = first[part.modules[0]], first[part.modules[0] + 1]
            named = list(zip(self._names[low:high], signatures.slots[low:high], strict=True))
            for name, positions in _runs(named):
                ties = tuple(signatures.ties_below(low + i, depth) for i in positions) if signatures.ties else ()
                key = (named[positions[0]][1], ties)
                rows.setdefault(name, {}).setdefault(key, []).append((part, positions))
        for name, by_key in rows.items():
            for holders in by_key.values():
                numbers, slots = _together(
                    [
                        _Alike(part.numbers, [first[module] + i for module in part.modules for i in positions])
                        for part, positions in holders
                    ]
                )
                path = gathered(start, numbers, end) + tail
                node.rows.append(Row(self._slot_path(path, name, slots[0]), slots))

    def _slot_path(self, module: str, name: str, slot: int) -> str:
        return slot_path(module, name, self._holds[slot]) if module else join(module, name)


def _together(parts: list[_Alike]) -> tuple[list[int], list[int]]:
    """The numbers of all parts, rising, and their modules (or slots) in that order."""
    if len(parts) == 1:
        return parts[0].numbers, parts[0].modules
    pairs = []
    for numbers, members in parts:
        each = len(members) // len(numbers)
        pairs += [(number, members[i * each : (i + 1) * each]) for i, number in enumerate(numbers)]
    pairs.sort(key=lambda pair: pair[0])
    return [number for number, _ in pairs], [member for _, members in pairs for member in members]


def _ends_in_number(name: str) -> bool:
    return name[-1:].isdigit() or name[-1:] in ("]", "}")


def _runs(members: list[tuple[str, int]]) -> list[tuple[str, list[int]]]:
    """(name or folded name, positions) of slots given as (name, signature).

    Those named by a number alone, or by an index, fold wherever they stand; those with a number at the end of a name
    (`weight0`, `weight1`) where they follow each other. What does not count is left out.
    """
    if not any(_ends_in_number(name) for name, _ in members):
        return [(name, [i]) for i, (name, signature) in enumerate(members) if signature >= 0]
    groups: list[tuple[str, str, list[int], list[int]]] = []
    known: dict[Any, int] = {}
    last: Any = None
    for position, (name, signature) in enumerate(members):
        apart = numbered(name)
        if signature < 0:
            last = None
        elif apart is None:
            groups.append((name, "", [], [position]))
            last = None
        else:
            key = (apart.start, apart.end, signature)
            at = known.get(key)
            if at is None or not (apart.is_index or last == key):
                known[key] = len(groups)
                groups.append((apart.start, apart.end, [apart.number], [position]))
            else:
                groups[at][2].append(apart.number)
                groups[at][3].append(position)
            last = key
    return [
        (gathered(start, numbers, end) if numbers else start, positions) for start, end, numbers, positions in groups
    ]
