"""No registered parameter requires grad.

What it finds
: A model with parameters, none of which is trainable.

Why it matters
: Nothing is learned, and `loss.backward()` raises: "element 0 of tensors does not require grad". With an optimizer
  this is an error, since something was meant to be trained.

Example
```python
from torch import nn

model = nn.Linear(2, 2)
model.requires_grad_(False)
```

Instead
```python
from torch import nn

model = nn.Linear(2, 2)
```

When it is wrong to follow it
: For a model used only for inference: without an optimizer it is information only. The same holds where the optimizer
  trains something beside the model, such as its input, a prompt, a probe, or what an attribute of the model holds;
  but not parameters that the model evidently had before, those of adapters that were merged into it or of a layer
  that was replaced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import ForeignRecord

RULE = Rule("PS201", "nothing-trainable", Severity.INFO)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Whether there are parameters, and none of them trains."""
    tensors = facts.snapshot.slot_columns.tensors
    frozen = {tensors[slot] for kind in facts.slot_kinds if kind.is_frozen for slot in kind.slots}
    if not frozen or facts.is_training_something:
        return
    is_error = facts.has_optimizer and not _trains_something_else(facts)
    holds_none = is_error and not any(kind.groups for kind in facts.slot_kinds)
    count = "The only parameter does not require grad"
    if len(frozen) > 1:
        count = f"None of {len(frozen):,} parameters requires grad"
    yield Problem(
        facts.snapshot.roots,
        f"{count}, yet there is an optimizer, and what it holds is not, or no longer, in the model: loss.backward() "
        "raises."
        if holds_none
        else f"{count}, yet there is an optimizer: it has nothing to train, and loss.backward() raises."
        if is_error
        else f"{count}: all of the model is frozen.",
        "Unfreeze what is to be trained, such as model.head.requires_grad_(True), before the optimizer is built."
        if is_error
        else "Nothing to do if you use it as it is; otherwise unfreeze what is to be trained: requires_grad_(True).",
        Severity.ERROR if is_error else None,
        blame=None,
    )


def _trains_something_else(facts: Facts) -> bool:
    """Whether an optimizer holds what is trained beside a frozen model: something in an attribute of it, a tensor
    that is no Parameter (an input), single numbers, or what does not look like anything that the model had (a prompt,
    a probe)."""
    if any(kind.requires_grad and kind.groups for kind in facts.slot_kinds):
        return True
    groups = (group for optimizer in facts.optimizers for group in optimizer.groups)
    others = [each for group in groups for each in group.foreign if each.requires_grad]
    if not others:
        return False
    if not all(each.is_parameter for each in others) or all(each.numel == 1 for each in others):
        return True
    return not all(_looks_like_it_had(others, _frozen_shapes(facts)))


def _frozen_shapes(facts: Facts) -> list[tuple[int, ...]]:
    """Of each frozen slot."""
    return [
        kind.spec.shape
        for kind in facts.slot_kinds
        if kind.is_frozen and kind.spec is not None and kind.spec.shape is not None
        for _ in kind.slots
    ]


def _looks_like_it_had(others: list[ForeignRecord], frozen: list[tuple[int, ...]]) -> Iterator[bool]:
    """Whether each of some foreign tensors may have been the model's: one that was replaced, one of the shape of a
    frozen slot, or one of two whose product has that shape, as adapters that were folded into it."""
    left = Counter(frozen)
    layers = {shape[:2] for shape in frozen if len(shape) > 1}
    inner = Counter(each.shape[:2] for each in others if each.shape is not None and len(each.shape) > 1)
    for each in others:
        shape = each.shape or ()
        if left[shape]:
            left[shape] -= 1
            yield True
        else:
            yield each.replaced_by is not None or (len(shape) > 1 and _is_low_rank(shape, layers, inner))


def _is_low_rank(shape: tuple[int, ...], layers: set[tuple[int, ...]], inner: Counter[tuple[int, ...]]) -> bool:
    rows, columns = shape[:2]
    return any(
        (columns == wide and rows < min(tall, wide) and inner[tall, rows])
        or (rows == tall and columns < min(tall, wide) and inner[columns, wide])
        for tall, wide in layers
    )
