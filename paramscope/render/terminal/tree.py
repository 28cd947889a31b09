"""Report → tree for a terminal: modules within modules, what they hold, and their shares of all parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from paramscope import text
from paramscope.analysis.fold import Node
from paramscope.render._chosen import Selection, nothing
from paramscope.render._columns import elements, fates, line_label, shape, words
from paramscope.render._lines import Line, Lines, lines_of, nodes_of
from paramscope.render._page import remarks
from paramscope.render.terminal import _page as page
from paramscope.render.terminal._layout import GAP, Screen, column_width, padded_cell, paint
from paramscope.report.data import ReportData
from paramscope.report.finding_codes import shown

BAR = 12
"""Terminal columns of a bar that stands for all parameters."""
_BAR_FROM = 100
"""Terminal columns from which on there is room for bars."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_PARAMETERS = ("trainable", "frozen")


class _Item(NamedTuple):
    """One line of the tree, before it is laid out."""

    branch: str
    """The lines that lead to it: `│  ├─ `."""
    below: str
    """What stands before the further lines of a label that takes several."""
    label: str
    elements: str
    part: int | None
    """Elements of parameters, for its share of all; None where it is no parameter."""
    fate: str
    style: str | None


def render(
    report: ReportData,
    *,
    width: int = 80,
    color: bool = False,
    fold: bool = True,
    path: str | None = None,
    status: str | Sequence[str] = (),
    depth: int | None = None,
) -> str:
    """The tree that people read: a line for each module, its own slots beside or below it.

    width: terminal columns that no line passes. color: ANSI colours. fold: repeated siblings as one. path: a glob;
    only slots that match are listed. status: what they have to be: `trainable`, `frozen,hidden`. depth: modules so
    many steps below the root are closed.

    Raises GlobError where the glob matches nothing, FormatError for a status that does not exist.
    """
    selection = Selection(fold, path, words(status), "model", depth)
    lines = lines_of(report, selection)
    screen = Screen(width, color)
    tree = _Tree(report, nodes_of(report, selection, lines.named), lines, width)
    items = list(tree.items())
    drawn = _drawn(items, report.totals.parameters, screen) if items else [nothing(report, selection)]
    told = remarks(lines.shown, ("fate", "elements", "dtype", "device"), tree.codes)
    blocks = [
        page.title(report, width),
        page.with_remarks(drawn, told, width) if items else drawn,
        page.total_lines(report, width, lines.left_out),
        page.finding_lines(report, screen),
        page.sharing_lines(report, lines.rows, width),
        page.disagreements(report, lines.rows, screen),
        page.note_lines(report, width),
    ]
    return page.joined(blocks)


class _Tree:
    """Nodes with the lines of their own slots that are listed."""

    def __init__(self, report: ReportData, roots: list[Node], lines: Lines, width: int) -> None:
        self._report = report
        self._width = width
        self._roots = roots
        self._codes = lines.named.modules
        self.codes = next(iter(self._codes.values()), ())
        """Of findings that are about a module."""
        self._of_slot = {line.slots[0]: line for line in lines.shown if line.closed is None}
        self._closed = {line.path: line for line in lines.shown if line.closed is not None}
        self._parts: dict[int, int] = {}
        """Elements of parameters in and below a node, by its identity; only of nodes that are listed."""
        self._weigh()

    def _weigh(self) -> None:
        order = []
        stack = list(self._roots)
        while stack:
            node = stack.pop()
            order.append(node)
            if node.path not in self._closed:
                stack.extend(node.children)
        for node in reversed(order):
            closed = self._closed.get(node.path)
            if closed is not None and closed.closed is not None:
                self._parts[id(node)] = closed.closed.parameters
                continue
            held = self._held(node)
            below = [self._parts[id(child)] for child in node.children if id(child) in self._parts]
            if held or below:
                own = sum(each.elements or 0 for each in held if _is_counted_here(each))
                self._parts[id(node)] = own + sum(below)

    def _held(self, node: Node) -> list[Line]:
        return [self._of_slot[slot] for row in node.rows for slot in row.slots if slot in self._of_slot]

    def items(self) -> Iterator[_Item]:
        """Every line of the tree, from the roots down."""
        listed = [root for root in self._roots if id(root) in self._parts]
        stack = [(root, "", "", "", "") for root in reversed(listed)]
        while stack:
            node, above, branch, before, kept = stack.pop()
            label, node = self._label(node, above)
            children = [child for child in node.children if id(child) in self._parts]
            part = self._parts[id(node)]
            closed = self._closed.get(node.path)
            if closed is not None:
                rows = closed.closed.rows if closed.closed else 0
                label += f"  {text.plural(rows, 'row')}{closed.marks}{_marked(closed.codes)}"
                yield _Item(branch, before, label, elements(closed), part or None, fates(closed), None)
                continue
            held = self._held(node)
            is_whole = not children and all(line.path.startswith(node.path) for line in held)
            inline = _inline(label, held) if is_whole else None
            if inline is not None:
                first = held[0]
                shown = part if _is_counted_here(first) else None
                yield _Item(branch, before, inline, _sum(held), shown, fates(first), first.record.status)
                continue
            yield _Item(branch, before, label, text.count(part), part, "", None)
            for i, line in enumerate(held):
                is_last = i == len(held) - 1 and not children
                yield self._slot(
                    line, node.path, kept + ("└─ " if is_last else "├─ "), kept + ("   " if is_last else "│  ")
                )
            for i, child in reversed(list(enumerate(children))):
                is_last = i == len(children) - 1
                lead = kept + ("└─ " if is_last else "├─ ")
                rest = kept + ("   " if is_last else "│  ")
                stack.append((child, node.path, self._short(lead), self._short(rest), rest))

    def _short(self, lead: str) -> str:
        """The lines that lead to something very deep would leave no room for it."""
        if len(lead) <= self._width // 2:
            return lead
        return f"…{len(lead) // 3}… "

    def _slot(self, line: Line, above: str, branch: str, before: str) -> _Item:
        label = f"{_relative(line_label(line, line.codes), above)}  {shape(line)}"
        if line.record.status in ("hidden", "buffer", "attribute", "unknown"):
            label += f" {line.record.status}"
        part = line.elements if line.record.status in _PARAMETERS and not line.is_counted else None
        style = line.record.status
        return _Item(self._short(branch), self._short(before), label, elements(line), part, fates(line), style)

    def _label(self, node: Node, above: str) -> tuple[str, Node]:
        """`layers.[0-31]: Block ×32`, and the node that it stands for: what holds nothing but one module is named
        together with it."""
        codes = self._codes_of(node)
        while not node.rows and len(node.children) == 1 and node.path and node.path not in self._closed:
            if id(node.children[0]) not in self._parts or len(node.children[0].modules) < len(node.modules):
                break
            node = node.children[0]
            codes += self._codes_of(node)
        kind = text.class_name(self._report.modules.at(node.modules[0]).type)
        times = f" ×{len(node.modules)}" if len(node.modules) > 1 else ""
        name = text.name(_relative(node.path, above))
        marks = _marked(tuple(dict.fromkeys(codes)))
        return (f"{name}: {text.name(kind)}{times}" if name else text.name(kind)) + marks, node

    def _codes_of(self, node: Node) -> tuple[str, ...]:
        return tuple(code for module in node.modules for code in self._codes.get(module, ())) if self._codes else ()


def _marked(codes: tuple[str, ...]) -> str:
    return f" {shown(codes)}".rstrip()


def _is_counted_here(line: Line) -> bool:
    return line.record.status in _PARAMETERS and not line.is_counted


def _sum(held: list[Line]) -> str:
    """Elements of lines that are alike in what they are and whether they were counted."""
    if len(held) == 1:
        return elements(held[0])
    known = [line.elements for line in held if line.elements is not None]
    if len(known) < len(held):
        return "unknown"
    return f"({text.count(sum(known))})" if held[0].is_counted else text.count(sum(known))


def _relative(path: str, above: str) -> str:
    """A path as seen from a module above it; the whole path where it is not below all of that."""
    if above and path.startswith(above):
        rest = path[len(above) :]
        if rest.startswith("."):
            return rest[1:]
        if rest.startswith(("->", "::")):
            return rest
    return path


def _inline(label: str, held: list[Line]) -> str | None:
    """A module and its few slots in one line; None where they differ in more than name and shape."""
    if len({(fates(line), line.record.status, line.is_counted, bool(line.marks), line.codes) for line in held}) != 1:
        return None
    if held[0].marks and len(held) > 1:
        return None
    status = held[0].record.status
    word = f" {status}" if status in ("hidden", "buffer", "attribute", "unknown") else ""
    slots = ", ".join(
        f"{text.name(line.record.name)}{line.marks} {shape(line)}" if len(held) <= 2 else text.name(line.record.name)
        for line in held[:4]
    )
    more = f", … {len(held) - 4} more" if len(held) > 4 else ""
    return f"{label}  {slots}{more}{word}{_marked(held[0].codes)}"


def _drawn(items: list[_Item], whole: int, screen: Screen) -> list[str]:
    has_bars = screen.width >= _BAR_FROM
    counts = [item.elements for item in items]
    shares = ["" if item.part is None else f"{text.share(item.part, whole)}%" for item in items]
    bars = [_bar(item.part, whole) if has_bars else "" for item in items]
    ends = [column for column in (counts, shares) if any(column)]
    widths = [column_width(column) for column in ends]
    fate_width = max(4, column_width([item.fate for item in items]))
    taken = sum(widths) + GAP * len(widths) + GAP + fate_width + (GAP + BAR if has_bars else 0)
    room = max(16, screen.width - taken)
    lines: list[str] = []
    longest = min(room, max(text.width(item.branch + item.label) for item in items))
    for i, item in enumerate(items):
        first, *rest = _wrapped(item, room)
        cells = [padded_cell(first, longest)]
        cells += [padded_cell(column[i], widths[at], is_right=True) for at, column in enumerate(ends)]
        if has_bars:
            cells.append(padded_cell(bars[i], BAR))
        cells.append(item.fate)
        style = item.style if item.style != "trainable" else None
        lines.append(paint((" " * GAP).join(cells).rstrip(), style, screen))
        lines += [paint(line, style, screen) for line in rest]
    return lines


def _wrapped(item: _Item, room: int) -> list[str]:
    if text.width(item.branch + item.label) <= room:
        return [item.branch + item.label]
    label, before = item.label, item.below
    columns = max(8, room - text.width(item.branch))
    first, *rest = text.wrap_words(label, columns)
    return [item.branch + first, *(f"{before}  {line}".rstrip() for line in rest)]


def _bar(part: int | None, whole: int) -> str:
    """A bar of eighths of a column; nothing for nothing, the thinnest for what is next to nothing."""
    if not part or not whole:
        return ""
    eighths = max(1, round(BAR * 8 * part / whole))
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")
