"""torch.ao.quantization: observers and fake quantization are seen as they are, and of packed weights it is said."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.idioms import look, shared, traces, unregistered
from torch import nn

from paramscope import Report, audit

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
tq = pytest.importorskip("torch.ao.quantization")


class Net(nn.Module):
    """A small image classifier, to be quantized."""

    def __init__(self) -> None:
        super().__init__()
        self.quantize = tq.QuantStub()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.relu = nn.ReLU()
        self.linear = nn.Linear(2, 2)
        self.dequantize = tq.DeQuantStub()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.relu(self.norm(self.conv(self.quantize(x))))
        return self.dequantize(self.linear(hidden.mean((2, 3))))


IMAGE = torch.ones(2, 1, 5, 5)


@pytest.fixture(autouse=True)
def engine() -> Any:
    """One of the backends that this torch has."""
    before = torch.backends.quantized.engine
    engines = torch.backends.quantized.supported_engines
    torch.backends.quantized.engine = next(name for name in ("x86", "fbgemm", "qnnpack") if name in engines)
    yield torch.backends.quantized.engine
    torch.backends.quantized.engine = before


def packed(model: nn.Module) -> Report:
    """The report of a model with weights packed in C++, which no state of torch.nn's shows."""
    before = traces(model)
    report = audit(model)
    assert traces(model) == before
    assert audit(model) == report
    assert Report.from_json(report.to_json()) == report
    assert isinstance(report.render("table"), str)
    assert report.totals.parameters == sum(p.numel() for p in model.parameters())
    assert report.totals.buffers == sum(b.numel() for b in model.buffers())
    assert (report.totals.hidden, unregistered(report), report.snapshot.aliases) == (0, [], ())
    # What is said to be saved is.
    tensors = {name for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    assert {slot.path for slot in report.slots.records() if slot.saved and slot.status != "empty"} <= tensors
    return report


def test_observers_hold_buffers(engine: str) -> None:
    model = Net().eval()
    model.qconfig = tq.get_default_qconfig(engine)
    tq.fuse_modules(model, [["conv", "norm", "relu"]], inplace=True)
    fused = look(model)
    assert unregistered(fused) == []
    tq.prepare(model, inplace=True)
    report = look(model)
    assert report.slots["conv.activation_post_process.min_val"].role == "buffer"
    assert unregistered(report) == []
    assert report.sharing == ()
    model(IMAGE)
    assert look(model).totals.parameters == fused.totals.parameters


def test_fake_quantization_while_training(engine: str) -> None:
    model = Net().train()
    model.qconfig = tq.get_default_qat_qconfig(engine)
    tq.fuse_modules_qat(model, [["conv", "norm", "relu"]], inplace=True)
    tq.prepare_qat(model, inplace=True)
    for _ in range(2):
        report = look(model)
        assert unregistered(report) == []
        assert report.sharing == ()
        assert report.slots["conv.weight_fake_quant.scale"].role == "buffer"
        # The layer is a convolution all the same.
        assert report.slots["conv.weight"].declared == report.slots["conv.weight"].shape
        model(IMAGE).sum().backward()


def test_a_prepared_graph_shares_its_observers(engine: str) -> None:
    fx = pytest.importorskip("torch.ao.quantization.quantize_fx")
    model = fx.prepare_fx(Net().eval(), tq.get_default_qconfig_mapping(engine), (IMAGE,))
    report = look(model)
    assert unregistered(report) == []
    assert {kind for kind, _ in shared(report)} == {"tied"}
    model(IMAGE)
    converted = packed(fx.convert_fx(model))
    # Its own hook writes the packed weights.
    assert {slot.saved for slot in converted.slots.records()} == {None}


def test_weights_that_are_packed_in_cpp_are_noted() -> None:
    model = tq.quantize_dynamic(
        nn.ModuleDict({"linear": nn.Linear(4, 4), "lstm": nn.LSTM(4, 4), "rest": nn.Embedding(5, 4)}).eval(),
        {nn.Linear, nn.LSTM},
        dtype=torch.qint8,
    )
    report = packed(model)
    assert list(report.slots) == ["rest.weight"]
    noted = [note.path for note in report.snapshot.notes]
    assert "linear._packed_params._packed_params" in noted
    assert [path for path in noted if path.startswith("lstm._all_weight_values.0")]
    assert not [path for path in noted if path.startswith("rest")]
    text = next(note.text for note in report.snapshot.notes)
    assert "quantized" in text or "packed" in text


def test_converted_layers_are_noted(engine: str) -> None:
    model = Net().eval()
    model.qconfig = tq.get_default_qconfig(engine)
    tq.fuse_modules(model, [["conv", "norm", "relu"]], inplace=True)
    tq.prepare(model, inplace=True)
    model(IMAGE)
    tq.convert(model, inplace=True)
    report = packed(model)
    assert list(report.slots) == ["quantize.scale", "quantize.zero_point"]
    assert {note.path.partition(".")[0] for note in report.snapshot.notes} == {"conv", "linear"}


def test_a_quantized_embedding_is_noted() -> None:
    quantized = pytest.importorskip("torch.ao.nn.quantized")
    report = packed(quantized.Embedding(4, 8))
    assert [note.path for note in report.snapshot.notes] == ["_packed_params._packed_weight"]
