"""The keyboard alone: what has it is seen, dialogs keep it while they are open and give it back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

CHAPTER = "pooling.html"
#: One page of each kind.
KINDS = (
    "index.html",
    CHAPTER,
    "explore.html",
    "in_your_browser.html",
    "exam.html",
    "glossary.html",
    "reference/rates.html",
    "downloads/slides/index.html",
    "downloads/example-report/report.html",
)
# What has the keyboard: whether it has a ring that forced colours keep, and lies in the window with
# nothing over all of it. A card that is a link, and the form of a search, have a ring as a whole.
SEEN = """() => {
    const one = document.activeElement;
    if (one === document.body) return null;
    for (const movement of document.getAnimations()) movement.finish(); // a link slides in
    const card = one.classList.contains("sd-stretched-link") && one.closest(".sd-card");
    const sheet = card || one.closest("form.bd-search") || one;
    const ring = [[one, null], [one, "::after"], [sheet, null]].some(([element, part]) => {
        const { outlineStyle, outlineWidth } = getComputedStyle(element, part);
        return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
    });
    const middle = (from, to, most) => (Math.max(from, 0) + Math.min(to, most)) / 2;
    const free = [...sheet.getClientRects()].some(({ left, right, top, bottom }) => {
        const [x, y] = [middle(left, right, innerWidth), middle(top, bottom, innerHeight)];
        const at = document.elementFromPoint(x, y);
        if (!at) return false;
        return sheet.contains(at) || at.contains(sheet) || at.closest("label")?.control === one;
    });
    return [`${one.tagName} ${one.className} ${one.textContent.trim().slice(0, 40)}`, ring, free];
}"""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", KINDS)
def test_what_has_the_keyboard_is_seen(visit, name, width):
    page = visit(name, width=width).page
    page.keyboard.press("Tab")
    found = []
    while (seen := page.evaluate(SEEN)) and len(found) < 300:
        found.append(seen)
        page.keyboard.press("Tab")
    assert len(found) > 10
    assert [what for what, ring, free in found if not (ring and free)] == []
    assert page.evaluate("scrollX") == 0


def test_the_field_of_the_search_page_has_the_keyboard_at_once(visit):
    what, ring, free = visit("search.html").page.evaluate(SEEN)
    assert what.startswith("INPUT")
    assert ring
    assert free


INSIDE = "(dialog) => dialog.contains(document.activeElement)"
DIALOGS = {
    "search": (".search-button__button:visible", 390),
    "search beside the list": (".search-button__button:visible", 1280),
    "pages": (".primary-toggle", 390),
    "contents": (".secondary-toggle", 390),
}


@pytest.mark.parametrize("name", DIALOGS)
def test_a_dialog_takes_the_keyboard_and_gives_it_back(visit, name):
    opener, width = DIALOGS[name]
    page = visit(CHAPTER, width=width).page
    button = page.locator(opener).first
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    dialog.wait_for()
    assert dialog.evaluate(INSIDE)
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert button.evaluate("(one) => one === document.activeElement")


@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_a_side_bar_that_is_opened_as_it_closes_is_full(visit, side):
    """A second tap on a slow phone is quicker than the event that a dialog was closed."""
    page = visit(CHAPTER, width=390).page
    button = page.locator(f".{side}-toggle:visible").first
    dialog = page.locator(f"#pst-{side}-sidebar-modal")
    button.click()
    there = [dialog.element_handle(), button.element_handle()]
    page.evaluate(
        """([dialog, button]) => new Promise((done) => {
            dialog.addEventListener("close", () => setTimeout(done));
            dialog.close();
            button.click();
        })""",
        there,
    )
    expect(dialog.locator("a").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(dialog.locator("a")).to_have_count(0)


@pytest.mark.parametrize("height", [420, 900])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_field_of_the_search_stays_in_view(visit, width, height):
    """However many sections are found below it, and however far the reader goes through them."""
    page = visit(CHAPTER, width=width).page
    page.set_viewport_size({"width": width, "height": height})
    page.keyboard.press("Control+k")
    dialog = page.locator("#pst-search-dialog")
    field = dialog.locator("input")
    before = field.bounding_box()
    page.keyboard.type("heterogeneity")
    dialog.locator(".found li").nth(9).wait_for()
    for _ in range(2):
        box, whole = field.bounding_box(), dialog.bounding_box()
        assert 0 <= box["y"] <= before["y"]
        assert before["y"] - box["y"] < 16
        assert whole["y"] >= 0
        assert whole["y"] + whole["height"] <= height
        dialog.evaluate("(one) => one.scrollTo(0, one.scrollHeight)")
