"""Findings ↔ a baseline: a file of what was found when a project began to check, so that only new ones count."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from paramscope.errors import ParamscopeError
from paramscope.exceptions.fingerprint import fingerprints, plain_target
from paramscope.report.finding import Finding

FORMAT = "paramscope.baseline"
VERSION = 1
MAX_BYTES = 1 << 26
"""Baselines above 64 MiB are not read: a hundred thousand findings take less."""
_ANEW = "Write it anew: paramscope check … --write-baseline FILE"


class BaselineError(ParamscopeError, ValueError):
    """A baseline that is damaged, foreign, or of another version."""


class Entry(NamedTuple):
    """One finding that is accepted."""

    fingerprint: str
    code: str
    target: str
    place: str
    """The first of its places; for people, as the rest is in the fingerprint."""


class Baseline(NamedTuple):
    """Findings that are accepted, each once."""

    entries: Mapping[str, Entry]
    """By fingerprint."""
    file: str = ""
    """As messages name it."""


def to_baseline(checked: Iterable[tuple[str | None, Iterable[Finding]]], file: str = "") -> Baseline:
    """What accepts all of these findings. checked: (target, its findings) pairs."""
    entries: dict[str, Entry] = {}
    for target, findings in checked:
        findings = list(findings)
        for key, finding in zip(fingerprints(findings, target), findings, strict=True):
            entries[key] = Entry(key, finding.code, plain_target(target), finding.paths[0])
    return Baseline(entries, file)


def write_baseline(baseline: Baseline) -> str:
    """A baseline as text that a version control shows line by line."""
    import json

    entries = sorted(
        baseline.entries.values(), key=lambda each: (each.target, each.code, each.place, each.fingerprint)
    )
    found = {"format": FORMAT, "version": VERSION, "findings": [each._asdict() for each in entries]}
    return json.dumps(found, indent=1) + "\n"


def read_baseline(path: str | os.PathLike[str]) -> Baseline:
    """A baseline from a file, which is not trusted. Raises BaselineError."""
    import json

    shown = os.fspath(path)
    try:
        if os.stat(path).st_size > MAX_BYTES:
            raise BaselineError(f"{shown} is larger than {MAX_BYTES:,} bytes: no baseline is that large", _ANEW)
        with open(path, "rb") as file:
            found = json.loads(file.read())
    except OSError as error:
        raise BaselineError(f"{shown} cannot be read: {error.strerror or error}", _ANEW) from None
    except (ValueError, RecursionError):
        raise BaselineError(f"{shown} is not a baseline: it is not JSON", _ANEW) from None
    if type(found) is not dict or found.get("format") != FORMAT:
        raise BaselineError(f"{shown} is not a paramscope baseline", _ANEW)
    version = found.get("version")
    if type(version) is not int or version != VERSION:
        raise BaselineError(
            f"{shown} has version {version!r}, and this paramscope reads version {VERSION}",
            f"Use the paramscope that wrote it. {_ANEW}",
        )
    entries = found.get("findings")
    if type(entries) is not list:
        raise BaselineError(f"{shown} is damaged: findings is not a list", _ANEW)
    read = [_entry(each, f"{shown} is damaged: findings[{number}]") for number, each in enumerate(entries)]
    return Baseline({entry.fingerprint: entry for entry in read}, shown)


def _entry(value: Any, where: str) -> Entry:
    if type(value) is not dict or not all(type(value.get(field)) is str for field in Entry._fields):
        raise BaselineError(f"{where} lacks one of {', '.join(Entry._fields)}", _ANEW)
    return Entry(*(value[field] for field in Entry._fields))
