"""Two weights that the model declares as tied are not.

What it finds
: A pair named by the instance's `all_tied_weights_keys`, or by its class's `_tied_weights_keys` if the configuration
  ties word embeddings, that shares no memory.

Why it matters
: Each weight that is trained learns by itself, while everything that relies on the declaration treats them as one: a
  checkpoint may contain only one of them, and tying them again on loading discards what the other had learned.

Example
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.all_tied_weights_keys = {"head.weight": "embed.weight"}

model = Net()
```

Instead
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight
        self.all_tied_weights_keys = {"head.weight": "embed.weight"}

model = Net()
```

When it is wrong to follow it
: Where the two are meant to differ from now on, say so in the configuration, `tie_word_embeddings=False`, and remove
  the pair from the declaration. Weights that a hook keeps elsewhere are ignored, and so are pairs that are both on
  the meta device: `tie_weights()` ties them on loading.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.code import to_code
from paramscope.rules.facts import Facts
from paramscope.rules.naming import unbraced
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._causes import by_cause
from paramscope.rules.sharing._memory import last_assigned
from paramscope.snapshot import SlotRecord

RULE = Rule("PS304", "declared-tie-broken", Severity.ERROR, yields_to=("PS809",))


_COPIES = "modules_to_save"
"""Where peft keeps the copies of layers that it trains in full."""
_ON_META = "both are on the meta device, to be tied when they are loaded"
_RECOMPUTED = "one is made anew before each forward"
_NOWHERE = "it cannot be told which memory they lie in"


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Declared pairs against what they are."""
    yield from by_cause(facts, _problems(facts))


def _problems(facts: Facts) -> Iterator[Problem | Undecided]:
    met: set[frozenset[str]] = set()
    undecided: dict[str, list[str]] = {}
    for tie in facts.snapshot.declared_ties:
        if tie.undecided is not None:
            undecided.setdefault(tie.undecided, []).append(" and ".join(filter(None, tie.names)))
        for pair in tie.pairs:
            if frozenset(pair) in met:
                continue
            met.add(frozenset(pair))
            found = _broken(facts, pair)
            if isinstance(found, Undecided):
                undecided.setdefault(found.reason, []).append(" and ".join(pair))
            elif found is not None:
                yield found
    for reason, names in undecided.items():
        more = f" (and {len(names) - 1:,} more)" if len(names) > 1 else ""
        yield Undecided(f"{names[0]}{more}: {reason}" if names[0] else reason)


def _broken(facts: Facts, pair: tuple[str, str]) -> Problem | Undecided | None:
    declared = [facts.slots[path] for path in pair]
    if declared[0].tensor == declared[1].tensor:
        return None
    one, other = (_original(facts, slot) for slot in declared)
    if one is None or other is None:
        return Undecided(_RECOMPUTED)
    if one.tensor == other.tensor or one.tensor is None or other.tensor is None:
        return None
    # Nothing is there of what a hook has taken away.
    if any(slot.device == "meta" and facts.is_offloaded(slot.module) for slot in (one, other)):
        return None
    spans, others = facts.spans(one.tensor), facts.spans(other.tensor)
    if {span.memory for span in spans} & {span.memory for span in others}:
        return None
    if one.device == other.device == "meta":
        return Undecided(_ON_META)
    if not spans or not others:
        return Undecided(_NOWHERE)
    tie = unbraced(f" or {to_code(facts, one.path)} = {to_code(facts, other.path)}")
    is_one_kind = (one.shape, one.dtype, one.requires_grad) == (other.shape, other.dtype, other.requires_grad)
    by_hand = tie if is_one_kind else ""
    how = f"after whatever parted them, with the model's tie_weights(){by_hand}"
    if _COPIES in one.path.split(".") or _COPIES in other.path.split("."):
        how = "by ensure_weight_tying=True in peft's configuration, which trains one copy for both"
    return Problem(
        (one.path, other.path),
        f"{{0}} and {{1}} are declared to be tied, but are two weights: {_who_learns(one, other)}, and tying them "
        "again throws one of them away.",
        f"Tie them {how}; or declare that they are not tied (config.tie_word_embeddings = False).",
        blame=last_assigned(facts, (one.path, other.path), "own"),
        cause="own",
        is_apart=True,
    )


def _who_learns(one: SlotRecord, other: SlotRecord) -> str:
    if one.requires_grad and other.requires_grad:
        return "each learns by itself"
    if one.requires_grad or other.requires_grad:
        return "{0} learns, {1} is frozen" if one.requires_grad else "{1} learns, {0} is frozen"
    return "both are frozen"


def _original(facts: Facts, slot: SlotRecord) -> SlotRecord | None:
    """What the tie is about: of an attribute that pruning or spectral_norm computes, the parameter it is made of."""
    if not facts.is_recomputed(slot.path):
        return slot
    return facts.slots.get(f"{slot.path}_orig")
