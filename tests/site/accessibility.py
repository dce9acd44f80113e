"""What axe-core finds on an open page: used by the tests and by ``make audit``."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WIDTHS = (320, 1280)
THEMES = ("light", "dark")
OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
_AXE = Axe()
CONTRAST = "color-contrast"
# the theme lets the keyboard reach what scrolls, a moment after the page has changed; what opens or
# changes its colours does so in some frames
SETTLED = """[...document.querySelectorAll("pre, .cell_output > .output")].every((e) =>
    (e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight) === (e.tabIndex === 0))
    && document.getAnimations().every((one) => one.playState !== "running")"""


def pale(page: Page, width: int) -> dict[str, list[str]]:
    """Text that its ground swallows: the one rule whose verdict depends on the theme."""
    page.set_viewport_size({"width": width, "height": 900})
    return _run(
        page,
        width,
        {**OPTIONS, "runOnly": {"type": "rule", "values": [CONTRAST]}, "preload": False},
    )


def faults(page: Page, *, contrast: tuple[int, ...] = WIDTHS) -> dict[str, list[str]]:
    """Elements that break a rule at either width, with every disclosure of the text open.

    Parameters
    ----------
    page : Page
        Open in the theme that is asked about.
    contrast : tuple of int
        The widths at which contrast is measured, which takes four fifths of the time.

    Returns
    -------
    dict
        Of each broken rule, a line for each element: width, place, and what axe says of it.
    """
    page.evaluate("document.querySelectorAll('article details').forEach(d => { d.open = true })")
    found: dict[str, list[str]] = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(SETTLED)
        rules = {CONTRAST: {"enabled": width in contrast}}
        for rule, lines in _run(page, width, {**OPTIONS, "rules": rules}).items():
            found.setdefault(rule, []).extend(lines)
    return found


def _run(page: Page, width: int, options: dict[str, Any]) -> dict[str, list[str]]:
    return {
        violation["id"]: [
            f"{width} px, {node['target']}: {' '.join(node['failureSummary'].split())}"
            for node in violation["nodes"]
        ]
        for violation in _AXE.run(page, options=options).response["violations"]
    }
