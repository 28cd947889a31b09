"""One of many similar siblings differs.

What it finds
: In a run of at least four siblings of the same structure, a few (at most a quarter) that differ in requires_grad,
  dtype, training mode or device, and that are neither the first nor the last of the run. Each stretch of a run is
  judged by itself: a thawed last block does not excuse one in the middle, nor the other way round.

Why it matters
: Layers are usually frozen from one end, or all alike. A few in the middle that differ are mostly leftovers, or an
  index is wrong.

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
: Where particular layers are tuned on purpose; declare it. The first or last ones of a run, or every third or fourth
  of it, are information only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.trainability._siblings import Aspect, runs, states_in, varying
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
    is_plan: bool
    """Whether it belongs to the first or the last ones of the run, or to every second, third, … of it: then it looks
    chosen."""
    shown: int
    """The one whose difference is named: of an end, all in one finding, the first."""


class _Reading(NamedTuple):
    """What one of the states in a run makes of the others, if it is taken for the usual one."""

    inner: list[int]
    """Positions of others that have usual ones on both sides."""
    ends: list[int]
    """Positions of those that have them on one side only."""
    usual: int
    """The first usual one."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Runs of siblings, aspect by aspect."""
    aspects = varying(facts)
    if not aspects:
        return
    alike = list(runs(facts, _RUN))
    for aspect in aspects:
        states = states_in(facts, aspect)
        for odd in _innermost(facts, [odd for run in alike for odd in _odd(run, states, aspect)]):
            others = "others" if odd.is_plan else "siblings on either side"
            yield Problem(
                (facts.modules.path_at(odd.module),),
                f"In {{0}}, unlike in the {others}, {_difference(facts, odd)}: there are "
                f"{odd.siblings:,} consecutive siblings of the same structure.",
                f"If that is an oversight, give {{0|it|them}} the {aspect} of the others; if not, declare it.",
                Severity.INFO if odd.is_plan else None,
                blame=None,
            )


def _odd(run: list[int], states: list[int], aspect: Aspect) -> Iterator[_Odd]:
    reading = _reading([states[module] for module in run])
    if reading is None:
        return
    inner, ends, usual = reading
    if _RUN * len(ends) > len(run):
        ends = []
    is_regular = _is_regular([*inner, *ends], len(run))
    for at in sorted([*inner, *ends]):
        is_end = at not in inner
        shown = run[ends[0]] if is_end else run[at]
        yield _Odd(run[at], run[usual], len(run), aspect, is_regular or is_end, shown)


def _reading(states: list[int]) -> _Reading | None:
    """The reading of a run that takes the fewest for odd: layers are frozen from either end, or a few by mistake.

    None where too many differ for any of them to be the odd one.
    """
    counts = Counter(states).most_common()
    if len(counts) == 1:
        return None
    found = []
    for rank, (state, _) in enumerate(counts):
        usual = [at for at, each in enumerate(states) if each == state]
        first, last = usual[0], usual[-1]
        body, before, behind = last - first + 1, first, len(states) - 1 - last
        # What lies between two ends is the usual one only if it is most of all.
        if rank and (body < _RUN or (before and behind and 2 * body < len(states))):
            continue
        inner = [at for at in range(first, last) if states[at] != state]
        between = groupby(states[at] == state for at in range(first, last))
        longest = max((len(list(run)) for is_usual, run in between if not is_usual), default=0)
        # An end no longer than what lies inside is one of several odd ones, and no half of a model.
        odd = len(inner) + sum(end for end in (before, behind) if end <= longest)
        if not inner or _RUN * odd <= (body if rank else len(states)):
            ends = [at for at in range(len(states)) if at < first or at > last]
            # What differs within an end is not explained by this reading.
            mixed = sum(map(_lesser, (states[:first], states[last + 1 :])))
            found.append((len(inner) + mixed, rank, _Reading(inner, ends, first)))
    return min(found)[2] if found else None


def _lesser(states: list[int]) -> int:
    """How many of some states are not the most common one."""
    return len(states) - max(Counter(states).values()) if states else 0


def _is_regular(positions: list[int], count: int) -> bool:
    """Whether some positions are every second, third, … of all from one end to the other."""
    positions = sorted(positions)
    if len(positions) < 3:
        return False
    step = positions[1] - positions[0]
    return step > 1 and positions == list(range(positions[0] % step, count, step))


def _innermost(facts: Facts, found: list[_Odd]) -> list[_Odd]:
    """One for each cause: of one within another the inner one, unless that is the lesser."""
    by_module = {odd.module: odd for odd in found}
    dropped: set[int] = set()
    for odd in found:
        for outer in map(by_module.get, facts.snapshot.tree.above(odd.module)):
            if outer is not None:
                dropped.add(odd.module if odd.is_plan and not outer.is_plan else outer.module)
    return [odd for odd in found if odd.module not in dropped]


def _difference(facts: Facts, odd: _Odd) -> str:
    """The first thing in which two modules differ."""
    snapshot = facts.snapshot
    modules, slots = snapshot.module_columns, snapshot.slot_columns
    start = len(modules.paths[odd.shown])
    for one, other in zip(facts.subtree(odd.shown), facts.subtree(odd.usual), strict=False):
        inner = modules.paths[one][start:].removeprefix(".")
        if odd.aspect == "training mode":
            if (modules.flags[one] ^ modules.flags[other]) & TRAINING:
                mode = "training" if modules.flags[one] & TRAINING else "eval"
                return f"{inner or 'the module itself'} is in {mode} mode"
            continue
        for mine, theirs in zip(_held(facts, one), _held(facts, other), strict=False):
            if min(slots.tensors[mine], slots.tensors[theirs]) < 0:
                continue
            a, b = snapshot.tensor(slots.tensors[mine]), snapshot.tensor(slots.tensors[theirs])
            name = join(inner, slots.names[mine])
            if odd.aspect == "requires_grad" and a.requires_grad != b.requires_grad:
                return f"{name} is {'trained' if a.requires_grad else 'frozen'}"
            if odd.aspect == "dtype" and a.spec.dtype != b.spec.dtype:
                return f"{name} is {a.spec.dtype}, not {b.spec.dtype}"
            if odd.aspect == "device" and a.spec.device != b.spec.device:
                return f"{name} is on {a.spec.device}, not on {b.spec.device}"
    return f"the {odd.aspect} is another"


def _held(facts: Facts, module: int) -> list[int]:
    holds = facts.snapshot.slot_columns.holds
    return [slot for slot in facts.snapshot.tree.slots_of(module) if holds[slot] != ATTRIBUTE]
