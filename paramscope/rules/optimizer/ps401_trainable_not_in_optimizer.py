"""A trainable parameter is in no optimizer.

What it finds
: A registered parameter that requires grad and is in no param group of any given optimizer: an error. A **warning**
  if it belongs to a copy: a whole module or root that is not stepped anywhere, has no gradient, and is built like
  another one that is stepped completely. That looks like a target network, a teacher or an average, which is better
  frozen; **info** if the copy is in eval mode beside a model in training, as such copies are. The line is the one in
  forward that creates it, if there is one; otherwise the one that builds the only optimizer, if it is found in the
  files that define the model's classes.

Why it matters
: No step ever changes it: it stays as it was initialised, and nothing says so. It happens to whatever is unfrozen or
  added after the optimizer was built, and to whatever a filter leaves out. Each cause is one finding; a reason is
  given only if nothing else explains what is missing, and then as a "perhaps". Where all of a root or of a part is
  missing, no filter is blamed: it may have been thawed too late, or have an optimizer of its own.

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
: A part that is never meant to be stepped, such as a target network, is better frozen: requires_grad_(False). If
  another optimizer steps the rest, pass that one as well. A copy is recognised by its structure and by its name
  (target, ema, teacher, momentum, old, …); one layer among its like, one block of a list, or the second of two
  numbered critics is not a copy but was forgotten. The average that `AveragedModel` keeps is never reported, whether
  root or part, nor are half-precision weights that are stepped through float32 copies. If an optimizer holds only
  flat vectors as large as parameters, the rule is skipped. For a wrapper with param groups of its own, the groups of
  the optimizer inside it count, since that is what steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.optimizer._causes import reason
from paramscope.rules.optimizer._lines import BUILD_IT_FIRST, builder, forward_line
from paramscope.rules.optimizer._members import HALVES, class_name, distinct, foreign_members
from paramscope.rules.optimizer._twins import Twin, averages, twins
from paramscope.rules.rule import Blame, Problem, Rule, Undecided
from paramscope.snapshot import OptimizerRecord

RULE = Rule("PS401", "trainable-not-in-optimizer", Severity.ERROR, needs="optimizer", yields_to=("PS402",))

_Missing = dict[int, tuple[int, ...]]
"""By its first slot, the further ones of a tensor that is trainable and in no group."""
_LARGE = 1_024
"""Elements from which on a vector may be a rank's part of many parameters."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Trainable slots without a place in a param group."""
    missing = _missing(facts)
    if not missing:
        return
    flat = [optimizer for optimizer in facts.optimizers if _is_flat(optimizer, facts, missing)]
    if flat:
        yield Undecided(f"optimizer {flat[0].name} holds flat vectors: which parameters lie in them cannot be told")
        return
    for twin in twins(facts, [slot for first, further in missing.items() for slot in (first, *further)]):
        yield from _copies(facts, twin, missing)
    for optimizer in facts.optimizers:
        yield from _listed(facts, optimizer, missing)
    if missing:
        why, instead = reason(facts, list(missing))
        for slot, further in missing.items():
            made = forward_line(facts, facts.slots.path_at(slot))
            yield Problem(
                tuple(facts.paths([slot, *further])),
                f"{{0}} {{0|is|are}} trainable, but in no optimizer{why if made is None else _MADE}",
                instead if made is None else BUILD_IT_FIRST,
                blame=made or builder(facts),
                alike="missing" if made is None else ("made", made.at),
            )


_MADE = ": the forward makes {0|it|them}, after the optimizer was built."


def _missing(facts: Facts) -> _Missing:
    kinds = [kind for kind in facts.slot_kinds if kind.is_trainable and not kind.groups]
    if not kinds:
        return {}
    kept, recomputed = averages(facts), facts.recomputed_tensors
    copies = Counter(each.record.shape for each in foreign_members(facts) if each.record.dtype == "float32")
    columns = facts.snapshot.slot_columns
    found: _Missing = {}
    for slot, further in distinct(facts, kinds):
        if columns.tensors[slot] in recomputed or all(columns.modules[each] in kept for each in (slot, *further)):
            continue
        if copies:
            record = facts.slots.at(slot)
            if record.dtype in HALVES and copies[record.shape] > 0:
                copies[record.shape] -= 1
                continue
        found[slot] = further
    return found


def _is_flat(optimizer: OptimizerRecord, facts: Facts, missing: _Missing) -> bool:
    """Whether all that an optimizer holds are vectors of its own, fewer than the parameters that it may step, and of
    their size: a few learned numbers beside the model are none."""
    members = [foreign for group in optimizer.groups for foreign in group.foreign]
    if (
        not 0 < len(members) < len(missing)
        or any(group.slots for group in optimizer.groups)
        or not all(each.shape is not None and len(each.shape) == 1 and each.replaced_by is None for each in members)
    ):
        return False
    held = sum(each.numel or 0 for each in members)
    return held >= _LARGE or held >= sum(facts.slots.at(slot).numel or 0 for slot in missing)


def _copies(facts: Facts, twin: Twin, missing: _Missing) -> Iterator[Problem]:
    """What no optimizer holds of a copy, which is taken off what is missing."""
    modules = facts.snapshot.module_columns.paths
    below, owners = set(facts.subtree(twin.module)), facts.snapshot.slot_columns.modules
    mine = [slot for slot, further in missing.items() if any(owners[each] in below for each in (slot, *further))]
    name, of = literal(modules[twin.module] or "the root"), literal(modules[twin.of] or "the root")
    for slot in mine:
        yield Problem(
            tuple(facts.paths([slot, *missing.pop(slot)])),
            f"{{0}} {{0|is|are}} trainable, but in no optimizer: {name} is built like {of}, which is stepped, and "
            "looks like a copy of it (a target network, a teacher or an average).",
            f"If it is one, freeze it: requires_grad_(False) on {name}. If it is to learn from gradients as {of} "
            "does, it was forgotten when the optimizer was built.",
            Severity.INFO if twin.rests else Severity.WARNING,
            blame=modules[twin.module] or None,
            alike=("copy", twin.module),
        )


def _listed(facts: Facts, optimizer: OptimizerRecord, missing: _Missing) -> Iterator[Problem]:
    """What only the groups of a wrapper hold, which is taken off what is missing."""
    outer = literal(optimizer.type.rpartition(".")[2])
    for path in optimizer.listed:
        slot = facts.slots.position(path)
        if slot in missing:
            yield Problem(
                tuple(facts.paths([slot, *missing.pop(slot)])),
                f"{outer} lists {{0}} in param groups of its own, and the {literal(class_name(optimizer))} within "
                "it, which steps, does not hold what is listed there: no step changes that.",
                "Build the wrapper once the model is complete, or add the parameters to the optimizer within it.",
                blame=Blame.optimizer(optimizer.name),
                alike=("listed", optimizer.name),
            )
