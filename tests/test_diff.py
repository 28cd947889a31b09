"""`paramscope.diff` and `paramscope diff`: what changed between two models, reports or revisions."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from support.versions import runner
from torch import nn
from torch.nn.utils import parametrizations, prune
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
)

from paramscope import Diff, Report, audit, capture, diff
from paramscope.cli import cli, error_text
from paramscope.errors import FormatError, NotAModule, ParamscopeError, ReportError

IDS = {"bos_token_id": 0, "eos_token_id": 0}


def gpt2(**sizes: int) -> GPT2LMHeadModel:
    small = {"n_layer": 12, "n_embd": 24, "n_head": 2, "vocab_size": 60, "n_positions": 8, **IDS}
    return GPT2LMHeadModel(GPT2Config(**{**small, **sizes}))


def lines(found: Diff, **options: Any) -> list[str]:
    return str(found.render("text", **options)).splitlines()


def kinds(found: Diff) -> set[str]:
    return {change.kind for change in found.changes.changes}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(*[nn.Linear(4, 4) for _ in range(6)])
        self.head = nn.Linear(4, 2)


def test_two_audits_of_one_model_do_not_differ() -> None:
    model = Net()
    found = diff(model, audit(model))
    assert not found
    assert found == diff(model, model)
    assert lines(found) == ["Net", "no difference: 14 slots, 130 parameters"]
    assert json.loads(found.render("json"))["added"] == []


def test_what_froze_is_named_by_its_module() -> None:
    model = Net()
    before = audit(model)
    model.backbone.requires_grad_(False)
    found = diff(before, model)
    assert found
    assert found.froze == tuple(f"backbone.{i}.{name}" for i in range(6) for name in ("weight", "bias"))
    assert kinds(found) == {"froze"}
    assert "froze  backbone.* (12 slots, 120 elements)" in lines(found)
    back = diff(model, before)
    assert back.thawed == found.froze
    assert "thawed  backbone.* (12 slots, 120 elements)" in lines(back)


def test_siblings_that_changed_alike_are_one_line() -> None:
    model = Net()
    before = audit(model)
    for at in (1, 2, 3):
        model.get_parameter(f"backbone.{at}.bias").requires_grad_(False)
    assert "froze  backbone.[1-3].bias ×3 (4, 12 elements)" in lines(diff(before, model))


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks transformers for it
def test_adapters_are_added_the_rest_froze_and_no_name_is_lost() -> None:
    model = gpt2()
    before = audit(model)
    wrapped = get_peft_model(copy.deepcopy(model), LoraConfig(task_type="CAUSAL_LM", fan_in_fan_out=True))
    found = diff(before, wrapped)
    assert len(found.renamed) == len(dict(model.named_parameters(remove_duplicate=False))) == 149
    assert dict(found.renamed)["transformer.h.3.attn.c_attn.weight"] == (
        "base_model.model.transformer.h.3.attn.c_attn.base_layer.weight"
    )
    assert found.removed == ()
    assert {path.split(".")[-3] for path in found.added} == {"lora_A", "lora_B"}
    assert len(found.froze) == 149
    assert len(lines(found, width=80)) <= 40
    assert all(len(line) <= 80 for line in lines(found, width=80))


def wrap(model: nn.Module, name: str) -> nn.Module:
    outer = nn.Module()
    outer.add_module(name, model)
    return outer


@pytest.mark.parametrize("name", ["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "net"])
def test_wrappers_are_seen_through(name: str) -> None:
    model = gpt2(n_layer=2)
    found = diff(model, wrap(copy.deepcopy(model), name))
    assert kinds(found) == {"renamed"}
    assert f"renamed  * → {name}.* (29 slots)" in lines(found)
    assert not found.findings_new
    assert not found.findings_gone


def test_a_module_that_is_called_otherwise_is_found_again() -> None:
    model = gpt2()
    before = audit(model)
    model.transformer.blocks = model.transformer.h
    del model.transformer.h
    found = diff(before, model)
    assert kinds(found) == {"renamed"}
    assert lines(found)[-1] == "renamed  transformer.h.* → transformer.blocks.* (144 slots)"


def test_items_that_were_put_in_or_taken_out_move_those_behind_them() -> None:
    few = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    many = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4), nn.Linear(4, 2))
    found = diff(few, many)
    assert found.renamed == (("2.weight", "4.weight"), ("2.bias", "4.bias"))
    assert {path[0] for path in found.added} == {"2", "3"}
    back = diff(many, few)
    assert back.renamed == (("4.weight", "2.weight"), ("4.bias", "2.bias"))
    assert found.reshaped == back.reshaped == found.removed == back.added == ()
    wider = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 16)), nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 32))
    assert diff(*wider).renamed == ()
    longer = nn.Sequential(*wider[0]), nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 32), nn.Linear(32, 64))
    assert diff(*longer).renamed == ()


def layers(attention: str, count: int, **others: nn.Module) -> nn.Module:
    parts = {"q": nn.Linear(4, 4), "o": nn.Linear(4, 4)}
    each = [nn.ModuleDict({attention: nn.ModuleDict(copy.deepcopy(parts))}) for _ in range(count)]
    return nn.ModuleDict({"layers": nn.ModuleList(each), **others})


@pytest.mark.parametrize(("count", "others"), [(40, {"head": nn.Linear(4, 4)}), (38, {})])
def test_the_same_part_of_many_layers_is_called_otherwise(count: int, others: dict[str, nn.Module]) -> None:
    found = diff(layers("attn", 40), layers("self_attn", count, **others).bfloat16())
    assert len(found.renamed) == 4 * count
    assert (
        f"renamed  layers.[0-{count - 1}].attn.* → layers.[0-{count - 1}].self_attn.* ({4 * count} slots)"
        in lines(found)
    )
    assert all(path.startswith("head.") for path in found.added)
    assert len(found.removed) == 4 * (40 - count)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"fc": nn.Linear(8, 8)}, {"bn": nn.BatchNorm1d(8)}),
        ({"head": nn.Linear(8, 3)}, {"adapter": nn.ModuleDict({"head": nn.Linear(3, 5)})}),
        ({"fc": nn.Linear(8, 3)}, {"fc2": nn.Linear(8, 5)}),
    ],
)
def test_what_is_alike_in_part_is_not_the_same(old: dict[str, nn.Module], new: dict[str, nn.Module]) -> None:
    stem = nn.Linear(8, 8)
    found = diff(nn.ModuleDict({"stem": stem, **old}), nn.ModuleDict({"stem": stem, **new}))
    assert found.renamed == ()
    assert len(found.removed) == 2
    assert diff(nn.Linear(4, 4), nn.Sequential(nn.Linear(7, 9), nn.Linear(9, 4))).renamed == ()


def test_a_part_that_moved_is_not_told_as_the_whole() -> None:
    stem, head = nn.Linear(8, 8), nn.Linear(8, 3)
    before = nn.ModuleDict({"stem": stem, "head": head})
    after = nn.ModuleDict({"stem": stem, "inner": nn.ModuleDict({"head": head})})
    assert "renamed  head.* → inner.head.* (2 slots)" in lines(diff(before, after))
    assert "renamed  inner.head.* → head.* (2 slots)" in lines(diff(after, before))


def test_compiled_and_parallel_models_are_the_same_ones() -> None:
    model = Net()
    compiled = torch.compile(model, backend="eager")
    assert isinstance(compiled, nn.Module)
    assert kinds(diff(model, compiled)) == {"renamed"}
    assert kinds(diff(model, nn.DataParallel(model))) == {"renamed"}


def test_another_dtype_is_told_for_the_module_that_has_it() -> None:
    config = BertConfig(
        hidden_size=16, num_attention_heads=2, num_hidden_layers=2, intermediate_size=16, vocab_size=9
    )
    model = BertForSequenceClassification(config)
    before = audit(model)
    model.bert.to(torch.bfloat16)
    found = diff(before, model)
    assert all(path.startswith("bert.") for path in found.retyped)
    assert any(line.startswith("retyped  bert.* (") and "float32 → bfloat16" in line for line in lines(found))
    after = diff(before, BertForSequenceClassification(config).to(torch.bfloat16))
    assert any(line.startswith("retyped  all float32 parameters (") for line in lines(after))


def test_ties_that_come_and_go() -> None:
    sizes = {"num_layers": 1, "d_model": 8, "d_ff": 8, "num_heads": 2, "d_kv": 4, "vocab_size": 20}
    model = T5ForConditionalGeneration(T5Config(**sizes))
    before = audit(model)
    model.load_state_dict({name: each.clone() for name, each in model.state_dict().items()}, assign=True)
    found = diff(before, model)
    assert found.untied == (
        ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"),
    )
    assert found.tied == ()
    assert diff(model, before).tied == found.untied
    shared = nn.Linear(2, 2)
    apart = diff(nn.Sequential(shared, shared), nn.Sequential(shared, nn.Linear(2, 2)))
    assert "untied  [0-1].weight ×2 (was one tensor)" in lines(apart)
    assert {each.code for each in found.findings_new} == {"PS304"}
    assert {each.code for each in found.findings_gone} == {"PS602"}


def test_a_table_that_grew_has_another_shape() -> None:
    model = gpt2()
    before = audit(model)
    model.resize_token_embeddings(64, mean_resizing=False)
    found = diff(before, model)
    assert found.reshaped == ("transformer.wte.weight", "lm_head.weight")
    assert found.tied == found.untied == ()
    assert "reshaped  transformer.wte.weight (60×24 → 64×24)" in lines(found)
    assert found.totals["parameters"] == (before.totals.parameters, before.totals.parameters + 4 * 24)


def test_pruned_and_parametrized_weights() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    before = audit(model)
    prune.l1_unstructured(model[0], "weight", 0.5)
    parametrizations.orthogonal(model[1])
    found = diff(before, model)
    assert ("1.weight", "1.parametrizations.weight.original") in found.renamed
    assert "0.weight_mask" in found.added
    assert found.removed == ()


def test_what_was_hidden_is_registered() -> None:
    class Stack(nn.Module):
        def __init__(self, kind: type) -> None:
            super().__init__()
            self.layers = kind([nn.Linear(2, 2) for _ in range(3)])

    found = diff(Stack(list), Stack(nn.ModuleList))
    assert len(found.registered) == 6
    assert found.added == found.removed == ()
    assert {each.code for each in found.findings_gone} == {"PS101"}
    assert len(diff(Stack(nn.ModuleList), Stack(list)).hidden) == 6


def test_a_parameter_that_became_a_buffer_and_a_device() -> None:
    model = nn.Linear(2, 2)
    before = audit(model)
    values = model.bias.detach()
    del model.bias
    model.register_buffer("bias", values)
    found = diff(before, model)
    assert found.retyped == ("bias",)
    assert "retyped  all float32 parameters" not in str(found)
    assert any("trainable → buffer" in line for line in lines(found))
    moved = diff(before, nn.Linear(2, 2, device="meta"))
    assert moved.moved == ("weight", "bias")
    assert any(line.startswith("moved  all that was on cpu") for line in lines(moved))


def test_what_an_optimizer_steps() -> None:
    model = Net()
    model.backbone.requires_grad_(False)
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-3)
    before = audit(model, optimizer=optimizer)
    optimizer.param_groups[0]["lr"] = 1e-5
    optimizer.param_groups[0]["params"].append(model.backbone[0].weight)
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))]})
    found = diff(before, audit(model, optimizer=optimizer))
    assert lines(diff(before, model))[-1].endswith("of AdamW: 2 slots; after, none was given")
    assert diff(before, model).findings_gone == ()
    first, second = found.groups
    assert first.options == (("lr", 1e-3, 1e-5),)
    assert first.joined == ("backbone.0.weight",)
    assert first.left == ()
    assert (second.before, second.group, second.foreign) == (None, 1, (0, 1))
    drawn = str(found)
    assert "option     optimizer[0].groups[0]: lr 0.001 → 1e-05" in drawn
    assert "joined     optimizer[0].groups[0]: backbone.0.weight (1 slot)" in drawn
    assert "1 tensor that the model does not have" in drawn


def test_a_head_that_was_replaced_after_the_optimizer_was_built() -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = ViTForImageClassification(ViTConfig(**sizes, image_size=8, patch_size=4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = audit(model, optimizer=optimizer)
    model.classifier = nn.Linear(16, 10)
    found = diff(before, audit(model, optimizer=optimizer))
    assert found.reshaped == ("classifier.weight", "classifier.bias")
    [group] = found.groups
    assert (group.left, group.joined, group.foreign) == (("classifier.weight", "classifier.bias"), (), (0, 2))
    assert {each.code for each in found.findings_new} >= {"PS402"}


def test_an_average_beside_its_model() -> None:
    model = gpt2(n_layer=2)
    found = diff(model, torch.optim.swa_utils.AveragedModel(model))
    assert kinds(found) == {"renamed", "added"}
    assert found.added == ("n_averaged",)
    assert len(found.renamed) == 29


def test_members_keep_their_places_where_paths_change() -> None:
    model = gpt2(n_layer=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = diff(audit(model, optimizer=optimizer), audit(nn.DataParallel(model), optimizer=optimizer))
    assert found.groups == ()
    assert kinds(found) == {"renamed"}


def test_other_models_are_said_to_be_others() -> None:
    found = diff(gpt2(), BertForSequenceClassification(BertConfig(num_hidden_layers=2, hidden_size=48)))
    assert not found.is_of_one_model
    assert "these are two models" in str(found)
    assert len(lines(found)) < 30
    assert len(found.added) > 30  # nothing is kept back from a program


def test_reports_of_files_and_snapshots(tmp_path: Path) -> None:
    model = Net()
    file = tmp_path / "old.json"
    file.write_text(audit(model).to_json())
    assert not diff(file, capture(model))
    assert not diff(str(file), model)
    model.head.requires_grad_(False)
    assert diff(file, model).froze == ("head.weight", "head.bias")
    with pytest.raises(ReportError):
        diff(tmp_path / "none.json", model)
    with pytest.raises(NotAModule):
        diff(model, 3)  # type: ignore[arg-type]


def test_a_diff_is_a_value() -> None:
    model = Net()
    before = audit(model)
    model.head.requires_grad_(False)
    found = diff(before, model)
    assert pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(AttributeError):
        found.after = before
    with pytest.raises(FormatError, match="Did you mean markdown"):
        found.render("markdwn")
    with pytest.raises(FormatError, match="takes no option 'width'"):
        found.render("json", width=3)


def test_json_holds_every_path() -> None:
    model = Net()
    before = audit(model, optimizer=torch.optim.SGD(model.backbone.parameters(), lr=0.1))
    model.backbone.requires_grad_(False)
    model.extra = nn.Linear(2, 2)
    found = diff(before, audit(model, optimizer=torch.optim.SGD(model.head.parameters(), lr=0.1)))
    told = json.loads(found.render("json"))
    assert (told["format"], told["version"]) == ("paramscope.diff", 1)
    assert told["froze"] == list(found.froze)
    assert told["added"] == ["extra.weight", "extra.bias"]
    assert told["totals"]["trainable"] == [130, 16]
    assert told["groups"][0]["joined"] == ["head.weight", "head.bias"]
    assert [each["code"] for each in told["findings_new"]] == [each.code for each in found.findings_new] != []


def test_names_of_a_hostile_model_stay_data() -> None:
    model = nn.Module()
    model.register_parameter("<b>|\x1b[2J`@x`", nn.Parameter(torch.zeros(2)))
    found = diff(nn.Module(), model)
    assert "\x1b" not in str(found)
    assert "<b>" not in found.render("html")
    assert "\x1b" not in found.render("markdown")
    assert "<b>" not in found.render("html", page=False)
    assert found._repr_html_().startswith("<div")


def test_ten_thousand_changes_are_not_ten_thousand_lines() -> None:
    one, other = nn.Module(), nn.Module()
    for i in range(3_000):
        for model in (one, other):
            model.register_parameter(f"w{i}{'abcdefg'[i % 7]}", nn.Parameter(torch.zeros(i % 5 + (model is other))))
    found = diff(one, other)
    assert len(found.reshaped) == 3_000
    assert len(lines(found)) < 300
    assert len(found.render("markdown")) < 65_536


MODEL = """
from torch import nn

def build(dim=4):
    model = nn.Sequential(*[nn.Linear(dim, dim) for _ in range(3)])
    return model
"""


def run(*arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    result = runner().invoke(cli, arguments, standalone_mode=False)
    if isinstance(result.exception, ParamscopeError):
        return 2, result.stdout, error_text(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.return_value or 0, result.stdout, result.stderr


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits of a model in a folder, and that folder as the working directory."""
    folder = tmp_path / "code"
    folder.mkdir()
    file = folder / "model.py"
    git(tmp_path, "init", "-q", ".")
    for text in (MODEL, MODEL.replace("    return", "    model[0].requires_grad_(False)\n    return")):
        file.write_text(text)
        git(tmp_path, "add", ".")
        git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one")
    monkeypatch.chdir(folder)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def test_two_revisions(repository: Path) -> None:
    (repository / "code" / "model.py").write_text("a dirty tree")
    code, out, _ = run("diff", "HEAD~1", "HEAD", "--exit-code", "--", "model.py:build")
    assert code == 1
    assert "model.py:build at HEAD~1 → model.py:build at HEAD" in out
    assert "froze  0.* (2 slots, 20 elements)" in out
    assert git(repository, "worktree", "list").count("\n") == 1


def test_a_revision_and_the_working_tree(repository: Path) -> None:
    (repository / "code" / "model.py").write_text(MODEL.replace("range(3)", "range(4)"))
    code, out, _ = run("diff", "HEAD", "--arg", "dim=2", "-f", "json", "--", "model.py:build")
    assert code == 0
    told = json.loads(out)
    assert told["added"] == ["3.weight", "3.bias"]
    assert told["thawed"] == ["0.weight", "0.bias"]
    assert told["totals"]["parameters"] == [18, 24]


def test_revisions_that_cannot_be_compared(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = run("diff", "nowhere", "--", "model.py:build")
    assert (code, err.splitlines()[0]) == (2, "error: there is no revision 'nowhere'")
    (repository / "code" / "model.py").write_text("raise OSError('no data')")
    code, _, err = run("diff", "HEAD", "--", "model.py:build")
    assert code == 2
    assert "model.py:build cannot be built at the working tree" in err
    assert "no data" in err
    assert run("diff", "HEAD", "--")[0] == run("diff", "a", "b", "c", "--", "model.py:build")[0] == 2
    monkeypatch.setenv("PATH", "")
    code, _, err = run("diff", "HEAD", "--", "model.py:build")
    assert (code, "there is no git" in err) == (2, True)


def test_a_whole_path_names_what_the_revision_has(repository: Path) -> None:
    file = repository / "code" / "model.py"
    code, out, _ = run("diff", "HEAD~1", "HEAD", "--", f"{file}:build")
    assert (code, "froze  0.*" in out) == (0, True)
    code, _, err = run("diff", "HEAD", "--", f"{repository.parent / 'elsewhere.py'}:build")
    assert (code, "elsewhere.py does not lie in" in err) == (2, True)


def test_neither_hooks_nor_what_a_target_runs_speak_between(
    repository: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    told = "import atexit, os\nos.system('echo one')\natexit.register(print, 'two')\n"
    (repository / "code" / "model.py").write_text(told + MODEL)
    code, _, err = run("diff", "HEAD", "--", "model.py:build")
    assert (code, err) == (0, "")
    assert capfd.readouterr().out == ""
    assert git(repository, "worktree", "list").count("\n") == 1


def test_a_hook_that_compares_leaves_the_commit_as_it_is(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "code" / "model.py").write_text(MODEL.replace("range(3)", "range(4)"))
    git(repository, "add", ".")
    staged = git(repository, "ls-files", "--stage")
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository / ".git" / "index"))  # as git sets it for a hook
    assert run("diff", "HEAD", "--exit-code", "--", "model.py:build")[0] == 1
    assert git(repository, "ls-files", "--stage") == staged


NET = """from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(2, 2)
        self.two = nn.Linear(2, 2)
"""


def test_lines_are_those_of_the_working_tree(repository: Path) -> None:
    for text in (NET, NET + "        self.two.weight = self.one.weight\n"):
        (repository / "code" / "model.py").write_text(text)
        git(repository, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "tied")
    for sides in (("HEAD~1", "HEAD"), ("HEAD", "HEAD~1")):
        code, out, _ = run("diff", *sides, "--", "model.py:Net")
        assert code == 0
        assert ": model.py:8: info PS602" in out
        assert "paramscope-" not in out  # the worktree that it was built in, and that is gone


def test_what_peft_keeps_beside_a_copy_that_trains_is_the_module_that_was_there(repository: Path) -> None:
    before = nn.ModuleDict({"head": nn.Linear(2, 2)})
    after = nn.ModuleDict(
        {"head": nn.ModuleDict({"original_module": nn.Linear(2, 2).requires_grad_(False), "copy": nn.Linear(2, 2)})}
    )
    found = diff(before, after)
    assert ("head.weight", "head.original_module.weight") in found.renamed
    assert found.removed == ()


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    code, _, err = run("diff", "HEAD", "--", "model.py:build")
    assert (code, "not a git repository" in err) == (2, True)


def test_targets_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(MODEL + "\ndef wide():\n    return build(8)\n")
    assert run("inspect", "model.py:build", "-o", "old.json")[0] == 0
    code, out, _ = run("diff", "old.json", "model.py:wide", "-o", "changes.md", "--exit-code")
    assert (code, out) == (1, "")
    written = Path("changes.md").read_text()
    assert "- reshaped `[0-2].weight ×3`" in written
    assert run("diff", "old.json", "model.py:build", "--exit-code", "--arg", "dim=4")[0] == 0
    assert run("diff", "old.json", "old.json", "-f", "html")[1].startswith("<!DOCTYPE html>")
    assert run("diff", "old.json")[0] == run("diff", "old.json", "old.json", "-f", "svg")[0] == 2
    assert run("diff", "old.json", "none.json")[0] == 2


def test_a_report_of_a_newer_version(tmp_path: Path) -> None:
    told = json.loads(audit(nn.Linear(1, 1)).to_json())
    file = tmp_path / "new.json"
    file.write_text(json.dumps({**told, "version": 99}))
    with pytest.raises(ReportError, match="99"):
        diff(file, nn.Linear(1, 1))
    assert isinstance(diff(nn.Linear(1, 1), nn.Linear(1, 1)).after, Report)


def test_what_training_takes_is_compared_where_there_are_optimizers() -> None:
    model = Net()
    before = audit(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    found = diff(before, audit(model, optimizer=torch.optim.AdamW(model.parameters(), lr=0.1)))
    assert any(line.split() == ["state", "0", "B", "1.1", "KiB", "+1.1", "KiB"] for line in lines(found))
    assert [each.after for each in found.groups] == ["torch.optim.adamw.AdamW"]
    # What one of the two classes alone has comes with it.
    options = [line for line in lines(found) if line.startswith("option ")]
    assert options == ["option     optimizer[0].groups[0]: weight_decay 0 → 0.01"]
