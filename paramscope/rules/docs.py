"""The rules' docstrings → their pages in docs/rules, and what `explain` prints.

`python -m paramscope.rules.docs` writes the pages anew in the checkout that it lies in.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from paramscope.rules.rule import Loaded

if TYPE_CHECKING:
    from pathlib import Path

HEADINGS = ("What it finds", "Why it matters", "Example", "Instead", "When it is wrong to follow it")
_GROUPS = {
    "1": "Registration: what PyTorch cannot see",
    "2": "Trainability: what is frozen, and what only looks so",
    "3": "Sharing: one memory, several names",
    "4": "Optimizer: what it will really step",
    "5": "Contracts: what a module says of itself, and what it holds",
    "6": "Checkpoint: what survives saving",
    "7": "Runtime: what a real step does",
    "8": "Distributed: what differs between ranks",
}
_ACCEPTING = """\
## Accepting a finding

On any line of the statement that is to blame, with the reason:

```python
self.mask = torch.ones(4, 4)  # paramscope: ignore[PS104] filled by the data loader
```

In the nearest `pyproject.toml` that has a `[tool.paramscope]`:

```toml
[tool.paramscope]
select = ["PS1", "PS501"]             # codes, beginnings of codes, or names; all rules by default
fail-on = "error"                     # or warning (the default), info, never
severity = { PS104 = "error" }        # what a rule only mentions as info stays info
ignore = [
    { code = "PS104", path = "encoder.*", reason = "filled by the data loader" },
    { code = "PS101", path = ["teacher*", "critic*"], target = "models/gan.py:*", reason = "hidden on purpose" },
    { code = "PS3", file = "third_party/*", reason = "not ours to fix" },
]
```

`path` is a glob of places (`*` crosses dots), `target` of targets, `file` of the file to blame. A finding is accepted
once every place that it names is covered: what is accepted at one layer is not at another. A
[declared model](../models.md) may have a `select` and an `ignore` of its own.

All of today's findings, so that only new ones count: `paramscope check … --write-baseline baseline.json`, from then
on `paramscope check … --baseline baseline.json`.

Accepted findings are counted, and `--show-ignored` lists them. What accepts nothing any more is a warning.
"""
NEEDS = {
    "optimizer": "an optimizer",
    "values": "values",
    "run": "a run",
    "backward": "a run of backward",
    "step": "a run of step",
    "loop": "a training loop",
    "ranks": "ranks",
}
"""What a rule needs beside the model, in words."""


class Section(NamedTuple):
    """One part of a rule's documentation."""

    heading: str
    """Empty for what stands before the first heading."""
    paragraphs: tuple[str, ...]
    """Each one line of prose, or a block of code with its line breaks, which begins with "```"."""


def sections(doc: str) -> list[Section]:
    """A docstring by its headings."""
    found = [Section("", ())]
    block: list[str] = []
    in_code = False

    def close() -> None:
        if block:
            whole = "\n".join(block) if block[0].startswith("```") else " ".join(block)
            found[-1] = Section(found[-1].heading, (*found[-1].paragraphs, whole))
            block.clear()

    for line in doc.strip().split("\n"):
        if in_code:
            block.append(line.rstrip())
            if line.strip() == "```":
                in_code = False
                close()
        elif line.startswith("```"):
            close()
            block.append(line.rstrip())
            in_code = True
        elif line.strip() in HEADINGS:
            close()
            found.append(Section(line.strip(), ()))
        elif not line.strip():
            close()
        else:
            if line.lstrip().startswith(("- ", "* ")):  # an item of a list is a paragraph of its own
                close()
            block.append(line.removeprefix(": ").strip())
    close()
    return found


def first_sentence(doc: str) -> str:
    """What the rule finds, in one sentence: the first paragraph."""
    first = sections(doc)[0].paragraphs
    return first[0] if first else ""


def to_markdown(loaded: Loaded) -> str:
    """A rule's page."""
    rule = loaded.rule
    needs = f" · needs {NEEDS[rule.needs]}" if rule.needs else ""
    lines = [f"# {rule.code}: {rule.name}", "", f"Severity: {rule.severity.value}{needs}"]
    for section in sections(loaded.doc):
        if section.heading:
            lines += ["", f"## {section.heading}"]
        for paragraph in section.paragraphs:
            lines += ["", paragraph]
    return "\n".join(lines).rstrip() + "\n"


def to_index(rules: Sequence[Loaded]) -> str:
    """The page that lists all rules."""
    lines = [
        "# The rules",
        "",
        "`paramscope check` holds a model against all of them but those that need a training loop, which",
        "[`watch`](../watch.md) judges, or ranks, [`audit(model, ranks=True)`](../ranks.md);",
        "`paramscope explain CODE` prints one. A code never changes its meaning.",
        "",
        "- **error**: training, saving or loading will not do what the code says.",
        "- **warning**: probably a mistake; legitimate uses exist.",
        "- **info**: a fact worth knowing; it fails a check only if you ask for that.",
    ]
    for group in dict.fromkeys(_group(loaded) for loaded in rules):
        lines += ["", f"## {group}", "", *_table([each for each in rules if _group(each) == group])]
    return "\n".join([*lines, "", _ACCEPTING])


def _group(loaded: Loaded) -> str:
    number = re.search(r"\d", loaded.rule.code)
    return _GROUPS.get(number[0] if number else "", "Others")


def _table(rules: Sequence[Loaded]) -> list[str]:
    lines = ["| code | name | severity | needs | finds |", "| --- | --- | --- | --- | --- |"]
    for loaded in rules:
        rule = loaded.rule
        needs = NEEDS[rule.needs] if rule.needs else ""
        finds = first_sentence(loaded.doc).replace("|", "\\|")
        lines.append(f"| [{rule.code}]({rule.code}.md) | {rule.name} | {rule.severity.value} | {needs} | {finds} |")
    return lines


def pages(rules: Sequence[Loaded]) -> dict[str, str]:
    """Everything in docs/rules, by file name."""
    return {"index.md": to_index(rules), **{f"{each.rule.code}.md": to_markdown(each) for each in rules}}


def own_rules() -> tuple[Loaded, ...]:
    """The rules that come with paramscope itself."""
    from paramscope.rules.discovery import discover

    return tuple(loaded for loaded in discover().rules if loaded.origin == "paramscope")


def write(root: Path, rules: Sequence[Loaded]) -> None:
    """The pages in a checkout; pages of rules that are gone are removed."""
    folder = root / "docs" / "rules"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages(rules)
    for path in folder.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    from pathlib import Path

    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2], own_rules())
