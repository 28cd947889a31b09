"""Results → Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.measure import ROUND_SECONDS, Cost, Tool
from benchmarks.models import TREE_LEAF
from benchmarks.ours import BASELINE, OURS
from benchmarks.peers import PEERS, PEFT_PEERS
from benchmarks.results import LARGE_REPEATS, LARGE_TREE, PEER_TREE_LIMIT, Results
from benchmarks.seconds import Job
from benchmarks.startup import Startup
from benchmarks.targets import figured, verdicts

NOT_MEASURED = "–"


def document(results: Results) -> str:
    """All tables, with the words that make them readable."""
    return "\n\n".join(_sections(results)) + "\n"


def summary(results: Results) -> str:
    """The targets alone."""
    rows = [(each.what, each.target, each.measured, each.word) for each in verdicts(results)]
    return table(("what", "target", "measured", "verdict"), rows)


def _sections(results: Results) -> Iterator[str]:
    effort = results.effort
    yield "# Benchmarks"
    yield (
        f"Made by `make bench` (`python -m benchmarks`) in {results.minutes:.0f} minutes; not edited by hand. "
        f"{results.machine}."
    )
    yield (
        f"The unit is **B**: {BASELINE.what} with `remove_duplicate=False` on the same model, which is what "
        "anyone pays who looks at every tensor once. B, ours and the peers are measured in turns, "
        f"{effort.small_repeats} of them on small models and {effort.repeats} on the others; a figure is the "
        "median of the ratios within a turn, with the least and the greatest in parentheses. Each measurement "
        "includes the first garbage collection after it, since `capture` pauses the collector. What takes less "
        f"than {ROUND_SECONDS * 1000:.0f} ms is repeated until "
        "it takes about as long."
    )
    yield "## Targets"
    yield summary(results)
    yield "## The models"
    yield table(
        ("model", "what", "modules", "tensors", "B, ms", "B, µs a tensor"),
        [
            (
                each.subject.name,
                each.subject.what,
                f"{each.modules:,}",
                f"{each.tensors:,}",
                f"{each.costs[BASELINE.name].seconds * 1e3:.2f}",
                f"{each.costs[BASELINE.name].seconds * 1e6 / each.tensors:.1f}",
            )
            for each in results.models
        ],
    )
    yield "## Cost on each model, in B"
    columns = [each.costs for each in results.models]
    yield table(
        ("tool", *(each.subject.name for each in results.models)),
        list(_rows((*OURS, *PEERS, *PEFT_PEERS), columns)),
    )
    yield (
        f"“Once”: its trial took longer than {effort.once_seconds:g} s, so it was measured once. “Stopped”: "
        f"the trial was ended after {effort.stop_seconds:g} s. The peft functions speak of adapters only. "
        "LSTMs and encoders are not judged: there a walk costs least and a capture most."
    )
    yield table(("tool", "call"), [(tool.name, tool.what) for tool in (*OURS, *PEERS, *PEFT_PEERS)])
    yield "## Growth with the size of the model"
    sizes = sorted(results.trees)
    large = [size for size in sizes if size >= LARGE_TREE]
    yield (
        f"{TREE_LEAF} The exponent is the least-squares slope of log time over log size, over all sizes "
        f"that were measured. The peers are shown trees of up to {PEER_TREE_LIMIT:,} modules"
        + (f"; from {LARGE_TREE:,} modules on there are {LARGE_REPEATS} turns instead." if large else ".")
    )
    yield table(
        ("tool", *(f"{size:,} modules, ms" for size in sizes), "exponent"),
        [
            (
                tool.name,
                *(_milliseconds(results.trees[size].costs.get(tool.name)) for size in sizes),
                NOT_MEASURED if (slope := results.exponent(tool.name)) is None else f"{slope:.3f}",
            )
            for tool in (BASELINE, *OURS, *PEERS)
        ],
    )
    yield "The same in B:"
    yield table(
        ("tool", *(f"{size:,} modules" for size in sizes)),
        list(_rows((*OURS, *PEERS), [results.trees[size].costs for size in sizes])),
    )
    counts = sorted(results.views)
    yield "Buffers that are the columns of one matrix: strided views that interleave and never meet."
    yield table(
        ("tool", *(f"{count:,} views, ms" for count in counts), "exponent"),
        [
            (
                tool.name,
                *(_milliseconds(results.views[count].costs.get(tool.name)) for count in counts),
                NOT_MEASURED if (slope := results.exponent_of_views(tool.name)) is None else f"{slope:.3f}",
            )
            for tool in (BASELINE, *OURS)
        ],
    )
    yield "## Memory"
    yield (
        "What one Snapshot keeps, by tracemalloc, when the garbage is gone; and the most that was held on the way."
    )
    yield table(
        ("model", "slots", "kept, KiB", "kept, bytes a slot", "at most, bytes a slot"),
        [
            (
                name,
                f"{kept.slots:,}",
                f"{kept.nbytes / 1024:,.0f}",
                f"{kept.per_slot:.0f}",
                f"{kept.peak_nbytes / kept.slots:.0f}",
            )
            for name, kept in results.kept.items()
        ],
    )
    yield "## Programs"
    yield (
        "Whole programs, compiled, each in a process of its own, in turns with what they are held against "
        f"({effort.startup_repeats} turns): the median, the least and the greatest. The pytest plugin is taken in "
        "and out within one run, ten tests at a time: from run to run the time differs by more than it takes."
    )
    yield table(
        ("program", "measured", "unit"),
        [(each.what, each.trouble or _spread(each), each.unit) for each in results.startups],
    )
    yield "## Jobs"
    yield (
        "On the MoE, with torch imported and the model built where either is needed; of `check` the whole process, "
        f"without torch. The median of {effort.job_repeats}, the least and the greatest."
    )
    yield table(
        ("job", "measured", "unit"), [(each.what, each.trouble or _spread(each), each.unit) for each in results.jobs]
    )


def _spread(each: Startup | Job) -> str:
    low, high = each.spread
    return f"{figured(each.measured or 0)} ({figured(low)}–{figured(high)})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column left, figures right."""
    lines = [head, *rows]
    # A column of words is read from the left.
    sides = ["---" if any(len(row[i]) > 28 for row in lines[1:]) or not i else "---:" for i in range(len(head))]
    every = [head, sides, *lines[1:]]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in every)


def _rows(tools: Iterable[Tool], columns: Sequence[dict[str, Cost]]) -> Iterator[tuple[str, ...]]:
    for tool in tools:
        if any(tool.name in costs for costs in columns):
            yield tool.name, *(_ratio(costs.get(tool.name)) for costs in columns)


def _ratio(cost: Cost | None) -> str:
    if cost is None:
        return NOT_MEASURED
    if cost.trouble:
        return cost.trouble
    digits = 0 if cost.ratio >= 100 else 1 if cost.ratio >= 10 else 2
    if len(cost.ratios) == 1:
        return f"{cost.ratio:,.{digits}f} (once)"
    return f"{cost.ratio:,.{digits}f} ({min(cost.ratios):,.{digits}f}–{max(cost.ratios):,.{digits}f})"


def _milliseconds(cost: Cost | None) -> str:
    if cost is None or cost.trouble:
        return NOT_MEASURED if cost is None else cost.trouble
    return f"{cost.seconds * 1e3:,.1f}"
