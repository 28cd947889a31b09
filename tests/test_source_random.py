"""Random classes: whatever form an assignment has, and wherever it stands, the line found is where it was put."""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from paramscope.snapshot import ClassRecord
from paramscope.source.search import locate_attribute

NAMES = ("a", "bb", "c1", "_d", "weight")

# Forms that write NAME and nothing else that is asked for. `x` is a parameter, OTHER a name that is not asked for.
FORMS = (
    ["self.NAME = x"],
    ["self.NAME: int = x"],
    ["self.NAME += x"],
    ["self.OTHER = self.NAME = x"],
    ["self.OTHER, (y, self.NAME) = x"],
    ["*self.NAME, y = x"],
    ["for self.NAME in x: pass"],
    ["with x as self.NAME: pass"],
    ["setattr(self, 'NAME', x)"],
    ["object.__setattr__(self, 'NAME', x)"],
    ["super().__setattr__('NAME', x)"],
    ["self.__dict__['NAME'] = x"],
    ["self.__dict__.update(NAME=x, OTHER=x)"],
    ["vars(self)['NAME'] = x"],
    ["self.register_buffer('NAME', x)"],
    ["self.register_parameter(name='NAME', param=x)"],
    ["torch.nn.Module.add_module(self, 'NAME', x)"],
    ["self.NAME = (", "    x,", ")"],
    ["[setattr(self, n, x) for n in ('OTHER', 'NAME')]"],
    ["s = self; s.NAME = x"],
    ["y = lambda: setattr(self, 'NAME', x)"],
)
# Lines around a form, with the number of lines before it.
WRAPPINGS: tuple[tuple[str, list[str]], ...] = (
    ("", []),
    ("if x:", []),
    ("for i in x:", []),
    ("while x:", []),
    ("try:", ["finally:", "    pass"]),
    ("with x:", []),
    ("def inner():", []),
    ("if x:", ["else:", "    self.OTHER = x"]),
)
# What looks like an assignment of NAME, and is none.
NOISE = (
    "x.NAME = self.NAME",
    "self.other.NAME = x",
    "self.NAME[0] = x",
    "self.NAME.data = x",
    "setattr(x, 'NAME', self)",
    "NAME = x",
    "print('self.NAME = x')",
    "# self.NAME = x",
    "self.NAMEx = self.xNAME = x",
    "'''",
)


class Writer:
    """Writes one class, and notes on which line each name is assigned."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.lines = ["class Net(Base):"]
        self.put: dict[str, list[int]] = {name: [] for name in NAMES}

    def method(self, name: str) -> None:
        """One method, with assignments and what only looks like them."""
        decorator = self.data.draw(st.sampled_from(["", "@torch.no_grad()", "@property"]))
        self.lines += [f"    {decorator}"] if decorator else []
        receiver = self.data.draw(st.sampled_from(["self", "this", "me"]))
        start = len(self.lines)
        self.lines.append(f"    def {name}(self, x):")
        for _ in range(self.data.draw(st.integers(0, 4))):
            self.statement()
        self.lines.append("        return None")
        # As a whole word: `self` is part of no other one that is written here.
        self.lines[start:] = [line.replace("self", receiver) for line in self.lines[start:]]

    def statement(self) -> None:
        """One assignment, or what looks like one."""
        name = self.data.draw(st.sampled_from(NAMES))
        if self.data.draw(st.booleans()):
            noise = self.data.draw(st.sampled_from(NOISE)).replace("NAME", name)
            self.lines += ["        '''", f"    self.{name} = x", "'''"] if noise == "'''" else [f"        {noise}"]
            return
        form = self.data.draw(st.sampled_from(FORMS))
        before, after = self.data.draw(st.sampled_from(WRAPPINGS))
        indent = "        "
        if before:
            self.lines.append(indent + before)
            indent += "    "
        self.put[name].append(len(self.lines) + 1)
        self.lines += [indent + line.replace("NAME", name).replace("OTHER", "other") for line in form]
        self.lines += ["        " + line.replace("OTHER", "other") for line in after]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_assignment_is_found_on_its_line(data: st.DataObject) -> None:
    writer = Writer(data)
    for name in data.draw(st.lists(st.sampled_from(["__init__", "forward", "f", "g"]), min_size=1, unique=True)):
        writer.method(name)
    text = "\n".join(writer.lines)
    ast.parse(text)
    newline = data.draw(st.sampled_from(["\n", "\r\n"]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.py"
        path.write_bytes(text.replace("\n", newline).encode())
        classes = {"m.Net": ClassRecord("m.Net", "m", (), str(path), 2, None)}
        for name in NAMES:
            found = [each.line for each in locate_attribute(classes, "m.Net", name).assignments]
            assert sorted(found) == writer.put[name], (name, text)
