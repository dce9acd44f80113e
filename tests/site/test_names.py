"""What assistive technology hears: the title first, where the reader is, one name a thing."""

from __future__ import annotations

import re

import pytest
from built import SITE, page_names, soup_of
from playwright.sync_api import expect

CHAPTER = "pooling.html"
HEADINGS = re.compile(r"^h[1-6]$")
HEADS = re.compile(r"@media[^{]*")


def test_the_first_heading_of_a_page_is_its_title(page_name):
    page = soup_of(page_name)
    first = page.find(lambda tag: HEADINGS.match(tag.name) or tag.get("role") == "heading")
    assert first.name == "h1"


def test_links_have_names_and_do_not_lie_on_each_other(page_name):
    page = soup_of(page_name)
    links = page.select("article a[href]")
    files = [a for a in links if a.get_text().strip() == a["href"] and ":" not in a["href"]]
    assert files == []  # a file says nothing to those who hear it
    cards = page.select(".sd-card:has(.sd-stretched-link)")
    assert [card.get_text() for card in cards if len(card.select("a")) > 1] == []


def test_the_contents_say_which_page_is_open(page_name):
    page = soup_of(page_name)
    links = page.select("nav.bd-links a")
    current = [link for link in links if link.get("aria-current") == "page"]
    others = [link for link in links if "current" in link.get("class", [])]
    assert current == others
    assert len(current) <= 1
    if page_name not in {"index.html", "404.html", "genindex.html", "search.html"}:
        assert len(current) == 1


def test_a_figure_its_drawing_and_its_box_have_one_name(page_name):
    page = soup_of(page_name)
    for figure in page.select("figure.picture[id]:has(.figure-number)"):
        number = figure.select_one(".figure-number").get_text()
        title = figure["aria-label"]
        assert title.startswith(f"{number}: ")
        assert figure.select_one(".picture-scroll")["aria-label"] == title
        for drawing in figure.find_all("svg"):
            assert drawing["aria-label"] == drawing.title.get_text() == title
            # beside the drawing: what is in it is not there before it comes near the window
            description = page.find(id=drawing["aria-describedby"])
            assert description.get_text(strip=True)
            assert description.find_parent("svg") is None
        for box in figure.select(".picture-data [role=region]"):
            assert box["aria-label"] == f"The numbers behind {number}"


def test_figures_are_on_some_pages():
    pages = {name: (SITE / name).read_text(encoding="utf-8") for name in page_names()}
    numbered = [name for name, page in pages.items() if 'class="figure-number"' in page]
    assert len(numbered) > 10


@pytest.mark.parametrize("name", ["gallery.html", "heterogeneity.html", "explore.html"])
def test_a_drawing_far_from_the_window_has_its_name_and_its_size(visit, name):
    page = visit(name, width=1280).page
    said = page.locator("figure.picture > .picture-scroll > svg").evaluate_all(
        "(all) => all.map((one) => ({ name: one.getAttribute('aria-label'), text:"
        " document.getElementById(one.getAttribute('aria-describedby')).textContent }))"
    )
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    heard = {
        node["name"]["value"]: node.get("description", {}).get("value", "")
        for node in tree
        if not node["ignored"] and node["role"]["value"] == "image"
    }
    shown = page.locator("figure.picture:visible > .picture-scroll > svg").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('aria-label'))"
    )
    assert shown
    described = {one["name"]: one["text"] for one in said}
    assert {one: " ".join(described[one].split()) for one in shown} == {
        one: " ".join(heard.get(one, "missing").split()) for one in shown
    }
    sizes = "(all) => all.map((one) => one.getBoundingClientRect().height)"
    drawings = page.locator("figure.picture:visible > .picture-scroll > svg")
    before = drawings.evaluate_all(sizes)
    page.add_style_tag(content="figure.picture svg { content-visibility: visible !important }")
    after = drawings.evaluate_all(sizes)
    assert min(before) > 50
    assert before == pytest.approx(after, abs=1)


def test_buttons_say_what_they_copy_and_download(visit):
    page = visit(CHAPTER).page
    names = page.locator("button.copybtn").evaluate_all(
        "(all) => all.map((one) => [one.getAttribute('aria-label'),"
        " one.previousElementSibling.textContent.trim()])"
    )
    assert names
    for name, code in names:
        said = name.removeprefix("Copy the code: ").removesuffix(" …")
        assert said != name
        assert code.startswith(said)
    tools = page.locator("figure.picture .picture-tools button")
    labels = tools.evaluate_all("(all) => all.map((one) => one.getAttribute('aria-label'))")
    assert labels[0] == "Download Figure 1 as SVG"
    assert len(set(labels)) == len(labels)


BESIDE = 960  # pixels from which on the list of pages stands beside the text


@pytest.mark.parametrize("width", [390, BESIDE - 1, BESIDE, 975, 1280])
def test_the_button_of_the_pages_says_whether_they_are_shown(visit, width):
    page = visit(CHAPTER, width=width).page
    button = page.get_by_role("button", name="Pages of the book")
    links = page.locator("nav.bd-links a").first
    dialog = page.locator("#pst-primary-sidebar-modal")
    assert links.is_visible() == (width >= BESIDE)
    for _ in range(2):
        before = links.is_visible()
        expect(button).to_have_attribute("aria-expanded", str(before).lower())
        assert dialog.is_visible() == (before and width < BESIDE)
        if width < BESIDE and before:
            page.keyboard.press("Escape")
        else:
            button.click()
        links.wait_for(state="hidden" if before else "visible")
    assert links.is_visible() == (width >= BESIDE)
    expect(button).to_have_attribute("aria-expanded", str(width >= BESIDE).lower())


def test_the_pages_go_beside_the_text_when_the_window_grows(visit):
    page = visit(CHAPTER, width=BESIDE - 1).page
    button = page.get_by_role("button", name="Pages of the book")
    button.click()
    page.set_viewport_size({"width": BESIDE, "height": 900})
    page.locator("#pst-primary-sidebar-modal").wait_for(state="hidden")
    expect(page.locator("nav.bd-links a").first).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")
    page.set_viewport_size({"width": BESIDE - 1, "height": 900})
    page.wait_for_function("(e) => e.ariaExpanded === 'false'", arg=button.element_handle())


def test_one_width_puts_the_pages_beside_the_text():
    """Of all sheets together, and no script says a width of its own."""
    sheet = (SITE / "_static" / "site.css").read_text(encoding="utf-8")
    asked = {float(px) for px in re.findall(r"-width:\s*([\d.]+)px", "".join(HEADS.findall(sheet)))}
    assert {px for px in asked if 800 < px < 1100} == {BESIDE - 0.02, BESIDE}
    script = (SITE / "_static" / "site.js").read_text(encoding="utf-8")
    assert not re.findall(r"-width:\s*[\d.]+px", script)


def test_headings_and_figures_are_in_the_tree_of_assistive_technology(visit):
    """Far from the window too: sections that a browser lays out late are missing from it."""
    page = visit(CHAPTER).page
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    told = [
        node["name"]["value"]
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in {"heading", "figure"}
    ]
    headings = page.locator("article :is(h1, h2, h3)").evaluate_all(
        "(all) => all.filter((one) => one.checkVisibility())"
        ".map((one) => one.firstChild.textContent)"
    )
    assert [name for name in headings if name.strip() and name.strip() not in " ".join(told)] == []
    numbers = page.locator("figure.picture .figure-number").all_inner_texts()
    assert [name.partition(":")[0] for name in told if name.startswith("Figure ")] == numbers


def test_the_theme_button_says_its_state(visit):
    page = visit(CHAPTER, theme="light").page
    button = page.locator("button.theme-switch-button:visible").first
    said = {}
    for _ in range(3):
        said[page.evaluate("document.documentElement.dataset.mode")] = button.get_attribute(
            "aria-label"
        )
        before = button.get_attribute("aria-label")
        button.click()
        page.wait_for_function(
            "([button, before]) => button.getAttribute('aria-label') !== before",
            arg=[button.element_handle(), before],
        )
    assert said == {
        "auto": "Colours: as the system has them",
        "light": "Colours: light",
        "dark": "Colours: dark",
    }


def test_the_keyboard_stops_at_nothing_that_is_not_seen(visit):
    page = visit(CHAPTER).page
    page.keyboard.press("Tab")
    for _ in range(60):
        page.keyboard.press("Tab")
        size = page.evaluate(
            "(() => { const box = document.activeElement.getBoundingClientRect();"
            " return [box.width, box.height, document.activeElement.outerHTML.slice(0, 90)] })()"
        )
        assert min(size[:2]) >= 1, size[2]


@pytest.mark.parametrize(
    ("name", "size"), [("preview.png", (1200, 630)), ("touch.png", (180, 180))]
)
def test_previews_and_icons_are_there(name, size):
    content = (SITE / "_static" / name).read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert tuple(int.from_bytes(content[i : i + 4]) for i in (16, 20)) == size
    assert len(content) < 150_000


def test_a_page_names_its_touch_icon(page_name):
    link = soup_of(page_name).find("link", rel="apple-touch-icon")
    assert ((SITE / page_name).parent / link["href"]).resolve().is_file()
