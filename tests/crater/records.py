"""What came of one package, as it stands in its JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Found:
    """What one rule said of one class at warning or above, in all audits."""

    code: str
    cls: str
    """The class that owns what is named first; where that is torch's, the next above."""
    severity: str
    """The worst."""
    says: list[str]
    """The first few different messages, each with its help."""
    paths: list[str]
    location: str
    """File and line, relative to the folder of the packages."""
    root: str
    """The class, or the function of the package's file, in whose audit it was met first."""
    state: str
    times: int = 1


@dataclass
class Outcome:
    """One package."""

    name: str
    distribution: str = ""
    version: str = ""
    roots: list[str] = field(default_factory=list)
    """Classes of the package that were audited themselves."""
    inside: list[str] = field(default_factory=list)
    """Classes of the package that stood in a model that was audited, those of `roots` too."""
    built: list[str] = field(default_factory=list)
    """Functions of the package's file that built a model."""
    audits: int = 0
    steps: int = 0
    """Real forwards, backwards and steps that were done in between."""
    found: list[Found] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Where a report contradicts torch, or an audit raised, changed something or drew a random number."""
    troubles: list[str] = field(default_factory=list)
    """Functions of the package's file that failed, and modules that cannot be imported."""
    not_built: dict[str, list[str]] = field(default_factory=dict)
    """Classes that were not constructed, by why."""
    seconds: float = 0.0
    slowest: float = 0.0
    """Seconds of the processor that the slowest audit took."""
    lost: str = ""
    """Why the rest of the package is missing."""

    @property
    def phase(self) -> str:
        """What was being done when the rest was lost."""
        return self.lost.rpartition("while ")[2]

    def write(self, folder: Path) -> None:
        """Keeps it as JSON."""
        (folder / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def read(file: Path) -> Outcome:
    """An outcome that was kept."""
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    data["found"] = [Found(**found) for found in data["found"]]
    return Outcome(**data)


def read_all(folder: Path) -> list[Outcome]:
    """All that were kept, in the order of their names."""
    return [read(file) for file in sorted(folder.glob("*.json"))]
