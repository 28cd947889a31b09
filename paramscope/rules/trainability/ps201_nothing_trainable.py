"""No registered parameter requires grad.

What it finds
: A model with parameters, none of which is trainable.

Why it matters
: Nothing is learned, and `loss.backward()` raises: "element 0 of tensors does not require grad". With an optimizer
  it is an error, since one was meant to train.

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
: A model for inference alone: without an optimizer it is information only, as it is where the optimizer trains
  something beside the model: its input, one prompt, or what an attribute of the model holds. Parameters that the
  model does not have, such as those of adapters that were folded into it, are nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS201", "nothing-trainable", Severity.INFO)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Whether there are parameters, and none of them trains."""
    tensors = facts.snapshot.slot_columns.tensors
    frozen = {tensors[slot] for kind in facts.slot_kinds if kind.is_frozen for slot in kind.slots}
    if not frozen or facts.is_training_something:
        return
    is_error = facts.has_optimizer and not _trains_something_else(facts)
    holds_none = is_error and not any(kind.groups for kind in facts.slot_kinds)
    count = f"None of {text.plural(len(frozen), 'parameter')} requires grad"
    yield Problem(
        facts.snapshot.roots,
        f"{count}, yet there is an optimizer, and what it holds is not, or no longer, in the model: loss.backward() "
        "raises."
        if holds_none
        else f"{count}, yet there is an optimizer: it has nothing to train, and loss.backward() raises."
        if is_error
        else f"{count}: all of the model is frozen.",
        "Thaw what is to be trained, such as model.head.requires_grad_(True), before the optimizer is built."
        if is_error
        else "Nothing to do if it is to be used as it is; else thaw what is to be trained: requires_grad_(True).",
        Severity.ERROR if is_error else None,
        blame=None,
    )


def _trains_something_else(facts: Facts) -> bool:
    """Whether an optimizer holds what is trained beside a frozen model: something in an attribute of it, a tensor
    that is no Parameter (an input), single numbers, or one Parameter like no other of the model's (a prompt)."""
    if any(kind.requires_grad and kind.groups for kind in facts.slot_kinds):
        return True
    groups = (group for optimizer in facts.optimizers for group in optimizer.groups)
    others = [each for group in groups for each in group.foreign if each.requires_grad]
    if not others:
        return False
    if not all(each.is_parameter for each in others) or all(each.numel == 1 for each in others):
        return True
    shapes = {kind.spec.shape for kind in facts.slot_kinds if kind.is_frozen and kind.spec is not None}
    return len(others) == 1 and others[0].shape not in shapes
