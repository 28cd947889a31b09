"""A real browser: the system's Chromium, or the one that CHROMIUM names, driven by Playwright."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from benchmarks.pages import chromium
from paramscope import Report

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium() as found:
        yield found


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens a report's page: `opened(report, "#q=bias", color_scheme="dark")`. In the end it must have complained of
    nothing, and asked nobody for anything."""
    complaints: list[str] = []
    asked: list[str] = []
    contexts: list[BrowserContext] = []

    def open_page(report: Report | str, fragment: str = "", **options: Any) -> Page:
        file = tmp_path / f"report{len(contexts)}.html"
        file.write_text(report if isinstance(report, str) else report.to_html(), encoding="utf-8")
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 1000}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri() + fragment)
        if options.get("java_script_enabled", True):
            settled(page)
        return page

    open_page.complaints, open_page.asked = complaints, asked  # type: ignore[attr-defined]
    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in asked if not url.partition("#")[0].endswith(".html")] == []
    assert len(asked) == len(contexts)


def until(page: Page, expression: str) -> None:
    """Waits for something to become true. The page lets nobody evaluate strings, as Playwright's own way to wait does."""
    end = time.monotonic() + 10
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never: {expression}"
        page.wait_for_timeout(20)


def settled(page: Page) -> None:
    """Waits until the page shows what is looked at."""
    until(page, "document.documentElement.dataset.psReady && document.documentElement.dataset.psBusy !== '1'")


def rows(page: Page) -> list[str]:
    """The names of the lines that the table shows."""
    settled(page)
    found = page.locator("#ps-table .ps-name").all_inner_texts()
    return [each.replace("\n", "").replace("⧉", "").strip() for each in found]
