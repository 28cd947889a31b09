"""The watch itself: marks and their timeline, what it keeps alive, and what becomes of it when things go wrong."""

from __future__ import annotations

import copy
import gc
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration

import paramscope
from fixtures import backbone as fixture
from paramscope import Finding, audit, watch
from paramscope.errors import FindingsWarning, NotAModule, NotAnOptimizer, WatchError


def blocks(many: int = 6) -> nn.Module:
    """Numbered blocks and a head."""
    layers = nn.ModuleList(nn.ModuleDict({"norm": nn.LayerNorm(4), "fc": nn.Linear(4, 4)}) for _ in range(many))
    return nn.ModuleDict({"layers": layers, "head": nn.Linear(4, 2)})


def lines(moment: Any) -> list[str]:
    """What a moment says changed."""
    return [" ".join(line.split()) for line in str(moment).splitlines()[1:]]


def test_the_backbone_that_the_optimizer_never_took_up() -> None:
    """A backbone frozen for fifty epochs, then unfrozen."""
    model: Any = fixture.frozen()
    optimizer = fixture.adam_of_trainable(model)
    with watch(model, optimizer) as watched:
        for epoch in range(1, 61):
            if epoch == 51:
                fixture.unfreeze(model)
            optimizer.zero_grad()
            model.head(model.backbone(torch.randn(4, 8))).square().mean().backward()
            optimizer.step()
            if epoch % 10 == 0 or epoch == 51:
                watched.mark(f"epoch {epoch}")
    moments = {moment.label: lines(moment) for moment in watched.timeline}
    assert moments["epoch 10"] == ["got gradient head.* ×2"]
    assert moments["epoch 50"] == ["no change"]
    assert moments["epoch 51"] == ["thawed backbone.* ×4 (in no optimizer)", "got gradient backbone.* ×4"]
    assert moments["epoch 60"] == ["no change"]
    assert str(watched).endswith("backbone.* ×4: thawed by 'epoch 51', and not in any optimizer since")
    optimizer.add_param_group({"params": list(model.backbone.parameters())})
    with watch(model, optimizer) as other:
        other.mark("later")
    assert "not in any optimizer" not in str(other)


def test_the_page_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "watch.md").read_text(encoding="utf-8")
    example = page.partition("<!-- example:start -->")[2].partition("<!-- example:end -->")[0]
    code, printed = (block.partition("\n")[2] for block in example.split("```")[1::2])
    exec(compile(code, "example", "exec"), {})
    assert capsys.readouterr().out == printed, "docs/watch.md is stale"


def test_what_a_moment_can_say() -> None:
    model: Any = blocks()
    optimizer = torch.optim.SGD(
        [{"params": list(model.layers.parameters())}, {"params": list(model.head.parameters())}], lr=0.1
    )
    watched = watch(model, optimizer)
    assert lines(watched.mark("at once")) == ["no change"]
    model.layers.requires_grad_(False)
    assert lines(watched.mark("frozen")) == ["froze layers.* ×24"]
    model.layers[3].requires_grad_(True)
    assert lines(watched.mark("one")) == ["thawed layers.3.* ×4"]
    for layer in model.layers:
        layer.fc.weight.requires_grad_(True)
    assert lines(watched.mark("weights")) == ["thawed layers.[0-2,4-5].fc.weight ×5"]
    model.eval()
    assert lines(watched.mark("eval")) == ["to eval the root (20 below)"]
    for layer in model.layers:
        layer.norm.train()
    assert lines(watched.mark("norms")) == ["to training layers.[0-5].norm ×6"]
    optimizer.param_groups[1]["lr"] = 0.01
    assert lines(watched.mark("rate")) == ["learning rate optimizer[0].groups[1] (0.1 → 0.01)"]
    model.head = nn.Linear(4, 2)
    assert lines(watched.mark("head")) == [
        "replaced head.* ×2",
        "left head.* ×2 (optimizer[0].groups[1])",
        "to training head",
    ]
    optimizer.add_param_group({"params": list(model.head.parameters())})
    assert lines(watched.mark("joined")) == ["joined head.* ×2 (optimizer[0].groups[2])"]
    model.layers[1].fc.weight = model.layers[0].fc.weight
    assert lines(watched.mark("tied")) == [
        "replaced layers.1.fc.weight",
        "tied layers.0.fc.weight = layers.1.fc.weight",
    ]
    model.layers[1].fc.weight = nn.Parameter(torch.ones(4, 4))
    assert lines(watched.mark("untied")) == [
        "replaced layers.1.fc.weight",
        "untied layers.0.fc.weight = layers.1.fc.weight",
        "left layers.1.fc.weight (optimizer[0].groups[0])",
    ]
    model.extra = nn.Linear(1, 1)
    del model.layers[5]
    assert lines(watched.mark("moved")) == ["added extra.* ×2", "removed layers.5.* ×4"]
    model.head(torch.ones(4)).sum().backward()
    assert lines(watched.mark("gradient")) == ["got gradient head.* ×2"]
    model.zero_grad()
    assert lines(watched.mark("none")) == ["lost gradient head.* ×2"]
    assert str(watched.timeline) in str(watched)
    assert [moment.label for moment in watched.timeline][:3] == ["at once", "frozen", "one"]
    assert watched.timeline[1].changes[0].kind == "froze"


def test_the_ties_of_t5_that_a_checkpoint_undoes() -> None:
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "vocab_size": 32}
    model = T5ForConditionalGeneration(T5Config(**sizes))
    optimizer = torch.optim.AdamW(model.parameters())
    watched = watch(model, optimizer)
    names = ("shared", "encoder.embed_tokens", "decoder.embed_tokens", "lm_head")
    tie = " = ".join(f"{name}.weight" for name in names)
    model.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)
    many = len(watched.mark("loaded").slots[0])
    assert lines(watched.timeline[0]) == [
        f"replaced * ×{many}",
        f"untied {tie}",
        f"left * ×{many} (optimizer[0].groups[0])",
    ]
    model.tie_weights()
    assert f"tied {tie}" in lines(watched.mark("tied"))


def test_modules_that_stand_in_several_places_and_within_themselves() -> None:
    model: Any = nn.ModuleDict({"a": nn.Linear(1, 1)})
    watched = watch(model)
    model["b"] = model["a"]
    model["c"] = model
    assert lines(watched.mark("shared")) == ["added b.* ×2"]
    model["b"] = nn.Linear(1, 1)
    assert lines(watched.mark("apart")) == [
        "replaced b.* ×2",
        "untied a.weight = b.weight",
        "untied a.bias = b.bias",
    ]


def test_a_mark_says_how_many_steps_there_were() -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, steps=True) as watched:
        watched.mark("before")
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
        watched.mark(3)
    assert [moment.steps for moment in watched.timeline] == [(("0", 0),), (("0", 3),)]
    assert str(watched.timeline[1]).splitlines()[0] == "3 (3 steps)"


def test_the_report_has_the_findings_of_the_watch() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch({"model": model}, {"sgd": optimizer}, steps=True, on_finding="collect") as watched:
        dropped(model, optimizer)
        report = watched.report
    assert [finding.code for finding in report.findings] == ["PS724"]
    assert report.findings == watched.findings
    assert report.optimizers[0].name == "sgd"
    assert report.having(findings=()) == audit({"model": model}, optimizer={"sgd": optimizer}).having(findings=())
    again = paramscope.Report.from_json(watched.report.to_json())
    assert again.findings == report.findings
    assert "PS724" in str(report.render("text"))


@pytest.mark.parametrize("is_interrupted", [False, True])
@pytest.mark.parametrize("is_closed", [False, True])
def test_nothing_of_the_model_is_kept(*, is_interrupted: bool, is_closed: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters())
    watched = watch(model, optimizer, steps=True, on_finding="collect")
    watched.mark("start")

    def closure() -> Any:
        raise KeyboardInterrupt

    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
    watched.mark("end")
    if is_interrupted:
        with pytest.raises(KeyboardInterrupt):
            optimizer.step(closure)
        optimizer.step()
        optimizer.register_step_post_hook(lambda *given: closure())
        with pytest.raises(KeyboardInterrupt):
            optimizer.step()
    if is_closed:
        watched.close()
    gone = [weakref.ref(each) for each in (model, optimizer, model[0].weight, model[0])]
    del model, optimizer
    gc.collect()
    assert [each() for each in gone] == [None] * 4
    assert "end" in str(watched)
    with pytest.raises(WatchError, match="closed" if is_closed else "is gone"):
        watched.mark("too late")
    with pytest.raises(WatchError, match="is gone"):
        _ = watched.report


def test_a_watch_that_is_closed_refers_to_no_tensor() -> None:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, steps=True) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 4)).sum().backward()
            optimizer.step()
        watched.mark("here")
    optimizer.zero_grad()
    torch.utils.swap_tensors(model.weight, nn.Parameter(torch.zeros(1, 4)))  # refuses what is referred to weakly
    assert "here" in str(watched)


def test_an_exception_in_the_loop_detaches() -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watched = watch(model, optimizer, steps=True)

    def loop() -> None:
        with watched:
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert not model.weight._backward_hooks
    assert not model.weight._post_accumulate_grad_hooks
    assert str(watched).startswith("1 step")
    watched.close()
    with pytest.raises(WatchError, match="this watch is closed"):
        watched.mark("after")


def test_the_optimizer_goes_on_when_the_model_is_gone() -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD([weight := model.weight], lr=0.1)
    watched = watch(model, optimizer, steps=True)
    del model
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert str(watched).startswith("0 steps")


def test_hooks_that_somebody_else_removes() -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watched = watch(model, optimizer, steps=True)
    optimizer._optimizer_step_post_hooks.clear()
    assert lines(watched.mark("later")) == [
        "the hooks of optimizer 0 were removed: its steps are not watched any more",
    ]
    optimizer.step()
    watched.close()


def test_an_optimizer_that_is_gone() -> None:
    model = nn.Linear(2, 1)
    watched = watch(model, torch.optim.SGD(model.parameters(), lr=0.1))
    gc.collect()
    assert "optimizer 0 is gone" in lines(watched.mark("later"))
    assert watched.report.optimizers == ()


def test_a_model_that_is_wrapped_while_it_is_watched() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, steps=True, on_finding="raise") as watched:
        for wrapped in (model, nn.DataParallel(model), torch.compile(model, backend="eager")):
            for _ in range(2):
                optimizer.zero_grad()
                wrapped(torch.ones(1, 4)).sum().backward()
                optimizer.step()
            watched.mark("wrapped")
    assert [lines(moment) for moment in watched.timeline] == [["got gradient * ×4"], ["no change"], ["no change"]]


def test_two_watches_do_not_disturb_each_other() -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, steps=True), watch(model, optimizer, steps=True) as inner:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    assert str(inner).startswith("3 steps")


def dropped(model: Any, optimizer: Any) -> None:
    """Four steps, the last ones in eval mode."""
    for number in range(4):
        if number == 2:
            model.eval()
        optimizer.zero_grad()
        model(torch.ones(1, 4)).sum().backward()
        optimizer.step()


def test_a_watch_that_nobody_keeps_still_watches() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch(model, optimizer, steps=True)
    gc.collect()
    with pytest.warns(FindingsWarning, match="PS724"):
        dropped(model, optimizer)


class Named:
    """Has groups, and no hooks."""

    def __init__(self, parameters: Any) -> None:
        self.param_groups = [{"params": list(parameters), "lr": 0.1}]


def test_what_cannot_be_watched() -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(NotAModule):
        watch(nn.Linear)  # type: ignore[arg-type]
    with pytest.raises(NotAnOptimizer):
        watch(model, 3)
    with pytest.raises(NotAnOptimizer, match="no steps to watch without an optimizer"):
        watch(model, steps=True)
    with pytest.raises(NotAnOptimizer, match="a Named has no hooks"):
        watch(model, Named(model.parameters()), steps=True)
    with pytest.raises(ValueError, match="on_finding='shout': write one of warn, raise, collect"):
        watch(model, optimizer, on_finding="shout")  # type: ignore[arg-type]
    assert not optimizer._optimizer_step_pre_hooks
    assert lines(watch(model, holder := Named(model.parameters())).mark("groups alone")) == ["no change"]
    assert holder


def test_without_an_optimizer_there_is_a_timeline_all_the_same() -> None:
    model = nn.Linear(2, 1)
    watched = watch(model)
    model.requires_grad_(False)
    watched.mark("frozen")
    model.requires_grad_(True)
    watched.mark("thawed")
    assert [lines(moment) for moment in watched.timeline] == [["froze * ×2"], ["thawed * ×2"]]


class Hostile(nn.Module):
    """Whose names and attributes are not what they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(1, 1)
        self._parameters["\x1b[31mred\n"] = nn.Parameter(torch.ones(1))
        self._parameters["absent"] = None
        self._modules["itself"] = self
        self._parameters["view"] = torch.ones(1, requires_grad=True) * 2  # type: ignore[assignment]
        self.lazy = nn.LazyLinear(3)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            return super().__getattr__(name)
        raise RuntimeError(name)

    def named_parameters(self, *args: Any, **named: Any) -> Iterator[Any]:
        """Never to be asked."""
        raise RuntimeError


def test_a_hostile_model() -> None:
    model = Hostile()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watched = watch(model)
        object.__getattribute__(model, "_parameters")["\x1b[31mred\n"].requires_grad_(False)
        found = str(watched.mark("\x1b[31mred\n"))
    assert found.isprintable() or set(found) - {c for c in found if c.isprintable()} == {"\n"}
    assert len(found.splitlines()) == 2


def test_findings_are_plain_values() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, steps=True, on_finding="collect") as watched:
        assert (watched.findings, repr(watched)) == ((), "<Watch of 0 marks, 0 findings>")
        assert str(watched) == "0 steps"
        dropped(model, optimizer)
    (finding,) = watched.findings
    assert type(finding) is Finding
    assert str(watched) == f"4 steps\n{finding}"
