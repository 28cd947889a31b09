"""The results of a sweep as text: a summary for the terminal, a page for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import torch
import transformers
from tabulate import tabulate

from zoo.known import Known, reason
from zoo.sweep import Lost
from zoo.task import Checked

SLOWEST = 10


class Results:
    """What came of every job, sorted."""

    def __init__(self, outcomes: Iterable[Checked | Lost]) -> None:
        everything = sorted(outcomes, key=lambda outcome: outcome.job)
        self.lost = [outcome for outcome in everything if isinstance(outcome, Lost)]
        self.all = [outcome for outcome in everything if isinstance(outcome, Checked)]
        self.checked = [outcome for outcome in self.all if outcome.where]
        self.not_built = [outcome for outcome in self.all if not outcome.where]
        self.wrong = [outcome for outcome in self.checked if outcome.wrong]

    @property
    def is_good(self) -> bool:
        """Whether every model that could be built was checked, and found right."""
        if any(not known for _, _, known in found(self)):
            return False
        return not self.wrong and not any(outcome.phase != "building" for outcome in self.lost)

    def types(self, outcomes: Iterable[Checked | Lost]) -> set[str]:
        """Model types among some outcomes."""
        return {outcome.job.type for outcome in outcomes}


def counts(results: Results) -> list[tuple[str, int]]:
    """The figures of the sweep."""
    everything = results.types([*results.all, *results.lost])
    facts = [outcome.facts for outcome in results.checked if outcome.facts]
    return [
        ("model types", len(everything)),
        ("of which built and checked", len(results.types(results.checked))),
        ("classes", len(results.all) + len(results.lost)),
        ("of which built and checked", len(results.checked)),
        ("on meta", sum("meta" in outcome.where for outcome in results.checked)),
        ("with memory", sum("cpu" in outcome.where for outcome in results.checked)),
        ("not built", len(results.not_built)),
        ("without an answer", len(results.lost)),
        ("wrong", len(results.wrong)),
        ("slots", sum(fact.slots for fact in facts)),
        ("elements", sum(fact.parameters for fact in facts)),
        ("classes with ties", sum(fact.tied > 0 for fact in facts)),
        ("classes with something hidden", sum(bool(fact.hidden) for fact in facts)),
        ("classes with a finding", sum(bool(fact.suspicions) for fact in facts)),
        ("classes with a fate unknown", sum(bool(fact.unknown) for fact in facts)),
    ]


def failures(results: Results) -> list[str]:
    """What is wrong, a line each."""
    lines = [f"{outcome.job}: {line}" for outcome in results.wrong for line in outcome.wrong]
    lines += [
        f"{cls}: false alarm, or a bug to be written up: {line}" for cls, line, known in found(results) if not known
    ]
    return lines + [f"{outcome.job}: {outcome.reason}, while {outcome.phase}" for outcome in results.lost]


def found(results: Results) -> list[tuple[str, str, Known | None]]:
    """(class, finding, why it is true) of every finding at warning or above."""
    return [
        (o.job.cls, line, reason(o.job.cls, line)) for o in results.checked if o.facts for line in o.facts.suspicions
    ]


def by_reason(outcomes: Sequence[Checked]) -> list[tuple[str, list[str]]]:
    """Classes by why they could not be built, the most frequent reason first."""
    found: dict[str, list[str]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.reason, []).append(f"{outcome.job.type} ({outcome.job.cls or 'no class'})")
    return sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))


def remarkable(results: Results) -> dict[str, list[tuple[str, list[str]]]]:
    """What is to be looked at, by its heading: (class, lines) pairs."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for heading, name in (
        ("Hidden", "hidden"),
        ("Neither registered nor found", "unseen"),
        ("Attributes that are plain tensors", "attributes"),
        ("Notes", "notes"),
    ):
        pairs = [(o.job.cls, list(getattr(o.facts, name))) for o in results.checked if o.facts]
        found[heading] = [(cls, lines) for cls, lines in pairs if lines]
    pairs = [(o.job.cls, [f"{why} ({n})" for why, n in o.facts.unknown]) for o in results.checked if o.facts]
    found["A fate is unknown"] = [(cls, lines) for cls, lines in pairs if lines]
    return found


def few(lines: Sequence[str], number: int = 4) -> str:
    """Some of many, and how many there are."""
    more = f", … ({len(lines)} in all)" if len(lines) > number else ""
    return ", ".join(lines[:number]) + more


def timing(results: Results) -> tuple[str, list[tuple[str, int, float, float, float]]]:
    """The cost of an audit in those of exhausting torch's iterators: over all, and (class, slots, ms, ms, ratio)
    of the slowest."""
    rows = [
        (o.job.cls, o.facts.slots, 1e3 * o.facts.seconds, 1e3 * o.facts.base_seconds, ratio)
        for o in results.checked
        if o.facts
        for ratio in [o.facts.seconds / o.facts.base_seconds]
    ]
    if not rows:
        return "nothing was timed", []
    ratios = sorted(row[4] for row in rows)
    over = sum(ratio > 4 for ratio in ratios)
    text = f"audit takes {median(ratios):.2f} B in the middle, {ratios[-1]:.2f} B at worst; {over} of {len(ratios)} over 4 B"
    return text, sorted(rows, key=lambda row: -row[2])[:SLOWEST]


_HEADERS = ("class", "slots", "audit, ms", "B, ms", "ratio")


def summary(results: Results) -> str:
    """What a terminal shows."""
    parts = [tabulate(counts(results), tablefmt="plain", intfmt=",")]
    if results.not_built:
        parts.append("not built:")
        parts += [f"  {len(names):>4}  {why}: {few(names, 2)}" for why, names in by_reason(results.not_built)]
    for heading, pairs in remarkable(results).items():
        if pairs:
            parts.append(f"{heading.lower()}: {len(pairs)} classes")
            parts += [f"  {cls}: {few(lines, 2)}" for cls, lines in pairs]
    text, rows = timing(results)
    parts += [text, tabulate(rows, _HEADERS, tablefmt="plain", floatfmt=".2f", intfmt=",")]
    wrong = failures(results)
    parts.append(f"{len(wrong)} failures" if wrong else "no failure")
    parts += [f"  {line}" for line in wrong]
    return "\n".join(parts)


def page(results: Results, minutes: float) -> str:
    """The page of the documentation, in Markdown."""
    text, rows = timing(results)
    parts = [
        "# Every architecture of transformers",
        f"Made by `make zoo` in {minutes:.0f} minutes; not edited by hand. transformers {transformers.__version__}, "
        f"torch {torch.__version__}.",
        "For every model type the base model and one head are built from the default configuration on the meta device, "
        "and those that take up to 512 MiB once more with memory. What the report says is held against torch's own "
        "answers: names and their order, totals, ties, storages, shapes, gradients, `state_dict()`, `.to()`; it is "
        "taken twice, folded, laid out as a table, written to JSON and read back.",
        tabulate(counts(results), ("what", "number"), tablefmt="pipe", intfmt=","),
        "## Failures",
        "\n".join(f"- {code(line)}" for line in failures(results)) or "None.",
        "## Not built",
        "A class that cannot be built here is no failure of paramscope. Why, and which:",
        "\n".join(f"- {code(why)} ({len(names)}): {', '.join(names)}" for why, names in by_reason(results.not_built)),
        "## Built in one place only",
        "On meta, or with memory, where the other failed:",
        bullets([(o.job.cls, [o.reason]) for o in results.checked if o.reason]),
    ]
    parts += [
        "## Findings at warning or above",
        "What rules say of these models on the meta device, each as it is built, in eval mode, with its first layers, "
        "its last layers or all but its head frozen, with an AdamW in two groups, with both, and with the gradients of "
        f"a step: {sum(bool(o.facts.suspicions) for o in results.checked if o.facts)} of {len(results.checked)} classes "
        "keep a finding. Each of them is true:",
        "\n".join(
            f"- {', '.join(dict.fromkeys(cls for cls, _, each in found(results) if each is known))}: "
            f"{known.code} (transformers, {known.where}). {known.why} "
            f"{code(next(line for _, line, each in found(results) if each is known))}"
            for known in dict.fromkeys(known for _, _, known in found(results) if known)
        )
        or "None.",
    ]
    for heading, pairs in remarkable(results).items():
        parts += [f"## {heading}", bullets(pairs)]
    parts += [
        "## Time",
        f"B is the cost of exhausting torch's own iterators; {text}. The slowest:",
        tabulate(rows, _HEADERS, tablefmt="pipe", floatfmt=".2f", intfmt=","),
    ]
    return "\n\n".join(parts) + "\n"


def bullets(pairs: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A list of classes with what there is to each; those with the same are one."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for cls, lines in pairs:
        alike.setdefault(tuple(lines), []).append(cls)
    found = [f"- {', '.join(classes)}: {few([code(line) for line in lines])}" for lines, classes in alike.items()]
    return "\n".join(found) or "None."


def code(text: str) -> str:
    """Text that Markdown leaves alone."""
    return f"`{text.replace('`', chr(39))}`"
