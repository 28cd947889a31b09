"""A page of the documentation, followed as a reader does: its files written, its code and its commands run."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

_BLOCK = re.compile(r"(?ms)(?:^`([\w./-]+)`:\n\n|^(It prints):\n\n)?^```(\w*)\n(.*?)^```$")


class Block(NamedTuple):
    """A fenced block of a page."""

    file: str
    """The file that it is, named in the line before."""
    is_printed: bool
    """Whether it is what the Python before it prints."""
    language: str
    text: str
    start: int
    """Where its text begins in the page."""


def blocks(page: str) -> list[Block]:
    """A page's blocks in their order."""
    found = _BLOCK.finditer(page)
    return [Block(each[1] or "", bool(each[2]), each[3], each[4], each.start(4)) for each in found]


def as_it_is_today(page: str, folder: Path, module: ModuleType, shell: Callable[[str], str]) -> str:
    """The page with what all that it shows prints now.

    folder: where its files are written. module: where its Python runs. shell: what a command prints there.
    """
    printed, today, shown_to = "", "", 0
    for block in blocks(page):
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            printed = executed(block.text, module)
        elif block.is_printed or block.language == "console":
            shown = printed if block.is_printed else without_times(console(block.text, shell))
            today += page[shown_to : block.start] + shown
            shown_to = block.start + len(block.text)
    return today + page[shown_to:]


def console(text: str, shell: Callable[[str], str]) -> str:
    """A block of `$ command` lines, with what each of them prints today."""
    return "".join(f"$ {command}\n{shell(command)}" for command in re.findall(r"(?m)^\$ (.*)$", text))


def executed(code: str, page: ModuleType) -> str:
    """What Python prints that goes on where the page's last block ended."""
    with redirect_stdout(StringIO()) as printed:
        exec(compile(code, page.__name__, "exec"), vars(page))
    return printed.getvalue()


def without_times(text: str) -> str:
    """As two runs print it alike."""
    return re.sub(r" in \d+\.\d+s( \([\d:]+\))?", " in 0.00s", text)
