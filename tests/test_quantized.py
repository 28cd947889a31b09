"""Quantized weights: what they stand for is counted, or a note says that it is not; nothing is said against them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NoReturn

import torch
from torch import nn

from paramscope import Report, audit, capture


class Packed(nn.Parameter):
    """A Parameter of several elements in one."""

    def __new__(cls, stored: torch.Tensor, **kept: Any) -> Packed:
        self: Any = torch.Tensor._make_subclass(cls, stored, require_grad=False)
        vars(self).update(kept)
        return self


class Quantized(nn.Linear):
    """A layer of its own forward."""

    def __init__(self, weight: Any, **kept: Any) -> None:
        super().__init__(64, 32)
        self.weight = weight
        vars(self).update(kept)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Not run."""
        raise NotImplementedError


def frozen(stored: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(stored, requires_grad=False)


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def counts(model: nn.Module) -> tuple[int, int | None]:
    report = audit(model)
    assert not codes(report) & {"PS501", "PS104", "PS210"}, report.findings
    assert Report.from_json(report.to_json()) == report
    return report.totals.parameters, report.totals.local


HALF = torch.zeros(1024, 1, dtype=torch.uint8)
LOGICAL, STORED = 64 * 32 + 32, 1024 + 32


def test_what_quantized_a_parameter_says_how_many_elements_there_are() -> None:
    state = SimpleNamespace(shape=torch.Size((32, 64)), absmax=torch.ones(32), code=torch.ones(16))
    assert counts(nn.Sequential(Quantized(Packed(HALF, quant_state=state)))) == (LOGICAL, STORED)
    as_list = [torch.ones(32), torch.Size((32, 64)), torch.float16, 64]
    assert counts(nn.Sequential(Quantized(Packed(HALF, quant_state=as_list)))) == (LOGICAL, STORED)
    assert counts(Quantized(Packed(HALF, quant_shape=torch.Size((32, 64))))) == (LOGICAL, STORED)
    # Stored as floats, four elements to a number.
    assert counts(Quantized(Packed(torch.zeros(512, dtype=torch.float16), quant_state=state))) == (LOGICAL, 512 + 32)


def test_what_keeps_the_scales_is_no_plain_tensor_that_is_lost() -> None:
    class Saving(Quantized):
        def _save_to_state_dict(self, *args: Any) -> None:
            raise NotImplementedError

    state = SimpleNamespace(shape=torch.Size((32, 64)), absmax=torch.ones(32))
    assert counts(Saving(Packed(HALF, quant_state=state), quant_state=state)) == (LOGICAL, STORED)
    left = audit(nn.Sequential(Quantized(frozen(HALF), scales=torch.ones(32))))
    assert "PS104" in codes(left)  # this one saves nothing of its own


def test_a_layer_says_it_of_a_parameter_of_no_special_class() -> None:
    assert counts(Quantized(frozen(HALF))) == (LOGICAL, STORED)
    meta = {"shape": torch.Size((32, 64)), "nbits": 4}

    class OnlyMeta(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.W_q, self.meta = frozen(HALF), meta

        def forward(self, input: torch.Tensor) -> torch.Tensor:
            raise NotImplementedError

    assert counts(OnlyMeta()) == (64 * 32, 1024)

    class OnlyBits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bits = frozen(torch.zeros(6, 32, dtype=torch.int32)), 3

        def forward(self, input: torch.Tensor) -> torch.Tensor:
            raise NotImplementedError

    assert counts(OnlyBits()) == (64 * 32, 6 * 32)


def test_packed_buffers_are_counted_as_torch_counts_them_and_a_note_says_so() -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.in_features, self.out_features, self.bits = 64, 32, 4
            self.register_buffer("qweight", torch.zeros(8, 32, dtype=torch.int32))
            self.register_buffer("qzeros", torch.zeros(1, 4, dtype=torch.int32))
            self.register_buffer("scales", torch.ones(1, 32))
            self.register_buffer("g_idx", torch.zeros(64, dtype=torch.int32))

        def forward(self, input: torch.Tensor) -> torch.Tensor:
            raise NotImplementedError

    model = nn.Sequential(Layer(), Layer())
    report = audit(model)
    assert report.totals.buffers == sum(buffer.numel() for buffer in model.buffers())
    (note,) = report.snapshot.notes
    assert (note.path, note.kind) == ("0.qweight", "packed")
    assert "256 numbers are packed, and stand for 2,048 elements" in note.text
    assert "1 more like it" in note.text
    assert not report.findings or codes(report) == {"PS201"}


def test_where_nothing_tells_how_many_a_note_says_that() -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = frozen(HALF.clone())
            self.scale = nn.Parameter(torch.ones(32))

        def forward(self, input: torch.Tensor) -> torch.Tensor:
            raise NotImplementedError

    (note,) = capture(Layer()).notes
    assert note.kind == "packed"
    assert "not known" in note.text


def test_one_element_to_a_number_is_counted_as_ever() -> None:
    assert counts(Quantized(frozen(torch.zeros(32, 64, dtype=torch.int8)))) == (LOGICAL, None)
    assert not capture(Quantized(frozen(torch.zeros(32, 64, dtype=torch.int8)))).notes


def test_a_layer_of_torchs_own_has_no_use_for_packed_elements() -> None:
    model = nn.Linear(64, 32)
    model.weight = frozen(HALF)
    assert [finding.severity.value for finding in audit(model).findings if finding.code == "PS501"] == ["error"]
    assert audit(model).totals.parameters == STORED


def test_none_of_the_code_of_what_quantized_a_weight_is_run() -> None:
    class Hostile:
        @property
        def shape(self) -> NoReturn:
            raise AssertionError

        def __eq__(self, other: object) -> NoReturn:
            raise AssertionError

        __hash__ = None  # type: ignore[assignment]

    report = audit(Quantized(Packed(HALF, quant_state=Hostile())))
    assert report.totals.parameters == LOGICAL  # its layer knows
    assert not any(note.kind == "crashed" for note in report.snapshot.notes)


def test_a_parameter_class_with_another_shape_beside_it_is_not_taken_for_packed() -> None:
    model = nn.Linear(4, 4)
    model.weight = Packed(torch.zeros(4, 4), my_shape=(4_000, 4_000), pad_shape=(2, 2))
    assert audit(model).totals.parameters == 20


class TwoInOne(torch.Tensor):
    """Two elements in a byte, under the strides of the bytes, as torchao's tensors of four bits have them."""

    def __new__(cls, data: torch.Tensor, scale: torch.Tensor) -> TwoInOne:
        size, strides = (data.shape[0], 2 * data.shape[1]), data.stride()
        made: Any = torch.Tensor._make_wrapper_subclass(cls, size, strides, dtype=torch.bfloat16)
        made.data_, made.scale = data, scale
        return made

    def __tensor_flatten__(self) -> NoReturn:
        raise AssertionError

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        if func is torch.ops.aten.detach.default:
            return args[0]
        raise NotImplementedError


def test_the_strides_of_a_tensor_that_is_made_of_others_lead_nowhere() -> None:
    data, scale = torch.zeros(32, 32, dtype=torch.uint8), torch.ones(32, 2)
    report = audit(Quantized(nn.Parameter(TwoInOne(data, scale), requires_grad=False)))
    assert (report.totals.parameters, report.slots["weight"].nbytes) == (LOGICAL, 1024 + 32 * 2 * 4)
    assert report.sharing == ()
    assert not codes(report)
