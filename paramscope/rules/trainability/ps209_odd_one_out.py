"""One of many like siblings differs.

What it finds
: In a run of at least four siblings of one structure, a few (at most a quarter) that differ in requires_grad, dtype
  or training mode, and that are neither the first nor the last of the run.

Why it matters
: Layers are frozen from one end, or all alike. A few in the middle that differ are mostly left over, or an index is
  wrong.

Example
```python
from torch import nn

model = nn.ModuleList(nn.Linear(2, 2) for _ in range(8))
model[3].requires_grad_(False)
```

Instead
```python
from torch import nn

model = nn.ModuleList(nn.Linear(2, 2) for _ in range(8))
```

When it is wrong to follow it
: Where chosen layers are tuned on purpose; declare it. The first or the last ones of a run are information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import SlotRecord

RULE = Rule("PS209", "odd-one-out", Severity.WARNING)

_RUN = 4
"""Siblings that make a run."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Numbered siblings of one structure."""
    if not _may_differ(facts):
        return
    paths = facts.snapshot.module_columns.paths
    types = facts.snapshot.module_columns.types
    for siblings in facts.children.values():
        if len(siblings) < _RUN:
            continue
        runs: dict[int, list[int]] = {}
        for module in siblings:
            if paths[module].rpartition(".")[2].isdigit():
                runs.setdefault(types[module], []).append(module)
        for run in runs.values():
            if len(run) >= _RUN:
                yield from _odd(facts, run)


def _may_differ(facts: Facts) -> bool:
    """Whether anything differs at all: most models are of one piece."""
    states = {
        (kind.is_trainable, kind.spec.dtype) for kind in facts.slot_kinds if kind.role == "parameter" and kind.spec
    }
    return len(states) > 1 or len({owner.training for owner, _ in facts.module_kinds}) > 1


def _odd(facts: Facts, run: list[int]) -> Iterator[Problem]:
    by_shape: dict[object, list[int]] = {}
    states: dict[int, object] = {}
    for module in run:
        shape, state = _structure(facts, module)
        by_shape.setdefault(shape, []).append(module)
        states[module] = state
    for alike in by_shape.values():
        if len(alike) < _RUN:
            continue
        by_state: dict[object, list[int]] = {}
        for module in alike:
            by_state.setdefault(states[module], []).append(module)
        usual = max(by_state.values(), key=len)
        odd = [module for module in alike if states[module] != states[usual[0]]]
        if not odd or len(odd) > len(alike) / 4:
            continue
        is_end = odd in (alike[: len(odd)], alike[-len(odd) :])
        for module in odd:
            what = _difference(facts, module, usual[0])
            yield Problem(
                (facts.modules.path_at(module),),
                f"{{0}} differs from its {len(alike) - len(odd)} like siblings in {what}.",
                "If that is left over, set all of them alike; if it is meant, declare it.",
                Severity.INFO if is_end else None,
                blame=None,
                alike=(alike[0], what),
            )


_Structure = tuple[object, object]


def _structure(facts: Facts, module: int) -> _Structure:
    """(what siblings must have in common, in what one of them may be odd)."""
    names = facts.snapshot.module_columns.paths
    shape: list[object] = []
    state: list[object] = []
    start = len(names[module])
    for each in facts.subtree(module):
        record = facts.modules.at(each)
        shape.append((record.path[start:], record.type))
        state.append(record.training)
        for slot in facts.slots_of(each):
            if slot.role != "attribute":
                shape.append((slot.name, slot.shape))
                state.append((slot.trainable, slot.dtype))
    return tuple(shape), tuple(state)


def _difference(facts: Facts, odd: int, usual: int) -> str:
    found = []
    pairs = list(zip(_slots(facts, odd), _slots(facts, usual), strict=True))
    if any(a.requires_grad != b.requires_grad for a, b in pairs):
        found.append("requires_grad")
    if any(a.dtype != b.dtype for a, b in pairs):
        found.append("dtype")
    modes = zip(facts.subtree(odd), facts.subtree(usual), strict=True)
    if any(facts.modules.at(a).training != facts.modules.at(b).training for a, b in modes):
        found.append("training mode")
    return " and ".join(found) or "what it holds"


def _slots(facts: Facts, module: int) -> list[SlotRecord]:
    return [slot for each in facts.subtree(module) for slot in facts.slots_of(each) if slot.role != "attribute"]
