"""The layers: imports point one way, and torch stands on one side."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A module may import from layers above its own line, and from its own package.
LAYERS = (
    ("errors", "text", "declared", "hyperparameters", "spans", "collector"),
    ("finding", "snapshot", "glob"),
    ("padding",),
    ("overlap", "totals", "source", "config"),
    ("sharing",),
    ("report", "fold", "changes"),
    ("rules", "exceptions", "codes"),
    ("wire", "capture", "graph"),
    ("render",),
    ("api", "importing"),
    ("target",),
    ("testing",),
    ("cli", "pytest_paramscope"),
    ("__main__",),
)
TORCH_SIDE = ("capture",)
# A report offers to render and to write itself: it asks those above it when it is told to.
UPWARD = {("report", "render"), ("report", "wire"), ("report", "graph")}
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def layer_of(module: str) -> str | None:
    """The layer of a dotted module name; None for other packages and for the public face."""
    first, _, rest = module.partition(".")
    if first == "pytest_paramscope":
        return first
    return rest.partition(".")[0] or None if first == "paramscope" else None


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports, also inside functions, but for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative imports hide the layer"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imports(node)


def violations(module: str, source: str) -> list[str]:
    """What one file imports and may not."""
    own = layer_of(module)
    if own is None:
        return []
    found = []
    for name in imports(ast.parse(source)):
        other = layer_of(name)
        if name.partition(".")[0] == "torch" and own not in TORCH_SIDE:
            found.append(f"{module} imports {name}")
        if other is None or other == own or other == "__version__" or (own, other) in UPWARD:
            continue
        if RANK[other] >= RANK[own]:
            found.append(f"{module} imports {name}, which is above it")
    return found


def sources() -> list[tuple[str, Path]]:
    """(dotted name, file) of everything that is shipped."""
    found = []
    for base, package in ((ROOT, "paramscope"), (ROOT / "plugins", "pytest_paramscope")):
        for path in sorted((base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            found.append((".".join(part for part in parts if part != "__init__"), path))
    return found


def test_imports_point_one_way() -> None:
    modules = sources()
    assert len(modules) > 20
    assert [v for name, path in modules for v in violations(name, path.read_text(encoding="utf-8"))] == []


def test_every_layer_is_named() -> None:
    assert {layer_of(name) for name, _ in sources()} - {None} <= set(RANK)


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("paramscope.analysis.fold", "import torch", ["paramscope.analysis.fold imports torch"]),
        (
            "paramscope.render.terminal.table",
            "def f():\n    from torch import nn",
            ["paramscope.render.terminal.table imports torch.nn"],
        ),
        (
            "paramscope.snapshot",
            "from paramscope.report.data import Report",
            ["paramscope.snapshot imports paramscope.report.data.Report, which is above it"],
        ),
        (
            "paramscope.capture.walk",
            "def f():\n    import paramscope.cli",
            ["paramscope.capture.walk imports paramscope.cli, which is above it"],
        ),
        ("paramscope.capture.walk", "import torch\nfrom paramscope.snapshot import Snapshot", []),
        ("paramscope.api", "if TYPE_CHECKING:\n    from torch import nn", []),
    ],
)
def test_planted_violations_are_caught(module: str, source: str, expected: list[str]) -> None:
    assert violations(module, source) == expected


def test_all_but_the_torch_side_imports_with_torch_blocked() -> None:
    names = [name for name, _ in sources() if layer_of(name) not in TORCH_SIDE and not name.endswith("__main__")]
    assert "paramscope.render.terminal.table" in names
    code = "import sys; sys.modules['torch'] = None\n" + "\n".join(f"import {name}" for name in names)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_importing_the_package_does_not_import_torch_or_the_command_line() -> None:
    code = "import sys, paramscope; print(sorted({'torch', 'click', 'tabulate', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
