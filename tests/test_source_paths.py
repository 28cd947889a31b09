"""Paths of captured models: blamed on the class of the owner, or on that of the user's own above it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.asking import load, marks
from torch import nn

from paramscope import capture
from paramscope.source.owners import locate
from paramscope.source.search import Located


def located(folder: Path, text: str, *paths: str) -> list[list[int]]:
    """The marks of the lines that were found for paths of `Net()`."""
    snapshot = capture(load(folder, text).Net())
    return [marks(locate(snapshot, path)) for path in paths]


def test_what_the_class_itself_assigns(tmp_path: Path) -> None:
    text = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.w = nn.Parameter(torch.ones(1))  # 1
                self.register_buffer("b", torch.ones(1))  # 2
                self.t = torch.ones(1)  # 3
                self.lin = nn.Linear(1, 1)  # 4
                self.lists = [torch.ones(1), [nn.Linear(1, 1)]]  # 5
                self.by_name = {"a.b": nn.Linear(1, 1)}  # 6
    """
    paths = [
        "w",
        "b",
        "t",
        "lin",
        "lin.weight",
        "lists[0]",
        "lists[1][0]",
        "lists[1][0].bias",
        "by_name['a.b'].weight",
    ]
    assert located(tmp_path, text, *paths) == [[1], [2], [3], [4], [4], [5], [5], [5], [6]]


def test_containers_of_torch(tmp_path: Path) -> None:
    text = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.encoder = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1)))  # 1
                self.layers = nn.ModuleList()  # 3
                for _ in range(3):
                    self.layers.append(nn.Linear(1, 1))  # 2
                self.layers[-1].weight = nn.Parameter(torch.ones(1, 1))  # 4
                self.layers[0].bias = None  # 5
                self.names = nn.ModuleDict({"a": nn.Linear(1, 1)})  # 6
                self.names["b"] = nn.Linear(1, 1)  # 7
                self.names.update({"c": nn.Linear(1, 1)})  # 8
                self.weights = nn.ParameterList([torch.ones(1)])  # 9
    """
    paths = [
        "encoder.0.weight",
        "encoder.1.0",
        "layers.1.weight",
        "layers.2.weight",
        "layers.0.bias",
        "layers.2.bias",
    ]
    assert located(tmp_path, text, *paths) == [[1], [1], [2, 3], [4, 2, 3], [5, 2, 3], [2, 3]]
    paths = ["names.a.weight", "names.b.weight", "names.c.weight", "weights.0"]
    assert located(tmp_path, text, *paths) == [[6], [7, 6], [8, 6], [9]]


def test_a_tie_is_blamed_on_the_line_that_ties(tmp_path: Path) -> None:
    text = """
        class Head(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(1, 1))  # 1
                self.out = nn.Linear(1, 1, bias=False)  # 2

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed = nn.Embedding(1, 1)  # 3
                self.head = Head()  # 4
                self.head.weight = self.embed.weight  # 5
                self.tie()

            def tie(self):
                self.head.out.weight = self.embed.weight  # 6
    """
    paths = ["embed.weight", "head.weight", "head.out.weight", "head.out", "head", "head.out.bias"]
    assert located(tmp_path, text, *paths) == [[3], [5, 1], [6, 2], [2], [4], [2]]


def test_what_a_class_above_adds_to_one_of_the_users_own(tmp_path: Path) -> None:
    text = """
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.lin = nn.Linear(1, 1)  # 1

        class Middle(nn.Module):
            def __init__(self):
                super().__init__()
                self.blocks = nn.ModuleList(Block() for _ in range(2))  # 2
                for i, block in enumerate(self.blocks):
                    block.scale = nn.Parameter(torch.ones(1))  # 3

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.middle = Middle()  # 4
                self.middle.blocks[1].lin = nn.Linear(2, 2)  # 5
                self.middle.blocks[0].extra = nn.Linear(2, 2)  # 6
                self.middle.other = torch.ones(1)  # 7
    """
    expected = {
        "middle.blocks.0.lin.weight": [1],
        "middle.blocks.1.lin.weight": [5, 1],
        "middle.blocks.1.scale": [3],
        "middle.blocks.0.extra.bias": [6],
        "middle.other": [7],
        "middle.blocks.0": [2],
        "middle": [4],
    }
    assert dict(zip(expected, located(tmp_path, text, *expected), strict=True)) == expected


def test_replaced_by_the_class_above_a_library_s(tmp_path: Path) -> None:
    text = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.encoder = nn.Sequential(nn.Linear(1, 1))  # 2
                self.encoder[0].weight = nn.Parameter(torch.ones(1, 1))  # 1
                self.encoder.add_module("last", nn.Linear(1, 1))  # 3
    """
    assert located(tmp_path, text, "encoder.0.weight", "encoder.0.bias") == [[1, 2], [2]]
    assert located(tmp_path, text, "encoder.last.weight") == [[3, 2]]


def test_a_subclass_of_a_container(tmp_path: Path) -> None:
    text = """
        class Net(nn.Sequential):
            def __init__(self):
                super().__init__(nn.Linear(1, 1), nn.Linear(1, 1))  # 1
                self.append(nn.Linear(1, 1))  # 2
                self.add_module("last", nn.Linear(1, 1))  # 3
    """
    found = located(tmp_path, text, "0.weight", "1", "2.weight", "last.weight")
    assert found == [[1, 2], [1, 2], [2], [3]]


def test_class_attributes(tmp_path: Path) -> None:
    text = """
        class Net(nn.Module):
            table = torch.ones(1)  # 1
            layers = [nn.Linear(1, 1)]  # 2
            lin = nn.Linear(1, 1)  # 3
    """
    snapshot = capture(load(tmp_path, text).Net())
    found = {path: marks(locate(snapshot, path)) for path in (*snapshot.slots, *snapshot.modules) if path}
    for path, lines in found.items():
        assert lines == [1 if "table" in path else 2 if "layers" in path else 3]
    assert "::table" in found


def test_objects_and_callables(tmp_path: Path) -> None:
    text = """
        import functools
        from types import SimpleNamespace

        def bind(layer):
            return lambda: layer

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.cfg = SimpleNamespace(scale=torch.ones(1))  # 1
                self.cfg.shift = nn.Parameter(torch.ones(1))  # 2
                self.part = functools.partial(nn.Linear(1, 1))  # 3
                self.fn = bind(nn.Linear(1, 1))  # 4
                self.__dict__["lin"] = torch.ones(1)  # 5
                self._modules["lin"] = nn.Linear(1, 1)  # 6
    """
    snapshot = capture(load(tmp_path, text).Net())
    found = {path: marks(locate(snapshot, path)) for path in (*snapshot.slots, *snapshot.modules) if path}
    hidden = {"cfg->scale": [1], "cfg->shift": [2, 1], "part->func": [3], "fn-><layer>": [4], "->lin": [5, 6]}
    assert hidden.items() <= found.items()
    assert found["lin.weight"] == [6, 5]
    assert found["part->func.weight"] == [3]


def test_an_empty_slot(tmp_path: Path) -> None:
    text = """
        class Net(nn.Module):
            def __init__(self, bias=False):
                super().__init__()
                if bias:
                    self.bias = nn.Parameter(torch.ones(1))  # 2
                else:
                    self.register_parameter("bias", None)  # 1
    """
    net = load(tmp_path, text).Net
    assert marks(locate(capture(net()), "bias")) == [1, 2]
    assert marks(locate(capture(net(bias=True)), "bias")) == [2, 1]


def test_names_with_odd_characters(tmp_path: Path) -> None:
    text = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.add_module("a[0]", nn.Linear(1, 1))  # 1
                self.register_buffer("b->c", torch.ones(1))  # 2
                setattr(self, "d e", torch.ones(1))  # 3
                self.l = [{"]": nn.Linear(1, 1)}, {1.5: nn.Linear(1, 1)}]  # 4
    """
    snapshot = capture(load(tmp_path, text).Net())
    found = {path: marks(locate(snapshot, path)) for path in (*snapshot.slots, *snapshot.modules) if path}
    assert found["a[0].weight"] == [1]
    assert found["b->c"] == [2]
    assert found["d e"] == [3]
    assert [lines for path, lines in found.items() if path.startswith("l[")] == [[4]] * 6


def test_several_roots(tmp_path: Path) -> None:
    text = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.lin = nn.Linear(1, 1)  # 1
                self.l = [nn.Linear(1, 1)]  # 2
    """
    net = load(tmp_path, text).Net
    snapshot = capture({"a": net(), "b.c": net()})
    assert [marks(locate(snapshot, path)) for path in ("a.lin.weight", "b.c.lin", "b.c.l[0].bias")] == [[1], [1], [2]]
    for root in ("a", "b.c"):
        assert locate(snapshot, root) == Located((), "it is a root: no attribute of a module holds it")


def test_what_was_assigned_from_outside(tmp_path: Path) -> None:
    text = """
        class Block(nn.Module):
            def f(self): pass

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.block = Block()  # 1
    """
    net = load(tmp_path, text).Net()
    net.block.w = torch.ones(1)
    net.lin = nn.Linear(1, 1)
    net.block.lin = nn.Linear(1, 1)
    snapshot = capture(net)
    for path, cls, name in [
        ("block.w", "Block", "w"),
        ("lin.weight", "Net", "lin"),
        ("block.lin.weight", "Block", "lin"),
    ]:
        why = f"no method of {cls} or its bases assigns {name!r}: it was assigned from outside"
        assert locate(snapshot, path) == Located((), why)
    assert marks(locate(snapshot, "block")) == [1]


def test_the_root_and_paths_that_are_none() -> None:
    snapshot = capture(nn.Sequential(nn.Linear(1, 1)))
    assert locate(snapshot, "").reason == "it is a root: no attribute of a module holds it"
    found = locate(snapshot, "0.weight")
    assert found.assignments == ()
    assert found.reason == (
        "no class of the user's own holds it: above it stand only "
        "torch.nn.modules.linear.Linear, torch.nn.modules.container.Sequential"
    )
    for path in ("nope", "0.nope", "0.weight.nope"):
        with pytest.raises(KeyError):
            locate(snapshot, path)


def test_a_library_s_model_below_and_above(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    text = """
        from transformers import GPT2Config, GPT2Model

        def config():
            return GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=16, n_positions=8)

        class Holder(nn.Module):
            def __init__(self):
                super().__init__()
                self.gpt = GPT2Model(config())  # 1

        class Child(GPT2Model):
            def __init__(self):
                super().__init__(config())
                self.h[0].mlp.c_fc.weight = nn.Parameter(torch.ones(8, 32))  # 2
    """
    assert transformers
    module = load(tmp_path, text)
    held = capture(module.Holder())
    assert marks(locate(held, "gpt.h.0.attn.c_attn.weight")) == [1]
    child = capture(module.Child())
    assert marks(locate(child, "h.0.mlp.c_fc.weight")) == [2]
    found = locate(child, "wte.weight").assignments[0]
    assert found.method == "__init__"
    assert found.type == "transformers.models.gpt2.modeling_gpt2.GPT2Model"
    assert found.source.startswith("self.wte = ")


def test_a_class_that_a_library_made_from_the_user_s(tmp_path: Path) -> None:
    text = """
        from torch.nn.utils.parametrizations import orthogonal

        class Inner(nn.Module):
            def __init__(self):
                super().__init__()
                self.w = nn.Parameter(torch.ones(2, 2))
                self.v = nn.Parameter(torch.ones(2, 2))  # 1

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = orthogonal(Inner(), "w")  # 2
    """
    assert located(tmp_path, text, "inner.v", "inner") == [[1], [2]]


def test_1500_nested_modules(tmp_path: Path) -> None:
    text = """
        class Net(nn.Module):
            def __init__(self, inner=None):
                super().__init__()
                self.inner = inner  # 1
                self.w = nn.Parameter(torch.ones(1))  # 2
    """
    cls: Any = load(tmp_path, text).Net
    net = cls()
    for _ in range(1500):
        net = cls(net)
    snapshot = capture(net)
    deepest = "inner." * 1500
    assert marks(locate(snapshot, deepest + "w")) == [2]
    assert marks(locate(snapshot, deepest[:-1])) == [1]


def test_an_index_from_the_end_of_many(tmp_path: Path) -> None:
    text = """
        class Net(nn.Module):
            def __init__(self, count=37):
                super().__init__()
                self.layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(count))  # 1
                self.layers[-1].weight = nn.Parameter(torch.ones(1, 1))  # 2
                self.layers[-3].bias = None  # 3
    """
    cls: Any = load(tmp_path, text).Net
    for count in (3, 4, 37):
        snapshot = capture(cls(count))
        assert [i for i in range(count) if marks(locate(snapshot, f"layers.{i}.weight")) == [2, 1]] == [count - 1]
        assert [i for i in range(count) if marks(locate(snapshot, f"layers.{i}.bias")) == [3, 1]] == [count - 3]


def test_asking_does_not_change_what_was_seen(tmp_path: Path) -> None:
    text = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.w = nn.Parameter(torch.ones(1))  # 1
    """
    net = load(tmp_path, text).Net()
    snapshot = capture(net)
    assert marks(locate(snapshot, "w")) == [1]
    assert snapshot == capture(net)
    assert torch.equal(net.w, torch.ones(1))
