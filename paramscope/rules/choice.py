"""Codes, beginnings of codes and names → the rules that are meant. What no rule answers to is an error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from paramscope.errors import ParamscopeError, nearest
from paramscope.report.finding import is_meant
from paramscope.rules.rule import Loaded


class RuleError(ParamscopeError, ValueError):
    """A code that no rule has, or a choice of rules that contradicts itself."""


def matching(rules: Iterable[Loaded], code: str) -> tuple[Loaded, ...]:
    """The rules of a code (`PS104`), of a beginning of codes (`PS1`), or of a name. None where there are none."""
    return tuple(each for each in rules if is_meant(code, each.rule.code, each.rule.name))


def meant_by(rules: Sequence[Loaded], code: str, where: str = "") -> tuple[Loaded, ...]:
    """As `matching`. where: who says it, for the message. Raises RuleError where there are none."""
    found = matching(rules, code)
    if not found:
        by = f"{where}: " if where else ""
        near = _near(rules, code.strip())
        advice = f"Did you mean {' or '.join(near)}?" if near else "`paramscope rules` lists them all."
        raise RuleError(f"{by}there is no rule {code!r}", advice)
    return found


def _near(rules: Sequence[Loaded], word: str) -> list[str]:
    """Codes and names that a mistyped one may have meant, nearest first."""
    codes = [each.rule.code for each in rules]
    if word.isdecimal() and (of_number := [code for code in codes if code.removeprefix("PS") == word]):
        return of_number
    as_digits = re.sub(r"(?<=[A-Z])[0-9OIL]+$", lambda match: match[0].translate(_DIGITS), word.upper())
    if as_digits in codes:
        return [as_digits]
    return nearest(word.upper(), codes, n=2, cutoff=0.8) or nearest(
        word.lower(), [each.rule.name for each in rules], n=2
    )


_DIGITS = str.maketrans("OIL", "011")
"""Letters that are taken for digits."""


def choose(rules: Sequence[Loaded], select: str | Sequence[str], ignore: str | Sequence[str]) -> tuple[Loaded, ...]:
    """The rules that are selected (all, if none are) and not ignored; `"PS1,PS501"` are two codes.

    Raises RuleError for what no rule answers to, and where all that an entry selects is ignored.
    """
    ignored = {each.rule.code: word for word in codes_in(ignore) for each in meant_by(rules, word)}
    selected = {word: meant_by(rules, word) for word in codes_in(select)}
    for word, meant in selected.items():
        if all(each.rule.code in ignored for each in meant):
            raise RuleError(f"{word} is both selected and ignored", "Keep one of the two.")
    wanted = {each.rule.code for meant in selected.values() for each in meant}
    chosen = tuple(
        each for each in rules if each.rule.code not in ignored and (not selected or each.rule.code in wanted)
    )
    if not chosen:
        raise RuleError("every rule is ignored", "Leave some of them.")
    return chosen


def codes_in(given: str | Sequence[str]) -> list[str]:
    """`PS1,PS501` as two codes; each entry of a list may hold several."""
    parts = [given] if isinstance(given, str) else given
    return [code.strip() for each in parts for code in each.split(",") if code.strip()]


def on_snapshots(rules: Sequence[Loaded], *, of_ranks: bool = False) -> tuple[Loaded, ...]:
    """Those that judge a snapshot by itself, or, where it is of several ranks, those of ranks, too. Where there are
    none, all: whoever asks for nothing else is to be answered."""
    others = ("loop",) if of_ranks else ("loop", "ranks")
    return tuple(each for each in rules if each.rule.needs not in others) or tuple(rules)


def exactly(rules: Sequence[Loaded], code: str) -> Loaded:
    """The one rule of a code or a name. Raises RuleError."""
    for each in rules:
        if each.rule.code == code.strip().upper() or each.rule.name == code.strip().lower():
            return each
    several = matching(rules, code)
    if several:
        shown = ", ".join(each.rule.code for each in several[:6]) + (", …" if len(several) > 6 else "")
        raise RuleError(f"{code!r} is the beginning of {len(several)} codes", f"Name one of them: {shown}")
    meant_by(rules, code)
    raise AssertionError("unreachable: what matches nothing has raised")
