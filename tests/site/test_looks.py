"""What a page shows of itself: nothing moves, nothing covers, one design of code and tables."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from accessibility import unfold
from audit import served
from built import ROOT, SITE, page_names, soup_of
from waits import LAID_OUT, opened, resized, settled

from helpers.views.tables import table

CHAPTER = "pooling.html"
REPORT = "downloads/example-report/report.html"
SLIDES = "downloads/slides/pooling.html"
FACES = {"CohortSerif-Roman", "CohortSans-Regular", "CohortSans-Semibold"}
CARDS = ":is(table.table-cards, .table-cards table)"
PLAIN = {"n", "o", "p", "w", "mi", "mf", "nb", "nn"}  # kinds of words of code without a look


@pytest.mark.parametrize(
    ("name", "sheet", "faces"),
    [
        (CHAPTER, "site", FACES),
        ("index.html", "site", FACES | {"CohortSerif-Italic"}),
        ("reference/pooling.html", "site", FACES),
        (SLIDES, "slides", FACES - {"CohortSerif-Roman"}),
    ],
)
def test_the_faces_of_a_page_are_asked_for_before_its_sheet_is_here(browser, name, sheet, faces):
    asked: set[str] = set()
    ahead: set[str] = set()
    page = browser.new_page()
    page.on("request", lambda one: asked.add(one.url.rpartition("/")[2].partition(".woff2")[0]))

    def hold(route):
        for _ in range(100):
            if asked >= faces:
                break
            page.wait_for_timeout(50)
        ahead.update(asked)
        route.continue_()

    with served(SITE) as origin:
        page.route(f"**/_static/{sheet}.css*", hold)
        page.goto(f"{origin}/{name}")
        loaded = page.evaluate(
            "document.fonts.ready.then(() => performance.getEntriesByType('resource')"
            ".filter((one) => one.name.endsWith('.woff2')).map((one) => one.name))"
        )
        page.close()
    assert ahead >= faces
    assert len(loaded) == len(set(loaded))  # none is fetched twice, ahead and by the sheet


LATER = """<!DOCTYPE html><html lang="en" data-laying><title>Later</title><style>
@font-face { font-family: Late; src: url("late.woff2") }
.late { font-family: Late }
@media (max-width: 700px) { .wide { display: none } }
html[data-laying] .far { display: none }
</style><body><article><p>Text</p>%s</article><script>
addEventListener("load", () =>
    setTimeout(() => delete document.documentElement.dataset.laying, 200));
</script>"""


@pytest.mark.parametrize(
    ("part", "act"),
    [
        ('<p class="late far">Far down</p>', None),
        ('<details><p class="late">Folded</p></details>', unfold),
        ('<p class="late wide">In a wide window</p>', lambda page: resized(page, 1280)),
    ],
    ids=["laid out later", "unfolded", "in a wider window"],
)
def test_a_page_is_there_once_it_has_the_letters_of_all_that_it_shows(browser, part, act):
    """Measured in the letters of before, words overflow or fit by chance."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    faces = "Array.from(document.fonts, (face) => face.status)"

    def late(route):
        page.wait_for_timeout(300)
        route.fulfill(path=SITE / "_static" / "fonts" / "StixTwoMath.woff2")

    address = "http://later.test/"
    page.route(address, lambda route: route.fulfill(body=LATER % part, content_type="text/html"))
    page.route(f"{address}late.woff2", late)
    opened(page, address)
    if act:
        assert page.evaluate(faces) == ["unloaded"]
        act(page)
    assert page.evaluate(faces) == ["loaded"]
    page.close()


MOVES = """window.moves = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) moves.push([one.value, ...one.sources.map((s) =>
    (s.node?.outerHTML ?? s.node?.textContent ?? "").slice(0, 60))]);
}).observe({ type: "layout-shift", buffered: true });"""


@pytest.mark.parametrize(
    "name",
    ["index.html", "in_brief.html", "conventions.html", "build_status.html", "genindex.html"],
)
def test_the_first_screen_stays_when_a_face_or_a_section_comes_late(browser, name):
    """The sheet waits for the faces that are asked for ahead; all others wait for the paint."""
    page = browser.new_page(viewport={"width": 412, "height": 823})
    page.add_init_script(MOVES)
    held, drawn, ahead, here = [], [], [], []
    page.on("requestfinished", lambda one: one.url.endswith(".woff2") and here.append(one.url))

    def sheet(route):
        for _ in range(100):
            if len(here) == len(ahead) >= 3:
                break
            page.wait_for_timeout(50)
        drawn.append(True)
        route.continue_()

    def face(route):
        if drawn:
            held.append(route)
        else:
            ahead.append(route.request.url)
            route.continue_()

    with served(SITE) as origin:
        page.route("**/site.css*", sheet)
        page.route("**/*.woff2", face)
        page.goto(f"{origin}/{name}", wait_until="commit")
        page.wait_for_function("performance.getEntriesByType('paint').length")
        page.wait_for_function(LAID_OUT)
        for route in held:
            route.continue_()
        page.unroute("**/*.woff2")
        assert settled(page).evaluate("moves") == []
        page.close()


def test_a_page_from_a_disk_asks_for_no_face_ahead(visit):
    seen = visit(CHAPTER)
    assert seen.complaints == []
    assert seen.page.locator("link[rel=preload]").count() == 0


SAW = """new MutationObserver(() => {
  if ("laying" in document.documentElement.dataset) window.sawLaying = true;
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-laying"] });"""


LATE = (".bd-article section section", ".table-scroll", "dl.py", ".citation")


@pytest.mark.parametrize(
    "name",
    [
        "gallery.html",
        "codebook.html",
        "genindex.html",
        "references.html",
        "reference/bias.html",
        CHAPTER,
    ],
)
def test_the_first_screen_comes_first_and_then_the_whole_page(browser, name):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.add_init_script(SAW)
    page.goto((SITE / name).as_uri())
    page.wait_for_function(LAID_OUT)
    assert page.evaluate("window.sawLaying")
    late = page.locator(", ".join(LATE))
    kept = "(all) => all.filter((e) => getComputedStyle(e).contentVisibility !== 'visible').length"
    assert late.count() > 3
    assert late.evaluate_all(kept) == 0
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    heard = [n["name"]["value"] for n in tree if n.get("role", {}).get("value") == "heading"]
    headings = page.locator("article :is(h1, h2, h3, h4):visible").all_inner_texts()
    assert sorted(text.removesuffix("#").split() for text in headings) == sorted(
        text.removesuffix("#").split() for text in heard if text
    )
    page.close()


@pytest.mark.parametrize("name", [SLIDES, "downloads/slides/by-hand.html"])
def test_slides_on_a_phone_come_one_after_the_other(browser, name):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    late = "getComputedStyle([...document.querySelectorAll('main section')].at(-1))"
    page.route("**/slides.js*", lambda route: route.abort())
    page.goto((SITE / name).as_uri())
    assert page.evaluate(f"{late}.contentVisibility") == "auto"
    page.unroute("**/slides.js*")
    page.reload()
    page.wait_for_function(LAID_OUT)
    assert page.evaluate(f"{late}.contentVisibility") == "visible"
    page.close()


def test_a_page_that_is_opened_further_down_is_whole_at_once(browser):
    page = browser.new_page()
    page.add_init_script(SAW)
    opened(page, f"{(SITE / CHAPTER).as_uri()}#the-forest-plot")
    assert page.evaluate("window.sawLaying") is None
    assert page.locator("#the-forest-plot").bounding_box()["y"] < 200
    page.goto((SITE / "glossary.html").as_uri())
    page.go_back()
    assert page.evaluate("window.sawLaying") is None
    page.close()


def test_code_has_marks_of_what_is_set_apart_alone(page_name):
    marks = {
        kind
        for mark in soup_of(page_name).select("div.highlight > pre span[class]")
        for kind in mark["class"]
    }
    assert not marks & PLAIN


def test_code_is_on_some_pages():
    texts = [(SITE / name).read_text(encoding="utf-8") for name in page_names()]
    assert sum('<span class="k">' in text for text in texts) > 5


def test_no_rule_of_ours_is_tried_on_every_element():
    """A selector without a name at its end costs time on each element of each page."""
    sheet = (SITE / "_static" / "site.css").read_text(encoding="utf-8")
    ours = re.findall(
        r"(?:^|[},{])([^{},@]*\.(?:bd-article|table-scroll|table-cards)[^{}]*)\{", sheet
    )
    assert len(ours) > 50
    ends = [s.strip() for rule in ours for s in re.split(r",(?![^(]*\))", rule)]
    assert [
        s for s in ends if re.search(r"(?:^|[\s>+~])(?:\*|:(?:is|has|where|not)\()[^\s>+~]*$", s)
    ] == []


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("name", ["glossary.html", "method_menu.html", "data_extraction.html"])
def test_the_field_of_a_filter_stands_free(visit, name, width):
    page = visit(name, width=width).page
    field, after = page.evaluate(
        """() => {
            const bar = document.querySelector(".table-filter");
            let next = bar.nextElementSibling;
            while (!next.getBoundingClientRect().height) next = next.nextElementSibling;
            const text = next.querySelector("dt, caption, th, p") ?? next;
            const boxes = [bar.querySelector("input"), text];
            return boxes.map((e) => e.getBoundingClientRect().toJSON());
        }"""
    )
    assert field["bottom"] + 4 <= after["top"]


@pytest.mark.parametrize("name", ["method_menu.html", "teaching_kit.html", CHAPTER])
def test_rows_that_do_not_fit_a_phone_are_cards(visit, name):
    page = visit(name, width=390).page
    table = page.locator(f"article {CARDS}:visible").first
    names = [text.strip() for text in table.locator("thead th").all_text_contents()]
    row = table.locator("tbody tr:has(td)").first.locator(":scope > *:visible")
    boxes = [row.nth(i).bounding_box() for i in range(row.count())]
    assert len(boxes) > 2
    assert boxes[0]["y"] + boxes[0]["height"] <= min(box["y"] for box in boxes[1:]) + 1
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    labels = row.evaluate_all("(all) => all.map((e) => getComputedStyle(e, '::before').content)")
    said = [label.replace('" "', "").strip('"').removesuffix(": ") for label in labels]
    assert [one for one in said if one != "none"] == names[-sum(s != "none" for s in said) :]
    wide = visit(name, width=1280).page.locator(
        "article :is(table.table-cards, .table-cards table)"
    )
    assert wide.first.evaluate("e => getComputedStyle(e).display") == "table"


WIDE = pd.DataFrame(
    {"study": ["Neelapu 2023", "Chong 2024"]} | {f"outcome {i}": [i, 7] for i in range(20)}
)


@pytest.mark.parametrize(
    ("name", "within"), [(CHAPTER, "article > section"), (REPORT, "main section")]
)
def test_a_table_of_more_columns_than_a_card_has_scrolls_with_its_headings(visit, name, within):
    page = visit(name, width=390).page
    put = "(e, made) => e.insertAdjacentHTML('beforeend', made)"
    page.locator(within).first.evaluate(put, table(WIDE, "Twenty outcomes").html)
    box = page.locator(".table-scroll[aria-label='Twenty outcomes']")
    box.evaluate("(e) => e.scrollTo(1e6, 0)")
    room = box.bounding_box()
    last = box.locator("thead th").last.bounding_box()
    stub = box.locator("tbody th").first.bounding_box()
    assert last["x"] + last["width"] <= room["x"] + room["width"] + 1
    assert last["height"] > 10
    assert abs(stub["x"] - room["x"]) <= 1  # the study stays in view
    assert box.evaluate("(e) => e.tabIndex") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


ALONE = """() => [...document.querySelectorAll(".table-cards tbody tr")].flatMap((row) => {
    const cells = [...row.children].filter((cell) => cell.checkVisibility());
    const top = (cell) => cell?.getBoundingClientRect().top;
    return cells.filter((cell, i) => cell.getClientRects()[0].height > 30
        && i > 0 && top(cells[i - 1]) < top(cell) - 3 && !(top(cells[i + 1]) < top(cell) + 3)
        && cells[i - 1].offsetWidth > 0.9 * row.clientWidth - 24
        && (!cells[i + 1] || cells[i + 1].offsetWidth > 0.9 * row.clientWidth - 24)
        && cell.offsetWidth < 0.6 * row.clientWidth).map((cell) => cell.textContent);
})"""


@pytest.mark.parametrize("width", [320, 390])
@pytest.mark.parametrize("name", ["codebook.html", "since_then.html", "audit.html"])
def test_a_cell_that_stands_alone_breaks_no_line_at_half_a_card(visit, name, width):
    page = visit(name, width=width).page
    assert page.locator(".table-cards tbody tr").count() > 5
    assert page.evaluate(ALONE) == []


@pytest.mark.parametrize(("width", "least"), [(390, 12), (1280, 13)])
@pytest.mark.parametrize("name", ["explore.html", "labs.html", "preventing_infection.html"])
def test_letters_of_pictures_to_play_with_are_as_large_as_those_of_others(
    visit, name, width, least
):
    page = visit(name, width=width).page
    sizes = page.locator(".interactive-panel svg text:visible").evaluate_all(
        "(all) => all.map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert page.locator(".interactive-panel").count()
    assert all(size >= least for size in sizes)


def test_no_mark_lies_on_a_number_of_an_axis(visit):
    page = visit("explore.html", width=390).page
    page.locator(".interactive-chart").last.scroll_into_view_if_needed()
    page.locator(".interactive-chart").last.locator("circle").nth(40).wait_for(state="attached")
    hidden = """(all) => all.flatMap((chart) => {
        const boxes = [...chart.querySelectorAll("circle")].map((e) => e.getBoundingClientRect());
        return [...chart.querySelectorAll("text")].filter((text) => {
            const { left, right, top, bottom } = text.getBoundingClientRect();
            return boxes.some((dot) => dot.left < right && left < dot.right
                && dot.top < bottom - 4 && top + 4 < dot.bottom);
        }).map((text) => text.textContent);
    })"""
    assert page.locator(".interactive-chart").evaluate_all(hidden) == []


def test_cells_of_cards_name_their_columns(page_name):
    sheet = (SITE / "_static" / "site.css").read_text(encoding="utf-8")
    for one in soup_of(page_name).select("article :is(table.table-cards, .table-cards table)"):
        names = [" ".join(head.get_text().split()) for head in one.thead.tr.find_all(("th", "td"))]
        named = re.findall(r"--c(\d+): (\"(?:[^\"\\]|\\.)*\")", one["style"])
        assert [json.loads(name) for _, name in named] == names[1:]
        assert [int(place) for place, _ in named] == list(range(2, len(names) + 1))
        assert f":nth-child({len(names)})::before" in sheet


SPLIT = re.compile(r"[\w²)] [=<>] [\d\N{MINUS SIGN}]|\w'\w|\$")
APART = ("pre", "code", "script", "style", "svg", "math", "textarea", "option")


def test_words_of_a_page_are_set_as_print_is(page_name):
    """No line parts a sign from its number; apostrophes are curved; no TeX is left in a source."""
    page = soup_of(page_name).select_one("article, .bd-search-container")
    for text in page.find_all(string=SPLIT):
        assert text.find_parent(APART) or text.find_parent(hidden=True), text
    for link in page.select("a[href]"):
        if not link.find_parent("pre"):
            assert link.get_text()[:1].strip() or not link.get_text(), link


def test_a_table_has_one_row_of_headings_and_a_card_no_heading_without_a_value(page_name):
    page = soup_of(page_name)
    for one in page.select("table.dataframe, table.table-cards"):
        assert len(one.select("thead tr")) == 1
    for cell in page.select("table.table-cards tbody td:not([data-none])"):
        assert cell.get_text(strip=True) or cell.find(["img", "svg", "math"]), cell.find_parent(
            "tr"
        )


COLON = """() => {
    const title = document.querySelector(".bd-article h1"), range = document.createRange();
    const tops = [];
    const words = document.createTreeWalker(title, NodeFilter.SHOW_TEXT);
    for (let node = words.nextNode(); node; node = words.nextNode())
        for (let i = 0; i < node.length; i++) {
            range.setStart(node, i);
            range.setEnd(node, i + 1);
            const box = range.getClientRects()[0];
            if (box && node.data[i].trim() && !node.parentElement.closest("a"))
                tops.push([node.data[i], Math.round(box.bottom)]);
        }
    const colon = tops.findIndex(([letter]) => letter === ":");
    const lines = (all) => new Set(all.map(([, y]) => y)).size;
    const part = title.querySelector(".part"), whole = lines(tops) === 1;
    part.style.whiteSpace = "nowrap";
    const longer = part.offsetWidth > title.clientWidth;
    part.style.whiteSpace = "";
    return [whole || tops[colon][1] < tops[colon + 1][1],
        longer || lines(tops.slice(0, colon)) === 1];
}"""
TITLED = [one for one in page_names() if ":" in soup_of(one).h1.get_text()]


@pytest.mark.parametrize("width", [320, 390])
def test_a_title_that_takes_lines_breaks_at_its_colon(visit, width):
    assert len(TITLED) > 10
    page = visit(TITLED[0], width=width).page
    for name in TITLED:  # each title in the place of that of the first page
        title = soup_of(name).select_one(".bd-article h1").decode_contents()
        page.evaluate("html => document.querySelector('.bd-article h1').innerHTML = html", title)
        assert page.evaluate(COLON) == [True, True], name


INTERVALS = """() => [...document.querySelectorAll("tbody td")].filter((cell) =>
    /^[−\\d.,%]+ to [−\\d.,%]+$/.test(cell.textContent.trim()) && cell.checkVisibility()
).map((cell) => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    const tops = [...range.getClientRects()].map((line) => Math.round(line.top));
    return [cell.textContent, Math.max(...tops) - Math.min(...tops)];
})"""


@pytest.mark.parametrize("width", [390, 768, 1280])
@pytest.mark.parametrize("name", [CHAPTER, "since_then.html", REPORT])
def test_an_interval_in_a_cell_stands_on_one_line(visit, name, width):
    cells = visit(name, width=width).page.evaluate(INTERVALS)
    assert len(cells) > 1
    assert [text for text, apart in cells if apart > 8] == []


def test_negative_numbers_have_one_sign(page_name):
    """Tables of pandas print a hyphen; the book's tables and its prose print a minus."""
    for cell in soup_of(page_name).select("table.dataframe :is(td, th)"):
        assert not re.match(r"-\d", cell.get_text().strip()), cell


def test_a_stop_stands_on_the_line_of_its_formula(page_name):
    text = (SITE / page_name).read_text(encoding="utf-8")
    inline = r'<math [^>]*display="inline"(?:(?!</math>).)*</math>'
    loose = re.findall(rf"{inline}[,.;:?!)\]]+(?!</span>|[,.;:?!)\]])", text, re.DOTALL)
    assert loose == []


@pytest.mark.parametrize("width", [320, 390])
@pytest.mark.parametrize("name", [CHAPTER, "heterogeneity.html"])
def test_a_formula_that_fits_a_line_is_not_broken(visit, name, width):
    """Of two formulas on a line the second begins a new one before it is broken."""
    broken = visit(name, width=width).page.evaluate(
        """() => [...document.querySelectorAll(".math-block > .formula")].filter((one) => {
            const room = one.parentElement.clientWidth
                - parseFloat(getComputedStyle(one.parentElement).paddingLeft);
            const parts = [...one.querySelectorAll(":scope > math")];
            const whole = parts.reduce((sum, part) => sum + part.getBoundingClientRect().width, 0);
            const last = parts.at(-1).getBoundingClientRect();
            return whole < room - 8 && last.left < parts[0].getBoundingClientRect().right - 1
                && parts.length > 1;
        }).map((one) => one.textContent)"""
    )
    assert broken == []


def test_sources_are_listed_by_their_authors(visit):
    """The text cites by author and year, so the list has no keys: the authors stand out."""
    page = visit("references.html").page
    assert soup_of("references.html").select(".citation > .label") == []
    edges = page.locator(".citation > p").evaluate_all(
        """(all) => all.slice(0, 9).map((one) => {
            const range = document.createRange();
            range.selectNodeContents(one);
            return Math.round(range.getClientRects()[0].left - one.parentElement.offsetLeft
                - one.parentElement.offsetParent.getBoundingClientRect().left);
        })"""
    )
    assert len(set(edges)) == 1


def test_values_of_a_card_stand_on_one_line(visit):
    """A link has room for a finger, which moves no word."""
    page = visit("codebook.html", width=390).page
    lines = page.locator(f"article {CARDS} tbody tr:has(td a)").evaluate_all(
        """(rows) => rows.map((row) => [...row.querySelectorAll("td")].slice(0, 2).map((cell) => {
            const range = document.createRange();
            range.selectNodeContents(cell.querySelector("a") ?? cell);
            const { left, bottom } = range.getClientRects()[0];
            return [left - cell.getBoundingClientRect().left > 5, left > innerWidth / 2, bottom];
        }))"""
    )  # a long link is below its heading
    beside = [(one[2], other[2]) for one, other in lines if one[0] and other[1]]
    assert len(beside) > 5
    assert [pair for pair in beside if abs(pair[0] - pair[1]) > 1] == []


EDGES = """() => [...document.querySelectorAll(
    ".bd-article > section > h1, .bd-search-container > h1, .page-facts, .bd-article h2,"
    + " .bd-article .sd-row > :first-child > .sd-card, footer .footer-item"
)].filter((one) => one.checkVisibility()).map((one) => [one.className || one.tagName,
    Math.round(one.getBoundingClientRect().left)])"""
TITLE = """() => {
    const title = document.querySelector("h1"), { left, top } = title.getBoundingClientRect();
    return [Math.round(left), Math.round(top), getComputedStyle(title).color];
}"""


@pytest.mark.parametrize("width", [390, 1280])
def test_titles_stand_in_one_place_and_the_rest_below_them(visit, width):
    names = (
        "index.html",
        CHAPTER,
        "search.html",
        "glossary.html",
        "reference/rates.html",
        "404.html",
    )
    page = visit("index.html", width=width).page
    places = {}
    for name in names:
        opened(page, (SITE / name).as_uri())
        places[name] = page.evaluate(TITLE)
        edge = places[name][0]
        assert [one for one in page.evaluate(EDGES) if abs(one[1] - edge) > 1] == [], name
    assert len(set(map(tuple, places.values()))) == 1, places


@pytest.mark.parametrize("name", [CHAPTER, "reference/rates.html", "reference/pooling.html"])
def test_what_stands_beside_the_text_fits_its_column(visit, name):
    page = visit(name).page
    bars = page.locator(".bd-sidebar-primary:visible, .bd-sidebar-secondary:visible")
    assert bars.count() == 2
    assert (
        bars.evaluate_all("(all) => all.map((e) => e.scrollWidth > e.clientWidth)") == [False] * 2
    )


def test_signs_of_the_head_are_of_one_size(visit):
    page = visit(CHAPTER, width=390).page
    signs = page.locator(".bd-header-article [class*='fa-']:visible")
    assert signs.count() > 4
    assert len(set(signs.evaluate_all("(all) => all.map((e) => e.offsetWidth)"))) == 1


@pytest.mark.parametrize("name", ["explore.html", "pooling.html"])  # one download, and two
def test_what_one_can_do_with_a_chapter_has_a_line_of_its_own(visit, name):
    page = visit(name).page
    for width in (700, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        title, files, code = (
            page.locator(one).bounding_box() for one in ("h1", ".page-facts .files", ".code-switch")
        )
        assert files["x"] == pytest.approx(title["x"], abs=1), width
        assert abs(files["y"] - code["y"]) < code["height"], width


def test_the_first_screen_has_question_answer_picture_and_doors(visit):
    page = visit("index.html", width=1440).page  # 900 pixels high
    parts = page.locator(".bd-article > section").locator(
        ":scope > p, :scope > .answer, figure.picture svg[role=img]:visible, .doors .sd-card-title"
    )
    boxes = [parts.nth(place).bounding_box() for place in range(parts.count())]
    assert len(boxes) == 6
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= 900 for box in boxes)
    assert boxes[2]["x"] > boxes[1]["x"] + boxes[1]["width"]  # the picture is beside the answer


def test_a_report_does_not_begin_at_the_edge_of_a_phone(visit):
    assert visit(REPORT, width=390).page.locator("h1").bounding_box()["y"] >= 16


def test_a_phone_shows_code_when_it_is_asked_for(visit):
    page = visit(CHAPTER, width=390).page
    shown = "div.cell > div.cell_input"
    code = page.locator(shown).first
    assert not code.is_visible()
    page.locator(".code-switch select").select_option("method")
    assert code.is_visible()
    page.reload()
    settled(page)
    assert code.is_visible()
    assert visit(CHAPTER, width=1280).page.locator(shown).first.is_visible()


def test_a_formula_stands_at_the_edge_of_its_text(visit):
    page = visit(CHAPTER, width=1280).page
    for formula in page.locator(".math-block:visible").all()[:3]:
        box, math = formula.bounding_box(), formula.locator("math").first.bounding_box()
        assert 0 <= math["x"] - box["x"] < 60


@pytest.mark.parametrize("name", [CHAPTER, "index.html"])
def test_paper_has_one_title_and_nothing_to_choose(visit, name):
    page = visit(name).page
    page.emulate_media(media="print")
    titles = page.locator("h1:visible")
    assert titles.count() == 1
    for aside in (".code-switch", ".page-facts .files", ".picture-tools", ".copybtn", "nav"):
        assert page.locator(f"{aside}:visible").count() == 0, aside
    page.emulate_media(media="screen")


def test_the_side_bar_has_no_lines_but_that_of_the_page_in_forced_colours(browser):
    page = browser.new_page(forced_colors="active", viewport={"width": 1280, "height": 900})
    page.goto((SITE / CHAPTER).as_uri())
    lined = page.locator("nav.bd-links li > a").evaluate_all(
        "(all) => all.filter((e) => parseFloat(getComputedStyle(e).borderLeftWidth) > 0)"
        ".map((e) => e.getAttribute('aria-current'))"
    )
    page.close()
    assert lined == ["page"]


BUILT = """window.built = [];
new MutationObserver((seen) => built.push(seen.length)).observe(
  document, { subtree: true, attributes: true, attributeFilter: ["data-ready"] });"""


def test_pictures_of_the_reader_are_built_one_a_task(browser):
    page = browser.new_page()
    page.add_init_script(BUILT)
    page.goto((SITE / "labs.html").as_uri())
    page.wait_for_function(LAID_OUT)
    labs = page.locator(".interactive").count()
    assert labs > 5
    assert page.locator(".interactive[data-ready]").count() == labs
    assert page.evaluate("built") == [1] * labs
    page.goto((SITE / "labs.html").as_uri() + "#~i2.seed=2")
    page.reload()
    settled(page)
    assert page.locator(".interactive[data-ready]").count() == labs
    page.close()


def test_the_influence_of_cohorts_is_computed_when_its_picture_comes_near(visit):
    page = visit("explore.html").page
    chart = page.locator(".interactive-chart").nth(2)
    page.wait_for_timeout(1500)
    assert chart.locator("circle").count() == 0
    assert chart.locator("p").last.inner_text() == "Computing …"
    chart.scroll_into_view_if_needed()
    chart.locator("circle").nth(51).wait_for(state="attached")


@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_a_side_bar_that_waits_for_its_button_is_not_laid_out(visit, side):
    page = visit(CHAPTER, width=390).page
    links = page.locator(f"#pst-{side}-sidebar a, #pst-{side}-sidebar-modal a")
    assert links.count() > 5
    drawn = "(all) => all.filter((one) => one.checkVisibility()).length"
    assert links.evaluate_all(drawn) == 0
    page.locator(f".{side}-toggle").click()
    assert links.evaluate_all(drawn) == links.count()


LEFT = """(e) => {
  const range = document.createRange();
  range.selectNodeContents(e);
  return range.getBoundingClientRect().left;
}"""


def test_what_a_box_holds_stands_below_its_title(visit):
    page = visit("exam.html").page
    for box in page.locator(".exercise").all():
        title, text = box.locator(".admonition-title"), box.locator("section > p").first
        assert abs(title.evaluate(LEFT) - text.evaluate(LEFT)) < 1
    opened(page, (SITE / "self_check.html").as_uri())
    for box in page.locator("fieldset.quiz").all():
        assert box.locator("legend").bounding_box()["y"] > box.bounding_box()["y"] + 4


def test_a_phone_shows_a_table_of_few_columns_whole(visit):
    box = visit("exam.html", width=390).page.locator(".table-scroll").first
    assert box.evaluate("(e) => e.scrollWidth - e.clientWidth") <= 0


def test_rows_of_a_table_have_whole_pixels_so_that_their_lines_meet(visit):
    rows = visit("exam.html").page.locator(".table-scroll tr")
    heights = rows.evaluate_all("(all) => all.map((e) => e.getBoundingClientRect().height)")
    assert len(heights) > 5
    assert heights == [round(height) for height in heights]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_search_page_begins_where_the_others_begin(visit, width):
    page = visit("search.html", width=width).page
    look = "(e) => [e.getBoundingClientRect().left, getComputedStyle(e).font]"
    here = page.locator("h1").evaluate(look)
    opened(page, (SITE / "exam.html").as_uri())
    assert page.locator("h1").evaluate(look) == here


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_arrows_of_slides_have_the_accent_of_their_colours(visit, theme):
    page = visit(SLIDES, theme=theme).page
    colour = "(e) => getComputedStyle(e).color"
    for part in (".controls", ".progress"):
        assert page.locator(f".reveal {part}").evaluate(colour) == page.locator(
            ".deck h2"
        ).first.evaluate(colour)


def test_a_formula_breaks_where_a_phone_ends_and_loses_no_sign(visit):
    """The parts of a displayed formula stand below each other; on a desktop beside each other."""
    for width in (390, 1280):
        page = visit(CHAPTER, width=width).page
        wide = page.locator(".math-block:visible").evaluate_all(
            "(all) => all.filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.innerText)"
        )
        assert wide == []
    cells = json.loads((ROOT / "book" / "pooling.ipynb").read_text(encoding="utf-8"))["cells"]
    source = "\n".join("".join(one["source"]) for one in cells if one["cell_type"] == "markdown")
    sign = re.compile(r"\\q?quad|\{\}|\s")
    written = [sign.sub("", formula) for formula in re.findall(r"\$\$(.*?)\$\$", source, re.DOTALL)]
    shown = [
        [part["alttext"] for part in block.find_all("math")]
        for block in soup_of(CHAPTER).select(".math-block")
    ]
    assert max(map(len, shown)) > 1
    assert [sign.sub("", "".join(parts)) for parts in shown] == written


REPORT = "downloads/example-report/report.html"


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_a_report_of_a_table_fits_a_phone(visit, width):
    """It has no sheet of the book: pictures, results and long tables each in a form that fits."""
    page = visit(REPORT, width=width).page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.locator(".picture-scroll:visible, .picture-narrow:visible, .table-scroll:visible")
    found = boxes.evaluate_all(
        """(all) => all.map((box) => ({
            kind: box.className, name: box.id || box.parentElement.id, stop: box.tabIndex,
            narrow: Boolean(box.parentElement.querySelector(":scope > .picture-narrow")),
            wide: box.scrollWidth > box.clientWidth + 1,
            least: Math.min(...[...box.querySelectorAll(":scope > svg text")].map((text) =>
                parseFloat(getComputedStyle(text).fontSize)
                * Math.hypot(text.getScreenCTM().a, text.getScreenCTM().b))),
        }))"""
    )
    pictures = [one for one in found if "picture" in one["kind"]]
    assert len(pictures) == page.locator("figure.picture").count() > 4  # one form of each
    assert all(one["least"] > 9 for one in pictures)
    for one in found:
        fits = "table-cards" in one["kind"] or "picture-narrow" in one["kind"] or width == 1280
        assert not (one["wide"] and fits), one["name"]
        assert not one["wide"] or one["stop"] == 0, one["name"]  # what scrolls, keys can scroll
    if width < 640:
        assert {one["kind"] for one in pictures if one["narrow"]} == {"picture-narrow"}
        assert any("table-cards" in one["kind"] for one in found)
        named = page.locator(".table-cards tbody td:not([data-none])").evaluate_all(
            "(all) => all.map((one) => getComputedStyle(one, '::before').content)"
        )
        assert all(one.startswith('"') for one in named)
