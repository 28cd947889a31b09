"""Callbacks in the trainers that they are for: runs of twenty steps, right ones, on which they are silent and change
nothing, and runs with a planted fault."""

from __future__ import annotations

import csv
import pickle
import re
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import lightning
import pytest
import pytorch_lightning
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from support.faulty_optimizers import Lost
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from paramscope import audit, watch
from paramscope.errors import FindingsError, FindingsWarning
from paramscope.integrations import lightning as for_lightning
from paramscope.integrations import transformers as for_transformers
from paramscope.rules.choice import RuleError

STEPS = 20
LOGGED = ("parameters", "trainable", "frozen", "nbytes")
PAGE = Path(__file__).parent.parent / "docs" / "integrations.md"
FAMILIES = (lightning.pytorch.__name__, pytorch_lightning.__name__)


def blocks() -> nn.Sequential:
    """Six alike, a dropout, which draws random numbers, and a head."""
    alike = (nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(6))
    return nn.Sequential(*alike, nn.Dropout(0.1), nn.Linear(8, 2))


def optimizer_of(model: Any, fault: str) -> torch.optim.Optimizer:
    """Of all that trains, unless that is the fault."""
    missing = ("5.0.weight", "5.mlp.c_fc.weight") if fault == "missing" else ()
    held = [parameter for name, parameter in model.named_parameters() if not name.endswith(missing or "never")]
    return (Lost if fault == "lost" else torch.optim.AdamW)(held, lr=1e-3)


# By fault the rule that names it, and what its finding says.
FAULTS = {
    "frozen": ("PS209", "2, unlike in the siblings on either side"),
    "missing": ("PS401", ".weight is trainable, but in no optimizer"),
    "lost": ("PS722", "before step 5"),
}
faults = pytest.mark.parametrize("fault", FAULTS)


def said(caught: list[warnings.WarningMessage]) -> list[str]:
    """Findings that were warned of."""
    return [str(each.message) for each in caught if each.category is FindingsWarning]


def are_same(one: nn.Module, other: nn.Module) -> bool:
    """Whether the weights are, bit for bit."""
    held, others = one.state_dict(), other.state_dict()
    return held.keys() == others.keys() and all(torch.equal(held[name], others[name]) for name in held)


def is_attached(optimizer: Any) -> bool:
    """Whether anything looks on while an optimizer steps."""
    inner = getattr(optimizer, "optimizer", optimizer)
    return bool(inner._optimizer_step_pre_hooks or inner._optimizer_step_post_hooks)


def lightning_run(family: str, tmp_path: Path, callback: Any = None, *, fault: str = "", **options: Any) -> Any:
    """(trainer, module, findings that were warned of) of twenty steps."""
    pl = import_module(family)

    class Module(pl.LightningModule):  # type: ignore[name-defined]
        """As small as can be."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = blocks()
            if fault == "frozen":
                self.net[2].requires_grad_(False)

        def training_step(self, batch: Any, at: int) -> torch.Tensor:
            """The loss, which is logged, too."""
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def validation_step(self, batch: Any, at: int) -> None:
            """Runs it."""
            self.net(batch[0])

        def configure_optimizers(self) -> Any:
            """With a schedule."""
            if fault == "none":
                return None
            optimizer = optimizer_of(self, fault)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 10)]

    module = Module()
    batches = STEPS * options.get("accumulate_grad_batches", 1)
    loader: Any = DataLoader(TensorDataset(torch.randn(8 * batches, 8), torch.randint(0, 2, (8 * batches,))), 8)
    settings: dict[str, Any] = {"max_epochs": 1, "logger": False, "enable_progress_bar": False, "accelerator": "cpu"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", FindingsWarning)
        trainer = pl.Trainer(
            **settings | options,
            enable_checkpointing=False,
            log_every_n_steps=1,
            default_root_dir=tmp_path,
            callbacks=[] if callback is None else [callback],
        )
        trainer.fit(module, loader, loader)
    return trainer, module, said(caught)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        (FAMILIES[0], {}),
        (FAMILIES[1], {}),
        (FAMILIES[0], {"accumulate_grad_batches": 4, "gradient_clip_val": 0.1, "val_check_interval": 5}),
        (FAMILIES[0], {"precision": "bf16-mixed"}),
    ],
    ids=str,
)
def test_lightning_is_silent_and_unchanged(
    family: str, options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    callback = for_lightning.ParamscopeCallback()
    trainer, module, found = lightning_run(family, tmp_path, callback, **options)
    assert found == []
    assert callback.watch is not None
    assert callback.watch.findings == ()
    assert str(callback.watch).startswith(f"{STEPS} steps")
    assert ("each of 4 backward passes" in str(callback.watch)) is ("accumulate_grad_batches" in options)
    assert callback.report is not None
    assert (
        sum(group.numel for group in callback.report.optimizers[0].groups)
        == callback.report.totals.parameters
        == 6 * 72 + 18
    )
    assert not is_attached(trainer.optimizers[0])
    # Printed once, where Lightning would have printed its own.
    assert str(callback.report) in (printed := capsys.readouterr().out)
    assert printed.count("trainable params") == 1
    summary = import_module(f"{family}.callbacks").ModelSummary
    assert [each for each in trainer.callbacks if isinstance(each, summary)] == [callback]
    assert isinstance(callback, for_lightning.ParamscopeCallback)
    _, plain, _ = lightning_run(family, tmp_path, **options)
    assert are_same(module, plain)


def assert_kept(callback: Any, fault: str) -> None:
    """What a fault is found by is in the report, or, of a step, in the watch."""
    assert callback.report is not None
    assert callback.watch is not None
    found_in = callback.watch.findings if fault == "lost" else callback.report.findings
    assert FAULTS[fault][0] in [each.code for each in found_in]


@faults
def test_lightning_with_a_fault(fault: str, tmp_path: Path) -> None:
    code, message = FAULTS[fault]
    callback = for_lightning.ParamscopeCallback(table=False)
    _, _, found = lightning_run(FAMILIES[0], tmp_path, callback, fault=fault)
    assert [code in each and message in each for each in found] == [True]
    assert_kept(callback, fault)


@faults
def test_a_fault_stops_lightning(fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, message = FAULTS[fault]
    callback = for_lightning.ParamscopeCallback(on_finding="raise")
    with pytest.raises(FindingsError, match=f"(?s)^1 finding .*{code}.*{message}"):
        lightning_run(FAMILIES[0], tmp_path, callback, fault=fault)
    assert (callback.watch is None) is (fault != "lost")
    assert str(callback.watch).startswith("5 steps" if fault == "lost" else "None")
    assert capsys.readouterr().out.count("trainable params") == 1


def test_what_is_ignored_or_mild_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for fault, options in (
        ("lost", {"ignore": "PS401,PS722"}),
        ("lost", {"select": ["PS4"]}),
        ("frozen", {"fail_on": "error"}),
        ("frozen", {"ignore": ["odd-one-out"]}),
    ):
        callback = for_lightning.ParamscopeCallback(on_finding="raise", table=False, **options)
        lightning_run(FAMILIES[0], tmp_path, callback, fault=fault)
        assert callback.watch is not None
        assert callback.watch.findings == ()
        assert callback.report is not None
        assert ("PS209" in [each.code for each in callback.report.findings]) is ("fail_on" in options)
    assert "trainable" not in capsys.readouterr().out


def test_what_a_project_accepts_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    accepted = 'ignore = [{ code = "PS209", path = "net.2", reason = "it is pretrained" }]'
    Path("pyproject.toml").write_text(f"[tool.paramscope]\n{accepted}\n", encoding="utf-8")
    callback = for_lightning.ParamscopeCallback(on_finding="raise", table=False)
    lightning_run(FAMILIES[0], tmp_path, callback, fault="frozen")
    assert callback.report is not None
    assert [each.code for each in callback.report.ignored] == ["PS209"]


def test_a_module_without_an_optimizer_is_audited_as_such(tmp_path: Path) -> None:
    callback = for_lightning.ParamscopeCallback(table=False)
    _, _, found = lightning_run(FAMILIES[0], tmp_path, callback, fault="none")
    assert found == []
    assert callback.report is not None
    assert callback.report.optimizers == ()
    assert callback.watch is not None
    assert callback.watch.findings == ()


def test_totals_reach_the_loggers_of_lightning(tmp_path: Path) -> None:
    logger = lightning.pytorch.loggers.CSVLogger(tmp_path)
    callback = for_lightning.ParamscopeCallback(table=False)
    lightning_run(FAMILIES[0], tmp_path, callback, fault="frozen", logger=logger, fast_dev_run=False)
    with open(Path(logger.log_dir) / "metrics.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    logged = [[row[f"paramscope/{name}"] for name in LOGGED] for row in rows]
    assert logged == [["450", "378", "72", "1800"], *[[""] * 4] * STEPS]
    assert [row["step"] for row in rows] == ["0", *map(str, range(STEPS))]


def test_one_callback_takes_one_fit_after_another(tmp_path: Path) -> None:
    callback = for_lightning.ParamscopeCallback(table=False)
    reports = []
    for _ in range(2):
        lightning_run(FAMILIES[0], tmp_path, callback)
        reports.append(callback.report)
    assert reports[0] == reports[1]
    assert reports[0] is not reports[1]
    # As a trainer that spawns its processes sends it; Lightning has put the module's methods on it, whose class is local.
    for name in ("log", "log_dict"):
        delattr(callback, name)
    copy = pickle.loads(pickle.dumps(callback))
    assert type(copy) is type(callback)
    assert copy.report == callback.report
    assert copy.watch is None


RANKS = """
import os, warnings
import lightning, torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from paramscope.errors import FindingsWarning
from paramscope.integrations.lightning import ParamscopeCallback

class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(6)), nn.Linear(8, 2))
        self.net[2].requires_grad_(False)
    def training_step(self, batch, at):
        return self.net(batch[0]).square().mean()
    def configure_optimizers(self):
        return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=1e-3)
    def on_train_end(self):
        said = f"rank {self.global_rank}: {callback.report.totals.parameters} of {callback.watch}\\n"
        os.write(1, said.encode())  # Whole, whatever the other rank writes.

warnings.simplefilter("ignore")
warnings.simplefilter("always", FindingsWarning)
callback = ParamscopeCallback()
trainer = lightning.Trainer(
    max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
    devices=2, strategy="ddp_fork", callbacks=[callback],
)
trainer.fit(Module(), DataLoader(TensorDataset(torch.randn(320, 8)), 8))
"""


def test_the_first_rank_speaks_for_all(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RANKS], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=300
    )
    assert done.stdout.count("trainable params") == 1
    assert done.stderr.count("PS209") == 1, done.stderr
    for rank in range(2):
        assert f"rank {rank}: 450 of 20 steps\nno findings\n" in done.stdout


def tokens(steps: int) -> list[dict[str, torch.Tensor]]:
    """Four texts a step."""
    torch.manual_seed(0)
    return [{"input_ids": (ids := torch.randint(0, 64, (8,))), "labels": ids} for _ in range(4 * steps)]


def gpt2(fault: str = "") -> Any:
    """A small one."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=64, n_positions=16, n_embd=16, n_layer=6, n_head=2, bos_token_id=None, eos_token_id=None
        )
    )
    if fault == "frozen":
        model.transformer.h[2].requires_grad_(False)
    return model


class Second(Trainer):
    """As on a rank that is not the first."""

    def is_world_process_zero(self) -> bool:
        """It is not."""
        return False


def hf_run(
    tmp_path: Path, callback: Any = None, *, fault: str = "", trainer_class: Any = Trainer, **options: Any
) -> Any:
    """(trainer, findings that were warned of) of twenty steps. Without a fault of the optimizer the Trainer makes it."""
    model = gpt2(fault)
    arguments = TrainingArguments(
        str(tmp_path),
        **{
            "max_steps": STEPS,
            "per_device_train_batch_size": 4,
            "report_to": [],
            "disable_tqdm": True,
            "use_cpu": True,
            "save_strategy": "no",
            "logging_steps": 10,
            **options,
        },
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", FindingsWarning)
        trainer = trainer_class(
            model,
            arguments,
            train_dataset=tokens(STEPS * options.get("gradient_accumulation_steps", 1)),
            callbacks=[] if callback is None else [callback],
            optimizers=(optimizer_of(model, fault) if fault in ("missing", "lost") else None, None),
        )
        trainer.train()
    return trainer, said(caught)


@pytest.mark.parametrize(
    "options",
    [{}, {"gradient_accumulation_steps": 4}, {"bf16": True, "max_grad_norm": 0.1}, {"optim": "adafactor"}],
    ids=str,
)
def test_the_trainer_of_transformers_is_silent_and_unchanged(
    options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    callback = for_transformers.ParamscopeCallback()
    trainer, found = hf_run(tmp_path, callback, **options)
    assert found == []
    assert callback.watch is not None
    assert callback.watch.findings == ()
    assert str(callback.watch).startswith(f"{STEPS} steps")
    assert ("each of 4 backward passes" in str(callback.watch)) is ("gradient_accumulation_steps" in options)
    report = callback.report
    assert report is not None
    assert (
        sum(group.numel for group in report.optimizers[0].groups)
        == report.totals.parameters
        == trainer.model.num_parameters()
    )
    assert not is_attached(trainer.optimizer)
    copy = pickle.loads(pickle.dumps(callback))
    assert (type(copy), copy.report, copy.watch) == (type(callback), report, None)
    assert str(report) in (printed := capsys.readouterr().out)
    assert printed.count("trainable params") == 1
    plain, _ = hf_run(tmp_path, **options)
    assert are_same(trainer.model, plain.model)


@faults
def test_the_trainer_of_transformers_with_a_fault(fault: str, tmp_path: Path) -> None:
    code, message = FAULTS[fault]
    callback = for_transformers.ParamscopeCallback(table=False)
    _, found = hf_run(tmp_path, callback, fault=fault)
    assert [code in each and message in each for each in found] == [True]
    assert_kept(callback, fault)


@faults
def test_a_fault_stops_the_trainer_of_transformers(fault: str, tmp_path: Path) -> None:
    code, message = FAULTS[fault]
    callback = for_transformers.ParamscopeCallback(on_finding="raise", table=False)
    with pytest.raises(FindingsError, match=f"(?s)^1 finding .*{code}.*{message}"):
        hf_run(tmp_path, callback, fault=fault)
    assert str(callback.watch).startswith("5 steps" if fault == "lost" else "None")


class Classifier(nn.Module):
    """A frozen encoder with a norm, and a head."""

    def __init__(self, *, stays: bool) -> None:
        super().__init__()
        self.encoder: Any = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)).requires_grad_(requires_grad=False)
        self.head = nn.Linear(8, 2)
        self.stays = stays
        self.encoder.eval()

    def train(self, mode: bool = True) -> Any:  # noqa: FBT001  # as nn.Module has it
        super().train(mode)
        if self.stays:
            self.encoder.eval()
        return self

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": nn.functional.cross_entropy(self.head(self.encoder(x)), labels)}


@pytest.mark.parametrize("on_finding", ["warn", "raise"])
@pytest.mark.parametrize("stays", [True, False])
def test_the_trainer_of_transformers_sets_a_frozen_norm_going(
    stays: bool,  # noqa: FBT001
    on_finding: Any,
    tmp_path: Path,
) -> None:
    """`model.eval()` of whoever built it does not last: the Trainer calls `model.train()`."""
    model: Any = Classifier(stays=stays)
    before = model.encoder[1].running_mean.clone()
    callback = for_transformers.ParamscopeCallback(on_finding=on_finding, table=False, ignore="PS208")
    arguments = TrainingArguments(
        str(tmp_path), max_steps=4, report_to=[], disable_tqdm=True, use_cpu=True, save_strategy="no"
    )
    rows = [{"x": torch.randn(8), "labels": torch.tensor(1)} for _ in range(32)]
    trainer = Trainer(model, arguments, train_dataset=rows, callbacks=[callback])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", FindingsWarning)
        if on_finding == "raise" and not stays:
            with pytest.raises(FindingsError, match="PS202"):
                trainer.train()
            assert trainer.state.global_step == 0
        else:
            trainer.train()
    assert [("PS202" in each and "encoder.1" in each) for each in said(caught)] == [True] * (
        not stays and on_finding == "warn"
    )
    assert callback.report is not None
    assert [each.code for each in callback.report.findings if each.code == "PS202"] == ["PS202"] * (not stays)
    assert torch.equal(model.encoder[1].running_mean, before) is stays


def test_totals_reach_the_history_of_transformers(tmp_path: Path) -> None:
    callback = for_transformers.ParamscopeCallback(table=False)
    trainer, _ = hf_run(tmp_path, callback, fault="frozen")
    elements = [trainer.model.num_parameters(only_trainable=only) for only in (False, True)]
    totals = [*elements, elements[0] - elements[1], 4 * elements[0]]
    first, *others = trainer.state.log_history
    assert first == {**dict(zip((f"paramscope/{name}" for name in LOGGED), totals, strict=True)), "step": 0}
    assert [each["step"] for each in others] == [10, 20, 20]
    trainer.log(callback.totals)
    assert trainer.state.log_history[-1] == {**first, "step": STEPS, "epoch": 1.0}


def test_other_ranks_of_transformers_say_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    callback = for_transformers.ParamscopeCallback()
    trainer, found = hf_run(tmp_path, callback, fault="frozen", trainer_class=Second)
    assert found == []
    assert callback.report is not None
    assert "PS209" in [each.code for each in callback.report.findings]
    assert "trainable params" not in capsys.readouterr().out
    assert not [each for each in trainer.state.log_history if "paramscope/parameters" in each]
    raising = for_transformers.ParamscopeCallback(on_finding="raise")
    with pytest.raises(FindingsError, match="PS209"):
        hf_run(tmp_path, raising, fault="frozen", trainer_class=Second)


@faults
def test_what_accelerate_prepares_is_looked_through(fault: str) -> None:
    code, message = FAULTS[fault]
    for planted in ("", fault):
        AcceleratorState._reset_state()
        accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
        torch.manual_seed(0)
        model: Any = blocks()
        if planted == "frozen":
            model[2].requires_grad_(False)
        optimizer: Any = optimizer_of(model, planted)
        loader: Any = DataLoader(TensorDataset(torch.randn(8 * 2 * STEPS, 8)), 8)
        model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
        report = audit(model, optimizer=optimizer)
        with watch(model, optimizer, steps=True, on_finding="collect") as watched:
            for (x,) in loader:
                with accelerator.accumulate(model):
                    accelerator.backward(model(x).square().mean())
                    optimizer.step()
                    optimizer.zero_grad()
        assert str(watched).startswith(f"{STEPS} steps, each of 2 backward passes")
        found = [*watched.findings, *(each for each in report.findings if each.severity.value != "info")]
        assert [each.code for each in found] == ([code] if planted else [])
        assert not planted or message in found[0].message


@pytest.mark.parametrize("made_by", [for_lightning.ParamscopeCallback, for_transformers.ParamscopeCallback])
def test_other_words_are_refused_at_once(made_by: Any) -> None:
    with pytest.raises(ValueError, match="on_finding='shout': write one of warn, raise, collect"):
        made_by(on_finding="shout")
    with pytest.raises(ValueError, match="'fatal' is no severity"):
        made_by(fail_on="fatal")
    with pytest.raises(RuleError, match="there is no rule 'PS999'"):
        made_by(ignore="PS401,PS999")


@pytest.mark.parametrize(
    ("name", "absent", "advice"),
    [
        ("lightning", ("lightning", "pytorch_lightning"), "pip install lightning"),
        ("transformers", ("transformers",), "pip install transformers"),
    ],
)
def test_a_missing_library_is_named(name: str, absent: tuple[str, ...], advice: str) -> None:
    code = f"""
import sys
sys.modules.update(dict.fromkeys({absent}))
from paramscope.errors import MissingLibrary
try:
    from paramscope.integrations.{name} import ParamscopeCallback
    ParamscopeCallback()
except ImportError as error:
    print(type(error) is MissingLibrary, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True ")
    assert advice in done.stdout


@pytest.mark.parametrize(("family", "other"), [FAMILIES, FAMILIES[::-1]])
def test_either_lightning_is_enough(family: str, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, other, None)
    callback = for_lightning.ParamscopeCallback()
    monkeypatch.undo()
    found = [isinstance(callback, import_module(f"{name}.callbacks").ModelSummary) for name in (family, other)]
    assert found == [True, False]


def blocks_of_code() -> dict[str, str]:
    """What the page shows, by its headings."""
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    return {
        section.partition("\n")[0]: section.partition("```python\n")[2].partition("```")[0]
        for section in sections
        if "```python" in section
    }


@pytest.mark.parametrize("heading", blocks_of_code())
@pytest.mark.filterwarnings("ignore")
def test_the_page_runs(
    heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = blocks_of_code()[heading]
    if "ignite" in code:
        pytest.importorskip("ignite", reason="pytorch-ignite is not installed")
    warnings.simplefilter("error", FindingsWarning)
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state()
    monkeypatch.setitem(sys.modules, "page", ModuleType("page"))
    exec(compile(code, str(PAGE), "exec"), vars(sys.modules["page"]))
    printed = capsys.readouterr().out
    assert printed.count("trainable params") == 1
    assert re.search(r"^20 steps(, each of 2 backward passes)?\n(.+\n)*no findings$", printed, flags=re.MULTILINE)


def test_the_page_shows_every_trainer() -> None:
    headings = ["Lightning", "The Trainer of transformers", "accelerate", "A loop of your own", "Ignite"]
    assert list(blocks_of_code()) == headings
