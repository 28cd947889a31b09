"""A sample of transformers' architectures, each from its default configuration; and that the sweep over all can fail."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from paramscope import Report, audit

transformers = pytest.importorskip("transformers")

from zoo import build, catalogue, check, page, trouble  # noqa: E402  # they need transformers
from zoo.__main__ import main  # noqa: E402
from zoo.catalogue import Job  # noqa: E402
from zoo.sweep import Lost, sweep  # noqa: E402
from zoo.task import Checked  # noqa: E402

SAMPLE = {
    "bart": "BartForConditionalGeneration",
    "bert": "BertForMaskedLM",
    "big_bird": "BigBirdForMaskedLM",
    "bloom": "BloomForCausalLM",
    "clap": "ClapModel",
    "clip": "CLIPModel",
    "convnext": "ConvNextForImageClassification",
    "decision_transformer": "DecisionTransformerModel",
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "detr": "DetrForObjectDetection",
    "dpr": "DPRQuestionEncoder",
    "encodec": "EncodecModel",
    "encoder-decoder": "EncoderDecoderModel",
    "esm": "EsmForMaskedLM",
    "falcon_mamba": "FalconMambaForCausalLM",
    "funnel": "FunnelForMaskedLM",
    "gemma2": "Gemma2ForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "gpt_oss": "GptOssForCausalLM",
    "llama": "LlamaForCausalLM",
    "llava": "LlavaForConditionalGeneration",
    "mamba2": "Mamba2ForCausalLM",
    "mimi": "MimiModel",
    "mixtral": "MixtralForCausalLM",
    "patchtst": "PatchTSTForClassification",
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen3_next": "Qwen3NextForCausalLM",
    "recurrent_gemma": "RecurrentGemmaForCausalLM",
    "reformer": "ReformerModel",
    "resnet": "ResNetForImageClassification",
    "rt_detr": "RTDetrForObjectDetection",
    "rwkv": "RwkvForCausalLM",
    "sam": "SamModel",
    "t5": "T5ForConditionalGeneration",
    "timesfm": "TimesFmModelForPrediction",
    "vit": "ViTForImageClassification",
    "vits": "VitsModel",
    "wav2vec2": "Wav2Vec2ForCTC",
    "whisper": "WhisperForConditionalGeneration",
    "xlstm": "xLSTMForCausalLM",
}


@pytest.mark.parametrize("kind", SAMPLE)
def test_a_report_says_what_torch_says(kind: str) -> None:
    job = Job(kind, SAMPLE[kind])
    model = build.build(job, build.find(job), "meta")
    wrong, facts = check.check(model)
    assert wrong == []
    assert facts is not None
    assert facts.parameters == sum(p.numel() for p in model.parameters()) > 0
    assert (facts.hidden, facts.unknown, facts.notes) == ((), (), ())


def test_the_sample_is_of_what_the_sweep_goes_over() -> None:
    assert len(SAMPLE) == 40
    assert {Job(kind, cls) for kind, cls in SAMPLE.items()} <= set(catalogue.jobs(SAMPLE, every_class=True))
    assert {job.type for job in catalogue.jobs()} == set(catalogue.CONFIGS) >= set(SAMPLE)
    assert Job("gpt2", "GPT2DoubleHeadsModel") in catalogue.jobs(["gpt2"], every_class=True)
    assert catalogue.jobs(["gpt2", "layoutxlm"]) == [
        Job("gpt2", "GPT2Model"),
        Job("gpt2", "GPT2LMHeadModel"),
        Job("layoutxlm", ""),
    ]
    with pytest.raises(KeyError, match="gpt-2"):
        catalogue.jobs(["gpt-2"])


def test_modules_that_oneformer_keeps_in_a_plain_list_are_found() -> None:
    # Which is a mistake: these three are not trained, saved or moved.
    with torch.device("meta"):
        model = transformers.OneFormerModel(transformers.OneFormerConfig(enforce_input_proj=True))
    before = check.living()
    wrong, facts = check.check(model, before=before)
    assert wrong == []
    assert facts is not None
    assert facts.hidden[0] == "transformer_module.input_projections[0].weight (parameter, 65536)"
    assert sum("Conv2d" in line for line in facts.hidden) == 3
    assert audit(model).totals.hidden == 3 * (256 * 256 + 256)


class Small(nn.Module):
    """A tie, two kinds of buffers, a frozen parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5)
        self.head.weight = self.wte.weight
        self.norm = nn.BatchNorm1d(3)
        self.norm.weight.requires_grad_(False)
        self.register_buffer("mask", torch.ones(2), persistent=False)


def off(name: str) -> Callable[[nn.Module], Report]:
    """Makes reports of which one total is one too many."""

    def look(model: nn.Module) -> Report:
        report = audit(model)
        report.__dict__["totals"] = report.totals._replace(**{name: getattr(report.totals, name) + 1})
        return report

    return look


def other(change: Callable[[Any], object]) -> Callable[[nn.Module], Report]:
    """Makes reports of a copy of the model to which something was done."""

    def look(model: nn.Module) -> Report:
        twin = copy.deepcopy(model)
        change(twin)
        return audit(twin)

    return look


def raises(model: nn.Module) -> Report:
    raise ZeroDivisionError("by itself")


def warns(model: nn.Module) -> Report:
    warnings.warn("beware", stacklevel=1)
    return audit(model)


def changes(model: nn.Module) -> Report:
    model.eval()
    return audit(model)


def draws(model: nn.Module) -> Report:
    torch.rand(1)
    return audit(model)


def untie(model: Any) -> None:
    model.head.weight = nn.Parameter(model.head.weight.detach().clone())


def alias(model: Any) -> None:
    model.head.weight = nn.Parameter(model.head.weight.detach())


def reorder(model: Any) -> None:
    model._modules["wte"] = model._modules.pop("wte")


def persist(model: Any) -> None:
    model._non_persistent_buffers_set.clear()


def test_a_right_report_is_right() -> None:
    wrong, facts = check.check(Small())
    assert wrong == []
    assert facts is not None
    assert (facts.slots, facts.parameters, facts.tied, facts.hidden) == (9, 26, 2, ())
    assert facts.seconds > 0 < facts.base_seconds


@pytest.mark.parametrize(
    ("look", "told"),
    [
        *((off(name), f"totals.{name} is") for name in ("parameters", "trainable", "frozen", "buffers", "by_name")),
        (raises, "audit raised ZeroDivisionError: by itself in raises"),
        (warns, "audit raised UserWarning: beware"),
        (changes, "audit changed the model or drew a random number"),
        (draws, "audit changed the model or drew a random number"),
        (other(untie), "ties: [] too many, [('wte.weight', 'head.weight')] missing"),
        (other(untie), "captured twice, it is not equal"),
        (other(alias), "storages: [('wte.weight', 'head.weight')] too many, [] missing"),
        (other(reorder), "parameters: another order or number, first at wte.weight"),
        (other(lambda m: m.norm.register_parameter("more", nn.Parameter(torch.ones(1)))), "1 too many [norm.more]"),
        (other(lambda m: delattr(m, "mask")), "buffers: 0 too many [], 1 missing [mask]"),
        (other(lambda m: m.head.register_module("more", nn.ReLU())), "modules: 1 too many [head.more]"),
        (other(lambda m: m.norm.requires_grad_(True)), "norm.weight: gradient True"),
        (other(lambda m: m.norm.requires_grad_(True)), "norm.weight: trainable"),
        (other(lambda m: m.norm.double()), "norm.weight: float64 on cpu for torch.float32 on cpu"),
        (other(lambda m: setattr(m, "mask", torch.ones(3))), "mask: shape (3,) for (2,)"),
        (other(persist), "saved: 1 said to be in state_dict() are not [mask]"),
    ],
)
def test_a_wrong_report_is_found_out(look: Callable[[nn.Module], Report], told: str) -> None:
    wrong, _ = check.check(Small(), look)
    assert any(told in line for line in wrong), wrong


def says(change: Callable[[dict[str, Any]], Any]) -> Callable[..., Any]:
    """A `state_dict` of modules that changes what the root returns."""
    right = nn.Module.state_dict

    def state_dict(self: nn.Module, **inner: Any) -> Any:
        return right(self, **inner) if inner else change(right(self))

    return state_dict


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda entries: {**entries, "mask": torch.ones(2), "new": 1},
            [
                "saved: 1 said not to be in state_dict() are [mask]",
                "saved: 2 keys of state_dict() are no slot that may be saved [mask, new]",
                "saved: state_dict() has another order",
            ],
        ),
        (
            lambda entries: {k: v for k, v in entries.items() if k != "head.bias"},
            ["saved: 1 said to be in state_dict() are not [head.bias]", "saved: state_dict() has another order"],
        ),
        (lambda entries: dict(reversed(entries.items())), ["saved: state_dict() has another order"]),
        (lambda entries: {**entries, "norm._extra_state": 3}, []),
        (lambda entries: 1 / 0, ["saved: state_dict() raises ZeroDivisionError: division by zero"]),
    ],
)
def test_a_state_dict_that_is_another_than_was_said_is_found_out(
    change: Callable[[dict[str, Any]], Any], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Small()
    report = audit(model)
    monkeypatch.setattr(nn.Module, "state_dict", says(change))
    assert [line.partition(" in <")[0] for line in check.wrong_saved(model, report)] == told


def test_a_wrong_move_and_a_wrong_view_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Small()
    model.beside = torch.ones(1)
    report = audit(model)
    assert list(check.wrong_moves(copy.deepcopy(model), report)) == []
    monkeypatch.setattr(nn.Linear, "_apply", lambda self, fn, recurse=True: self)
    assert list(check.wrong_moves(model, report)) == ["moved: 2 are not as is said [head.bias, head.weight]"]

    monkeypatch.setattr(Report, "from_json", lambda text: None)
    monkeypatch.setattr(Report, "render", lambda self, format, **options: "×" * 100)
    monkeypatch.setattr(check, "fold_slots", lambda snapshot: [])
    assert [line.partition(":")[0] for line in check.check(Small())[0]] == [
        "folding loses or repeats slots",
        "table {'width'",
        "table {'width'",
        "another report comes back from JSON",
    ]


def test_what_neither_torch_nor_the_report_sees_is_counted() -> None:
    before = check.living()
    model = Small()
    vars(model)["more"] = [nn.Linear(2, 2)]
    _, facts = check.check(model, before=before)
    assert facts is not None
    assert facts.unseen == ()
    assert "more[0] (torch.nn.modules.linear.Linear)" in facts.hidden
    kept = [nn.Linear(2, 2)]
    _, facts = check.check(model, before=before)
    assert facts is not None
    assert facts.unseen == ("Linear ×1", "Parameter ×2")
    del kept


def test_what_cannot_be_built_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(build.NotBuilt, match=r"^no model is made from this configuration alone$"):
        build.find(Job("layoutxlm", ""))
    job = Job("gpt2", "GPT2Model")
    cls = build.find(job)

    def fails(*args: object, **kwargs: object) -> None:
        raise ImportError("\nGPT2 requires the frobnicate library but it was not found: `pip install frobnicate`\n")

    with monkeypatch.context() as patch:
        patch.setattr(cls, "__init__", fails)
        for where in ("meta", "cpu"):
            with pytest.raises(build.NotBuilt, match=r"^needs frobnicate$"):
                build.build(job, cls, where)
    monkeypatch.setattr(transformers.GPT2Config, "__init__", fails)
    with pytest.raises(build.NotBuilt, match=r"^no default configuration: needs frobnicate$"):
        build.build(job, cls, "meta")
    assert build.reason(ValueError("\n" + "x" * 200)) == f"ValueError: {'x' * 99}…"
    assert build.reason(KeyError()) == "KeyError"


def test_workers_that_hang_or_die_are_survived() -> None:
    jobs = ["one", "hang", "two", "die", "three", "raise", "four", "five"]
    outcomes = list(sweep(jobs, trouble.troubled, seconds=1, jobs_each=3))
    lost = {outcome.job: outcome for outcome in outcomes if isinstance(outcome, Lost)}
    assert lost == {
        "hang": Lost("hang", "checking", "no answer within 1 s"),
        "die": Lost("die", "building", "the worker died (exit code 9)"),
        "raise": Lost("raise", "raised", "ValueError: by itself"),
    }
    done = [outcome.partition(" in ") for outcome in outcomes if not isinstance(outcome, Lost)]
    assert sorted(job for job, _, _ in done) == ["five", "four", "one", "three", "two"]
    assert len({process for _, _, process in done}) > 2
    with pytest.raises(RuntimeError, match="a worker did not start"):
        list(sweep(["one"], trouble.troubled, prepare=trouble.dies_at_once))


def test_the_sweep_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "zoo.md"
    assert main(["--types", "dpr,layoutxlm", "--workers", "1", "--write", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "no failure" in shown
    assert "no model is made from this configuration alone: layoutxlm (no class)" in shown
    text = path.read_text(encoding="utf-8")
    assert "| DPRQuestionEncoder |" in text
    with pytest.raises(SystemExit, match="2"):
        main(["--types", "gpt-2"])
    assert "there is no model type 'gpt-2'" in capsys.readouterr().err
    assert "- `no model is made from this configuration alone` (1): layoutxlm (no class)\n" in text


def test_a_failure_decides_the_exit_code() -> None:
    wrong, facts = check.check(Small(), off("buffers"))
    good = Checked(Job("a", "A"), "meta and cpu", "", (), facts, 1.0)
    bad = Checked(Job("b", "B"), "meta", "", tuple(wrong), facts, 1.0)
    missing = Checked(Job("c", ""), "", "needs frobnicate", (), None, 1.0)
    heavy = Lost(Job("d", "D"), "building", "no answer within 60 s")
    hung = Lost(Job("e", "E"), "checking", "no answer within 60 s")
    assert page.Results([missing, good, heavy]).is_good
    assert not page.Results([good, bad]).is_good
    assert not page.Results([good, hung]).is_good
    results = page.Results([hung, heavy, missing, bad, good])
    line = "b: B: totals.buffers is 10, torch counts 9"
    assert page.failures(results) == [
        *(f"b: B: {what}" for what in wrong),
        "d: D: no answer within 60 s, while building",
        "e: E: no answer within 60 s, while checking",
    ]
    for text in (page.summary(results), page.page(results, 1.0)):
        assert line in text
        assert "needs frobnicate" in text
