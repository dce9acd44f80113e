"""Addresses that readers keep: what is clicked leads there, and again when it is opened afresh."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator

import nbformat
import pytest
from audit import served
from built import ROOT, SITE
from playwright.sync_api import Locator, Page
from waits import opened as open_page
from waits import settled

CHAPTER = "pooling.html"
IN_VIEW = """(e) => {
    const { top, bottom } = e.getBoundingClientRect();
    return top >= -1 && top < innerHeight && bottom > 0;
}"""
SERVICES = ("mybinder", "colab", "codespaces", "github.com", "gitlab")


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with served(SITE) as address:
        yield address


@pytest.fixture
def opened(visit, origin) -> Callable[..., Page]:
    """Open pages from the host, one after another in the same tab."""
    seen: list[Page] = []

    def of(name: str, width: int = 1280) -> Page:
        if not seen:
            seen.append(visit(name, width=width, origin=origin).page)
        else:
            seen[0].goto("about:blank")  # else another place of the same page is no new visit
            open_page(seen[0], f"{origin}/{name}")
        return seen[0]

    return of


def _stands_in_view(page: Page, place: Locator) -> None:
    element = place.element_handle()
    page.wait_for_function(IN_VIEW, arg=element)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    ("name", "link"),
    [
        (CHAPTER, "figure.picture .figure-number"),
        ("heterogeneity.html", "figure.picture .figure-number"),
        (CHAPTER, "article h2 > a.headerlink"),
        ("method_menu.html", "table caption > a.headerlink"),
    ],
)
def test_a_permalink_leads_to_its_place(opened, origin, name, link, width):
    page = opened(name, width)
    last = page.locator(f"{link}:visible").last
    if link.endswith("headerlink"):
        last = page.locator(link).last
    anchor = last.get_attribute("href")
    last.scroll_into_view_if_needed()
    last.click(force=True)
    assert page.url == f"{origin}/{name}{anchor}"
    opened(f"{name}{anchor}")
    assert page.evaluate("innerWidth") == width
    _stands_in_view(page, page.locator(anchor))


def test_a_term_leads_to_its_definition_and_back(opened, origin):
    page = opened(CHAPTER)
    link = page.locator("article a:has(> .std-term)").nth(3)
    link.evaluate("(e) => e.scrollIntoView({ block: 'center' })")
    before = link.bounding_box()
    address = link.evaluate("(e) => e.href")
    link.click()
    page.wait_for_url(address)
    term = page.locator(f"#{address.partition('#')[2]}")
    assert term.evaluate("(e) => e.localName") == "dt"
    _stands_in_view(page, term)
    page.go_back()
    page.wait_for_url(f"{origin}/{CHAPTER}")
    settled(page)
    assert link.bounding_box()["y"] == pytest.approx(before["y"], abs=3)


def test_a_result_of_the_search_leads_to_its_section(opened, origin):
    page = opened("index.html")
    page.keyboard.press("Control+k")
    page.locator("#pst-search-dialog input").fill("prediction interval")
    found = page.locator("ul.found a").first
    found.wait_for()
    address = found.evaluate("(e) => e.href")
    assert "#" in address
    found.click()
    page.wait_for_url(address)
    _stands_in_view(page, page.locator(f"[id='{address.partition('#')[2]}']"))


def test_tables_are_what_the_data_page_says(opened, origin):
    package = json.loads((ROOT / "data" / "datapackage.json").read_text(encoding="utf-8"))
    page = opened("codebook.html")
    links = page.locator("#data-files a[href$='.csv']")
    hrefs = links.evaluate_all("(all) => all.map((e) => e.getAttribute('href'))")
    assert len(hrefs) >= len(package["resources"])
    for resource in package["resources"]:
        answer = page.request.get(f"{origin}/downloads/data/{resource['path']}")
        assert answer.ok, resource["path"]
        assert f"downloads/data/{resource['path']}" in hrefs
        kept = (ROOT / "data" / resource["path"]).read_bytes()
        assert hashlib.sha256(answer.body()).digest() == hashlib.sha256(kept).digest()
    columns = page.locator("#data-files a[href^='#codebook-']").last
    anchor = columns.get_attribute("href")
    columns.click()
    _stands_in_view(page, page.locator(anchor))


def test_notebooks_of_a_chapter_are_downloaded(opened, origin):
    page = opened(CHAPTER)
    links = page.locator(".page-facts .files a")
    assert links.count() == 2
    for i in range(links.count()):
        with page.expect_download() as download:
            links.nth(i).click()
        path = download.value.path()
        assert download.value.suggested_filename.endswith(".ipynb")
        nbformat.validate(nbformat.reads(path.read_text(encoding="utf-8"), 4))
    page.get_by_role("button", name="Download this page").click()
    for link in page.locator(".dropdown-download-buttons .dropdown-menu a").all():
        assert page.request.get(link.evaluate("(e) => e.href")).ok


def test_the_zip_of_the_book_is_there(opened, origin):
    page = opened("codebook.html")
    with page.expect_download() as download:
        page.locator("article a[href$='.zip']").first.click()
    packed = SITE / "downloads" / download.value.suggested_filename
    assert download.value.path().stat().st_size == packed.stat().st_size


def test_the_next_page_follows_and_the_one_before_comes_back(opened, origin):
    page = opened(CHAPTER)
    page.locator(".prev-next-area a.right-next").click()
    page.wait_for_url(lambda url: not url.endswith(CHAPTER))
    page.locator(".prev-next-area a.left-prev").click()
    page.wait_for_url(f"{origin}/{CHAPTER}")


def test_nothing_is_offered_elsewhere_where_no_address_is_known(opened, origin):
    """This build knows the repository or not; links to services stand on its pages accordingly."""
    for name in (CHAPTER, "index.html", "ways_to_run.html"):
        page = opened(name)
        known = page.locator("link[rel=canonical]").count() > 0
        offered = page.locator(".page-facts .run, .dropdown-launch-buttons").count() > 0
        links = page.locator("a[href^='http']").evaluate_all("(all) => all.map((e) => e.href)")
        services = [a for a in links if any(one in a.lower() for one in SERVICES)]
        if not known:
            assert not offered
            assert [a for a in services if f"/{name.removesuffix('.html')}" in a] == []


def test_an_address_that_leads_nowhere_offers_ways_on(visit):
    page = visit("404.html").page
    links = page.locator("article section a")
    assert links.count() > 4
    for href in links.evaluate_all("(all) => all.map((e) => e.getAttribute('href'))"):
        assert (SITE / href).exists()
