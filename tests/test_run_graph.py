"""`run="graph"`: what the loss reaches, told on tensors without elements, is what a real backward reaches; what each
module did is what torch says that it did; and of the model nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.run_models import NAMES, made, tokens
from support.tiny_transformers import gpt2, transformers
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from paramscope import Report, audit
from paramscope.errors import RunError

RUNS: tuple[Any, ...] = ("graph", "backward")


def reached(report: Report) -> set[str]:
    """Paths of the slots that the loss depends on."""
    return {slot.path for slot in report.slots.records() if slot.reached}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_reached_is_what_backward_reaches(name: str) -> None:
    ready = made(name)
    state = {key: each.clone() for _, root in ready.roots() for key, each in root.state_dict().items()}
    grads = [parameter.grad for _, parameter in ready.named()]
    graph = audit(ready.model, inputs=ready.inputs, loss=ready.loss)
    real = audit(ready.model, inputs=ready.inputs, loss=ready.loss, run="backward")
    assert reached(graph) == reached(real)
    assert reached(graph)
    assert all(slot.grad is None and slot.changed_by in ((), None) for slot in graph.slots.records())
    # What each module returned, and how often, is the same on tensors with elements and without.
    for one, other in zip(graph.modules.records(), real.modules.records(), strict=True):
        assert (one.path, one.calls, one.output) == (other.path, other.calls, other.output)
    assert graph.totals.flops == real.totals.flops
    assert [parameter.grad for _, parameter in ready.named()] == grads
    now = {key: each for _, root in ready.roots() for key, each in root.state_dict().items()}
    assert all(torch.equal(now[key], state[key]) for key in state)


def test_operations_are_those_that_torch_counts() -> None:
    model, ids = gpt2().eval(), tokens()["input_ids"]
    # torch has no formula for the attention that CPUs run.
    model.config._attn_implementation = "eager"
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(ids)
    report = audit(model, inputs=ids)
    assert report.totals.flops == counter.get_total_flops()
    blocks = [module for module in report.modules.records() if module.type.endswith("GPT2Block")]
    assert len({block.flops for block in blocks}) == 1
    assert report.modules["transformer"].flops == sum(block.flops or 0 for block in blocks)


def test_attention_and_recurrent_layers_are_counted() -> None:
    query = torch.zeros(1, 2, 8, 4)
    attention = audit(nn.Identity(), inputs=lambda _: nn.functional.scaled_dot_product_attention(query, query, query))
    assert attention.totals.flops == 2 * (2 * 2 * 8 * 8 * 4)
    lstm = audit(nn.LSTM(3, 5, num_layers=2, bidirectional=True), inputs=torch.zeros(7, 1, 3))
    assert lstm.totals.flops == sum(
        2 * 7 * each.numel() for each in nn.LSTM(3, 5, 2, bidirectional=True).parameters() if each.ndim == 2
    )


def test_what_is_kept_for_backward_counts_each_storage_once_and_no_parameter() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    report = audit(model, inputs=torch.zeros(3, 4))
    # What tanh returns is kept by itself and by the layer behind it; the inputs are there anyway.
    assert report.totals.activation_bytes == 3 * 8 * 4
    assert report.run is not None
    assert report.run.input_bytes == 3 * 4 * 4
    assert report.run.inputs == "3×4 float32"


class Checkpointed(nn.Module):
    """A block that is computed anew in backward."""

    def __init__(self, *, is_reentrant: bool) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 4))
        self.stem = nn.Linear(4, 4)
        self.is_reentrant = is_reentrant

    def forward(self, x: torch.Tensor) -> Any:
        """Through both."""
        return checkpoint(self.block, self.stem(x), use_reentrant=self.is_reentrant)


@pytest.mark.parametrize("is_reentrant", [False, True])
def test_of_a_checkpoint_what_it_is_given_is_kept(is_reentrant: bool) -> None:  # noqa: FBT001  # a parameter
    report = audit(Checkpointed(is_reentrant=is_reentrant), inputs=torch.zeros(2, 4))
    assert report.totals.activation_bytes == 2 * 4 * 4
    assert len(reached(report)) == 6


def test_seventy_billion_parameters_without_memory() -> None:
    sizes = {"hidden_size": 8_192, "intermediate_size": 28_672, "num_hidden_layers": 3, "vocab_size": 128_256}
    with torch.device("meta"):
        config = transformers.LlamaConfig(**sizes, num_attention_heads=64, num_key_value_heads=8)
        model = transformers.LlamaForCausalLM(config)
    report = audit(model, inputs={"input_ids": torch.zeros(1, 4_096, dtype=torch.long)})
    assert len(reached(report)) == len(list(model.parameters()))
    assert report.modules["lm_head"].output == "1×4096×128256 float32"
    assert report.modules["lm_head"].flops == 2 * 4_096 * 8_192 * 128_256


def test_what_is_known_of_the_inputs_decides_where_forward_asks() -> None:
    class Asking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.short, self.long = nn.Linear(1, 1), nn.Linear(1, 1)

        def forward(self, ids: torch.Tensor) -> Any:
            mask = (ids != 0).cumsum(1)
            return (self.long if int(mask.max()) > 2 else self.short)(mask.float().unsqueeze(2))

    assert reached(audit(Asking(), inputs=torch.tensor([[1, 2, 3]]))) == {"long.weight", "long.bias"}
    assert reached(audit(Asking(), inputs=torch.tensor([[1, 0, 0]]))) == {"short.weight", "short.bias"}


class Guarded(nn.Module):
    """Takes the other way where a number is not finite."""

    def __init__(self, ask: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.ask, self.fc, self.other = ask, nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> Any:
        """Asks it of what a layer returned."""
        x = self.fc(x)
        return x if bool(self.ask(x).all()) else self.other(x)


@pytest.mark.parametrize(
    "ask", [torch.isfinite, lambda x: ~torch.isnan(x), lambda x: x.isinf() == 0, lambda x: torch.eq(x, x)]
)
def test_numbers_are_taken_to_be_finite_and_it_is_said(ask: Callable[[torch.Tensor], torch.Tensor]) -> None:
    graph, real = (audit(Guarded(ask), inputs=torch.ones(1, 2), run=run) for run in RUNS)
    assert reached(graph) == reached(real) == {"fc.weight", "fc.bias"}
    assert [report.run.notes for report in (graph, real) if report.run] == [
        ("forward asks whether numbers are finite: without elements, they are taken to be",),
        (),
    ]


@pytest.mark.parametrize("ask", [lambda x: x > 0, lambda x: x == 1, lambda x: x != 0.0, lambda x: x != x.clone()])
def test_nothing_else_is_taken_for_granted(ask: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(RunError, match="depends on the elements of a tensor"):
        audit(Guarded(ask), inputs=torch.ones(1, 2))


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_layers_are_dropped_at_random(share: float, run: Any) -> None:
    class Dropping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> Any:
            x = self.first(x)
            return x if torch.rand([]) < share else self.second(x)

    model, state = Dropping(), torch.get_rng_state()
    assert len(reached(audit(model, inputs=torch.ones(1, 2), run=run))) == (2 if share else 4)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_layer_is_converted_within_forward() -> None:
    class Converting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> Any:
            kept = self.first(x) @ self.second.weight
            self.second = self.second.to(x.dtype)
            return self.second(kept)

    assert len(reached(audit(Converting(), inputs=torch.ones(1, 2)))) == 4


def test_what_integer_buffers_say_is_known_and_they_stay_as_they_are() -> None:
    class Padding(nn.Module):
        padding: torch.Tensor
        calls: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2 + 3, 2)
            self.norm = nn.BatchNorm1d(2)
            self.register_buffer("padding", torch.tensor(3))
            self.register_buffer("calls", torch.zeros(1, dtype=torch.long))

        def forward(self, x: torch.Tensor) -> Any:
            self.calls += 1
            self.padding = self.padding + 0
            return self.norm(self.fc(nn.functional.pad(x, (0, int(self.padding)))))

    model = Padding()
    padding = model.padding
    assert len(reached(audit(model, inputs=torch.ones(2, 2)))) == 4
    assert model.padding is padding
    assert [int(model.calls), int(model.padding), int(model.norm.num_batches_tracked or 0)] == [0, 3, 0]
    with pytest.raises(RunError, match=r"depends on the elements of a tensor.*self\.padding"):
        audit(model.to("meta"), inputs=torch.ones(2, 2))


def test_what_is_overwritten_with_what_is_unknown_is_unknown() -> None:
    class Writing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> Any:
            out = x.clone()
            out[0] = self.fc(x[0])
            return out if bool(out.sum() == 0) else out * 2

    with pytest.raises(RunError, match=r"depends on the elements of a tensor.*\bout\.sum\(\)") as caught:
        audit(Writing(), inputs=torch.zeros(2, 2))
    assert "backward" in caught.value.advice
    assert len(reached(audit(Writing(), inputs=torch.zeros(2, 2), run="backward"))) == 2


def test_an_index_without_a_row_is_told_without_elements_too() -> None:
    with pytest.raises(RunError, match="index 3 is out of range: the embedding has 3 rows"):
        audit(nn.Embedding(3, 5), inputs=torch.tensor([3]))


def test_hidden_and_tied_and_repeated() -> None:
    class Hiding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(2, 2)]
            self.scale = torch.ones(2, requires_grad=True)
            self.shared = nn.Linear(2, 2)
            self.tied = nn.Linear(2, 2)
            self.tied.weight = self.shared.weight
            self.log: list[Any] = []

        def forward(self, x: torch.Tensor) -> Any:
            for _ in range(3):
                x = self.shared(self.layers[0](x) * self.scale)
            self.log.append(x)
            self.last = x
            return x

    model = Hiding()
    report = audit(model, inputs=torch.zeros(1, 2))
    assert {"layers[0].weight", "scale", "shared.weight", "tied.weight"} <= reached(report)
    assert "tied.bias" not in reached(report)
    assert report.modules["shared"].calls == report.modules["layers[0]"].calls == 3
    assert report.modules["tied"].calls == 0
    assert (model.log, hasattr(model, "last")) == ([], False)


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        (torch.zeros(1, 3), r"model\(1×3 float32\) raised RuntimeError"),
        ((1, 2), r"(?s)model\(int, int\) raised TypeError.*If these are sizes: inputs=torch\.zeros\(1, 2\)\.$"),
        ({"y": torch.zeros(1, 2)}, r"model\(y=1×2 float32\) raised TypeError"),
        (None, "not known what forward is to be given"),
        (lambda: 1 / 0, r"<lambda>\(\) raised ZeroDivisionError"),
    ],
)
def test_inputs_that_do_not_fit(inputs: Any, problem: str) -> None:
    with pytest.raises(RunError, match=problem):
        audit(nn.Linear(2, 2), inputs=inputs, run="graph")


def test_words_that_mean_nothing() -> None:
    with pytest.raises(RunError, match="there is no run 'forward'"):
        audit(nn.Linear(2, 2), inputs=torch.zeros(1, 2), run="forward")  # type: ignore[arg-type]
    with pytest.raises(RunError, match="gave no scalar but 1×2 float32"):
        audit(nn.Linear(2, 2), inputs=torch.zeros(1, 2), loss=lambda out: out)
    with pytest.raises(RunError, match="no floating-point tensor"):
        audit(nn.Linear(2, 2), inputs=lambda _: torch.zeros(1, dtype=torch.long))
    with pytest.raises(RunError, match="no optimizer to step"):
        audit(nn.Linear(2, 2), inputs=torch.zeros(1, 2), run="step")


def test_a_report_of_a_run_is_written_and_read_back() -> None:
    ready = made("mixture")
    for run in ("graph", "step"):
        report = audit(ready.model, optimizer=ready.optimizer, inputs=ready.inputs, run=run)
        again = Report.from_json(report.to_json())
        assert again == report
        assert again.run == report.run
        for format in ("tree", "table", "markdown", "html"):
            assert again.render(format) == report.render(format)


def test_what_an_autograd_function_runs_is_not_known() -> None:
    class Hidden(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, layer: nn.Module) -> Any:
            ctx.layer, ctx.x = layer, x.detach().requires_grad_()
            return layer(x)

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> Any:
            with torch.enable_grad():
                out = ctx.layer(ctx.x)
            torch.autograd.backward(out, grad)
            return ctx.x.grad, None

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.inner = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> Any:
            return Hidden.apply(self.stem(x), self.inner)

    report = audit(Net(), inputs=torch.ones(1, 2))
    assert [slot.reached for slot in report.slots.records()] == [True, True, None, None]
    assert report.run is not None
    assert "an autograd.Function runs inner: " in report.run.notes[0]
    assert not any(finding.code == "PS701" for finding in report.findings)
    assert len(reached(audit(Net(), inputs=torch.ones(1, 2), run="backward"))) == 4


def test_nothing_without_elements_is_left_behind() -> None:
    tables: dict[int, torch.Tensor] = {}

    class Keeping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.mean = torch.ones(4)
            self.teacher = [nn.BatchNorm1d(4)]

        def forward(self, x: torch.Tensor) -> Any:
            if 4 not in tables:
                tables[4] = torch.arange(4).float().cos()
            x = nn.functional.relu(x, inplace=True)
            self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
            return self.fc(self.teacher[0](x)) * tables[4]

    class Criterion(nn.Module):
        calls: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(3))

        def forward(self, output: torch.Tensor) -> Any:
            self.calls += 1
            return output.sum()

    model, x, loss = Keeping(), torch.tensor([[-1.0, 2.0, 3.0, 4.0]] * 2), Criterion()
    assert len(reached(audit(model, inputs=x, loss=loss))) == 4
    assert type(tables[4]) is torch.Tensor
    assert torch.equal(x[0], torch.tensor([-1.0, 2.0, 3.0, 4.0]))
    assert torch.equal(model.mean, torch.ones(4))
    assert int(model.teacher[0].num_batches_tracked) == 0  # type: ignore[arg-type]
    assert torch.equal(loss.calls, torch.zeros(3))
    model(x).sum().backward()


@pytest.mark.parametrize("run", ["graph", "backward"])
def test_attention_that_is_frozen_is_looked_into(run: Any) -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 2)
    encoder.eval().requires_grad_(requires_grad=False)
    model = nn.Module()
    model.encoder, model.head = encoder, nn.Linear(8, 2)
    model.train()
    encoder.eval()
    x, mask = torch.ones(2, 5, 8), torch.zeros(2, 5, dtype=torch.bool)
    fast = torch.backends.mha.get_fastpath_enabled()
    report = audit(model, inputs=lambda _: model.head(encoder(x, src_key_padding_mask=mask)), run=run)
    assert report.modules["encoder.layers.1.linear1"].calls == 1
    assert report.modules["encoder.layers.1.linear1"].flops == 2 * 10 * 8 * 2_048
    assert torch.backends.mha.get_fastpath_enabled() is fast


def test_what_no_device_computes_is_refused() -> None:
    with pytest.raises(RunError, match="RuntimeError") as caught:
        audit(nn.Linear(4, 2), inputs=torch.ones(3, 4).half())
    assert "they must have the same dtype" in caught.value.detail
    with pytest.raises(RunError, match=r"0\.weight has no size before the first forward"):
        audit(nn.Sequential(nn.LazyLinear(4)), inputs=torch.ones(1, 4))


def test_a_parameter_of_a_class_of_its_own() -> None:
    class Own(torch.Tensor):
        pass

    model = nn.Linear(4, 4)
    model.weight = nn.Parameter(torch.randn(4, 4).as_subclass(Own))
    assert reached(audit(model, inputs=torch.ones(1, 4))) == {"weight", "bias"}


@pytest.mark.parametrize("run", ["graph", "backward"])
def test_gradients_within_forward(run: Any) -> None:
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)
            self.count = torch.zeros(2)

        def forward(self, x: torch.Tensor) -> Any:
            self.count += 1
            adapted = self.fc.weight - torch.func.grad(lambda weight: (x @ weight).sum())(self.fc.weight)
            return x @ adapted + self.fc.bias

    model = Inner()
    report = audit(model, inputs=torch.ones(2, 3), run=run)
    assert len(reached(report)) == 2
    assert report.run is not None
    assert report.run.notes[0].startswith("what is kept for backward was not counted")
    assert torch.equal(model.count, torch.zeros(2))


def test_distributions_are_not_checked_without_elements() -> None:
    class Policy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> Any:
            return torch.distributions.Categorical(logits=self.fc(x)).entropy()

    # Whatever another library has set, is set again.
    checks = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(True)
    try:
        assert len(reached(audit(Policy(), inputs=torch.ones(2, 3)))) == 2
        assert torch.distributions.Distribution._validate_args is True
    finally:
        torch.distributions.Distribution.set_default_validate_args(checks)
