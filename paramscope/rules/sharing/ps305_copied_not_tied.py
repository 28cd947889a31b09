"""Two weights are equal bit by bit, but share no memory.

What it finds
: Registered parameters with bitwise equal values that are not constant and lie in memory of their own.

Why it matters
: They start out equal and diverge with the first step: if a tie was intended, it was not made.

Example
```python
from torch import nn

model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False))
model[1].weight.data.copy_(model[0].weight.data)
```

Instead
```python
from torch import nn

model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False))
model[1].weight = model[0].weight
```

When it is wrong to follow it
: Cloned layers start out equal on purpose, as those of `nn.TransformerEncoder` do: information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.code import to_code
from paramscope.rules.facts import Facts
from paramscope.rules.naming import placeholders, unbraced
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._memory import place_of
from paramscope.snapshot.path import heads

RULE = Rule("PS305", "copied-not-tied", Severity.INFO, needs="values")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What capture found to be equal."""
    for note in facts.notes("values"):
        yield Undecided(f"{note.path}: {note.text}")
    runs: dict[tuple[str, ...], list[list[str]]] = {}
    for paths in _copies(facts):
        # Cloned layers have all their weights equal: one finding for the run.
        runs.setdefault(heads(paths), []).append(paths)
    for found in runs.values():
        yield Problem(
            tuple(path for paths in found for path in paths),
            _message(found),
            f"If they are meant to be one weight, tie them{_tie(facts, found)}. If they were cloned to begin alike, "
            "nothing need be done.",
            blame=found[0][1],
            alike=found[0][0],
            cause="own",
        )


def _tie(facts: Facts, found: list[list[str]]) -> str:
    """The assignment that makes the first two one, where one may take the other's place."""
    one, other = (facts.slots[path] for path in found[0][:2])
    if one.shape != other.shape or one.dtype != other.dtype:
        return ""
    more = ", and so for the others" if len(found) > 1 or len(found[0]) > 2 else ""
    return unbraced(f": {to_code(facts, other.path)} = {to_code(facts, one.path)}{more}")


def _copies(facts: Facts) -> Iterator[list[str]]:
    """Groups of parameters that are equal and lie in different memory."""
    groups: dict[int, list[str]] = {}
    places: set[tuple[int, object]] = set()
    for record in facts.snapshot.values or ():
        if record.kind != "equal" or record.group is None:
            continue
        slot = facts.slots[record.path]
        if slot.role != "parameter" or slot.tensor is None:
            continue
        place = (record.group, place_of(facts, slot.tensor))
        if place not in places:
            places.add(place)
            groups.setdefault(record.group, []).append(record.path)
    yield from (paths for paths in groups.values() if len(paths) > 1)


def _message(found: list[list[str]]) -> str:
    message = f"{placeholders(len(found[0]))} hold the same values, and share no memory"
    if len(found) > 1:
        message += f"; so do {len(found) - 1:,} more weights beside them"
    return f"{message}: they part with the first step."
