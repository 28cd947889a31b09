"""What a reader of an HTML report waits for, in Chromium: the first table, and an answer to a keystroke."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.models import moe
from benchmarks.seconds import Job
from paramscope import audit

_READY = "document.documentElement.dataset.psReady"
_TYPE = """words => new Promise((answered) => {
    const started = performance.now();
    const field = document.getElementById("ps-search");
    field.value = words;
    field.dispatchEvent(new Event("input"));
    const look = () => document.documentElement.dataset.psBusy
        ? setTimeout(look, 0)
        : requestAnimationFrame(() => setTimeout(() => answered(performance.now() - started), 0));
    look();
})"""
"""Milliseconds from a change of the search to the frame that shows what was found."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, or the one that the variable CHROMIUM names."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise FileNotFoundError("there is no chromium: apt-get install chromium, or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def page_jobs(repeats: int) -> list[Job]:
    """Of the MoE with 100,050 weights and as many empty slots."""
    report = audit(moe())
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        file = Path(folder) / "report.html"
        file.write_text(report.to_html(), encoding="utf-8")
        opened, typed = [], []
        for _ in range(repeats):
            page = browser.new_page()
            page.goto(file.as_uri())
            opened.append(_ready(page) / 1e3)
            typed += [page.evaluate(_TYPE, "7.1.w2"[:length]) for length in range(1, 7)]
            page.close()
    what = f"{len(report.slots):,} slots"
    return [
        Job(f"the page of {what}: first table, from the start of loading", "s", 2.0, *_figures(opened)),
        Job(f"the page of {what}: a keystroke in the search, until it is answered", "ms", 100.0, *_figures(typed)),
    ]


def _ready(page: Page) -> float:
    """Milliseconds until the table was there, as the page itself took them."""
    while not (taken := page.evaluate(_READY)):
        page.wait_for_timeout(50)
    return float(taken)


def _figures(taken: list[float]) -> tuple[float, tuple[float, float]]:
    return statistics.median(taken), (min(taken), max(taken))
