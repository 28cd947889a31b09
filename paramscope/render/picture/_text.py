"""Facts of graph nodes → the lines that stand in a box."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from paramscope import text
from paramscope.render.picture._parts import FOUND, GLYPHS, STEPPED

TITLE, LINE = 40, 54
"""Columns of a box's title, and of its lines."""
MOST_LINES = 14
"""Lines of tensors in one box; the rest is summed up."""

Facts = Mapping[str, Any]


class Line(NamedTuple):
    """A line about tensors."""

    glyph: str
    text: str


def cut(words: str, columns: int) -> str:
    """A text as a picture may show it: printable, and no longer than some columns, the middle left out."""
    shown = text.name(words)
    if text.width(shown) <= columns:
        return shown
    # An ellipsis takes one.
    head = shown[: text.fitting(shown, columns // 2)]
    tail = shown[::-1][: text.fitting(shown[::-1], (columns - 1) // 2)][::-1]
    return f"{head}…{tail}"


def relative(above: str, path: str) -> str:
    """A path as seen from one above it. Where their ranges differ: `q.weight in 7`."""
    prefix = f"{above}." if above else ""
    if path.startswith(prefix):
        return path[len(prefix) :]
    if path.startswith(above):
        return path[len(above) :]
    upper, lower = above.split("."), path.split(".")
    apart = [theirs for ours, theirs in zip(upper, lower, strict=False) if ours != theirs]
    rest = ".".join(lower[len(upper) :])
    return f"{rest} in {', '.join(apart)}" if rest and apart else path


def module_title(above: str, path: str) -> str:
    """What a box is called below another. A number alone says little: `layers.7`."""
    name = relative(above, path)
    return f"{above.rpartition('.')[2]}.{name}" if above and (name[:1].isdigit() or name[:1] == "[") else name


def module_lines(facts: Facts, *, is_closed: int) -> list[str]:
    """What a module is.

    is_closed: how many modules stand below it and are not drawn.
    """
    kind = text.class_name(facts["type"])
    times = f" ×{facts['count']:,}" if facts["count"] > 1 else ""
    # A root without a name is named by its class.
    lines = [f"{cut(kind, TITLE - 8)}{times}"] if facts["path"] else []
    if len(facts["paths"]) > 1:
        lines.append(f"one module, {text.plural(len(facts['paths']), 'path')}")
    elif facts["objects"] < facts["count"]:
        lines.append(f"{text.plural(facts['objects'], 'module')}, {text.plural(facts['count'], 'path')}")
    lines += _amounts(facts)
    if facts["not_stepped"] and facts["not_stepped"] == facts["steppable"]:
        lines.append("in no optimizer group")
    elif facts["not_stepped"]:
        lines.append(f"{text.plural(facts['not_stepped'], 'tensor')} in no optimizer group")
    if not facts["registered"]:
        lines.append("not registered")
    if is_closed:
        lines.append(f"… {text.plural(is_closed, 'module')} inside")
    return lines + findings_lines(facts)


def _amounts(facts: Facts) -> list[str]:
    """`● 85,054,464 trainable`; both numbers on one line where some is frozen. In parentheses: counted before."""
    there = [name for name in ("trainable", "frozen", "hidden") if facts[name]]
    if len(there) == 1:
        lines = [f"{_amount(facts, there[0], facts[there[0]])} {there[0]}"]
    elif there:
        lines = ["  ".join(_amount(facts, name, facts[name]) for name in there)]
    else:
        lines = [f"{_amount(facts, 'buffer', facts['buffers'])} in buffers"] if facts["buffers"] else []
    if facts["unsized"]:
        lines.append(f"{text.plural(facts['unsized'], 'tensor')} of unknown size")
    return lines


def _amount(facts: Facts, status: str, elements: int) -> str:
    """Elements of a status that no module before holds; if all are held before, these."""
    new = elements - facts["again"].get(status, 0)
    return f"{GLYPHS[status]} {text.count(new) if new else f'({text.count(elements)})'}"


def findings_lines(facts: Facts) -> list[str]:
    """`▲ PS101 PS204`."""
    return [cut(f"{FOUND} {' '.join(facts['findings'])}", LINE)] if facts["findings"] else []


def tensor_words(facts: Facts, held: Facts, tags: Sequence[str]) -> tuple[str, str]:
    """(glyph, what is to be said of a tensor beside its name and shape).

    tags: of the groups that step it, where the picture marks them.
    """
    status = held["status"]
    words = ["hidden"] if status == "hidden" else []
    if facts["not_stepped"]:
        words.append("not stepped")
    words += [kind for kind in facts["sharing"] if kind != "co-located"]
    words += _stepped(tags)
    if facts["findings"]:
        words.append(f"{FOUND} {' '.join(facts['findings'])}")
    return GLYPHS.get(status, "?"), " ".join(words)


def _stepped(tags: Sequence[str]) -> list[str]:
    return [f"{STEPPED}{tag}" for tag in tags]


def module_line(name: str, kind: str, parts: Sequence[str], said: str, glyph: str) -> str:
    """A module that has no box, in the box above: its tensors of one kind, as much of it as there is room for."""
    held = ", ".join(parts)
    if glyph == GLYPHS["buffer"] and len(parts) > 2:
        held = f"{len(parts)} buffers"
    whole = f"{name} {kind}: {held} {said}".rstrip()
    return whole if text.width(whole) <= LINE else f"{name}: {held} {said}".rstrip()


def tensor_lines(facts: Facts, paths: Sequence[str], tags: Sequence[str]) -> tuple[list[str], list[str]]:
    """(title, lines) of a tensor that has a box of its own.

    paths: the slots that hold it, folded. tags: of the groups that step it, where the picture marks them.
    """
    shown = paths if len(paths) <= 4 else [*paths[:3]]
    title = [cut(path, TITLE) if not i else "= " + cut(path, TITLE - 2) for i, path in enumerate(shown)]
    if len(paths) > len(shown):
        title.append(f"= {len(paths) - len(shown):,} more")
    times = f" ×{facts['count']:,}" if facts["count"] > 1 else ""
    lines = [cut(f"{text.shape(facts['shape'])} {facts['dtype'] or ''}".rstrip(), LINE - 8) + times]
    status = facts["status"]
    lines.append(" ".join([GLYPHS.get(status, "?"), status, *_stepped(tags)]))
    if "tied" in facts["sharing"]:
        lines.append(f"tied: {text.plural(facts['slots'], 'slot')}, {text.plural(facts['count'], 'tensor')}")
    lines += [{"aliased": "aliased: same bytes"}.get(kind, kind) for kind in facts["sharing"] if kind != "tied"]
    if status == "hidden":
        lines.append("not registered")
    if facts["not_stepped"]:
        lines.append("in no optimizer group")
    return title, lines + findings_lines(facts)


def group_lines(groups: Sequence[Facts], tag: str) -> tuple[list[str], list[str]]:
    """(title, lines) of a param group, or of all groups of some optimizers in one.

    tag: what marks the tensors it steps; empty for none.
    """
    first = groups[0]
    names = list(dict.fromkeys(facts["optimizer"] for facts in groups))
    label = "" if names[0].isdigit() else f"{names[0]}: "
    title = [cut(f"{label}{text.class_name(first['type'])}", TITLE)]
    if len(names) > 1:
        title = [f"{len(names):,} optimizers"]
    if len(groups) > 1:
        lines = [text.plural(len(groups), "group")]
    else:
        lines = [f"group {first['index']}"]
        lines += [cut(f"{name} {text.option(value)}", TITLE) for name, value in first["options"][:1]]
    tensors, foreign = sum(each["tensors"] for each in groups), sum(each["foreign"] for each in groups)
    lines += [text.plural(tensors, "tensor"), f"{text.count(sum(each['elements'] for each in groups))} elements"]
    if frozen := sum(each["frozen"] for each in groups):
        lines.append(f"{text.count(frozen)} of them frozen")
    if foreign:
        lines.append(f"{text.plural(foreign, 'tensor')} not in the model")
    if tag:
        lines.append(f"marked {STEPPED}{tag}")
    for facts in groups:
        lines += [line for line in findings_lines(facts) if line not in lines]
    return title, lines


def storage_lines(facts: Facts, viewers: int) -> tuple[list[str], list[str]]:
    """(title, lines) of a storage."""
    times = f" ×{facts['count']:,}" if facts["count"] > 1 else ""
    size = f"{text.nbytes(facts['nbytes'])} on {cut(facts['device'], 20)}"
    return [f"storage{times}"], [size, f"viewed by {text.plural(viewers, 'tensor')}"]


def listed(lines: Sequence[Line], most: int) -> Iterable[str]:
    """The lines of a box, as many as it may have; the rest by what it is."""
    shown = lines if len(lines) <= most else lines[: most - 1]
    for line in shown:
        yield f"{line.glyph} {cut(line.text, LINE)}"
    rest = lines[len(shown) :]
    if rest:
        counts = {glyph: sum(1 for line in rest if line.glyph == glyph) for glyph in GLYPHS.values()}
        told = "  ".join(f"{glyph} {count:,}" for glyph, count in counts.items() if count)
        yield f"… {len(rest):,} more lines: {told}"
