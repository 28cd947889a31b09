"""One of many like siblings differs.

What it finds
: In a run of at least four siblings of one structure, a few (at most a quarter) that differ in requires_grad, dtype,
  training mode or device, and that are neither the first nor the last of the run.

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

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.trainability._siblings import Aspect, Structures, varying
from paramscope.snapshot import ATTRIBUTE, TRAINING, join

RULE = Rule("PS209", "odd-one-out", Severity.WARNING)

_RUN = 4
"""Siblings that make a run; one in as many may be odd."""


class _Odd(NamedTuple):
    """One that differs from its siblings in one aspect."""

    module: int
    usual: int
    """One of the others."""
    siblings: int
    """How many there are in all."""
    aspect: Aspect
    is_at_end: bool
    """Whether all that differ are the first or the last ones of the run."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Runs of siblings, aspect by aspect."""
    aspects = varying(facts)
    if not aspects:
        return
    structures = Structures(facts, aspects)
    runs = list(structures.runs(_RUN))
    for aspect in aspects:
        states = structures.states[aspect]
        for odd in _innermost(facts, [odd for run in runs for odd in _odd(run, states, aspect)]):
            yield Problem(
                (facts.modules.path_at(odd.module),),
                f"{{0}} {{0|stands|stand}} out among {odd.siblings:,} siblings of one structure: "
                f"{_difference(facts, odd)}.",
                f"If that is left over, give it the {aspect} of the others; if it is meant, declare it.",
                Severity.INFO if odd.is_at_end else None,
                blame=None,
            )


def _odd(run: list[int], states: list[int], aspect: Aspect) -> Iterator[_Odd]:
    (state, count), *rest = Counter(states[module] for module in run).most_common()
    if not rest or _RUN * (len(run) - count) > len(run):
        return
    usual = [states[module] == state for module in run]
    # Layers are frozen, or kept in another dtype, from either end.
    is_at_end = all(usual[usual.index(True) : len(usual) - usual[::-1].index(True)])
    for module, is_usual in zip(run, usual, strict=True):
        if not is_usual:
            yield _Odd(module, run[usual.index(True)], len(run), aspect, is_at_end)


def _innermost(facts: Facts, found: list[_Odd]) -> list[_Odd]:
    """One for each cause: of one within another the inner one, unless that is the lesser."""
    by_module = {odd.module: odd for odd in found}
    dropped: set[int] = set()
    for odd in found:
        above = facts.parents[odd.module]
        while above >= 0:
            outer = by_module.get(above)
            if outer is not None:
                dropped.add(odd.module if odd.is_at_end and not outer.is_at_end else outer.module)
            above = facts.parents[above]
    return [odd for odd in found if odd.module not in dropped]


def _difference(facts: Facts, odd: _Odd) -> str:
    """The first thing in which two modules differ."""
    snapshot = facts.snapshot
    modules, slots = snapshot.module_columns, snapshot.slot_columns
    start = len(modules.paths[odd.module])
    for one, other in zip(facts.subtree(odd.module), facts.subtree(odd.usual), strict=False):
        inner = modules.paths[one][start:].removeprefix(".")
        if odd.aspect == "training mode":
            if (modules.flags[one] ^ modules.flags[other]) & TRAINING:
                mode = "training" if modules.flags[one] & TRAINING else "eval"
                return f"{f'its {inner}' if inner else 'it'} is in {mode} mode"
            continue
        for mine, theirs in zip(_held(facts, one), _held(facts, other), strict=False):
            if min(slots.tensors[mine], slots.tensors[theirs]) < 0:
                continue
            a, b = snapshot.tensor(slots.tensors[mine]), snapshot.tensor(slots.tensors[theirs])
            name = f"its {join(inner, slots.names[mine])}"
            if odd.aspect == "requires_grad" and a.requires_grad != b.requires_grad:
                return f"{name} is {'trained' if a.requires_grad else 'frozen'}"
            if odd.aspect == "dtype" and a.spec.dtype != b.spec.dtype:
                return f"{name} is {a.spec.dtype}, not {b.spec.dtype}"
            if odd.aspect == "device" and a.spec.device != b.spec.device:
                return f"{name} is on {a.spec.device}, not on {b.spec.device}"
    return f"its {odd.aspect} is another"


def _held(facts: Facts, module: int) -> list[int]:
    holds = facts.snapshot.slot_columns.holds
    slots = range(facts.first_slots[module], facts.first_slots[module + 1])
    return [slot for slot in slots if holds[slot] != ATTRIBUTE]
