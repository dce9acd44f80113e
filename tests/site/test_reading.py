"""What readers meet: facts under the title, figures to take away, keys instead of a mouse."""

from __future__ import annotations

import csv
import json
import re
import struct
from collections import Counter
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
import yaml
from audit import served
from bs4 import BeautifulSoup
from built import SITE, soup_of
from playwright.sync_api import expect

from helpers.teaching import LEVELS, read_goals
from helpers.views.tables import CARDS

WITHOUT_SOURCE = {"404.html", "genindex.html", "search.html"}
ACTIVE = "document.activeElement"
CHAPTER = "pooling.html"
SOURCES = SITE.parents[1] / "book"
OWN_SHEETS = {
    "explore.html": {"interactive"},
    "labs.html": {"interactive"},
    "preventing_infection.html": {"interactive"},
    "in_your_browser.html": {"engine"},
}


# -- every page -----------------------------------------------------------------------------------


def test_page_says_how_long_how_new_and_how_to_cite(page_name):
    page = soup_of(page_name)
    assert len(page.select("article h1, .bd-search-container h1, #main-content h1")) >= 1
    if page_name in WITHOUT_SOURCE:
        return
    facts = page.select_one(".page-facts")
    assert re.fullmatch(r"[1-9]\d* min read", facts.select_one(".reading-time").get_text())
    day = facts.select_one("time")["datetime"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", day)
    title = " ".join(page.select_one("article h1").get_text(" ", strip=True).split())
    name = re.sub(r"^[\d.]+ ", "", title.replace("\N{NO-BREAK SPACE}", " ")).removesuffix(" #")
    cited = " ".join(facts.select_one("#cite-text").get_text().split())
    assert name.rstrip(".?") in cited
    assert day[:4] in cited
    assert re.search(r"https://|Commit [0-9a-f]{10}, book/", cited)  # or the commit: address.py
    bibtex = facts.select_one("#cite-bibtex").get_text()
    assert bibtex.startswith("@misc{")
    assert bibtex.count("{") == bibtex.count("}")


def test_machines_read_title_authors_and_facts(page_name):
    page = soup_of(page_name)
    if page_name in WITHOUT_SOURCE:
        return
    named = {m.get("name") or m.get("property"): m["content"] for m in page.select("meta[content]")}
    title = named["citation_title"]
    assert title
    assert title == named["og:title"]
    assert named["citation_author"]
    assert re.fullmatch(r"20\d\d/\d\d/\d\d", named["citation_publication_date"])
    facts = json.loads(page.select_one('script[type="application/ld+json"]').string)
    assert facts["name"] == title
    assert facts["description"] == named["description"] == named["og:description"]


def test_every_string_of_the_footer_is_shown(page_name):
    theme = yaml.safe_load((SITE.parents[1] / "_config.yml").read_text(encoding="utf-8"))
    configured = theme["sphinx"]["config"]["html_theme_options"]["extra_footer"]
    words = " ".join(BeautifulSoup(configured, "html.parser").get_text().split())
    shown = soup_of(page_name).select_one("footer.bd-footer-content").get_text()
    assert words in " ".join(shown.split())


def test_headings_descend_one_step_at_a_time(page_name):
    page = soup_of(page_name)
    main = page.select_one("article") or page.select_one(".bd-search-container")
    levels = [int(h.name[1]) for h in main.find_all(re.compile(r"^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_page_loads_one_sheet_and_one_script_by_checksum(page_name):
    page = soup_of(page_name)
    up = "../" * page_name.count("/")
    sheets = {link["href"] for link in page.find_all("link", rel="stylesheet")}
    book = {s for s in sheets if re.fullmatch(rf"{up}_static/site\.css\?v=\w{{8}}", s)}
    assert len(book) == 1
    # What only one page needs is loaded by that page alone.
    own = {s.split("/")[0] for s in sheets - book}
    assert own <= OWN_SHEETS.get(page_name, set())
    scripts = page.find_all("script", src=True)
    assert all(s.has_attr("defer") for s in scripts)
    assert any(re.fullmatch(rf"{up}_static/site\.js\?v=\w{{8}}", s["src"]) for s in scripts)


def test_words_of_a_style_keep_their_blanks():
    quoted = re.compile(r"content: ((?:var\([\w-]+\) )?\"[^\"]*\")")
    written = quoted.findall(CARDS.read_text(encoding="utf-8"))
    assert any(": " in words for words in written)  # the label of a card and its value
    sheet = (SITE / "_static" / "site.css").read_text(encoding="utf-8")
    assert not [words for words in written if f"content:{words}" not in sheet]


#: Bytes of a first load, unpacked: the page, its sheet and script, the fonts of its letters.
LIGHT = 600_000
FONTS = ("CohortSans-Regular", "CohortSans-Semibold", "CohortSerif-Roman", "CohortSerif-Italic")


def test_first_load_is_light(page_name):
    """What a page needs before anybody has touched it or asked it anything."""
    static = SITE / "_static"
    text = (SITE / page_name).read_text(encoding="utf-8")
    fonts = [*FONTS, "CohortSerif-Greek", *(["StixTwoMath"] if "<math" in text else [])]
    own = re.findall(r'(?:src|href)="((?:\.\./)?interactive/[^"?]+)', text)
    loaded = [
        SITE / page_name,
        static / "site.css",
        static / "site.js",
        *(static / "fonts" / f"{name}.woff2" for name in fonts),
        *((SITE / page_name).parent / address for address in own),
    ]
    assert "minisearch.min.js" not in text  # comes with the first question
    assert sum(path.stat().st_size for path in loaded) <= LIGHT


def test_a_style_that_many_marks_share_stands_once_in_the_page(page_name):
    text = (SITE / page_name).read_text(encoding="utf-8")
    drawings = re.findall(r'<svg (?=[^>]*role="img").*?</svg>', text, re.DOTALL)
    marks = [style for one in drawings for style in re.findall(r' style="([^"]*)"', one[1:])]
    often = Counter(style for style in marks if not style.startswith("display"))
    assert {style: times for style, times in often.items() if times > 2} == {}
    named = set(re.findall(r' class="(d[0-9a-f]{5})"', "".join(drawings)))
    assert named == set(re.findall(r"\.(d[0-9a-f]{5})\{", text))


def test_icons_of_the_theme_are_drawn(page_name):
    sheet = (SITE / "_static" / "site.css").read_text(encoding="utf-8")
    drawn = set(re.findall(r"\.fa-([a-z-]+)\{--icon", sheet)) | {"solid", "lg", "fw"}
    used = {
        name.removeprefix("fa-")
        for tag in soup_of(page_name).find_all(class_=re.compile(r"^fa-"))
        for name in tag["class"]
        if name.startswith("fa-")
    }
    assert used <= drawn


def test_a_percent_sign_stands_at_its_number(page_name):
    article = soup_of(page_name).select_one("article")
    if article is None or "reference" in page_name:  # docstrings are plain text
        return
    texts = article.find_all(string=re.compile(r"\d[\s\u202f]%|[^\W\d]%|,%"))  # "9 %", "NRM,%"
    assert [text for text in texts if not text.find_parent(["pre", "code"])] == []


def test_no_caption_begins_with_a_numeral(page_name):
    captions = soup_of(page_name).select("figcaption")
    texts = [one.get_text(" ", strip=True) for one in captions]
    texts = [re.sub(r"^Figure \d+\s*", "", text) for text in texts]
    assert [text for text in texts if re.match(r"\d", text)] == []


# -- one chapter ----------------------------------------------------------------------------------


def test_citation_is_copied(visit):
    seen = visit(CHAPTER)
    seen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    seen.page.locator("details.cite summary").click()
    for button, kept in (("Copy citation", "#cite-text"), ("Copy BibTeX", "#cite-bibtex")):
        pressed = seen.page.get_by_role("button", name=button)
        pressed.click()
        expect(pressed.locator("xpath=..").get_by_role("status")).to_have_text("Copied.")
        # asked for once: `wait_for_function` takes a promise for true
        copied = seen.page.evaluate("navigator.clipboard.readText()")
        assert copied == seen.page.locator(kept).text_content()
    assert seen.complaints == []


def downloaded(page, figure: str, kind: str) -> Path:
    with page.expect_download() as download:
        page.locator(f"#{figure} .picture-tools button", has_text=kind).click()
    assert download.value.suggested_filename == f"{figure}.{kind.lower()}"
    return Path(download.value.path())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figure_downloads_from_a_disk(visit, theme):
    seen = visit(CHAPTER, theme=theme)
    figure = seen.page.locator("figure.picture").first.get_attribute("id")
    svg = downloaded(seen.page, figure, "SVG").read_text(encoding="utf-8")
    assert "var(" not in svg
    assert "rgb(255, 255, 255)" in svg or "#ffffff" in svg  # white paper, whatever the theme
    assert "rgb(26, 28, 32)" in svg  # dark ink
    assert "Cohort Sans" in svg
    assert seen.page.evaluate("document.documentElement.dataset.theme") == theme
    root = svg[: svg.index(">")]
    width, height = (float(re.search(rf' {s}="([\d.]+)"', root)[1]) for s in ("width", "height"))
    png = downloaded(seen.page, figure, "PNG").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (round(2 * width), round(2 * height))
    assert seen.complaints == []


def test_figure_carries_its_font_when_it_comes_from_a_host(browser):
    with served(SITE) as origin:
        page = browser.new_page()
        page.goto(f"{origin}/{CHAPTER}")
        figure = page.locator("figure.picture").first.get_attribute("id")
        svg = downloaded(page, figure, "SVG").read_text(encoding="utf-8")
        assert svg.count("data:font/woff2;base64,") == 2
        assert len(downloaded(page, figure, "PNG").read_bytes()) > 10_000
        page.close()


def test_a_solution_opens_on_request_and_is_printed_only_then(visit):
    page = visit(CHAPTER).page
    solutions = page.locator("div.solution")
    assert solutions.count() == 3
    first = solutions.first
    body = first.locator("p:not(.admonition-title)").first
    assert not body.is_visible()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert [solutions.nth(i).is_visible() for i in range(3)] == [False] * 3
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert first.is_visible()
    first.locator(".admonition-title").click()
    assert body.is_visible()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert [solutions.nth(i).is_visible() for i in range(3)] == [True, False, False]
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    first.locator(".admonition-title").click()
    assert not body.is_visible()


def test_a_chapter_names_its_exercises_by_level_and_offers_notebooks(page_name):
    if not (SOURCES / page_name).with_suffix(".ipynb").is_file():
        return
    page = soup_of(page_name)
    levels = [t.get_text() for t in page.select("div.exercise > p.admonition-title")]
    if page_name.removesuffix(".html") in {chapter.file for chapter in read_goals()}:
        named = [re.search(r"\((\w+)\)", title)[1].lower() for title in levels]
        assert named == list(LEVELS)
    links = {a.get_text(): a["href"] for a in page.select(".page-facts .files a")}
    kinds = ["notebook", *(["for students, without solutions"] if levels else [])]
    assert list(links) == kinds
    for address in links.values():
        notebook = nbformat.read(SITE / address, as_version=4)
        assert (
            "{eval}" not in "".join(cell.source for cell in notebook.cells) or "students" in address
        )
    if levels:
        student = (SITE / links[kinds[1]]).read_text(encoding="utf-8")
        assert "### Solution" not in student
        assert "check(" in student or page_name == "exam.html"


def test_numbers_behind_a_figure_download_as_they_stand(visit):
    seen = visit(CHAPTER)
    figure = seen.page.locator("figure.picture:has(details.picture-data)").first
    name = figure.get_attribute("id")
    text = downloaded(seen.page, name, "CSV").read_text(encoding="utf-8")
    rows = list(csv.reader(text.splitlines()))
    table = soup_of(CHAPTER).select_one(f"#{name} details table")
    printed = [
        [" ".join(cell.get_text().split()) for cell in row.find_all(["th", "td"])]
        for row in table.tbody.find_all("tr")
        if not row.select(".gt_group_heading")
    ]
    assert len(rows) == len(printed) + 1
    assert len({len(row) for row in rows}) == 1
    shift = len(rows[0]) - len(printed[0])  # the group, where rows are grouped
    for got, shown in zip(rows[1:], printed, strict=True):
        assert got[shift] == shown[0]
        for value, cell in zip(got[shift:], shown, strict=True):
            if re.fullmatch(r"[\d,]+(\.\d+)?", cell):
                assert float(value) == float(cell.replace(",", ""))


def test_table_of_a_page_downloads_too(visit):
    seen = visit(CHAPTER)
    box = seen.page.locator(".text_html > .table-scroll").first
    bar = seen.page.get_by_role(
        "group", name=f"Download the table “{box.get_attribute('aria-label')}”"
    )
    with seen.page.expect_download() as download:
        bar.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == f"{box.get_attribute('id')}.csv"
    rows = list(csv.reader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) == 1 + box.locator("tbody tr:not(:has(.gt_group_heading))").count()


def test_ids_are_words_and_each_its_own(page_name):
    text = (SITE / page_name).read_text(encoding="utf-8")
    ids = Counter(re.findall(r'\sid="([^"]*)"', text))
    assert [name for name, times in ids.items() if times > 1 or not name or " " in name] == []


def test_figure_and_table_are_reached_by_keyboard(visit):
    """Where a picture has a form for the phone, the wide one with its scroll box is elsewhere."""
    seen = visit(CHAPTER, width=1280)
    scroll = seen.page.locator("figure.picture .picture-scroll").first
    scroll.focus()
    assert seen.page.evaluate(f"{ACTIVE}.classList.contains('picture-scroll')")
    for kind in ("Figure 1", "Show the numbers behind this figure", "SVG", "PNG", "CSV"):
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate(f"{ACTIVE}.textContent") == kind
    for _ in range(3):
        seen.page.keyboard.press("Shift+Tab")
    assert seen.page.evaluate(f"{ACTIVE}.tagName") == "SUMMARY"
    seen.page.keyboard.press("Enter")
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate(f"{ACTIVE}.classList.contains('table-scroll')")
    ring = f"getComputedStyle({ACTIVE}).outlineStyle + getComputedStyle({ACTIVE}).outlineWidth"
    assert seen.page.evaluate(ring) == "solid3px"
    box = f"({ACTIVE}.scrollHeight > {ACTIVE}.clientHeight)"
    if seen.page.evaluate(box):  # a long table: the heading stays in view
        seen.page.keyboard.press("PageDown")
        seen.page.wait_for_function(f"{ACTIVE}.scrollTop > 50")
        top = f"{ACTIVE}.querySelector('thead th').getBoundingClientRect().top"
        assert seen.page.evaluate(f"{top} - {ACTIVE}.getBoundingClientRect().top") < 5


def test_skip_link_is_the_first_stop_and_leads_to_the_text(visit):
    seen = visit(CHAPTER)
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate(f"{ACTIVE}.getAttribute('href')") == "#main-content"
    seen.page.wait_for_function(f"{ACTIVE}.getBoundingClientRect().top >= 0")
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_url("**/*#main-content")


def test_figures_and_tables_need_no_script(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((SITE / CHAPTER).as_uri())
    assert page.locator("figure.picture svg").first.is_visible()
    assert page.locator("button.copy:visible").count() == 0
    page.locator("details.picture-data summary").first.click()
    page.locator("details.picture-data table").first.wait_for()
    context.close()


def test_moving_around_the_book(visit):
    seen = visit("index.html")
    first = seen.page.title()
    with seen.page.expect_navigation():
        seen.page.locator("nav.bd-links a").nth(1).click()
    second = seen.page.title()
    assert second != first
    with seen.page.expect_navigation():
        seen.page.locator("a.right-next, a.left-prev").first.click()
    assert seen.page.title() != second
    assert seen.complaints == []


def test_contents_open_on_a_phone(visit):
    seen = visit(CHAPTER, width=320)
    seen.page.locator(".primary-toggle").click()
    seen.page.locator("#pst-primary-sidebar-modal nav.bd-links a").first.wait_for()
    seen.page.keyboard.press("Escape")
    seen.page.locator("#pst-primary-sidebar-modal").wait_for(state="hidden")


def test_the_menu_of_downloads_works_by_keyboard(visit):
    page = visit(CHAPTER).page
    button = page.get_by_role("button", name="Download this page")
    button.focus()
    page.keyboard.press("ArrowDown")
    assert button.get_attribute("aria-expanded") == "true"
    inside = "document.activeElement.closest('.dropdown-menu') !== null"
    assert page.evaluate(inside)
    box = page.locator(".dropdown-menu.show").bounding_box()
    assert 0 <= box["x"] <= box["x"] + box["width"] <= page.viewport_size["width"]
    page.keyboard.press("Escape")
    assert button.get_attribute("aria-expanded") == "false"
    assert button.evaluate("(e) => e === document.activeElement")
    button.click()
    page.locator("article h1").click()
    assert page.locator(".dropdown-menu.show").count() == 0


def test_the_contents_mark_the_section_that_is_read(visit):
    page = visit(CHAPTER).page
    links = page.locator(".page-toc a")
    for place in (1, links.count() - 2):
        links.nth(place).click()
        marked = page.locator(".page-toc a[aria-current=location]")
        page.wait_for_function(
            "(href) => document.querySelector('.page-toc a[aria-current]')"
            "?.getAttribute('href') === href",
            arg=links.nth(place).get_attribute("href"),
        )
        assert marked.count() == 1


def test_copied_code_is_the_code(visit):
    page = visit(CHAPTER).page
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', { value: {"
        " writeText: async (text) => { window.copied = text; } } })"
    )
    page.evaluate("Object.defineProperty(window, 'isSecureContext', { value: true })")
    button = page.locator("button.copybtn:visible").first
    code = button.evaluate("(e) => e.previousElementSibling.textContent")
    button.focus()
    page.keyboard.press("Enter")
    # both at once: the button says it for two seconds
    said = page.wait_for_function(
        "(button) => window.copied !== undefined && [copied, button.getAttribute('aria-label')]",
        arg=button.element_handle(),
    )
    assert said.json_value() == [code.removesuffix("\n"), "Copied"]


def test_targets_are_large_enough(visit):
    """WCAG 2.2, 2.5.8: 24 by 24 pixels for what is not part of a sentence."""
    seen = visit(CHAPTER, width=320)
    small = seen.page.evaluate(
        """() => [...document.querySelectorAll('button, summary')]
            .map(e => [e.textContent.trim() || e.className, e.getBoundingClientRect()])
            .filter(([_, r]) => r.width > 0 && (r.width < 24 || r.height < 24))
            .map(([name, r]) => `${name} ${r.width}x${r.height}`)"""
    )
    assert small == []


def test_formulas_are_set_in_the_books_font(visit):
    seen = visit(CHAPTER)
    loaded = "[...document.fonts].some(f => f.family.includes('STIX') && f.status === 'loaded')"
    seen.page.wait_for_function(loaded)


@pytest.mark.parametrize("page_of_formulas", ["symbols.html", "method_menu.html"])
def test_the_font_of_formulas_in_tables_is_asked_for_early(browser, visit, page_of_formulas):
    asked = "document.querySelector('link[rel=preload][as=font]')?.href ?? ''"
    with served(SITE) as origin:
        page = browser.new_page()
        page.goto(f"{origin}/{page_of_formulas}")
        address = page.evaluate(asked)
        assert page.request.get(address).ok
        page.close()
    assert visit(page_of_formulas).page.evaluate(asked) == ""  # a disk needs no fetching ahead
