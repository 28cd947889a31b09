"""Errors of the user's code as the user wants to see them: with the frames of that code alone."""

from __future__ import annotations

import os
import sysconfig
import traceback
from pathlib import Path


def user_traceback(error: BaseException, *, most: int | None = None) -> str:
    """An error as Python prints it, with the frames of the user's own files only.

    The frames of this package, of the standard library and of installed packages are left out, unless none
    would remain. most: so many of them are shown then, the last ones that are not torch's; None for all.
    """
    frames = user_frames(error)
    if most is not None and all(map(_is_installed, frames)):
        frames = [frame for frame in frames if f"{os.sep}torch{os.sep}" not in frame.filename][-most:]
    lines = traceback.format_list(frames)
    head = ["Traceback (most recent call last):\n"] if lines else []
    return "".join([*head, *lines, *traceback.format_exception_only(error)]).rstrip()


def is_raised_in_user_code(error: BaseException) -> bool:
    """Whether an error is known to come from a line of the user's code."""
    frames = user_frames(error)
    return bool(frames and (frames[-1].line or "").strip())


def user_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of the user's own files that an error passed, outermost first; all but ours where there are none."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = str(Path(__file__).parent)
    outside = [frame for frame in frames if not frame.filename.startswith((ours, "<frozen"))]
    return [frame for frame in outside if not _is_installed(frame)] or outside


def _is_installed(frame: traceback.FrameSummary) -> bool:
    """Whether a frame is of the standard library or of an installed package."""
    return frame.filename.startswith(tuple(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")))
