"""JSON version 1: as the design writes it, valid by its schema, and read back to an equal report."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.versions import named_parameters
from torch import nn

from paramscope import Finding, Location, Report, Severity, Skipped, audit
from paramscope.errors import ReportError
from paramscope.snapshot import ModuleRecord, ModuleRun, SlotRecord, TensorRun
from paramscope.wire.records import Slot, Wire, to_plain
from paramscope.wire.schema import SCHEMA_FILE, report_schema, schema_text


class Everything(nn.Module):
    """Ties, aliases, hidden things, cycles, lazy and empty slots, odd layouts and names."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(4, 3, padding_idx=1)
        self.head = nn.Linear(3, 4, bias=False)
        self.head.weight = self.embed.weight
        self.twin = nn.Linear(3, 4)
        self.twin.weight = nn.Parameter(self.embed.weight.data)
        self.lazy = nn.LazyLinear(2)
        self.norm = nn.BatchNorm1d(3)
        self.norm.eval()
        self.register_buffer("mask", torch.ones(2, 2, dtype=torch.bool), persistent=False)
        self.register_buffer("nothing", None)
        self.sparse = torch.eye(3).to_sparse()
        self.table = {"键": nn.Parameter(torch.zeros(2, dtype=torch.complex64)), 3: [torch.zeros(())]}
        self.loop = nn.ModuleList([nn.Linear(1, 1)])
        self.loop.append(self.loop)
        self.hidden = (nn.Linear(2, 2), self.head)
        self.strided = torch.zeros(4, 6)[::2, 1:]
        self.meta = torch.zeros(2, device="meta")


def everything() -> Report:
    """A report on it, with two optimizers and findings of every kind."""
    model = Everything()
    first = torch.optim.AdamW(named_parameters(model), lr=torch.tensor(0.1), weight_decay=float("inf"))
    groups: list[dict[str, Any]] = [{"params": [nn.Parameter(torch.zeros(3, 4))]}, {"params": [model.embed.weight]}]
    second = torch.optim.SGD(groups, lr=1)
    found = audit(model, optimizer={"one": first, "two": second})
    finding = Finding(
        "PS101", "module-in-container", Severity.ERROR, "a %message", ("hidden[0]",), Location("a.py", 3)
    )
    return Report(
        found.snapshot,
        findings=(finding,),
        ignored=(finding._replace(location=None, severity=Severity.INFO),),
        skipped=(Skipped("PS401", "no optimizer was given"),),
        target="a.py:build",
    )


MODELS = {
    "everything": everything,
    "roots": lambda: audit({"model": nn.Linear(2, 2), "criterion": nn.PReLU()}),
    "no tensors": lambda: audit(nn.ReLU()),
    "rnn": lambda: audit(nn.LSTM(2, 3, num_layers=2)),
    "shared": lambda: audit(nn.Sequential(OrderedDict(a=(lin := nn.Linear(2, 2)), b=lin))),
}


@pytest.mark.parametrize("name", MODELS)
def test_reads_back_to_an_equal_report(name: str) -> None:
    report = MODELS[name]()
    text = report.to_json()
    again = Report.from_json(text)
    assert again == report
    assert again.totals == report.totals
    assert list(again.slots.records()) == list(report.slots.records())
    assert list(again.modules.records()) == list(report.modules.records())
    assert again.to_json() == text
    assert Report.from_json(text.encode()) == report
    assert again.render("table") == report.render("table")


@pytest.mark.parametrize("name", MODELS)
def test_validates_against_the_schema(name: str) -> None:
    jsonschema.validate(json.loads(MODELS[name]().to_json()), json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


def test_the_schema_file_is_what_the_types_make() -> None:
    text = SCHEMA_FILE.read_text(encoding="utf-8")
    assert in_one_order(json.loads(text)) == in_one_order(json.loads(schema_text())), "run: make schema"
    assert json.dumps(json.loads(text), indent=1) + "\n" == text


def in_one_order(schema: Any) -> Any:
    """A schema whose alternatives are sorted: older versions of msgspec list them in another order."""
    if isinstance(schema, list):
        return [in_one_order(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: in_one_order(value) for key, value in schema.items()}
    return {key: sorted(value, key=json.dumps) if key == "anyOf" else value for key, value in schema.items()}


@pytest.mark.parametrize(
    ("edit", "where"),
    [
        (lambda r: r.pop("slots"), "slots"),
        (lambda r: r["slots"][0].pop("role"), "role"),
        (lambda r: r["slots"][0].update(role="weight"), "weight"),
        (lambda r: r["totals"].update(parameters=-1), "-1"),
        (lambda r: r.update(version=2), "1 was expected"),
        (lambda r: r["findings"].append({"code": "PS1"}), "name"),
    ],
)
def test_the_schema_can_refuse(edit: object, where: str) -> None:
    written = json.loads(MODELS["rnn"]().to_json())
    edit(written)  # type: ignore[operator]
    with pytest.raises(jsonschema.ValidationError, match=where):
        jsonschema.validate(written, report_schema())


@pytest.mark.parametrize("wire", Wire.__subclasses__(), ids=lambda wire: wire.__name__)
def test_the_types_cover_every_record_in_its_order(wire: type[Wire]) -> None:
    names = ("file", "line") if wire.record is Location else wire.record._fields
    # What a run showed of a slot or a module stands with the run.
    ran = {SlotRecord: TensorRun._fields[1:], ModuleRecord: ModuleRun._fields[1:]}.get(wire.record, ())
    assert (*wire.__struct_fields__, *ran) == names
    assert Slot.record is SlotRecord


def test_top_level_and_slots_are_as_designed() -> None:
    model = nn.Sequential(nn.Linear(4, 2))
    written = json.loads(audit(model).to_json())
    assert list(written)[:6] == ["format", "version", "producer", "target", "model", "totals"]
    assert written["format"] == "paramscope.report"
    assert written["version"] == 1
    assert written["producer"]["torch"] == torch.__version__
    assert written["model"] == {"type": "torch.nn.modules.container.Sequential", "training": True, "roots": [""]}
    assert written["modules"][0]["path"] == ""
    slot = written["slots"][0]
    expected = {
        "path": "0.weight", "module": "0", "name": "weight", "role": "parameter", "registered": True,
        "persistent": None, "type": "torch.nn.parameter.Parameter", "shape": [2, 4], "dtype": "float32",
        "device": "cpu", "layout": "strided", "numel": 8, "nbytes": 32, "requires_grad": True, "is_leaf": True,
        "status": "trainable", "gradient": True, "stepped": None, "saved": True, "moved": True,
        "tensor": 0, "storage": 0, "groups": [],
    }  # fmt: skip
    assert {key: slot[key] for key in expected} == expected


def test_optimizers_and_strangers_are_as_designed() -> None:
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD([model.weight, nn.Parameter(torch.zeros(3, 4))], lr=0.001)
    written = json.loads(audit(model, optimizer=optimizer).to_json())
    (group,) = written["optimizers"][0]["groups"]
    assert written["optimizers"][0]["name"] == "0"
    assert (group["index"], group["slots"], group["numel"]) == (0, ["weight"], 20)
    assert group["options"]["lr"] == 0.001
    assert (group["foreign"][0]["shape"], group["foreign"][0]["dtype"]) == ([3, 4], "float32")
    assert written["slots"][0]["groups"] == [{"optimizer": "0", "group": 0}]


def test_text_is_plain_ascii_json_without_constants() -> None:
    text = everything().to_json()
    assert text.isascii()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text)["optimizers"][0]["groups"][0]["options"]["weight_decay"] == "inf"


def test_unknown_keys_are_ignored() -> None:
    report = MODELS["rnn"]()
    written = json.loads(report.to_json())
    written["added_later"] = {"a": 1}
    written["slots"][0]["added_later"] = 3
    assert Report.from_json(json.dumps(written)) == report


def test_loads_and_renders_with_torch_blocked(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    report = everything()
    path.write_text(report.to_json())
    code = (
        "import sys; sys.modules['torch'] = None\nfrom pathlib import Path\nfrom paramscope import Report\n"
        "report = Report.from_json(Path(sys.argv[1]).read_text())\nprint(report, end='')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=True)
    assert done.stdout.decode() == str(report)


def test_a_finding_without_a_place_cannot_exist() -> None:
    with pytest.raises(ValueError, match="has to name the place"):
        Finding("PS101", "module-in-container", Severity.ERROR, "message", ())


DAMAGE = {
    "a slot that is a number": (("slots", 1), 3, "slots[1] should be an object, but is 3"),
    "no list": (("slots",), {}, "slots should be a list"),
    "no totals": (("totals",), None, "totals should be an object, but is None"),
    "a word for a number": (("slots", 1, "numel"), "two", "slots[1].numel cannot be 'two' (expected `int | null`)"),
    "one of many": (("slots", 1, "shape"), [2, -1], "slots[1].shape cannot be a list ([1]: expected `int` >= 0)"),
    "a reason": (("modules", 0, "unknown"), {"saved": 1}, "modules[0].unknown cannot be a dict (expected `str`)"),
    "a status": (("slots", 0, "status"), "odd", "slots[0].status cannot be 'odd'"),
    "deep within": (("optimizers", 0, "groups", 0, "numel"), -1, "optimizers[0].groups[0].numel cannot be -1 (expected"),
    "a slot that is not there": (("sharing",), [{"kind": "tied", "slots": ["gone"], "storage": 0, "nbytes": 8}],
                                 "sharing names a slot that is not there: 'gone'"),
    "an object in an option": (("optimizers", 0, "groups", 0, "options", "lr"), [[{}]],
                               "optimizers[0].groups[0] holds an object within an option"),
    "options within options": (("optimizers", 0, "defaults", "lr"), {}, "optimizers[0].defaults cannot be a dict"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_wrong_is_said_with_its_place(damage: str) -> None:
    model = nn.Linear(3, 2)
    written = json.loads(audit(model, optimizer=torch.optim.SGD(model.parameters(), lr=1.0)).to_json())
    steps, value, says = DAMAGE[damage]
    at = written
    for step in steps[:-1]:
        at = at[step]
    at[steps[-1]] = value
    with pytest.raises(ReportError, match=re.escape(f"this is no sound report: {says}")):
        Report.from_json(json.dumps(written))


@pytest.mark.parametrize("depth", [200, 700, 5_000, 200_000])
def test_lists_within_lists_are_read_or_refused(depth: int) -> None:
    model = nn.Linear(3, 2)
    report = audit(model, optimizer=torch.optim.SGD(model.parameters(), lr=1.0))
    text = report.to_json().replace('"lr":1.0', f'"lr":{"[" * depth}{"]" * depth}', 1)
    try:
        assert Report.from_json(text) != report
    except ReportError as error:
        assert "nested too deeply" in error.problem  # noqa: PT017
        assert depth > 200


def test_half_a_surrogate_pair_in_a_name_is_read_back() -> None:
    model = nn.ParameterDict({"half \ud800": nn.Parameter(torch.zeros(2)), "whole \U0001f600": None})
    report = audit(model)
    text = report.to_json()
    assert Report.from_json(text) == report
    assert Report.from_json(text.encode()) == report
    with pytest.raises(ReportError, match="numel cannot be -2"):
        Report.from_json(text.replace('"numel":2', '"numel":-2'))


@pytest.mark.parametrize("name", MODELS)
def test_the_long_lists_are_written_as_one_record_after_another_would_be(name: str) -> None:
    report = MODELS[name]()
    written = json.loads(report.to_json())
    snapshot = report.snapshot
    assert written["slots"] == [to_plain(slot) for slot in snapshot.slots.records()]
    assert written["modules"] == [to_plain(module) for module in snapshot.modules.records()]
    storages = [snapshot.storage(number) for number in range(len(snapshot.storage_columns.nbytes))]
    assert written["storages"] == [to_plain(storage) for storage in storages]


@pytest.mark.skipif(sys.gettrace() is not None, reason="CPython extends no string in place while it is traced")
def test_neither_way_takes_much_more_memory_than_the_text() -> None:
    report = audit(nn.Sequential(*(nn.Linear(1, 1) for _ in range(4_000))))
    text = report.to_json()

    def peak(work: Callable[[], object]) -> float:
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1] / len(text)
        finally:
            tracemalloc.stop()

    assert peak(report.to_json) < 1.5
    assert peak(lambda: Report.from_json(text)) < 1


def test_msgspec_is_imported_with_the_first_json() -> None:
    code = (
        "import sys\nfrom paramscope import Report\nfrom paramscope.cli import main\n"
        "import paramscope.cli.check, paramscope.cli.inspect, paramscope.cli._checking, paramscope.render\n"
        "assert 'msgspec' not in sys.modules\n"
        "try: Report.from_json('')\nexcept ValueError: pass\nassert 'msgspec' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_severities_are_ordered() -> None:
    assert Severity.INFO < Severity.WARNING < Severity.ERROR
    assert max(Severity) is Severity.ERROR
    assert [each.value for each in sorted(Severity)] == ["info", "warning", "error"]
    assert Severity("error") is Severity.ERROR


def test_what_is_no_json_is_a_report_error() -> None:
    with pytest.raises(ReportError, match="ends too early"):
        Report.from_json('{"format"')


VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**63,
    2**70,
    0.5,
    "",
    "weight",
    "meta",
    [],
    [1],
    [[1]],
    ["a"],
    {},
    {"a": "b"},
    {"saved": 1},
]


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from(["everything", "rnn", "shared"]), st.data())
def test_a_slot_with_any_other_value_is_refused_or_is_a_sound_report(name: str, data: st.DataObject) -> None:
    report = REPORTS.setdefault(name, MODELS[name]())
    written = json.loads(report.to_json())
    slot = data.draw(st.sampled_from(written["slots"]))
    field = data.draw(st.sampled_from(sorted(slot)))
    slot[field] = data.draw(st.sampled_from(VALUES))
    outcomes = set()
    for separators in ((", ", ": "), (",", ":")):
        try:
            again = Report.from_json(json.dumps(written, separators=separators))
        except ReportError as error:
            outcomes.add(str(error))
            continue
        outcomes.add(again.to_json())
        assert Report.from_json(again.to_json()) == again
        assert again.render("table")
    assert len(outcomes) == 1


REPORTS: dict[str, Report] = {}


ODD = {
    "a number with a zero before it": ('"tensor":2,', '"tensor":02,'),
    "a number of another script": ('"tensor":2,', '"tensor":\u0662,'),
    "a number with an underscore": ('"offset":0,', '"offset":0_0,'),
    "a word for a number": ('"storage":2,', '"storage":true,'),
    "a path that is cut": ('"path":"layers.1.weight",', '"path":"layers.1.weigh",'),
    "a path that ends oddly": ('"path":"layers.1.weight",', '"path":"layers.1.weight\\",'),
    "a control character": ('"module":"layers.1",', '"module":"layers\t.1",'),
    "a field that is missing": ('"saved":true,', ""),
    "a comma too many": ('},{"path":"layers.1.weight"', '},,{"path":"layers.1.weight"'),
    "another name": ('"name":"weight",', '"name":"bias",'),
}


ODD_ELSEWHERE = {
    "a module's number with a zero before it": ('"path":"layers.1"', '"object":3,', '"object":03,'),
    "a module's number that is none": ('"path":"layers.1"', '"object":3,', '"object":null,'),
    "a module that is missing": ('"path":"layers.1"', '"path":"layers.1"', '"path":"layers.9"'),
    "a module's path that is cut": ('"path":"layers.1"', '"path":"layers.1",', '"path":"layers.1,'),
    "a storage's number": ('"storages":[', '"number":2,', '"number":3,'),
    "a storage's number in another script": ('"storages":[', '"number":2,', '"number":\u0662,'),
    "a storage's memory with an underscore": ('"storages":[', '"memory":2,', '"memory":0_2,'),
    "a storage's device": ('{"number":2,', '"device":"cpu"', '"device":"cuda:9"'),
}


@pytest.mark.parametrize("kind", ODD_ELSEWHERE)
def test_what_is_wrong_with_one_of_many_modules_or_storages_is_found(kind: str) -> None:
    text = many().to_json()
    behind, right, wrong = ODD_ELSEWHERE[kind]
    at = text.index(right, text.index(behind))
    with pytest.raises(ReportError):
        Report.from_json(text[:at] + wrong + text[at + len(right) :])


def outcome(text: str) -> str:
    """What is read, or what is wrong with it."""
    try:
        return Report.from_json(text).to_json()
    except ReportError as error:
        return re.sub(r"column \d+", "column", str(error))


def last(text: str, old: str, new: str) -> str:
    """A text with the last of something replaced."""
    before, _, after = text.rpartition(old)
    return f"{before}{new}{after}"


TRICKS = {
    "nan": lambda text: last(text, '"settings":{"', '"settings":{"zz":NaN,"'),
    "a raw line break": lambda text: last(last(text, '"path":"3', '"path":"3\n'), '"module":"3"', '"module":"3\n"'),
    "a list again": lambda text: text[:-1] + ',"modules":0}',
    "a list inside": lambda text: text.replace('"modules":[', '"x":{"modules":[', 1).replace(
        '"sharing":[', '"sharing":[]},"modules":0,"slots":0,"storages":0,"sharing":[', 1
    ),
    "a comma at the end": lambda text: last(text, '"unknown":{}}],"slots"', '"unknown":{},}],"slots"'),
    "a field again": lambda text: last(text, '"offset":0,', '"offset":7,"offset":0,'),
    "a field again at the end": lambda text: last(text, '}],"storages"', ',"offset":7}],"storages"'),
    "a field inside another": lambda text: last(text, '"role":', '"x":{"offset":7,"b":1},"role":'),
    "an offset without a storage": lambda text: last(text, '"storage":7,', '"storage":null,'),
    "no number": lambda text: last(text, '"memory":7,', '"memory":null,'),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_tricks_are_what_json_says(trick: str) -> None:
    text = audit(nn.Sequential(*[nn.Linear(3, 3) for _ in range(4)])).to_json()
    tricked = TRICKS[trick](text)
    assert tricked != text
    parsed = tricked.replace('"slots":[{', '"slots": [{', 1)  # not as the writer writes it
    assert outcome(tricked) == outcome(parsed)
    is_harmless = trick in ("a field again", "a field inside another")
    assert (outcome(tricked) == text) is is_harmless


def test_a_name_cannot_pretend_to_be_more_than_a_name() -> None:
    inner = nn.Module()
    inner.register_module('a","role":"buffer","module":"', nn.Linear(2, 2))
    inner.register_module('}],"slots":[{"path":"', nn.Linear(2, 2))
    report = audit(nn.Sequential(nn.Linear(2, 2), inner, nn.Linear(2, 2)))
    text = report.to_json()
    assert Report.from_json(text) == report
    assert {slot["role"] for slot in json.loads(text)["slots"]} == {"parameter"}
    # Such a name without what JSON escapes it with is another text.
    bare = text.replace('\\"', '"')
    with pytest.raises(ReportError):
        Report.from_json(bare)


@pytest.mark.parametrize("kind", ODD)
def test_what_is_wrong_with_one_of_many_slots_is_found(kind: str) -> None:
    text = many().to_json()
    right, wrong = ODD[kind]
    start = text.index('"slots":[{"path"')
    # Not the first of its kind, which stands for all.
    at = text.index(right, text.index('"path":"layers.1.weight"', start) - 3)
    with pytest.raises(ReportError):
        Report.from_json(text[:at] + wrong + text[at + len(right) :])


def test_the_same_json_written_otherwise_is_the_same_report() -> None:
    report = many()
    found = json.loads(report.to_json())
    backwards = {key: found[key] for key in reversed(found)}
    slots = [{key: slot[key] for key in reversed(slot)} for slot in found["slots"]]
    for written in (found, backwards, {**found, "slots": slots}):
        for options in ({}, {"indent": 1}, {"separators": (",", ":"), "ensure_ascii": False}):
            assert Report.from_json(json.dumps(written, **options)) == report


def test_a_field_that_stands_twice_in_a_slot_is_what_json_says() -> None:
    text = many().to_json()
    start = text.index('"slots":[{"path"')
    at = text.index('"path":"layers.1.weight"', start)
    twice = f'{text[:at]}"path":"layers.2.weight",{text[at:]}'
    assert Report.from_json(twice) == many()  # the last counts
    end = text.index("}", text.index('"unknown":', at))
    with pytest.raises(ReportError):
        Report.from_json(f'{text[: end + 1]},"path":"layers.2.weight"{text[end + 1 :]}')


def many() -> Report:
    """Layers of which most are read as the first of their kind, one with a name that JSON escapes."""
    model = nn.Module()
    model.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(5))
    model.named = nn.ModuleDict({'a"b\\c\u00e9': nn.Linear(2, 2), "\u2603},{": nn.Linear(2, 2, bias=False)})
    return audit(model)
