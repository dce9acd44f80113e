"""The built site, opened from its files in a real browser."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import built
import pytest
from accessibility import CONTRAST, EMPTY, SETTLED, THEMES, THIN, Colours, faults, unfold
from accessibility import WIDTHS as AXE_WIDTHS
from built import SITE, cover, ids_of, page_names, soup_of
from lxml import html
from waits import opened, resized

WIDTHS = (320, 768, 1440)
# what makes a browser fetch something without being asked
LOADING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
}
LOADING_RELATIONS = {"stylesheet", "preload", "icon", "modulepreload", "prefetch", "preconnect"}


#: Pages with parts of their own; what the others are made of stands on many pages.
OWN_PARTS = {
    "index.html",
    "explore.html",
    "in_your_browser.html",
    "search.html",
    "self_check.html",
    "glossary.html",
}


@cache
def judged() -> list[str]:
    """Pages that axe looks at: on these stands every kind of element that some page has."""
    return cover(page_names(), OWN_PARTS)


def looks_at(page_name: str) -> dict[str, tuple[int, ...]]:
    """Widths by theme at which axe looks at a page: one in turn, or all. `make audit` takes all."""
    if page_name in OWN_PARTS:
        return {"light": AXE_WIDTHS, "dark": AXE_WIDTHS[:1]}
    if page_name not in judged():
        return {}
    turn = judged().index(page_name)
    return {THEMES[turn // 2 % 2]: AXE_WIDTHS[turn % 2 :][:1]}


def test_axe_looks_at_a_quarter_of_the_pages_in_each_way_and_at_some_in_most():
    ways = Counter(
        (theme, width)
        for name in judged()
        for theme, widths in looks_at(name).items()
        for width in widths
    )
    assert len(ways) == len(THEMES) * len(AXE_WIDTHS)
    assert min(ways.values()) >= (len(judged()) - len(OWN_PARTS)) // 5
    assert set(judged()) > OWN_PARTS
    assert any(name.startswith("reference/") for name in judged())


def test_nothing_stands_only_on_pages_that_axe_does_not_see():
    """By name, class and role; of a formula as a whole, as axe asks for no part of it."""

    def found(name: str) -> set[tuple[str, str, str]]:
        every = html.parse(SITE / name).xpath(
            "//*[not(ancestor::svg or ancestor::pre or ancestor::math)]"
        )
        return {(one.tag, one.get("class", ""), one.get("role", "")) for one in every}

    seen = set().union(*map(found, judged()))
    unseen = {name: found(name) - seen for name in set(page_names()) - set(judged())}
    assert {name: kinds for name, kinds in unseen.items() if kinds} == {}


@pytest.mark.parametrize(
    ("change", "sees"),
    [
        ('<p>words</p><a href="#a">words</a>', False),
        ('<p>words</p><a href="#a"> </a>', True),  # no name
        ('<p>words</p><a href="#a" aria-hidden="true">words</a>', True),
        ('<p style="color: #ccc">words</p><a href="#a">words</a>', True),
        ('<div><a href="#a">words</a></div>', True),  # another place
        ('<p class="new">words</p>', True),
        ('<p role="list">words</p>', True),
    ],
)
def test_a_page_with_a_kind_of_element_of_its_own_is_looked_at(tmp_path, monkeypatch, change, sees):
    monkeypatch.setattr(built, "SITE", tmp_path)
    built.kinds_on.cache_clear()
    page = "<html lang='en'><body><main><p>text</p><a href='#b'>link</a>{}</main></body></html>"
    (tmp_path / "a.html").write_text(page.format("<div>more</div>"))
    (tmp_path / "b.html").write_text(page.format(change))
    assert ("b.html" in cover(["a.html", "b.html"], ["a.html"])) == sees
    built.kinds_on.cache_clear()


@pytest.fixture(scope="module")
def blank(browser):
    """Give one empty page for many tests: to make a new one takes longer than to ask axe."""
    page = browser.new_page()

    def write(text):
        page.goto("about:blank")
        page.set_content(text)
        return page

    yield write
    page.close()


ROW = '<li><input type="checkbox" aria-label="Row"> <a href="#a">words</a> <span>more</span>'
ROWS = f"""<html lang="en"><title>Rows</title><style>.pale, #pale {{ color: #ccc }}
    a, input {{ margin: 24px }}</style><main><h1>Rows</h1><ul id="a">{ROW * 9}</ul>
    <div><input aria-label="Last"></div></main>"""


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("", None),
        ('one.querySelector("input").removeAttribute("aria-label")', "label"),
        ('one.querySelector("input").ariaLabel = " "', "label"),
        ('one.querySelector("input").ariaHidden = "true"', "aria-hidden-focus"),
        ('one.querySelector("a").textContent = ""', "link-name"),
        ('one.querySelector("span").role = "img"', "role-img-alt"),
        ('one.querySelector("span").className = "pale"', "color-contrast"),
        ('one.querySelector("span").id = "pale"', "color-contrast"),  # by its look alone
        # what an element elsewhere names, stays: else it would have no name
        ('one.id = "named"; last.removeAttribute("aria-label");'
         'last.setAttribute("aria-labelledby", "named")', None),
    ],
)  # fmt: skip
def test_of_rows_alike_axe_sees_three_and_every_other_row(blank, change, rule):
    page = blank(ROWS)
    page.evaluate(
        "(() => { const one = document.querySelectorAll('li')[4],"
        f" last = document.querySelector('div > input'); {change} }})()"
    )
    page.evaluate(THIN)
    assert page.locator("li").count() == (4 if change else 3)
    assert set(faults(page, widths=(1280,))) == ({rule} if rule else set())


# a table that a phone would have to push to and fro: its rows should be cards there
SIDEWAYS = """[...document.querySelectorAll("article table")].filter((table) => {
    const box = table.closest(".table-scroll, .output") ?? table.parentElement;
    return Math.max(box.scrollWidth, table.scrollWidth) > box.clientWidth + 1;
}).map((table) => table.textContent.trim().slice(0, 60))"""


# a cell of a card that scrolls, which the keyboard does not reach
SCROLLING = """[...document.querySelectorAll(".table-cards td")].filter((cell) =>
    cell.tabIndex < 0
    && (cell.scrollWidth > cell.clientWidth || cell.scrollHeight > cell.clientHeight)
).map((cell) => cell.textContent.trim().slice(0, 60))"""


def test_page_opens_offline_fits_and_axe_has_no_objection(page_name, visit, colours):
    """One visit for all questions."""
    looks = looks_at(page_name)
    seen = visit(page_name, width=WIDTHS[0], theme=next(iter(looks), "light"))
    unfold(seen.page)
    assert seen.page.evaluate(SIDEWAYS) == []
    assert seen.page.evaluate(SCROLLING) == []
    for width in WIDTHS:
        resized(seen.page, width)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.foreign == []
    assert seen.failed == []
    assert seen.complaints == []
    # letters of names, as in Röver, are in the file that every page has
    assert [url for url in seen.requests if "CohortSerif-Roman-More" in url] == []
    if looks:
        seen.page.evaluate(EMPTY)
        seen.page.evaluate(THIN)
    for theme, widths in looks.items():
        resized(seen.page, widths[0])
        ask_for(seen.page, theme)
        if seen.page.evaluate("typeof axe === 'object'"):  # a second theme changes colours alone
            assert colours.faults(seen.page, *widths) == {}
        else:  # fetches the styles again
            assert faults(seen.page, widths=widths, colours=colours) == {}


def ask_for(page, theme):
    """Change the theme, as a change of the system does."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}' && {SETTLED}")


def test_axe_objects_where_it_should(browser):
    """An empty result says something only because this one is not empty."""
    page = browser.new_page()
    page.set_content("<html><body><img src='data:,'><p style='color: #eee'>pale</p></body></html>")
    found, swallowed = faults(page), Colours().faults(page, 320)
    page.close()
    assert {"html-has-lang", "image-alt", "color-contrast"} <= set(found)
    assert set(swallowed) == {"color-contrast"}


WORDS = """<html lang="en"><title>Words</title><main><h1>Words</h1><div class="box">
    <p class="words">Some words, <a href="#a">a link among them</a> and more.</p></div>
    <p>Words beside the box.</p><p style="color: #777; font-size: 24px">Large ones.</p>
    <p style="color: #888; position: relative"><b style="color: #111">Strong</b></p></main>"""


@pytest.mark.parametrize(
    ("style", "rule"),
    [
        (".words { color: #999 }", "color-contrast"),
        (".box { opacity: 0.3 }", "color-contrast"),
        (".box { background: #333 }", "color-contrast"),
        ("main { background: #333 }", "color-contrast"),
        ("p { font-size: 16px !important }", "color-contrast"),
        ("b { color: inherit !important }", "color-contrast"),
        (".words { text-shadow: 0 0 2px #000; color: #000; background: #111 }", "color-contrast"),
        ("h1 { position: absolute; top: 60px; z-index: -1; width: 300px; height: 300px; "
         "background: #333; color: #fff }", "color-contrast"),
        ("a { text-decoration: none; color: #111 }", "link-in-text-block"),
        ("a { text-decoration: none; color: #00e } .words { color: #009 }", "link-in-text-block"),
    ],
)  # fmt: skip
def test_a_look_that_was_seen_hides_no_other(blank, style, rule):
    """Each change leaves words of a look that is known; axe must be asked all the same."""
    page = blank(WORDS)
    colours = Colours()
    assert colours.faults(page, 320) == {}
    assert colours.asked
    before, colours.asked = colours.asked, 0
    assert colours.faults(page, 320) == {}
    assert colours.asked < before
    page.add_style_tag(content=style)
    found = {rule: len(lines) for rule, lines in colours.faults(page, 320).items()}
    every = {r: n for r, n in faults(page, widths=(320,)).items() if r in CONTRAST}
    assert set(found) == set(every) == {rule}


def test_page_names_no_foreign_resource(page_name):
    page = soup_of(page_name)
    named = [
        tag[attribute]
        for kind, attribute in LOADING.items()
        for tag in page.find_all(kind)
        if tag.has_attr(attribute)
    ]
    named += [
        tag["href"]
        for tag in page.find_all("link")
        if LOADING_RELATIONS & set(tag.get("rel", [])) and tag.has_attr("href")
    ]
    foreign = [url for url in named if urlsplit(url).scheme in {"http", "https"} or url[:2] == "//"]
    assert named, "a page without a stylesheet is not a page of this book"
    assert foreign == []


def test_no_page_shows_an_address_in_memory_or_on_the_disk(page_name):
    shown = soup_of(page_name).get_text()
    assert re.findall(r"\b0x[0-9a-f]{6,}", shown) == []
    assert str(SITE.parents[1]) not in shown


def test_no_script_or_style_loads_from_another_host():
    foreign = []
    for path in [*SITE.rglob("*.css"), *SITE.rglob("*.html")]:
        text = path.read_text(encoding="utf-8")
        foreign += [(path.name, u) for u in re.findall(r"url\(['\"]?(https?://[^)'\"]+)", text)]
        foreign += [(path.name, u) for u in re.findall(r"@import\s+['\"](https?://[^'\"]+)", text)]
        foreign += [(path.name, u) for u in re.findall(r"unpkg\.com|jsdelivr|cdnjs", text)]
    assert foreign == []


def test_links_and_anchors_resolve(page_name):
    page = soup_of(page_name)
    broken = []
    for link in page.find_all("a", href=True):
        target = urlsplit(link["href"])
        if target.scheme or link["href"].startswith("//"):
            continue
        file = (SITE / page_name).parent / unquote(target.path) if target.path else SITE / page_name
        if not file.exists():
            broken.append(link["href"])
        elif target.fragment and file.suffix == ".html":
            there = unquote(target.fragment) in ids_of(file.resolve())
            broken += [] if there else [link["href"]]
    assert broken == []


def test_page_has_title_language_and_description(page_name):
    page = soup_of(page_name)
    assert page.html["lang"] == "en"
    assert page.title.get_text(strip=True)
    description = page.find("meta", attrs={"name": "description"})
    assert description is not None
    assert len(description["content"]) > 20


def test_every_picture_has_an_alternative(page_name):
    page = soup_of(page_name)
    for image in page.find_all("img"):
        alternative = image.get("alt")
        assert alternative is not None, image
        assert not alternative.endswith((".png", ".svg")), image
    for drawing in page.select("figure.picture svg"):
        assert drawing.get("role") == "img"
        assert drawing.get("aria-labelledby") or drawing.get("aria-label")


def test_theme_button_switches_the_page_and_its_pictures(visit):
    seen = visit("pooling.html", theme="light")
    colour = "getComputedStyle(document.querySelector('figure.picture svg text')).fill"
    before = seen.page.evaluate(colour)
    for _ in range(3):  # the button cycles through auto, light and dark
        seen.page.locator("button.theme-switch-button:visible").first.click()
        if seen.page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
    assert seen.page.evaluate("document.documentElement.dataset.theme") == "dark"
    seen.page.wait_for_function(f"{colour} !== '{before}'")


def test_no_test_takes_a_promise_for_an_answer():
    """`wait_for_function` waits for none: a promise is true at once, whatever comes of it."""
    asked = [
        ast.unparse(call.args[0])
        for path in Path(__file__).parent.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "wait_for_function"
    ]
    assert len(asked) > 20
    assert [one for one in asked if re.search(r"async|Promise|await|THERE", one)] == []


def test_the_tab_of_all_tests_keeps_nothing_of_one(tab):
    for _ in range(2):
        page = tab.open(1280, "light").page
        opened(page, (SITE / "pooling.html").as_uri())
        assert page.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]") == []
        page.evaluate("localStorage.setItem('code', 'none')")  # as a choice of the reader
        with pytest.raises(RuntimeError, match="a page of your own"):
            page.add_init_script("1")
        tab.forget()  # a page that is left stores where its list of pages stood


def test_the_site_has_the_pages_of_the_contents():
    assert {"index.html", "data_extraction.html", "pooling.html", "glossary.html"} <= set(
        page_names()
    )
