"""Outcomes and verdicts → a summary for the terminal, and a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from crater.records import Outcome
from crater.verdicts import DOUBTFUL_OF_FINDINGS, UNPROVEN_OF_CLASSES, Judged, Result, Verdict


def counts(outcomes: Sequence[Outcome], result: Result) -> list[tuple[str, str]]:
    """The figures of a run."""
    classes = {cls for outcome in outcomes for cls in outcome.roots}
    inside = {cls for outcome in outcomes for cls in (*outcome.inside, *outcome.roots)}
    unproven = len(result.unproven)
    doubtful = len(result.of("doubtful", "meant", "not judged"))
    return [
        ("packages", f"{len(outcomes)}"),
        ("module classes of theirs, each audited as a model", f"{len(classes):,}"),
        ("and those that stood inside of one", f"{len(inside):,}"),
        ("models built by hand, as their users build them", f"{sum(len(o.built) for o in outcomes):,}"),
        ("of which in a user's own class", f"{sum('as_user_code' in name for o in outcomes for name in o.built):,}"),
        ("audits", f"{sum(o.audits for o in outcomes):,}"),
        ("real steps between two audits", f"{sum(o.steps for o in outcomes):,}"),
        ("audits that raised, changed something, or contradict torch", f"{sum(len(o.wrong) for o in outcomes):,}"),
        ("slowest audit", f"{max((o.slowest for o in outcomes), default=0.0):.2f} s"),
        ("findings at warning or above, once a rule and class", f"{len(result.all):,}"),
        ("of which shown to break", f"{len(result.of('bug')):,}"),
        ("true", f"{len(result.of('true')):,}"),
        ("doubtful", f"{len(result.of('doubtful')):,}"),
        ("false alarms", f"{len(result.of('meant')):,}"),
        ("not judged", f"{len(result.of('not judged')):,}"),
        (
            f"classes with one that is not proven (at most {UNPROVEN_OF_CLASSES:.0%} may)",
            f"{unproven} ({unproven / max(len(classes), 1):.1%})",
        ),
        (
            f"findings that are not proven (at most {DOUBTFUL_OF_FINDINGS:.0%} may be)",
            f"{doubtful} ({doubtful / max(len(result.all), 1):.0%})",
        ),
    ]


def summary(outcomes: Sequence[Outcome], result: Result) -> str:
    """What a terminal shows."""
    lines = [tabulate(counts(outcomes, result), tablefmt="plain", disable_numparse=True)]
    lines += [f"{o.name}: {o.lost}" for o in outcomes if o.lost]
    lines += [f"wrong: {o.name}: {line}" for o in outcomes for line in o.wrong]
    for each in result.of("not judged", "meant", "doubtful"):
        found = each.found
        lines.append(f"{each.kind}: {found.code} {found.severity} {found.cls} ({found.location}): {found.says[0]}")
    lines += [f"a verdict of nothing: {v.code} {', '.join(v.classes)}" for v in result.stale]
    return "\n".join(lines)


def page(outcomes: Sequence[Outcome], result: Result) -> str:
    """The page, in Markdown."""
    rows = [
        (
            f"{o.distribution} {o.version}",
            len(o.roots),
            len(o.built),
            o.audits,
            o.steps,
            len([each for each in result.all if o.name in each.packages]),
        )
        for o in outcomes
    ]
    parts = [
        "# Packages that nobody here wrote",
        f"Made by `make crater` in {sum(o.seconds for o in outcomes) / 60:.0f} minutes of work; not edited by hand. "
        "torch and the packages are pinned in `tests/crater/requirements.txt`.",
        "Each package's models are built by hand as its users build them (`tests/crater/packages/`), with the optimizers "
        "that it makes itself or a plain AdamW, some inside a user's own class. Besides, every public Module class that "
        "can be constructed with small guessed arguments is a model of its own. Each is audited fresh, with its "
        "optimizer, in eval mode, and, where an input is known or guessed, once more after a real forward, backward and "
        "step. No weights are loaded. A finding at warning or above counts once a rule and class, and was judged by "
        'reading the package\'s source: would its maintainer say "right, thanks", or "that is meant, and works"?',
        tabulate(counts(outcomes, result), ("what", "number"), tablefmt="pipe", disable_numparse=True),
        "## Bugs",
        "Shown to break with the versions below; paths are relative to the package's folder in site-packages.",
        "\n\n".join(section(result.of("bug"))) or "None.",
        "## True, and harmless so far",
        "What is said is so; nobody has to stumble on it.",
        "\n\n".join(section(result.of("true"))) or "None.",
        "## Doubtful",
        "\n\n".join(section(result.of("doubtful"))) or "None.",
        "## False alarms",
        "What the rules still say of code that means what it does:",
        "\n\n".join(section(result.of("meant"))) or "None.",
        "## Not judged",
        "\n".join(
            f"- {f.code} {f.severity}, `{f.cls}`{f' ({f.location})' if f.location else ''}, {f.state}: {code(f.says[0])}"
            for f in (each.found for each in result.of("not judged"))
        )
        or "None.",
        "## Where a report contradicts torch",
        "\n".join(f"- {o.name}: {code(line)}" for o in outcomes for line in o.wrong) or "Nowhere.",
        "## The packages",
        tabulate(
            rows, ("package", "classes", "built by hand", "audits", "steps", "findings"), tablefmt="pipe", intfmt=","
        ),
        "## What was not done",
        "Classes that could not be constructed with guessed arguments, and modules that cannot be imported here:",
        "\n".join(undone(outcomes)) or "Everything was.",
    ]
    return "\n\n".join(parts) + "\n"


def section(found: Iterable[Judged]) -> list[str]:
    """Findings by their verdict, each with why, where, and how it breaks."""
    by_verdict: dict[int, tuple[Verdict, list[Judged]]] = {}
    for each in found:
        if each.verdict is not None:
            by_verdict.setdefault(id(each.verdict), (each.verdict, []))[1].append(each)
    return [paragraph(verdict, many) for verdict, many in by_verdict.values()]


def paragraph(verdict: Verdict, many: Sequence[Judged]) -> str:
    """One cause."""
    classes = ", ".join(f"`{each.found.cls}`" for each in many[:6])
    more = f" and {len(many) - 6} more" if len(many) > 6 else ""
    first = many[0].found
    parts = [
        f"**{verdict.code} {first.severity}**, {classes}{more} ({verdict.where}). {verdict.why}",
        f"Said: {code(first.says[0])}",
    ]
    if verdict.breaks:
        parts.append(f"How it breaks: {verdict.breaks}")
    if verdict.proof:
        parts.append(f"```python\n{verdict.proof}\n```")
    return "\n\n".join(parts)


def undone(outcomes: Iterable[Outcome]) -> list[str]:
    """A line for each package of which something is missing."""
    lines = []
    for o in outcomes:
        missing = [f"{len(names)} classes: {why}" for why, names in sorted(o.not_built.items())]
        if imports := [line for line in o.troubles if line.startswith("import ")]:
            missing.append(f"{len(imports)} modules that cannot be imported")
        # An error's text may hold paths and addresses of the machine; its kind does not.
        missing += [code(": ".join(t.split(": ")[:2])) for t in o.troubles if not t.startswith("import ")]
        missing += [o.lost] if o.lost else []
        if missing:
            lines.append(f"- {o.name}: {'; '.join(missing)}")
    return lines


def code(text: str) -> str:
    """Text that Markdown leaves alone."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"
