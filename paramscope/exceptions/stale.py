"""Exceptions that were declared and no longer accept anything: a line for each, so that they can be removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from paramscope import source, text
from paramscope.config import DeclaredIgnore
from paramscope.exceptions.apply import Applied, Exceptions, key_of
from paramscope.exceptions.baseline import Entry
from paramscope.exceptions.fingerprint import plain_target
from paramscope.glob import any_of
from paramscope.report.finding import is_meant, real_file, shown_file

_LISTED = 3


class Ran(NamedTuple):
    """One target that was checked."""

    target: str | None
    applied: Applied
    rules: frozenset[tuple[str, str]]
    """(code, name) of the rules that could say something: neither left out nor skipped."""
    comments: Sequence[source.comments.IgnoreComment]
    """Comments in the classes of its model."""


def stale(exceptions: Exceptions, ran: Sequence[Ran]) -> list[str]:
    """What has accepted nothing in any of the targets that it concerns.

    An exception of a rule that did not run, or of a target that was not checked, is not judged.
    """
    return [*_ignores(exceptions.ignores, ran), *_comments(ran), *_entries(exceptions, ran)]


def _ran(code: str, ran: Iterable[Ran]) -> bool:
    rules = {rule for each in ran for rule in each.rules}
    return any(is_meant(code, known, name) for known, name in rules)


def _ignores(ignores: Sequence[DeclaredIgnore], ran: Sequence[Ran]) -> Iterator[str]:
    for number, ignore in enumerate(ignores):
        is_target = any_of(ignore.targets)
        meant = [each for each in ran if is_target(each.target or "")]
        if any(each.applied.ignores.get(number) for each in meant) or not _ran(ignore.code, meant):
            continue
        where = f" at {', '.join(ignore.paths)}" if ignore.paths else ""
        if any(number in each.applied.ignores for each in meant):
            yield (
                f"{ignore.origin}: {ignore.code}{where} covers some places of a finding and not all, so the finding "
                "stands: let path match the others, too"
            )
        else:
            yield f"{ignore.origin}: {ignore.code}{where} matches nothing any more: take it out"


def _comments(ran: Sequence[Ran]) -> Iterator[str]:
    used = {key for each in ran for key in each.applied.comments}
    every = {key_of(comment): comment for each in ran for comment in each.comments}
    for key, comment in every.items():
        meant = [each for each in ran if any(key_of(one) == key for one in each.comments)]
        if key not in used and any(_ran(code, meant) for code in comment.codes):
            where = f"{shown_file(real_file(comment.file))}:{comment.line}"
            yield f"{where}: ignore[{', '.join(comment.codes)}] matches nothing any more: take it out"


def _entries(exceptions: Exceptions, ran: Sequence[Ran]) -> Iterator[str]:
    if exceptions.baseline is None:
        return
    met = {key for each in ran for key in each.applied.fingerprints}
    left: list[Entry] = []
    for key, entry in exceptions.baseline.entries.items():
        meant = [each for each in ran if plain_target(each.target) == entry.target]
        if key not in met and _ran(entry.code, meant):
            left.append(entry)
    if left:
        named = ", ".join(f"{each.code} at {text.name(each.place) or 'the root'}" for each in left[:_LISTED])
        more = f", and {len(left) - _LISTED:,} more" if len(left) > _LISTED else ""
        what = "1 entry matches" if len(left) == 1 else f"{len(left):,} entries match"
        yield f"{exceptions.baseline.file}: {what} nothing any more ({named}{more}): write it anew"
