"""The keywords of `expect` → what is asked, or an error that says what to write instead."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from paramscope.errors import ParamscopeError
from paramscope.report.face import Report
from paramscope.report.finding import Severity
from paramscope.snapshot import Snapshot


class ExpectationError(ParamscopeError, TypeError):
    """What was expected cannot be understood: a mistake in the test, not in the model."""


Count = int | range
Stepped = Literal["all-trainable"] | tuple[str, ...]


class Wanted(NamedTuple):
    """What one call of `expect` asks; None where it does not."""

    trainable: Count | None
    total: Count | None
    hidden: Count | None
    frozen: tuple[str, ...] | None
    """Globs."""
    trainable_only: tuple[str, ...] | None
    """Globs."""
    tied: tuple[frozenset[str], ...] | None
    """Groups of slot paths that have no path in common."""
    stepped: Stepped | None
    findings: Severity | tuple[str, ...] | None
    """The least severity of which nothing may be found; or the codes of all that has to be found, but for infos
    of other codes."""


def wanted(
    *,
    trainable: Any,
    total: Any,
    hidden: Any,
    frozen: Any,
    trainable_only: Any,
    tied: Any,
    stepped: Any,
    findings: Any,
    like: Any,
) -> Wanted:
    """Raises ExpectationError for what has the wrong type, and where nothing is expected at all."""
    if like is not None and not isinstance(like, (Report, Snapshot)):
        raise ExpectationError(
            f"like= takes a Report or a Snapshot, not {_what(like)}",
            "Take one of the earlier state: like=audit(earlier_model), or like=Report.from_json(text).",
        )
    asked = Wanted(
        _count("trainable", trainable),
        _count("total", total),
        _count("hidden", hidden),
        _globs("frozen", frozen),
        _globs("trainable_only", trainable_only),
        _groups(tied),
        "all-trainable" if isinstance(stepped, str) and stepped == "all-trainable" else _globs("stepped", stepped),
        _findings(findings),
    )
    if all(each is None for each in asked):
        compared = "like= is only compared with when an expectation fails, and " if like is not None else ""
        raise ExpectationError(
            f"{compared}nothing is expected, so this could never fail",
            "Say what must hold: trainable=, total=, hidden=, frozen=, trainable_only=, tied=, stepped=, findings=.",
        )
    return asked


def _count(keyword: str, value: Any) -> Count | None:
    if value is None:
        return None
    if isinstance(value, range):
        if not value:
            raise ExpectationError(
                f"{keyword}={value} allows no number at all",
                f"A range stops before its end: {keyword}=range(100, 201) allows 100 to 200.",
            )
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        whole = isinstance(value, float) and value.is_integer()
        number = f"{int(value):_}" if whole else "294_912"
        raise ExpectationError(
            f"{keyword}= takes a number of elements or a range, not {_what(value)}",
            f"Write {keyword}={number}, or {keyword}=range(290_000, 300_001).",
        )
    if value < 0:
        raise ExpectationError(f"{keyword}={value:_} is below nothing", f"Write {keyword}=0 for none.")
    return value


def _globs(keyword: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        more = ' or stepped="all-trainable"' if keyword == "stepped" else ""
        raise ExpectationError(
            f"{keyword}= takes a list of path globs, not the string {value!r}",
            f"Write {keyword}=[{value!r}]{more}.",
        )
    if not _is_collection(value) or not all(isinstance(each, str) for each in value):
        raise ExpectationError(
            f"{keyword}= takes a list of path globs, not {_what(value)}",
            f"Write {keyword}=['encoder.*', '*.bias'].",
        )
    globs = sorted(value) if isinstance(value, (set, frozenset)) else list(value)
    if "" in globs:
        raise ExpectationError(
            f"{keyword}={value!r} has an empty glob, which matches nothing", f"Write {keyword}=['*'] for all."
        )
    return tuple(dict.fromkeys(globs))


def _findings(value: Any) -> Severity | tuple[str, ...] | None:
    if value is None or isinstance(value, Severity):
        return value
    words = [each.value for each in Severity]
    if isinstance(value, str) and value in words:
        return Severity(value)
    if isinstance(value, str) or not _is_collection(value) or not all(isinstance(each, str) for each in value):
        raise ExpectationError(
            f"findings= takes codes or a severity, not {_what(value)}",
            f"Write findings=() for none, findings=['PS104'] for these and no others, or one of {', '.join(words)}.",
        )
    return tuple(sorted(set(value)))


def _groups(value: Any) -> tuple[frozenset[str], ...] | None:
    if value is None:
        return None
    example = "Write tied=[{'lm_head.weight', 'transformer.wte.weight'}], or tied=[] for none."
    if not _is_collection(value):
        raise ExpectationError(f"tied= takes a list of sets of paths, not {_what(value)}", example)
    groups: list[frozenset[str]] = []
    for group in value:
        if not _is_collection(group) or not all(isinstance(path, str) for path in group):
            raise ExpectationError(f"tied= takes sets of paths, and has {group!r} among them", example)
        if len(frozenset(group)) < 2:
            raise ExpectationError(f"tied= has {group!r}, and one slot alone is not tied", example)
        groups.append(frozenset(group))
    return _joined(groups)


def _is_collection(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, (str, bytes, Mapping))


def _joined(groups: Iterable[frozenset[str]]) -> tuple[frozenset[str], ...]:
    """Groups with a path in common as one: what is tied to one thing is tied together."""
    result: list[frozenset[str]] = []
    for group in groups:
        apart = [other for other in result if other.isdisjoint(group)]
        result = [*apart, group.union(*(other for other in result if not other.isdisjoint(group)))]
    return tuple(result)


def _what(value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, (bool, int, float, str)):
        return f"{value!r}"
    return f"an {kind}" if kind[:1] in "aeiouAEIOU" else f"a {kind}"
