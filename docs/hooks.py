"""Pages of the repository's root join the site, and links that leave it become text.

Written for a reader of the repository, `[capture/](../paramscope/capture)` leads to a folder. The site holds none,
and the repository has no address to lead to: the words stay, and the link goes. mkdocs calls what is named `on_…`.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
FROM_ROOT = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Pages that the hosts of repositories look for there."""
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]`]|`[^`]*`)*)\]\(([^()\s#:]+)(#[^()\s]*)?\)")
_FENCE = re.compile(r"(?ms)^(`{3,}).*?^\1$")


def on_files(files: Files, *, config: Any) -> Files:
    """The pages of the root, too."""
    for name in FROM_ROOT:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, *, page: Any, files: Files, **_: Any) -> str:
    """Links as they lead within the site; code stays what it is."""
    name = page.file.src_uri
    place = "" if name in FROM_ROOT else posixpath.join("docs", posixpath.dirname(name))

    def lead(match: re.Match[str]) -> str:
        text, path, anchor = match[1], match[2], match[3] or ""
        target = posixpath.normpath(posixpath.join(place, path))
        inside = target if target in FROM_ROOT else target.removeprefix("docs/")
        is_there = (target in FROM_ROOT or target.startswith("docs/")) and inside in files.src_uris
        if not is_there:
            # A folder's page, and what is mistaken inside of docs/, is for mkdocs to judge.
            return match[0] if target.startswith("docs/") and place else text
        return f"[{text}]({posixpath.relpath(inside, posixpath.dirname(name) or '.')}{anchor})"

    parts, at = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(lead, markdown[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*parts, _LINK.sub(lead, markdown[at:])])
