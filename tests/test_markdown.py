"""Markdown: a comment on a pull request, with what matters in view and never too long."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from markdown_it import MarkdownIt
from support.view_models import Net, report
from torch import nn

from paramscope import Finding, Report, Severity, audit, capture
from paramscope.errors import FormatError, GlobError
from paramscope.render._pieces import Name, Prose, told
from paramscope.render.document._markdown_text import code

TABLE = """\
| path                            | status    | shape   | dtype     |   elements | gradient   | stepped   | saved   | moved   | groups   |
|:--------------------------------|:----------|:--------|:----------|-----------:|:-----------|:----------|:--------|:--------|:---------|
| `scale`                         | trainable | 4       | `float32` |          4 | yes        | no        | yes     | yes     |          |
| `mask`                          | buffer    | 3       | `bool`    |          3 | no         | no        | no      | yes     |          |
| `cache`                         | attribute | 5       | `float32` |          5 | no         | no        | no      | no      |          |
| `embed.weight` `=1`             | trainable | 10×4    | `float32` |         40 | yes        | yes       | yes     | yes     | `0:0`    |
| `layers.[0-3,5].norm.weight` ×5 | trainable | 4       | `float32` |         20 | yes        | yes       | yes     | yes     | `0:1`    |
"""
AFTER = """\
all on `cpu`; elements in parentheses were counted above; `=1`: see sharing

trainable params: 436 · all params: 524 · trainable%: 83.2061  
by name: 564 · buffers: 3 · hidden: 18 · attributes: 5 · memory: 2.1 KiB · empty slots not listed

**Sharing**

- `=1` tied: `embed.weight`, `head.weight`

**Optimizer `0`: `AdamW`**

"""  # noqa: W291  # two spaces end a line in Markdown


def written(of: Report, **options: object) -> str:
    text = of.render("markdown", **options)
    assert isinstance(text, str)
    return text


def paths(text: str) -> list[str]:
    """First cells of the first table, without what stands behind the path."""
    table = text.partition("|--")[2].partition("\n")[2].partition("\n\n")[0]
    return [re.sub(r"`(.*?)`.*", r"\1", row.split(" | ")[0].removeprefix("| ").strip()) for row in table.splitlines()]


def test_a_comment() -> None:
    text = written(report())
    assert text.startswith("**`Net`, training mode**\n\n")
    assert TABLE in text
    assert AFTER in text
    assert text.endswith("- trainable, but in no group, so never stepped: `scale`\n")
    assert "<details>" not in text


def test_findings_come_first() -> None:
    found = Finding("PS999", "odd", Severity.ERROR, "layers.0 is odd: see there", ("layers.0", ""), help="Mend it.")
    text = written(Report(audit(Net()).snapshot, findings=(found,), ignored=(found, found)))
    assert (
        "**1 finding**\n\n- error `PS999` `odd`: `layers.0` is odd: see there. Mend it. (`layers.0`, the root)"
        in text
    )
    assert "- 2 findings ignored on request" in text
    assert text.index("PS999") < text.index("| path")


def test_options_are_those_of_a_selection() -> None:
    net = report()
    assert paths(written(net, path="layers.4.*", sort="elements"))[:2] == [
        "layers.4.up.weight",
        "layers.4.down.weight",
    ]
    assert paths(written(net, status="hidden,attribute")) == ["cache", "experts[0-2].weight", "experts[0-2].bias"]
    assert paths(written(net, depth=1)) == ["scale", "mask", "cache", "embed", "layers", "head", "experts[0-2]"]
    assert paths(written(net, depth=0)) == ["the root =1"]
    assert "experts[1].weight" in paths(written(net, fold=False))
    assert "no slot is unknown" in written(net, status="unknown")
    for options in ({"status": "x"}, {"sort": "x"}, {"depth": -1}):
        with pytest.raises(FormatError):
            net.render("markdown", **options)
    with pytest.raises(GlobError):
        net.render("markdown", path="x")


def test_a_long_table_is_put_away() -> None:
    net = report()
    text = written(net, fold=False)
    assert f"<details>\n<summary>{len(net.slots)} lines</summary>\n\n| path" in text
    assert len(paths(text)) == len(net.slots)
    rendered = MarkdownIt("commonmark").enable("table").render(text)
    assert re.search(
        r"<details>\s*<summary>\d+ lines</summary>\s*<table>.*</table>\s*</details>", rendered, re.DOTALL
    )


@pytest.mark.parametrize("name", ["p", "a_rather_long_name_" * 10, "`|" * 200, "层" * 300])
def test_it_never_is_longer_than_a_comment_may_be(name: str) -> None:
    model = nn.Module()
    for i in range(3_000):
        model._parameters[f"{name}{i}{'x' * (i % 7)}"] = nn.Parameter(torch.zeros(1 + i % 5))
    shared = list(model.parameters())
    for i in range(200):
        model._buffers[f"{name}view{i}"] = shared[i].data
        model._parameters[f"{name}tied{i}"] = shared[i]
    groups: list[dict[str, Any]] = [{"params": shared[i::100], name: name, "lr": 0.1} for i in range(100)]
    optimizer = torch.optim.SGD([*groups, {"params": [torch.zeros(2) for _ in range(200)]}], lr=0.1)
    found = tuple(
        Finding("PS999", name, Severity.ERROR, f"{name} " * 50, (name,) * 50, help=name) for _ in range(500)
    )
    text = written(Report(audit(model, optimizer=optimizer).snapshot, findings=found, target=name))
    assert 30_000 < len(text) <= 65_536
    shown = len(paths(text))
    more = re.search(r"… and ([\d,]+) more lines: `--depth`", text)
    assert more is not None
    assert shown + int(more[1].replace(",", "")) == 3_400
    assert shown > 20
    assert "trainable params: " in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.b", "`a.b`"),
        ("a`b", "``a`b``"),
        ("`a", "`` `a ``"),
        ("a``b`c", "```a``b`c```"),
        (" a", "`  a `"),
        ("  ", "`  `"),
        ("", '`""`'),
        ("a\nb", "`a\\nb`"),
    ],
)
def test_names_are_code(name: str, shown: str) -> None:
    assert code(name) == shown
    (token,) = MarkdownIt().parseInline(f"x {shown} y")[0].children[1:2]  # type: ignore[index]
    assert token.type == "code_inline"
    assert token.content == (name.replace("\n", "\\n") or '""')


@pytest.mark.parametrize(("name", "shown"), [("a|b", "a|b"), ("a\\|b", "a\\\\x7cb"), ("|", "|"), ("\\", "\\")])
def test_names_in_cells_do_not_end_them(name: str, shown: str) -> None:
    text = f"| a | b |\n|---|---|\n| {code(name, in_grid=True)} | c |"
    cells = [token.children for token in MarkdownIt().enable("table").parse(text) if token.type == "inline"]
    assert [each[0].content for each in cells if each] == ["a", "b", shown, "c"]


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("It is never trained, saved or moved: don't.", []),
        ("a.b is tied to c_d.", ["a.b", "c_d"]),
        ("call model.to(x, y) now", ["model.to(x, y)"]),
        ("write self.x = nn.ModuleList(…).", ["self.x = nn.ModuleList(…)"]),
        ("ask @octocat of #12, GH-12 or :smile: in deadbeef", ["@octocat", "#12", "GH-12", ":smile", "deadbeef"]),
        ("1,234 elements of 1234567", ["1234567"]),
        ("see http://x.org. \n", ["http://x.org", "\n"]),
        (".\n", [".\n"]),
    ],
)
def test_sentences_are_plain_words_and_names(sentence: str, names: list[str]) -> None:
    pieces = list(told([Prose(sentence)]))
    assert "".join(pieces) == sentence
    assert [piece for piece in pieces if isinstance(piece, Name)] == names
    assert all(re.fullmatch(r"[\w ,.:;'…-]*", piece) for piece in pieces if not isinstance(piece, Name))


@pytest.mark.parametrize(
    ("help", "shown"),
    [
        (
            'Write {"params": …, "weight_decay": 0.0}. Then go on.',
            'Write `{"params": …, "weight_decay": 0.0}`. Then go on.',
        ),
        (
            "Copy: {name: tensor.clone() for name, tensor in model.state_dict().items()}.",
            "Copy: `{name: tensor.clone() for name, tensor in model.state_dict().items()}`.",
        ),
        (
            "Hand over [p for p in model.parameters() if p.requires_grad]. Or not.",
            "Hand over `[p for p in model.parameters() if p.requires_grad]`. Or not.",
        ),
        ("Call f(a, b, key=[1, 2]), or not.", "Call `f(a, b, key=[1, 2])`, or not."),
        ("It is so (or it was made at a.py:3, see there).", "It is so `(or` it was made at `a.py:3`, see `there)`."),
    ],
)
def test_code_is_kept_whole(help: str, shown: str) -> None:
    found = Finding("PS999", "a-rule", Severity.INFO, "M.", ("",), None, help)
    text = Report(capture(nn.Linear(2, 2)), findings=(found,)).render("markdown")
    assert isinstance(text, str)
    assert shown in text
