"""Report → tree for a terminal: modules within modules, what they hold, their shares of all parameters, and what of
them trains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import takewhile

from paramscope import text
from paramscope.analysis.fold import Node
from paramscope.render._chosen import Selection, check_depth, nothing
from paramscope.render._columns import fates, glyphs_of, shape, words
from paramscope.render._line import LEARNING, PARAMETERS, Line, summed
from paramscope.render._lines import Lines, lines_of, nodes_of
from paramscope.render._page import CLOSED, remarks, varied
from paramscope.render._pieces import Pieces, flat
from paramscope.render._ran import HEADERS
from paramscope.render._ran import cells as ran_cells
from paramscope.render.terminal import _page as page
from paramscope.render.terminal._blocks import block_lines
from paramscope.render.terminal._branches import Item, drawn_items
from paramscope.render.terminal._finding_lines import finding_lines
from paramscope.render.terminal._layout import Screen, joined, paint
from paramscope.report.data import ReportData

_NO_CELLS = ("",) * len(HEADERS)
_LEAST = 12
"""Lines that a tree may have, however little room the rest of the view leaves it."""


def render(
    report: ReportData,
    *,
    width: int = 80,
    height: int | None = None,
    color: bool = False,
    bars: bool = True,
    blocks: bool = False,
    encoding: str = "utf-8",
    fold: bool = True,
    path: str | None = None,
    status: str | Sequence[str] = (),
    depth: int | None = None,
) -> str:
    """The tree that people read: a line for each module, its own slots beside or below it.

    width: terminal columns that no line passes. height: lines that the view should not pass but for findings and
    sharing: the deepest modules are closed for it. color: ANSI colours. bars: beside shares, where there is room.
    blocks: a map of repeated siblings that differ in whether they train. encoding: of the terminal; bars and map are
    in ASCII where it has no characters for them. fold: repeated siblings as one. path: a glob; only slots that match
    are listed. status: what they have to be: `trainable`, `frozen,hidden`. depth: modules so many steps below the
    root are closed.

    Raises GlobError where the glob matches nothing, FormatError for a status that does not exist.
    """
    check_depth(depth)
    selection = Selection(fold, path, words(status))
    lines = lines_of(report, selection)
    screen = Screen(width, color, encoding)
    roots = nodes_of(report, selection, lines.named, lines.wanted)
    is_terse = fold and not selection.status and any(line.record.status != "buffer" for line in lines.shown)
    tree = _Tree(report, roots, lines, width=width, is_terse=is_terse)
    above = page.title(report, width, also=tree.usual)
    mapped = block_lines(report, lines, screen) if blocks else []
    below = [*page.total_lines(report, width, lines), *page.optimizer_sums(report, width)]
    items = tree.items(depth)
    told = tree.remarks(items)
    if height is not None and depth is None:
        room = height - len(above) - len(below) - 2 - (len(mapped) + 1 if mapped else 0)
        if len(items) > max(_LEAST, room - len(page.remark_lines(told, width))):
            told = tree.remarks(items, is_closed=True)
            items = tree.fitting(items, max(_LEAST, room - len(page.remark_lines(told, width))))
            told = tree.remarks(items)
    drawn = drawn_items(items, report, screen, bars=bars) if items else [nothing(report, selection)]
    view = [
        [paint(line, "heading", screen) for line in above],
        [*drawn, *(paint(line, "legend", screen) for line in page.remark_lines(told, width))] if items else drawn,
        mapped,
        below,
        finding_lines(report, screen),
        page.sharing_lines(report, lines.rows, width),
        # Where a rule says the same, it is a finding.
        []
        if {"PS401", "PS404"} & {each.code for each in report.findings}
        else page.disagreements(report, lines.rows, screen),
        page.note_lines(report, width),
    ]
    return joined(view)


class _Tree:
    """Nodes, with the lines of their own slots that are listed, and a line for all that each holds."""

    def __init__(self, report: ReportData, roots: list[Node], lines: Lines, *, width: int, is_terse: bool) -> None:
        """is_terse: whether buffers are only counted, beside the module that holds them."""
        self._report = report
        self._width = width
        self._is_terse = is_terse
        self._shown = lines.shown
        self._usual = _usual(lines.shown)
        """(dtype, device) of most elements; a line says where its own are others."""
        self._codes = lines.named.modules
        of_slot = {line.slots[0]: line for line in lines.shown}
        self._held: dict[int, list[Line]] = {}
        """The lines of a node's own slots, by its identity; only of nodes that are listed."""
        self._sums: dict[int, Line] = {}
        self._depth = 0
        """Steps from a root to the deepest node."""
        order = [(root, 0) for root in roots]
        for node, level in order:
            order.extend((child, level + 1) for child in node.children)
            self._depth = max(self._depth, level)
        for node, _ in reversed(order):
            held = [of_slot[slot] for row in node.rows for slot in row.slots if slot in of_slot]
            below = [self._sums[id(child)] for child in node.children if id(child) in self._sums]
            if held or below:
                codes = (*self._codes_of(node), *(code for line in (*held, *below) for code in line.codes))
                self._held[id(node)] = held
                self._sums[id(node)] = summed(report, node, [*held, *below], tuple(dict.fromkeys(codes)))
        self._roots = [root for root in roots if id(root) in self._sums]

    def fitting(self, items: list[Item], room: int) -> list[Item]:
        """The lines of the tree, all open, with the deepest modules closed as far as so many lines ask for it."""
        for depth in range(self._depth, 0, -1):
            if len(items) <= room:
                break
            items = self.items(depth)
        return items

    @property
    def usual(self) -> str:
        """The dtype and the device of most parameters: said once."""
        learned = [line for line in self._shown if line.record.status in LEARNING]
        dtype, device = self._usual
        return f"{'mostly ' if varied(learned) else ''}{dtype} on {device}" if dtype and device else ""

    def remarks(self, items: list[Item], *, is_closed: bool = False) -> list[Pieces]:
        """What the letters and glyphs mean. is_closed: whether some of the items will be closed."""
        told = remarks(self._shown, ("fate", "elements", "role", "dtype", "device"), [item.line for item in items])
        is_closed = is_closed or any(item.is_closed for item in items)
        return [*told, [f"{CLOSED}: closed, --depth and --path open it"]] if is_closed else told

    def items(self, depth: int | None) -> list[Item]:
        """The lines of the tree, from the roots down. depth: modules so many steps below the root are closed."""
        found: list[Item] = []
        stack = [(root, "", "", "", 0) for root in reversed(self._roots)]
        while stack:
            node, above, branch, kept, level = stack.pop()
            node, level, codes = self._innermost(node, level)
            whole, held = self._sums[id(node)], self._held[id(node)]
            children = [child for child in node.children if id(child) in self._sums]
            listed = [line for line in held if not self._is_only_counted(line)]
            more, tail = [*_trained(whole), *_buffers(held, listed)], _glyphs("", codes)
            is_inline = not children and _are_alike(node, held, listed)
            is_closed = not is_inline and depth is not None and level >= depth
            if is_inline and listed:
                more = [*self._beside(listed), *more]
                tail = _glyphs(listed[0].glyphs, (*codes, *listed[0].codes))
            elif is_closed:
                tail = f" {CLOSED}{_glyphs(whole.glyphs, whole.codes)}"
            labels = _labels(node.path, above, self._kind(node), len(node.modules), tail)
            lead, rest = self._short(branch), self._short(kept)
            item = Item(lead, rest, labels, more, whole, self._ran(node), is_leaf=is_inline, is_closed=is_closed)
            found.append(item)
            if is_inline or is_closed:
                continue
            ends = [*["├─ "] * (len(listed) + len(children) - 1), "└─ "]
            leads = [(kept + end, kept + ("│  " if end == "├─ " else "   ")) for end in ends]
            for line, (lead, rest) in zip(listed, leads, strict=False):
                tail = _glyphs(line.glyphs, line.codes)
                labels = _labels(line.path, node.path, "", len(line.slots), tail)
                what = " ".join(filter(None, [_status_word(line), shape(line), self._unusual(line)]))
                found.append(
                    Item(self._short(lead), self._short(rest), labels, [what], line, _NO_CELLS, is_leaf=True)
                )
            ahead = zip(children, leads[len(listed) :], strict=True)
            stack += [(child, node.path, lead, rest, level + 1) for child, (lead, rest) in reversed(list(ahead))]
        return found

    def _innermost(self, node: Node, level: int) -> tuple[Node, int, tuple[str, ...]]:
        """The node that stands for one, its level, and codes of findings about it: a module that holds nothing but
        another one is named together with that."""
        codes = self._codes_of(node)
        while not self._held[id(node)] and len(node.children) == 1 and node.path:
            if id(node.children[0]) not in self._sums or len(node.children[0].modules) < len(node.modules):
                break
            node, level = node.children[0], level + 1
            codes += self._codes_of(node)
        return node, level, codes

    def _ran(self, node: Node) -> Sequence[str]:
        return ran_cells(self._report, node.modules) if self._report.run else ()

    def _kind(self, node: Node) -> str:
        return text.name(text.class_name(self._report.modules.at(node.modules[0]).type))

    def _short(self, lead: str) -> str:
        """The lines that lead to something very deep would leave no room for it."""
        return lead if len(lead) <= self._width // 2 else f"…{len(lead) // 3}… "

    def _codes_of(self, node: Node) -> tuple[str, ...]:
        return tuple(code for module in node.modules for code in self._codes.get(module, ())) if self._codes else ()

    def _beside(self, listed: list[Line]) -> list[str]:
        """The slots of a module beside it: `64×3×7×7`, ` + bias`."""
        first, *others = listed
        name = "" if first.record.name == "weight" else text.name(first.record.name)
        what = [_status_word(first), name, shape(first), self._unusual(first)]
        more = text.name(others[0].record.name) if len(others) == 1 else f"{len(others)} more"
        return [" ".join(filter(None, what)), *([f" + {more}"] if others else [])]

    def _unusual(self, line: Line) -> str:
        """The dtype and the device of a slot where they are not those of most."""
        dtype, device = self._usual
        if line.record.device not in (device, None):
            return " on ".join(filter(None, (line.record.dtype, line.record.device)))
        return (line.record.dtype or "") if line.record.dtype != dtype else ""

    def _is_only_counted(self, line: Line) -> bool:
        return self._is_terse and line.record.status == "buffer" and not line.glyphs and not line.codes


def _usual(lines: list[Line]) -> tuple[str | None, str | None]:
    """(dtype, device) of most elements that learn."""
    found: Counter[tuple[str | None, str | None]] = Counter()
    for line in lines:
        if line.record.status in LEARNING:
            found[line.record.dtype, line.record.device] += line.elements or 0
    return found.most_common(1)[0][0] if found else (None, None)


def _are_alike(node: Node, held: list[Line], listed: list[Line]) -> bool:
    """Whether a module's slots differ in no more than name and shape, and so fit beside it."""
    ways = {
        (
            fates(line),
            line.record.status,
            line.record.dtype,
            line.record.device,
            line.is_counted,
            line.glyphs,
            line.codes,
        )
        for line in listed
    }
    is_whole = all(line.path.startswith(node.path) for line in held)
    return is_whole and len(ways) <= 1 and not (len(listed) > 1 and listed[0].glyphs)


def _buffers(held: list[Line], listed: list[Line]) -> list[str]:
    """How many buffers of each module are not listed."""
    number = len({line.record.name for line in held} - {line.record.name for line in listed})
    return [f", {text.plural(number, 'buffer')}"] if number else []


def _trained(whole: Line) -> list[str]:
    """How many elements train, where only some do."""
    is_some = whole.closed is not None and all(whole.closed.slots[status] for status in PARAMETERS)
    return [f", {text.count(whole.closed.new['trainable'])} trainable"] if whole.closed and is_some else []


def _status_word(line: Line) -> str:
    return "" if line.record.status in PARAMETERS else line.record.status


def _glyphs(sharing: str, codes: tuple[str, ...]) -> str:
    return flat(glyphs_of(sharing, tuple(dict.fromkeys(codes))))


def _labels(path: str, above: str, kind: str, times: int, tail: str) -> list[str]:
    """`layers.[0-31]: Block ×32`, and shorter. above: path of the module around it."""
    name, end = text.name(_relative(path, above)), (f" ×{times}" if times > 1 else "") + tail
    if not name:
        return [kind + end]
    below = _below(path, above)
    short = f"….{text.name(below)}" if name == path != below else name
    names = [f"{each}: {kind}" for each in (name, short)] if kind else [name]
    return [each + end for each in dict.fromkeys((*names, short))]


def _relative(path: str, above: str) -> str:
    """A path as seen from a module above it; the whole path where it is not below all of that."""
    if above and path.startswith(above):
        rest = path[len(above) :]
        if rest.startswith("."):
            return rest[1:]
        if rest.startswith(("->", "::")):
            return rest
    return path


def _below(path: str, above: str) -> str:
    """A path less the steps that it has in common with another one."""
    common = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path.split("."), above.split("."), strict=False))
    )
    return ".".join(path.split(".")[common:])
