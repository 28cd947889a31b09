"""What a rule thinks of a snapshot: findings, and what could not be decided."""

from __future__ import annotations

import os
from enum import Enum
from typing import Any, Literal, NamedTuple

from paramscope import text


class Severity(Enum):
    """How bad it is, ordered: `info < warning < error`."""

    ERROR = "error"
    """Training, saving or loading will not do what the code says."""
    WARNING = "warning"
    """Probably a mistake; legitimate uses exist."""
    INFO = "info"
    """A fact worth knowing; never fails a check."""

    @classmethod
    def _missing_(cls, value: object) -> Severity:
        raise ValueError(f"{value!r} is no severity: write one of {', '.join(each.value for each in cls)}")

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


OnFinding = Literal["warn", "raise", "collect"]
"""What becomes of a finding while a model is trained, besides that it is kept."""


def is_meant(wanted: str, code: str, name: str) -> bool:
    """Whether a word that people write for a rule is its code (`PS104`), a beginning of it (`PS1`), or its name."""
    wanted = wanted.strip()
    return bool(wanted) and (code.upper().startswith(wanted.upper()) or name == wanted)


class _Location(NamedTuple):
    path: str
    line: int


class Location(_Location):
    """A line of source code: the same one from whatever folder it is looked at.

    `Location(file, line)` takes a file as it is named from the working directory, and keeps where that is: `path` is
    the same for all, `file` is what to show. `line` counts from 1.
    """

    __slots__ = ()

    def __new__(cls, file: str, line: int) -> Location:
        return super().__new__(cls, _absolute(file), line)

    @property
    def file(self) -> str:
        """Relative to the working directory of today where it lies below it."""
        return shown_file(self.path)


def _absolute(file: str) -> str:
    # NOTE: what stands between angle brackets, such as a cell of a notebook, is no file; and nothing is made simpler:
    # a name that is shown again is to be the one that was given.
    if not file or file.startswith("<") or os.path.isabs(file):
        return file
    folder = _folder()
    return os.path.join(folder, file) if folder else file


def real_file(file: str) -> str:
    """Where a file really lies; the name itself for what is no file, such as a cell of a notebook."""
    return os.path.realpath(file) if os.path.isabs(file) else file


def shown_file(path: str) -> str:
    """Relative to the working directory where it lies below it."""
    folder = _folder()
    return path[len(folder) + 1 :] if folder and path.startswith(os.path.join(folder, "")) else path


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""


class _Finding(NamedTuple):
    code: str
    name: str
    severity: Severity
    message: str
    paths: tuple[str, ...]
    location: Location | None
    help: str
    unlocated: str


class Finding(_Finding):
    """Something wrong, or worth knowing, at one or more places of a model.

    `paths` names every place that takes part: a slot, a module, the root (`""`) or an optimizer's member
    (`optimizer[0].groups[0][3]`). A finding without a place cannot exist. Where no line is known, `unlocated` says
    why; it is empty where one is, and where no one line could be to blame. Raises ValueError without paths.
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
        unlocated: str = "",
    ) -> Finding:
        if not paths:
            raise ValueError(f"{code}: a finding has to name the place that it is about")
        return super().__new__(cls, code, name, severity, message, tuple(paths), location, help, unlocated)

    @property
    def place(self) -> str:
        """`net.py:12`, or the first of its places where no line is known."""
        if self.location is None:
            first = text.name(self.paths[0]) or "the root"
            return first if len(self.paths) == 1 else f"{first} and {len(self.paths) - 1:,} more"
        return f"{text.plain(self.location.file)}:{self.location.line}"

    def __str__(self) -> str:
        head = f"{self.place}: {self.severity.value} {text.plain(self.code)} {text.plain(self.name)}"
        said = ("", self.message), ("help: ", self.help), ("no line: ", self.unlocated)
        return "\n".join([head, *(f"  {label}{text.plain(words)}" for label, words in said if words)])


class Skipped(NamedTuple):
    """A rule that could not decide, and why."""

    code: str
    reason: str
