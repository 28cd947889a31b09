"""What was judged of findings by reading the packages' source, laid beside what a run has found."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from crater.records import Found, Outcome

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).with_name("verdicts.toml")
KINDS = ("bug", "true", "doubtful", "meant")
UNPROVEN_OF_CLASSES = 0.01
DOUBTFUL_OF_FINDINGS = 0.1


class Verdict(NamedTuple):
    """What somebody who read the source says of one rule's findings in some classes."""

    code: str
    classes: tuple[str, ...]
    """Globs of full class names."""
    verdict: str
    """`bug`: shown to break. `true`: what the finding says is so, and its maintainer would want to know.
    `doubtful`: it is so, and may be meant. `meant`: a false alarm."""
    where: str
    """File and line of the package."""
    why: str
    breaks: str
    """What happens, for a bug."""
    proof: str
    """Code that shows it."""


class Judged(NamedTuple):
    """One class's finding and its verdict, if there is one."""

    found: Found
    packages: tuple[str, ...]
    """In whose models it was met."""
    verdict: Verdict | None

    @property
    def kind(self) -> str:
        """The verdict in a word."""
        return self.verdict.verdict if self.verdict else "not judged"


class Result(NamedTuple):
    """A run, judged."""

    all: tuple[Judged, ...]
    classes: int
    """Different classes of the packages that were audited themselves."""
    stale: tuple[Verdict, ...]
    """Verdicts of findings that are no more."""

    def of(self, *kinds: str) -> list[Judged]:
        """Findings with one of some verdicts."""
        return [judged for judged in self.all if judged.kind in kinds]

    @property
    def unproven(self) -> set[str]:
        """Classes with a finding that is neither a bug nor true."""
        return {judged.found.cls for judged in self.of("doubtful", "meant", "not judged")}

    @property
    def is_good(self) -> bool:
        """Whether no more is left than may be."""
        few = len(self.unproven) <= UNPROVEN_OF_CLASSES * self.classes
        return few and len(self.of("doubtful", "meant", "not judged")) <= DOUBTFUL_OF_FINDINGS * max(len(self.all), 1)


def verdicts(file: Path = FILE) -> list[Verdict]:
    """All that were given. Raises ValueError for a word that is no verdict."""
    found = []
    for entry in tomllib.loads(file.read_text(encoding="utf-8")).get("verdict", []):
        classes: Any = entry["classes"]
        verdict = Verdict(
            entry["code"],
            tuple([classes] if isinstance(classes, str) else classes),
            entry["verdict"],
            entry["where"],
            entry["why"].strip(),
            entry.get("breaks", "").strip(),
            entry.get("proof", "").strip(),
        )
        if verdict.verdict not in KINDS:
            raise ValueError(f"{verdict.verdict} is no verdict; say one of {', '.join(KINDS)}")
        found.append(verdict)
    return found


def judged(outcomes: Sequence[Outcome], given: Iterable[Verdict] | None = None) -> Result:
    """Every finding once a rule and class, over all packages."""
    known = list(verdicts() if given is None else given)
    met: dict[tuple[str, str], tuple[Found, list[str]]] = {}
    for outcome in outcomes:
        for found in outcome.found:
            _, packages = met.setdefault((found.code, found.cls), (found, []))
            packages.append(outcome.name)
    everything = [
        Judged(found, tuple(packages), verdict_of(found, known)) for _, (found, packages) in sorted(met.items())
    ]
    used = {id(each.verdict) for each in everything}
    classes = {cls for outcome in outcomes for cls in outcome.roots}
    return Result(tuple(everything), len(classes), tuple(v for v in known if id(v) not in used))


def verdict_of(found: Found, known: Iterable[Verdict]) -> Verdict | None:
    """The first that is about a finding."""
    return next(
        (v for v in known if v.code == found.code and any(fnmatchcase(found.cls, glob) for glob in v.classes)), None
    )
