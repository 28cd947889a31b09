"""Whether what a module holds does not train."""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.rules.facts import Facts
from paramscope.rules.places import own_parameters
from paramscope.snapshot import REQUIRES_GRAD


def is_frozen(facts: Facts, module: int) -> bool:
    """Whether no parameter at or below a module trains; where there is none, whether none beside it does, while
    something else in the model does."""
    own = list(_trained(facts, module))
    if own:
        return not any(own)
    parent = facts.parents[module]
    if parent < 0 or not facts.is_training_something:
        return False
    beside = list(_trained(facts, parent))
    return bool(beside) and not any(beside)


def _trained(facts: Facts, module: int) -> Iterator[bool]:
    """Of each parameter at or below a module, whether it requires grad."""
    tensors, flags = facts.snapshot.slot_columns.tensors, facts.snapshot.tensor_columns.flags
    for each in facts.subtree(module):
        yield from (bool(flags[tensors[slot]] & REQUIRES_GRAD) for slot in own_parameters(facts, each))
