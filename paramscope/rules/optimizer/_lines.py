"""The lines that rules about optimizers blame: where one is built, or where the forward makes what it lacks."""

from __future__ import annotations

from collections.abc import Iterable

from paramscope.rules.facts import Facts
from paramscope.rules.registration._made import made_by_forward
from paramscope.rules.rule import Blame
from paramscope.snapshot import Membership

BUILD_IT_FIRST = (
    "Build it in __init__, before the optimizer is built; where its size is known in forward only, as a Lazy layer, "
    "such as nn.LazyLinear, and run the model once before."
)
"""What to write instead of making a Parameter or a layer in forward."""


def builder(facts: Facts) -> Blame | None:
    """The line that builds the only optimizer; None where there are several, of which none is to blame."""
    return Blame.optimizer(facts.optimizers[0].name) if len(facts.optimizers) == 1 else None


def builder_of(memberships: Iterable[Membership]) -> Blame | None:
    """The line that builds the optimizer in whose groups something stands; None where these are several."""
    names = list(dict.fromkeys(each.optimizer for each in memberships))
    return Blame.optimizer(names[0]) if len(names) == 1 else None


def forward_line(facts: Facts, path: str) -> Blame | None:
    """The line in forward that makes a slot, or something that holds it; None where it is made as the model is."""
    made = made_by_forward(facts, path)
    return None if made is None else Blame.line(made.assignment)
