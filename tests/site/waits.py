"""What a test waits for before it looks at a page: all of it is there, in its own letters.

A page is opened by `opened`, gets another width by `resized`, and who changes what it shows asks
`settled` before measuring. A reader sees what comes late come; a test that looks once does not.
"""

from __future__ import annotations

from playwright.sync_api import Page

#: What is far down is laid out after the first screen.
LAID_OUT = '!("laying" in document.documentElement.dataset)'

#: Waits until all of a document (by default the page's own) is laid out and has the letters that
#: it shows. A layout asks for them, so that `fonts.ready` of an earlier moment waits for fewer;
#: what lies near the window, and what scrolls, is known a frame after the letters.
THERE = """async (there) => {
    there ??= document;
    const later = (next) => setTimeout(next, 20);
    while ("laying" in there.documentElement.dataset) await new Promise(later);
    there.documentElement.getBoundingClientRect();
    await there.fonts.ready;
    await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
}"""


def settled(page: Page) -> Page:
    """Wait until what a page shows is laid out in its own letters."""
    page.wait_for_function(LAID_OUT)  # which gives up one day; a promise it would not wait for
    page.evaluate(THERE)
    return page


def opened(page: Page, address: str) -> Page:
    """Go to an address and wait until all of its page is there."""
    page.goto(address)
    return settled(page)


def resized(page: Page, width: int, height: int = 900) -> Page:
    """Give the window another size and wait until what it shows then is there."""
    page.set_viewport_size({"width": width, "height": height})
    return settled(page)
