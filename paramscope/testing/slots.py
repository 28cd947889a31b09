"""Parameters that are not frozen, trainable or tied as expected → which, and how they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from paramscope import text
from paramscope.analysis.changes import tied_parameters
from paramscope.analysis.paths import PathRow, aligned, fold_paths, sizes, tie_lines, with_facts
from paramscope.glob import close_to, compile_glob, parts_without
from paramscope.snapshot import SlotRecord, Snapshot
from paramscope.testing.message import Unmet, quoted


def check_frozen(snapshot: Snapshot, globs: Sequence[str]) -> Iterator[Unmet]:
    """Matched parameters that are trainable."""
    parameters = registered_parameters(snapshot)
    yield from unmatched_globs("frozen", globs, parameters, snapshot)
    matched = matching(globs, parameters)
    unfrozen = [slot for slot in matched if slot.trainable]
    if unfrozen:
        yield Unmet(
            f"{quoted('frozen', globs)}: {len(unfrozen):,} of {text.plural(len(matched), 'parameter')} not frozen",
            tuple(aligned(slot_lines([("trainable", unfrozen)]))),
        )


def check_trainable_only(snapshot: Snapshot, globs: Sequence[str]) -> Iterator[Unmet]:
    """Matched parameters that are frozen, and others that are not."""
    parameters = registered_parameters(snapshot)
    yield from unmatched_globs("trainable_only", globs, parameters, snapshot)
    wanted = {slot.path for slot in matching(globs, parameters)}
    unfroze = [slot for slot in parameters if slot.trainable and slot.path not in wanted]
    froze = [slot for slot in parameters if slot.frozen and slot.path in wanted]
    if unfroze or froze:
        parts = []
        if unfroze:
            parts.append(f"{text.plural(len(unfroze), 'other parameter')} trainable")
        if froze:
            parts.append(f"{len(froze):,} of {text.plural(len(wanted), 'matched parameter')} frozen")
        lines = slot_lines([("trainable", unfroze), ("frozen", froze)], tied=tied_parameters(snapshot))
        yield Unmet(f"{quoted('trainable_only', globs)}: {', '.join(parts)}", tuple(aligned(lines)))


def check_tied(snapshot: Snapshot, groups: Sequence[frozenset[str]]) -> Iterator[Unmet]:
    """Expected ties that do not exist, and ties that were not expected."""
    known = {slot.path for slot in registered_parameters(snapshot)}
    unknown = sorted({path for group in groups for path in group} - known)
    for path in unknown:
        near = _kind_of(path, snapshot) or _near(path, known, "it takes paths, such as 'lm_head.weight'")
        yield Unmet(f"tied: there is no parameter {path!r}; {near}")
    if snapshot.is_truncated:
        yield Unmet("tied: unknown, because a shared module has more paths than are listed")
        return
    found = tied_parameters(snapshot)
    in_group = {path: number for number, group in enumerate(found) for path in group}
    expected = {path: number for number, group in enumerate(groups) for path in group}
    order = {path: number for number, path in enumerate(snapshot.slots)}
    untied = []
    for group in groups:
        paths = tuple(sorted(group & known, key=order.__getitem__))
        if len({in_group.get(path, path) for path in paths}) > 1:
            untied.append(paths)
    tied = [group for group in found if len({expected.get(path, path) for path in group}) > 1]
    if tied or untied:
        lines = [
            *(("not tied", line) for line in tie_lines(untied)),
            *(("tied", line) for line in tie_lines(tied)),
        ]
        parts = []
        if untied:
            parts.append(f"{text.plural(len(untied), 'expected tie')} missing")
        if tied:
            parts.append(f"{text.plural(len(tied), 'tie')} not expected")
        yield Unmet(f"tied: {', '.join(parts)}", tuple(aligned(lines)))


def registered_parameters(snapshot: Snapshot) -> list[SlotRecord]:
    """Every slot that `named_parameters(remove_duplicate=False)` gives."""
    return [slot for slot in snapshot.slots.records() if slot.trainable or slot.frozen]


def matching(globs: Iterable[str], slots: Iterable[SlotRecord]) -> list[SlotRecord]:
    """Those that one of the globs matches, or more."""
    predicates = [compile_glob(glob) for glob in globs]
    return [slot for slot in slots if any(matches(slot.path) for matches in predicates)]


def unmatched_globs(
    keyword: str, globs: Iterable[str], slots: Sequence[SlotRecord], snapshot: Snapshot
) -> Iterator[Unmet]:
    """Globs that match none of the slots, with what they may have meant."""
    for glob in globs:
        for part in parts_without(glob, [slot.path for slot in slots]):
            of = "" if part == glob else f" of {glob!r}"
            yield Unmet(f"{keyword}: {part!r}{of} matches no parameter; {_instead(part, slots, snapshot)}")


def _instead(glob: str, slots: Iterable[SlotRecord], snapshot: Snapshot) -> str:
    """What may have been meant by a glob that matches no parameter."""
    known = [slot.path for slot in slots]
    if glob in snapshot.modules:
        return "it is a module, and no parameter lies in it"
    if "*" in glob:
        known = [*(f"{path}.*" for path in snapshot.modules if path), *known]
    return _kind_of(glob, snapshot) or _near(glob, known, "`*` crosses dots: 'encoder.*', '*.bias'")


def _near(glob: str, paths: Iterable[str], otherwise: str) -> str:
    near = close_to(glob, paths)
    return f"near it: {', '.join(map(text.name, near))}" if near else otherwise


def _kind_of(glob: str, snapshot: Snapshot) -> str:
    """What else a glob or path matches; empty if nothing."""
    matches = compile_glob(glob)
    if glob in snapshot.modules:
        return "it is a module, name one of its parameters"
    other = next((slot for slot in snapshot.slots.records() if matches(slot.path)), None)
    if other is None:
        return ""
    article = {"empty": "an empty slot", "attribute": "an attribute"}.get(other.status, f"a {other.status} slot")
    return f"{text.name(other.path)} is {article}, no registered parameter"


def slot_lines(
    words: Iterable[tuple[str, Sequence[SlotRecord]]], *, tied: Iterable[tuple[str, ...]] = ()
) -> list[tuple[str, str]]:
    """(`trainable`, `layers.[0-31].weight ×32 (4×4, 512 elements)`), for each word and its slots.

    tied: groups of paths; a slot in one says what it is tied to.
    """
    partners = {path: tuple(other for other in group if other != path) for group in tied for path in group}
    lines = []
    for word, slots in words:
        apart = [slot for slot in slots if slot.path not in partners]
        for row in fold_paths([((slot.path,), slot.shape) for slot in apart]):
            first = apart[row.members[0]]
            lines.append((word, with_facts(row, *sizes(first.shape, first.numel, len(row.members)))))
        for slot in slots:
            if slot.path in partners:
                other, *more = partners[slot.path]
                note = f"tied to {text.name(other)}" + (f" and {len(more)} more" if more else "")
                row = PathRow(text.name(slot.path), [0])
                lines.append((word, with_facts(row, *sizes(slot.shape, slot.numel, 1), note)))
    return lines
