"""How something unregistered is reached: in a container, behind an object or a callable, in the class."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from paramscope import source
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.once import all_once, once
from paramscope.rules.rule import Problem
from paramscope.snapshot import REGISTERED, SlotRecord, join
from paramscope.snapshot.path import numberless, prefixes
from paramscope.text import name as printable

_FIRST = re.compile(r"(?P<sign>->|::|)(?P<name><[^>]*>|(?:(?!->|::)[^.\[{])*)")
_KEY = re.compile(r"\[(?!\d+\])")
"""A key of a dict, in the path of what lies there."""

_ITEM = re.compile(r"\[(?:\d+|'[^']*'|\"[^\"]*\")\]|\{")
"""A step into a container."""

_LONGEST = 10_000
"""Characters of a path whose line is looked for."""

HeldAs = Literal["attribute", "shadow", "container", "record", "object", "callable", "class"]


class Held(NamedTuple):
    """The way from a module to something that it does not register."""

    owner: str
    """Path of that module: of a slot the one that holds it, of a module the nearest one that is registered."""
    attribute: str
    """The first attribute on the way."""
    kind: HeldAs
    """What hides it best: the class, else a callable, an object, a record (a dataclass or a SimpleNamespace), a
    container; `attribute` for what the module holds directly, `shadow` for that which hides something registered."""
    is_dict: bool
    """Whether the container that holds it, or one of several, is a dict."""
    thing: str
    """Own name of the class of the record, object or callable; empty for the others."""
    is_built_in: bool
    """Whether that class is torch's own, such as a distribution."""
    is_from_above: bool
    """Whether an object on the way holds the very module that holds it, or one above, as a trainer does."""
    steps: str
    """The rest of the way, from the first attribute on."""

    @property
    def is_nested(self) -> bool:
        """Whether containers lie in the container: torch's own register none but modules and Parameters."""
        return self.kind == "container" and len(_ITEM.findall(self.steps)) > 1

    @property
    def name(self) -> str:
        """The first attribute, fit to be shown."""
        return printable(self.attribute)

    @property
    def path(self) -> str:
        """Path of the first attribute."""
        prefix = {"class": "::", "shadow": "->"}.get(self.kind, "")
        return join(self.owner, prefix + self.attribute)


def held_by(facts: Facts, path: str) -> Held | None:
    """How an unregistered module is reached; None for what cannot be told from its path."""
    owner = _owner(facts, path)
    return _held(facts, path, owner, path[len(owner) :].removeprefix("."))


def slot_held_by(facts: Facts, slot: SlotRecord) -> Held | None:
    """How the slot of an attribute is reached from the module that holds it."""
    return _held(facts, slot.path, slot.module, slot.name)


def held_attributes(
    facts: Facts, is_meant: Callable[[SlotKind], bool]
) -> Iterator[tuple[SlotKind, SlotRecord, Held]]:
    """The slots of attributes of some kinds, with how each is reached, but for what each forward computes anew."""
    for kind in facts.slot_kinds:
        if kind.role == "attribute" and kind.spec is not None and is_meant(kind):
            for slot in map(facts.slots.at, kind.slots):
                held = slot_held_by(facts, slot)
                if held is not None and not facts.is_recomputed(held.path):
                    yield kind, slot, held


def _held(facts: Facts, path: str, owner: str, rest: str) -> Held | None:
    first = _FIRST.match(rest)
    if not rest or first is None:
        return None
    oddities = facts.oddities_at.get(path, ())
    oddity = next((oddity for oddity in oddities if oddity.kind == "held-by"), None)
    thing = printable(str(oddity.value).rpartition(".")[2]) if oddity is not None else ""
    kind: HeldAs
    if first["sign"] == "::":
        kind = "class"
    elif first["sign"] == "->":
        kind = "shadow"
    elif oddity is not None:
        kind = {"record": "record", "object": "object"}.get(oddity.name, "callable")  # type: ignore[assignment]
    else:
        kind = "container" if first.end() < len(rest) else "attribute"
    return Held(
        owner,
        first["name"],
        kind,
        _KEY.search(rest) is not None,
        thing,
        oddity is not None and str(oddity.value).startswith("torch."),
        any(oddity.kind == "held-from-above" for oddity in oddities),
        rest[first.end() :],
    )


def _owner(facts: Facts, path: str) -> str:
    """The longest path of a registered module that a path begins with and that is not the path itself."""
    # NOTE: keys of dicts may be of any length, those of registered modules are names that somebody wrote.
    above = [each for each in prefixes(path, _longest(facts)) if each in facts.modules]
    flags = facts.snapshot.module_columns.flags
    return next((each for each in reversed(above) if flags[facts.modules.position(each)] & REGISTERED), "")


@once
def _longest(facts: Facts) -> int:
    """Characters of the longest path of a registered module."""
    columns = facts.snapshot.module_columns
    registered = (len(path) for path, flag in zip(columns.paths, columns.flags, strict=True) if flag & REGISTERED)
    return max(registered, default=0)


def to_blame(path: str) -> str | None:
    """What `Problem.blame` is for something in a container: the path itself, unless a key of a dict makes it so long
    that to look for it in the source would take seconds."""
    return None if len(path) > _LONGEST else path


class Hidden(NamedTuple):
    """A module or a Parameter that is not registered."""

    path: str
    held: Held
    is_frozen: bool
    """Whether nothing in it requires grad."""
    on_purpose: str
    """What says that its holder means to hide it, as a message puts it; empty where nothing does."""

    def problem(self, facts: Facts, opening: str, instead: str, severity: Severity | None = None) -> Problem:
        """What a rule says of it. opening: what hides it."""
        if self.on_purpose:
            severity = Severity.INFO
            message = (
                f"{opening}, apparently on purpose, since {self.on_purpose}: parameters(), state_dict() and .to() "
                "do not look there, so its other owner has to train, save and move {0|it|them}."
            )
        else:
            lost = "saves or moves" if self.is_frozen else "trains, saves or moves"
            message = (
                f"{opening}: parameters(), state_dict() and .to() do not look there, so nothing {lost} {{0|it|them}}."
            )
        alike = (facts.modules[self.held.owner].type, self.held.attribute, self.held.thing)
        blame = to_blame(self.path)
        return Problem((self.path,), message, instead, severity, blame, alike, cause="hidden")


_BRACKETED = "one pair of brackets around an argument keeps it out of torch's sight"
_CARED_FOR = "its class looks after it itself"
_ABOVE = "what holds it holds this module, too"


def _on_purpose(facts: Facts, held: Held, *, is_frozen: bool) -> str:
    """Why something is hidden on purpose, as far as the source of its holder tells."""
    type = facts.modules[held.owner].type
    # Of what lies in a callable, the number tells which argument it is.
    steps = held.steps if "->" in held.steps else numberless(held.steps)
    key = ("on-purpose", type, held.attribute, steps, held.kind, held.is_from_above, is_frozen)
    return facts.once(key, lambda: _why_on_purpose(facts, held, type, is_frozen=is_frozen))


def _why_on_purpose(facts: Facts, held: Held, type: str, *, is_frozen: bool) -> str:
    if held.kind in ("class", "shadow"):
        return ""
    classes = facts.snapshot.classes
    found = source.search.locate_attribute(classes, type, held.attribute + held.steps).assignments
    if not found and held.kind != "container":
        found = source.search.locate_attribute(classes, type, held.attribute).assignments
    if found and source.purpose.is_hidden_on_purpose(classes, found[0], held.attribute + held.steps):
        return _BRACKETED
    # A helper that is made here is a part; what comes from elsewhere and knows this module drives it.
    if held.is_from_above and not (found and not source.purpose.is_handed_in(classes, found[0])):
        return _ABOVE
    return _CARED_FOR if is_frozen and source.purpose.looks_after(classes, type, held.attribute) else ""


def is_put_past_on_purpose(facts: Facts, slot: SlotRecord, held: Held) -> bool:
    """Whether a Parameter that a module holds, though not as one, is an argument that its class has put there."""
    classes, type = facts.snapshot.classes, facts.modules[slot.module].type
    found = source.search.locate_attribute(classes, type, slot.name).assignments
    return held.kind == "attribute" and bool(found) and source.purpose.is_handed_in(classes, found[0])


@all_once
def hidden_modules(facts: Facts) -> Iterator[Hidden]:
    """Unregistered modules that hold parameters or buffers and lie below no other unregistered module."""
    for module in facts.hidden_roots:
        if module not in facts.hidden_holders:
            continue
        path = facts.modules.path_at(module)
        held = held_by(facts, path)
        if held is not None:
            slots = (slot for each in facts.subtree(module) for slot in facts.slots_of(each))
            learns = any(slot.requires_grad for slot in slots if slot.role != "attribute" and slot.status != "empty")
            yield Hidden(path, held, not learns, _on_purpose(facts, held, is_frozen=not learns))


@all_once
def hidden_parameters(facts: Facts) -> Iterator[Hidden]:
    """The Parameters that are no module's own, but for those in hidden modules of which a rule tells already."""
    for kind, slot, held in held_attributes(facts, lambda kind: kind.is_parameter):
        if facts.modules.position(slot.module) not in facts.hidden_holders:
            is_frozen = not kind.requires_grad
            yield Hidden(slot.path, held, is_frozen, _on_purpose(facts, held, is_frozen=is_frozen))


def nested_in(found: Iterable[Hidden]) -> frozenset[str]:
    """Paths of the attributes in which some of what is hidden lies in containers within one another: what is to be
    written instead is one thing for all that lies there."""
    return frozenset(hidden.held.path for hidden in found if hidden.held.is_nested)
