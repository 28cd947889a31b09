"""A trainable parameter is in no optimizer.

What it finds
: A registered parameter that requires grad and stands in no param group of any optimizer that was given.
  The line is the one in forward that makes it, where one does; else that which builds the only optimizer, where the
  files of the model's own classes show one that can have.

Why it matters
: It gets gradients, which take memory and time, and no step ever uses them: it stays as it was initialised, and
  nothing says so. This happens to whatever is unfrozen, or added, after the optimizer was built.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
model[0].requires_grad_(False)
optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])
model[0].requires_grad_(True)  # no optimizer hears of it
```

Instead
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
model[0].requires_grad_(False)
optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])
model[0].requires_grad_(True)
optimizer.add_param_group({"params": model[0].parameters()})
```

When it is wrong to follow it
: A part that is never meant to be stepped, such as a target network, is better frozen: requires_grad_(False). Where
  another optimizer steps the rest, hand that one over, too. Of the average that `AveragedModel` keeps nothing is
  said, nor of half-precision weights that are stepped through copies in float32; where an optimizer holds nothing
  but flat vectors, the rule is skipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.optimizer._lines import BUILD_IT_FIRST, builder, forward_line
from paramscope.rules.optimizer._members import HALVES, averages, distinct, strangers
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import OptimizerRecord
from paramscope.text import plural

RULE = Rule("PS401", "trainable-not-in-optimizer", Severity.ERROR, needs="optimizer", yields_to=("PS402",))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Trainable slots without a place in a param group."""
    missing = _missing(facts)
    if not missing:
        return
    flat = [optimizer for optimizer in facts.optimizers if _is_flat(optimizer, len(missing))]
    if flat:
        yield Undecided(f"optimizer {flat[0].name} holds flat vectors: which parameters lie in them cannot be told")
        return
    late = _Late(facts)
    for slot, further in missing:
        why, instead = late.told(slot)
        made = forward_line(facts, facts.slots.path_at(slot))
        if made is not None:
            why, instead = " The forward makes it, after the optimizer was built.", BUILD_IT_FIRST
        yield Problem(
            tuple(facts.paths([slot, *further])),
            f"No optimizer holds {{0}}, though trainable: gradients are computed, and no step uses them.{why}",
            instead,
            blame=made or builder(facts),
            alike="missing" if made is None else ("made", made.at),
        )


def _missing(facts: Facts) -> list[tuple[int, tuple[int, ...]]]:
    kinds = [kind for kind in facts.slot_kinds if kind.is_trainable and not kind.groups]
    if not kinds:
        return []
    kept, recomputed = averages(facts), facts.recomputed_tensors
    copies = Counter(each.record.shape for each in strangers(facts) if each.record.dtype == "float32")
    columns = facts.snapshot.slot_columns
    found = []
    for slot, further in distinct(facts, kinds):
        if columns.tensors[slot] in recomputed or columns.modules[slot] in kept:
            continue
        if copies:
            record = facts.slots.at(slot)
            if record.dtype in HALVES and copies[record.shape] > 0:
                copies[record.shape] -= 1
                continue
        found.append((slot, further))
    return found


def _is_flat(optimizer: OptimizerRecord, missing: int) -> bool:
    """Whether all that an optimizer holds are vectors of its own, fewer than the parameters that it may step."""
    members = [foreign for group in optimizer.groups for foreign in group.foreign]
    return (
        0 < len(members) < missing
        and not any(group.slots for group in optimizer.groups)
        and all(each.shape is not None and len(each.shape) == 1 and each.replaced_by is None for each in members)
    )


_HAND_OVER = 'Hand it to an optimizer, optimizer.add_param_group({"params": …}), or freeze it: requires_grad_(False).'
_COMPLETE = "Build the optimizer once the model is complete."
_UNFROZEN = (
    "Build the optimizer after unfreezing, or hand the parameters over then: optimizer.add_param_group("
    '{"params": …}).'
)


class _Late:
    """Tells what looks unfrozen, or added, after the optimizer was built."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._modules: set[int] = set()
        """Modules of which an optimizer holds something."""
        self._ranges: list[tuple[int, int]] = []
        """From the first to the last slot of groups whose members stand in the model's order."""
        columns = facts.snapshot.slot_columns
        held = [kind for kind in facts.slot_kinds if kind.groups]
        self._strangers = sum(len(each.places) for each in strangers(facts))
        """Members of optimizers that the model does not have."""
        self._has_gradients = any(kind.has_grad for kind in held)
        self._modules.update(columns.modules[slot] for kind in held for slot in kind.slots)
        for optimizer in facts.optimizers:
            for group in optimizer.groups:
                positions = list(map(facts.slots.position, group.slots))
                if positions == sorted(positions):
                    self._ranges.extend([(positions[0], positions[-1])] if len(positions) > 1 else [])

    def told(self, slot: int) -> tuple[str, str]:
        """(why a slot looks so, as the end of a message, empty where it does not; what to write instead)."""
        if self._strangers:
            count = plural(self._strangers, "tensor")
            return (
                f" It seems to have come after the optimizer was built, which holds {count} that the model does not "
                "have."
            ), _COMPLETE
        columns = self._facts.snapshot.slot_columns
        # A filter by names or dimensions leaves out single slots of a module; freezing takes all of it.
        if columns.modules[slot] in self._modules:
            return "", _HAND_OVER
        if self._has_gradients and not self._facts.slots.at(slot).has_grad:
            why = " It looks unfrozen after the optimizer was built, whose members have gradients, and it has none."
            return why, _UNFROZEN
        if any(first < slot < last for first, last in self._ranges):
            why = " It looks unfrozen after the optimizer was built, which holds what stands before and after."
            return why, _UNFROZEN
        return "", _HAND_OVER
