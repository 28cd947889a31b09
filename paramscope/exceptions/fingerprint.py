"""Finding → a fingerprint that stays the same while lines move, files are renamed and messages are reworded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from paramscope.report.finding import Finding

_LENGTH = 32


def fingerprint(finding: Finding, target: str | None) -> str:
    """Of the rule, the target and every place that takes part: what was accepted at one place is not at another."""
    import hashlib  # takes 3 ms, and only a baseline needs it

    hashed = hashlib.sha256()
    for each in (finding.code, plain_target(target), *finding.paths):
        data = each.encode("utf-8", "surrogatepass")
        # Lengths between them: no two lists of names run into the same bytes.
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return hashed.hexdigest()[:_LENGTH]


def fingerprints(findings: Iterable[Finding], target: str | None) -> list[str]:
    """One each, no two alike: of several findings of one rule at the same places, the later ones are numbered."""
    seen: Counter[str] = Counter()
    found = []
    for finding in findings:
        each = fingerprint(finding, target)
        seen[each] += 1
        found.append(each if seen[each] == 1 else f"{each}:{seen[each]}")
    return found


def plain_target(target: str | None) -> str:
    """`./model.py:build` and `model.py:build` are one."""
    text = (target or "").replace("\\", "/")
    while text.startswith("./"):
        text = text[2:].lstrip("/")
    return text
