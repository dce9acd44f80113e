"""What the tests of the built site share: the pages and a browser that records what it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from accessibility import Colours
from browser import ARGUMENTS, HOW, find_browser, missing
from built import SITE, page_names
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from waits import opened

expect.set_options(timeout=30_000)  # as patient as all that waits for an element


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in which browsers the site was not tested: a run that does without must be seen to."""
    for line in missing():
        terminalreporter.write_line(line, yellow=True, bold=True)


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


def _listen(page: Page, visits: list[Visit]) -> None:
    """Record what a page does in the last of its visits."""

    def note(kind: str, text: str) -> None:
        if visits:  # what a page that is being left still says belongs to nobody
            getattr(visits[-1], kind).append(text)

    page.on("request", lambda r: note("requests", r.url))
    page.on("requestfailed", lambda r: note("failed", r.url))
    page.on("pageerror", lambda e: note("complaints", str(e)))
    page.on(
        "console", lambda m: note("complaints", m.text) if m.type in {"error", "warning"} else None
    )


# what a page stores when it is left, it stores before this, which listens last
CLEAR_AT_THE_END = """() => addEventListener("pagehide", () => {
    localStorage.clear();
    sessionStorage.clear();
})"""


def _refuse(*_: object, **__: object) -> None:
    raise RuntimeError("this would stay in the tab of all tests: open a page of your own")


@dataclass
class Tab:
    """A tab for one test after another: to make a new one takes longer than to load a page."""

    browser: Browser
    visits: list[Visit] = field(default_factory=list)
    _page: Page | None = None

    def open(self, width: int, theme: str) -> Visit:
        """Give the tab, empty and without memory, at a width and in a theme."""
        if self._page is None or self._page.is_closed():
            context = self.browser.new_context(reduced_motion="reduce")
            self._page = context.new_page()
            for stays in ("add_init_script", "expose_binding", "expose_function", "route"):
                setattr(self._page, stays, _refuse)
            _listen(self._page, self.visits)
        self._page.set_viewport_size({"width": width, "height": 900})
        self._page.emulate_media(color_scheme=theme)
        self.visits.append(Visit(self._page))
        return self.visits[-1]

    def forget(self) -> None:
        """Leave nothing of a test behind: neither what pages stored nor what they may do."""
        page = self._page
        if page is None or page.is_closed():
            return
        if page.url.startswith(("file:", "http:")):
            page.evaluate(CLEAR_AT_THE_END)
        page.context.clear_permissions()
        page.context.clear_cookies()
        for other in page.context.pages:
            if other is not page:
                other.close()
        page.goto("about:blank")
        self.visits.clear()


@pytest.fixture(scope="session")
def colours():
    return Colours()


@pytest.fixture(scope="session")
def tab(browser: Browser) -> Tab:
    return Tab(browser)


@pytest.fixture(scope="module")
def stay(browser: Browser) -> Iterator:
    """Open a page once for all tests of a file: who changes it takes the change back."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    kept: dict[str, Visit] = {}

    def open_page(name: str) -> Visit:
        if name not in kept:
            kept[name] = Visit(context.new_page())
            _listen(kept[name].page, [kept[name]])
            opened(kept[name].page, (SITE / name).as_uri())
        return kept[name]

    yield open_page
    context.close()


@pytest.fixture
def visit(browser: Browser, tab: Tab) -> Iterator:
    """Open a page from its file, at a width and in a theme, recording requests and errors.

    The first page of a test opens in the shared tab, a further one in a tab of its own; `origin` is
    the address of the site on a host.
    """
    contexts: list[BrowserContext] = []

    def open_page(name: str, *, width: int = 1280, theme: str = "light", origin: str = "") -> Visit:
        if not tab.visits:
            seen = tab.open(width, theme)
        else:
            context = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme=theme,
                reduced_motion="reduce",
            )
            contexts.append(context)
            seen = Visit(context.new_page())
            _listen(seen.page, [seen])
        path, mark, anchor = name.partition("#")
        place = f"{origin}/{path}" if origin else (SITE / path).as_uri()
        opened(seen.page, place + mark + anchor)
        return seen

    yield open_page
    for context in contexts:
        context.close()
    tab.forget()
