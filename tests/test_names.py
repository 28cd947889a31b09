"""Names are data: in every field that holds one, every text format shows them, escaped, and none takes them for more."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from support.comments import MARKDOWN, check_markdown
from support.csv_checks import check_csv
from support.hostile_models import check_text
from support.pages import Page, check_html, markup_of
from torch import nn
from wcwidth import wcswidth

from paramscope import Finding, Location, Report, Severity, audit
from paramscope.render import formats, options_of

PICTURES = ("png", "pdf", "svg")  # of svg the scene's own tests say more
TEXTS = [format for format in formats() if format not in PICTURES]
PLAIN = "unremarkable"

# What is hostile, and the harmless part that still has to be read.
NAMES: dict[str, tuple[str, str]] = {
    "a script": ("<script>alert(1)</script>", "script"),
    "an image": ("<img src=x onerror=painted>", "painted"),
    "a closing": ("closed</style></code></summary></table><b x='", "closed"),
    "double quotes": ('a"quoted" onload="b', "quoted"),
    "single quotes": ("a'quoted' onload='b", "quoted"),
    "backticks": ("a`ticked``b```", "ticked"),
    "a backtick first": ("`ticked", "ticked"),
    "pipes": ("a|piped|b", "piped"),
    "a backslash before a pipe": ("a\\|piped\\\\|b\\", "piped"),
    "newlines": ("a\nlined\n\n# b\n::set-output name=x::y", "lined"),
    "CR": ("a\rlined\r\nb", "lined"),
    "a tab": ("\ttabbed", "tabbed"),
    "ANSI": ("crimson\x1b[31m\x1b[0m\x1b]0;title\x07\x9b2J", "crimson"),
    "a GitHub command": ("%0A::error file=x::told", "error"),
    "mentions": ("@octocat @org/team #12 org/repo#12 GH-12 :smile: 0123456789abcdef", "octocat"),
    "addresses": ("https://linked.org www.x.org a@b.org <http://x.org>", "linked"),
    "marks of direction": ("a\u202eturned\u202c\u2066\u200f", "turned"),
    "a formula": ("=cmd|' /C calc'!A0", "calc"),
    "another formula": ("+1-@SUM(summed)", "summed"),
    "a comment's end": ("-->arrow<!--", "arrow"),
    "CDATA": ("]]>section<![CDATA[", "section"),
    "Markdown": ("[linked](javascript:y) ![z](z) **b** ~~s~~ _e_ $`m`$", "linked"),
    "entities": ("&lt;&amp;&#64;named&nbsp;", "named"),
    "Chinese": ("权重.层", "权重"),
    "emoji": ("😀smiling", "smiling"),
    "spaces": ("  spaced  ", "spaced"),
    "a comma": ('a,"parted";b', "parted"),
    "long": ("beginning" + "x" * 10_000, "beginning"),
    "long of backticks and pipes": ("beginning" + "`|" * 5_000, "beginning"),
}


def _parameter(name: str) -> Report:
    model = nn.Linear(2, 2)
    model._parameters[name] = nn.Parameter(torch.zeros(3))
    return audit(model)


def _buffer(name: str) -> Report:
    model = nn.Linear(2, 2)
    model._buffers[name] = torch.zeros(3)
    return audit(model)


def _attribute(name: str) -> Report:
    model = nn.Linear(2, 2)
    model.__dict__[name] = torch.zeros(3)
    return audit(model)


def _module(name: str) -> Report:
    model = nn.Module()
    model._modules[name] = nn.Linear(2, 2)
    return audit(model)


def _key(name: str) -> Report:
    model: Any = nn.Linear(2, 2)
    model.held = {name: nn.Parameter(torch.zeros(3))}
    return audit(model)


def _tied(name: str) -> Report:
    model: Any = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1]._parameters[name] = model[0].weight
    return audit(model)


def _root(name: str) -> Report:
    return audit({name: nn.Linear(2, 2), "another": nn.Linear(2, 1)})


def _stepped(edit: Callable[[Any, str], None], name: str) -> Report:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD([*model.parameters(), torch.zeros(3)], lr=0.1)
    edit(optimizer.param_groups[0], name)
    return audit(model, optimizer={name: optimizer} if edit is _keep else optimizer)


def _keep(group: Any, name: str) -> None:
    pass


def _name_option(group: Any, name: str) -> None:
    group[name] = 1


def _give_option(group: Any, name: str) -> None:
    group["option"] = name


def _name_members(group: Any, name: str) -> None:
    group["param_names"] = ["a", "b", name]


def _class(name: str) -> Report:
    model = nn.Sequential(nn.Linear(2, 2))
    model.__class__ = type(name, (nn.Sequential,), {})
    model[0].__class__ = type(name, (nn.Linear,), {})
    return audit(model)


def _target(name: str) -> Report:
    return Report(audit(nn.Linear(2, 2)).snapshot, target=name)


def _finding(name: str) -> Report:
    found = Finding(
        "PS000",
        name,
        Severity.WARNING,
        f"of {name}: {name}",
        (name, "weight"),
        Location(name, 1),
        help=f"see {name}.",
    )
    return Report(audit(nn.Linear(2, 2)).snapshot, findings=(found,))


PLACES: dict[str, Callable[[str], Report]] = {
    "parameter": _parameter,
    "buffer": _buffer,
    "attribute": _attribute,
    "module": _module,
    "dict key": _key,
    "tied parameter": _tied,
    "root": _root,
    "optimizer": lambda name: _stepped(_keep, name),
    "option's name": lambda name: _stepped(_name_option, name),
    "option's value": lambda name: _stepped(_give_option, name),
    "name in an optimizer": lambda name: _stepped(_name_members, name),
    "class": _class,
    "target": _target,
    "finding": _finding,
}
report_of = cache(lambda place, name: PLACES[place](name))


def drawn(report: Report, format: str, width: int) -> str:
    """One format; of a width where it has one."""
    options = {"width": width} if "width" in options_of(format) else {}
    found = report.render(format, **options)
    assert isinstance(found, str)
    return found


def check_lines(text: str, report: Report) -> None:
    """For a terminal of 80 columns."""
    assert all(c.isprintable() for c in text.replace("\n", ""))
    wide = [line for line in text.split("\n") if wcswidth(line) > 80]
    assert wide == []


def check_json(text: str, report: Report) -> None:
    assert text.isascii()
    assert text.count("\n") == 1
    assert Report.from_json(text) == report


CHECKS: dict[str, Callable[[str, Report], None]] = {
    "table": check_lines,
    "tree": check_lines,
    "optimizer": check_lines,
    "summary": check_lines,
    "json": check_json,
    "html": check_html,
    "markdown": check_markdown,
    "csv": check_csv,
}


def seen(format: str, text: str) -> str:
    """What a reader of the format sees."""
    if format == "html":
        return "\n".join(Page(markup_of(text)).texts)
    if format == "markdown":
        return "\n".join(each.content for token in MARKDOWN.parse(text) for each in token.children or ())
    if format in ("json", "sarif", "gitlab"):
        return json.dumps(json.loads(text), ensure_ascii=False)
    if format == "csv":
        return "\n".join("\n".join(row) for row in csv.reader(io.StringIO(text, newline="")))
    return html.unescape(re.sub(r"#(\w+);", r"&#\1;", text)) if format in ("dot", "mermaid", "junit") else text


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("format", TEXTS)
def test_names_are_shown_and_do_nothing(format: str, place: str) -> None:
    # What a format does not show of any name, it need not show of these.
    is_shown = PLAIN in seen(format, drawn(report_of(place, PLAIN), format, 400))
    for kind, (name, legible) in NAMES.items():
        # Of a class, whose name in full has the module's before it, views show what follows the last dot.
        report = report_of(place, name.replace(".", "_") if place == "class" else name)
        text = drawn(report, format, 80)
        try:
            check_text(format, text)
            CHECKS.get(format, lambda *_: None)(text, report)
            assert not is_shown or legible in seen(format, drawn(report, format, 400)), "not to be read"
        except AssertionError as error:
            raise AssertionError(f"{kind} as the name of a {place}, as {format}: {error}") from None


@pytest.mark.parametrize("format", ["html", "markdown", "csv"])
def test_every_format_of_names_shows_them(format: str) -> None:
    wanted = {"parameter", "buffer", "attribute", "module", "dict key", "tied parameter", "root"}
    if format != "csv":
        wanted = set(PLACES)
    for place in wanted:
        assert PLAIN in seen(format, drawn(report_of(place, PLAIN), format, 80)), place


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("format", ["html", "markdown"])
def test_names_in_lines_that_open_or_are_closed(format: str, kind: str) -> None:
    name = NAMES[kind][0]
    model = nn.Module()
    model._modules[name] = nn.ModuleList(nn.ModuleDict({"part": nn.Linear(2, 2)}) for _ in range(3))
    report = audit(model)
    for options in ({}, {"depth": 1}, {"fold": False}, {"sort": "path"}, {"status": "trainable"}):
        text = report.render(format, **options)
        assert isinstance(text, str)
        CHECKS[format](text, report)


PLANTED = {
    "html": ["<p>{}</p>", '<td data-label="{}">x</td>', "<!-- {} -->", "<style>{}</style>"],
    "markdown": ["{}", "- {}", "| a | b |\n|---|---|\n| {} | c |", "| a | b |\n|---|---|\n| `{}` | c |", "<b>{}</b>"],
    "table": ["{}"],
}


def is_refused(format: str, text: str) -> bool:
    """Whether the check of a format fails."""
    try:
        CHECKS[format](text, audit(nn.Linear(2, 2)))
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize(("format", "around"), [(format, each) for format in PLANTED for each in PLANTED[format]])
def test_a_name_that_is_not_escaped_is_noticed(format: str, around: str) -> None:
    assert sum(is_refused(format, around.format(name)) for name, _ in NAMES.values()) >= 2
