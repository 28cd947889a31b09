"""What a class does with an attribute: when it is assigned, and what becomes of it wherever it is read."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from paramscope.snapshot import ClassRecord
from paramscope.source.finder import Assignment
from paramscope.source.uses import Uses

HEAD = """
import math, random
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn import functional
from einops import rearrange
from helpers import brought, given, shaped as formed
import helpers as tools

def here(tensor, like):
    return tensor if tensor.device == like.device else tensor.to(like.device)

def early(tensor, like):
    if tensor.device == like.device and tensor.dtype == like.dtype:
        return tensor
    return tensor.to(like)

def through(x, kernel=None):
    kernel = kernel.to(x)
    return F.conv2d(x, kernel)

def scaled(x, kernel):
    kernel = kernel / kernel.sum()
    return F.conv2d(x, kernel)

def again(tensor, like):
    return early(tensor, like)

class Net(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.table = torch.zeros(4)
"""
HELPERS = """
from deeper import brought

def given(tensor):
    return tensor

def shaped(tensor, like):
    return brought(tensor[None], like)
"""
DEEPER = """
def brought(tensor, like):
    return tensor.to(device=like.device, dtype=like.dtype)
"""


def uses(folder: Path, body: str, also_running: frozenset[str] = frozenset()) -> Uses:
    """Those of a class with these methods."""
    file = folder / "net.py"
    file.write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    "), encoding="utf-8")
    (folder / "helpers.py").write_text(HELPERS, encoding="utf-8")
    (folder / "deeper.py").write_text(DEEPER, encoding="utf-8")
    record = ClassRecord("net.Net", "net", (), str(file), None, "net.Net")
    found = Uses({"net.Net": record}, "net.Net")
    found.runs(also_running)
    return found


def forward(*lines: str) -> str:
    """The body of a class with this forward."""
    return "def forward(self, x, index=None, device=None, dtype=None):\n" + textwrap.indent("\n".join(lines), "    ")


MOVED = {
    "to": forward("return x + self.table.to(x)"),
    "to device and dtype": forward("return x + self.table.to(x.device, x.dtype)"),
    "to by keywords": forward("return x + self.table.to(dtype=x.dtype, device=x.device)"),
    "to other": forward("return x + self.table.to(other=x)"),
    "to twice": forward("return x + self.table.to(x.device).to(x.dtype)"),
    "to with a chosen dtype": forward("return x + self.table.to(device, torch.float32)"),
    "cast and moved": forward("return x + self.table.float().to(x.device)"),
    "to what options hold": forward("return x + self.table.to(**self.options)"),
    "to a weight": forward("return x + self.table.to(self.lin.weight)"),
    "not blocking": forward("return x + self.table.to(x, non_blocking=True)"),
    "type_as": forward("return x + self.table.type_as(x)"),
    "after a view": forward("return x + self.table[None, :2].unsqueeze(0).to(x)"),
    "indexed first": forward("return x + self.table[index].type_as(x)"),
    "the result": forward("return x * torch.exp(self.table * 2).to(x)"),
    "with another one": forward("return x * torch.stack([self.table, self.other], dim=0).to(x)"),
    "in a comprehension": forward("return x + sum([t.to(x) for t in self.table.split(2)])"),
    "through a name": forward("table = self.table", "return x + table.to(x)"),
    "through a name, moved": forward("table = self.table", "table = table.to(x)", "return x + table"),
    "through a row": forward("table, n = self.table, 3", "table = table.to(x)", "return x + table * n"),
    "through a walrus": forward("return x + (t := self.table.to(x)) + t"),
    "as_tensor": forward("return x + torch.as_tensor(self.table, device=x.device, dtype=x.dtype)"),
    "new_tensor": forward("return x + x.new_tensor(self.table)"),
    "copied into": forward("out = torch.empty_like(x)", "out.copy_(self.table)", "return out"),
    "asked first": forward(
        "if self.table is None or len(self.table) < x.dim(): return x", "return x + self.table.to(x)"
    ),
    "cast afterwards": forward("return (x - self.table.to(x.device)).to(x.dtype)"),
    "compared": forward("return x == self.table.to(x.device)"),
    "itself": forward("self.table = self.table.to(x)", "return x + self.table"),
    "itself, read in a method": forward("self.table = self.table.to(x)", "return self.add(x)")
    + "\ndef add(self, x): return x + self.table",
    "itself, by a method": forward("self._bring(x)", "return x + self.table")
    + "\ndef _bring(self, x): self.table = self.table.to(x)",
    "itself, where its device differs": forward(
        "if self.table.device != x.device:", "    self.table = self.table.to(x)", "return x + self.table"
    ),
    "itself, where another device is remembered": forward(
        "if self._device != x.device:",
        "    self.table, self._device = self.table.to(x), x.device",
        "return x + self.table",
    ),
    "itself, by setattr": forward("setattr(self, 'table', self.table.to(x))", "return x + self.table"),
    "itself, by getattr": forward("return x + getattr(self, 'table').to(x)"),
    "by its dict": forward("return x + self.__dict__['table'].to(x)"),
    "in a method": "def forward(self, x): return self.add(x)\ndef add(me, x): return x + me.table.to(x)",
    "by a method": forward("return x + self._like(self.table, x)")
    + "\ndef _like(self, t, x): return t.to(device=x.device, dtype=x.dtype)",
    "by a static method": forward("return x + Net.like(self.table, x)")
    + "\n@staticmethod\ndef like(t, x): return t.type_as(x)",
    "by a property": forward("return x + self.moved")
    + "\n@property\ndef moved(self): return self.table.to(self.lin.weight)",
    "by a nested function": forward("def get(t): return t.to(x)", "return x + get(self.table)"),
    "by a lambda": forward("get = lambda t: t.to(x)", "return x + get(self.table)"),
    "by a nested function without arguments": forward("def get(): return self.table.to(x)", "return x + get()"),
    "by a function": forward("return x + early(self.table, x)"),
    "by a function that calls one": forward("return x + again(self.table, like=x)"),
    "by the functional form": forward("return through(x, kernel=self.table)"),
    "by an imported function": forward("return x + brought(self.table, x)"),
    "by an imported function under a name": forward("return x + formed(self.table, x)"),
    "by a function of a module": forward("return x + tools.shaped(self.table, x)"),
    "by a callee's name": forward("return x + somewhere.to_device_of(self.table, x)"),
    "by a callee's other name": forward("return x + move_to(self.table, x)"),
    "like, by a callee's name": forward("return x + as_tensor_like(self.table, x)"),
    "in a hook": "def forward(self, x): return x\n"
    "def attach(self):\n    def hook(m, a, out): return out + self.table.to(out)\n"
    "    self.lin.register_forward_hook(hook)",
}
PLACED = {
    "to": forward("return x + self.table.to(x.device)"),
    "to a device by name": forward("return x + self.table.to(device)"),
    "to by keyword": forward("return x + self.table.to(device=x.device, non_blocking=True)"),
    "to its own": forward("return x + self.table.to(self.device)"),
    "to a weight's": forward("return x + self.table.to(self.lin.weight.device)"),
    "by a local name": forward("where = x.device", "return x + self.table.to(where)"),
    "cuda": forward("return x + self.table.cuda()"),
    "to cuda": forward("return x + self.table.to('cuda')"),
    "as_tensor": forward("return x + torch.as_tensor(self.table, device=x.device)"),
    "by a function": forward("return x + here(self.table, x)"),
    "by a callee's name": forward("return x + to_device(self.table, x.device)"),
    "itself": forward("self.table = self.table.to(x.device)", "return x + self.table"),
    "itself, where it differs": forward(
        "if self.table.device != x.device:", "    self.table = self.table.to(x.device)", "return x + self.table"
    ),
    "in a matmul": forward("return (x @ self.table.to(x.device)).to(x.dtype)"),
    "into a layer": forward("return self.lin(x + self.table.to(x.device)).to(x.dtype)"),
    "one of two": forward("return x + self.table.to(x) + self.table.to(x.device)"),
}
HOST = {
    "truth": forward("return x if self.table else -x"),
    "an element's truth": forward("return x if self.table[0][1] else -x"),
    "in a comprehension's test": forward("return [l(x) for l, on in zip(self.layers, self.table) if on]"),
    "iteration": forward("for i, on in enumerate(self.table):", "    if on: x = self.layers[i](x)", "return x"),
    "item": forward("return x * self.table[0].item()"),
    "tolist": forward("return [self.layers[i](x) for i in self.table.tolist()]"),
    "int": forward("return x[: int(self.table[0])]"),
    "bounds of a range": forward("for i in range(self.table[0]): x = x + i", "return x"),
    "bounds of a slice": forward("return x[self.table[0] : self.table[1]]"),
    "bounds of a clamp": forward("return x.clamp(self.table[0], self.table[1])"),
    "bounds, starred": forward("return torch.clamp(x, *self.table)"),
    "length": forward("return x[: len(self.table)]"),
    "its size": forward("return x + self.table.shape[0]"),
    "an index of a list": forward("for i in self.table: x = self.layers[i](x)", "return x"),
    "numpy": forward("return x * float(np.mean(self.table.numpy()))"),
    "cpu": forward("return x * self.table.cpu().numpy().max()"),
    "weights of a draw": forward("i = torch.multinomial(self.table, 1).item()", "return self.layers[i](x)"),
    "weights of a draw, listed": forward(
        "for i in torch.multinomial(self.table.softmax(0), 2).tolist():", "    x = self.layers[i](x)", "return x"
    ),
    "weights of Python's draw": forward("return random.choices(self.layers, weights=self.table)[0](x)"),
    "a distribution": forward("n = torch.distributions.Categorical(self.table).sample()", "return self.layers[n](x)"),
    "a largest element": forward("return self.layers[self.table.argmax()](x)"),
    "in a loader": forward("return x") + "\ndef collate_fn(self, items): return torch.stack(items) * self.table",
    "math": forward("return x * math.sqrt(self.table.sum())"),
}
RAW = {
    "plainly": forward("return x + self.table"),
    "in part": forward("return x * self.table.to(x) + self.table"),
    "in place": forward("self.table += x", "return x + self.table.to(x)"),
    "through a name": forward("table = self.table", "return table.to(x) + x * table"),
    "handed over": forward("return torch.gather(self.table, 0, x).to(x)"),
    "to a dtype alone": forward("return x + self.table.to(x.dtype)"),
    "cast": forward("return x + self.table.float()"),
    "an element": forward("return x * self.table[0]"),
    "of a draw": forward("return x + torch.multinomial(self.table, 3)"),
    "repeated": forward("return x * self.table.repeat(2)[:4]"),
    "by a function that moves nothing": forward("return scaled(x, self.table)"),
    "by an imported function that moves nothing": forward("return x + given(self.table)"),
    "by a name that says nothing": forward("return x + prepared(self.table, x)"),
    "moved too late": forward("y = self.add(x)", "self.table = self.table.to(x)", "return y + self.table")
    + "\ndef add(self, x): return x + self.table",
    "moved on another way": forward("return x + self.table")
    + "\ndef prepare(self, x): self.table = self.table.to(x)",
    "moved under another condition": forward(
        "if self.training: self.table = self.table.to(x)", "return x + self.table"
    ),
    "moved once": forward(
        "if not self.ready:", "    self.table, self.ready = self.table.to(x), True", "return x + self.table"
    ),
    "into a layer": forward("return x + self.lin(self.table)"),
    "the bounds of a whole": forward("return x.clamp(self.table, max=self.table)"),
    "what comes out": forward("return x, self.table"),
    "an object is moved to it": forward("return x.to(self.table) * self.table"),
    "in a hook": "def forward(self, x): return x\n"
    "def attach(self):\n    self.lin.register_forward_hook(lambda m, a, out: out * self.table)",
    "by getattr": forward("return x + getattr(self, f'ta{x}')"),
    "by its dict": forward("return x + vars(self)['table']"),
    "in a list": forward("parts = []", "parts.append(self.table)", "return torch.cat([x, *parts])"),
}
UNREAD = {
    "never": forward("return x"),
    "its kind alone": forward("return x if self.table is None else x.to(self.table.device)"),
    "in the constructor": forward("return x") + "\ndef __post_init__(self): self.size = 3 * self.table",
    "made anew": forward("self.table = x.mean()", "return x - self.table"),
}


@pytest.mark.parametrize(
    ("body", "reading"),
    [
        pytest.param(body, reading, id=f"{reading}-{name}")
        for reading, bodies in {"moved": MOVED, "placed": PLACED, "host": HOST, "raw": RAW, "unread": UNREAD}.items()
        for name, body in bodies.items()
    ],
)
def test_what_becomes_of_it(tmp_path: Path, body: str, reading: str) -> None:
    assert uses(tmp_path, body).reads("table").reading == reading


def test_an_override_is_what_runs(tmp_path: Path) -> None:
    """A base's forward that is overridden does not run; one that `super()` calls does."""
    file = tmp_path / "net.py"
    file.write_text(
        textwrap.dedent("""
            class Mixin:
                def bring(self, t, x): return t.to(x)
            class Base(nn.Module):
                def forward(self, x): return x + self.table
            class Over(Mixin, Base):
                def forward(self, x): return x + self.bring(self.table, x)
            class Both(Mixin, Base):
                def forward(self, x): return super().forward(x) + self.bring(self.table, x)
            class First(Mixin, Base):
                def forward(self, x):
                    self.table = self.bring(self.table, x)
                    return super().forward(x)
        """),
        encoding="utf-8",
    )
    classes = {
        name: ClassRecord(name, "net", bases, str(file), None, name)
        for name, bases in {
            "net.Mixin": (),
            "net.Base": (),
            "net.Over": ("net.Mixin", "net.Base"),
            "net.Both": ("net.Mixin", "net.Base"),
            "net.First": ("net.Mixin", "net.Base"),
        }.items()
    }
    readings = {
        name: Uses(classes, f"net.{name}").reads("table").reading for name in ("Base", "Over", "Both", "First")
    }
    assert readings == {"Base": "raw", "Over": "moved", "Both": "raw", "First": "moved"}


CARRIED = {
    "by a sum": forward("self.table = 0.9 * self.table + 0.1 * x.mean(0)"),
    "in place": forward("self.table += x"),
    "by lerp": forward("self.table = self.table.lerp(x, 0.1)"),
    "by lerp in place": forward("self.table.lerp_(x, 0.1)"),
    "by a chain in place": forward("self.table.mul_(0.9).add_(x)"),
    "through a name": forward("old = self.table", "new = torch.lerp(old, x, 0.1)", "self.table = new"),
    "in a method": forward("self.keep(x)") + "\ndef keep(self, x): self.table = self.table + x",
    "by a method": forward("self.table = self.mix(x)") + "\ndef mix(self, x): return self.table + x",
    "by a function": forward("self.table = mix(self.table, x)"),
    "by a condition": forward("self.table = x if self.table is None else 0.5 * (self.table + x)"),
    "where it is none": forward(
        "if self.table is None:", "    self.table = x", "else:", "    self.table = self.table + x"
    ),
    "by setattr": forward("setattr(self, 'table', self.table + x)"),
    "through a layer": forward("y, self.table = self.rnn(x, self.table)", "return y"),
    "in training": forward("if self.training: self.table = self.table * 0.9 + x"),
    "in a step": "def training_step(self, x): self.table = self.table + x",
    "by a nested function": forward("def keep():", "    self.table = self.table + x", "keep()"),
}
NOT_CARRIED = {
    "the past is detached": forward("self.table = 0.9 * self.table.detach() + 0.1 * x"),
    "all is detached": forward("self.table = (0.9 * self.table + 0.1 * x).detach()"),
    "by its data": forward("self.table = self.table.data + x"),
    "without a graph": forward("with torch.no_grad():", "    self.table = self.table + x"),
    "in a method without one": forward("self.keep(x)")
    + "\n@torch.no_grad()\ndef keep(self, x): self.table = self.table + x",
    "a last loss": forward("self.table = x.mean()", "return self.table"),
    "compared with the past": forward("self.table = x * (x > self.table)"),
    "cut off first": forward("self.table = self.table.detach()", "self.table = self.table + x"),
    "cut off between": forward("self.table = self.table + x") + "\ndef reset(self): self.table = None",
    "cut off by another": forward("y, self.table = self.rnn(x, self.table)")
    + "\ndef repackage(self): self.table = self.table.detach()",
    "cut off on request": forward(
        "y, new = self.rnn(x, self.table)", "self.table = new if self.keeps else new.detach()", "return y"
    ),
    "as a number": forward("self.table = self.table.item() + x"),
    "not by the forward": "def fit(self, x): self.table = self.table + x",
    "never": forward("return x + self.table"),
    "of another": forward("self.other = 0.9 * self.other + x", "self.table = x"),
}


@pytest.mark.parametrize("body", CARRIED.values(), ids=CARRIED)
def test_what_goes_on_from_its_own_past(tmp_path: Path, body: str) -> None:
    assert uses(tmp_path, body).reads("table").is_carried


@pytest.mark.parametrize("body", NOT_CARRIED.values(), ids=NOT_CARRIED)
def test_what_begins_anew(tmp_path: Path, body: str) -> None:
    assert not uses(tmp_path, body).reads("table").is_carried


@pytest.mark.parametrize(
    ("name", "line", "is_carried"),
    [
        ("stats['mean']", "self.stats['mean'] = 0.9 * self.stats['mean'] + x", True),
        ("stats['mean']", "self.stats['mean'] = 0.9 * self.stats.get('mean', 0) + x", True),
        ("stats['mean']", "self.stats.update(mean=self.stats['mean'] + x)", True),
        ("stats['mean']", "self.stats[x] = self.stats[x] + x", True),
        ("stats['mean']", "self.stats['mean'] = self.stats['other'] + x", False),
        ("stats['mean']", "self.stats['mean'] = self.stats['mean'].detach() + x", False),
        ("stats['mean']", "self.stats['other'] = self.stats['mean'] + x", False),
        ("stats->mean", "self.stats.mean = self.stats.mean + x", True),
        ("stats->mean", "s = self.stats\n    s.mean = s.mean + x", True),
        ("losses[0]", "self.losses.append(self.losses[-1] + x)", True),
        ("losses[0]", "self.losses.append(x)", False),
        ("losses[0]", "self.losses = [loss + x for loss in self.losses]", True),
    ],
)
def test_what_lies_deeper(tmp_path: Path, name: str, line: str, *, is_carried: bool) -> None:
    assert uses(tmp_path, f"def forward(self, x):\n    {line}").reads(name).is_carried is is_carried


def test_the_state_of_a_recurrent_layer(tmp_path: Path) -> None:
    assert uses(tmp_path, CARRIED["through a layer"]).reads("table").is_recurrent
    assert not uses(tmp_path, CARRIED["by a sum"]).reads("table").is_recurrent


@pytest.mark.parametrize(
    ("body", "is_renewed"),
    [
        (forward("self.table = x.mean()", "return x - self.table"), True),
        (forward("self.keep(x)", "return x - self.table") + "\ndef keep(self, x): self.table = x", True),
        (forward("if self.training: self.table = x.mean()", "return x - self.table"), False),
        (forward("y = x - self.table", "self.table = x", "return y"), False),
        ("def fit(self, x): self.table = x\ndef forward(self, x): return x - self.table", False),
    ],
)
def test_what_each_forward_makes_anew(tmp_path: Path, body: str, *, is_renewed: bool) -> None:
    assert uses(tmp_path, body).reads("table").is_renewed is is_renewed


STAGES = {
    "def forward(self, x): self.table = x  # here": {"forward"},
    "def training_step(self, x): self.table = x  # here": {"forward"},
    "def fill(self, x): self.table = x  # here": {"other"},
    "def called(self, x): self.table = x  # here": {"forward"},
    "def fill(self, x): self.table = x  # here\ndef called(self, x): return self.fill(x)": {"forward"},
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
    found = uses(tmp_path, body, frozenset({"called"}))
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


@pytest.mark.parametrize(
    ("body", "is_back"),
    [
        ("def restore(self): self.net.load_state_dict(self.table)", True),
        ("def restore(self):\n    for p, t in zip(self.net.parameters(), self.table): p.data.copy_(t)", True),
        ("def restore(self):\n    for p, t in zip(self.net.parameters(), self.table): p.data = t", True),
        ("def forward(self, x): return functional_call(self.net, self.table, x)", False),
    ],
)
def test_what_is_loaded_back(tmp_path: Path, body: str, *, is_back: bool) -> None:
    assert uses(tmp_path, body).is_loaded_back("table") is is_back


def test_without_source_nothing_is_known() -> None:
    found = Uses({"net.Net": ClassRecord("net.Net", "net", (), None, None, None)}, "net.Net")
    assert found.reads("table").reading == "unread"
    assert found.stages(Assignment("net.py", 3, "forward", "self.table = x", "net.Net")) == {"forward"}
    assert Uses({}, "net.Net").stages(Assignment("net.py", 3, "fill", "self.table = x", "net.Net")) == {"other"}


def test_code_without_an_end_is_followed_so_far(tmp_path: Path) -> None:
    """Functions that call one another, and an expression that is nested deeply."""
    body = (
        forward("return self.one(x)") + "\ndef one(self, x): return self.two(x)\ndef two(self, x): return self.one(x)"
    )
    assert uses(tmp_path, body + "\ndef other(self, x): return x + self.table").reads("table").reading == "raw"
    for deep in ("+".join(["x"] * 500), "f(" * 80 + "x" + ")" * 80, "x" + ".a" * 500):
        assert uses(tmp_path, forward(f"y = {deep}", "return x + self.table")).reads("table").reading == "raw"
    many = ["if index == 0: pass", *(f"elif index == {i}: x = x + 1" for i in range(500))]
    assert uses(tmp_path, forward(*many, "return x + self.table")).reads("table").reading == "raw"
