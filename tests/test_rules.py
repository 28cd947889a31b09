"""Every rule against its fixture: the bug, its mended twin, near misses, and the line to blame."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from support.rule_fixtures import FOLDER, Case, cases, codes
from support.versions import takes_names
from torch import nn

from paramscope import Severity, capture
from paramscope.probe import snapshot_of_run
from paramscope.rules import discovery
from paramscope.rules.discovery import discover, own
from paramscope.rules.engine import check
from paramscope.rules.rule import Loaded

CASES = list(cases())
OURS = {loaded.rule.code: loaded for loaded in discover().rules if loaded.origin == "paramscope"}
# Those of loops, and of ranks, have tests of their own, which train, and start ranks.
RULES = {code: loaded for code, loaded in OURS.items() if loaded.rule.needs not in ("loop", "ranks")}


def rule(code: str) -> Loaded:
    """One of our rules."""
    return RULES[code]


_SINGULAR = r"({paths})(, ({paths}))*,? and ({paths}|[\d,]+ more),? (is|has|was|lies|holds|requires|stands|goes|keeps|does|takes) "


@pytest.mark.parametrize("case", CASES, ids=[f"{case.code}-{case.builder}" for case in CASES])
def test_the_fixture(case: Case) -> None:
    if not case.can_build:
        pytest.skip("this torch does not have what it takes")
    snapshot = case.snapshot()
    checked = check(snapshot, [rule(case.code)])
    found = tuple((finding.severity.value, finding.paths) for finding in checked.findings)
    assert found == case.expected, checked
    for finding in checked.findings:
        assert "{" not in finding.message
        assert finding.message.endswith(".")
        assert not re.match("(is|are|was|were|has|have|requires?|lies?) ", finding.message), finding.message
        # "a and b is", "a, b and 3 more is".
        paths = "|".join(map(re.escape, finding.paths))
        assert not re.match(_SINGULAR.format(paths=paths), finding.message), finding.message
        assert finding.help
    if case.lines:
        blamed = [finding.location for finding in checked.findings if finding.location is not None]
        assert blamed
        # Of several assignments to one attribute any may be blamed.
        assert {location.line for location in blamed} <= set(case.lines), (blamed, case.lines)
        assert {location.file for location in blamed} == {f"fixtures/rules/{case.code.lower()}.py"}


def test_what_is_read_of_a_rule_is_what_its_file_holds() -> None:
    files = {path.stem: path.parent.name for path in Path(discovery.__file__).parent.glob("*/ps*.py")}
    held = [import_module(f"paramscope.rules.{folder}.{name}") for name, folder in sorted(files.items())]
    assert [(each.RULE, each.__doc__) for each in held] == [(each.rule, each.doc) for each in OURS.values()]
    assert {name.split("_", 1)[0].upper() for name in files} == set(OURS)


def test_a_rule_is_found_by_the_name_of_its_file() -> None:
    for loaded in OURS.values():
        assert own(loaded.rule.code) == loaded
        named = own(loaded.rule.name)
        assert named is not None
        # A snapshot's rule and a loop's may have one name for one defect.
        assert named == loaded or (named.rule.name, loaded.rule.needs) == (loaded.rule.name, "loop")
    assert [own(word) for word in ("", "PS1", "EX001", "facts", "steps", "rules")] == [None] * 6


def test_every_rule_has_a_fixture_with_bug_twin_and_near_miss() -> None:
    assert sorted(RULES) == codes()
    for code in codes():
        mine = [case for case in CASES if case.code == code]
        kinds = {case.builder.partition("_")[0] for case in mine}
        assert {"bad", "good", "near"} <= kinds, code
        for case in mine:
            severities = {severity for severity, _ in case.expected}
            if case.builder.startswith("bad"):
                assert case.expected, f"{code}: {case.builder} expects nothing"
            if case.builder.startswith("good"):
                assert not severities, f"{code}: {case.builder} is to be silent"


def test_the_line_to_blame_is_found_in_nearly_all_fixtures() -> None:
    wanted = [case for case in CASES if case.lines]
    exact = 0
    for case in wanted:
        snapshot = case.snapshot()
        findings = check(snapshot, [rule(case.code)]).findings
        exact += bool(findings) and all(
            finding.location is not None and finding.location.line in case.lines for finding in findings
        )
    assert exact >= 0.95 * len(wanted), f"{exact} of {len(wanted)}"


@pytest.mark.parametrize("code", sorted(RULES))
def test_a_rule_says_what_it_is(code: str) -> None:
    loaded = rule(code)
    assert loaded.rule.code == code
    assert isinstance(loaded.rule.severity, Severity)
    for heading in ("What it finds", "Why it matters", "Example", "Instead", "When it is wrong to follow it"):
        assert f"\n{heading}\n" in loaded.doc, f"{code}: its documentation lacks {heading!r}"
    assert (FOLDER / f"{code.lower()}.py").exists()


def _blocks(doc: str) -> list[str]:
    return [part.partition("\n```")[0] for part in doc.split("```python\n")[1:]]


@pytest.mark.parametrize("code", sorted(RULES))
def test_the_example_shows_the_finding_and_what_to_write_instead_does_not(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An example makes `model`, and `optimizer` and `inputs` where it needs them. It stands in a file, since rules read
    source."""
    loaded = rule(code)
    bad, *good = _blocks(loaded.doc)
    assert good, f"{code}: nothing stands under Instead"
    if not all(hasattr(torch.optim, name) for name in re.findall(r"\btorch\.optim\.(\w+)", bad)):
        pytest.skip("this torch does not have what it takes")
    for number, block in enumerate((bad, *good)):
        module = ModuleType(f"example_{code}_{number}")
        file = tmp_path / f"{module.__name__}.py"
        file.write_text(block, encoding="utf-8")
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        made = vars(module)
        exec(compile(block, str(file), "exec"), made)
        needs = loaded.rule.needs
        run = "graph" if needs == "run" else needs if needs in ("backward", "step") else None
        options: dict[str, Any] = {"optimizer": made.get("optimizer"), "values": needs == "values"}
        seen = (
            snapshot_of_run(made["model"], **options, run=run, inputs=made["inputs"])
            if run
            else capture(made["model"], **options)
        )
        findings = check(seen, [loaded]).findings
        assert bool(findings) is (number == 0), findings


@pytest.mark.parametrize("code", ["PS401", "PS403"])
def test_a_tied_tensor_counts_in_a_message_as_often_as_in_the_place(code: str) -> None:
    model: Any = nn.Sequential(nn.Embedding(4, 4), nn.LayerNorm(4), nn.PReLU(), nn.Linear(4, 4))
    model[3].weight = model[0].weight
    optimizer = torch.optim.SGD(model.parameters() if code == "PS403" else [nn.Parameter(torch.ones(()))], lr=0.1)
    model.requires_grad_(requires_grad=code == "PS401")
    (finding,) = check(capture(model, optimizer=optimizer), [rule(code)]).findings
    assert finding._replace(location=None).place == "0.weight and 5 more"
    assert "[0-3].weight and [1,3].bias" in finding.message


@takes_names
def test_what_no_model_has_is_told_by_its_shapes_and_by_the_names_that_the_optimizer_has() -> None:
    model = nn.Linear(3, 4)
    other: Any = nn.ModuleList(nn.Linear(n, 1) for n in range(5, 9))
    nameless = torch.optim.SGD([*model.parameters(), other[0].weight, other[0].bias], lr=0.1)
    (finding,) = check(capture(model, optimizer=nameless), [rule("PS402")]).findings
    assert "optimizer[0].groups[0][2-3], of shapes 1×5 and 1:" in finding.message
    (finding,) = check(capture(model, optimizer=torch.optim.SGD([other[0].weight], lr=0.1)), [rule("PS402")]).findings
    assert "optimizer[0].groups[0][0], of shape 1×5:" in finding.message
    braces = torch.optim.SGD([("{0} {1}", other[0].weight), ("b", other[0].bias)], lr=0.1)
    (finding,) = check(capture(model, optimizer=braces), [rule("PS402")]).findings
    assert "which it knows as {0} {1} and b:" in finding.message
    several = [{"params": list(other.named_parameters()), "lr": 0.1}]
    (finding,) = check(capture(model, optimizer=torch.optim.SGD(several)), [rule("PS402")]).findings
    assert (
        "of shapes 1×5, 1, 1×6 and 2 more, which it knows as 0.weight, 0.bias, 1.weight and 5 more:"
        in finding.message
    )


def test_what_backward_itself_steps_was_reached_though_it_keeps_no_gradient() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    seen = snapshot_of_run(model, inputs=torch.ones(2, 3))
    assert seen.run is not None
    tensors = tuple(
        each._replace(reached=False, grad="none", changed_by=("backward",)) if number < 2 else each
        for number, each in enumerate(seen.run.tensors)
    )
    stepped = seen.with_run(seen.run._replace(kind="backward", tensors=tensors))
    assert check(stepped, [rule("PS701")]).findings == ()
    still = seen.with_run(stepped.run._replace(tensors=tuple(each._replace(changed_by=()) for each in tensors)))  # type: ignore[union-attr]
    assert [finding.paths for finding in check(still, [rule("PS701")]).findings] == [("0.weight", "0", "0.bias")]


class _TwoLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.head = nn.Linear(3, 3), nn.Linear(3, 1)


class _CutInOnePlace(_TwoLayers):
    def forward(self, x: torch.Tensor) -> Any:
        with torch.no_grad():
            cut = self.fc(x)
        self.fc(x)
        return self.head(cut)


class _CutAndGradedAgain(_TwoLayers):
    def forward(self, x: torch.Tensor) -> Any:
        with torch.no_grad(), torch.enable_grad():
            features = self.fc(x)
        return self.head(torch.tensor(0.0) * x + features.argmax())


class _CutInFunction(_TwoLayers):
    def forward(self, x: torch.Tensor) -> Any:
        def features() -> Any:
            return self.fc(x)

        with torch.no_grad():
            cut = self.fc(x) + features()
        return self.head(cut)


class _DetachedForOneUse(_TwoLayers):
    def forward(self, x: torch.Tensor) -> Any:
        features = self.fc(x)
        return self.head(features.detach() + features.argmax())


@pytest.mark.parametrize("model", [_CutInOnePlace, _CutAndGradedAgain, _CutInFunction, _DetachedForOneUse])
def test_no_line_is_blamed_for_a_gradient_that_does_not_arrive_where_none_is_certain(model: type[nn.Module]) -> None:
    seen = snapshot_of_run(model(), inputs=torch.ones(2, 3))
    (finding,) = check(seen, [rule("PS701")]).findings
    assert finding.location is None
    assert "though the run called it: the loss does not depend on what it returned, or is cut off" in finding.message
