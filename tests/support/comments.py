"""What must hold of every Markdown comment, whatever is named in it."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from paramscope import Report

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
BLOCKS = {
    *("paragraph_open", "paragraph_close", "inline", "bullet_list_open", "bullet_list_close", "html_block"),
    *("list_item_open", "list_item_close"),
    *(f"{part}_{end}" for part in ("table", "thead", "tbody", "tr", "th", "td") for end in ("open", "close")),
}
INLINES = {"text", "code_inline", "strong_open", "strong_close", "hardbreak", "softbreak"}
OWN_HTML = re.compile(r"<details>\n<summary>[\d,]+ lines</summary>\n|</details>\n")
# What GitHub makes something of outside of code: mentions, issues, emoji, addresses, commits, mathematics.
GITHUB = re.compile(r"[@#]\w|:\w+:|GH-\d|https?:|www\.|\b[0-9a-f]{7,40}\b|[$`<>&]")


def check_markdown(text: str, report: Report) -> None:
    """Nothing but our own markup, and every row with all its cells."""
    assert len(text) <= 65_536
    for token in MARKDOWN.parse(text):
        assert token.type in BLOCKS, token.type
        if token.type == "html_block":
            assert OWN_HTML.fullmatch(token.content), token.content
        for inline in token.children or ():
            assert inline.type in INLINES, (inline.type, inline.content)
            assert inline.type != "text" or not GITHUB.search(inline.content), inline.content
    columns = None
    for line in text.split("\n"):
        if not line.startswith("|"):
            columns = None
            continue
        # Both as GitHub reads a row, where a backslash takes the next character whatever it is, and as others do.
        cells = [len(re.findall(r"(?:\\.|[^|])+", line[1:])), len(re.split(r"(?<!\\)\|", line)) - 2]
        columns = columns or cells
        assert cells == columns == [columns[0]] * 2, line
