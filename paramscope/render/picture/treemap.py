"""Report → a treemap in SVG, without a script: each area is as large as what it stands for, by module and status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from paramscope import text
from paramscope.analysis.nbytes import nbytes_by
from paramscope.errors import FormatError
from paramscope.render._chosen import Selection, nothing, wanted_slots
from paramscope.render._page import title
from paramscope.render._pieces import flat
from paramscope.render.picture import _drawing as draw
from paramscope.render.picture._drawing import FILLS, HEAD, MARGIN, Box, Mark
from paramscope.render.picture._text import module_title
from paramscope.report.data import ReportData

SIZES = ("elements", "bytes")
MOST = 300
"""Areas that are drawn, but for what is too small to be seen."""
_INSIDE = 100
"""Things that one module is opened into; the smallest of more are one area."""
_OPENED, _SEEN = 2_500, 12
"""Pixels that a module has at least to be opened, for each name that stands above it; and those of what stands for
itself in it."""
_MOSTLY = 0.95
"""Of a module that is less than half of the model: where one thing in it is more than this of it, it stays closed."""
_NOTHING = 1e-6
"""Pixels of a side that nobody sees."""
_ROOTS = -1
"""The position of what holds several roots."""
_LINE, _CHIP = 14, 16
"""Pixels from one line of a label to the next, and the height of the label of what is opened."""


class _Part(NamedTuple):
    """A module, a tensor, or several of them in one area."""

    path: str
    name: str
    """As seen from the module above."""
    kind: str
    """The class of a module; the shape of a tensor."""
    sums: Counter[str]
    """What is in it, by status."""
    module: int | None = None
    """Its position, where it may be opened."""

    @property
    def size(self) -> int:
        """All that is in it."""
        return self.sums.total()


class _Area(NamedTuple):
    """Where a part stands."""

    part: _Part
    box: Box
    depth: int


def render(
    report: ReportData, *, size: str = "elements", path: str | None = None, pixels: tuple[int, int] = (960, 540)
) -> str:
    """Every tensor of known size once, where it stands first: nested areas by module, the largest opened first, until
    there are some 300; what is not opened is split by status, so that each colour has its exact area.

    size: what areas stand for, `elements` or `bytes` (each byte of a storage once). path: a glob; only slots that
    match are drawn. pixels: width and height.

    Raises GlobError where the glob matches nothing, FormatError for another size, or one that cannot be drawn.
    """
    if size not in SIZES:
        raise FormatError(f"areas cannot stand for {size!r}", f"Choose from {', '.join(SIZES)}.")
    width, height = draw.checked(pixels)
    selection = Selection(path=path)
    model = _Model(report, size, wanted_slots(report, selection))
    whole = model.root
    figure = _amount(whole.size, size, is_short=False)
    if model.unsized:
        figure += f", and {text.plural(model.unsized, 'tensor')} of unknown size"
    ground = Box(MARGIN, HEAD, width - 2 * MARGIN, height - HEAD - MARGIN)
    if not whole.size:
        is_empty = not report.snapshot.tensor_columns.specs
        words = nothing(report, selection) if is_empty else f"no tensor has any {size} yet"
        parts = [draw.label(MARGIN, HEAD + 20, draw.fitted(words, ground.w, 13), size=13, is_quiet=True)]
    else:
        parts = _drawn(*_laid_out(model, ground), whole.size, size)
    legend = [
        Mark(fill, f"{status} {_amount(whole.sums[status], size)} ({_share(whole.sums[status], whole.size)})")
        for status, fill in FILLS.items()
        if whole.sums[status]
    ]
    told = f"Treemap: areas stand for {size}, each tensor counted once: {figure}; {draw.read_out(legend)}."
    return draw.card(width, height, flat(title(report)), figure, legend, told, parts)


class _Model:
    """What the modules of a report hold."""

    def __init__(self, report: ReportData, size: str, wanted: set[int] | None) -> None:
        snapshot = report.snapshot
        self._report, self._tree = report, snapshot.tree
        self._paths, self._types = snapshot.module_columns.paths, snapshot.module_columns.types
        self._kinds = snapshot.interned.types
        self._own: dict[int, list[tuple[int, str, int]]] = {}
        """By module: slot, status and size of the tensors that stand there."""
        self.unsized = 0
        sums: list[Counter[str]] = [Counter() for _ in self._paths]
        specs, spec_of = snapshot.interned.specs, snapshot.tensor_columns.specs
        nbytes = nbytes_by(snapshot, range(len(spec_of))) if size == "bytes" else None
        for tensor, slot in self._places(wanted).items():
            found = specs[spec_of[tensor]].numel if nbytes is None else nbytes[tensor]
            if found is None or (not found and specs[spec_of[tensor]].shape is None):
                self.unsized += 1
            elif found:
                module, status = snapshot.slot_columns.modules[slot], snapshot.status(slot)
                status = status if status in FILLS else "unknown"
                self._own.setdefault(module, []).append((slot, status, found))
                sums[module][status] += found
        for module in range(len(sums) - 1, 0, -1):  # a child stands behind its parent
            above = self._tree.parents[module]
            for inside, number in sums[module].items() if above >= 0 else ():
                sums[above][inside] += number
        self._sums = sums
        self._roots = [at for at, above in enumerate(self._tree.parents) if above < 0]
        self.root = self._whole()
        """All of it: the root, or what holds several."""

    def _places(self, wanted: set[int] | None) -> dict[int, int]:
        """Of each tensor the slot where it is drawn: the first one that is registered, or the first."""
        snapshot = self._report.snapshot
        found: dict[int, int] = {}
        for slot, tensor in enumerate(snapshot.slot_columns.tensors):
            if tensor < 0 or (wanted is not None and slot not in wanted):
                continue
            first = found.setdefault(tensor, slot)
            if first != slot and not snapshot.is_registered(first) and snapshot.is_registered(slot):
                found[tensor] = slot
        return found

    def _whole(self) -> _Part:
        roots = self._below(_ROOTS)
        if len(roots) == 1:
            return self._part(roots[0], "")
        return _Part("", "", "", sum((self._sums[root] for root in roots), Counter[str]()), _ROOTS)

    def _below(self, module: int) -> list[int]:
        """The modules right below one that hold anything."""
        below = self._tree.children.get(module, ()) if module >= 0 else self._roots
        return [each for each in below if self._sums[each]]

    def _part(self, module: int, above: str) -> _Part:
        """A module; where it holds nothing but one other, that one."""
        while module not in self._own:
            below = self._below(module)
            if len(below) != 1:
                break
            (module,) = below
        path = self._paths[module]
        kind = text.class_name(self._kinds[self._types[module]])
        return _Part(path, module_title(above, path), kind, self._sums[module], module)

    def inside(self, part: _Part) -> list[_Part]:
        """What a part is opened into, the largest first; nothing where it stays closed."""
        module = part.module
        if module is None:
            return []
        below = [self._part(each, part.path) for each in self._below(module)]
        own = [self._tensor(*each) for each in self._own.get(module, ())]
        found = sorted([*below, *own], key=lambda each: -each.size)
        if len(found) < 2 and not below:
            return []
        is_said = found[0].size > _MOSTLY * part.size and 2 * part.size < self.root.size
        return [] if is_said else found

    def _tensor(self, slot: int, status: str, size: int) -> _Part:
        slots = self._report.slots
        record = slots.at(slot)
        return _Part(slots.path_at(slot), record.name, text.shape(record.shape), Counter({status: size}))


def _amount(number: int, size: str, *, is_short: bool = True) -> str:
    if size == "bytes":
        return text.nbytes(number)
    return text.short(number) if is_short else f"{number:,} elements"


def _share(part: int, whole: int) -> str:
    share = text.share(part, whole)
    return "<0.1%" if part and share == "0.0" else f"{share}%"


def _laid_out(model: _Model, ground: Box) -> tuple[list[_Area], list[_Area]]:
    """(what is opened, what is not). Of modules of one size all are opened or none."""
    waiting = [_Area(model.root, ground, 0)]
    opened: list[_Area] = []
    closed: list[_Area] = []
    while waiting:
        largest = max(area.part.size for area in waiting)
        now = [area for area in waiting if area.part.size == largest]
        waiting = [area for area in waiting if area.part.size != largest]
        inside = [_gathered(model.inside(area.part), area) for area in now]
        visible = sum(area.box.area >= _SEEN for area in [*waiting, *closed])
        if visible + sum(map(len, inside)) > MOST or now[0].box.area < _OPENED * now[0].depth:
            closed += now
            continue
        for area, parts in zip(now, inside, strict=True):
            if not parts:
                closed.append(area)
                continue
            opened.append(area)
            boxes = squarified([part.size for part in parts], area.box)
            waiting += [_Area(part, box, area.depth + 1) for part, box in zip(parts, boxes, strict=True)]
    return opened, closed


def _gathered(parts: list[_Part], area: _Area) -> list[_Part]:
    """Those that are large enough to be seen, and the rest as one."""
    seen = sum(part.size * area.box.area >= _SEEN * area.part.size for part in parts[:_INSIDE])
    rest = parts[seen:]
    if len(rest) < 2:
        return parts
    whole = Counter[str]()
    for part in rest:
        whole.update(part.sums)
    name = f"{len(rest):,} more"
    shown = [*parts[:seen], _Part(f"{name} in {area.part.path or 'the root'}", name, "", whole)]
    return sorted(shown, key=lambda part: -part.size) if seen else []


def squarified(sizes: Sequence[float], box: Box) -> Iterator[Box]:
    """A box cut into areas of these sizes, falling and above zero, each as near to a square as a row at a time can
    make it. Bruls, Huizing and van Wijk, Squarified Treemaps, 2000."""
    scale = box.area / sum(sizes)
    areas = [size * scale for size in sizes]
    start = 0
    while start < len(areas):
        side = min(box.w, box.h)
        if side < _NOTHING:  # what is left is smaller than the rounding of what stands there
            yield from (box._replace(w=0, h=0) for _ in areas[start:])
            return
        stop, row = start + 1, areas[start]
        while stop < len(areas) and _worst(areas, start, stop + 1, row + areas[stop], side) <= _worst(
            areas, start, stop, row, side
        ):
            row += areas[stop]
            stop += 1
        deep = min(row / side, max(box.w, box.h))
        at = 0.0
        for area in areas[start:stop]:
            along = side * area / row
            if box.w >= box.h:
                yield Box(box.x, box.y + at, deep, along)
            else:
                yield Box(box.x + at, box.y, along, deep)
            at += along
        if box.w >= box.h:
            box = Box(box.x + deep, box.y, max(box.w - deep, 0.0), box.h)
        else:
            box = Box(box.x, box.y + deep, box.w, max(box.h - deep, 0.0))
        start = stop


def _worst(areas: Sequence[float], start: int, stop: int, row: float, side: float) -> float:
    """The ratio of the sides of the longest area in a row, which falls."""
    return max(side * side * areas[start] / row**2, row**2 / (side * side * areas[stop - 1]))


def _drawn(opened: list[_Area], closed: list[_Area], whole: int, size: str) -> list[str]:
    pieces = [piece for area in closed for piece in _by_status(area)]
    parts: list[str] = []
    for status, fill in FILLS.items():
        mine = [area for area in pieces if status in area.part.sums]
        if mine:
            parts.append(f'<g class="ps-{status}">')
            parts += [draw.rect(each.box, fill.color, _tip(each.part, whole, size)) for each in mine]
            parts += [hatch for each in mine for hatch in draw.hatched(each.box, fill)]
            parts.append("</g>")
    parts += [draw.outline(area.box, 0.7) for area in pieces if min(area.box.w, area.box.h) >= 2]
    opened.sort(key=lambda area: -area.depth)
    parts += [draw.outline(area.box, max(1.0, 3.5 - area.depth)) for area in opened if area.depth]
    chips: list[Box] = []
    above: list[str] = []
    for area in reversed(opened):
        found = _chip(area, chips, whole, size) if area.depth else None
        if found:
            chips.append(found[0])
            above += draw.chip(*found)
    for area in pieces:
        parts += _label(area, chips, whole, size)
    return parts + above


def _by_status(area: _Area) -> Iterator[_Area]:
    """What is not opened, cut along its longer side into its statuses."""
    part, box = area.part, area.box
    sums = {status: part.sums[status] for status in FILLS if part.sums[status]}
    at = 0.0
    for status, number in sums.items():
        share = number / part.size
        if box.w >= box.h:
            cut = Box(box.x + at * box.w, box.y, share * box.w, box.h)
        else:
            cut = Box(box.x, box.y + at * box.h, box.w, share * box.h)
        yield _Area(part._replace(sums=Counter({status: number})), cut, area.depth)
        at += share


def _name(part: _Part, room: float) -> str:
    """What a part is called in some pixels: of `layers.7` the number before anything is cut."""
    last = part.name.rpartition(".")[2]
    is_short = draw.text_width(part.name, 11) <= room or not last or draw.text_width(last, 11) > room
    return draw.fitted(part.name if is_short else last, room, 11)


def _tip(part: _Part, whole: int, size: str) -> str:
    (status,) = part.sums
    kind = f" ({part.kind})" if part.kind else ""
    path = text.name(part.path) or "the root"
    return f"{path}{kind}: {_amount(part.size, size, is_short=False)}, {_share(part.size, whole)}, {status}"


def _chip(area: _Area, others: Sequence[Box], whole: int, size: str) -> tuple[Box, str] | None:
    """(where the name of what is opened stands, the name): below those of what it lies in; None without room."""
    box, part = area.box, area.part
    for more in (f" · {_amount(part.size, size)} · {_share(part.size, whole)}", ""):
        words = _name(part, box.w - 14) + more
        place = Box(box.x + 2, box.y + 2, draw.text_width(words, 11) + 10, _CHIP)
        while any(place.meets(other) for other in others):
            place = place._replace(y=place.y + _CHIP + 1)
        if words != more and place.w <= box.w - 4 and place.y + 2 * _CHIP <= box.y + box.h:
            return place, words
    return None


def _label(area: _Area, chips: Sequence[Box], whole: int, size: str) -> list[str]:
    """As many lines as there is room for below the names of what it lies in."""
    box, part = area.box, area.part
    (status,) = part.sums
    # What a chip covers is lost to the label.
    top = max([box.y, *(chip.y + chip.h for chip in chips if chip.meets(box))])
    room = box._replace(x=box.x + 5, w=box.w - 9, y=top + 2, h=box.y + box.h - top - 4)
    name = _name(part, room.w)
    lines = int(room.h / _LINE)
    if not name or lines < 1:
        return []
    figures = [f"{_amount(part.size, size)} · {_share(part.size, whole)}", _amount(part.size, size)]
    found = [name, *[each for each in figures if draw.text_width(each, 11) <= room.w][:1]]
    if draw.text_width(status, 11) <= room.w and status != "trainable":
        found.append(status)
    ink = FILLS[status].ink
    return [
        draw.label(room.x, room.y + _LINE * (i + 1) - 4, words, ink=ink, is_bold=not i)
        for i, words in enumerate(found[:lines])
    ]
