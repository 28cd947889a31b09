"""What transformers' `save_pretrained` makes of names that share memory, as `remove_tied_weights_from_state_dict` of
transformers 5 does it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal, unbraced
from paramscope.rules.once import once
from paramscope.rules.places import modules_above, type_of, upwards
from paramscope.snapshot import is_simple_pattern, join, without_wrappers
from paramscope.snapshot.path import is_at_or_below

_PRETRAINED = "transformers.modeling_utils.PreTrainedModel"
_PEFT = "peft.peft_model.PeftModel"


class Said(NamedTuple):
    """What is said of it."""

    refuses: str
    """Who refuses besides safetensors."""
    help: str
    """A template; empty where nothing is known that fits better than what safetensors offers."""
    kind: Literal["", "declared", "undeclared"]


_NOTHING = Said("", "", "")
_SAVE = "Write it with save_pretrained(), which keeps one name for each memory; or with torch.save."
_ADAPTER = "Keep it: save_pretrained() writes the adapter alone, and torch.save takes all of it."


def said_of_pretrained(facts: Facts, paths: Sequence[str], *, is_one: bool) -> Said:
    """Of names over one memory in the state of one root. is_one: whether all of them reach the same bytes."""
    model = _saving(facts, paths)
    if model is None:
        return _NOTHING
    below = [path.removeprefix(f"{model}.") if model else path for path in paths]
    is_adapted = any(facts.is_a(type_of(facts, at), _PEFT) for at in upwards(facts, facts.modules.position(model)))
    patterns, dropped = _left_out(facts, model)
    if patterns is None:
        return _NOTHING
    left = [name for name in below if name not in dropped]
    unknown = [name for name in left if not _is_known(name, patterns)]
    if len(left) < 2 or (is_one and len(unknown) < 2):
        return Said("", _ADAPTER if is_adapted else _SAVE, "declared")
    whose = " of the model that the adapter is merged into" if is_adapted else ""
    refuses = f", and so will save_pretrained(){whose}"
    if not is_one:
        return Said(refuses, "", "undeclared")
    kept, *others = map(without_wrappers, unknown)
    keys = ", ".join(f"{other!r}: {kept!r}" for other in others[:3]) + (", …" if len(others) > 3 else "")
    owner = facts.modules[model].type.rpartition(".")[2]
    return Said(
        f"{refuses}, as _tied_weights_keys of {literal(owner)} does not hold the tie",
        unbraced(
            f"Declare it in the class, _tied_weights_keys = {{{keys}}}, which ties it again when it is loaded if the "
            "configuration says tie_word_embeddings=True; or, if no tie was meant, give each a weight of its own."
        ),
        "undeclared",
    )


def _is_known(name: str, patterns: list[str]) -> bool:
    # A child may well be called as a wrapper's is.
    return any(
        re.search(pattern, each) for each in dict.fromkeys((name, without_wrappers(name))) for pattern in patterns
    )


def _saving(facts: Facts, paths: Sequence[str]) -> str | None:
    """The outermost model of transformers that holds all of these."""
    above = modules_above(facts, *paths)
    return next((path for path in above if facts.is_a(facts.modules[path].type, _PRETRAINED)), None)


@once
def _left_out(facts: Facts, model: str) -> tuple[list[str] | None, set[str]]:
    """(patterns of names that are left out where another one has their memory, names that are never saved); None for
    the patterns where one of them takes too long to match."""
    patterns = [
        re.escape(without_wrappers(join(tie.module, tie.names[0]).removeprefix(f"{model}." if model else "")))
        for tie in facts.snapshot.declared_ties
        if tie.source == "instance" and is_at_or_below(tie.module, model)
    ]
    dropped: set[str] = set()
    for oddity in facts.oddities("saved-once"):
        if not is_at_or_below(oddity.path, model):
            continue
        if oddity.value:
            if oddity.path == model:
                dropped.add(oddity.name)
            continue
        if not is_simple_pattern(oddity.name):
            return None, dropped
        prefix = without_wrappers(oddity.path.removeprefix(f"{model}.") if model else oddity.path)
        pattern = f"{prefix}.{oddity.name}" if oddity.path != model else oddity.name
        try:
            re.compile(pattern)
        except (re.error, RecursionError):
            return None, dropped
        patterns.append(pattern)
    return patterns, dropped
