"""The notebook of the documentation: every cell runs, and shows today what it shows there. Without Jupyter."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch

NOTEBOOK = Path(__file__).parents[1] / "docs" / "example.ipynb"
STALE = "run: make notebook"


def shown(source: str, namespace: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a notebook would show of a cell: what it prints, and its last expression."""
    body: list[Any] = ast.parse(source).body
    if is_shown := isinstance(body[-1], ast.Expr):
        body[-1] = ast.copy_location(ast.Assign([ast.Name("_", ast.Store())], body[-1].value), body[-1])
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(ast.fix_missing_locations(ast.Module(body, [])), "cell", "exec"), namespace)
    value = namespace["_"] if is_shown else None
    if printed.getvalue():
        yield {"stream": printed.getvalue()}
    if value is not None:
        as_html = getattr(value, "_repr_html_", None)
        yield {"text/plain": repr(value), **({"text/html": as_html()} if as_html else {})}


def stored(cell: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the notebook has kept of it."""
    for output in cell["outputs"]:
        found = (
            output["data"] if output["output_type"] == "execute_result" else {output["output_type"]: output["text"]}
        )
        yield {kind: "".join(lines) for kind, lines in found.items()}


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    with torch.random.fork_rng():
        yield


def test_every_cell_shows_what_it_showed() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    codes = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in codes] == list(range(1, len(codes) + 1)), STALE
    namespace: dict[str, Any] = {}
    for cell in codes:
        assert list(shown("".join(cell["source"]), namespace)) == list(stored(cell)), STALE
    htmls = [
        "".join(output["data"].get("text/html", ""))
        for cell in codes
        for output in cell["outputs"]
        if "data" in output
    ]
    assert sum("<svg" in each for each in htmls) == 4
    assert not any("<script" in each or " id=" in each for each in htmls)


def test_nothing_in_it_is_of_one_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not any(word in text for word in ("/home/", "/tmp/", "site-packages", "ipykernel", "stderr"))
