"""What fails on one odd thing is said in the report, and the rest of the audit goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

from paramscope.capture.classes import short_name
from paramscope.snapshot import Note


@contextmanager
def isolated(notes: list[Note], path: str, what: str) -> Iterator[None]:
    """Turns whatever fails within into a note.

    path: the module or slot that is looked at. what: the question that has no answer then.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  whatever it is, it is said
        # The error's own text may be the user's code to write: only its class, and our line.
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        place = "?" if frame is None else f"{PurePath(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
        notes.append(Note(path, "crashed", f"{what} cannot be told: {short_name(type(error))} at {place}"))
