"""Trainers of others under a watch: Lightning's and transformers' runs of twenty steps, clean and with planted bugs, and
the training loops of the documentation of torch, accelerate and peft, written anew."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from peft import LoraConfig, get_peft_model
from support.faulty_optimizers import Lost
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    get_linear_schedule_with_warmup,
)

from paramscope import watch

STEPS = 20
# What peft asks of transformers.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
Plant = Callable[[Any, int], None]
"""Is given the model before each step, and the number of the step."""


def never_cleared(model: Any, number: int) -> None:
    """Nothing to do beforehand: those who train leave out `zero_grad`."""


def lost(model: Any, number: int) -> None:
    """Nothing to do beforehand: those who train have an optimizer whose step is lost."""


def anothers(model: Any, number: int) -> None:
    """Nothing to do beforehand: those who train have the optimizer of another model."""


def replaced(model: Any, number: int) -> None:
    """A new head."""
    if number == 7:
        head = nn.Linear(model.head.in_features, model.head.out_features)
        model.head = head


def assigned(model: Any, number: int) -> None:
    """Loaded with new tensors."""
    if number == 7:
        model.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()}, assign=True)


def evaluated(model: Any, number: int) -> None:
    """Validation, and nothing after it."""
    if number == 7:
        model.eval()


def thawed(model: Any, number: int) -> None:
    """The body, of which the optimizer knows nothing."""
    if number == 7:
        model.body.requires_grad_(True)


def broken(model: Any, number: int) -> None:
    """One weight of the head."""
    if number == 7:
        with torch.no_grad():
            model.head.weight[0, 0] = float("nan")


def cut(model: Any, number: int) -> None:
    """The body's gradient."""
    model.is_cut = number >= 7


PLANTED: dict[str, tuple[Plant, str, int]] = {
    "lost": (lost, "PS722", 5),
    "another's": (anothers, "PS722", 6),
    "replaced": (replaced, "PS723", 7),
    "assigned": (assigned, "PS723", 7),
    "evaluated": (evaluated, "PS724", 7),
    "thawed": (thawed, "PS725", 7),
    "broken": (broken, "PS726", 7),
    "cut": (cut, "PS727", 16),
}


class Net(nn.Module):
    """A body, a head, and a dropout, which does something else in each mode."""

    def __init__(self, *, is_body_frozen: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(8, 2)
        self.is_cut = False
        if is_body_frozen:
            self.body.requires_grad_(False)

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        """The loss, where there are labels."""
        hidden = self.body(x)
        found = self.head(hidden.detach() if self.is_cut else hidden)
        return found if labels is None else {"loss": nn.functional.cross_entropy(found, labels), "logits": found}


def optimizer_of(model: nn.Module, plant: Plant | None) -> torch.optim.Optimizer:
    """Of what trains."""
    held = Net() if plant is anothers else model
    return (Lost if plant is lost else torch.optim.AdamW)([p for p in held.parameters() if p.requires_grad], lr=1e-3)


class Module(lightning.LightningModule):
    """The net, trained by Lightning."""

    def __init__(self, plant: Plant | None, **options: Any) -> None:
        super().__init__()
        self.net = Net(is_body_frozen=plant is thawed)
        self.plant = plant
        self.options = options
        self.watch: Any = None

    def training_step(self, batch: Any, at: int) -> torch.Tensor:
        """As in the documentation."""
        if self.plant is not None:
            self.plant(self.net, at + 1)
        x, y = batch
        loss: torch.Tensor = self.net(x, y)["loss"]
        return loss

    def validation_step(self, batch: Any, at: int) -> None:
        """Runs it."""
        self.net(*batch)

    def configure_optimizers(self) -> Any:
        """Of what trains, with a schedule."""
        optimizer = optimizer_of(self, self.plant)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, 2 * STEPS)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        """The watch begins."""
        self.watch = watch(self.net, self.trainer.optimizers, steps=True, on_finding="collect")

    def optimizer_zero_grad(self, *args: Any) -> None:
        """As Lightning does, unless it is the bug."""
        if self.plant is not never_cleared:
            super().optimizer_zero_grad(*args)


def data(steps: int) -> DataLoader[Any]:
    """Batches of eight."""
    torch.manual_seed(0)
    return DataLoader(TensorDataset(torch.randn(8 * steps, 4), torch.randint(0, 2, (8 * steps,))), batch_size=8)


def lightning_run(plant: Plant | None, tmp_path: Path, **options: Any) -> Any:
    """A run of twenty steps; its watch."""
    module = Module(plant)
    steps = STEPS * options.get("accumulate_grad_batches", 1)
    settings = {"max_epochs": 1, "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            **settings | options, enable_model_summary=False, accelerator="cpu", default_root_dir=tmp_path
        )
        trainer.fit(module, data(steps), data(2))
    module.watch.close()
    return module.watch


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accumulate_grad_batches": 4},
        {"gradient_clip_val": 0.1, "val_check_interval": 5},
        {"precision": "bf16-mixed"},
        {"max_epochs": 2, "check_val_every_n_epoch": 1},
    ],
    ids=str,
)
def test_lightning_is_silent(options: dict[str, Any], tmp_path: Path) -> None:
    watched = lightning_run(None, tmp_path, **options)
    assert watched.findings == (), str(watched)
    assert str(watched).startswith(f"{STEPS * options.get('max_epochs', 1)} steps")
    assert ("each of 4 backward passes" in str(watched)) is ("accumulate_grad_batches" in options)


def test_lightning_without_zero_grad(tmp_path: Path) -> None:
    watched = lightning_run(never_cleared, tmp_path)
    assert [finding.code for finding in watched.findings] == ["PS721"]
    assert watched.findings[0].message.startswith("At step 2, the gradients of ")


@pytest.mark.parametrize("name", PLANTED)
def test_lightning_with_a_bug(name: str, tmp_path: Path) -> None:
    plant, code, step = PLANTED[name]
    first, *others = lightning_run(plant, tmp_path).findings
    assert first.code == code
    assert f"tep {step}" in first.message
    assert {other.code for other in others} <= {code}


class Bug(TrainerCallback):
    """Watches, and plants the bug before each step."""

    def __init__(self, plant: Plant | None) -> None:
        self.plant = plant
        self.watch: Any = None

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **kw: Any
    ) -> None:
        """The watch begins."""
        self.watch = watch(model, optimizer, steps=True, on_finding="collect")

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kw: Any) -> None:
        """The bug."""
        if self.plant is not None:
            self.plant(model, state.global_step + 1)


class Quiet(Trainer):
    """A trainer that puts its model in training mode once: what `Trainer` does in each step mends the bug."""

    def training_step(self, model: Any, *args: Any, **kw: Any) -> Any:
        """As Trainer, but for the mode."""
        is_training = model.training
        train, model.train = model.train, lambda mode=True: model
        try:
            return super().training_step(model, *args, **kw)
        finally:
            model.train = train
            assert model.training is is_training


def hf_run(plant: Plant | None, model: Any, dataset: Any, tmp_path: Path, **options: Any) -> Any:
    """A run of twenty steps; its watch."""
    bug = Bug(plant)
    optimizers = (optimizer_of(model, plant) if plant in (lost, anothers) else None, None)
    arguments = TrainingArguments(
        str(tmp_path),
        max_steps=STEPS,
        per_device_train_batch_size=4,
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        **options,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = (Quiet if plant is evaluated else Trainer)(
            model, arguments, train_dataset=dataset, eval_dataset=dataset[:4], callbacks=[bug], optimizers=optimizers
        )
        if plant is never_cleared:
            model.zero_grad = lambda *given: None
        trainer.train()
    bug.watch.close()
    return bug.watch


def rows() -> list[dict[str, torch.Tensor]]:
    """For the net."""
    torch.manual_seed(0)
    return [{"x": torch.randn(4), "labels": torch.randint(0, 2, ())} for _ in range(4 * STEPS)]


def tokens() -> list[dict[str, torch.Tensor]]:
    """For a language model."""
    torch.manual_seed(0)
    return [{"input_ids": (ids := torch.randint(0, 64, (8,))), "labels": ids} for _ in range(4 * STEPS)]


def gpt2() -> GPT2LMHeadModel:
    """A small one."""
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=16, n_embd=16, n_layer=2, n_head=2))


def bert() -> BertForSequenceClassification:
    """A small one."""
    torch.manual_seed(0)
    return BertForSequenceClassification(
        BertConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gradient_accumulation_steps": 4},
        {"warmup_steps": 10, "lr_scheduler_type": "cosine", "eval_strategy": "steps", "eval_steps": 5},
        {"bf16": True, "max_grad_norm": 0.1},
        {"optim": "adafactor"},
        {"optim": "adamw_torch_fused"},
        {"activation_checkpointing": True},
    ],
    ids=str,
)
def test_the_trainer_of_transformers_is_silent(options: dict[str, Any], tmp_path: Path) -> None:
    watched = hf_run(None, gpt2(), tokens(), tmp_path, **options)
    assert watched.findings == (), str(watched)
    assert str(watched).startswith(f"{STEPS} steps")


def test_the_trainer_of_transformers_with_adapters_is_silent(tmp_path: Path) -> None:
    model = get_peft_model(gpt2(), LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True))
    watched = hf_run(None, model, tokens(), tmp_path, label_names=["labels"])
    assert watched.findings == (), str(watched)


def test_the_trainer_of_transformers_without_zero_grad(tmp_path: Path) -> None:
    watched = hf_run(never_cleared, Net(), rows(), tmp_path, max_grad_norm=0.0)
    assert [finding.code for finding in watched.findings] == ["PS721"]
    assert watched.findings[0].message.startswith("At step 2, the gradients of ")


@pytest.mark.parametrize("name", PLANTED)
def test_the_trainer_of_transformers_with_a_bug(name: str, tmp_path: Path) -> None:
    plant, code, step = PLANTED[name]
    first, *others = hf_run(plant, Net(is_body_frozen=plant is thawed), rows(), tmp_path).findings
    assert first.code == code
    assert f"tep {step}" in first.message
    assert {other.code for other in others} <= {code}


def watched_run(model: Any, optimizer: Any, run: Callable[[], None]) -> None:
    """Runs a loop, of which nothing is to be said."""
    with watch(model, optimizer, steps=True, on_finding="collect") as watched:
        run()
    assert watched.findings == (), str(watched)
    assert watched.report.findings == watched.report.having().findings


def test_the_quickstart_of_torch() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def run() -> None:
        for _ in range(5):
            model.train()
            for _ in range(6):
                loss = nn.functional.cross_entropy(model(torch.randn(4, 1, 8, 8)), torch.randint(0, 10, (4,)))
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
            model.eval()
            with torch.no_grad():
                model(torch.randn(4, 1, 8, 8))

    watched_run(model, optimizer, run)


def test_transfer_learning_of_torch() -> None:
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    backbone.requires_grad_(False)
    model = nn.Sequential(backbone, nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model[1].parameters(), lr=1e-3, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)

    def run() -> None:
        for _ in range(10):
            for phase in ("train", "val"):
                model.train(phase == "train")
                for _ in range(3):
                    optimizer.zero_grad()
                    with torch.set_grad_enabled(phase == "train"):
                        loss = nn.functional.cross_entropy(model(torch.randn(4, 3, 8, 8)), torch.randint(0, 2, (4,)))
                        if phase == "train":
                            loss.backward()
                            optimizer.step()
                if phase == "train":
                    scheduler.step()

    watched_run(model, optimizer, run)


def test_the_dcgan_of_torch() -> None:
    generator = nn.Sequential(
        nn.ConvTranspose2d(4, 8, 4, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 1)
    )
    critic = nn.Sequential(nn.Conv2d(3, 8, 4), nn.BatchNorm2d(8), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(8, 1))
    of_critic = torch.optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.999))
    of_generator = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def run() -> None:
        loss = nn.BCEWithLogitsLoss()
        for _ in range(30):
            critic.zero_grad()
            loss(critic(torch.randn(4, 3, 4, 4)), torch.ones(4, 1)).backward()
            fake = generator(torch.randn(4, 4, 1, 1))
            loss(critic(fake.detach()), torch.zeros(4, 1)).backward()
            of_critic.step()
            generator.zero_grad()
            loss(critic(fake), torch.ones(4, 1)).backward()
            of_generator.step()

    watched_run({"generator": generator, "critic": critic}, [of_critic, of_generator], run)


@pytest.mark.parametrize("mixed_precision", ["no", "bf16"])
def test_the_loop_of_accelerate_with_accumulation(mixed_precision: str) -> None:
    AcceleratorState._reset_state()
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2, mixed_precision=mixed_precision)
    model: Any = bert()
    optimizer: Any = torch.optim.AdamW(model.parameters(), lr=3e-4)
    batches: Any = DataLoader(
        TensorDataset(torch.randint(0, 64, (160, 8)), torch.randint(0, 2, (160,))), batch_size=4
    )
    scheduler: Any = get_linear_schedule_with_warmup(optimizer, 10, 40)
    model, optimizer, batches, scheduler = accelerator.prepare(model, optimizer, batches, scheduler)

    def run() -> None:
        model.train()
        for ids, labels in batches:
            with accelerator.accumulate(model):
                accelerator.backward(model(input_ids=ids, labels=labels).loss)
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()

    watched_run(model, [optimizer, scheduler], run)


def test_the_loop_of_peft() -> None:
    model: Any = get_peft_model(
        bert(), LoraConfig(task_type="SEQ_CLS", r=2, lora_dropout=0.1, target_modules=["query"])
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = get_linear_schedule_with_warmup(optimizer, 3, 30)

    def run() -> None:
        for _ in range(3):
            model.train()
            for _ in range(10):
                outputs = model(input_ids=torch.randint(0, 64, (4, 8)), labels=torch.randint(0, 2, (4,)))
                outputs.loss.backward()
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            model.eval()
            with torch.no_grad():
                model(input_ids=torch.randint(0, 64, (4, 8)))

    watched_run(model, optimizer, run)


class ByHand(lightning.LightningModule):
    """A GAN whose halves take turns, as Lightning's page on manual optimization has it."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.critic = nn.Linear(4, 4), nn.Linear(4, 1)
        self.watch: Any = None

    def configure_optimizers(self) -> Any:
        """One each."""
        return [torch.optim.Adam(self.generator.parameters()), torch.optim.Adam(self.critic.parameters())], []

    def on_train_start(self) -> None:
        """Lightning hands out its own optimizers around them."""
        self.watch = watch(self, self.optimizers(), steps=True, on_finding="collect")

    def training_step(self, batch: Any, at: int) -> None:
        """Both."""
        optimizers: Any = self.optimizers()
        (x, _), (generator, critic) = batch, optimizers
        self.toggle_optimizer(generator)
        generator.zero_grad()
        self.manual_backward(self.critic(self.generator(x)).mean())
        generator.step()
        self.untoggle_optimizer(generator)
        self.toggle_optimizer(critic)
        critic.zero_grad()
        self.manual_backward((self.critic(x) - self.critic(self.generator(x).detach())).square().mean())
        critic.step()
        self.untoggle_optimizer(critic)


def test_optimization_by_hand_in_lightning(tmp_path: Path) -> None:
    module = ByHand()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
            default_root_dir=tmp_path,
        )
        trainer.fit(module, data(STEPS))
    assert module.watch.findings == ()
    assert str(module.watch).startswith(f"{STEPS} steps of optimizer 0\n{STEPS} steps of optimizer 1\n")
