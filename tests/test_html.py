"""HTML: a page without script that opens, suits any theme, and is of bounded size."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from support.pages import Page
from support.view_models import Net, report
from torch import nn

import paramscope
from paramscope import Finding, Report, Severity, audit
from paramscope.errors import FormatError, GlobError
from paramscope.render.document._html_style import STYLE
from paramscope.render.document.html import INSIDE, LINES


def page(of: Report, **options: Any) -> str:
    text = of.render("html", **{"script": False, **options})
    assert isinstance(text, str)
    return text


def rows(text: str) -> list[list[str]]:
    """Cells of the first table as a reader sees them."""
    body = text.partition("<tbody>")[2].partition("</tbody>")[0]
    cells = [re.findall(r"<td.*?</td>", row) for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)]
    return [["".join(Page(cell).texts) for cell in row] for row in cells]


def test_a_page() -> None:
    text = page(report())
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">')
    assert "<title>Net, training mode</title>" in text
    assert rows(text)[3] == ["embed.weight =1", "trainable", "10×4", "float32", "40", *["yes"] * 4, "0:0"]
    assert ["layers.2.up.bias", "frozen", "8", "float32", "8", "no", "no", "yes", "yes", ""] in rows(text)
    words = "".join(Page(text).texts)
    for said in (
        "all on cpu; elements in parentheses were counted above; =1: see sharing",
        "trainable params: 436 · all params: 524 · trainable%: 83.2061",
        "=1 tied: embed.weight, head.weight",
        "Optimizer 0: AdamW",
        "trainable, but in no group, so never stepped: scale",
    ):
        assert said in words, said


def test_nothing_in_it_runs_or_is_loaded_from_elsewhere() -> None:
    text = page(report(), script=False)
    found = Page(text)
    assert "script" not in found.tags
    assert not any(name.startswith("on") or name in ("src", "href", "style") for name, _ in found.attributes)
    assert not re.search(r"url\(|@import|https?:", text)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in found.attributes


def test_a_row_of_several_slots_opens() -> None:
    text = page(report())
    opened = re.search(
        # A range is in one piece, so that no line ends within it.
        r"<details><summary><code>layers\.<span class=\"ps-one\">\[0-3,5\]</span>\.up\.weight</code> ×5</summary>"
        r"(.*?)</details>",
        text,
    )
    assert opened is not None
    assert re.findall("<li><code>(.*?)</code></li>", opened[1]) == [f"layers.{i}.up.weight" for i in (0, 1, 2, 3, 5)]
    closed = page(report(), depth=1)
    opened = re.search(r"<details><summary><code>layers</code></summary>(.*?)</details>", closed)
    assert opened is not None
    assert len(re.findall("<li><code>", opened[1])) == 30
    assert "<details><summary><code>" not in page(report(), fold=False)


def test_every_status_has_its_word_and_its_look() -> None:
    model = Net()
    model.register_parameter("empty", None)
    model.lazy = nn.LazyLinear(3)
    text = page(audit(model), fold=False)
    found = set(re.findall(r'<tr class="ps-(\w+)"><td.*?<span class="ps-status">(\w+)</span>', text))
    words = {"trainable", "frozen", "hidden", "buffer", "attribute", "empty"}
    assert {(word, word) for word in words} <= found
    looks = re.findall(r"\.ps-(\w+) \.ps-status::before\{([^}]*)\}", STYLE)
    assert len({look for _, look in looks}) == len(looks) == 6
    assert {name for name, _ in looks} == words - {"empty"} | {"unknown"}


def test_a_notebook_gets_a_part_of_a_page() -> None:
    net = report()
    part = page(net, page=False)
    picture = str(net.render("treemap"))
    assert net._repr_html_() == (f"<details open><summary>Elements by module</summary>\n{picture}</details>\n{part}")
    assert part.startswith('<div class="paramscope">\n<style>')
    assert part.endswith("</div>\n")
    assert Page(part).tags.isdisjoint({"html", "head", "body", "meta", "title"})
    # In a notebook a style is everybody's, and its colours are the theme's.
    selectors = re.findall(r"^(?!@|\})([^{]*)\{", STYLE.replace("\\\n", ""), re.MULTILINE)
    assert len(selectors) > 20
    assert all(each.startswith(".paramscope") for selector in selectors for each in selector.split(","))
    assert not re.search(r"[{;](color|background):(?!inherit|none|var|#)", STYLE)


def test_findings_come_first() -> None:
    found = tuple(
        Finding("PS99" + severity.value[0], "odd", severity, "layers.0 is odd.", ("layers.0", ""), help="Mend it.")
        for severity in (Severity.ERROR, Severity.INFO)
    )
    text = page(Report(audit(Net()).snapshot, findings=found, ignored=found))
    boxes = re.findall(r'<div class="ps-(error|warning|info)">(.*)</div>', text)
    assert [kind for kind, _ in boxes] == ["error", "info", "info"]
    assert "".join(Page(boxes[0][1]).texts) == "error PS99e odd: layers.0 is odd. Mend it. (layers.0, the root)"
    assert boxes[2][1] == "2 findings ignored on request"
    assert text.index("PS99e") < text.index("<table>")


def test_options_are_those_of_a_selection() -> None:
    net = report()
    assert [row[0] for row in rows(page(net, path="layers.4.*", sort="elements"))][:2] == [
        "layers.4.up.weight",
        "layers.4.down.weight",
    ]
    assert {row[1] for row in rows(page(net, status="frozen,buffer"))} == {"frozen", "buffer"}
    assert "no slot is unknown" in page(net, status="unknown")
    with pytest.raises(FormatError):
        page(net, sort="x")
    with pytest.raises(GlobError):
        page(net, path="x")


def test_a_page_that_runs_is_small_and_its_libraries_are_the_ones_on_record() -> None:
    text = audit(nn.Module()).to_html()
    assert len(text) <= 2_000_000
    vendor = Path(paramscope.__file__).parent / "render" / "document" / "_app" / "vendor"
    recorded = {
        name: checksum
        for library in json.loads((vendor / "vendored.json").read_text())
        for name, checksum in library["sha256"].items()
    }
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in vendor.iterdir()}
    found.pop("vendored.json")
    assert found == recorded
    for name in ("echarts.min.js", "tabulator.min.js", "tabulator.min.css"):
        assert (vendor / name).read_text(encoding="utf-8") in text


def test_what_is_installed_makes_it_without_a_network(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    code = """
        import socket, sys
        def refused(*_, **__):
            raise AssertionError("a connection")
        socket.socket.connect = socket.create_connection = socket.getaddrinfo = refused
        import paramscope, torch
        assert paramscope.__file__.startswith(sys.path[1]), paramscope.__file__
        print(len(paramscope.audit(torch.nn.Linear(2, 2)).to_html()))
    """
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1_500_000


def test_names_in_the_data_end_nothing() -> None:
    model = nn.Module()
    model._parameters["</script><script>"] = nn.Parameter(torch.zeros(1))
    text = audit(model).to_html()
    data = text.partition('id="ps-data">')[2].partition("</script>")[0]
    assert json.loads(data)["slots"]["name"]["values"] == ["</script><script>"]
    assert "<" not in data


def test_it_is_of_bounded_size() -> None:
    model = nn.Module()
    for i in range(LINES + 500):
        model._parameters[f"p{'x' * (i % 7)}{i}"] = nn.Parameter(torch.zeros(1 + i % 5))
    text = page(audit(model))
    assert len(rows(text)) == LINES
    assert "… and 500 more lines" in text
    assert len(text) < 2_000_000
    wide = nn.ModuleList(nn.ParameterList(torch.zeros(1 + kind) for _ in range(300)) for kind in range(60))
    text = page(audit(wide))
    inside = re.findall("<li><code>", text)
    assert len(inside) == INSIDE
    assert "<li>… and 200 more</li>" in text


def test_a_name_keeps_both_ends() -> None:
    model = nn.Module()
    model._parameters["begin" + "x" * 10_000 + "end"] = nn.Parameter(torch.zeros(1))
    ((path, *_),) = rows(page(audit(model)))
    assert len(path) < 300
    assert path.startswith("begin")
    assert path.endswith("end")
