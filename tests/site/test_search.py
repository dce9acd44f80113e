"""The search: what is asked for is among the first that it shows, and it needs no host."""

from __future__ import annotations

import json
import re

import pytest
from audit import served
from built import SITE, page_names
from playwright.sync_api import expect

WITHOUT_SOURCE = {"404.html", "genindex.html", "search.html"}
ACTIVE = "document.activeElement"
FIRST = 3
# what a reader types, and a place that must be among the first; the weights were tuned on these
QUERIES = {
    "prediction interval": "glossary.html#term-prediction-interval",
    "predicton interval": "glossary.html#term-prediction-interval",
    "Freeman-Tukey": "glossary.html#term-double-arcsine",
    "double arcsine": "effect_sizes.html",
    "funnel": "small_study_effects.html#the-funnel",
    "I2": "glossary.html#term-I2",
    "I²": "labs.html#what-i2-is-not",
    "tau2": "heterogeneity.html",
    "τ²": "heterogeneity.html",
    "GLMM": "pooling.html#the-binomial-model",
    "COVID": "preventing_infection.html",
    "IgG": "glossary.html#term-immunoglobulin-replacement",
    "cilta-cel": "subgroups.html#within-myeloma",
    "Carvykti": "subgroups.html#within-myeloma",
    "secondary malignancy": "question.html",
    "ZUMA-1": "data_extraction.html#the-included-studies",
    "CARTITUDE-4": "data_extraction.html#the-included-studies",
    "download the data": "codebook.html",
    "how do I cite": "index.html",
    "BibTeX": "index.html",
    "ICAHT": "glossary.html#term-ICAHT",
    "Knapp-Hartung": "glossary.html#term-Knapp-Hartung-method",
    "publication bias": "glossary.html#term-publication-bias",
    "meta-regresion": "meta_regression.html",
    "hetero": "heterogeneity.html",
    "forest plots": "gallery.html#forest-plots",
    "pool_rates": "reference/pooling.html#helpers.pool_rates",
    "my own data": "your_own_table.html",
    "GRADE": "summary_of_findings.html",
    "slides": "teaching_kit.html#slides",
    "install": "ways_to_run.html",
    "metafor": "migration.html",
    "beta binomial": "glossary.html#term-beta-binomial-model",
}


@pytest.fixture(scope="module")
def search_page(browser):
    page = browser.new_page()
    page.goto((SITE / "search.html").as_uri())
    yield page
    page.close()


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_asked_for_is_among_the_first(search_page, query):
    ask = (
        "async ([query, n]) => (await searchBook(query)).slice(0, n).map(({ address }) => address)"
    )
    found = search_page.evaluate(ask, [query, FIRST])
    wanted = QUERIES[query]
    assert any(place == wanted or place.startswith(f"{wanted}#") for place in found), found


def test_nothing_is_found_of_what_is_not_there(search_page):
    assert search_page.evaluate("async () => (await searchBook('xylophone')).length") == 0


def entries() -> dict:
    text = (SITE / "_static" / "sections.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("var bookSections = ").rstrip().removesuffix(";"))


def test_every_page_and_no_place_twice_is_in_the_index():
    index = entries()
    pages = [name for name, _ in index["pages"]]
    assert set(pages) == set(page_names()) - WITHOUT_SOURCE
    firsts = {pages[number] for number, anchor, *_ in index["entries"] if not anchor}
    assert firsts == set(pages)
    for number, anchor, *_ in index["entries"]:
        text = (SITE / pages[number]).read_text(encoding="utf-8") if anchor else ""
        assert not anchor or f'id="{anchor}"' in text


def test_the_index_holds_prose_and_no_code():
    texts = [entry[4] for entry in entries()["entries"]]
    assert not any(re.search(r"plots\.show\(|import helpers|class=\"", text) for text in texts)
    assert sum(len(text) for text in texts) > 300_000


def test_no_page_loads_what_sphinx_searches_with(page_name):
    text = (SITE / page_name).read_text(encoding="utf-8")
    assert not re.search(r"searchindex\.js|searchtools\.js|language_data\.js", text)
    assert not (SITE / "searchindex.js").exists()


def test_results_come_while_typing_and_by_keyboard(visit):
    seen = visit("reference/pooling.html")
    page = seen.page
    page.keyboard.press("Control+k")
    page.keyboard.type("predicton interval")
    first = page.locator("#pst-search-dialog .found a").first
    first.wait_for()
    assert "section" in page.locator("#pst-search-dialog [role=status]").inner_text()
    marked = page.locator("#pst-search-dialog .found-text mark").all_inner_texts()
    assert {"prediction", "interval"} <= {word.lower() for word in marked}
    page.keyboard.press("ArrowDown")
    assert page.evaluate(f"{ACTIVE}.closest('.found') !== null")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(f"{ACTIVE}.name") == "q"
    page.keyboard.press("ArrowDown")
    box = page.locator("#pst-search-dialog").bounding_box()
    field = page.locator("#pst-search-dialog form").bounding_box()
    assert field["width"] > 0.9 * box["width"]  # results stand below the field, not beside it
    page.keyboard.press("Escape")
    page.locator("#pst-search-dialog").wait_for(state="hidden")
    page.keyboard.press("Control+k")
    page.keyboard.press("ArrowDown")
    address = page.evaluate(f"{ACTIVE}.href")
    page.keyboard.press("Enter")
    page.wait_for_url(address)
    assert seen.foreign == seen.failed == seen.complaints == []


def test_the_search_works_from_a_host_and_says_when_nothing_is_found(browser):
    with served(SITE) as origin:
        page = browser.new_page()
        page.goto(f"{origin}/search.html?q=funnel")
        page.locator(".bd-search-container .found a").first.wait_for()
        page.locator(".bd-search-container input[type=search]").fill("xylophone")
        page.locator("[role=status]:has-text('Nothing found')").wait_for()
        assert page.locator(".bd-search-container .found a").count() == 0
        page.close()


def test_what_is_typed_before_the_script_is_here_is_asked_for(browser):
    page, held = browser.new_page(), []
    page.route("**/_static/site.js*", lambda route: held.append(route))
    page.goto((SITE / "search.html").as_uri(), wait_until="commit")
    field = page.locator(".bd-search-container input[type=search]")
    field.fill("funnel")
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.locator(".bd-search-container .found a").first.wait_for()
    assert field.input_value() == "funnel"
    page.close()


def test_an_index_that_got_lost_is_asked_for_again(browser):
    page = browser.new_page()
    page.route("**/_static/sections.js*", lambda route: route.abort())
    page.goto((SITE / "search.html").as_uri())
    container = page.locator(".bd-search-container")
    container.locator("input[type=search]").fill("funnel")
    expect(container.get_by_role("status")).to_contain_text("does not work")
    page.unroute_all()
    container.locator("input[type=search]").fill("funnel plot")
    container.locator(".found a").first.wait_for()
    page.close()


def test_a_place_on_the_same_page_closes_the_dialog(visit):
    page = visit("glossary.html").page
    page.keyboard.press("Control+k")
    page.keyboard.type("Baujat plot")
    page.locator("#pst-search-dialog .found a[href$='glossary.html#term-Baujat-plot']").click()
    page.locator("#pst-search-dialog").wait_for(state="hidden")
    assert page.url.endswith("#term-Baujat-plot")
