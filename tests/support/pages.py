"""What must hold of every HTML page, whatever is named in it."""

from __future__ import annotations

import json
import re
from functools import cache
from html.parser import HTMLParser

from torch import nn

from paramscope import Report, audit
from paramscope.render.document._html_style import PAGE, STYLE

_SCRIPT = re.compile(r'<script(?: type="application/json" id="ps-data")?>(.*?)</script>\n', re.DOTALL)
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_POLICY = re.compile(r'"Content-Security-Policy" content="(.*?)"')


class Page(HTMLParser):
    """What a browser would make of a page: elements, attributes, text."""

    VOID = ("meta",)

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.texts: list[str] = []
        self.styles: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], tag
        self.open.pop()

    def handle_data(self, data: str) -> None:
        (self.styles if self.open[-1:] == ["style"] else self.texts).append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")


TAGS = {
    *(
        "html",
        "head",
        "meta",
        "h1",
        "main",
        "title",
        "style",
        "body",
        "div",
        "p",
        "ul",
        "li",
        "code",
        "span",
        "details",
        "summary",
    ),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
LABELS = {
    *("shape", "dtype", "device", "elements", "gradient", "stepped", "saved", "moved", "groups"),
    *("group", "tensors", "of the model", "state"),
}


def markup_of(text: str) -> str:
    """A page without what runs in it: its data holds no markup, and its scripts, its style and its policy are those of
    any other page."""
    if "<script" not in text:
        return text
    for whole, instead in _of_any_page():
        assert text.count(whole) == 1
        text = text.replace(whole, instead)
    (data,) = _SCRIPT.findall(text)
    assert isinstance(json.loads(data), dict)
    assert "<" not in data
    return _SCRIPT.sub("", text)


@cache
def _of_any_page() -> list[tuple[str, str]]:
    """The scripts, the style and the policy of the page of a harmless model, with what stands for them in markup."""
    text = audit(nn.Linear(2, 2)).to_html()
    (style,), (policy,) = _STYLE.findall(text), _POLICY.findall(text)
    scripts = [each[0] for each in _SCRIPT.finditer(text)][1:]
    assert len("".join(scripts)) > 1_000_000
    plain = "default-src 'none'; style-src 'unsafe-inline'"
    return [*((each, "") for each in scripts), (style, f"{PAGE}{STYLE}"), (f'"{policy}"', f'"{plain}"')]


def check_html(text: str, report: Report) -> None:
    """Nothing but our own elements and attributes."""
    page = Page(markup_of(text))
    assert page.tags <= TAGS, page.tags - TAGS
    for name, value in page.attributes:
        if name == "class":
            assert re.fullmatch(r"paramscope|ps-[a-z]+", value), value
        elif name == "data-label":
            assert value in LABELS, value
        else:
            assert (name, value) in OTHERS, (name, value)
    assert "".join(page.styles).strip() == (PAGE + STYLE).strip()


OTHERS = {
    ("lang", "en"),
    ("charset", "utf-8"),
    ("name", "viewport"),
    ("content", "width=device-width, initial-scale=1"),
    ("http-equiv", "Content-Security-Policy"),
    ("content", "default-src 'none'; style-src 'unsafe-inline'"),
    ("scope", "col"),
    ("open", ""),
    ("id", "ps-app"),
    ("id", "ps-theme"),
}
