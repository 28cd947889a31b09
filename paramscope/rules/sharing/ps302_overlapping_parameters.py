"""Two Parameters share some of their elements.

What it finds
: Parameters over one storage that have some bytes in common, as when an `nn.Parameter` is made from a slice of
  another one. Views that interleave without sharing an element, such as even and odd columns, are fine.

Why it matters
: Training one rewrites the other: the shared elements are stepped once for each, with gradients that are not added
  up, and `.to()` separates them.

Example
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(100, 8)
        self.prompt = nn.Embedding(20, 8)
        self.prompt.weight = nn.Parameter(self.words.weight[:20].detach())

model = Net()
```

Instead
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(100, 8)
        self.prompt = nn.Embedding(20, 8)
        self.prompt.weight = nn.Parameter(self.words.weight[:20].detach().clone())

model = Net()
```

When it is wrong to follow it
: Hardly ever: to use a part of a weight elsewhere, slice it in `forward`, and autograd adds up the gradients. Where
  all of them are frozen it is information only. Interleaved views whose comparison would take too long are left
  undecided, and the rule is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._causes import by_cause
from paramscope.rules.sharing._forms import parts_advice, slice_advice
from paramscope.rules.sharing._memory import Group, is_quiet, is_trainable, overlapping, problem
from paramscope.snapshot.spans import extent
from paramscope.text import listed

_TOLD = 3
"""Parts that a message names before it counts the rest."""

RULE = Rule("PS302", "overlapping-parameters", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Parameters over one storage that hang together by shared elements."""
    groups = overlapping(facts, within_storages=True)
    found = (group if isinstance(group, Undecided) else _problem(facts, group) for group in groups)
    yield from by_cause(facts, found)


def _whole(facts: Facts, group: Group) -> int | None:
    """Which of more than two tensors the others are parts of, where these have no element in common."""
    spans = [facts.spans(facts.snapshot.slot_columns.tensors[slots[0]])[0] for slots in group.tensors]
    reach = [(span.layout[0], span.layout[0] + extent(span.layout)) for span in spans]
    whole = min(range(len(reach)), key=lambda at: (reach[at][0], -reach[at][1]))
    parts = sorted(each for at, each in enumerate(reach) if at != whole)
    is_around = all(reach[whole][0] <= start and stop <= reach[whole][1] for start, stop in parts)
    are_apart = all(one[1] <= other[0] for one, other in pairwise(parts))
    return whole if len(parts) > 1 and is_around and are_apart else None


def _of_parts(facts: Facts, group: Group, whole: int) -> tuple[str, str] | None:
    """(message, help) for one Parameter that others are parts of; None where that has no simple form."""
    slots = [each[0] for each in group.tensors]
    parts = [at for at in range(len(slots)) if at != whole]
    said = parts_advice(facts, slots[whole], [slots[at] for at in parts])
    if not said:
        return None
    shown = [f"{{{at}}}" for at in parts[:_TOLD]]
    shown += [f"{len(parts) - _TOLD:,} more"] if len(parts) > _TOLD else []
    return f"{listed(shown)} are different Parameters, each of them a part of {{{whole}}}", said


def _problem(facts: Facts, group: Group) -> Problem:
    paths = group.paths(facts)
    is_frozen = all(is_quiet(facts, slots) for slots in group.tensors)
    learns = {is_trainable(facts, slots) for slots in group.tensors}
    frozen = ", also of those that are frozen" if len(learns) > 1 else ""
    others = f"the other{'s' if len(group.tensors) > 2 else ''}"
    names = f"{group.names} are different Parameters that have elements in common"
    whole = _whole(facts, group)
    of_parts = None if whole is None else _of_parts(facts, group, whole)
    if of_parts is not None:
        names, said = of_parts
        others = "what it has in common with the others"
    else:
        said = slice_advice(facts, [slots[0] for slots in group.tensors])
    then = f"training one rewrites {others}{frozen}."
    if is_frozen:
        then = "all of them are frozen, so that no step changes these, and .to() gives each memory of its own."
        said = f". {said}"
    return problem(facts, paths, f"{names}: {then}", said, is_frozen=is_frozen)
