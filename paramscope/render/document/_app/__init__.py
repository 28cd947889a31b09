"""The part of a page that runs: a map, a table and findings that lead to one another, in one file; it loads nothing.

ECharts draws the map and Tabulator the table; `vendor/` has both as their authors publish them. What the script reads
is data in an element of its own, so that no name of a model is ever part of a script or of markup.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from paramscope.render.document._app.data import script_data
from paramscope.report.data import ReportData

_HOME = Path(__file__).parent
_SCRIPTS = ("1_model.js", "2_state.js", "3_map.js", "4_table.js", "5_page.js")


class App(NamedTuple):
    """What a page holds beside its markup."""

    style: str
    scripts: str
    """Elements, the data first."""
    policy: str
    """Of the page's security: nothing but these scripts runs."""


NO_APP = App("", "", "default-src 'none'; style-src 'unsafe-inline'")


def app_of(
    report: ReportData,
    start: Mapping[str, str],
    *,
    cost: bool = False,
    depth: int | None = None,
    changes: Mapping[str, str] | None = None,
) -> App:
    """The map and the table of a report.

    start: what the page's view is at first, as its address tells it. cost: also what training takes in memory.
    depth: modules so many steps below the root are closed at first. changes: of slots that are not what they were,
    by path, what happened to them.
    """
    style, scripts, policy = _parts()
    data = script_data(report, start, cost=cost, depth=depth, changes=changes)
    return App(style, f'<script type="application/json" id="ps-data">{data}</script>\n{scripts}', policy)


@cache
def _parts() -> tuple[str, str, str]:
    """(style, script elements, policy) of every page."""
    own = "\n".join(_read(name) for name in _SCRIPTS)
    # In a function of its own: what it names is nobody else's.
    whole = [_read("vendor/echarts.min.js"), _read("vendor/tabulator.min.js"), f"(() => {{\n{own}\n}})();\n"]
    sums = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in whole]
    allowed = " ".join(f"'sha256-{each}'" for each in sums)
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'; form-action 'none'"
    )
    style = _read("vendor/tabulator.min.css") + _read("app.css")
    return style, "".join(f"<script>{each}</script>\n" for each in whole), policy


def _read(name: str) -> str:
    return (_HOME / name).read_text(encoding="utf-8")
