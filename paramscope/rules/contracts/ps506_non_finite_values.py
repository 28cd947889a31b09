"""A parameter or a buffer holds NaN or infinity.

What it finds
: NaN or infinity in a registered parameter, NaN in a registered buffer.

Why it matters
: Every forward through it gives NaN, and so does every gradient after it.

Example
```python
import torch
from torch import nn

model = nn.Linear(2, 2)
model.weight.data[0, 0] = float("nan")
```

Instead
```python
from torch import nn

model = nn.Linear(2, 2)
```

When it is wrong to follow it
: Infinity in a buffer is taken for a mask, and is not reported.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS506", "non-finite-values", Severity.ERROR, needs="values")

_WORDS = {"nan": "NaN", "inf": "infinity"}


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What capture found among the values."""
    for note in facts.notes("values"):
        yield Undecided(f"{note.path}: {note.text}")
    kinds: dict[str, list[str]] = {}
    for record in facts.snapshot.values or ():
        is_parameter = facts.slots[record.path].role == "parameter"
        if record.kind == "nan" or (record.kind == "inf" and is_parameter):
            kinds.setdefault(record.path, []).append(_WORDS[record.kind])
    for path, found in kinds.items():
        yield Problem(
            (path,),
            f"{{0}} {{0|holds|hold}} {' and '.join(found)}: whatever is computed with {{0|it|them}} is not "
            f"finite either.",
            "Look at what wrote it, such as a step on a gradient that was not finite, and load an intact checkpoint.",
            blame=None,
        )
