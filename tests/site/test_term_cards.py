"""Cards that show what the glossary says of a term."""

from __future__ import annotations

import pytest
from built import SITE, soup_of
from waits import opened

CHAPTER = "pooling.html"
LINK = "article a[href*='glossary.html#term-']"


def meaning_of(link) -> str:
    place = link.get_attribute("href").partition("#")[2]
    term = soup_of("glossary.html").find(id=place)
    return " ".join(term.find_next_sibling("dd").get_text().split())


def shown(page) -> str:
    card = page.locator("#term-card")
    card.wait_for(state="visible")
    return " ".join(card.inner_text().split())


def test_a_card_opens_at_a_pointer_and_can_be_pointed_at(visit):
    seen = visit(CHAPTER)
    page, link = seen.page, seen.page.locator(LINK).first
    place = page.evaluate("scrollY")
    link.hover()
    # formulas differ in blanks; the first words do not
    assert meaning_of(link)[:40] in shown(page)
    page.locator("#term-card").hover()
    page.wait_for_timeout(400)  # longer than a card waits before it closes
    assert page.locator("#term-card").is_visible()
    assert page.evaluate("scrollY") == place
    page.mouse.move(2, 2)
    page.locator("#term-card").wait_for(state="hidden")
    assert seen.foreign == seen.failed == seen.complaints == []


def test_a_card_opens_at_focus_describes_its_link_and_closes_with_escape(visit):
    page = visit(CHAPTER).page
    link = page.locator(LINK).first
    link.focus()
    assert meaning_of(link)[:40] in shown(page)
    assert link.get_attribute("aria-describedby") == "term-card"
    page.keyboard.press("Escape")
    page.locator("#term-card").wait_for(state="hidden")
    assert link.get_attribute("aria-describedby") is None
    assert page.evaluate("document.activeElement.matches('a')")
    page.keyboard.press("Enter")
    page.wait_for_url("**/glossary.html#term-*")


def test_cards_that_got_lost_are_asked_for_again(browser):
    page = browser.new_page()
    page.route("**/_static/terms.js*", lambda route: route.abort())
    opened(page, (SITE / CHAPTER).as_uri())
    links = page.locator(LINK)
    with page.expect_event("requestfailed"):
        links.nth(0).focus()
    page.unroute_all()
    links.nth(1).focus()
    assert meaning_of(links.nth(1))[:40] in shown(page)
    page.close()


@pytest.mark.parametrize("width", [320, 1280])
def test_a_card_fits_the_window(visit, width):
    page = visit(CHAPTER, width=width).page
    for number in range(5):
        page.locator(LINK).nth(number).focus()
        shown(page)
        box = page.locator("#term-card").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert 0 <= box["y"] <= 900 - box["height"]


def test_the_first_tap_shows_and_the_second_leads_there(browser):
    context = browser.new_context(has_touch=True, viewport={"width": 390, "height": 800})
    page = context.new_page()
    opened(page, (SITE / CHAPTER).as_uri())
    link = page.locator(LINK).first
    link.tap()
    assert meaning_of(link)[:40] in shown(page)
    assert CHAPTER in page.url
    link.tap()
    page.wait_for_url("**/glossary.html#term-*")
    context.close()


def test_every_term_that_a_page_links_has_a_card(page_name):
    text = (SITE / "_static" / "terms.js").read_text(encoding="utf-8")
    for link in soup_of(page_name).select(LINK):
        assert f'"{link["href"].partition("#")[2]}": "' in text


def test_without_scripts_a_term_leads_to_the_glossary(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((SITE / CHAPTER).as_uri())
    page.locator(LINK).first.click()
    page.wait_for_url("**/glossary.html#term-*")
    context.close()
