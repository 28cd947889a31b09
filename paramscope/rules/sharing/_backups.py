"""Containers that hold Parameters of a module themselves, and are called as if they were copies of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from paramscope import text
from paramscope.rules.facts import Facts
from paramscope.rules.places import modules_above
from paramscope.snapshot import REGISTERED
from paramscope.snapshot.path import Steps, to_steps

_BACKUP = frozenset(
    {"best", "initial", "init", "start", "saved", "backup", "snapshot", "before", "rollback", "restore", "undo"}
)
"""Words by which people call what is kept of the weights as they were."""


class Backup(NamedTuple):
    """A container of Parameters."""

    module: int
    attribute: str
    parameters: tuple[str, ...]
    """Paths under which they are registered."""


def backups(facts: Facts) -> Iterator[Backup]:
    """Lists, tuples and dicts in attributes that hold several registered parameters and nothing else that is."""
    found: dict[tuple[int, Steps], list[str]] = {}
    for alias in facts.snapshot.aliases:
        if not alias.path.endswith("]"):
            continue
        module = _holder(facts, alias.path)
        rest = alias.path[len(facts.modules.path_at(module)) :].removeprefix(".")
        steps = to_steps(rest)
        if len(steps) == 2 and steps[0].kind == "name" and steps[1].kind == "item":
            found.setdefault((module, steps[:1]), []).append(alias.of)
    for (module, (step,)), paths in found.items():
        slots = [facts.slots.get(path) for path in paths]
        if len(set(paths)) > 1 and all(slot is not None and slot.role == "parameter" for slot in slots):
            said = _BACKUP.intersection(text.words(step.text))
            # `self.init_weights = list(self.init_net.parameters())` is what it says.
            if said and not any(said.intersection(text.words(path)) for path in paths):
                yield Backup(module, step.text, tuple(dict.fromkeys(paths)))


def _holder(facts: Facts, path: str) -> int:
    """The registered module in whose attribute something lies: that of the longest path before the first bracket."""
    flags = facts.snapshot.module_columns.flags
    above = map(facts.modules.position, reversed(modules_above(facts, path[: path.index("[")])))
    return next((module for module in above if flags[module] & REGISTERED), 0)
