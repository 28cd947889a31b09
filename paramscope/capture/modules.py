"""What is recorded of modules beside their slots: classes, settings, oddities, and why a fate is unknown."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, NamedTuple

from paramscope.capture.class_cache import KnownClass, look_up, look_up_module_class, mro_of
from paramscope.capture.classes import DECIDING, ClassFacts, class_dict, hook_reason, is_a
from paramscope.capture.idioms import flat_parameters, flat_views, is_class_forward, recomputed_by
from paramscope.capture.lookups import is_inert
from paramscope.capture.odd_attributes import to_oddity, uses_itself
from paramscope.snapshot import ClassRecord, DeclaredTie, Oddity, Setting, TpStyle, join
from paramscope.source.library import is_own

# Settings that need no second look: the ids of their classes.
_PLAIN = frozenset(map(id, (int, float, bool, str, type(None))))
_NUMBERS = frozenset({id(int)})

Reasons = tuple[tuple[str, str], ...]
"""(fate, why it cannot be told) pairs."""


class ClassEntry(NamedTuple):
    """What the walk needs to know of a module's class."""

    type_number: int
    facts: ClassFacts
    is_special: bool
    """Whether more than the settings is to be told of its instances."""
    read: Callable[[dict[str, Any]], tuple[Any, ...]] | None
    """Reads what the layer says of itself from an instance's dict."""
    known: dict[tuple[Any, ...], int]
    """Interned settings by what was read."""


class ModuleFacts:
    """What one capture tells of its modules, by their positions."""

    def __init__(self) -> None:
        self.classes: dict[int, ClassEntry] = {}
        """By the id of the class; the modules keep their classes alive."""
        self.unknown: dict[int, Reasons] = {}
        self.oddities: list[Oddity] = []
        self.tying: list[tuple[str, Any]] = []
        """(path, module) of those that may say which weights are tied, and which are cut."""
        self.declarations: tuple[DeclaredTie, ...] = ()
        self.tp_plan: tuple[TpStyle, ...] = ()
        self.flat_views: list[tuple[Any, str]] = []
        """(module, name) of views of flat parameters."""
        self.flat_parameters: list[Any] = []
        self._type_numbers: dict[str, int] = {}
        self._looked_up: dict[int, KnownClass] = {}
        """By the id of a class, of all modules' classes and what they inherit from."""
        self._settings: dict[tuple[tuple[str, Setting], ...], int] = {(): 0}
        self._objects: set[str] = set()
        """Paths of the plain objects that hold something."""
        self._object_classes: dict[ClassRecord, None] = {}
        """Their classes, and what these inherit from."""

    def enter_class(self, cls: type) -> tuple[ClassEntry, list[tuple[str, Any]]]:
        """A class that was not entered before, and what it holds for all its instances, as (name, value) pairs."""
        editions, shared = [], []
        for base in mro_of(cls):
            known = self._looked_up.get(id(base))
            if known is None:
                known = self._looked_up[id(base)] = look_up(base)
                shared += [(name, class_dict(base)[name]) for name in known.shared]
            editions.append(known.edition)
        _, facts, read = look_up_module_class(cls, tuple(editions))
        is_special = bool(
            facts.subtree or facts.own or facts.moves_itself or facts.hides or facts.declares_ties or facts.flattens
        )
        type_number = self._type_numbers.setdefault(facts.type, len(self._type_numbers))
        entry = self.classes[id(cls)] = ClassEntry(type_number, facts, is_special, read, {})
        return entry, [(name, value) for name, value in shared if not is_inert(value)]

    def enter_object(self, path: str, kind: str, cls: type) -> None:
        """Enters the class of a plain object that holds something, where it is the user's own."""
        record = look_up(cls).record
        if path in self._objects or not is_own(record):
            return
        self._objects.add(path)
        self._object_classes.update(dict.fromkeys(look_up(base).record for base in mro_of(cls)))
        self.oddities.append(Oddity(path, "object-class", kind, record.type))

    def setting_of(self, entry: ClassEntry, state: dict[str, Any]) -> int:
        """The number of what a torch.nn layer says of itself."""
        try:
            values = entry.read(state)  # type: ignore[misc]
        except KeyError:
            values = tuple(map(state.get, entry.facts.settings))
        for value in values:
            cls = type(value)
            if id(cls) not in _PLAIN and (cls is not tuple or not _NUMBERS.issuperset(map(id, map(type, value)))):
                values = tuple(map(plain, values))
                break
        number = entry.known.get(values)
        if number is None:
            # Two classes may have one name, so the layer goes with its settings.
            settings = (("layer", entry.facts.layer), *zip(entry.facts.settings, map(plain, values), strict=True))
            number = entry.known[values] = self._settings.setdefault(settings, len(self._settings))
        return number

    def describe(
        self,
        index: int,
        path: str,
        module: Any,
        state: dict[str, Any],
        inherited: Reasons,
        *,
        is_root: bool,
        is_first: bool,
    ) -> Reasons:
        """Enters what is special about one module; returns the reasons that hold for all below it.

        is_first: whether it was not met before under another path.
        """
        facts = self.classes[id(type(module))].facts
        reasons = subtree_reasons(type(module), state, facts, inherited)
        if facts.moves_itself and is_root:
            # Its children's `to()` is not called.
            reasons = merge(reasons, (("attributes_moved", facts.moves_itself),))
        own = merge(reasons, facts.own)
        if own:
            self.unknown[index] = own
        for name, kind in facts.hides:
            if name in state["_parameters"] or name in state["_buffers"] or name in state["_modules"]:
                self.oddities.append(Oddity(path, "class-shadow", name, kind))
        if facts.flattens:
            self.flat_views.extend(flat_views(state))
            self.flat_parameters.extend(flat_parameters(state))
        if facts.declares_ties and is_first:
            self.tying.append((path, module))
        return reasons

    def add_odd(self, index: int, path: str, module: Any, name: str, value: Any) -> None:
        """Enters what an instance attribute with one of the odd names means."""
        facts = self.classes[id(type(module))].facts
        if name == "forward" and is_class_forward(module, value):
            return
        if name == "all_tied_weights_keys" and not facts.declares_ties:
            self.tying.append((path, module))
        fate = DECIDING.get(name)
        if fate is not None:
            reason = (fate, f"the instance has a {name}() of its own")
            self.unknown[index] = merge(self.unknown.get(index, ()), (reason,))
        oddity = to_oddity(path, name, value, facts)
        if oddity is not None and not (oddity.kind == "odd-attribute" and uses_itself(type(module), name)):
            self.oddities.append(oddity)

    def add_recomputed(self, path: str, name: str, hooks: Any) -> None:
        """Enters what computes an attribute anew, if one of a module's forward pre-hooks does."""
        method = recomputed_by(name, dict.values(hooks)) if is_a(hooks, dict) else None
        if method is not None:
            self.oddities.append(Oddity(join(path, name), "recomputed", method, None))

    @property
    def interned_settings(self) -> tuple[tuple[tuple[str, Setting], ...], ...]:
        """Every distinct set of a layer's settings, by number."""
        return tuple(self._settings)

    @property
    def interned_types(self) -> tuple[str, ...]:
        """Every distinct module class, by number."""
        return tuple(self._type_numbers)

    def classes_named(self, name: str) -> set[int]:
        """Ids of the classes of modules that have this qualified name, or inherit from one that has."""
        records = ((cls, self._looked_up[cls].record) for cls in self.classes)
        return {cls for cls, record in records if record.type == name or name in record.bases}

    @property
    def class_records(self) -> tuple[ClassRecord, ...]:
        """Every class of a module, and what it inherits from; then those of objects."""
        return tuple(dict.fromkeys((*(known.record for known in self._looked_up.values()), *self._object_classes)))


def plain(value: Any) -> Setting:
    """A setting as a plain value that JSON can hold; None for anything else."""
    kind = type(value)
    if kind is int:
        return value if -(1 << 63) <= value < 1 << 63 else None
    if kind is float:
        return value if isfinite(value) else None
    if kind is bool or kind is str:
        return value  # type: ignore[no-any-return]
    if kind is tuple and len(value) <= 16 and all(type(each) is int and abs(each) < 1 << 63 for each in value):
        return value  # type: ignore[no-any-return]
    return None


def merge(reasons: Reasons, more: Reasons) -> Reasons:
    """Both, the first reason for each fate kept."""
    known = {fate for fate, _ in reasons}
    for fact in more:
        if fact[0] not in known:
            known.add(fact[0])
            reasons = (*reasons, fact)
    return reasons


def subtree_reasons(cls: type, state: dict[str, Any], facts: ClassFacts, inherited: Reasons) -> Reasons:
    """Why it cannot be told what `state_dict()` holds of a module and all below it."""
    reasons = merge(inherited, facts.subtree)
    if "state_dict" in state:
        reasons = merge(reasons, (("saved", "the instance has a state_dict() of its own"),))
    hooks = (*state["_state_dict_hooks"].values(), *state["_state_dict_pre_hooks"].values())
    reason = hook_reason(cls, hooks)
    return merge(reasons, (("saved", reason),)) if reason else reasons
