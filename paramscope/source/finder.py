"""One class's assignments, held against what is looked for, and how likely each of them made it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple

from paramscope.snapshot import ClassRecord
from paramscope.snapshot.path import PathStep, Steps
from paramscope.source import contents
from paramscope.source.definitions import Definition, own_class_name
from paramscope.source.reader import Event
from paramscope.source.steps import is_numbered, leads_to
from paramscope.source.texts import NUMBER, is_unknown, literal
from paramscope.source.values import Root, Step, mangled

_CONTAINERS = {
    f"torch.nn.modules.container.{name}": name
    for name in ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict")
}
_METHODS = {"__init__": 0, "": 0, "__post_init__": 1, "__new__": 1, "forward": 3, "__call__": 3}
_HELPER = 2


class Assignment(NamedTuple):
    """One statement that may have made an attribute."""

    file: str
    line: int
    """First line of the statement."""
    method: str
    """Name of the method that holds it, also within a function in it; empty for the class body."""
    source: str
    """The statement's first line, without the white space around it."""
    type: str
    """Qualified name of the class whose body holds it."""
    value: ast.expr | None = None
    """What it writes, where the code holds that as an expression of its own; not to be changed."""
    how: str = ""
    """The method that writes it, such as `register_buffer` or `append`; `.data`, `[]`, `+=` or a method such as
    `mul_` for what changes a tensor in place; empty for an assignment."""
    is_whole: bool = True
    """Whether it writes the very thing that is looked for, and not something that holds it."""
    is_straight: bool = True
    """Whether it runs whenever its method does."""
    is_ungraded: bool = False
    """Whether it runs under `torch.no_grad()` or the like."""


class Goal(NamedTuple):
    """What is looked for below the instances of a class."""

    steps: Steps
    beyond: int = 0
    """Steps that an assignment must reach past to count."""
    is_empty: bool = False
    """Whether what stands there is known to be None."""
    with_changes: bool = False
    """Whether what changes it in place counts, too."""


class Rank(NamedTuple):
    """How likely an assignment made what is looked for: the lower, the better, the first field first."""

    would_register: bool
    """Of an attribute that hides what is registered under its name: whether `nn.Module.__setattr__` saw it."""
    is_other_kind: bool
    """Whether it puts None in a place that holds something, or something in one that is empty."""
    left: float
    """Steps from the place that it writes down to what is looked for."""
    inner: int
    """An outer constructor ends later: minus the modules between the instance and the nearest one of the user's."""
    place: int
    """Position of the class in the MRO."""
    method: int
    is_overwritten: bool
    holes: int
    """Steps that the code does not spell out."""
    is_conditional: bool
    is_raw: bool
    number: int
    """Order in the source."""


class Match(NamedTuple):
    """An assignment that fits a goal."""

    rank: Rank
    assignment: Assignment
    is_vague: bool
    """Whether the code does not say which attribute it assigns."""


class Finder:
    """One class's assignments, held against one goal."""

    def __init__(
        self, definition: Definition, record: ClassRecord, cls: ClassRecord, goal: Goal, where: tuple[int, int]
    ) -> None:
        self._definition = definition
        self._record = record
        self._goal = goal
        self._first = goal.steps[0]
        self._root: Root = "class" if self._first.kind == "class" else "instance"
        self._container = next((_CONTAINERS[base] for base in cls.bases if base in _CONTAINERS), None)
        distance, place = where
        self._where = (-distance, place)

    def matches(self) -> Iterator[Match]:
        """Every assignment that fits."""
        fitting = [event for event in self._events() if self._fits(event)]
        changes = [event for event in self._changes() if self._fits(event)]
        replacing = self._replacing(fitting)
        for event in fitting:
            later = [
                each
                for depth, each in replacing.get(event.method, {}).items()
                if depth <= len(event.ref.steps) and each.number > event.number
            ]
            yield self._match(event, min(later, key=lambda each: len(each.ref.steps), default=None))
        for event in changes:
            yield self._match(event, None)
        if self._container is not None and self._first.kind == "name" and not self._goal.beyond:
            yield from self._constructed(self._container)

    def _names(self) -> list[str]:
        """The names that the code may have for the first step."""
        name = self._first.text
        private = mangled(name, own_class_name(self._record))
        return [name] if private == name else [name, private]

    def _changes(self) -> Iterator[Event]:
        """What changes the very thing that is looked for, where that counts."""
        changed = self._definition.events.changed if self._goal.with_changes else {}
        for name in self._names() if changed else ():
            for event in changed.get((self._root, name), ()):
                if len(event.ref.steps) == len(self._goal.steps):
                    yield event

    def _events(self) -> Iterator[Event]:
        events = self._definition.events
        roots: tuple[Root, ...] = ("class", "instance") if self._root == "class" else ("instance",)
        for name in self._names():
            for root in roots:
                yield from events.known.get((root, name), ())
        yield from (event for event in events.vague if event.ref.root in roots)
        if self._container is not None:
            yield from events.items

    def _fits(self, event: Event) -> bool:
        steps = event.ref.steps
        if len(steps) > len(self._goal.steps) or (
            self._goal.beyond and len(steps) - _open_steps(steps) <= self._goal.beyond
        ):
            return False
        # An instance reaches what the class holds, but `self.table = …` makes an attribute of its own.
        if event.ref.root != self._root and len(steps) == 1:
            return False
        return all(map(self._leads_to, steps, self._goal.steps))

    def _leads_to(self, written: Step, step: PathStep) -> bool:
        if leads_to(written, step):
            return True
        if step is not self._first or written.is_item:
            return False
        private = mangled(step.text, own_class_name(self._record))
        return private != step.text and leads_to(written, step._replace(text=private))

    def _replacing(self, fitting: list[Event]) -> dict[str, dict[int, Event]]:
        """By method and number of steps, the last statement that surely puts something in the place of what was
        there."""
        last: dict[str, dict[int, Event]] = {}
        for event in sorted(fitting, key=lambda event: event.number):
            steps = event.ref.steps
            is_sure = event.is_straight and not _holes(steps) and event.is_raw is self._is_shadow
            if is_sure and not self._is_other_kind(event):
                last.setdefault(event.method, {})[len(steps)] = event
        return last

    def _is_other_kind(self, event: Event) -> bool:
        """Whether it puts None in a place that holds something, or something in one that is empty."""
        if len(event.ref.steps) < len(self._goal.steps):
            return isinstance(event.value, ast.Constant)
        return isinstance(event.value, ast.Constant) is not self._goal.is_empty

    def _match(self, event: Event, replaced: Event | None) -> Match:
        steps = event.ref.steps
        return Match(
            Rank(
                self._is_shadow and not event.is_raw,
                self._is_other_kind(event),
                self._left(event if replaced is None or len(replaced.ref.steps) == len(steps) else replaced),
                *self._where,
                _METHODS.get(event.method, _HELPER),
                replaced is not None,
                _holes(steps),
                not event.is_straight,
                event.is_raw and not self._is_shadow,
                event.number,
            ),
            self._assignment(event),
            not steps[0].is_item and is_unknown(steps[0].text),
        )

    @property
    def _is_shadow(self) -> bool:
        return self._first.kind == "member"

    def _left(self, event: Event) -> float:
        """How many steps below the place that it writes the goal lies; less where it shows what it puts there."""
        steps, goal = event.ref.steps, self._goal.steps
        vague = _open_steps(steps)
        reach: float = len(steps) - vague
        if (
            vague
            and steps[-1].is_item
            and goal[len(steps) - 1].kind == "name"
            and not is_numbered(goal[len(steps) - 1])
        ):
            # What fills a list or dict made its item as much as what made the list. A name may be no key, though.
            reach -= 0.4
        if not vague and len(steps) < len(goal):
            below = goal[len(steps)]
            shown = contents.holds(event.value, below.text) if below.kind in ("name", "item") else None
            reach += 0.5 * (shown is True) - 0.5 * (shown is False)
        return len(goal) - reach

    def _constructed(self, container: str) -> Iterator[Match]:
        """Calls of the container's `__init__` that may hand it what is looked for."""
        for event in self._definition.events.constructors:
            assert isinstance(event.value, ast.Call)
            call = event.value
            shown = contents.made_by(container, call, self._first.text)
            if shown is False or not (call.args or call.keywords):
                continue
            known = event._replace(ref=event.ref.attribute((self._first.text,)), value=None)
            match = self._match(known, None)
            yield match if shown else match._replace(rank=match.rank._replace(holes=1))

    def _assignment(self, event: Event) -> Assignment:
        file = self._record.file
        assert file is not None
        source = self._definition.file.line(event.line)
        return Assignment(
            file,
            event.line,
            event.method,
            source,
            self._record.type,
            event.value,
            event.how,
            len(event.ref.steps) == len(self._goal.steps),
            event.is_straight,
            event.is_ungraded,
        )


def _holes(steps: Iterable[Step]) -> int:
    return sum(literal(step.text) is None for step in steps)


def _open_steps(steps: tuple[Step, ...]) -> int:
    """How many steps at the end may lead anywhere."""
    is_open = (is_unknown(step.text) or step.text == NUMBER for step in reversed(steps))
    return sum(1 for _ in takewhile(bool, is_open))
