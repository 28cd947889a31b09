"""The page of a report in a real browser: everything that a reader can do with it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from playwright.sync_api import Page, expect
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from benchmarks.models import moe
from browser.conftest import Open, rows, settled, until
from paramscope import Report, audit, diff
from paramscope.snapshot import RunKind
from paramscope.text import nbytes


def language(run: RunKind | None = None) -> Report:
    """A GPT-2 whose embedding and first block are frozen, with two groups that hold all of it."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(n_layer=4, n_embd=64, n_head=2, vocab_size=500))
    model.transformer.wte.requires_grad_(False)
    model.transformer.h[0].requires_grad_(False)
    matrices = [each for each in model.parameters() if each.dim() > 1]
    rest = [each for each in model.parameters() if each.dim() < 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups)
    ids = torch.randint(0, 500, (1, 8))
    return audit(model, optimizer=optimizer, run=run, inputs={"input_ids": ids, "labels": ids} if run else None)


def thawed() -> Report:
    """A Llama of 70 billion parameters, its head tied, frozen but for one block of 80."""
    sizes = {"hidden_size": 8_192, "intermediate_size": 28_672, "num_hidden_layers": 80, "vocab_size": 128_256}
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=64, num_key_value_heads=8))
    for path, parameter in model.named_parameters():
        parameter.requires_grad_(path.startswith("model.layers.7."))
    model.lm_head.weight = model.model.embed_tokens.weight
    return audit(model)


def experts() -> Report:
    """50 layers of 667 experts, of which one is frozen in part and two are tied."""
    model: Any = moe()
    model[3][5].w1.weight.requires_grad_(False)
    model[7][1].w2.weight = model[8][1].w2.weight
    return audit(model)


@pytest.fixture(scope="module")
def net() -> Report:
    return language()


def chart_point(page: Page, module: int) -> tuple[float, float]:
    """Where the area of a module lies in the window. ECharts keeps for each area where it lies in the one around it."""
    find = """module => {
        const data = echarts.getInstanceByDom(document.getElementById("ps-chart")).getModel().getSeriesByIndex(0).getData();
        for (let at = 0; at < data.count(); at += 1) {
            if (data.getRawDataItem(at)?.module !== module) continue;
            let [x, y] = [12, 8];
            for (let node = data.tree.getNodeByDataIndex(at); node; node = node.parentNode) {
                x += node.getLayout().x;
                y += node.getLayout().y;
            }
            return [x, y];
        }
    }"""
    found = page.evaluate(find, module)
    assert found, "it has no area"
    box = page.locator("#ps-chart").bounding_box()
    assert box
    return box["x"] + found[0], box["y"] + found[1]


def crumbs(page: Page) -> list[str]:
    """Where the map is."""
    settled(page)
    return page.locator("#ps-crumbs button").all_inner_texts()


def row(page: Page, name: str) -> str:
    """A selector of the line of a name."""
    return f".tabulator-row:has(.ps-name[title='{name}'])"


MODELS = {
    # (report, a search, a module of the map, the ends of a tie)
    "gpt2": (language, "c_attn", "transformer.h", ["transformer.wte.weight", "lm_head.weight"]),
    "llama": (thawed, "gate_proj", "model.layers.7", ["model.embed_tokens.weight", "lm_head.weight"]),
    "moe": (experts, "3.5.w1", "3", ["7.1.w2.weight", "8.1.w2.weight"]),
}


@pytest.mark.parametrize("name", MODELS)
def test_everything_on_large_models(name: str, opened: Open) -> None:
    build, words, area, tie = MODELS[name]
    report = build()
    page = opened(report)
    # It opens.
    assert rows(page)[0].startswith(f"▾{report.modules[''].type.rpartition('.')[2]}")
    assert page.locator("#ps-chart canvas").count() == 1
    assert not page.locator(".ps-printed").is_visible()
    # Search.
    page.fill("#ps-search", words)
    settled(page)
    matching = [path for path, slot in report.slots.items() if words in path and slot.status != "empty"]
    expect(page.locator("#ps-found")).to_contain_text(f"{len(matching):,} of ")
    page.fill("#ps-search", "")
    # Filter.
    page.click("[data-chip=status][data-value=frozen]")
    expect(page.locator("#ps-found")).to_contain_text(f"{sum(each.frozen for each in report.slots.values()):,} of ")
    page.click("[data-chip=status][data-value=frozen]")
    settled(page)
    # Open and close a line.
    inside = page.locator(".tabulator-row[aria-expanded]:not([aria-level='1']) .ps-name").first.get_attribute("title")
    place = page.locator(row(page, str(inside)))
    was = place.get_attribute("aria-expanded")
    place.click()
    settled(page)
    assert {was, place.get_attribute("aria-expanded")} == {"true", "false"}
    # Go into the map and back.
    before = crumbs(page)
    page.mouse.click(*chart_point(page, report.modules.position(area)))
    assert len(crumbs(page)) > len(before)
    page.click("#ps-crumbs button >> nth=0")
    assert crumbs(page) == before
    # Follow a finding, and a tie from one end to the other.
    page.locator(".ps-finding .ps-path").first.click()
    settled(page)
    expect(page.locator(".ps-chosen")).to_have_count(1)
    page.fill("#ps-search", tie[0])
    settled(page)
    page.locator(".ps-tie").first.click()
    settled(page)
    for end in ("", page.locator(".ps-chosen .ps-name").get_attribute("title")):
        if end:
            page.locator(".ps-chosen .ps-tie").click()
            settled(page)
        expect(page.locator(".ps-chosen .ps-name")).to_have_attribute(
            "title", re.compile("|".join(map(re.escape, {*tie} - {end})))
        )
    # Restore it from its address, in the dark.
    again = opened(report, page.evaluate("location.hash"), color_scheme="dark")
    assert lines(again) == lines(page)
    assert again.locator(".ps-chosen .ps-name").inner_text() == page.locator(".ps-chosen .ps-name").inner_text()
    assert ground(again) < 60
    # By keyboard alone.
    again.focus("#ps-search")
    again.keyboard.press("ControlOrMeta+A")
    again.keyboard.type(words)
    settled(again)
    for _ in range(80):
        again.keyboard.press("Tab")
        if "tabulator-row" in again.evaluate("document.activeElement.className"):
            break
    again.keyboard.press("End")
    until(again, "document.activeElement.getAttribute('aria-level') > 1")


def test_a_run_has_its_columns_and_colours(opened: Open) -> None:
    page = opened(language("step"), "#color=norm&size=flops")
    heads = page.locator("#ps-table .tabulator-col").all_inner_texts()
    for head in ("output", "FLOPs", "kept", "reached", "grad", "grad norm", "update"):
        assert any(head == each.strip() for each in heads), head
    assert page.locator("#ps-legend .ps-scale").is_visible()
    # What is no part of a run is no choice elsewhere.
    assert "gradient norm" not in opened(language()).locator("select[data-state=color]").inner_text()


def test_search(net: Report, opened: Open) -> None:
    page = opened(net)
    page.fill("#ps-search", "C_ATTN")
    settled(page)
    expect(page.locator("#ps-found")).to_have_text("8 of 53 slots")
    assert all(re.search("GPT2LMHeadModel|transformer|h |attn|weight|bias|GPT2Block", each) for each in rows(page))
    assert not any("mlp" in each for each in rows(page))
    page.fill("#ps-search", "transformer.h.[1-2].*.bias")
    expect(page.locator("#ps-found")).to_have_text("12 of 53 slots")
    page.fill("#ps-search", "nothing is called this")
    expect(page.locator("#ps-table .tabulator-placeholder")).to_be_visible()
    page.fill("#ps-search", "")
    expect(page.locator("#ps-found")).to_have_text("53 slots")


@pytest.mark.parametrize(
    "words", ["[", "[0-", "*[", "\\", "(", "a[0-9", "[9-0]", "?", ",", "  ", "'\"<b>", "[0-99999999999999999999]"]
)
def test_whatever_is_searched_for(words: str, net: Report, opened: Open) -> None:
    page = opened(net)
    page.fill("#ps-search", words)
    settled(page)
    assert re.fullmatch(r"(\d+ of )?53 slots", page.locator("#ps-found").inner_text())


def test_globs_mean_what_they_mean_elsewhere(net: Report, opened: Open) -> None:
    page = opened(net)
    for glob in (
        "*.bias",
        "transformer.h.[0,2]",
        "*.h.?.mlp",
        "transformer.wte.weight,*.ln_f.*",
        "transformer.h.[0-3:2].*attn*",
        "transformer.h.[0-1] ×2 !PS209",
    ):
        page.fill("#ps-search", glob)
        settled(page)
        assert page.locator("#ps-found").inner_text().split()[0] == str(
            len([each for each in net.select(glob) if each.status != "empty"])
        ), glob


def test_filters(net: Report, opened: Open) -> None:
    page = opened(net)
    page.click("[data-chip=status][data-value=frozen]")
    expect(page.locator("#ps-found")).to_have_text(f"{sum(each.frozen for each in net.slots.values())} of 53 slots")
    assert page.locator("[data-chip=status][data-value=frozen]").get_attribute("aria-pressed") == "true"
    page.click("[data-chip=has][data-value=ties]")
    expect(page.locator("#ps-found")).to_have_text("2 of 53 slots")
    page.click("[data-chip=status][data-value=frozen]")
    page.click("[data-chip=has][data-value=ties]")
    page.click("[data-chip=has][data-value=findings]")
    assert any("!PS" in each for each in rows(page))
    page.click("[data-chip=has][data-value=findings]")
    page.select_option("select[data-state=group]", "0:1")
    settled(page)
    held = {path for group in net.optimizers[0].groups if group.index == 1 for path in group.slots}
    expect(page.locator("#ps-found")).to_have_text(f"{len(held)} of 53 slots")


def lines(page: Page) -> int:
    """How many lines the table has, drawn or not."""
    settled(page)
    return int(page.locator("#ps-table").get_attribute("aria-rowcount") or 0) - 1


def test_lines_open_and_close(net: Report, opened: Open) -> None:
    page = opened(net)
    before = lines(page)
    place = page.locator(row(page, "transformer.h.[1-3].ln_1"))
    was = place.get_attribute("aria-expanded")
    assert was in ("true", "false")
    place.click()
    assert (lines(page) < before) is (was == "true")
    page.locator(row(page, "transformer.h.[1-3].ln_1")).click()
    assert lines(page) == before
    page.click("#ps-fold")
    assert "×" not in "".join(rows(page))


def test_the_wheel_reaches_every_line_and_few_are_drawn(net: Report, opened: Open) -> None:
    page = opened(net, "#fold=0&q=transformer")
    assert lines(page) > 60
    assert page.locator(".tabulator-row").count() < lines(page)
    page.evaluate("document.getElementById('ps-table').scrollIntoView()")
    box = page.locator("#ps-table").bounding_box()
    assert box
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    seen = set(rows(page))
    for _ in range(40):
        page.mouse.wheel(0, 200)
        page.wait_for_timeout(30)
    last = page.locator(".tabulator-row").last
    assert last.get_attribute("aria-rowindex") == str(lines(page) + 1)
    assert page.locator(".tabulator-row[tabindex='0']").count() >= 1
    assert set(rows(page)) - seen


def test_a_line_of_several_slots_lists_them(net: Report, opened: Open) -> None:
    page = opened(net, "#q=ln_1.weight")
    page.locator(row(page, "transformer.h.[1-3].ln_1.weight")).click()
    found = rows(page)
    for number in (1, 2, 3):
        assert any(f"transformer.h.{number}.ln_1.weight" in each for each in found), found


def test_sorting(net: Report, opened: Open) -> None:
    page = opened(net)

    def figures() -> list[int]:
        settled(page)
        of_transformer = ".tabulator-row[aria-level='3']:not(:has(.ps-name[title='lm_head.weight']))"
        cells = page.locator(f"{of_transformer} [tabulator-field=elements]").all_inner_texts()
        return [int(each.replace(",", "").strip("()\n ")) for each in cells]

    as_built = figures()
    page.click("[data-sort=elements]")
    assert figures() == sorted(as_built, reverse=True) != as_built
    page.click("[data-sort=elements]")
    assert figures() == sorted(as_built)
    assert page.locator("[role=columnheader][aria-sort=ascending]").inner_text().startswith("elements")
    page.click("[data-sort=elements]")
    assert figures() == as_built


def test_the_map_goes_into_a_module_and_back(net: Report, opened: Open) -> None:
    page = opened(net)
    assert crumbs(page) == ["GPT2LMHeadModel", "transformer"]
    page.mouse.click(*chart_point(page, net.modules.position("transformer.h")))
    assert crumbs(page) == ["GPT2LMHeadModel", "transformer", "h"]
    page.click("#ps-largest button >> nth=0")
    assert len(crumbs(page)) == 4
    page.click("#ps-crumbs button >> text=transformer")
    assert crumbs(page) == ["GPT2LMHeadModel", "transformer"]
    page.go_back()
    assert len(crumbs(page)) == 4
    page.select_option("select[data-state=chart]", "sunburst")
    settled(page)
    page.select_option("select[data-state=color]", "groups")
    assert "0:0" in page.locator("#ps-legend").inner_text()


def test_a_finding_leads_to_its_line_and_back(net: Report, opened: Open) -> None:
    page = opened(net)
    assert page.locator(".ps-finding").count() == len(net.findings)
    page.locator(".ps-finding .ps-path >> text=transformer.h.0.attn.c_attn.weight").first.click()
    settled(page)
    chosen = page.locator(".tabulator-row.ps-chosen")
    expect(chosen).to_have_count(1)
    assert "weight" in chosen.inner_text()
    assert chosen.is_visible()
    chosen.locator(".ps-mark").first.click()
    expect(page.locator(".ps-finding:focus")).to_have_count(1)


def test_a_tie_leads_to_its_other_end(net: Report, opened: Open) -> None:
    page = opened(net)
    page.locator(f"{row(page, 'transformer.wte.weight')} .ps-tie").click()
    settled(page)
    chosen = page.locator(".tabulator-row.ps-chosen .ps-name")
    assert chosen.get_attribute("title") == "lm_head.weight"
    page.locator(".tabulator-row.ps-chosen .ps-tie").click()
    settled(page)
    assert page.locator(".tabulator-row.ps-chosen .ps-name").get_attribute("title") == "transformer.wte.weight"
    page.select_option("select[data-state=chart]", "ties")
    settled(page)


def test_the_address_restores_what_was_looked_at(net: Report, opened: Open) -> None:
    page = opened(net)
    page.fill("#ps-search", "attn")
    page.click("[data-chip=status][data-value=trainable]")
    page.select_option("select[data-state=color]", "groups")
    page.click("[data-sort=bytes]")
    page.click("#ps-largest button >> nth=0")
    settled(page)
    page.locator(".tabulator-row >> nth=3").click()
    settled(page)
    address = page.evaluate("location.hash")
    again = opened(net, address)
    assert lines(again) == lines(page)
    assert crumbs(again) == crumbs(page)
    assert again.input_value("#ps-search") == "attn"
    assert again.locator("select[data-state=color]").input_value() == "groups"
    assert again.locator("#ps-legend").inner_text() == page.locator("#ps-legend").inner_text()
    assert again.locator(".ps-chosen .ps-name").inner_text() == page.locator(".ps-chosen .ps-name").inner_text()


@pytest.mark.parametrize(
    "address",
    [
        "#size=constructor&color=toString&has=constructor",
        "#size=__proto__&color=__proto__",
        "#root=no.such&row=n999&open=x,y&sort=q&color=zz&size=--&chart=pie",
        "#q=%E0%A4%A",
        "#=&&==",
        "#theme=<b>",
    ],
)
def test_an_address_that_means_nothing(address: str, net: Report, opened: Open) -> None:
    page = opened(net, address)
    assert page.locator("#ps-chart canvas").count() == 1


def ground(page: Page) -> int:
    """How light the page's ground is, 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) // 3


def test_dark_and_light(net: Report, opened: Open) -> None:
    assert ground(opened(net)) > 200
    page = opened(net, color_scheme="dark")
    assert ground(page) < 60
    page.click("#ps-light")
    page.click("#ps-light")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert ground(page) > 200
    assert ground(opened(net, "#theme=dark")) < 60


def test_the_keyboard_alone(net: Report, opened: Open) -> None:
    page = opened(net)
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "ps-search":
            break
    page.keyboard.type("attn")
    settled(page)
    for _ in range(80):
        page.keyboard.press("Tab")
        if "tabulator-row" in page.evaluate("document.activeElement.className"):
            break
    assert "GPT2LMHeadModel" in page.evaluate("document.activeElement.innerText")
    page.keyboard.press("ArrowDown")
    settled(page)
    focus = "document.activeElement.querySelector('.ps-name')?.title"
    until(page, f"{focus} === 'transformer'")
    page.keyboard.press("ArrowLeft")
    settled(page)
    until(page, "document.activeElement.getAttribute('aria-expanded') === 'false'")
    shut = rows(page)
    page.keyboard.press("ArrowRight")
    settled(page)
    until(page, "document.activeElement.getAttribute('aria-expanded') === 'true'")
    assert len(rows(page)) > len(shut)
    page.keyboard.press("End")
    settled(page)
    until(page, f"{focus} && {focus} !== 'transformer'")
    page.keyboard.press("Home")
    until(page, "document.activeElement.querySelector('.ps-name')?.innerText.includes('GPT2LMHeadModel')")
    assert page.locator("[role=treegrid] [role=row][aria-level='2']").count() >= 1


def test_without_script_the_table_is_read(net: Report, opened: Open) -> None:
    page = opened(net, java_script_enabled=False)
    assert page.locator("table").first.is_visible()
    assert not page.locator("#ps-app").is_visible()


def test_it_is_printed_as_a_table(net: Report, opened: Open) -> None:
    page = opened(net)
    page.emulate_media(media="print")
    assert page.locator(".ps-printed table").first.is_visible()
    assert not page.locator("#ps-app").is_visible()


def test_what_is_told_below_leads_to_the_table(net: Report, opened: Open) -> None:
    page = opened(net)
    page.locator(".ps-section .ps-link >> text=lm_head.weight").first.click()
    settled(page)
    assert page.locator(".ps-chosen .ps-name").get_attribute("title") == "lm_head.weight"


@pytest.mark.parametrize("build", [lambda: nn.Module(), lambda: nn.Linear(2, 2), lambda: nn.LazyLinear(3), lambda: {"a": nn.Linear(1, 1), "b": nn.ReLU()}, lambda: nn.BatchNorm1d(2).requires_grad_(False)], ids=["empty", "linear", "lazy", "roots", "frozen"])  # fmt: skip
def test_small_models(build: object, opened: Open) -> None:
    page = opened(audit(build()))  # type: ignore[operator]
    assert page.locator("#ps-app").is_visible()


def test_costs_are_a_view_and_colours(opened: Open) -> None:
    report = language("step")
    page = opened(report.to_html(cost=True), "#chart=cost")
    told = "echarts.getInstanceByDom(document.getElementById('ps-chart')).getOption().series.map((each) => each.data.reduce((a, b) => a + b, 0))"
    first = report.cost.at_first_step
    assert first
    assert page.evaluate(told) == [part or 0 for part in first.sums]
    assert not page.locator("select[data-state=size]").is_visible()
    page.select_option("select[data-state=chart]", "treemap")
    page.select_option("select[data-state=size]", "cost")
    page.select_option("select[data-state=color]", "cost")
    settled(page)
    area = "echarts.getInstanceByDom(document.getElementById('ps-chart')).getModel().getSeriesByIndex(0).getData().tree.root.getValue()"
    without_activations = sum(part or 0 for part in first.sums[:4])
    assert page.evaluate(area) == without_activations


def test_the_page_of_a_diff_is_coloured_by_what_changed(net: Report, opened: Open) -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=4, n_embd=64, n_head=2, vocab_size=500))
    before = audit(model)
    model.transformer.h[1].requires_grad_(False)
    model.register_buffer("extra", torch.zeros(3))
    changed = diff(before, model)
    page = opened(changed.render("html"))
    page.click("[data-chip=has][data-value=changed]")
    expect(page.locator("#ps-found")).to_contain_text(f"{len(changed.froze) + len(changed.added)} of ")
    assert {"froze", "added"} <= set(page.locator("#ps-legend").inner_text().split("\n"))
    assert "froze" in page.locator("li").all_inner_texts()[0]


def test_filter_by_role(opened: Open) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    page = opened(audit(model))
    page.select_option("select[data-state=role]", "buffer")
    expect(page.locator("#ps-found")).to_have_text("3 of 7 slots")


class Views(nn.Module):
    """A view of a weight, and a list that hides a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(8, 8)
        self.view = self.lin.weight.detach().view(-1)[3:20]
        self.norm = nn.BatchNorm1d(8)
        self.hidden = [nn.Linear(8, 8)]


TRUE = {
    "views": lambda: audit(Views()),
    "roots": lambda: audit({"act": nn.ReLU(), "lin": nn.Linear(4, 4)}),
    "tied": language,
    "buffers": lambda: audit(nn.BatchNorm1d(4, affine=False)),
}


@pytest.mark.parametrize("name", TRUE)
def test_sums_are_those_of_the_report(name: str, opened: Open) -> None:
    report = TRUE[name]()
    page = opened(report)
    top = page.locator(".tabulator-row[aria-level='1']")
    told = [each.rpartition(" ")[2] for each in top.locator("[tabulator-field=elements]").all_inner_texts()]
    sums = report.totals
    assert sum(int(each.strip().replace(",", "")) for each in told) == (sums.parameters or sums.buffers)
    if len(report.snapshot.roots) == 1:
        assert top.locator("[tabulator-field=bytes]").inner_text().strip() == nbytes(sums.nbytes)
    shares = page.locator("#ps-largest button span:last-child").all_inner_texts()
    assert sum(float(each.strip("%")) for each in shares) == pytest.approx(100, abs=0.3)


def test_a_module_that_has_two_paths_ran_once(opened: Open) -> None:
    shared = nn.Linear(8, 8)
    model = nn.ModuleDict({"a": shared, "l": nn.ModuleList([shared, nn.Linear(8, 4)])})

    def run(roots: Any) -> torch.Tensor:
        found: torch.Tensor = roots["l"][1](roots["a"](torch.ones(1, 8)))
        return found

    report = audit(model, inputs=run)
    page = opened(report, "#size=flops")
    tops = page.locator("#ps-largest button").all_inner_texts()
    assert sum(float(each.split()[-1].strip("%")) for each in tops) == pytest.approx(100, abs=0.2)


def test_what_is_unknown_is_no_zero(opened: Open) -> None:
    page = opened(audit(nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 2))))
    said = page.locator(".tabulator-row [tabulator-field=elements]").all_inner_texts()
    assert said[0].strip() == "8 + unknown"
    assert "unknown" in [each.strip() for each in said]


def test_groups_of_any_name(opened: Open) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    page = opened(audit(model, optimizer={"my opt": torch.optim.SGD(model[0].parameters(), lr=0.1)}))
    assert page.locator("select[data-state=group] option").all_inner_texts() == ["all", "my opt:0", "in no group"]
    page.select_option("select[data-state=group]", "my opt:0")
    expect(page.locator("#ps-found")).to_have_text("2 of 4 slots")
    page.select_option("select[data-state=group]", "in no group")
    expect(page.locator("#ps-found")).to_have_text("2 of 4 slots")
    page.click("#ps-clear")
    expect(page.locator("#ps-found")).to_have_text("4 slots")


def test_marks_of_a_row_are_reached_by_key(net: Report, opened: Open) -> None:
    page = opened(net, "#q=transformer.wte.weight")
    page.focus(row(page, "transformer.wte.weight"))
    page.keyboard.press("f")
    expect(page.locator(".ps-finding:focus")).to_have_count(1)
    page.focus(row(page, "transformer.wte.weight"))
    page.keyboard.press("t")
    settled(page)
    expect(page.locator(".ps-chosen .ps-name")).to_have_attribute("title", "lm_head.weight")


def test_what_was_cleared_stays_cleared(net: Report, opened: Open) -> None:
    page = opened(net.to_html(path="*.bias"))
    assert page.input_value("#ps-search") == "*.bias"
    page.click("#ps-clear")
    expect(page.locator("#ps-found")).to_have_text("53 slots")
    again = opened(net.to_html(path="*.bias"), page.evaluate("location.hash"))
    expect(again.locator("#ps-found")).to_have_text("53 slots")
    assert lines(opened(net.to_html(depth=1))) == 3


def test_the_way_back_keeps_what_was_searched_for(net: Report, opened: Open) -> None:
    page = opened(net)
    page.mouse.click(*chart_point(page, net.modules.position("transformer.h")))
    page.fill("#ps-search", "attn")
    settled(page)
    page.go_back()
    assert crumbs(page) == ["GPT2LMHeadModel", "transformer"]
    assert page.input_value("#ps-search") == "attn"
