"""One module is registered under several names.

What it finds
: A module object with parameters or buffers that is registered in more than one place. This is information, with two
  exceptions, which are warnings: a module whose name says it is a copy (target, ema, teacher, best, old, reference,
  …), or a frozen twin, that is the original itself or holds some of its trained weights; and parts with weights of
  their own that share one norm, one activation with weights, or the module of a default argument. The line is the one
  that gives it its second name: `self.b = self.a`.

Why it matters
: Its parameters are trained by all places together, counted and stepped once, and appear in `state_dict()` under each
  name. A target network that is the online network never lags behind it, and the running mean of a norm shared by all
  blocks is that of a mixture, not of any block.

Example
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 4)
        self.decoder = self.encoder

model = Net()
```

Instead
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 4)
        self.decoder = nn.Linear(4, 4)

model = Net()
```

When it is wrong to follow it
: Where the sharing is intended, as with a whole branch (siamese networks, one encoder for actor and critic), with
  frozen weights, or under a flag or name that says so: that is information. A norm with which two branches start,
  over the same input, is not a mistake either. One of two equals (two branches, template and search) is not a copy,
  and neither is a model that its averaging wrapper holds beside the copy.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.code import to_code
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal, unbraced
from paramscope.rules.registration._common import Common, common_layers
from paramscope.rules.registration._copies import Copy, copies
from paramscope.rules.registration._repeats import holds_tensors, repeated_modules, shared_modules
from paramscope.rules.registration._requests import is_asked_for
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._memory import last_assigned
from paramscope.snapshot.path import is_at_or_below

RULE = Rule("PS110", "shared-module", Severity.INFO, yields_to=("PS111",))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Modules with more than one place."""
    meant = [each for each in copies(facts) if not is_asked_for(facts, each.path)]
    yield from (_copy(facts, each) for each in meant)
    common = {each.places: each for each in common_layers(facts)}
    # Of copies that share what lies in them, their list is reported.
    told = {member for each in repeated_modules(facts) if not each.is_one_object for member in each.members}
    for places in shared_modules(facts):
        if all(facts.parents[place] in told for place in places) or not holds_tensors(facts, places[0]):
            continue
        paths = tuple(map(facts.modules.path_at, places))
        if tuple(places) in common:
            yield _common(facts, common[tuple(places)], paths)
        elif not any(is_at_or_below(path, each.path) for each in meant for path in paths):
            yield Problem(
                paths,
                f"{{0}} is one module under {len(paths):,} names: all of them use, train and save the same tensors.",
                "If each place is to have weights of its own, build a module for each, or copy.deepcopy it.",
                blame=last_assigned(facts, paths, "alias"),
                alike=paths[0],
                cause="alias",
            )


def _copy(facts: Facts, found: Copy) -> Problem:
    some = f"{found.shared:,} of its {text.plural(found.held, 'parameter')}"
    if not found.is_named:
        message = (
            f"{{0}} is frozen, but for what it shares with {{1}}, which is trained ({some}): these change with it."
        )
    elif found.shared == found.held:
        message = "{0} is named like a copy, yet all of its weights are those of {1}: the two never differ."
    else:
        message = f"{{0}} is named like a copy, yet {some} are those of {{1}}, which are trained: these never differ."
    copied = f"{to_code(facts, found.path)} = copy.deepcopy({to_code(facts, found.original)}).requires_grad_(False)"
    original = facts.modules[found.original].type if found.original in facts.modules else ""
    is_whole = facts.modules[found.path].type == original
    instead = f"Copy it, {copied}" if is_whole else "Give it weights of its own, by copy.deepcopy of what it shares"
    return Problem(
        (found.path, found.original),
        message,
        unbraced(f"{instead}; or, if one module is meant, give it one name."),
        Severity.WARNING,
        blame=last_assigned(facts, (found.path, found.original), "alias"),
        alike=found.path,
        cause="alias",
    )


_MIXED = {
    "statistics": "its running statistics mix those of all places, and eval() normalizes none of them by its own.",
    "norm": "its scale and shift are trained for all of them at once.",
    "activation": "its weights are trained for all of them at once.",
    "default": "a default argument is made once, so all of them train the same weights.",
}


def _common(facts: Facts, found: Common, paths: tuple[str, ...]) -> Problem:
    type = literal(facts.modules[paths[0]].type.rpartition(".")[2])
    help_text = f"Build one for each place, {type}(…), where what holds it is built."
    if found.kind == "default":
        help_text = f"Let the argument be None by default, and build {type}(…) in __init__ where it is None."
    return Problem(
        paths,
        f"{{0}} is one {type}, used in {found.users:,} places that otherwise have weights of their own: "
        f"{_MIXED[found.kind]}",
        help_text,
        Severity.WARNING,
        blame=last_assigned(facts, paths, "alias"),
        alike=paths[0],
        cause="alias",
    )
