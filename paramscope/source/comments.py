"""Comments that declare exceptions, `# paramscope: ignore[PS104] reason`, on the lines of a statement."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import NamedTuple

from paramscope.errors import nearest
from paramscope.snapshot import ClassRecord
from paramscope.source.definitions import bodies_of
from paramscope.source.files import SourceFile, readable
from paramscope.source.syntax import holds_line

_OURS = re.compile(r"#\s*paramscope\s*:\s*(?P<rest>.*)", re.DOTALL)
_IGNORE = re.compile(r"(?P<word>\w+)\s*(?:\[(?P<codes>[^\]]*)(?P<end>\]?))?(?P<reason>.*)", re.DOTALL)


class IgnoreComment(NamedTuple):
    """One comment that declares exceptions, or means to."""

    file: str
    line: int
    codes: tuple[str, ...]
    """Codes, or beginnings of codes, in capitals."""
    reason: str
    problem: str = ""
    """What is wrong with it; empty for a sound one."""


def ignores_at(file: str, line: int) -> tuple[IgnoreComment, ...]:
    """The comments on the lines of the statement that begins on a line; none where the file cannot be read."""
    source = readable(file)
    found = _comments(source, file)
    if source is None or not found:
        return ()
    last = source.once("last lines", lambda: _last_lines(source)).get(line, line)
    return tuple(comment for comment in found if line <= comment.line <= last)


def ignores_in(record: ClassRecord) -> tuple[IgnoreComment, ...]:
    """The comments in the body of a class; none where its file cannot be read."""
    found = _comments(readable(record.file), record.file or "")
    bodies = bodies_of(record) if found else ()
    return tuple(comment for comment in found if any(holds_line(body, comment.line) for body in bodies))


def _comments(source: SourceFile | None, file: str) -> tuple[IgnoreComment, ...]:
    """All of a file, read once."""
    return () if source is None else source.once("ignores", lambda: tuple(_read(source, file)))


def _read(source: SourceFile, file: str) -> Iterator[IgnoreComment]:
    if not any("paramscope" in line for line in source.lines):  # tokenising takes longer than parsing
        return
    try:
        for token in tokenize.generate_tokens(io.StringIO("\n".join(source.lines)).readline):
            if token.type == tokenize.COMMENT:
                comment = to_comment(token.string, file, token.start[0])
                if comment is not None:
                    yield comment
    except (tokenize.TokenError, SyntaxError):  # what came before the fault stands
        return


def to_comment(text: str, file: str = "", line: int = 0) -> IgnoreComment | None:
    """What a comment declares; None for one that is not for us."""
    ours = _OURS.search(text)
    match = _IGNORE.match(ours["rest"].strip()) if ours else None
    if match is None:
        return None
    word, codes = match["word"], match["codes"]
    if word != "ignore":
        if not nearest(word.lower(), ["ignore"], cutoff=0.7):
            return None
        return IgnoreComment(file, line, (), "", f"{word!r} is no word for it: did you mean ignore?")
    named = tuple(code.strip().upper() for code in (codes or "").split(",") if code.strip())
    reason = match["reason"].lstrip(" \t:-–—").strip()
    if not named or not match["end"]:
        return IgnoreComment(file, line, named, reason, "it names no code")
    return IgnoreComment(
        file, line, named, reason, "" if reason else f"the ignore of {', '.join(named)} has no reason"
    )


def _last_lines(source: SourceFile) -> dict[int, int]:
    """By the first line of each statement its last one; of what has a body, the last one before that."""
    found: dict[int, int] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = (node.end_lineno or node.lineno) if not body else max(node.lineno, body[0].lineno - 1)
            found[node.lineno] = max(last, found.get(node.lineno, 0))
    return found
