"""Why nothing is found: each reason names what is wrong, and no line is given that may be another one's."""

from __future__ import annotations

import importlib.util
import linecache
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from support.asking import ask, check, imported, load, marks, records, written
from torch import nn

import paramscope.source.files as files
from paramscope.snapshot import ClassRecord
from paramscope.source.library import is_own
from paramscope.source.search import Located, locate_attribute

NET = b"class Net:\n    def f(self):\n        self.w = 1\n"


def record(file: Path | str | None, line: int | None = 2, name: str = "Net") -> dict[str, ClassRecord]:
    """A class without bases, as capture would record it."""
    return {f"some.{name}": ClassRecord(f"some.{name}", "some", (), None if file is None else str(file), line, None)}


def reason(file: Path | str | None, line: int | None = 2) -> str:
    """Why nothing was found."""
    found = locate_attribute(record(file, line), "some.Net", "w")
    assert found.assignments == ()
    assert found.reason is not None
    return found.reason


def lines(file: Path | str, line: int | None = 2) -> list[int]:
    """The lines that were found."""
    return [each.line for each in locate_attribute(record(file, line), "some.Net", "w").assignments]


def test_assigned_from_outside(tmp_path: Path) -> None:
    text = """
        class Net(nn.Module):
            def f(self):
                self.v = 1

        def build():
            net = Net()
            net.w = 1
    """
    assert (
        check(tmp_path, text, "w").reason == "no method of Net or its bases assigns 'w': it was assigned from outside"
    )
    found = check(tmp_path, text, "::w")
    assert (
        found.reason == "neither the body nor a method of Net or its bases assigns 'w': it was assigned from outside"
    )


def test_no_file() -> None:
    assert reason(None) == "Net has no source file: it was made at run time, or typed at a prompt"


def test_a_class_that_was_not_recorded() -> None:
    assert locate_attribute({}, "some.Net", "w") == Located((), "the class some.Net was not recorded")


def test_a_class_that_was_made_by_type_or_exec(tmp_path: Path) -> None:
    module = load(
        tmp_path,
        """
        Made = type("Made", (nn.Module,), {})
        exec("class Executed(nn.Module):\\n    def f(self):\\n        self.w = 1")
        """,
    )
    for name in ("Made", "Executed"):
        found = ask(getattr(module, name), "w")
        assert found == Located(
            (), f"{module.__file__} holds no class {name}: it was generated, or the file has been edited"
        )


def test_a_class_typed_at_a_prompt() -> None:
    code = """
        import torch
        from paramscope import capture
        from paramscope.source.owners import locate
        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.w = torch.nn.Parameter(torch.ones(1))
        print(locate(capture(Net()), "w"))
    """
    done = subprocess.run([sys.executable, "-"], input=dedent(code), capture_output=True, text=True, check=True)
    assert "Net has no source file: it was made at run time, or typed at a prompt" in done.stdout


def test_a_notebook_cell() -> None:
    name = "/nowhere/ipykernel_1/1.py"
    text = NET.decode()
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    try:
        assert lines(name) == [3]
        text = "\n" + text
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        assert lines(name, 3) == [4]
    finally:
        del linecache.cache[name]
    assert "No such file" in reason(name)


# Python 3.10 parses whatever is nested in this way.
_NESTED = "cannot be parsed: " if sys.version_info >= (3, 11) else "holds no class Net: "
BAD: dict[str, tuple[bytes, str]] = {
    "syntax": (b"class Net:\n    def f(self):\n        self.w = = 1\n", "cannot be parsed: invalid syntax at line 3"),
    "null byte": (b"class Net:\n    x = '\0'\n", "cannot be parsed: source code"),
    "not utf-8": (b"class Net:\n    x = '\xe9'\n", "cannot be decoded: 'utf-8' codec can't decode byte"),
    "not utf-8, further down": (b"#\n#\n#\nx = '\xe9'\n", "cannot be decoded: 'utf-8' codec can't decode byte 0xe9"),
    "unknown encoding": (b"# -*- coding: klingon -*-\n", "cannot be decoded: unknown encoding: klingon"),
    "not text": (b"# coding: rot13\n", "cannot be decoded: "),
    "binary": (bytes(range(256)), "cannot be decoded: 'utf-8' codec can't decode byte"),
    "nested sum": (
        b"x = " + b"+".join([b"a"] * 50_000),
        _NESTED + "its expressions are nested too deeply" * _NESTED.startswith("cannot"),
    ),
    "nested minus": (
        b"x = " + b"-" * 5_000 + b"a",
        _NESTED if sys.version_info < (3, 13) else "holds no class Net: ",
    ),
    "nested parentheses": (b"x = " + b"(" * 5_000 + b")" * 5_000, "cannot be parsed: too many nested parentheses"),
    "empty": (b"", "holds no class Net: it was generated, or the file has been edited"),
}


@pytest.mark.parametrize(("content", "why"), BAD.values(), ids=BAD)
def test_bad_files(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "bad.py"
    path.write_bytes(content)
    assert reason(path).startswith(f"{path} {why}")
    assert reason(path).startswith(f"{path} {why}")


def test_what_is_no_file(tmp_path: Path) -> None:
    assert reason(tmp_path) == f"{tmp_path} cannot be read: it is no regular file"
    assert "No such file" in reason(tmp_path / "missing.py")
    assert "null" in reason("a\0b")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert reason(fifo) == f"{fifo} cannot be read: it is no regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_bytes(NET)
    path.chmod(0)
    assert reason(path) == f"{path} cannot be read: Permission denied"


def test_a_file_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "net.py"
    path.write_bytes(NET)
    monkeypatch.setattr("builtins.open", refuse)
    assert reason(path) == f"{path} cannot be read: Permission denied"


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.py"
    path.write_bytes(NET)
    monkeypatch.setattr(files, "SIZE_BOUND", len(NET) - 1)
    assert reason(path) == f"{path} is not read: it is larger than {len(NET) - 1} bytes"


GOOD: dict[str, bytes] = {
    "plain": NET,
    "BOM": b"\xef\xbb\xbf" + NET,
    "CRLF": NET.replace(b"\n", b"\r\n"),
    "CR": NET.replace(b"\n", b"\r"),
    "tabs": NET.replace(b"    ", b"\t"),
    "latin-1": b"# coding: latin-1\n" + NET.rstrip() + b" # \xe9\n",
    "no newline at its end": NET.rstrip(),
    "form feed": b"\f" + NET,
    "separators that are no ends of lines": NET.replace(b"1", "'\u2028\x1c\x85'".encode()),
    "warnings": NET.replace(b"1", b"'\\d' is '\\w'"),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_good_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "good.py"
    path.write_bytes(content)
    line = 3 if content.startswith(b"# coding") else 2
    (found,) = locate_attribute(record(path, line), "some.Net", "w").assignments
    assert found.line == line + 1
    assert found.source.startswith("self.w = ")


def test_lines_as_python_itself_counts_them(tmp_path: Path) -> None:
    for content in GOOD.values():
        path = tmp_path / f"counted_{abs(hash(content))}.py"
        path.write_bytes(content)
        spec = importlib.util.spec_from_file_location("counted", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with pytest.warns() if b"\\d" in content else nullcontext():
            spec.loader.exec_module(module)
        line = module.Net.f.__code__.co_firstlineno
        assert lines(path, line) == [line + 1]


def test_an_edited_file_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_bytes(NET)
    assert lines(path) == [3]
    path.write_bytes(b"\n" + NET)
    why = f"{path} has been edited since it was imported: the first function of Net does not begin at line 2"
    assert reason(path) == why
    # A function begins at the line, but one stands before it.
    path.write_bytes(b"class Net:\n    def e(self): pass\n    def f(self):\n        self.w = 1\n")
    assert reason(path, 3) == why.replace("line 2", "line 3")
    assert lines(path, 2) == [4]


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    for value in (b"1", b"2", b"33", b"4"):
        path.write_bytes(NET.replace(b"1", value))
        os.utime(path, (1, 1))
        (found,) = locate_attribute(record(path), "some.Net", "w").assignments
        assert found.source == f"self.w = {value.decode()}"
    path.write_bytes(NET.replace(b"self.w", b"self.v"))
    assert "assigned from outside" in reason(path)
    path.unlink()
    assert "No such file" in reason(path)
    path.write_bytes(NET)
    assert lines(path) == [3]


def test_a_file_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.py"
    path.write_bytes(NET)
    parsed = []
    real = files.SourceFile

    def counted(*args: Any) -> files.SourceFile:
        parsed.append(1)
        return real(*args)

    monkeypatch.setattr(files, "SourceFile", counted)
    for _ in range(3):
        assert lines(path) == [3]
    assert len(parsed) == 1
    # One that has not changed for long is not even read.
    monkeypatch.setattr(files, "_YOUNG", 0)
    assert lines(path) == [3]
    monkeypatch.setattr("builtins.open", None)
    assert lines(path) == [3]
    assert len(parsed) == 1


def test_files_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FILES_BOUND", 3)
    for i in range(9):
        path = tmp_path / f"net{i}.py"
        path.write_bytes(NET)
        assert lines(path) == [3]
        assert len(files._entries) <= 3
    assert list(files._entries) == [str(tmp_path / f"net{i}.py") for i in (6, 7, 8)]


def test_reading_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_bytes(b"raise SystemExit\n" + NET)
    assert lines(path, 3) == [4]


SEVERAL = """
        import functools

        if torch:
            class Net(nn.Module):
                def __init__(self):
                    self.w = 1  # 1
        else:
            class Net(nn.Module):
                def __init__(self):
                    self.w = 1

        First = Net

        class Net(nn.Module):
            @functools.partial(lambda function: function)
            @staticmethod
            def __init__(self):
                pass

            def f(self):
                self.w = 1  # 2

        Second = Net

        class Net(nn.Module):
            x = lambda self: setattr(self, "w", 1)  # 3

        Third = Net

        def build():
            class Net(nn.Module):
                def f(self):
                    self.w = 1  # 4

                class Net(nn.Module):
                    def f(self):
                        self.w = 1  # 5
            return Net

        Fourth = build()
        Fifth = Fourth.Net

        class Net(nn.Module):
            w = 1
    """


@pytest.mark.parametrize(("name", "mark"), [("First", 1), ("Second", 2), ("Third", 3), ("Fourth", 4), ("Fifth", 5)])
def test_classes_of_one_name(tmp_path: Path, name: str, mark: int) -> None:
    assert marks(ask(getattr(load(tmp_path, SEVERAL), name), "w")) == [mark]


def test_classes_of_one_name_without_functions(tmp_path: Path) -> None:
    text = """
        class Net(nn.Module):
            w = 1  # 1
        class Other(nn.Module):
            def f(self): pass
            w = 1
        class Other(nn.Module):
            w = 1  # 2
        class Twice(nn.Module):
            w = 1
        class Twice(nn.Module):
            w = 1
    """
    module = load(tmp_path, text)
    assert marks(ask(module.Net, "::w")) == [1]
    assert marks(ask(module.Other, "::w")) == [2]
    why = f"{module.__file__} holds several classes Twice, and nothing tells which one it is"
    assert ask(module.Twice, "::w") == Located((), why)


# Where the first function of a class is not the first that stands in its body.
FIRSTS = {
    "defined again": """
        class Net(nn.Module):
            def f(self): pass
            def g(self):
                self.w = 1  # 1
            def f(self): pass
    """,
    "deleted": """
        class Net(nn.Module):
            def f(self): pass
            x = property(f)
            def g(self):
                self.w = 1  # 1
            del f, x
    """,
    "assigned anew": """
        class Net(nn.Module):
            def f(self): pass
            f = len(str(f))
            def g(self):
                self.w = 1  # 1
    """,
    "not taken": """
        class Net(nn.Module):
            if not torch:
                def f(self): pass
            def g(self):
                self.w = 1  # 1
    """,
    "replaced by a decorator": """
        class Net(nn.Module):
            @str
            def f(self): pass
            def g(self):
                self.w = 1  # 1
    """,
    "wrapped by a function of the file": """
        import functools
        def wrapper(function):
            @functools.wraps(function)
            def inner(*args):
                return function(*args)
            return inner
        class Net(nn.Module):
            @wrapper
            def f(self):
                self.w = 1  # 1
    """,
    "wrapped by a function of another file": """
        import contextlib
        class Net(nn.Module):
            @contextlib.contextmanager
            def f(self):
                self.w = 1  # 1
    """,
    "property": """
        class Net(nn.Module):
            @property
            def f(self): pass
            @f.setter
            def f(self, value):
                self.w = 1  # 1
    """,
    "setter by hand": """
        class Net(nn.Module):
            def _get(self): pass
            def _set(self, value):
                self.w = 1  # 1
            f = property(_get, _set)
    """,
    "overloaded": """
        from typing import overload
        class Net(nn.Module):
            @overload
            def f(self, x: int): ...
            @overload
            def f(self, x: str): ...
            def f(self, x):
                self.w = 1  # 1
    """,
    "decorators over several lines": """
        import functools
        class Net(nn.Module):
            @functools.lru_cache(
                maxsize=None,
            )
            @staticmethod
            def e(): pass
            def f(self):
                self.w = 1  # 1
    """,
    "class method": """
        class Net(nn.Module):
            @classmethod
            def e(cls): pass
            @staticmethod
            def f(): pass
            def g(self):
                self.w = 1  # 1
    """,
}


@pytest.mark.parametrize("text", FIRSTS.values(), ids=FIRSTS)
def test_the_first_function_of_a_class(tmp_path: Path, text: str) -> None:
    check(tmp_path, text, "w")


def test_a_reason_of_a_base_is_told(tmp_path: Path) -> None:
    base = imported(written(tmp_path, "class Base(nn.Module):\n    def f(self):\n        self.w = 1\n"))
    path = written(
        tmp_path, f"from {base.__name__} import Base\nclass Net(Base):\n    def f(self):\n        self.v = 1\n"
    )
    net = imported(path).Net
    assert [each.line for each in ask(net, "w").assignments] == [5]
    assert base.__file__ is not None
    Path(base.__file__).unlink()
    assert "No such file" in (ask(net, "w").reason or "")
    assert [each.line for each in ask(net, "v").assignments] == [6]


def test_a_library_class_where_it_alone_assigns(tmp_path: Path) -> None:
    text = """
        class Net(nn.Linear):
            def f(self):
                self.bias = 1  # 1
    """
    net = load(tmp_path, text).Net
    assert marks(ask(net, "bias")) == [1]
    found = ask(net, "weight")
    assert {each.type for each in found.assignments} == {"torch.nn.modules.linear.Linear"}
    assert "self.weight = Parameter(" in found.assignments[0].source
    assert found.assignments[0].method == "__init__"


def test_torch_s_machinery_assigns_nothing_by_name(tmp_path: Path) -> None:
    net = load(tmp_path, "class Net(nn.Sequential):\n    def f(self): pass\n").Net
    assert "assigned from outside" in (ask(net, "w").reason or "")


def test_an_installed_class_is_a_library_s(tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "site-packages"
    folder.mkdir(parents=True)
    base = imported(written(folder, "class Base(nn.Module):\n    def f(self):\n        self.w = 1  # 2\n"))
    text = f"from {base.__name__} import Base\nclass Net(Base):\n    def f(self):\n        self.w = 1  # 1\n"
    net = imported(written(tmp_path, text)).Net
    assert marks(ask(net, "w")) == [1]
    assert marks(ask(imported(written(tmp_path, text.replace("self.w", "self.v"))).Net, "w")) == [2]


def test_records_are_those_of_capture(tmp_path: Path) -> None:
    net = load(tmp_path, "class Net(nn.Linear):\n    def f(self): pass\n").Net
    assert list(records(net)) == [
        f"{net.__module__}.Net",
        "torch.nn.modules.linear.Linear",
        "torch.nn.modules.module.Module",
    ]
    assert issubclass(net, nn.Module)


def test_classes_of_python_itself_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_bytes(NET)
    generic = ClassRecord("typing.Generic", "typing", (), os.__file__, 1, None)
    net = record(path)["some.Net"]._replace(bases=("typing.Generic",))
    found = locate_attribute({net.type: net, generic.type: generic}, net.type, "v")
    assert "assigned from outside" in (found.reason or "")
    assert files._entries.get(os.__file__) is None


@pytest.mark.parametrize(
    ("file", "module", "expected"),
    [
        ("/home/me/net.py", "net", True),
        ("/home/me/torch_net.py", "torch_net", True),
        ("/home/me/site-packages-of-mine/net.py", "net", True),
        (None, "net", False),
        ("/home/me/.venv/lib/python3.12/site-packages/timm/models/net.py", "timm.models.net", False),
        ("/usr/lib/python3/dist-packages/net.py", "net", False),
        ("C:\\Python\\Lib\\site-packages\\net.py", "net", False),
        ("/home/me/pytorch/torch/nn/modules/linear.py", "torch.nn.modules.linear", False),
        (os.__file__, "os", False),
    ],
)
def test_whose_a_class_is(file: str | None, module: str, *, expected: bool) -> None:
    assert is_own(ClassRecord(f"{module}.Net", module, (), file, None, None)) is expected


def test_a_second_change_that_leaves_the_times_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.py"
    path.write_bytes(NET)
    found, stat = os.stat(path), os.stat
    monkeypatch.setattr("os.stat", lambda name, **options: found if name == str(path) else stat(name, **options))
    assert lines(path) == [3]
    path.write_bytes(NET.replace(b"w", b"v"))
    assert "assigned from outside" in reason(path)


def test_code_that_is_deep_and_long(tmp_path: Path) -> None:
    count = 900
    path = tmp_path / "net.py"
    body = [
        "if x: pass",
        *(f"elif x: self.w{i} = x" for i in range(count)),
        f"self{'.a' * count}.w = x",
        f"setattr(self, {' + '.join(['x'] * count)}, x)",
        f"setattr(self{'.f()' * count}, 'w', x)",
        f"s = {'(' * 90}self{')' * 90}; s.v = x",
        f"s = {'[' * 90}self{']' * 90}; s.v = x",
        f"s = self{' or self' * count}; s.u = x",
        f"{' if '.join(['setattr(self, str(x), x)'] * 2)} else {'x if x else ' * 300} x",
    ]
    path.write_text("class Net:\n    def f(self, x):\n" + "".join(f"        {line}\n" for line in body))
    known = record(path)
    assert lines(path, 2) == [count + 5, count + 10]
    assert [each.line for each in locate_attribute(known, "some.Net", f"w{count - 1}").assignments] == [count + 3]
    assert [each.line for each in locate_attribute(known, "some.Net", "v").assignments] == [count + 7]
    assert [each.line for each in locate_attribute(known, "some.Net", "u").assignments] == [count + 9]


def test_a_long_class_is_read_once_and_every_ask_is_short(tmp_path: Path) -> None:
    count = 10_000
    path = tmp_path / "net.py"
    body = "".join(f"        self.w{i} = s = self; s.same = x\n" for i in range(count))
    path.write_text(f"class Net:\n    def f(self, x):\n{body}")
    known = record(path)
    for i in range(count):
        (found,) = locate_attribute(known, "some.Net", f"w{i}").assignments
        assert found.line == i + 3
    assert len(locate_attribute(known, "some.Net", "same").assignments) == count
