"""Two weights are equal, bit by bit, and share nothing.

What it finds
: Registered parameters with the same values, not constant, in memory of their own.

Why it matters
: They begin as one and part with the first step: if a tie was meant, it is none.

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
: Layers that were cloned begin equal on purpose, as those of nn.TransformerEncoder do: information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS305", "copied-not-tied", Severity.INFO, needs="values")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What capture found to be equal."""
    groups: dict[int, list[str]] = {}
    for record in facts.snapshot.values or ():
        if record.kind == "equal" and record.group is not None and facts.slots[record.path].role == "parameter":
            groups.setdefault(record.group, []).append(record.path)
    runs: dict[tuple[str, ...], list[list[str]]] = {}
    for paths in groups.values():
        if len(paths) > 1:
            # Cloned layers have all their parameters equal: one finding for the run.
            runs.setdefault(tuple(_heads(paths)), []).append(paths)
    for found in runs.values():
        flat = [path for paths in found for path in paths]
        yield Problem(
            tuple(flat),
            "{0} has the same values as "
            + ", ".join(f"{{{at}}}" for at in range(1, len(found[0])))
            + ", and shares no "
            "memory with " + ("it" if len(found[0]) == 2 else "them") + ": they part with the first step.",
            "If they are meant to be one: {1} = {0}.",
            blame=flat[1],
            alike=(flat[0],),
        )


def _heads(paths: list[str]) -> list[str]:
    """What stands before the last name that the paths have in common: the siblings that were cloned."""
    tails = [path.split(".") for path in paths]
    common = 0
    while all(len(tail) > common + 1 for tail in tails) and len({tail[-1 - common] for tail in tails}) == 1:
        common += 1
    return [".".join(tail[: len(tail) - common]) for tail in tails]
