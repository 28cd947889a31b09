"""Which problems of groups of places have one cause, and so are one finding."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Undecided
from paramscope.snapshot.path import heads, numberless


def by_cause(facts: Facts, found: Iterable[Problem | Undecided]) -> Iterator[Problem | Undecided]:
    """The same problems, alike where one line may have made them: those of one attribute of like modules, and those
    of all that two modules hold, as when a whole model was pointed at the memory of another.

    `alike` of a problem is what has to be equal besides.
    """
    problems: list[Problem] = []
    parents: list[int] = []
    first: dict[Hashable, int] = {}

    def root(at: int) -> int:
        while parents[at] != at:
            parents[at] = parents[parents[at]]
            at = parents[at]
        return at

    for each in found:
        if isinstance(each, Undecided):
            yield each
            continue
        number = len(problems)
        problems.append(each)
        parents.append(number)
        kind = (each.severity, each.message, each.alike)
        for key in (_attribute(facts, each.paths[0]), tuple(map(numberless, heads(each.paths)))):
            parents[root(number)] = root(first.setdefault((kind, key), number))
    for number, each in enumerate(problems):
        yield each._replace(alike=(root(number), each.alike))


def _attribute(facts: Facts, path: str) -> Hashable:
    """(class of the owner, name) of a slot; of other places their paths without numbers."""
    if path not in facts.slots:
        return numberless(path)
    slot = facts.slots.position(path)
    columns, modules = facts.snapshot.slot_columns, facts.snapshot.module_columns
    # The key of the other kind is a tuple of texts.
    return modules.types[columns.modules[slot]], numberless(columns.names[slot])
