"""The layers: imports point one way, and torch stands on one side."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).parent.parent

# From the bottom up: what stands in a line may import what stands in the lines above it, and itself. A report has
# several floors: its findings and its data below the formats, what asks optimizers above `probe`, its face on top.
LAYERS = (
    ("collector", "errors", "installed", "late", "text", "tracebacks", "version"),
    ("glob", "report", "report.finding", "snapshot"),
    ("analysis", "source", "config"),
    ("report.data",),
    ("report.difference",),
    ("report.finding_codes", "rules"),
    ("exceptions",),
    ("wire", "capture", "distributed"),
    ("probe",),
    ("report.cost",),
    ("report.plan",),
    ("render",),
    ("report.face",),
    ("loop",),
    ("api", "plugin"),
    ("load",),
    ("testing",),
    ("cli", "integrations", "pytest_paramscope"),
    ("__main__",),
)
TORCH_SIDE = ("capture", "distributed", "probe", "loop")
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def layer_of(module: str) -> str | None:
    """The layer of a dotted module name; None for other packages and for the public face."""
    first, *rest = module.split(".")
    if first == "pytest_paramscope":
        return first
    if first != "paramscope" or not rest:
        return None
    floor = ".".join(rest[:2])
    return floor if floor in RANK else rest[0]


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports, also inside functions and for type checkers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative imports hide the layer"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(module: str, source: str) -> list[str]:
    """What one file imports and may not."""
    own = layer_of(module)
    if own is None:
        return []
    found = []
    for name in imports(ast.parse(source)):
        if name.partition(".")[0] == "torch" and own not in TORCH_SIDE and not _is_for_type_checkers(name, source):
            found.append(f"{module} imports {name}")
        other = layer_of(name)
        if other is None:
            if name.partition(".")[0] == "paramscope" and name != "paramscope.__version__":
                found.append(f"{module} imports {name}, the public face")
        elif other != own and RANK[other] >= RANK[own]:
            found.append(f"{module} imports {name}, which is above it")
    return found


def _is_for_type_checkers(name: str, source: str) -> bool:
    """Whether a file imports something under TYPE_CHECKING alone: annotations may speak of torch anywhere."""
    return not any(
        name in imports(node)
        for node in ast.parse(source).body
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    )


def sources() -> dict[str, Path]:
    """The file of everything that is shipped, by dotted name."""
    found = {}
    for base, package in ((ROOT, "paramscope"), (ROOT / "plugins", "pytest_paramscope")):
        for path in sorted((base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


def circles(files: dict[str, str]) -> list[list[str]]:
    """Modules that import one another, directly or through others; `files` are their sources by dotted name."""
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for module, source in files.items():
        for name in imports(ast.parse(source)):
            # `from package import name` imports the module of that name, if it is one.
            target = name if name in files else name.rpartition(".")[0]
            if target in files and target != module:
                graph.add_edge(module, target)
    return sorted(sorted(each) for each in networkx.strongly_connected_components(graph) if len(each) > 1)


def test_imports_point_one_way() -> None:
    modules = sources()
    assert len(modules) > 200
    assert [v for name, path in modules.items() for v in violations(name, path.read_text(encoding="utf-8"))] == []


def test_no_modules_import_one_another() -> None:
    files = {name: path.read_text(encoding="utf-8") for name, path in sources().items()}
    # The public face names what lies on top, and nothing below asks it for anything.
    assert circles({name: source for name, source in files.items() if name != "paramscope"}) == []


def test_planted_circles_are_caught() -> None:
    files = {
        "paramscope.a": "from paramscope.b import thing",
        "paramscope.b": "if TYPE_CHECKING:\n    from paramscope import c",
        "paramscope.c": "def f():\n    import paramscope.a",
        "paramscope.d": "import paramscope.a",
    }
    assert circles({**files, "paramscope": ""}) == [["paramscope.a", "paramscope.b", "paramscope.c"]]


def test_every_layer_is_named() -> None:
    assert {layer_of(name) for name in sources()} - {None} == set(RANK)


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
            "from paramscope.report.data import ReportData",
            ["paramscope.snapshot imports paramscope.report.data.ReportData, which is above it"],
        ),
        (
            "paramscope.render.data.json",
            "if TYPE_CHECKING:\n    from paramscope.report.face import Report",
            ["paramscope.render.data.json imports paramscope.report.face.Report, which is above it"],
        ),
        (
            "paramscope.capture.walk",
            "def f():\n    import paramscope.cli",
            ["paramscope.capture.walk imports paramscope.cli, which is above it"],
        ),
        (
            "paramscope.api",
            "def f():\n    from paramscope.integrations import lightning",
            ["paramscope.api imports paramscope.integrations.lightning, which is above it"],
        ),
        (
            "paramscope.cli.check",
            "import paramscope.integrations",
            ["paramscope.cli.check imports paramscope.integrations, which is above it"],
        ),
        ("paramscope.integrations.lightning", "import lightning\nfrom paramscope.api import watch", []),
        ("paramscope.integrations.lightning", "import torch", ["paramscope.integrations.lightning imports torch"]),
        ("paramscope.capture.walk", "import torch\nfrom paramscope.snapshot import Snapshot", []),
        ("paramscope.api", "if TYPE_CHECKING:\n    from torch import nn", []),
    ],
)
def test_planted_violations_are_caught(module: str, source: str, expected: list[str]) -> None:
    assert violations(module, source) == expected


def test_all_but_the_torch_side_imports_with_torch_blocked() -> None:
    # What calls the callbacks of `integrations` has torch: they import it.
    others = (*TORCH_SIDE, "__main__", "integrations")
    names = [name for name in sources() if layer_of(name) not in others]
    assert "paramscope.render.terminal.table" in names
    code = "import sys; sys.modules['torch'] = None\n" + "\n".join(f"import {name}" for name in names)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_importing_the_package_does_not_import_torch_or_the_command_line() -> None:
    absent = {"torch", "click", "tabulate", "numpy", "lightning", "pytorch_lightning", "transformers"}
    for name, others in (("", absent), (".integrations", absent), (".integrations.lightning", absent - {"click"})):
        code = f"import sys, paramscope{name}; print(sorted({others} & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]", name
