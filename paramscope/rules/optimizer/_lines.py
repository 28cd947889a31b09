"""The lines that rules about optimizers blame: where one is built, or where the forward makes what it lacks."""

from __future__ import annotations

from collections.abc import Iterable

from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.registration._made import made_by_forward
from paramscope.rules.rule import Blame
from paramscope.snapshot import Membership
from paramscope.text import listed

BUILD_IT_FIRST = (
    "Build it in __init__, before the optimizer is built; where its size is known in forward only, as a Lazy layer, "
    "such as nn.LazyLinear, and run the model once before."
)
"""What to write instead of making a Parameter or a layer in forward."""


def builder(facts: Facts) -> Blame | None:
    """The line that builds the only optimizer."""
    return _one_of(each.name for each in facts.optimizers)


def builder_of(memberships: Iterable[Membership]) -> Blame | None:
    """The line that builds the optimizer in whose groups something stands."""
    return _one_of(each.optimizer for each in memberships)


def _one_of(names: Iterable[str]) -> Blame | None:
    several = list(dict.fromkeys(names))
    if len(several) < 2:
        return Blame.optimizer(several[0]) if several else None
    return Blame.none(f"it may be that of any of several optimizers: {listed(list(map(literal, several)))}")


def forward_line(facts: Facts, path: str) -> Blame | None:
    """The line in forward that makes a slot, or something that holds it; None where it is made as the model is."""
    made = made_by_forward(facts, path)
    return None if made is None else Blame.line(made.assignment)
