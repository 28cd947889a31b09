"""What a rule thinks of a snapshot: findings, and what could not be decided."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple


class Severity(Enum):
    """How bad it is, ordered: `info < warning < error`."""

    ERROR = "error"
    """Training, saving or loading will not do what the code says."""
    WARNING = "warning"
    """Probably a mistake; legitimate uses exist."""
    INFO = "info"
    """A fact worth knowing; never fails a check."""

    @property
    def rank(self) -> int:
        """0 for info, 2 for error."""
        return ("info", "warning", "error").index(self.value)

    def __lt__(self, other: Any) -> bool:
        return self.rank < other.rank if isinstance(other, Severity) else NotImplemented

    def __le__(self, other: Any) -> bool:
        return self.rank <= other.rank if isinstance(other, Severity) else NotImplemented

    def __gt__(self, other: Any) -> bool:
        return self.rank > other.rank if isinstance(other, Severity) else NotImplemented

    def __ge__(self, other: Any) -> bool:
        return self.rank >= other.rank if isinstance(other, Severity) else NotImplemented


def is_meant(wanted: str, code: str, name: str) -> bool:
    """Whether a word that people write for a rule is its code (`PS104`), a beginning of it (`PS1`), or its name."""
    wanted = wanted.strip()
    return bool(wanted) and (code.upper().startswith(wanted.upper()) or name == wanted)


class Location(NamedTuple):
    """A line of source code."""

    file: str
    """Relative to the working directory where it lies below it."""
    line: int
    """Counted from 1."""


class _Finding(NamedTuple):
    code: str
    name: str
    severity: Severity
    message: str
    paths: tuple[str, ...]
    location: Location | None
    help: str


class Finding(_Finding):
    """Something wrong, or worth knowing, at one or more places of a model.

    `paths` names every place that takes part: a slot, a module, the root (`""`) or an optimizer's member
    (`optimizer[0].groups[0][3]`). A finding without a place cannot exist. Raises ValueError without paths.
    """

    __slots__ = ()

    def __new__(
        cls,
        code: str,
        name: str,
        severity: Severity,
        message: str,
        paths: tuple[str, ...],
        location: Location | None = None,
        help: str = "",
    ) -> Finding:
        if not paths:
            raise ValueError(f"{code}: a finding has to name the place that it is about")
        return super().__new__(cls, code, name, severity, message, tuple(paths), location, help)


class Skipped(NamedTuple):
    """A rule that could not decide, and why."""

    code: str
    reason: str
