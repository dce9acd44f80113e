"""The page of the data, the files that it offers, filters, and the grid of the gallery."""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from built import ROOT, SITE, soup_of
from waits import resized

DATA = SITE / "downloads" / "data"
PACKAGE = json.loads((ROOT / "data" / "datapackage.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("resource", PACKAGE["resources"], ids=lambda one: one["name"])
def test_a_table_is_offered_with_its_checksum_rows_and_codebook(resource):
    page, path = soup_of("codebook.html"), resource["path"]
    content = (DATA / path).read_bytes()
    assert content == (ROOT / "data" / path).read_bytes()
    assert hashlib.sha256(content).hexdigest() in {c.get_text() for c in page.select("code")}
    link = page.select_one(f'#data-files a[href="downloads/data/{path}"]')
    cells = [cell.get_text(strip=True) for cell in link.find_parent("tr").find_all(["th", "td"])]
    lines = list(csv.reader(content.decode().splitlines(keepends=True)))
    assert cells[2:] == [str(len(lines) - 1), str(len(lines[0]))]
    codebook = page.select_one(link.find_parent("tr").find_all("a")[1]["href"])
    names = [row.find("th").get_text() for row in codebook.select("tbody tr")]
    assert names == lines[0]


def test_the_description_stands_beside_the_tables():
    assert json.loads((DATA / "datapackage.json").read_text(encoding="utf-8")) == PACKAGE


def test_the_zip_is_the_whole_book_without_the_engine():
    with zipfile.ZipFile(SITE / "downloads" / "nrm-book.zip") as packed:
        names = {name.removeprefix("nrm-book/") for name in packed.namelist()}
        assert packed.read("nrm-book/index.html") == (SITE / "index.html").read_bytes()
    files = {p.relative_to(SITE).as_posix() for p in SITE.rglob("*") if p.is_file()}
    kept = {name for name in files if not name.startswith("engine/")} - {"downloads/nrm-book.zip"}
    assert names == kept
    assert soup_of("codebook.html").select_one('a[href="downloads/nrm-book.zip"]')


def test_a_pdf_is_offered_where_there_is_one():
    link = soup_of("codebook.html").select_one('a[href="downloads/nrm-book.pdf"]')
    assert (link is not None) == (SITE / "downloads" / "nrm-book.pdf").is_file()


def test_the_glossary_is_filtered(visit):
    page = visit("glossary.html").page
    terms = page.locator("dl.glossary dt")
    every = terms.count()
    page.get_by_role("searchbox", name="Filter the terms").fill("baujat influence")
    shown = page.locator("dl.glossary dt:visible").all_inner_texts()
    assert [text.strip().rstrip("#") for text in shown] == ["Baujat plot"]
    assert page.locator("dl.glossary dd:visible").count() == 1
    page.get_by_role("searchbox", name="Filter the terms").fill("")
    assert page.locator("dl.glossary dt:visible").count() == every


def test_the_method_menu_is_filtered_in_all_its_tables(visit):
    page = visit("method_menu.html").page
    rows = page.locator("article table.menu tbody tr:visible")
    every = rows.count()
    page.get_by_role("searchbox", name="Filter the methods").fill("paule")
    left = rows.count()
    assert 0 < left < every
    assert all("paule" in text.lower() for text in rows.all_inner_texts())
    said = page.locator(".table-filter [role=status]").inner_text()
    assert said == f"{left} of {every} methods"
    assert 0 < page.locator("article table.menu:visible").count() <= left


@pytest.mark.parametrize("name", ["gallery.html", "gallery_more.html"])
def test_the_grid_has_every_picture_of_the_page_once(name):
    page = soup_of(name)
    figures = [figure["id"] for figure in page.select("figure.picture")]
    links = page.select(".gallery-grid a")
    assert [link["href"] for link in links] == [f"#{figure}" for figure in figures]
    labels = [link.get_text() for link in links]
    assert all(labels)
    assert len(set(labels)) == len(labels)
    for link in links:
        drawing = page.select_one(link.find("use")["data-href"])
        assert drawing.name == "svg"
        assert drawing["viewbox"] == link.find("svg")["viewbox"]


@pytest.mark.parametrize("address", ["gallery.html", "gallery.html#forest-plots"])
def test_small_pictures_are_drawn_after_the_first_screen(visit, address):
    page = visit(address, width=390).page
    page.wait_for_function("document.querySelector('.gallery-grid use:not([href])') === null")
    drawn = page.locator(".gallery-grid use").evaluate_all(
        "(all) => all.map((e) => e.getBBox().width)"
    )
    assert min(drawn) > 100


@pytest.mark.parametrize("name", ["gallery", "gallery_more"])
def test_a_phone_reads_its_drawings_when_a_picture_comes_near(visit, name):
    """The rest of the page never has them: they would weigh more than its text."""
    asked = f"phones/{name}.js"
    wide = visit(f"{name}.html").page
    wide.locator("figure.picture").last.scroll_into_view_if_needed()
    assert wide.locator(".picture-narrow").count() == 0
    page = visit(f"{name}.html", width=390).page
    assert page.locator(f"[data-phones='{asked}']").count() == 1
    assert page.locator("script[src*='phones/']").count() == 0
    page.locator("figure.picture").first.scroll_into_view_if_needed()
    page.locator(".picture-narrow").first.wait_for()
    page.wait_for_function(
        "document.querySelectorAll('.picture-narrow').length"
        " === Object.keys(phoneForms.forms).length"
    )
    figures = page.locator("figure.picture:has(> .picture-narrow)")
    assert figures.count() > 10
    state = """(figures) => figures.map((figure) => {
        const wide = figure.querySelector(".picture-scroll");
        const narrow = figure.querySelector(".picture-narrow");
        return [getComputedStyle(wide).display, narrow.scrollWidth <= narrow.clientWidth,
            Math.round(parseFloat(getComputedStyle(narrow.querySelector("svg text")).fontSize)
                * narrow.querySelector("svg").getScreenCTM().a)];
    })"""
    for display, fits, letters in figures.evaluate_all(state):
        assert (display, fits) == ("none", True)
        assert letters >= 12
    ids = page.evaluate("() => [...document.querySelectorAll('article [id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


def test_a_phone_that_is_turned_reads_its_drawings_once(visit):
    page = visit("gallery_more.html", width=390).page
    page.locator("figure.picture").first.scroll_into_view_if_needed()
    page.locator(".picture-narrow").first.wait_for()
    for width in (800, 390):
        resized(page, width)
        page.evaluate(  # what comes near the window is said within a frame
            """() => new Promise((done) =>
                requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"""
        )
    assert page.locator("script[src*='phones/']").count() == 1


def test_a_small_picture_opens_the_large_one(visit):
    seen = visit("gallery.html")
    link = seen.page.locator(".gallery-grid a").nth(3)
    painted = link.locator("use").evaluate("(use) => use.getBoundingClientRect().width")
    assert painted > 50
    link.click()
    seen.page.wait_for_function(
        "(id) => { const top = document.getElementById(id).getBoundingClientRect().top;"
        " return top > -5 && top < innerHeight / 2 }",
        arg=link.get_attribute("href").removeprefix("#"),
    )


def test_text_that_a_spreadsheet_would_compute_is_marked_in_a_download(visit):
    seen = visit("pooling.html")
    box = seen.page.locator(".text_html > .table-scroll[id]").first
    cells = ["=1+1", "+44 20", "@name", "-x", "-0.5", "+2.5e-3", "plain"]
    expected = ["'=1+1", "'+44 20", "'@name", "'-x", "-0.5", "+2.5e-3", "plain"]
    box.evaluate(
        """(box, cells) => { const row = box.querySelector("tbody").insertRow(0);
            for (const text of cells) row.insertCell().textContent = text; }""",
        cells,
    )
    with seen.page.expect_download() as download:
        bar = seen.page.locator(".text_html > .table-scroll[id] + .picture-tools").first
        bar.get_by_role("button").click()
    rows = list(csv.reader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert rows[1][-len(cells) :] == expected
