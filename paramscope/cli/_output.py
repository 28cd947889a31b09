"""Where results go: stdout, or a file that is there whole or not at all."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import suppress

import click

from paramscope.errors import FormatError, OutputError

_AT_ONCE = 1 << 20


def terminal_width() -> int:
    """COLUMNS, or the terminal's, or 80; at least 40."""
    # NOTE: as shutil.get_terminal_size, whose module takes 3 ms to import all that reads archives.
    return max(40, _size("COLUMNS", "columns") or 80)


def terminal_height() -> int:
    """LINES, or the terminal's, or 40; at least 10."""
    return max(10, _size("LINES", "lines") or 40)


def text_width() -> int:
    """As `terminal_width`; where nobody said how wide, and it is no terminal, so wide that nothing is wrapped."""
    return max(40, _size("COLUMNS", "columns") or sys.maxsize)


def _size(variable: str, side: str) -> int:
    """What the environment says, or the terminal; 0 where neither does."""
    said = os.environ.get(variable, "")
    if said.isdecimal() and int(said):
        return int(said)
    if sys.__stdout__ is not None:
        with suppress(OSError, ValueError):
            found: int = getattr(os.get_terminal_size(sys.__stdout__.fileno()), side)
            return found
    return 0


def ending(output: str | None) -> str:
    """`json` of report.json; empty where a file has no ending, or none is written."""
    return os.path.splitext(output or "")[1].removeprefix(".").lower()


def wants_color(output: str | None) -> bool:
    """Only on a terminal that is not dumb, or wherever FORCE_COLOR is set (to anything); not where NO_COLOR is, which
    wins, as in Python and pytest. Never in a file."""
    if os.environ.get("NO_COLOR"):
        return False
    return is_terminal(output) or (output is None and bool(os.environ.get("FORCE_COLOR")))


def is_terminal(output: str | None) -> bool:
    """Whether a person looks at the result as it is written: not in a file or a pipe, nor where TERM is dumb."""
    return output is None and os.environ.get("TERM") != "dumb" and sys.stdout.isatty()


def is_other_rank() -> bool:
    """Whether torchrun has started this process as another rank than the first."""
    return os.environ.get("RANK", "0") != "0"


def encoding(output: str | None) -> str:
    """Of what is written: files are UTF-8."""
    return "utf-8" if output is not None else sys.stdout.encoding or "utf-8"


def format_of(output: str | None, *, otherwise: str) -> str:
    """The format that the ending of a file implies. Raises FormatError for an ending that none has."""
    from paramscope.render import formats

    written = ending(output)
    implied = {"md": "markdown", "mmd": "mermaid", "gv": "dot", "htm": "html"}.get(written, written)
    if implied in formats():
        return implied
    if written in ("", "txt", "log"):
        return otherwise
    raise FormatError(
        f"{output}: no format has the ending .{written}",
        "Say which: -f table; or write to a file that ends in .json, .md, .html or the name of another format.",
    )


def screen(output: str | None, *, bars: bool | None = None, is_whole: bool = False) -> dict[str, object]:
    """What a rendering may have to know of where it is shown. bars: whether bars are drawn, None for where a person
    looks; is_whole: whether it is as long as it is, whatever the height."""
    draws = is_terminal(output) if bars is None else bars
    found: dict[str, object] = {"width": terminal_width(), "color": wants_color(output), "encoding": encoding(output)}
    found |= {"bars": draws, "blocks": draws}
    if output is None and not is_whole:
        found["height"] = terminal_height()
    return found


def check_writable(output: str | None) -> None:
    """Raises OutputError, before any work is done, if the folder of an output file does not exist."""
    if output is None:
        return
    if os.path.isdir(output):
        raise OutputError(f"{output} is a folder", f"Name a file in it: {os.path.join(output, 'report.json')}")
    folder = os.path.dirname(output) or os.curdir
    if not os.path.isdir(folder):
        raise OutputError(f"{output} cannot be written: {folder} is not a folder", f"mkdir -p {folder}")


def _encoded(text: str, encoding: str) -> Iterator[bytes]:
    """A text as bytes, a megabyte at a time: a report of a large model need not lie in memory twice."""
    pieces = (text[start : start + _AT_ONCE] for start in range(0, len(text), _AT_ONCE))
    return codecs.iterencode(pieces, encoding, "backslashreplace")


def write(result: str | bytes, output: str | None) -> None:
    """To stdout, or to a file that replaces an older one in one step. Raises OutputError."""
    if output is None:
        if isinstance(result, bytes):
            sys.stdout.flush()
            sys.stdout.buffer.write(result)
            sys.stdout.buffer.flush()
        else:
            for piece in _encoded(result, encoding(None)):
                click.echo(piece, nl=False)
        return
    import tempfile
    from pathlib import Path

    pieces = _encoded(result, "utf-8") if isinstance(result, str) else iter((result,))
    path = Path(output)
    part: Path | None = None
    try:
        if path.exists() and not path.is_file():  # a pipe or a device such as /dev/stdout
            with path.open("wb") as file:
                file.writelines(pieces)
            return
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
        part = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
        # mkstemp lets only the owner read; a result is an ordinary file.
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        part.replace(path)
    except OSError as error:
        if part is not None:
            part.unlink(missing_ok=True)
        raise OutputError(
            f"{output} cannot be written: {error.strerror}", "Name a file in a folder that you may write to."
        ) from None
