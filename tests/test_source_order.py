"""Which of several assignments stands first: the marks in the sources give the order."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.asking import ask, check, load, marks

from paramscope.source.search import Located

ORDERS = {
    "__init__, helpers, forward": (
        "w",
        """
        class Net(nn.Module):
            def forward(self, x):
                self.w = x()  # 4
            def helper(self, x):
                self.w = x()  # 2
            def __init__(self, x):
                self.w = x()  # 1
            def other(self, x):
                self.w = x()  # 3
        """,
    ),
    "the nearest class first, whatever its method": (
        "w",
        """
        class Base(nn.Module):
            def __init__(self, x):
                self.w = x()  # 3
        class Middle(Base):
            def helper(self, x):
                self.w = x()  # 2
        class Net(Middle):
            def forward(self, x):
                self.w = x()  # 1
        """,
    ),
    "bases in the order of the MRO": (
        "w",
        """
        class Top(nn.Module):
            def f(self, x):
                self.w = x()  # 3
        class Left(Top):
            def f(self, x):
                self.w = x()  # 1
        class Right(Top):
            def f(self, x):
                self.w = x()  # 2
        class Net(Left, Right):
            pass
        """,
    ),
    "a base's only": (
        "w",
        """
        class Base(nn.Module):
            def f(self, x):
                self.w = x()  # 1
        class Net(Base):
            def f(self, x):
                self.v = x()
        """,
    ),
    "the last that surely runs, then those that may, then those that it overwrites": (
        "w",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.w = x()  # 3
                if x:
                    self.w = x()  # 4
                self.w = x()  # 1
                if x:
                    self.w = x()  # 2
        """,
    ),
    "branches in the order of the source": (
        "w",
        """
        class Net(nn.Module):
            def __init__(self, x):
                if x:
                    self.w = x()  # 1
                elif y:
                    self.w = x()  # 2
                else:
                    self.w = x()  # 3
        """,
    ),
    "a conditional one of __init__ before a sure one of a helper": (
        "w",
        """
        class Net(nn.Module):
            def helper(self, x):
                self.w = x()  # 2
            def __init__(self, x):
                if x:
                    self.w = x()  # 1
        """,
    ),
    "loops, with and try are no branches": (
        "w",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.w = x()  # 3
                for _ in x:
                    with x:
                        try:
                            self.w = x()  # 1
                        except x:
                            self.w = x()  # 2
        """,
    ),
    "a nested function may not run": (
        "w",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.w = x()  # 1
                def later():
                    self.w = x()  # 2
                return lambda: setattr(self, "w", x())  # 3
        """,
    ),
    "parts of expressions may not run": (
        "w",
        """
        class Net(nn.Module):
            def __init__(self, x):
                setattr(self, "w", x())  # 1
                setattr(self, "w", x()) if x else 0  # 2
                x and setattr(self, "w", x())  # 3
        """,
    ),
    "what assigns a constant made no tensor": (
        "w",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.w = None  # 2
                self.register_parameter("w", None)  # 3
            def forward(self, x):
                self.w = x()  # 1
        """,
    ),
    "a name that fits, an exact one first": (
        "w1",
        """
        class Net(nn.Module):
            def __init__(self, x):
                for i in x:
                    setattr(self, f"w{i}", x())  # 2
                if x:
                    self.w1 = x()  # 1
        """,
    ),
    "an unknown name where nothing is better": (
        "w",
        """
        class Base(nn.Module):
            def g(self, x):
                setattr(self, x, x())  # 2
        class Net(Base):
            def f(self, x):
                setattr(self, str(x), x())  # 1
        """,
    ),
    "no unknown name where a base is better": (
        "w",
        """
        class Base(nn.Module):
            def g(self, x):
                self.w = x()  # 1
        class Net(Base):
            def f(self, x):
                setattr(self, x, x())
        """,
    ),
    "an attribute that hides a registered one went past registration": (
        "->w",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.__dict__["w"] = x()  # 1
                self.w = x()  # 3
            def f(self, x):
                object.__setattr__(self, "w", x())  # 2
        """,
    ),
    "nor did these ways into its dict": (
        "->w",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.w = x()  # 4
                if x:
                    self.__dict__.setdefault("w", x())  # 1
                elif x:
                    self.__dict__.update(w=x())  # 2
                else:
                    vars(self)["w"] = x()  # 3
        """,
    ),
    "what is registered did not": (
        "w",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.w = x()  # 1
                self.__dict__["w"] = x()  # 2
        """,
    ),
    "deeper before shallower": (
        "lin.weight",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.lin = nn.Linear(1, 1)  # 2
            def tie(self, x):
                self.lin.weight = x()  # 1
        """,
    ),
    "deeper in a base before shallower": (
        "lin.weight",
        """
        class Base(nn.Module):
            def tie(self, x):
                self.lin.weight = x()  # 1
        class Net(Base):
            def __init__(self, x):
                self.lin = nn.Linear(1, 1)  # 2
        """,
    ),
    "deeper, but replaced since": (
        "lin.weight",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.lin = nn.Linear(1, 1)  # 2
                self.lin.weight = x()  # 3
                self.lin = nn.Linear(1, 1)  # 1
        """,
    ),
    "deeper, and perhaps replaced since": (
        "lin.weight",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.lin = nn.Linear(1, 1)  # 2
                self.lin.weight = x()  # 1
                if x:
                    self.lin = nn.Linear(1, 1)  # 3
        """,
    ),
    "another deeper one": (
        "lin.weight",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.lin = nn.Linear(1, 1)  # 1
                self.lin.bias = x()
                self.lin.weight.data = x()
                self.lin.weight[0] = x()
                self.lin.sub.weight = x()
                self.other.weight = x()
        """,
    ),
    "an index from the end, of how many is not known": (
        "layers[0].weight",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.layers = x()  # 3
                self.layers[-1].weight = x()  # 1
                for layer in self.layers:
                    layer.weight = x()  # 2
        """,
    ),
    "filling before making empty": (
        "blocks[0]",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.blocks = []  # 2
                for i in x:
                    self.blocks.append(i)  # 1
        """,
    ),
    "filling and making alike": (
        "blocks[0]",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.blocks = list(x)  # 1
                self.blocks.append(x)  # 2
        """,
    ),
    "what surely fills it before what may": (
        "blocks[0]",
        """
        class Net(nn.Module):
            def __init__(self, x):
                if x:
                    self.blocks.append(x)  # 2
                self.blocks.extend(x)  # 1
        """,
    ),
    "a method that may fill something made of what is not known": (
        "lin.weight",
        """
        class Base(nn.Module):
            def __init__(self, x):
                self.lin = x()  # 1
        class Net(Base):
            def __init__(self, x):
                self.lin.update(x)  # 2
                self.lin[x] = x()  # 3
                self.lin.append(x)
        """,
    ),
    "an item of this very key": (
        "blocks[1]",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.blocks = [x, x]  # 2
                self.blocks[0] = x()
                self.blocks[1] = x()  # 1
                self.blocks[x] = x()  # 3
        """,
    ),
    "the last of two that made the list": (
        "blocks[0]",
        """
        class Net(nn.Module):
            def __init__(self, x):
                self.blocks = [x]  # 2
                self.blocks = [x()]  # 1
        """,
    ),
}


@pytest.mark.parametrize(("name", "text"), ORDERS.values(), ids=ORDERS)
def test_orders(tmp_path: Path, name: str, text: str) -> None:
    check(tmp_path, text, name)


FILLING = {
    "append": ("[3]", "self.c.append(x())  # 1"),
    "appendleft": ("[3]", "self.c.appendleft(x())  # 1"),
    "extend": ("[3]", "self.c.extend(x())  # 1"),
    "insert": ("[3]", "self.c.insert(0, x())  # 1"),
    "add": ("{3}", "self.c.add(x())  # 1"),
    "item": ("[3]", "self.c[3] = x()  # 1"),
    "another item": ("[3]", "self.c[2] = x()"),
    "unknown item": ("[3]", "self.c[x] = x()  # 1"),
    "slice": ("[3]", "self.c[1:] = x()  # 1"),
    "key": ("['a']", "self.c['a'] = x()  # 1"),
    "another key": ("['a']", "self.c['b'] = x()"),
    "key with odd characters": ("['a.b]->c']", "self.c['a.b]->c'] = x()  # 1"),
    "key with quotes": ('["it\'s"]', 'self.c["it\'s"] = x()  # 1'),
    "key in a loop": ("['b']", "for k in 'ab':\n                    self.c[k] = x()  # 1"),
    "key of a pattern": ("['b7']", "self.c[f'b{x}'] = x()  # 1"),
    "update": ("['a']", "self.c.update(x())  # 1"),
    "update by keyword": ("['a']", "self.c.update(a=x(), b=x())  # 1"),
    "update by another keyword": ("['a']", "self.c.update(b=x())"),
    "update with a dict": ("['a']", "self.c.update({'a': x()})  # 1"),
    "update with another dict": ("['a']", "self.c.update({'b': x()})"),
    "setdefault": ("['a']", "self.c.setdefault('a', x())  # 1"),
    "another setdefault": ("['a']", "self.c.setdefault('b', x())"),
    "__setitem__": ("[3]", "self.c.__setitem__(3, x())  # 1"),
    "alias": ("[3]", "c = self.c\n                c.append(x())  # 1"),
    "deeper": ("[3][0]", "self.c[3].append(x())  # 1"),
    "shallower": ("[3][0].weight", "self.c[3].append(x())  # 1"),
    "member": ("->scale", "self.c.scale = x()  # 1"),
    "member by setattr": ("->scale", "setattr(self.c, 'scale', x())  # 1"),
    "member of its dict": ("->scale", "self.c.__dict__['scale'] = x()  # 1"),
    "append is no member": ("->scale", "self.c.append(x())"),
    "item of a member": ("->scale[0]", "self.c.scale.append(x())  # 1"),
    "closure": ("-><layer>", "self.c.layer = x()"),
    "registered": (".a", "self.c['a'] = x()  # 1"),
    "registered by number": (".3", "self.c.append(x())  # 1"),
    "registered by add_module": (".3", "self.c.add_module(str(3), x())  # 1"),
    "registered by add_module in a loop": (".3", "for i in range(9): self.c.add_module(str(i), x())  # 1"),
    "of a set": ("{0}", "self.c.update(x())  # 1"),
}


@pytest.mark.parametrize(("below", "statement"), FILLING.values(), ids=FILLING)
def test_what_fills_a_container_comes_before_what_made_it_empty(tmp_path: Path, below: str, statement: str) -> None:
    text = f"""
        class Net(nn.Module):
            def __init__(self, x):
                self.c = x = {{}}  # 2
                {statement}
    """
    found = ask(load(tmp_path, text).Net, f"c{below}")
    assert marks(found) == ([1, 2] if "# 1" in statement else [2])


MAKING = {
    "[a, b]": ("[0]", "[1]", "[2]"),
    "(a, b)": ("[0]", "[1]", "[2]"),
    "{a, b}": ("{0}", "{1}", "{2}"),
    "[a, *b]": ("[0]", "", ""),
    "{'a': a, 'b': b}": ("['a']", "['b']", "['c']"),
    "dict(a=a)": ("['a']", "", "['c']"),
    "dict({'a': a}, b=b)": ("['a']", "['b']", "['c']"),
    "OrderedDict([('a', a), ('b', b)])": ("['a']", "['b']", "['c']"),
    "defaultdict(list, {'a': a})": ("['a']", "", "['c']"),
    "list([a])": ("[0]", "", "[1]"),
    "deque((a, b))": ("[0]", "[1]", "[2]"),
    "nn.ModuleList([a, b])": (".0", ".1", ".2"),
    "nn.ModuleList(modules=[a, b])": (".0", ".1", ".2"),
    "torch.nn.Sequential(a, b)": (".0", ".1", ".2"),
    "nn.Sequential(OrderedDict([('a', a)]))": (".a", "", ".b"),
    "nn.ModuleDict({'a': a})": (".a", "", ".b"),
    "nn.ParameterList([a])": (".0", "", ".1"),
    "OrderedDict((['a', a], ('b', b)))": ("['a']", "['b']", "['c']"),
    "dict({'a': a}, **b)": ("['a']", "", ""),
    "dict(b)": ("", "", ""),
    "{1: a, 2: b}": ("[1]", "[2]", "[0]"),
    "{a: a, 2: b}": ("[2]", "", ""),
    "[*a, b]": ("", "", ""),
    "[[a], b]": ("[0][0]", "[1]", "[2]"),
    "None": ("", "", "[0]"),
    "nn.ModuleList(None)": ("", "", ".0"),
    "nn.ModuleList()": ("", "", ".0"),
}


@pytest.mark.parametrize("made", MAKING)
def test_what_makes_a_container_with_the_item_comes_before_what_fills_it(tmp_path: Path, made: str) -> None:
    text = f"""
        class Net(nn.Module):
            def __init__(self, x):
                self.c = {made}  # 1
                self.c.update(x)  # 2
                self.c.append(x)  # 2
    """
    net = load(tmp_path, text).Net
    first, second, missing = MAKING[made]
    for below in filter(None, (first, second)):
        assert marks(ask(net, f"c{below}"))[0] == 1, below
    if missing:
        assert marks(ask(net, f"c{missing}"))[0] == 2, missing


CHILDREN = {
    "positional": ("Sequential", "super().__init__(x(), x())  # 1", ["0", "1"], ["2", "a"]),
    "old super": ("Sequential", "super(Net, self).__init__(x(), x())  # 1", ["0", "1"], ["2"]),
    "unbound": ("Sequential", "nn.Sequential.__init__(self, x(), x())  # 1", ["0", "1"], ["2"]),
    "starred": ("Sequential", "super().__init__(x(), *x())  # 1", ["0", "1", "7"], []),
    "names": ("Sequential", "super().__init__(OrderedDict([('a', x()), ('b', x())]))  # 1", ["a", "b"], ["c", "0"]),
    "list": ("ModuleList", "super().__init__([x(), x()])  # 1", ["0", "1"], ["2"]),
    "list by keyword": ("ModuleList", "super().__init__(modules=[x(), x()])  # 1", ["0", "1"], ["2"]),
    "comprehension": ("ModuleList", "super().__init__(x() for _ in x)  # 1", ["0", "9"], []),
    "dict": ("ModuleDict", "super().__init__({'a': x()})  # 1", ["a"], ["b"]),
    "parameters": ("ParameterDict", "super().__init__({'a': x()})  # 1", ["a"], ["b"]),
    "append": ("ModuleList", "self.append(x())  # 1", ["0", "7"], ["a"]),
    "item": ("ModuleDict", "self['a'] = x()  # 1", ["a"], ["b"]),
    "unknown item": ("ModuleDict", "self[x] = x()  # 1", ["a", "b"], []),
    "update": ("ModuleDict", "self.update({'a': x()})  # 1", ["a"], ["b"]),
    "add_module": ("Sequential", "self.add_module('a', x())  # 1", ["a"], ["b"]),
    "no container": (
        "Module",
        "super().__init__(x()); self.append(x()); self['a'] = x(); self.update(x)",
        [],
        ["0", "a"],
    ),
}


@pytest.mark.parametrize(("base", "statement", "there", "missing"), CHILDREN.values(), ids=CHILDREN)
def test_children_of_a_container_class(
    tmp_path: Path, base: str, statement: str, there: list[str], missing: list[str]
) -> None:
    text = f"""
        class Net(nn.{base}):
            def __init__(self, x):
                {statement}
    """
    net = load(tmp_path, text).Net
    assert {name: marks(own(net, name)) for name in there} == {name: [1] for name in there}
    assert {name: marks(own(net, name)) for name in missing} == {name: [] for name in missing}


def own(net: type, name: str) -> Located:
    """What the class itself says, without torch's containers."""
    found = ask(net, name)
    kept = tuple(each for each in found.assignments if not each.type.startswith("torch."))
    return found._replace(assignments=kept)


def test_what_a_constructor_surely_holds_comes_first(tmp_path: Path) -> None:
    text = """
        class Net(nn.Sequential):
            def __init__(self, x):
                super().__init__(x(), *x())  # 1
                self.append(x())  # 2
    """
    net = load(tmp_path, text).Net
    assert marks(ask(net, "0")) == [1, 2]
    assert marks(ask(net, "4.weight")) == [1, 2]


def test_what_a_constructor_may_hold_comes_last(tmp_path: Path) -> None:
    text = """
        class Net(nn.Sequential):
            def __init__(self, x):
                super().__init__(*x())  # 2
                self.add_module("0", x())  # 1
    """
    check(tmp_path, text, "0")
