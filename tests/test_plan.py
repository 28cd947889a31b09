"""What a mesh would put on each rank. That torch and transformers really put that there, `children/plan.py` holds."""

from __future__ import annotations

import re
from collections import UserDict
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from support import forking
from support.targets import run
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from paramscope import Report, audit
from paramscope.errors import MeshError

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"
IMPORTED = ("torch.distributed.fsdp", "torch.testing._internal.distributed.fake_pg", "transformers")


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch is not distributed")
def test_what_torch_and_transformers_make_on_64_ranks() -> None:
    arguments = "-p", "no:cacheprovider", "-q", str(HERE / "children" / "plan.py")
    done = forking.run_pytest(*arguments, imported=IMPORTED)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert "12 passed" in done.stdout


class Odd(nn.Module):
    """What `fully_shard` does not see or take, and what has no gradient, beside a layer of five rows."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 5)
        self.layer.bias.requires_grad_(False)
        self.hidden = [nn.Parameter(torch.zeros(4))]
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("mean", torch.zeros(6))


def test_what_is_hidden_scalar_or_a_buffer_stays_whole_on_every_rank() -> None:
    model = Odd()
    plan = audit(model, optimizer=torch.optim.SGD(model.parameters(), momentum=0.9)).plan("fsdp=4")
    assert [plan.shapes(rank)["layer.weight"] for rank in range(4)] == [(2, 3), (2, 3), (1, 3), (0, 3)]
    assert {path: each for path, each in plan.shapes(3).items() if not path.startswith("layer")} == {
        "hidden[0]": (4,),
        "scale": (),
    }
    first = plan.on(0)
    assert first.parameters == 4 * (2 * 3 + 2 + 4 + 1)
    assert first.gradients == 4 * (2 * 3 + 4 + 1), "the frozen bias has none"
    assert first.optimizer_state == 4 * (2 * 3 + 1), "what is hidden is in no optimizer"
    assert (first.buffers, first.padding) == (24, 0)
    last = plan.on(3)
    assert (last.parameters, last.padding) == (4 * 5, 4 * (2 * 3 + 2))
    assert last.total == 4 * 5 + 4 * 5 + 4 + 24 + 32
    whole = audit(model, optimizer=torch.optim.SGD(model.parameters(), momentum=0.9)).cost.at_first_step
    assert whole is not None
    assert plan.whole[:4] == whole[:4]
    assert [(each.ranks, each.first) for each in plan.held] == [(2, 0), (1, 2), (1, 3)]
    assert "fully_shard takes no scalar: scale" in audit(model).render("cost", plan="fsdp=4")


def llama(**options: Any) -> LlamaForCausalLM:
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=40, pad_token_id=0, **options))


def test_tensor_parallelism_is_by_the_plan_of_the_model_or_the_one_that_is_given() -> None:
    report = audit(llama())
    own = report.plan("tp=4").shapes(0)
    assert own["model.layers.1.self_attn.q_proj.weight"] == (4, 16)
    assert own["model.layers.1.self_attn.o_proj.weight"] == (16, 4)
    assert own["model.norm.weight"] == (16,)
    given = report.plan("tp=4", tp_plan={"model.layers.*.mlp.up_proj": "rowwise"}).shapes(0)
    assert {path: shape for path, shape in given.items() if shape != tuple(report.slots[path].shape or ())} == {
        "model.layers.0.mlp.up_proj.weight": (24, 4),
        "model.layers.1.mlp.up_proj.weight": (24, 4),
    }
    assert report.plan("fsdp=4").shapes(0)["model.layers.1.self_attn.o_proj.weight"] == (4, 16)


def test_a_model_in_another_brings_its_plan() -> None:
    whole = nn.ModuleDict({"backbone": nn.Sequential(llama()), "head": nn.Linear(16, 8)})
    shapes = audit(whole).plan("tp=4").shapes(0)
    assert shapes["backbone.0.model.layers.0.mlp.up_proj.weight"] == (6, 16)
    assert shapes["head.weight"] == (8, 16)


@pytest.mark.parametrize(
    "odd", [{1: "colwise", "lm_head": ["colwise"]}, ["lm_head"], None, UserDict(lm_head="colwise")]
)
def test_what_is_no_plan_is_none(odd: Any) -> None:
    model = llama()
    model._tp_plan = odd
    assert audit(model).plan("tp=4").shapes(0)["lm_head.weight"] == (40, 16)


def test_without_a_plan_tensor_parallelism_cuts_nothing_and_that_is_said() -> None:
    report = audit(nn.Linear(8, 8))
    plan = report.plan("tp=4")
    assert plan.shapes(3) == {"weight": (8, 8), "bias": (8,)}
    assert "tp cuts nothing: no plan names a parameter of the model" in report.render("cost", plan="tp=4")
    assert "tp cuts nothing" not in audit(llama()).render("cost", plan="tp=4")


def test_a_style_that_is_not_known_leaves_its_parameters_whole_and_that_is_said() -> None:
    model = llama()
    model._tp_plan["model.norm"] = "diagonal"
    report = audit(model)
    assert report.plan("tp=4").doubts == {"model.norm.weight": "the style diagonal is not known"}
    assert "not cut by tp: model.norm.weight (the style diagonal is not known)" in report.render("cost", plan="tp=4")


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks transformers for it
def test_what_an_adapter_has_put_below_the_plan_s_names_is_left_whole_and_that_is_said() -> None:
    adapted = get_peft_model(llama(), LoraConfig(r=4, target_modules=["q_proj"]))
    report = audit(adapted)
    plan = report.plan("tp=4")
    layer = "base_model.model.model.layers.0.self_attn"
    assert plan.shapes(0)[f"{layer}.k_proj.weight"] == (4, 16)
    assert plan.shapes(0)[f"{layer}.q_proj.base_layer.weight"] == (16, 16)
    assert f"{layer}.q_proj.base_layer.weight" in plan.doubts
    assert len(plan.doubts) == 2 * 3
    assert str(report.render("cost", plan="tp=4", width=300)).count("not cut by tp: ") == 3


def test_a_tie_of_which_the_plan_says_two_things_is_left_whole() -> None:
    model = llama(tie_word_embeddings=True)
    assert audit(model).plan("tp=4").shapes(0)["model.embed_tokens.weight"] == (10, 16)
    model._tp_plan["lm_head"] = "rowwise"
    plan = audit(model).plan("tp=4")
    assert plan.shapes(0)["model.embed_tokens.weight"] == (40, 16)
    assert list(plan.doubts) == ["model.embed_tokens.weight"]


def test_what_is_unknown_is_so_for_its_reason() -> None:
    report = audit(nn.LazyLinear(3))
    assert "scalar" not in report.render("cost", plan="fsdp=4")
    lazy = report.plan("fsdp=4")
    assert lazy.on(0)[:3] == (None, None, None)
    assert lazy.on(0).total is None
    assert lazy.unknown["parameters"] == "a tensor is of unknown size"
    assert lazy.unknown["optimizer_state"] == "no optimizer was given"
    sparse = audit(nn.Embedding(8, 4, sparse=True)).plan("fsdp=4")
    assert (sparse.on(0).parameters, sparse.on(0).gradients) == (32, None)
    assert sparse.unknown["gradients"] == "those of sparse embeddings depend on the inputs"


def test_a_saved_report_is_planned_as_the_model_is() -> None:
    report = audit(llama())
    assert Report.from_json(report.to_json()).plan("fsdp=2,tp=4") == report.plan("fsdp=2,tp=4")


def test_many_ranks_are_told_by_few_figures() -> None:
    plan = audit(nn.Linear(10, 1000)).plan("replicate=16,fsdp=8192,tp=8")
    assert sum(each.ranks for each in plan.held) == 2**20
    assert [(each.ranks, each.first) for each in plan.held] == [(16 * 8 * 1000, 0), (16 * 8 * 7192, 8000)]
    assert plan.on(2**20 - 1) == plan.held[1].load


@pytest.mark.parametrize(
    ("mesh", "said"),
    [
        ("pp=2", "there is no mesh dimension 'pp'"),
        ("fsd=2", "Did you mean fsdp?"),
        ("", "there is no mesh dimension ''"),
        ("64", "there is no mesh dimension '64'"),
        ("fsdp=2,", "there is no mesh dimension ''"),
        ("fsdp", "fsdp= is no number of ranks"),
        ("fsdp=0", "fsdp=0 is no number of ranks"),
        ("fsdp=-2", "fsdp=-2 is no number of ranks"),
        ("fsdp=2.0", "fsdp=2.0 is no number of ranks"),
        ("fsdp=²", "fsdp=² is no number of ranks"),
        ("fsdp=" + "9" * 5000, "is no number of ranks"),
        ("fsdp=2,fsdp=2", "fsdp is given twice"),
        ("fsdp=2,tp=2,replicate=4", "Write it first: replicate=4,fsdp=2."),
        ("fsdp=1024,tp=1025", "1,049,600 ranks\nUp to 1,048,576 can be planned."),
    ],
)
def test_a_mesh_that_cannot_be(mesh: str, said: str) -> None:
    with pytest.raises(MeshError) as error:
        audit(nn.Linear(2, 2)).plan(mesh)
    assert said in str(error.value)


def test_spaces_do_no_harm_and_a_rank_that_there_is_not_is_refused() -> None:
    plan = audit(nn.Linear(2, 2)).plan(" replicate = 2 , fsdp=2 ")
    assert plan.mesh.sizes == (("replicate", 2), ("fsdp", 2))
    for rank in (-1, 4):
        with pytest.raises(MeshError, match="Ranks are 0 to 3"):
            plan.on(rank)
        with pytest.raises(MeshError, match="Ranks are 0 to 3"):
            plan.shapes(rank)


def test_a_style_that_there_is_not() -> None:
    with pytest.raises(MeshError, match="there is no style 'colwize'\nDid you mean colwise"):
        audit(nn.Linear(2, 2)).plan("tp=2", tp_plan={"": "colwize"})


def test_at_the_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = ("inspect", str(FIXTURES / "finetune.py:build"), "-O", "adamw", "--plan", "replicate=2,fsdp=300")
    assert run(*target) == 0
    shown = capsys.readouterr().out
    assert shown.partition("\n")[2] == SHOWN
    assert run(*target, "-o", str(tmp_path / "plan.md")) == 0
    document = re.sub(" +", " ", (tmp_path / "plan.md").read_text(encoding="utf-8"))
    assert "| optimizer state | 36 B | 92.2 KiB | 24.0 MiB |" in document
    assert run(*target, "-f", "table") == 2
    assert "the format table takes no --plan" in capsys.readouterr().err
    assert run(*target, "--cost") == 2
    assert "--cost and --plan are two views" in capsys.readouterr().err
    assert run(*target[:-1], "fsdp=none") == 2
    assert capsys.readouterr().err.startswith("error: fsdp=none is no number of ranks\nhelp: Write ")


def test_the_page_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (HERE.parent / "docs" / "large.md").read_text(encoding="utf-8")
    example = page.partition("<!-- example:start -->")[2].partition("<!-- example:end -->")[0]
    code, printed = (block.partition("\n")[2] for block in example.split("```")[1::2])
    exec(compile(code, "example", "exec"), {})
    assert capsys.readouterr().out == printed, "docs/large.md is stale"


def test_documents_have_it() -> None:
    report = audit(nn.Linear(2, 2))
    for format in ("markdown", "html"):
        assert "bytes on a rank" in str(report.render(format, plan="fsdp=4"))
        assert "bytes on a rank" not in str(report.render(format))


SHOWN = """\

bytes on a rank     least      most  whole model
---------------  --------  --------  -----------
parameters       14.0 KiB   1.3 MiB    350.8 MiB
gradients             0 B  46.1 KiB     12.0 MiB
optimizer state      36 B  92.2 KiB     24.0 MiB
buffers               0 B       0 B          0 B
padding           1.3 MiB       0 B          0 B
total             1.3 MiB   1.4 MiB    386.9 MiB

cut unevenly                       shape     most   least  nothing on
-----------------------------  ---------  -------  ------  ----------
embed.weight                   32000×512  107×512   7×512
blocks.[0-23].norm.weight ×24        512        2       0    88 ranks
blocks.[0-23].norm.bias ×24          512        2       0    88 ranks
blocks.[0-23].qkv.weight ×24    1536×512    6×512   0×512    88 ranks
blocks.[0-23].out.weight ×24     512×512    2×512   0×512    88 ranks
blocks.[0-23].up.weight ×24     2048×512    7×512   0×512    14 ranks
blocks.[0-23].up.bias ×24           2048        7       0    14 ranks
blocks.[0-23].down.weight ×24   512×2048   2×2048  0×2048    88 ranks
blocks.[0-23].down.bias ×24          512        2       0    88 ranks
norm.weight                          512        2       0    88 ranks
norm.bias                            512        2       0    88 ranks

600 ranks: replicate=2, fsdp=300
least: 2 ranks, the first is 299; most: 512 ranks, the first is 0
optimizer 0: AdamW: state measured by a fresh one, on tensors without elements
at the first step: as if the loss reached all that is trainable
activations, and what is gathered of shards within a step, are not counted
"""
