"""What happens to the one tensor that is followed, noted as it happens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from paramscope.source.holding import DEVICE, DTYPE, FOREIGN, HOST, Hold, Known, gathered, whole, worst
from paramscope.source.methods import Methods
from paramscope.source.syntax import Function

_BUDGET = 5_000
"""Expressions that are looked at for one attribute in one method that others call."""


class Followed(NamedTuple):
    """The attribute that is followed, and what is known of the tensor in it."""

    place: tuple[str, ...]
    """Its name, with the keys or attributes that lead on from there."""
    is_row: bool
    """Whether the tensor has one dimension, so that an integer takes one number of it."""
    is_learned: bool
    """Whether it may be a Parameter, or require grad."""
    touching: set[str]
    """Methods that have to do with the attribute; the others are not gone into for its sake."""
    absent_under: frozenset[str]
    """Attributes that are False as long as it is no Parameter."""


class Noting:
    """The attribute, and what was noted of it so far."""

    DEPTH = 8
    """Functions that are gone into within one another."""
    NESTING = 100
    """Expressions and conditions within one another that are looked into, with those of functions gone into."""

    def __init__(self, methods: Methods, followed: Followed, *, is_running: bool) -> None:
        self.methods = methods
        self.place, self.is_row, self.is_learned, self.touching, self.absent_under = followed
        self.is_running = is_running
        """Whether the model runs what is gone through."""
        self.state = Known("own", Hold(), has_past=True, is_place=True)
        """What the attribute holds by now; `is_place` while it may be what it held before."""
        self.moved: Known | None = None
        """What was last put there that was brought to the device."""
        self.noted: set[str] = set()
        self.budget = _BUDGET
        self.depth = 0
        self.nesting = 0
        self.without_graph = False
        """Whether autograd notes nothing here."""
        self.running_now: list[Function] = []

    def consume(self, value: Known) -> None:
        """Notes that a value goes where nobody follows it, or where it has to be as other tensors are."""
        hold = whole(value).hold
        if hold is not None:
            self.noted.add("raw" if not hold.on_device else "moved" if hold.in_dtype else "placed")

    def host(self, value: Known) -> Known:
        """Notes that Python itself reads a value."""
        if whole(value).hold is not None:
            self.noted.add("host")
        return HOST

    def all_host(self, values: Iterable[Known]) -> Known:
        """As `host`, for several."""
        for each in values:
            self.host(each)
        return HOST

    def meet(
        self,
        values: Sequence[Known],
        *,
        is_strict: bool = False,
        gives_flags: bool = False,
        is_quotient: bool = False,
    ) -> Known:
        """What an operation on several values gives.

        is_strict: it refuses two dtypes. is_quotient: of two integers it may give a fraction. gives_flags: of what
        dtype they are does not show in what it gives.
        """
        every = [whole(value) for value in values]
        holds = [value.hold for value in every if value.hold is not None]
        hold = worst(holds)
        if hold is not None:
            hold = hold._replace(is_element=False)
        # What was brought to another tensor's device stands there as that does.
        others = [value for value in every if value.hold is None or value.kind == "foreign"]
        is_foreign = any(value.kind in ("foreign", "self") for value in others)
        is_cast = is_foreign and all(value.is_cast for value in others if value.kind in ("foreign", "self"))
        if hold is not None and is_foreign:
            # Where the other one has a dtype of the code's choice, that of the model does not show.
            hold = hold._replace(in_dtype=hold.in_dtype or is_cast)
            if not hold.on_device or hold.in_dtype or is_strict:
                self.consume(Known(hold=hold))
                hold = None
            elif gives_flags:
                self.noted.add("moved")
                hold = None
        past = not gives_flags and not self.without_graph and any(value.has_past for value in every)
        kind = "foreign" if is_foreign else "host" if not holds and all(v.kind == "host" for v in every) else "own"
        is_integer = not is_quotient and not gives_flags and all(value.is_integer for value in every)
        return Known(kind, hold, past, is_integer=is_integer, is_cast=is_cast)  # type: ignore[arg-type]

    def put(self, value: Known, *, is_added: bool = False) -> None:
        """Notes that something is assigned to the attribute.

        is_added: beside what was there.
        """
        value = whole(value)
        has_past = value.has_past and not self.without_graph
        self.noted.add("put")
        if has_past and self.is_running:
            self.noted.add("carried")
        if value.is_of_layer and self.is_running:
            self.noted.add("recurrent")
        if value.is_cut:
            # As an option asks for, say.
            self.noted.add("cut-off")
        elif not has_past and not is_added:
            # Within a run, only what says so is meant to cut the past off: a new value may be the first one.
            is_meant = value.is_none or value.hold is not None
            self.noted.add("cut-off" if is_meant else "cut")
        if value.hold is None:
            self.noted.add("put-anew")
        elif value.hold.on_device:
            self.noted.add("put-moved")
            self.moved = value
        if is_added:
            self.state = self.state._replace(has_past=self.state.has_past or has_past)
            return
        is_old = value.hold is not None
        kind = "own" if is_old else value.kind
        self.state = Known(kind, value.hold, has_past, is_place=is_old)

    def leave(self) -> None:
        """Notes how it is left: device and dtype may be seen to by two statements."""
        if self.moved is not None:
            hold = self.state.hold
            self.consume(self.state if hold is not None and hold.on_device else self.moved)

    def load(self) -> Known:
        """What the attribute holds."""
        return self.state._replace(is_place=True)

    def element(self, value: Known) -> Known:
        """What one item of a value may be."""
        if value.step:
            return self.deeper(value, None)
        if value.items:
            return gathered(value.items, kind="host")
        if value.hold is not None:
            self.host(value)
            return value._replace(hold=value.hold._replace(is_element=True), is_place=False)
        return value._replace(is_place=False, closure=None)

    def deeper(self, value: Known, key: str | None) -> Known:
        """One step further on the way to the tensor; `key` is None where the code does not say which."""
        wanted = self.place[value.step]
        if key is not None and key != wanted and not key.startswith("-"):
            return Known("own")
        if value.step + 1 == len(self.place):
            return self.load()
        return Known("own", step=value.step + 1)

    def at_attribute(self, name: str) -> Known | None:
        """An attribute of the instance, if it is the one that is followed or leads to it."""
        if name != self.place[0]:
            return None
        return self.load() if len(self.place) == 1 else Known("own", step=1)

    def by_name(self, name: str) -> Known:
        """What a name of which nothing else is known may stand for."""
        lower = name.lower()
        return DTYPE if "dtype" in lower else DEVICE if "device" in lower else FOREIGN
