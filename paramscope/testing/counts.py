"""Numbers of elements that are not as expected → by how much, what makes them up, and what accounts for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from paramscope import text
from paramscope.analysis.paths import aligned, fold_paths, with_facts
from paramscope.report.face import Report
from paramscope.snapshot import SlotRecord
from paramscope.testing.explain import NUMBER, Part, accounts_for
from paramscope.testing.message import Unmet
from paramscope.testing.wanted import Count, Wanted


class _Counted(NamedTuple):
    """What goes into one of the numbers."""

    keyword: str
    expected: Count
    found: int
    slots: list[SlotRecord]
    """One for each tensor that is counted."""
    odd: list[SlotRecord]
    """Those of `slots` that are counted while most that differ from them in numbers alone are not."""
    others: list[tuple[str, list[SlotRecord]]]
    """(what they are, slots) that are not counted, and that somebody may have meant to count."""


def check_counts(report: Report, asked: Wanted) -> Iterator[Unmet]:
    """The numbers that differ from what was expected, or that cannot be known."""
    if asked.trainable is None and asked.total is None and asked.hidden is None:
        return
    slots = list(report.slots.records())
    firsts, repeats = _by_tensor([slot for slot in slots if slot.trainable or slot.frozen])
    hidden, _ = _by_tensor([slot for slot in slots if slot.status == "hidden"])
    tied = ("tied, and counted once", repeats)
    unregistered = ("hidden: no registered parameter", hidden)
    totals = report.totals
    if asked.trainable is not None:
        counted = [slot for slot in firsts if slot.trainable]
        unfroze, froze = _odd_ones(firsts)
        others = [
            ("frozen, unlike its siblings", froze),
            ("frozen", [slot for slot in firsts if slot.frozen]),
            ("tied, and counted once", [slot for slot in repeats if slot.trainable]),
            unregistered,
        ]
        yield from _check(_Counted("trainable", asked.trainable, totals.trainable, counted, unfroze, others))
    if asked.total is not None:
        buffers, _ = _by_tensor([slot for slot in slots if slot.role == "buffer" and slot.registered])
        others = [tied, unregistered, ("no parameter but a buffer", buffers)]
        yield from _check(_Counted("total", asked.total, totals.parameters, firsts, [], others))
    if asked.hidden is not None:
        yield from _check(_Counted("hidden", asked.hidden, totals.hidden, hidden, [], []))


def _by_tensor(slots: Sequence[SlotRecord]) -> tuple[list[SlotRecord], list[SlotRecord]]:
    """The first slot of each tensor, and the other slots."""
    seen: set[int | None] = set()
    firsts: list[SlotRecord] = []
    repeats: list[SlotRecord] = []
    for slot in slots:
        (repeats if slot.tensor in seen else firsts).append(slot)
        seen.add(slot.tensor)
    return firsts, repeats


def _odd_ones(slots: Sequence[SlotRecord]) -> tuple[list[SlotRecord], list[SlotRecord]]:
    """Trainable slots most of whose siblings are frozen, and frozen slots most of whose siblings are not."""
    siblings: dict[str, list[SlotRecord]] = {}
    for slot in slots:
        siblings.setdefault(NUMBER.sub("#", slot.path), []).append(slot)
    unfroze: list[SlotRecord] = []
    froze: list[SlotRecord] = []
    for group in siblings.values():
        trainable = [slot for slot in group if slot.trainable]
        frozen = [slot for slot in group if slot.frozen]
        if len(trainable) < len(frozen):
            unfroze += trainable
        elif len(frozen) < len(trainable):
            froze += frozen
    return unfroze, froze


def _check(counted: _Counted) -> Iterator[Unmet]:
    lazy = [slot for slot in counted.slots if slot.numel is None]
    if lazy:
        rows = fold_paths([((slot.path,), None) for slot in lazy])
        yield Unmet(
            f"{counted.keyword}: expected {_expected(counted.expected)}, found an unknown number: "
            f"{text.plural(len(lazy), 'parameter')} of unknown shape, run one forward before counting",
            tuple(aligned([("lazy", with_facts(row)) for row in rows])),
        )
        return
    if counted.found in _allowed(counted.expected):
        return
    headline = f"{counted.keyword}: expected {_expected(counted.expected)}, found {text.count(counted.found)}"
    details = tuple(_composition(counted.slots))
    if isinstance(counted.expected, int):
        headline += f", off by {counted.found - counted.expected:+,}"
        headline += _account(counted, counted.found - counted.expected)
    yield Unmet(headline, details, is_composition=True)


def _allowed(expected: Count) -> range:
    return expected if isinstance(expected, range) else range(expected, expected + 1)


def _expected(expected: Count) -> str:
    if isinstance(expected, int):
        return text.count(expected)
    low, high = sorted((expected[0], expected[-1]))
    span = f"{text.count(low)} to {text.count(high)}"
    return span if abs(expected.step) == 1 else f"{span} in steps of {text.count(abs(expected.step))}"


def _account(counted: _Counted, difference: int) -> str:
    """`: exactly lm_head.weight`, or nothing where no part of the model has just this size."""
    if difference > 0:
        if not counted.expected:
            return ""
        what = accounts_for(_parts(counted.slots), difference) or accounts_for(_parts(counted.odd), difference)
        return f": exactly {what}" if what else ""
    for fact, slots in counted.others:
        what = accounts_for(_parts(slots), -difference)
        if what:
            return f": exactly {what} ({fact})"
    return ""


def _parts(slots: Sequence[SlotRecord]) -> list[Part]:
    return [Part(slot.path, slot.shape, slot.numel) for slot in slots if slot.numel]


def _composition(slots: Sequence[SlotRecord]) -> Iterator[str]:
    """What is counted, largest first: `38,597,376  lm_head.weight (50257×768)`."""
    rows = []
    for row in fold_paths([((slot.path,), slot.shape) for slot in slots]):
        first = slots[row.members[0]]
        rows.append(((first.numel or 0) * len(row.members), with_facts(row, text.shape(first.shape))))
    rows.sort(key=lambda row: -row[0])
    width = max((len(text.count(elements)) for elements, _ in rows), default=0)
    for elements, line in rows:
        yield f"{text.count(elements):>{width}}  {line}"
