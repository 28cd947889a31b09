"""Paths as steps: `layers[0]->cfg.weight` is a name, an item, a member and a name."""

from __future__ import annotations

from paramscope.snapshot.path import PathStep
from paramscope.source.texts import DIGITS_BOUND, literal, matches
from paramscope.source.values import Step


def is_numbered(step: PathStep) -> bool:
    """Whether a step may be that into a list."""
    return step.kind in ("name", "item") and step.text.isdecimal() and len(step.text) <= DIGITS_BOUND


def leads_to(written: Step, step: PathStep) -> bool:
    """Whether a step in the code may be this step of a path."""
    if written.is_item and step.kind not in ("name", "item"):
        return False
    if not written.is_item and step.kind == "item":
        return False
    if matches(written.text, step.text):
        return True
    known = literal(written.text)
    # An index from the end.
    if known is None or not known.startswith("-") or not written.is_item or not is_numbered(step):
        return False
    return step.siblings is None or str(int(step.text) - step.siblings()) == known
