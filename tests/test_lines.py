"""The line to blame is the assignment that can have caused the finding: for a person, for comments and for GitHub."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from support.targets import run
from torch import nn

from paramscope import Finding, Report, audit
from paramscope.exceptions.apply import Exceptions, apply
from paramscope.load.importing import import_file

SEVEN = '''
import torch
from torch import nn


class Stats:
    def __init__(self, size):
        self.mean = torch.zeros(size)  # culprit: PS104 stats->mean


class Tracker(nn.Module):
    """A running mean that keeps its graph; zeros have none."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        x = self.lin(x)
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)  # culprit: PS113 tracker.mean
        return x - self.mean


class Scaled(nn.Module):
    """Derived once, past an empty beginning."""

    def __init__(self):
        super().__init__()
        self.scale = None
        self.log_scale = nn.Parameter(torch.zeros(4))
        self._derive()

    def _derive(self):
        self.scale = self.log_scale.exp()  # culprit: PS109 scaled.scale


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.tracker = Tracker()
        self.scaled = Scaled()
        self.stats = Stats(4)
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight.data = self.embed.weight.data  # culprit: PS301 embed.weight
        self.encoder = nn.Linear(4, 4)
        self.target = nn.Linear(4, 4)
        self.target = self.encoder  # culprit: PS110 encoder
        self.extra = []
        self.layers = [nn.Linear(4, 4) for _ in range(2)]  # culprit: PS101 layers[0]

    def forward(self, x):
        self.stats.mean = self.stats.mean.to(x.device) + 0.0
        return self.tracker(x)


def build():
    model = Net()
    for parameter in model.encoder.parameters():
        parameter.requires_gradient = False  # culprit: PS203 encoder.weight
    model(torch.randn(2, 4))
    return model
'''

_CULPRIT = re.compile(r"# culprit: (PS\d+) (\S+)")


@pytest.fixture
def seven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "seven.py", SEVEN)


def write(path: Path, text: str) -> Path:
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def built(path: Path) -> Any:
    return import_file(path).build()


def culprits(path: Path) -> dict[tuple[str, str], int]:
    """By (code, first path) of a finding, the line that its source says is to blame."""
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return {(match[1], match[2]): number for number, line in lines if (match := _CULPRIT.search(line))}


def of(findings: tuple[Finding, ...], code: str, path: str) -> Finding:
    found = [each for each in findings if each.code == code and path in each.paths]
    assert len(found) == 1, [(each.code, each.paths) for each in findings]
    return found[0]


def audited(path: Path) -> Report:
    found = built(path)
    model, optimizer = found if isinstance(found, tuple) else (found, None)
    return audit(model, optimizer=optimizer)


def test_each_of_seven_causes_is_found_on_its_line(seven: Path) -> None:
    findings = audited(seven).findings
    wanted = culprits(seven)
    assert len(wanted) == 7
    for (code, path), line in wanted.items():
        finding = of(findings, code, path)
        assert finding.location is not None, (code, finding.unlocated)
        assert (finding.location.file, finding.location.line) == ("seven.py", line), code


def test_an_ignore_comment_there_accepts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "ignored.py", _CULPRIT.sub(r"# paramscope: ignore[\1] as agreed  \g<0>", SEVEN))
    findings = audited(path).findings
    applied = apply(findings, Exceptions(), None)
    wanted = culprits(path)
    assert {(each.finding.code, each.kind) for each in applied.ignored} == {(code, "comment") for code, _ in wanted}
    for code, place in wanted:
        assert not any(each.code == code and place in each.paths for each in applied.findings)


def test_github_annotates_that_line(seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ",".join(code for code, _ in culprits(seven))
    run("check", "seven.py:build", "--select", chosen, "-f", "github")
    out = capsys.readouterr().out
    for (code, _), line in culprits(seven).items():
        assert re.search(rf"file=seven\.py,line={line},title={code} ", out), (code, line, out)


def test_findings_are_the_same_from_any_folder(seven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = built(seven)
    here = audit(model)
    text = here.to_json()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert audit(model).findings == here.findings
    located = [each for each in here.findings if each.location is not None]
    assert located
    assert all(each.location is not None and each.location.file == str(seven) for each in located)
    assert Report.from_json(text) == here
    assert Report.from_json(audit(model).to_json()) == here


def test_comments_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "moved.py", _CULPRIT.sub(r"# paramscope: ignore[\1] as agreed  \g<0>", SEVEN))
    findings = audited(path).findings
    before = [each.finding for each in apply(findings, Exceptions(), None).ignored]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert [each.finding for each in apply(findings, Exceptions(), None).ignored] == before
    assert before
    assert not os.path.exists("moved.py")


CASES = {
    "zeros under a name": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 4)
            start = torch.zeros(4)
            self.register_buffer("mean", start)

        def forward(self, x):
            self.mean.mul_(0.9).add_(self.lin(x).mean(0), alpha=0.1)  # culprit: PS113 mean
            return x

    def build():
        model = Net()
        model(torch.randn(2, 4))
        return model
    """,
    "an operator in place": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 4)
            self.register_buffer("mean", torch.zeros(4))

        def reset(self):
            with torch.no_grad():
                self.mean = self.mean * 0

        def forward(self, x):
            self.mean += self.lin(x).mean(0)  # culprit: PS113 mean
            return x

    def build():
        model = Net()
        model(torch.randn(2, 4))
        return model
    """,
    "an alias among fresh ones": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Parameter(torch.zeros(4))
            self.other = nn.Parameter(torch.zeros(4))
            self.other = nn.Parameter(self.one.detach())  # culprit: PS301 one

    def build():
        return Net()
    """,
    "an alias from outside": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(10, 4)
            self.head = nn.Linear(4, 10, bias=False)

    def build():
        model = Net()
        model.head.weight = nn.Parameter(model.embed.weight.data)  # culprit: PS301 head.weight
        return model
    """,
    "a registration is no plain tensor": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 4)
            self.register_buffer("table", torch.arange(4.0))
            del self.table
            self.table = torch.arange(4.0)  # culprit: PS104 table

        def forward(self, x):
            return self.lin(x) + self.table

    def build():
        return Net()
    """,
    "a slot below an object of an object": """
    class Inner:
        def __init__(self):
            self.scorer = nn.Linear(4, 4)  # culprit: PS106 outer->inner->scorer

    class Outer:
        def __init__(self):
            self.inner = Inner()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.outer = Outer()

    def build():
        return Net()
    """,
    "an optimizer beside others": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 4)
            self.head = nn.Linear(4, 2)

    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 2)

    def other():
        model = Other()
        return model, torch.optim.SGD(model.parameters(), lr=0.1)

    def build():
        model = Net()
        optimizer = torch.optim.SGD(model.body.parameters(), lr=0.1)  # culprit: PS401 head.weight
        return model, optimizer
    """,
    "an optimizer told by its rate": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 4)
            self.head = nn.Linear(4, 2)

    def first(model):
        return torch.optim.Adam(model.body.parameters(), lr=1e-2)

    def second(model):
        return torch.optim.Adam(model.body.parameters(), lr=1e-4)  # culprit: PS401 head.weight

    def build():
        model = Net()
        return model, second(model)
    """,
    "an optimizer told by its groups, beside one whose rate is the same": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 4)
            self.head = nn.Linear(4, 2)

    def first(model):
        return torch.optim.AdamW([p for n, p in model.body.named_parameters() if p.ndim >= 2], lr=3e-4)

    def second(model, lr=3e-4):
        decay, no = [model.body.weight], [model.body.bias]
        groups = {"params": decay, "weight_decay": 0.1}, {"params": no, "weight_decay": 0.0}
        return torch.optim.AdamW([groups[0], groups[1]], lr=lr)  # culprit: PS401 head.weight

    def build():
        model = Net()
        return model, second(model)
    """,
    "an optimizer each of whose groups has a rate of its own": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 4)
            self.head = nn.Linear(4, 2)

    def first(model):
        return torch.optim.AdamW(filter(lambda p: p.requires_grad, model.body.parameters()), lr=1e-4)

    def second(model):
        return torch.optim.AdamW(  # culprit: PS401 head.weight
            [{"params": [model.body.weight], "lr": 1e-5}, {"params": [model.body.bias], "lr": 1e-3}],
            lr=1e-4,
            betas=[0.9, 0.98],
        )

    def third(model):
        return torch.optim.AdamW(
            [{"params": [model.body.weight], "lr": 1e-2}, {"params": [model.body.bias]}], lr=1e-4, betas=[0.9, 0.98]
        )

    def build():
        model = Net()
        return model, second(model)
    """,
    "an optimizer told by what another leaves to its class": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 4)
            self.head = nn.Linear(4, 2)

    def first(groups, **options):
        return torch.optim.AdamW(groups, **options)  # culprit: PS401 head.weight

    def second(groups):
        return torch.optim.AdamW(groups, lr=3e-4)

    def build():
        model = Net()
        return model, first(model.body.parameters(), lr=3e-4, weight_decay=0.1)
    """,
    "a layer made in forward": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 4)
            self.head = None

        def forward(self, x):
            if self.head is None:
                self.head = nn.Linear(4, 2)  # culprit: PS401 head.weight
            return self.head(self.body(x))

    def build():
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.randn(2, 4)).sum().backward()
        return model, optimizer
    """,
    "a weight wrapped in each forward": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 4)

        def forward(self, x):
            self.body.weight = nn.Parameter(self.body.weight / 2)  # culprit: PS402 body.weight
            return self.body(x)

    def build():
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.randn(2, 4)).sum().backward()
        return model, optimizer
    """,
    "a module that is no Parameter": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 4)
            self.body.requires_grad = False  # culprit: PS203 body
            for parameter in self.parameters():
                parameter.requires_grad = True

    def build():
        return Net()
    """,
}


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_the_line_is_the_one_that_can_have_caused_it(
    text: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = re.sub(r"\W", "_", request.node.callspec.id)
    path = write(tmp_path / f"{name}.py", "import torch\nfrom torch import nn\n\n" + textwrap.dedent(text))
    findings = audited(path).findings
    (((code, place), line),) = culprits(path).items()
    finding = of(findings, code, place)
    assert finding.location is not None, finding.unlocated
    assert (finding.location.path, finding.location.line) == (str(path), line)
    assert "Or it was assigned" not in finding.help


def test_where_several_lines_may_be_to_blame_none_is_and_the_reason_is_kept(tmp_path: Path) -> None:
    text = """
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 4)
            self.head = nn.Linear(4, 2)

    def one(model):
        return torch.optim.SGD(model.body.parameters(), lr=0.1)

    def other(model):
        return torch.optim.SGD(model.body.parameters(), lr=0.1)

    def build():
        model = Net()
        return model, one(model)
    """
    report = audited(write(tmp_path / "several.py", text))
    finding = of(report.findings, "PS401", "head.weight")
    assert finding.location is None
    assert finding.unlocated == "several lines may build this SGD: 12, 15"
    assert "no line: several lines may build this SGD: 12, 15" in str(report.render("text"))
    assert Report.from_json(report.to_json()) == report
    old = report.to_json().replace('"unlocated"', '"something_else"')
    assert Report.from_json(old).findings[0].unlocated == ""


SEVERAL = """
    import itertools

    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 4)
            self.head = nn.Linear(4, 2)

    def other(model, groups, rate):
        {other}

    def build():
        model = Net()
        {made}
    """
UNLOCATED = {
    "two optimizers": (
        "pass",
        "return model, [torch.optim.SGD([model.body.weight]), torch.optim.SGD([model.body.bias])]",
        "it may be that of any of several optimizers: 0 and 1",
    ),
    "a rate that cannot be read beside the same one": (
        "return torch.optim.SGD(groups, lr=rate)",
        "return model, torch.optim.SGD(model.body.parameters(), lr=0.1)",
        "several lines may build this SGD: 14, 18",
    ),
    "no call but of another rate": (
        "return torch.optim.SGD(groups, lr=0.2)",
        "return model, torch.optim.__dict__['SGD'](model.body.parameters(), lr=0.1)",
        "no call of SGD in the files of the user's own classes builds one like this",
    ),
}
ONE_GROUP = (
    "[p for p in model.parameters()]",
    "[p for part in (model.body, model.head) for p in part.parameters()]",
    "(p for n, p in model.named_parameters() if 'body' in n)",
    "filter(None, model.parameters())",
    "list(model.body.parameters())",
    "itertools.chain(model.body.parameters(), model.head.parameters())",
    "[*model.body.parameters(), *model.head.parameters()]",
)


@pytest.mark.parametrize(("other", "made", "reason"), UNLOCATED.values(), ids=UNLOCATED)
def test_why_no_line_builds_an_optimizer_is_true(tmp_path: Path, other: str, made: str, reason: str) -> None:
    report = audited(write(tmp_path / "several.py", SEVERAL.format(other=other, made=made)))
    finding = of(report.findings, "PS401", "head.weight")
    assert (finding.location, finding.unlocated) == (None, reason)


@pytest.mark.parametrize("given", ONE_GROUP)
def test_a_call_that_makes_one_group_did_not_make_two(tmp_path: Path, given: str) -> None:
    other = f"return torch.optim.SGD({given}, lr=0.1)"
    made = "return model, torch.optim.SGD([{'params': [p]} for p in model.body.parameters()], lr=0.1)"
    path = write(tmp_path / "groups.py", SEVERAL.format(other=other, made=made))
    finding = of(audited(path).findings, "PS401", "head.weight")
    assert finding.location is not None, finding.unlocated
    assert finding.location.line == 18


MADE_FOR = """
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 4)
            self.head = nn.Linear(4, 2)
    """
MAKERS = """
    import functools

    import torch

    def one(model):
        return torch.optim.SGD(model.body.parameters(), lr=0.1)  # one

    def other(model):
        return {"a": [torch.optim.SGD(model.body.parameters(), lr=0.1)]}  # other

    def wrapped(function):
        @functools.wraps(function)
        def call(model):
            return function(model)
        return call

    @wrapped
    def decorated(model):
        return torch.optim.SGD(model.body.parameters(), lr=0.1)  # decorated

    class Recipe:
        @staticmethod
        def make(model):
            def inner():
                return torch.optim.SGD(model.body.parameters(), lr=0.1)  # Recipe.make
            return inner()

    def asking(model):
        return helper(model)

    def helper(model):
        return torch.optim.SGD(model.body.parameters(), lr=0.1)  # asking
    """


@pytest.mark.parametrize("maker", ["one", "other", "decorated", "Recipe.make", "asking"])
def test_the_function_that_made_an_optimizer_holds_its_line(
    tmp_path: Path, maker: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "net.py", MADE_FOR)
    lines = write(tmp_path / "train.py", MAKERS).read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.endswith(f"# {maker}"))
    assert run("check", "net.py:Net", "-O", f"train.py:{maker}", "-q") == 1
    assert capsys.readouterr().out == f"train.py:{line}: error PS401 trainable-not-in-optimizer\n"
    assert run("inspect", "net.py:Net", "-O", f"train.py:{maker}", "-o", "saved.json") == 0
    assert run("check", "saved.json", "-q") == 1
    assert capsys.readouterr().out == f"train.py:{line}: error PS401 trainable-not-in-optimizer\n"


def test_an_annotation_without_a_line_says_so_and_stands_at_no_class() -> None:
    model = nn.Linear(2, 2)
    model.extra = torch.zeros(2)
    report = audit(model)
    finding = of(report.findings, "PS104", "extra")
    assert finding.location is None
    assert "torch" in finding.unlocated
    assert "file=" not in str(report.render("github"))
