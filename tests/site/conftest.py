"""What the tests of the built site share: the pages and a browser that records what it does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pytest
from browser import ARGUMENTS, HOW, find_browser
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("SITE") or ROOT / "_build" / "html").resolve()


def page_names() -> list[str]:
    """Every page of the built site, as a path below its root.

    Files under ``downloads/`` stand alone and are no pages of the site; they have their own tests.
    """
    aside = {"_static", "_sources", "downloads"}
    return sorted(
        p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html") if aside.isdisjoint(p.parts)
    )


@lru_cache(maxsize=4)
def soup_of(name: str) -> BeautifulSoup:
    """A page as it was built, read once for the tests of it; nobody may change it."""
    return BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "html.parser")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "page_name" in metafunc.fixturenames:
        names = page_names()
        if not names:
            raise pytest.UsageError("there is no built site in _build/html: run `make book` first")
        metafunc.parametrize("page_name", names, scope="session")  # page by page, not test by test
    if "slides_name" in metafunc.fixturenames:
        slides = sorted((SITE / "downloads" / "slides").glob("*.html"))
        if not slides:
            raise pytest.UsageError("there are no slides in _build/html: run `make book` first")
        metafunc.parametrize("slides_name", [f"downloads/slides/{p.name}" for p in slides])


@dataclass
class Visit:
    """A page that was opened, with what it asked for and complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def foreign(self) -> list[str]:
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.fail(HOW)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator:
    """Open a page from its file, at a width and in a theme, recording requests and errors."""
    contexts: list[BrowserContext] = []

    def open_page(name: str, *, width: int = 1280, theme: str = "light") -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
        )
        contexts.append(context)
        seen = Visit(context.new_page())
        seen.page.on("request", lambda r: seen.requests.append(r.url))
        seen.page.on("requestfailed", lambda r: seen.failed.append(r.url))
        seen.page.on("pageerror", lambda e: seen.complaints.append(str(e)))
        seen.page.on(
            "console",
            lambda m: seen.complaints.append(m.text) if m.type in {"error", "warning"} else None,
        )
        path, _, anchor = name.partition("#")
        seen.page.goto((SITE / path).as_uri() + (f"#{anchor}" if anchor else ""))
        seen.page.evaluate("document.fonts.ready")
        return seen

    yield open_page
    for context in contexts:
        context.close()
