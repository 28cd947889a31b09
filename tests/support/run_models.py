"""Models to run, each with what forward is given, a loss and its optimizers: what people train, made small."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from support.tiny_transformers import gpt2, transformers


class Ready(NamedTuple):
    """A model that can be run."""

    model: Any
    """A module, or several roots by name."""
    optimizer: Any
    inputs: Any
    loss: Any = None

    def by_hand(self) -> list[torch.Tensor]:
        """A forward and a backward as people write them, uncompiled: the scalars that backward started from."""
        model = getattr(self.model, "_orig_mod", self.model)
        if callable(self.inputs):
            output = self.inputs(model)
        elif isinstance(self.inputs, dict):
            output = model(**self.inputs)
        else:
            output = model(*self.inputs)
        found = output.loss if self.loss is None else self.loss(output)
        scalars = found if isinstance(found, list) else [found]
        torch.autograd.backward(scalars)
        return scalars

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Those that were handed over, one by one."""
        handed = self.optimizer
        if isinstance(handed, dict):
            return list(handed.values())
        return handed if isinstance(handed, list) else [handed]

    def step(self) -> None:
        """Forward, backward and a step of each optimizer, as people write them."""

        def again() -> torch.Tensor:
            for _, parameter in self.named():
                parameter.grad = None
            return torch.stack([each.detach() for each in self.by_hand()]).sum()

        again()
        for each in self.optimizers():
            each.step(again if isinstance(each, torch.optim.LBFGS) else None)  # type: ignore[arg-type]

    def named(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters by path."""
        for name, root in self.roots():
            yield from root.named_parameters(prefix=name)

    def roots(self) -> list[tuple[str, nn.Module]]:
        """(path, module) of each root."""
        return list(self.model.items()) if isinstance(self.model, dict) else [("", self.model)]


def tokens(most: int = 11) -> dict[str, Any]:
    """Two sentences of six, and what is to come out."""
    ids = torch.arange(12).view(2, 6) % most
    return {"input_ids": ids, "labels": ids}


def gpt() -> Ready:
    """GPT-2, tied, with dropout."""
    model = gpt2()
    return Ready(model, torch.optim.AdamW(model.parameters(), lr=1e-2), tokens())


def classifier() -> Ready:
    """BERT with a head; its body is frozen."""
    config = transformers.BertConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=12,
        vocab_size=11,
        max_position_embeddings=8,
    )
    model = transformers.BertForSequenceClassification(config)
    model.bert.requires_grad_(False)
    inputs = {"input_ids": tokens()["input_ids"], "labels": torch.tensor([0, 1])}
    return Ready(model, torch.optim.AdamW(model.classifier.parameters()), inputs)


def lora() -> Ready:
    """GPT-2 with adapters of peft's."""
    import peft

    config = peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)
    model = peft.get_peft_model(gpt2(), config)
    return Ready(model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad]), tokens())


def mixture() -> Ready:
    """A Mixtral with more experts than tokens can be sent to."""
    config = transformers.MixtralConfig(
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        num_local_experts=16,
        num_experts_per_tok=1,
        vocab_size=11,
    )
    model = transformers.MixtralForCausalLM(config)
    return Ready(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), tokens())


def vit() -> Ready:
    """A vision transformer with a head."""
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12, image_size=8, patch_size=4
    )
    model = transformers.ViTForImageClassification(config)
    inputs = {"pixel_values": torch.randn(2, 3, 8, 8), "labels": torch.tensor([0, 1])}
    return Ready(model, torch.optim.Adam(model.parameters()), inputs)


class Lstm(nn.Module):
    """A language model that keeps its state from one batch to the next."""

    seen: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8, padding_idx=0)
        self.lstm = nn.LSTM(8, 8, num_layers=2, dropout=0.3, batch_first=True)
        self.head = nn.Linear(8, 11)
        self.spare = nn.Linear(8, 8)
        self.state: Any = None
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits."""
        out, state = self.lstm(self.embed(ids), self.state)
        self.state = tuple(each.detach() for each in state)
        self.seen += ids.numel()
        return self.head(out)


def lstm() -> Ready:
    """An LSTM, with a layer that nothing calls."""
    model = Lstm()
    return Ready(
        model,
        torch.optim.RMSprop(model.parameters(), momentum=0.5),
        (tokens()["input_ids"],),
        lambda out: nn.functional.cross_entropy(out.flatten(0, 1), tokens()["labels"].flatten()),
    )


def gan() -> Ready:
    """A generator and a critic, each with an optimizer of its own."""
    roots = {
        "gen": nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4)),
        "critic": nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(), nn.Dropout(0.2), nn.Linear(8, 1)),
    }
    real = torch.randn(5, 4)

    def play(roots: dict[str, nn.Module]) -> Any:
        made = roots["gen"](torch.randn(5, 3))
        return roots["critic"](made), roots["critic"](made.detach()), roots["critic"](real)

    def losses(scores: Any) -> list[torch.Tensor]:
        fooled, fake, true = scores
        return [-fooled.mean(), fake.mean() - true.mean()]

    optimizers = {name: torch.optim.Adam(root.parameters(), amsgrad=True) for name, root in roots.items()}
    return Ready(roots, optimizers, play, losses)


def convolutions() -> Ready:
    """A net with BatchNorm, in training mode, and a layer under no_grad."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten()
    )
    return Ready(
        model,
        torch.optim.SGD(model.parameters(), lr=0.1, nesterov=True, momentum=0.9),
        (torch.randn(2, 3, 8, 8),),
        lambda out: out.square().mean(),
    )


def evaluated() -> Ready:
    """The same in eval mode."""
    ready = convolutions()
    ready.model.eval()
    return ready


def checkpointed() -> Ready:
    """GPT-2 that computes anew in backward."""
    ready = gpt()
    ready.model.gradient_checkpointing_enable({"use_reentrant": False})
    return ready


def reentrant() -> Ready:
    """The same, as it was done before: autograd does not see what lies in between."""
    ready = gpt()
    ready.model.gradient_checkpointing_enable({"use_reentrant": True})
    return ready


def compiled() -> Ready:
    """GPT-2 that torch.compile was called on."""
    ready = gpt()
    return ready._replace(model=torch.compile(ready.model))


def lbfgs() -> Ready:
    """An optimizer that computes the loss as often as it likes."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    return Ready(
        model,
        torch.optim.LBFGS(model.parameters(), max_iter=3),
        (torch.randn(4, 3),),
        lambda out: out.square().mean(),
    )


def sparse() -> Ready:
    """An embedding with sparse gradients."""
    table, head = nn.Embedding(11, 4, sparse=True), nn.Linear(24, 2)
    model = nn.Sequential(table, nn.Flatten(), head)
    optimizers = [torch.optim.SparseAdam([table.weight]), torch.optim.Adam(head.parameters())]
    return Ready(model, optimizers, (tokens()["input_ids"],), lambda out: out.square().mean())


BUILDERS: dict[str, Callable[[], Ready]] = {
    each.__name__: each
    for each in (
        *(gpt, classifier, lora, mixture, vit, lstm, gan, convolutions, evaluated),
        *(checkpointed, reentrant, compiled, lbfgs, sparse),
    )
}


NAMES = list(BUILDERS)


def made(name: str) -> Ready:
    """One of them by its name, the same each time."""
    torch.manual_seed(0)
    with warnings.catch_warnings():  # what libraries say to one another
        warnings.simplefilter("ignore")
        return BUILDERS[name]()
