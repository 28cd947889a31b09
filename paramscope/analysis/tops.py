"""A snapshot → which part of the whole each module belongs to."""

from __future__ import annotations

import re

from paramscope.snapshot import REGISTERED, Snapshot

_STEP = re.compile(r"\.|\[|\{|->|::")


def tops_of(snapshot: Snapshot) -> list[str]:
    """For each module the first step of its path, empty for the root itself; the root's name where there are
    several."""
    modules = snapshot.module_columns
    roots = sorted(snapshot.roots, key=len, reverse=True)
    if len(roots) > 1:
        return [_root_of(path, roots) for path in modules.paths]
    # Of what is registered only a dot is a step: its names may hold anything else.
    return [
        path.partition(".")[0] if flags & REGISTERED else _STEP.split(path, maxsplit=1)[0]
        for path, flags in zip(modules.paths, modules.flags, strict=True)
    ]


def _root_of(module: str, roots: list[str]) -> str:
    # A hidden module lies behind another step than a dot.
    within = (root for root in roots if module.startswith(root))
    return next((root for root in within if not _STEP.split(module[len(root) :], maxsplit=1)[0]), module)
