"""The end of the program, without the third of a second that Python takes to tear torch down.

Everything that Python promises at its end is kept: threads are awaited, atexit handlers run (those of logging,
multiprocessing, tempfile and coverage, too), and what was written arrives. What is left out, nobody is promised:
the destructors of what is still alive. Where one may matter, or somebody watches, the program ends as any other does.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
import threading
from contextlib import suppress

_BUFFERED = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom, io.BufferedRWPair)
"""Files that their destructors flush. Compressed files and archives stand on one of these."""


def leave(code: int) -> None:
    """Ends the process with an exit code, at once; returns where it has to end as usual."""
    if _is_watched():
        return
    threading._shutdown()  # type: ignore[attr-defined]  # as Python does first; joining threads alone leaves executors
    atexit._run_exitfuncs()
    try:
        _flush()
    except (OSError, ValueError):
        return  # a reader that is gone, a full disk: Python finds it again, says so, and ends with 120
    if not _holds_open_files():
        os._exit(code)


def _is_watched() -> bool:
    """Whether a debugger, a profiler, an interactive session or a preloaded library waits for the ordinary end."""
    monitoring = getattr(sys, "monitoring", None)
    return bool(
        sys.gettrace()
        or sys.getprofile()
        or (monitoring and any(monitoring.get_tool(number) for number in range(6)))
        or sys.flags.inspect
        or sys.flags.dev_mode
        or os.environ.get("LD_PRELOAD")
    )


def _flush() -> None:
    """Sends off what Python and C still hold of the standard streams. Raises OSError, ValueError."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    ctypes = sys.modules.get("ctypes")  # torch and NumPy import it; without either, no C code has printed
    if ctypes is not None:
        with suppress(OSError, TypeError, AttributeError):  # Windows has no C library of this name
            ctypes.CDLL(None).fflush(None)


def _holds_open_files() -> bool:
    """Whether a file is still open, other than the standard streams, to which something may have to be written."""
    if not _may_write_elsewhere():
        return False
    standard = [sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__]
    standard += [getattr(stream, "buffer", None) for stream in standard]
    return any(
        not each.closed and each.writable()
        for each in gc.get_objects()  # some 200,000 once torch is imported: 20 ms, and seldom asked
        if type(each) in _BUFFERED and all(each is not stream for stream in standard)
    )


def _may_write_elsewhere() -> bool:
    """Whether Python has opened a descriptor for writing; True where that cannot be told.

    Python's own are not inheritable (PEP 446), unlike those that this process was started with.
    """
    if sys.platform != "linux":
        return True
    from fcntl import F_GETFL, fcntl

    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the descriptor that listed them is closed by now
            number = int(name)
            if not os.get_inheritable(number) and fcntl(number, F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
                return True
    return False
