"""A real browser for the pages: Debian's Chromium, driven by Playwright. Every page is watched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page, Response, sync_playwright

from tests.support.engines import missing

NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Watched:
    """A page with what it did: `problems` (errors, warnings of the console, requests that failed), and answers."""

    page: Page
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a browser without a window; where there is none see `missing`."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        missing("chromium is not installed, which shows the pages")
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched(browser: Browser, url: str, **settings: Any) -> Iterator[Watched]:
    """Open an address in a profile of its own (`settings` are Playwright's: `locale`, `viewport` ...) and watch it."""
    context = browser.new_context(**settings)
    found = Watched(context.new_page())
    page = found.page
    page.on("console", lambda said: found.problems.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.problems.append(str(error)))
    page.on("requestfailed", lambda request: found.problems.append(f"{request.url}: {request.failure}"))
    page.on("request", lambda request: found.requests.append(request.url))
    page.on("response", lambda response: found.responses.append(response))  # noqa: PLW0108 - it marks what it calls
    try:
        page.goto(url)
        yield found
    finally:
        context.close()
