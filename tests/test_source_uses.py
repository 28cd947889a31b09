"""What a class does with an attribute: when it is assigned, and whether each read of it is moved."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from paramscope.snapshot import ClassRecord
from paramscope.source import Assignment
from paramscope.source.uses import Uses

HEAD = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.table = torch.zeros(4)
"""


def uses(folder: Path, body: str) -> Uses:
    """Those of a class with these methods."""
    file = folder / "net.py"
    file.write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    "), encoding="utf-8")
    record = ClassRecord("net.Net", "net", (), str(file), 6, "net.Net")
    return Uses({"net.Net": record}, "net.Net")


MOVED = {
    "to": "def forward(self, x): return x + self.table.to(x.device)",
    "type_as": "def forward(self, x): return x + self.table.type_as(x)",
    "cuda": "def forward(self, x): return x + self.table.cuda()",
    "after a view": "def forward(self, x): return x + self.table[None, :2].unsqueeze(0).to(x)",
    "through a name": "def forward(self, x):\n    table = self.table\n    return x + table.to(x)",
    "as_tensor": "def forward(self, x): return x + torch.as_tensor(self.table, device=x.device)",
    "asked first": "def forward(self, x):\n    if self.table is None or len(self.table) < x.dim(): return x\n"
    "    return x + self.table.to(x)",
    "itself": "def forward(self, x):\n    self.table = self.table.to(x.device)\n    return x + self.table",
    "in a helper": "def forward(self, x): return self.add(x)\ndef add(me, x): return x + me.table.to(x)",
}
RAW = {
    "plainly": "def forward(self, x): return x + self.table",
    "in part": "def forward(self, x): return x * self.table.to(x) + self.table",
    "in place": "def forward(self, x):\n    self.table += 1\n    return x + self.table.to(x)",
    "through a name": "def forward(self, x):\n    table = self.table\n    return table.to(x) + table",
    "handed over": "def forward(self, x): return torch.gather(self.table, 0, x).to(x)",
    "never": "def forward(self, x): return x",
    "its size alone": "def forward(self, x): return x + self.table.shape[0]",
}


@pytest.mark.parametrize("body", MOVED.values(), ids=MOVED)
def test_every_read_is_moved(tmp_path: Path, body: str) -> None:
    assert uses(tmp_path, body).is_moved_when_read("table")


@pytest.mark.parametrize("body", RAW.values(), ids=RAW)
def test_some_read_is_not(tmp_path: Path, body: str) -> None:
    assert not uses(tmp_path, body).is_moved_when_read("table")


STAGES = {
    "def forward(self, x): self.table = x  # here": {"forward"},
    "def training_step(self, x): self.table = x  # here": {"forward"},
    "def fill(self, x): self.table = x  # here": {"other"},
    "def fill(self, x): self.table = x  # here\ndef forward(self, x): return self.fill(x)": {"forward"},
    "def fill(self, x): self.table = x  # here\ndef forward(self, x): self.again(x)\n"
    "def again(self, x): self.fill(x)": {"forward"},
    "def fill(self, x): self.table = x  # here\ndef hook(self): self.register_forward_hook(self.fill)": {"forward"},
    "def reset(self, *_):\n    def keep(x):\n        self.table = x  # here\n    return keep": {"forward"},
    "def __setstate__(self, x): self.fill(x)\ndef fill(self, x): self.table = x  # here": {"construction"},
    "def __setstate__(self, x): self.fill(x)\ndef fill(self, x): self.table = x  # here\n"
    "def forward(self, x): self.fill(x)": {"construction", "forward"},
}


@pytest.mark.parametrize(("body", "stages"), STAGES.items())
def test_when_an_assignment_runs(tmp_path: Path, body: str, stages: set[str]) -> None:
    found = uses(tmp_path, body)
    lines = (tmp_path / "net.py").read_text(encoding="utf-8").splitlines()
    number = next(number for number, line in enumerate(lines, 1) if line.endswith("# here"))
    method = (
        next(line for line in reversed(lines[:number]) if line.startswith("    def")).split()[1].partition("(")[0]
    )
    assignment = Assignment(str(tmp_path / "net.py"), number, method, lines[number - 1].strip(), "net.Net")
    assert found.stages(assignment) == stages


def test_what_the_constructor_alone_reads(tmp_path: Path) -> None:
    built = "def forward(self, x): return x\ndef __post_init__(self): self.size = len(self.table) + self.table"
    assert uses(tmp_path, built).is_read_at_construction_alone("table")
    assert not uses(tmp_path, built).is_read_at_construction_alone("size")
    assert not uses(tmp_path, built.partition("\n")[2]).is_read_at_construction_alone("table")
    read = built.replace("return x", "return x + self.table")
    assert not uses(tmp_path, read).is_read_at_construction_alone("table")


def test_without_source_nothing_is_known() -> None:
    found = Uses({"net.Net": ClassRecord("net.Net", "net", (), None, None, None)}, "net.Net")
    assert not found.is_moved_when_read("table")
    assert found.stages(Assignment("net.py", 3, "forward", "self.table = x", "net.Net")) == {"forward"}
    assert Uses({}, "net.Net").stages(Assignment("net.py", 3, "fill", "self.table = x", "net.Net")) == {"other"}
