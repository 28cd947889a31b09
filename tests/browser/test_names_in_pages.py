"""Names are data in a browser, too: whatever a model, its author or a finding is called, nothing runs and nothing breaks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_names import NAMES
from torch import nn

from browser.conftest import Open, rows, settled
from paramscope import Finding, Report, Severity, audit
from paramscope.report.finding import Location

MORE = {
    "an address that runs": "javascript:alert(1)",
    "null bytes": "a\0null\0b",
    "half a character": "\ud800half",
    "a template": "${alert(1)}{{alert(1)}}",
    "of a prototype": "__proto__",
    "a constructor": "constructor",
    "an end of data": '"}</script><script>alert(1)</script>',
    "lines of JavaScript": "a\u2028b\u2029c",
}
ALL = {**{kind: name for kind, (name, _) in NAMES.items()}, **MORE}


def report_of(name: str) -> Report:
    """A model in which everything has that name, as far as torch lets it."""
    made = type("".join(filter(str.isprintable, name)).replace(".", "_") or "X", (nn.Module,), {})
    model = nn.Module()
    model._parameters[name] = nn.Parameter(torch.zeros(2, 3))
    model._buffers[f"b{name}"] = torch.zeros(4)
    model._modules[f"m{name}"] = inner = made()
    inner._parameters[name] = nn.Parameter(torch.zeros(5, 2))
    inner._parameters["tied"] = model._parameters[name]
    inner._modules[name] = nn.ModuleDict({f"k{name.replace('.', '_')}": nn.Linear(2, 2)})
    model.__dict__[f"a{name}"] = {name: torch.zeros(3)}
    optimizer: Any = torch.optim.SGD([{"params": list(model.parameters())[:2], name: name}], lr=0.1)
    found = audit(model, optimizer={name: optimizer})
    paths = tuple(found.slots)[:3]
    finding = Finding(
        name,
        name,
        Severity.ERROR,
        f"of {name}: {name}",
        (*paths, name, f"m{name}"),
        location=Location(name, 1),
        help=name,
    )
    return found.having(findings=(finding, *found.findings), target=name)


@pytest.mark.parametrize("kind", ALL)
def test_names_do_nothing(kind: str, opened: Open) -> None:
    page = opened(report_of(ALL[kind]), "#color=groups")
    assert len(rows(page)) >= 4
    assert page.locator("script").count() == 4
    assert page.locator("img, iframe, object, embed, a, link, form, base, svg").count() == 0
    inline = "[...document.querySelectorAll('*')].flatMap((each) => each.getAttributeNames()).filter((name) => name.startsWith('on'))"
    assert page.evaluate(inline) == []
    for control in (".ps-path", ".ps-mark", ".ps-tie", "[data-chip]", "#ps-fold", "#ps-largest button"):
        for each in page.locator(control).all()[:3]:
            if each.is_visible():
                each.click()
                settled(page)
    for chart in ("sunburst", "ties", "treemap"):
        page.select_option("select[data-state=chart]", chart)
        box = page.locator("#ps-chart").bounding_box()
        assert box
        for x in (0.1, 0.3, 0.5, 0.7):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + box["height"] / 2)
            page.wait_for_timeout(30)
    wide = "[...document.querySelectorAll('body *')].filter((each) => each.getBoundingClientRect().right > innerWidth && !each.closest('#ps-table')).map((each) => each.outerHTML.slice(0, 80))"
    assert page.evaluate(wide) == []


def test_the_policy_forbids_all_else(opened: Open) -> None:
    page = opened(audit(nn.Linear(2, 2)))
    tried = """() => {
        const script = document.createElement("script");
        script.textContent = "window.ran = 1";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.ran = 2'><b onclick='window.ran = 3' id=b>b</b>");
        document.getElementById("b").click();
        return fetch("https://example.org/").then(() => "fetched", () => window.ran ?? "nothing");
    }"""
    assert page.evaluate(tried) == "nothing"
    refused = opened.complaints  # type: ignore[attr-defined]
    assert len([each for each in refused if "Content Security Policy" in each]) >= 3
    refused.clear()
    del opened.asked[1:]  # type: ignore[attr-defined]  # Playwright tells of what the browser does not send, too
