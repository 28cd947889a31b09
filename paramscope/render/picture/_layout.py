"""DOT → SVG, PNG or PDF, by the system's Graphviz or the one that pygraphviz brings."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal

import graphviz  # type: ignore[import-untyped]  # ships no types

from paramscope.errors import ParamscopeError
from paramscope.render.picture import dot

Format = Literal["svg", "png", "pdf"]
Engine = Literal["system", "pygraphviz"]
_PYGRAPHVIZ = """
import sys
# What lies in the working directory is somebody else's.
sys.path[:] = [*filter(None, sys.path), sys.argv[2]]
import pygraphviz
source = sys.stdin.buffer.read().decode()
sys.stdout.buffer.write(pygraphviz.AGraph(string=source).draw(format=sys.argv[1], prog="dot"))
"""


class NoGraphviz(ParamscopeError):
    """A picture was asked for and there is nothing to lay it out with."""


class LayoutFailed(ParamscopeError):
    """Graphviz refused or died."""


def engine() -> Engine:
    """What will lay pictures out: the system's Graphviz where there is one. Raises NoGraphviz."""
    if shutil.which("dot"):
        return "system"
    if importlib.util.find_spec("pygraphviz") is not None:
        return "pygraphviz"
    raise NoGraphviz(
        "svg, png and pdf need Graphviz, and it is not installed",
        "pip install 'paramscope[svg]' brings it, or install the system's (apt install graphviz, brew install "
        "graphviz); dot and mermaid (-o model.dot, -o model.mmd) need neither.",
    )


def lay_out(source: str, format: Format) -> bytes:
    """The picture of a DOT source. Raises NoGraphviz or LayoutFailed."""
    if engine() == "system":
        try:
            drawn: bytes = graphviz.Source(source).pipe(format=format, quiet=True)
        except (graphviz.CalledProcessError, OSError) as error:
            raise LayoutFailed(f"Graphviz could not draw the {format}: {error}", "Look at -o model.dot.") from error
        return drawn
    # In a process of its own, as the system's is: within ours no interrupt comes through, for minutes.
    found = importlib.util.find_spec("pygraphviz")
    home = os.path.dirname(os.path.dirname((found and found.origin) or ""))
    done = subprocess.run(
        [sys.executable, "-c", _PYGRAPHVIZ, format, home],
        input=source.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise LayoutFailed(f"Graphviz could not draw the {format}: {said}", "Look at -o model.dot.")
    return done.stdout


def drawn(format: Format) -> Callable[..., str | bytes]:
    """The renderer of a picture, with the options of `paramscope.render.picture.dot`. It raises NoGraphviz where
    nothing is installed that lays it out, and what `dot` raises."""

    @wraps(dot.render)
    def render(*report: Any, **options: Any) -> str | bytes:
        picture = lay_out(dot.render(*report, **options), format)
        return picture.decode("utf-8") if format == "svg" else picture

    return render
