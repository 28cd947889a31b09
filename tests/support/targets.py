"""Targets of every kind, good and bad, in a folder that the command line is run in."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from paramscope.cli import main

TARGETS = {
    "net.py": """
        import torch
        from torch import nn

        print("importing")

        class Net(nn.Module):
            def __init__(self, dim=3):
                super().__init__()
                self.lin = nn.Linear(dim, 2)

        def build(dim=3):
            print("building")
            return Net(dim)

        def sized(dim, depth):
            return Net(dim)

        def pair():
            net = Net()
            return net, torch.optim.SGD(net.parameters(), lr=0.5)

        def roots():
            return {"model": Net(), "criterion": nn.Linear(2, 2)}

        def fails():
            return nn.Linear(3, 4)(torch.zeros(2, 5))

        def forgets():
            Net()

        def other():
            return [1, 2]

        def stops():
            raise SystemExit(3)

        def bare_weight():
            lin = nn.Linear(3, 5)
            lin.weight = torch.rand(5, 3)
            return lin

        def wrong_name(model):
            return torch.optim.Adam(model.parameters(), learning_rate=0.001)

        def of_params(params):
            return torch.optim.SGD(params, lr=0.1)

        def adam(model):
            return torch.optim.Adam(model.parameters(), lr=0.001)

        def only_groups(model):
            return [{"params": model.parameters(), "lr": 0.1}]

        def no_optimizer(model):
            return model

        def named_pair():
            parts = roots()
            return parts, torch.optim.SGD(parts["model"].parameters(), lr=0.5)

        def with_sizes():
            return Net(), {"dim": 3}

        def gan():
            return Net(), nn.Linear(2, 2)

        def twins():
            return [Net(), Net(), None]

        def rated(model, lr=0.1):
            return torch.optim.SGD(model.parameters(), lr=lr)

        def needs_rate(model, lr):
            return torch.optim.SGD(model.parameters(), lr=lr)

        def of_both(model, criterion):
            return torch.optim.SGD(model.parameters(), lr=0.1)

        def calls_short():
            return sized(3)

        def takes_any(**kwargs):
            return Net(**kwargs)

        def takes_rate(lr):
            return Net(lr)

        built = Net()
        number = 3
    """,
    "ready.py": """
        import torch
        from torch import nn

        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        several = [optimizer]

        hiding = nn.Linear(3, 2)
        hiding.more = [nn.Linear(2, 2)]
        of_hidden = torch.optim.SGD(hiding.more[0].parameters(), lr=0.5)
    """,
    "broken.py": "def build(:\n    pass\n",
    "needs.py": "import a_package_that_is_not_there\n",
    "empty.py": "x = 1\n",
    "parses.py": "import argparse\n\ndef parse():\n    parser = argparse.ArgumentParser()\n"
    "    parser.add_argument('--data', required=True)\n    return parser.parse_args()\n",
    "parses_on_import.py": "from parses import parse\n\nARGUMENTS = parse()\n",
    "train.py": "from net import adam\n\nFACTOR = 2\n\ndef schedule(step):\n    return step\n\n"
    "def make_sgd(model):\n    return None\n\ndef build(dim=3):\n    return None\n",
    "pkg/__init__.py": "",
    "pkg/part.py": "from torch import nn\n\nclass Part(nn.Linear):\n    def __init__(self):\n        super().__init__(2, 2)\n",
    "pkg/model.py": "from .part import Part\n\ndef build():\n    return Part()\n",
}


@pytest.fixture
def target_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with targets in it."""
    for name, source in TARGETS.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        # Another test's folder may have held a module of the same name.
        dotted = name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        monkeypatch.delitem(sys.modules, dotted, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def run(*arguments: str) -> int:
    """The exit code of one command."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert isinstance(end.value.code, int)
    return end.value.code
