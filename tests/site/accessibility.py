"""What axe-core finds on an open page: used by the tests and by ``make audit``."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WIDTHS = (320, 1280)
THEMES = ("light", "dark")
OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
_AXE = Axe()


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
        page.wait_for_timeout(400)  # the theme marks what scrolls a moment after a change
        rules = {"color-contrast": {"enabled": width in contrast}}
        for violation in _AXE.run(page, options={**OPTIONS, "rules": rules}).response["violations"]:
            found.setdefault(violation["id"], []).extend(
                f"{width} px, {node['target']}: {' '.join(node['failureSummary'].split())}"
                for node in violation["nodes"]
            )
    return found
