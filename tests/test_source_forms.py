"""Every form of assignment is found on its line: the marks in the sources say where, and in which order."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import indent

import pytest
from support.asking import ask, check, load, marks

STATEMENTS = {
    "plain": "self.w = 1 * x  # 1",
    "annotated": "self.w: torch.Tensor = x()  # 1",
    "annotation alone": "self.w: torch.Tensor",
    "augmented": "self.w += x()  # 1",
    "chained": "a = self.v = self.w = x()  # 1",
    "tuple": "self.v, self.w = x()  # 1",
    "list": "[self.v, (a, self.w)] = x()  # 1",
    "starred": "self.v, *self.w = x()  # 1",
    "for": "for self.w in x():  # 1\n    pass",
    "comprehension target": "[0 for self.w in x()]  # 1",
    "with": "with x() as self.w:  # 1\n    pass",
    "with several": "with x() as y, z() as (self.v, self.w):  # 1\n    pass",
    "in with": "with x():\n    self.w = x()  # 1",
    "in try": "try:\n    self.w = x()  # 1\nfinally:\n    pass",
    "in except": "try:\n    pass\nexcept x:\n    self.w = x()  # 1",
    "in match": "match x:\n    case 1:\n        self.w = x()  # 1",
    "in while": "while x:\n    self.w = x()  # 1",
    "in else of for": "for _ in x:\n    pass\nelse:\n    self.w = x()  # 1",
    "after a semicolon": "self.v = x(); self.w = x()  # 1",
    "over several lines": "self.w = x(  # 1\n    1,\n)",
    "setattr": "setattr(self, 'w', x())  # 1",
    "setattr in an expression": "x and setattr(self, 'w', x())  # 1",
    "object.__setattr__": "object.__setattr__(self, 'w', x())  # 1",
    "super().__setattr__": "super().__setattr__('w', x())  # 1",
    "super(Net, self).__setattr__": "super(Net, self).__setattr__('w', x())  # 1",
    "nn.Module.__setattr__": "nn.Module.__setattr__(self, 'w', x())  # 1",
    "self.__setattr__": "self.__setattr__('w', x())  # 1",
    "__dict__": "self.__dict__['w'] = x()  # 1",
    "__dict__ update": "self.__dict__.update(v=1, w=x())  # 1",
    "__dict__ update with a dict": "self.__dict__.update({'w': x()})  # 1",
    "__dict__ setdefault": "self.__dict__.setdefault('w', x())  # 1",
    "__dict__ or": "self.__dict__ |= {'w': x()}  # 1",
    "__dict__ replaced": "self.__dict__ = {'w': x()}  # 1",
    "vars": "vars(self)['w'] = x()  # 1",
    "vars update": "vars(self).update(w=x())  # 1",
    "alias of __dict__": "d = self.__dict__\nd['w'] = x()  # 1",
    "_parameters": "self._parameters['w'] = x()  # 1",
    "_buffers": "self._buffers['w'] = x()  # 1",
    "_modules": "self._modules['w'] = x()  # 1",
    "register_parameter": "self.register_parameter('w', x())  # 1",
    "register_buffer": "self.register_buffer('w', x(), persistent=False)  # 1",
    "register_module": "self.register_module('w', x())  # 1",
    "add_module": "self.add_module('w', x())  # 1",
    "super().register_buffer": "super().register_buffer('w', x())  # 1",
    "by keyword": "self.register_buffer(tensor=x(), name='w')  # 1",
    "over several lines, by keyword": "self.register_buffer(  # 1\n    tensor=x(),\n    name='w',\n)",
    "unbound": "torch.nn.Module.register_buffer(self, 'w', x())  # 1",
    "unbound, by keyword": "nn.Module.add_module(self, name='w', module=x())  # 1",
    "unbound, of its own class": "Net.register_buffer(self, 'w', x())  # 1",
    "name that is an attribute": "self.register_buffer(self.name, x())  # 1",
    "alias": "s = self\ns.w = x()  # 1",
    "alias of an alias": "s = self\nt = s\nt.w = x()  # 1",
    "alias in a tuple": "s, n = self, 3\ns.w = x()  # 1",
    "walrus alias": "(s := self).w = x()  # 1",
    "alias that ended": "s = self\ns = x()\ns.w = x()",
    "alias in one branch": "s = x()\nif x:\n    s = self\ns.w = x()  # 1",
    "alias, but for one branch": "s = self\nif x:\n    s = x()\ns.w = x()  # 1",
    "alias of the branch it is in": "s = x()\nif x:\n    s = self\n    s.w = x()  # 1",
    "alias of another branch": "s = self\nif x:\n    s = x()\n    s.w = x()",
    "nested function": "def f():\n    self.w = x()  # 1\nf()",
    "nested function of an alias": "s = self\ndef f():\n    def g():\n        s.w = x()  # 1",
    "nested async function": "async def f():\n    async with x() as self.w:  # 1\n        pass",
    "nested function with a self of its own": "def f(self):\n    self.w = x()",
    "lambda": "f = lambda: setattr(self, 'w', x())  # 1",
    "lambda with a self of its own": "f = lambda self: setattr(self, 'w', x())",
    "comprehension": "[setattr(self, 'w', n) for n in x()]  # 1",
    "nested class": "class Inner:\n    def f(inner):\n        self.w = x()  # 1",
    "nested class with a self of its own": "class Inner:\n    def f(self):\n        self.w = x()",
    "f-string": "for i in x():\n    setattr(self, f'{i}w', i)  # 1",
    "f-string that cannot be": "for i in x():\n    setattr(self, f'w{i}_', i)",
    "digits that cannot be": "for i in range(x):\n    setattr(self, f'w{i}', i)",
    "concatenation": "self.register_buffer('' + str(x) + 'w', x)  # 1",
    "percent": "setattr(self, '%sw' % x, x)  # 1",
    "percent that cannot be": "setattr(self, '%dw' % x, x)",
    "percent of several": "setattr(self, '%s%s' % ('v', 'w'), x)",
    "percent of several, exactly": "setattr(self, '%s%s' % ('', 'w'), x)  # 1",
    "percent of a dict": "setattr(self, '%(a)sw' % {'a': x}, x)  # 1",
    "percent sign": "setattr(self, '%%%sw' % x, x)",
    "f-string with a width": "setattr(self, f'{x:>{y}}w', x)  # 1",
    "f-string of a repr": "setattr(self, f'{x!r}w', x)  # 1",
    "f-string of digits": "setattr(self, f'{x:03d}w', x)",
    "f-string of a name": "n = 'w'\nsetattr(self, f'{n}', x)  # 1",
    "sum of numbers": "setattr(self, f'w{1 + 1}', x)",
    "format by position": "setattr(self, '{1}{0}'.format('w', ''), x)  # 1",
    "format by another position": "setattr(self, '{1}{0}'.format('', 'v'), x)",
    "format of digits": "setattr(self, '{:d}w'.format(x), x)",
    "format that is broken": "setattr(self, '{w'.format(x), x)  # 1",
    "format of nothing": "setattr(self, '{}w'.format(), x)  # 1",
    "format": "setattr(self, '{}w'.format(x), x)  # 1",
    "format by name": "setattr(self, '{p}w'.format(p=x), x)  # 1",
    "loop over names": "for n in ('v', 'w'):\n    setattr(self, n, x())  # 1",
    "loop over other names": "for n in ('u', 'v'):\n    setattr(self, n, x())",
    "loop over pairs": "for n, v in [('v', 1), ('w', 2)]:\n    self.register_buffer(n, v())  # 1",
    "loop over pairs, the other place": "for v, n in [('v', 1), ('w', 2)]:\n    self.register_buffer(n, v())",
    "enumerate": "for i, n in enumerate(['v', 'w']):\n    setattr(self, n, i)  # 1",
    "zip": "for n, v in zip(('v', 'w'), x()):\n    setattr(self, n, v)  # 1",
    "dict items": "for n, v in {'v': 1, 'w': 2}.items():\n    setattr(self, n, v)  # 1",
    "dict keys": "for n in {'v': 1, 'w': 2}:\n    setattr(self, n, 1 * n)  # 1",
    "split": "for n in 'v w'.split():\n    setattr(self, n, 1 * n)  # 1",
    "names of the method": "names = ('v', 'w')\nfor n in names:\n    setattr(self, n, 1 * n)  # 1",
    "one loop after the other": (
        "for n in ('u', 'v'):\n    setattr(self, n, x())\nfor n in ('w',):\n    setattr(self, n, x())  # 1"
    ),
    "comprehension over names": "[setattr(self, n, x()) for n in ('v', 'w')]  # 1",
    "name in a variable": "n = 'w'\nsetattr(self, n, x())  # 1",
    "name of a branch": "n = 'w'\nif x:\n    n = 'v'\nsetattr(self, n, x())  # 1",
    "name of another branch": "n = 'w'\nif x:\n    n = 'v'\n    setattr(self, n, x())",
    "name that grows": "for n in ('u', 'v'):\n    n = 'x' + n\n    setattr(self, n, x())",
    "name by a condition": "setattr(self, 'w' if x else 'v', x())  # 1",
    "other attribute": "self.v = x()",
    "other object": "x.w = self.w",
    "deeper": "self.v.w = x()",
    "item of it": "self.w[0] = x()",
    "attribute of it": "self.w.data = x()",
    "method of it": "self.w.fill_(0)",
    "deleted": "del self.w",
    "compared": "self.w == x()",
    "unknown name": "setattr(self, x, x())  # 1",
    "unknown keyword": "self.register_buffer(**x)  # 1",
    "unknown pair": "setattr(self, *x)  # 1",
    "unknown update": "self.__dict__.update(x)  # 1",
    "unknown update by keyword": "self.__dict__.update(**x)  # 1",
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
@pytest.mark.parametrize("method", ["__init__", "helper"])
def test_statements_in_a_method(tmp_path: Path, statement: str, method: str) -> None:
    head = f"class Net(nn.Module):\n    async def other(self): pass\n\n    def {method}(self, x):\n"
    found = check(tmp_path, head + indent(statement, "        "), "w")
    assert {each.method for each in found.assignments} <= {method}
    assert {each.type.rpartition(".")[2] for each in found.assignments} <= {"Net"}


METHODS = {
    "receiver of another name": "def f(this):\n    this.w = x()  # 1",
    "receiver that is positional only": "def f(this, /, self):\n    this.w = x()  # 1",
    "self that is not the receiver": "def f(this, self):\n    self.w = x()",
    "no receiver": "def f(*, self):\n    self.w = x()",
    "static method": "@staticmethod\ndef f(self):\n    self.w = x()",
    "class method": "@classmethod\ndef f(self):\n    self.w = x()",
    "instance made by a class method": "@classmethod\ndef f(cls):\n    new = cls()\n    new.w = x()  # 1",
    "instance of the class's name": "@staticmethod\ndef f():\n    new = Net()\n    new.w = x()  # 1",
    "instance of its own type": "def f(self):\n    new = type(self)()\n    new.w = x()  # 1",
    "instance made by __new__": (
        "def __new__(cls):\n    self = super().__new__(cls)\n    self.w = x()  # 1\n    return self"
    ),
    "of the class": "def f(self):\n    type(self).w = x()\n    Net.w = x()\n    self.__class__.w = x()",
    "property": "@property\ndef p(self):\n    self.w = x()  # 1",
    "setter": "@property\ndef p(self): pass\n\n@p.setter\ndef p(self, value):\n    self.w = value()  # 1",
    "decorated": "@torch.no_grad()\ndef f(self):\n    self.w = x()  # 1",
    "async": "async def f(self):\n    self.w = x()  # 1",
    "conditional": "if torch:\n    def f(self):\n        self.w = x()  # 1",
    "lambda": "f = lambda self: setattr(self, 'w', 1 * 1)  # 1",
    "class body": "w = 1 * 1",
    "class inside": "class Inner:\n    def f(self):\n        self.w = x()",
    "names of the class body are not seen": "s = 1\ndef f(self):\n    s.w = x()",
}


@pytest.mark.parametrize("body", METHODS.values(), ids=METHODS)
def test_methods(tmp_path: Path, body: str) -> None:
    check(tmp_path, "class Net(nn.Module):\n" + indent(body, "    "), "w")


CLASS_BODIES = {
    "plain": "w = torch.zeros(1)  # 1",
    "annotated": "w: torch.Tensor = torch.zeros(1)  # 1",
    "annotation alone": "w: torch.Tensor",
    "tuple": "v, (w, *u) = 1, (torch.zeros(1), 2)  # 1",
    "for": "for w in (1, 2):  # 1\n    pass",
    "with": "with torch.no_grad() as w:  # 1\n    pass",
    "if": "if torch:\n    w = torch.zeros(1)  # 1",
    "try": "try:\n    w = torch.zeros(1)  # 1\nfinally:\n    pass",
    "walrus": "v = (w := torch.zeros(1))  # 1",
    "augmented": "w = 1 * 1  # 2\nw += 1  # 1",
    "vars": "vars()['w'] = torch.zeros(1)  # 1",
    "class method": "@classmethod\ndef f(cls):\n    cls.w = x()  # 1",
    "class method by setattr": "@classmethod\ndef f(cls):\n    setattr(cls, 'w', x())  # 1",
    "type of self": "def f(self):\n    type(self).w = x()  # 1",
    "class of self": "def f(self):\n    self.__class__.w = x()  # 1",
    "__class__": "def f(self):\n    __class__.w = x()  # 1",
    "own name": "def f(self):\n    Net.w = x()  # 1",
    "own name in a static method": "@staticmethod\ndef f():\n    Net.w = x()  # 1",
    "own name that is another thing": "def f(self, Net):\n    Net.w = x()",
    "type.__setattr__": "def f(self):\n    type.__setattr__(type(self), 'w', x())  # 1",
    "__init_subclass__": "def __init_subclass__(cls):\n    cls.w = x()  # 1",
    "instance": "def f(self):\n    self.w = x()",
    "inside another class": "class Inner:\n    w = 1 * 1",
    "in a comprehension": "v = [w for w in (1, 2)]",
}


@pytest.mark.parametrize("body", CLASS_BODIES.values(), ids=CLASS_BODIES)
def test_class_attributes(tmp_path: Path, body: str) -> None:
    check(tmp_path, "class Net(nn.Module):\n" + indent(body, "    "), "::w")


CONTAINERS_OF_CLASSES = {
    "item": "w = {}  # 2\nw['a'] = torch.zeros(1)  # 1",
    "append": "w = []  # 2\nw.append(torch.zeros(1))  # 1",
    "through self": "w = []  # 2\ndef f(self):\n    self.w.append(x())  # 1",
    "through self, not assigned": "w = [torch.zeros(1)]  # 1\ndef f(self):\n    self.w = []",
}


@pytest.mark.parametrize("body", CONTAINERS_OF_CLASSES.values(), ids=CONTAINERS_OF_CLASSES)
def test_items_of_class_attributes(tmp_path: Path, body: str) -> None:
    name = "::w['a']" if "'a'" in body else "::w[0]"
    check(tmp_path, "class Net(nn.Module):\n" + indent(body, "    "), name)


def test_names_of_the_file(tmp_path: Path) -> None:
    text = """
    NAMES = ("v", "w")

    class Net(nn.Module):
        def f(self):
            for n in NAMES:
                setattr(self, n, x())  # 1
    """
    check(tmp_path, text, "w")
    assert ask(load(tmp_path, text).Net, "u").assignments == ()


def test_more_names_than_are_told_apart(tmp_path: Path) -> None:
    text = """
    class Net(nn.Module):
        def f(self):
            for a in "abcdefghijklmnopqrstuvwxyz":
                for b in "abcdefghijklmnopqrstuvwxyz":
                    setattr(self, f"w{a}{b}", x())  # 1
            for i in range(200):
                for j in range(200):
                    setattr(self, f"v{i}_{j}", x())  # 2
    """
    net = load(tmp_path, text).Net
    assert [marks(ask(net, name)) for name in ("wab", "v199_0", "u", "vab")] == [[1], [2], [], []]


def test_names_of_the_file_that_grow(tmp_path: Path) -> None:
    text = """
    NAMES = ["v"]
    NAMES += ["w"]
    MORE: list[str] = ["u"]

    class Net(nn.Module):
        def f(self):
            for n in NAMES:
                setattr(self, n, x())  # 1
            for n in MORE:
                setattr(self, n, x())  # 2
    """
    net = load(tmp_path, text).Net
    assert [marks(ask(net, name)) for name in ("v", "w", "u")] == [[1], [1], [2]]


def test_numbered_names(tmp_path: Path) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            for i in range(3):
                self.register_buffer(f"w{i}", x())  # 1
            for i in range(x):
                self.register_buffer("w%d" % (i + 1), x())  # 2
            for i, y in enumerate(x):
                self.register_buffer("w{}".format(i), y)  # 3
            for y in x:
                self.register_buffer("w" + str(y), y)  # 4
            setattr(self, f"v{x}", x())
    """
    check(tmp_path, text, "w2")
    net = load(tmp_path, text).Net
    assert marks(ask(net, "w7")) == [2, 3, 4]
    assert marks(ask(net, "wx")) == [4]


def test_private_names(tmp_path: Path) -> None:
    text = """
    class _Net(nn.Module):
        __v = torch.zeros(1)  # 1

        def __init__(self):
            self.__w = x()  # 2
            setattr(self, "_Net__w", x())  # 3
            self.a.__w = x()  # 4
            self.__dunder__ = x()  # 5
    """
    net = load(tmp_path, text)._Net
    assert marks(ask(net, "_Net__w")) == [3, 2]
    assert marks(ask(net, "__w")) == [3, 2]
    assert marks(ask(net, "a._Net__w")) == [4]
    assert marks(ask(net, "__dunder__")) == [5]
    assert marks(ask(net, "::_Net__v")) == [1]
    assert marks(ask(net, "_Other__w")) == []


def test_private_names_of_a_base_carry_the_name_of_the_base(tmp_path: Path) -> None:
    text = """
    class Base(nn.Module):
        def __init__(self):
            self.__w = x()  # 1

    class Net(Base):
        def __init__(self):
            self.__w = x()
    """
    check(tmp_path, text, "_Base__w")


def test_dataclass_fields(tmp_path: Path) -> None:
    text = """
    from dataclasses import dataclass, field
    from typing import Any, ClassVar

    @dataclass(eq=False)
    class Net(nn.Module):
        a: Any  # 1
        b: Any = None  # 2
        c: Any = field(default=3)  # 3
        d: ClassVar[Any] = 4  # 4
        e = 5  # 5

        def __post_init__(self):
            self.a = x()  # 6

    class Other(nn.Module):
        a: Any
    """
    module = load(tmp_path, text)
    found = {name: marks(ask(module.Net, name)) for name in ("a", "b", "c", "d", "e", "::a", "::b", "::d", "::e")}
    assert found == {"a": [1, 6], "b": [2], "c": [3], "d": [], "e": [], "::a": [], "::b": [2], "::d": [4], "::e": [5]}
    assert ask(module.Other, "a").assignments == ()
    assert ask(module.Net, "a").assignments[0].method == ""


def test_what_an_assignment_says(tmp_path: Path) -> None:
    module = load(
        tmp_path, "class Outer:\n\tclass Net(nn.Module):\n\t\tdef f(self):\n\t\t\tself.w = x(\n\t\t\t\t1)\n"
    )
    (only,) = ask(module.Outer.Net, "w").assignments
    *told, value = only[:6]
    assert told == [str(module.__file__), 6, "f", "self.w = x(", f"{module.__name__}.Outer.Net"]
    assert value is not None
    assert ast.unparse(value) == "x(1)"


def test_ways_to_what_lies_deeper(tmp_path: Path) -> None:
    text = """
    class Net(nn.Module):
        def f(self, x):
            head = self.head
            head.weight = x()  # 1
            getattr(self, "head").weight = x()  # 2
            setattr(self.head, "weight", x())  # 3
            self.head.register_parameter("weight", x())  # 4
            self.head._parameters["weight"] = x()  # 5
            self.get_submodule("a.head").weight = x()  # 6
            for layer in (self.head, self.tail):
                layer.weight = x()  # 7
            self.tail.weight = self.head.weight  # 8
    """
    net = load(tmp_path, text).Net
    # The last one puts its own in the place of all before it; of these, the order is that of the source.
    assert marks(ask(net, "head.weight")) == [7, 1, 2, 3, 4, 5]
    assert marks(ask(net, "a.head.weight")) == [6]
    assert marks(ask(net, "tail.weight")) == [8, 7]
