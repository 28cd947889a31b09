"""Diff → text, Markdown, HTML, JSON: totals, changes with what is alike as one line, groups, findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from paramscope import text
from paramscope.analysis.changes import KINDS, folded, roots_of
from paramscope.analysis.paths import covering, fold_paths
from paramscope.errors import FormatError, nearest
from paramscope.render._pieces import Name, Pieces, Prose, flat, joined
from paramscope.report.cost import cost_of

if TYPE_CHECKING:
    from paramscope.report.difference import DiffData, GroupChange
    from paramscope.report.finding import Finding

FORMAT, VERSION = "paramscope.diff", 1
_LISTED = 200
"""Changes of one kind that are listed before the rest is counted."""
_TOTALS = (
    "parameters",
    "trainable",
    "frozen",
    "buffers",
    "hidden",
    "attributes",
    "nbytes",
    "flops",
    "activation_bytes",
)
_COSTS = ("gradients", "optimizer_state")
"""What training takes besides, once the optimizers have stepped."""
_BYTES = ("nbytes", "activation_bytes", *_COSTS)
_WORDS = {"nbytes": "bytes", "activation_bytes": "activations", "flops": "FLOPs", "optimizer_state": "state"}


class _Point(NamedTuple):
    """One line: what happened, and to what."""

    word: str
    what: Pieces


def render(diff: DiffData, format: str, **options: Any) -> str:
    """A diff in one of four formats. Raises FormatError."""
    draw = renderer(format)
    try:
        return draw(diff, **options)
    except TypeError:
        if draw is _text or not options:
            raise
        raise FormatError(
            f"the format {format} of a diff takes no option {min(options)!r}", "Leave it out."
        ) from None


def renderer(format: str) -> Callable[..., str]:
    """The function that draws a diff in one format. Raises FormatError."""
    draw = FORMATS.get(format)
    if draw is None:
        near = nearest(format, FORMATS)
        advice = f"Did you mean {near[0]}?" if near else f"Formats: {', '.join(FORMATS)}."
        raise FormatError(f"a diff has no format {format!r}", advice)
    return draw


def _title(diff: DiffData) -> Pieces:
    names = [roots_of(each.snapshot) for each in (diff.before, diff.after)]
    targets = [each.target or "" for each in (diff.before, diff.after)]
    title: list[str] = [Name(names[0])] if names[0] == names[1] else [Name(names[0]), " → ", Name(names[1])]
    if targets[0] != targets[1] and all(targets):
        title += [": ", Name(targets[0]), " → ", Name(targets[1])]
    return title


def _totals(diff: DiffData) -> list[list[str]]:
    """(what, before, after, by how much) of the totals that people look at."""
    pairs = {name: diff.totals[name] for name in _TOTALS if name in diff.totals}
    if diff and diff.before.optimizers and diff.after.optimizers:
        costs = [cost.at_first_step or cost for cost in map(cost_of, (diff.before, diff.after))]
        pairs |= {name: (getattr(costs[0], name), getattr(costs[1], name)) for name in _COSTS}
    return [_row(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1]]


def _row(name: str, was: int | None, now: int | None) -> list[str]:
    shown: Callable[[int], str] = text.nbytes if name in _BYTES else text.count
    cells = ["–" if each is None else shown(each) for each in (was, now)]
    by = "" if was is None or now is None else ("+" if now > was else "−") + shown(abs(now - was))
    return [_WORDS.get(name, name), *cells, by]


def _points(diff: DiffData) -> list[_Point]:
    found, points = diff.changes, []
    if not diff.is_of_one_model:
        larger = max(len(found.before.slots), len(found.after.slots))
        both = f"{len(found.names):,} of {larger:,} slots are in both"
        said = f"{both}: these are two models, and only totals are compared"
        return [_Point("", [said])]
    lines = folded(found)
    for kind in dict.fromkeys(line.kind for line in lines):
        mine = [line for line in lines if line.kind == kind]
        for line in mine[:_LISTED]:
            facts = [" (", *joined([[Prose(fact)] for fact in line.facts]), ")"] if line.facts else []
            points.append(_Point(kind, [Name(line.what), *facts]))
        if len(mine) > _LISTED:
            points.append(_Point(kind, [f"and {len(mine) - _LISTED:,} more"]))
    points += chain.from_iterable(_of_group(diff, each) for each in diff.groups)
    return points


def _of_group(diff: DiffData, change: GroupChange) -> Iterator[_Point]:
    where = [Name(f"optimizer[{change.optimizer}].groups[{change.group}]")]
    kinds = [text.class_name(each) for each in (change.before, change.after) if each]
    if change.before is None or change.after is None:
        slots, word = (change.joined, "new group") if change.after else (change.left, "lost group")
        foreign = sum(change.foreign)
        others = f", {text.plural(foreign, 'tensor')} that the model does not have" if foreign else ""
        said = [*where, " of ", Name(kinds[0]), f": {text.plural(len(slots), 'slot')}{others}"]
        if not (diff.before.optimizers and diff.after.optimizers):
            side = "after" if change.after is None else "before"
            word, said = "optimizer", [*said, f"; {side}, none was given"]
        yield _Point(word, said)
        return
    is_other = change.before != change.after
    if is_other:
        yield _Point("optimizer", [*where, ": ", Name(kinds[0]), " → ", Name(kinds[1])])
    for name, was, now in change.options:
        if is_other and None in (was, now):  # what only one of the classes has
            continue
        yield _Point("option", [*where, ": ", Name(name), " ", Prose(f"{text.option(was)} → {text.option(now)}")])
    for word, slots, there in (("joined", change.joined, diff.after), ("left", change.left, diff.before)):
        if not slots:  # all that might have joined or left is looked at for it
            continue
        names = diff.changes.names if there is diff.before else {}
        among = [names.get(each, each) for each in there.slots if there.slots[each].stepped is not None]
        parts = covering(slots, among)
        for row in fold_paths([((what,), len(paths)) for what, paths in parts]):
            count = sum(len(parts[each][1]) for each in row.members)
            yield _Point(word, [*where, ": ", Name(row.path), f" ({text.plural(count, 'slot')})"])
    if change.foreign[0] != change.foreign[1]:
        was, now = change.foreign
        yield _Point("foreign", [*where, f": {was:,} → {now:,} tensors that the model does not have"])


def _findings(diff: DiffData) -> list[tuple[str, Finding]]:
    return [
        *(("new", each) for each in diff.findings_new),
        *(("gone", each) for each in diff.findings_gone),
    ]


def _same(diff: DiffData) -> str:
    totals = diff.after.totals
    return f"no difference: {text.plural(totals.slots, 'slot')}, {text.plural(totals.parameters, 'parameter')}"


def _text(diff: DiffData, *, width: int = 100, color: bool = False) -> str:
    from paramscope.render.terminal._finding_lines import hanging, lines_of
    from paramscope.render.terminal._layout import Screen, paint

    screen = Screen(width, color)
    lines = text.wrap_path(flat(_title(diff)), width)
    if not diff:
        return "\n".join([*lines, _same(diff)]) + "\n"
    rows = [["", "before", "after", "change"], *_totals(diff)]
    if len(rows) > 1:
        widths = [max(text.width(row[at]) for row in rows) for at in range(4)]
        lines += ["", *("  ".join(_cells(row, widths)).rstrip() for row in rows)]
    if points := _points(diff):
        longest = max(len(point.word) for point in points)
        lines.append("")
        for point in points:
            label = f"{point.word:<{longest}}  " if point.word else ""
            drawn = hanging(flat(point.what), label, width)
            lines += [paint(drawn[0], _STYLES.get(point.word, ""), screen) if point.word else drawn[0], *drawn[1:]]
    for word, finding in _findings(diff):
        drawn = lines_of(finding, screen, label=f"{word}: ", with_help=word == "new")
        lines += ["", *(drawn if word == "new" else drawn[:1])]
    return "\n".join(lines) + "\n"


_STYLES = {"added": "trainable", "removed": "hidden", "froze": "frozen", "thawed": "trainable", "hidden": "hidden"}


def _cells(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    yield row[0].ljust(widths[0])
    for cell, size in zip(row[1:], widths[1:], strict=True):
        yield " " * (size - text.width(cell)) + cell


def _markdown(diff: DiffData) -> str:
    from paramscope.render.document._markdown_text import markdown, table

    blocks = [f"**{markdown(_title(diff))}**"]
    if not diff:
        return "\n\n".join([*blocks, _same(diff)]) + "\n"
    if grid := _grid(diff):
        blocks.append(table(grid))
    points = [f"- {point.word} {markdown(point.what)}".replace("-  ", "- ") for point in _points(diff)]
    blocks.append(_within("\n".join(points), _MOST))
    blocks.append(
        "\n".join(f"- {word}: {markdown(_finding(each, with_help=word == 'new'))}" for word, each in _findings(diff))
    )
    return _within("\n\n".join(block for block in blocks if block), _MOST) + "\n"


_MOST = 60_000
"""Characters; GitHub takes 65,536 in a comment."""


def _within(block: str, most: int) -> str:
    if len(block) <= most:
        return block
    lines = block[:most].split("\n")[:-1]
    return "\n".join([*lines, f"- and {block.count(chr(10)) + 1 - len(lines):,} more lines"])


def _grid(diff: DiffData) -> Any:
    from paramscope.render.document._sections import Grid

    rows: list[list[Pieces]] = [[[cell] for cell in row] for row in _totals(diff)]
    return Grid(("", "before", "after", "change"), frozenset({1, 2, 3}), rows) if rows else None


def _finding(finding: Finding, *, with_help: bool) -> Pieces:
    place = finding.place
    head = [Name(place), f": {finding.severity.value} ", Name(finding.code), " ", Name(finding.name)]
    said = [" ", Prose(finding.message)] + ([" ", Prose(finding.help)] if finding.help else [])
    return [*head, *said] if with_help else head


def _html(diff: DiffData, *, page: bool = True, script: bool = True) -> str:
    from paramscope.render.document._app import app_of
    from paramscope.render.document.html import drawn_grid, html_of, whole

    blocks = [f'<p class="ps-title">{html_of(_title(diff))}</p>']
    if not diff:
        blocks.append(f"<p>{escape(_same(diff))}</p>")
    if grid := _grid(diff):
        blocks.append(drawn_grid(grid, {}, []))
    if points := _points(diff) if diff else []:
        items: Iterable[str] = (f"<li>{escape(point.word)} {html_of(point.what)}</li>" for point in points)
        blocks.append(f"<ul>{''.join(items)}</ul>")
    for word, finding in _findings(diff):
        kind = finding.severity.value if word == "new" else "quiet"
        said = html_of(_finding(finding, with_help=word == "new"))
        blocks.append(f'<div class="ps-{kind}">{word}: {said}</div>')
    if not (page and script and diff.is_of_one_model):
        return whole("\n".join(blocks), flat(_title(diff)), is_page=page)
    app = app_of(diff.after, {"color": "change"}, changes=_changes(diff))
    body = ['<div id="ps-theme"></div>', *blocks, '<main id="ps-app"></main>']
    return whole("\n".join(body), flat(_title(diff)), app=app)


def _changes(diff: DiffData) -> dict[str, str]:
    """What happened to each slot that is there now, in a word: the first that would be told of it."""
    found: dict[str, str] = {}
    for change in sorted(diff.changes.changes, key=lambda change: KINDS.index(change.kind)):
        for path in change.paths[1:] if change.kind == "renamed" else change.paths:
            found.setdefault(path, change.kind)
    return found


def _json(diff: DiffData) -> str:
    from paramscope.wire.records import to_plain

    kinds = ("added", "removed", "renamed", "reshaped", "retyped", "moved", "froze", "thawed", "hidden", "registered")
    sides = {
        name: {"target": side.target, "type": roots_of(side.snapshot), "slots": side.totals.slots}
        for name, side in (("before", diff.before), ("after", diff.after))
    }
    whole = {
        "format": FORMAT,
        "version": VERSION,
        **sides,
        "totals": {name: list(pair) for name, pair in diff.totals.items()},
        **{kind: getattr(diff, kind) for kind in (*kinds, "tied", "untied")},
        "groups": [each._asdict() for each in diff.groups],
        "findings_new": [to_plain(each) for each in diff.findings_new],
        "findings_gone": [to_plain(each) for each in diff.findings_gone],
    }
    return json.dumps(whole, indent=1) + "\n"


FORMATS: dict[str, Callable[..., str]] = {"text": _text, "markdown": _markdown, "json": _json, "html": _html}
