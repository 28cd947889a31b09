"""Whether strided spans share a byte: exact up to a bound, from offsets, sizes and strides alone.

Two spans meet where a sum of steps, each taken a bounded number of times, makes up the distance between them. In
general that is NP-hard, so past the bound the answer is that it is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd, prod

from paramscope.snapshot.spans import Layout, extent

WORK_BOUND = 100_000
"""Partial sums that are tried before spans are listed run by run."""
RUN_BOUND = 1_000_000
"""Runs of bytes that are listed; spans of more than these, if the sums did not tell, are not decided."""


class Budget:
    """What all questions of one search together may cost, in partial sums and runs (about a microsecond each)."""

    def __init__(self, work: int = 3_000_000) -> None:
        self.left = work

    def take(self, work: int) -> bool:
        """Whether there is work enough left, which then is taken off."""
        if work > self.left:
            return False
        self.left -= work
        return True


def share_bytes(a: Layout, b: Layout, budget: Budget | None = None) -> bool | None:
    """Whether some byte belongs to both; None where that cannot be decided within the bounds."""
    budget = budget or Budget()
    low, high = sorted((a, b))
    if low[0] + extent(low) <= high[0]:
        return False
    # Σ i·s − Σ j·t = distance, with every j counted from its other end, so that all terms are positive.
    distance = b[0] - a[0]
    counts: dict[int, int] = {}
    for step, size in a[1]:
        counts[step] = counts.get(step, 0) + size - 1
    for step, size in b[1]:
        counts[step] = counts.get(step, 0) + size - 1
        distance += step * (size - 1)
    terms = sorted(((step, most) for step, most in counts.items() if most), reverse=True)
    found = _reaches(terms, distance, budget)
    return _runs_meet(a, b, budget) if found is None else found


def overlaps_itself(shape: Iterable[int], stride: Iterable[int], budget: Budget | None = None) -> bool | None:
    """Whether two different indices of a tensor lead to one element; None where that is past the bounds.

    shape, stride: in elements, of equal length.
    """
    dims = [(step, size) for size, step in zip(shape, stride, strict=True) if size > 1]
    if any(size == 0 for size in shape):
        return False
    dims.sort()
    reach = 0
    for step, size in dims:
        if step <= reach:
            break
        reach += step * (size - 1)
    else:
        return False
    if any(step == 0 for step, _ in dims):
        return True
    starts = _starts(dims, budget or Budget())
    return None if starts is None else len(set(starts)) < len(starts)


def _reaches(terms: list[tuple[int, int]], target: int, budget: Budget) -> bool | None:
    """Whether Σ count·step makes up `target`, each step (largest first) taken at most so often as is given.

    None after `WORK_BOUND` partial sums.
    """
    divisors, maxima, complete = [0], [0], [True]
    for step, most in reversed(terms):
        # With smaller steps that leave no gap, this one leaves none where it is no longer than all they reach.
        unit = gcd(divisors[-1], step)
        complete.append(complete[-1] and divisors[-1] in (0, unit) and step <= maxima[-1] + unit)
        divisors.append(unit)
        maxima.append(maxima[-1] + step * most)
    for column in (divisors, maxima, complete):
        column.reverse()
    work = 0
    seen: set[tuple[int, int]] = set()
    stack = [(0, target)]
    while stack:
        at, rest = stack.pop()
        if rest < 0 or rest > maxima[at] or (rest % divisors[at] if divisors[at] else rest):
            continue
        if complete[at]:
            return True
        if (at, rest) in seen:
            continue
        seen.add((at, rest))
        step, most = terms[at]
        least = max(0, -((maxima[at + 1] - rest) // step))
        for count in range(least, min(most, rest // step) + 1):
            work += 1
            if work > WORK_BOUND or not budget.take(1):
                return None
            stack.append((at + 1, rest - count * step))
    return False


def _runs_meet(a: Layout, b: Layout, budget: Budget) -> bool | None:
    """The same by listing every run of bytes of both."""
    (start_a, dims_a), (start_b, dims_b) = a, b
    starts_a, starts_b = _starts(dims_a[:-1], budget), _starts(dims_b[:-1], budget)
    if starts_a is None or starts_b is None:
        return None
    run_a, run_b = dims_a[-1][1], dims_b[-1][1]
    runs = sorted(
        [(start_a + s, start_a + s + run_a, 0) for s in starts_a]
        + [(start_b + s, start_b + s + run_b, 1) for s in starts_b]
    )
    ends = [-1, -1]
    for start, end, side in runs:
        if start < ends[1 - side]:
            return True
        ends[side] = max(ends[side], end)
    return False


def _starts(dims: Sequence[tuple[int, int]], budget: Budget) -> list[int] | None:
    """Every sum of steps; None where they are more than `RUN_BOUND`, or than may be worked out."""
    count = prod(size for _, size in dims)
    if count > RUN_BOUND or not budget.take(count):
        return None
    starts = [0]
    for step, size in dims:
        starts = [start + step * i for i in range(size) for start in starts]
    return starts
