"""Slides in a browser: a room sees them whole and legible, and a phone as one long page."""

from __future__ import annotations

import re
from functools import cache

import pytest
import slide_files
from accessibility import faults
from bs4 import BeautifulSoup
from built import SITE, cover, ids_of, soup_of
from playwright.sync_api import expect
from waits import opened

from helpers.teaching import read_plans
from helpers.teaching.handouts import lesson_plan, longer_plans

ROOM = {"width": 1920, "height": 1080}
LEAST = 24  # pixels of the smallest letters at that size
FOLDER = "downloads/slides"

#: What leaves its slide or its place, and the smallest letters, with everything built up.
MEASURE = """(() => {
  const slide = Reveal.getCurrentSlide(), frame = slide.querySelector(".frame");
  const body = slide.querySelector(".body"), out = [];
  const sheet = frame.getBoundingClientRect(), room = body.getBoundingClientRect();
  const beyond = (e, box) => {
    const r = e.getBoundingClientRect();
    if (r.width && (r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1
        || r.bottom > box.bottom + 1)) out.push(`${e.localName}.${e.className}`);
  };
  for (const e of frame.querySelectorAll(":scope > *, .body *:not(svg *)")) beyond(e, sheet);
  for (const e of body.children) beyond(e, room);
  if (slide.scrollHeight > slide.clientHeight) out.push("scrolls");
  let least = Infinity;
  for (const e of frame.querySelectorAll("svg text, h1, h2, p, li, th, td, footer")) {
    const matrix = e.closest("svg") ? e.getScreenCTM() : null;
    const scale = matrix ? Math.hypot(matrix.a, matrix.b) : Reveal.getScale();
    const size = parseFloat(getComputedStyle(e).fontSize) * scale;
    if (e.textContent.trim()) least = Math.min(least, size);
  }
  return { out, least };
})()"""


def is_set(name):
    return not re.search(r"/(index|by-hand(-blank)?)\.html$", name)


STILL = "* { transition: none !important }"


def told(element):
    return " ".join(element.get_text().split())


def in_a_room(page, name, query=""):
    """Open a set of slides as a projector shows it."""
    page.set_viewport_size(ROOM)
    slide_files.opened(page, SITE / name, query)


@cache
def judged() -> list[str]:
    """Sets that axe looks at: every kind of element of all sets is on these (`make audit`: all)."""
    names = [f"{FOLDER}/{path.name}" for path in (SITE / FOLDER).glob("*.html")]
    return cover(names, [f"{FOLDER}/pooling.html"])


def assert_nothing_to_object(page, width, colours):
    """Ask axe for everything in light, and for the colours in dark."""
    assert faults(page, widths=(width,), colours=colours) == {}
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    assert colours.faults(page, width) == {}
    page.emulate_media(color_scheme="light")


def spilling(page):
    """What overflows or cannot be read, by the number of its slide."""
    page.add_style_tag(content=STILL)
    every = page.evaluate(
        f"""() => Array.from({{ length: Reveal.getTotalSlides() }}, (_, number) => {{
            Reveal.slide(number, 0, 99);
            return {MEASURE};
        }})"""  # all at once: nobody looks, so that none need be painted
    )
    assert len(every) > 5
    return {
        number: measured
        for number, measured in enumerate(every, 1)
        if measured["out"] or measured["least"] < LEAST
    }


def test_slides_open_offline_fit_a_phone_and_a_room_and_axe_has_no_objection(
    slides_name, visit, colours
):
    """On a phone all slides are in view at once; in a room, one: the same in every set."""
    seen = visit(slides_name, width=320, theme="light")
    assert seen.foreign == seen.failed == seen.complaints == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 320
    if is_set(slides_name):  # else a page to read or to print
        in_a_room(seen.page, slides_name)
        assert seen.foreign == seen.failed == seen.complaints == []
        if slides_name.endswith("/pooling.html"):
            assert_nothing_to_object(seen.page, 1920, colours)  # fetches the styles again
            seen.page.set_viewport_size(ROOM)
        assert spilling(seen.page) == {}
    if slides_name in judged():
        seen.page.set_viewport_size({"width": 320, "height": 900})
        opened(seen.page, (SITE / slides_name).as_uri())
        assert_nothing_to_object(seen.page, 320, colours)


#: A face that nothing in view asks for, as that of formulas on a later slide.
UNASKED = """document.addEventListener("DOMContentLoaded", () => document.fonts.add(
  new FontFace("Unasked", "url(../../_static/fonts/StixTwoMath.woff2)")))"""


def test_every_letter_has_its_shape_before_a_slide_is_measured(browser):
    page = browser.new_page()
    page.add_init_script(UNASKED)
    in_a_room(page, f"{FOLDER}/dependence.html")
    faces = page.evaluate("Array.from(document.fonts, (face) => [face.family, face.status])")
    page.close()
    assert ["Unasked", "loaded"] in faces
    assert {status for _, status in faces} == {"loaded"}


def test_an_overflow_and_small_letters_are_seen(visit):
    page = visit(f"{FOLDER}/pooling.html").page
    in_a_room(page, f"{FOLDER}/pooling.html")
    page.evaluate("Reveal.slide(3, 0, 99)")
    larger, smaller = ".deck .words { font-size: 120px }", ".deck .origin { font-size: 20px }"
    page.add_style_tag(content=STILL + larger + smaller)
    measured = page.evaluate(MEASURE)
    assert measured["out"]
    assert measured["least"] == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize(
    ("size", "deck"), [((768, 1024), False), ((1024, 768), True), ((390, 844), False)]
)
def test_an_upright_tablet_has_one_long_page_and_one_on_its_side_has_slides(visit, size, deck):
    page = visit(f"{FOLDER}/index.html").page
    page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    page.goto((SITE / FOLDER / "dependence.html").as_uri())
    assert page.evaluate("document.documentElement.classList.contains('deck')") is deck
    if not deck:
        letters = "Math.min(...[...document.querySelectorAll('main p, main li')].map("
        least = page.evaluate(letters + "(e) => parseFloat(getComputedStyle(e).fontSize)))")
        assert least >= 14
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_keys_build_up_a_slide_and_show_an_answer_last(visit):
    page = visit(f"{FOLDER}/pooling.html").page
    in_a_room(page, f"{FOLDER}/pooling.html")
    page.keyboard.press("ArrowRight")
    reason = page.locator("section.present .why")
    expect(page.locator("section.present .options li")).not_to_have_count(0)
    expect(reason).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(reason).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("section.present")).to_have_class(re.compile("answer"))
    expect(page).to_have_url(re.compile(r"#/slide-3$"))
    page.keyboard.press("Escape")
    expect(page.locator(".reveal.overview")).to_have_count(1)
    page.keyboard.press("Escape")
    theme = page.evaluate("document.documentElement.dataset.theme")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") != theme


def test_the_view_of_the_speaker_has_the_notes(visit):
    page = visit(f"{FOLDER}/pooling.html").page
    in_a_room(page, f"{FOLDER}/pooling.html")
    page.keyboard.press("ArrowRight")
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    notes = page.locator("section.present aside.notes").text_content().split()
    said = popup.value.locator(".speaker-controls-notes")
    expect(said).to_contain_text(notes[0])
    expect(said).to_contain_text(notes[-1])
    popup.value.close()


def test_a_print_has_one_slide_a_page(visit):
    name = f"{FOLDER}/question.html"
    page = visit(name).page
    in_a_room(page, name, "?print-pdf")
    page.wait_for_selector(".pdf-page")
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == len(soup_of(name).find_all("section"))
    assert set(re.findall(rb"/MediaBox\s*\[[^\]]*\]", printed)) == {b"/MediaBox [0 0 1440 810]"}


def test_a_file_for_powerpoint_gets_words_tables_and_pictures_but_no_answer(visit):
    page = visit(f"{FOLDER}/pooling.html").page
    page.set_viewport_size(ROOM)
    read = list(slide_files.read(page, SITE / FOLDER / "pooling.html"))
    sections = soup_of(f"{FOLDER}/pooling.html").find_all("section")
    assert len(read) == len(sections)
    for found, section in zip(read, sections, strict=True):
        title, *parts = found["parts"]
        assert title["lines"] == [told(section.find(["h1", "h2"]))]
        kinds = {part["kind"] for part in parts}
        editable = section.select(".sums table") and not section.select(".sums math")
        assert ("table" in kinds) == bool(editable)
        for part in parts:
            if part["kind"] == "table":
                widths = part["widths"]  # the columns of the site, not equal ones
                assert len(widths) == len(part["rows"][0])
                assert sum(widths) == pytest.approx(part["box"][2], abs=len(widths))
            if part["kind"] == "picture":
                assert part["png"].startswith(b"\x89PNG")
                assert part["alt"].strip()
        if "question" in section["class"]:
            words = "\n".join(line for part in parts for line in part.get("lines", []))
            assert told(section.select_one(".options p")) in words
            assert told(section.select_one(".why")) not in words
            assert "(right)" in found["notes"]
        words = [told(one) for one in section.select("aside.notes p") if not one.find("math")]
        assert set(words) <= {*found["notes"].splitlines()}  # a paragraph is one line
    notes = "\n".join(found["notes"] for found in read)
    assert "τ\u0302²_(DL) is" in notes  # a formula keeps its places: never τ^DL2
    assert "Σ" not in notes


def test_powerpoint_gets_each_point_of_a_loose_list_once(browser):
    page = browser.new_page(viewport=ROOM, reduced_motion="reduce")
    points = soup_of(f"{FOLDER}/bayes.html").select("section.takeaways li")
    page.add_init_script(
        """addEventListener("DOMContentLoaded", () => {
            for (const point of document.querySelectorAll("section.takeaways li"))
                point.innerHTML = `<p>${point.innerHTML}</p>`;
        })"""
    )
    for found in slide_files.read(page, SITE / FOLDER / "bayes.html"):
        if found["parts"][0]["lines"] == ["Takeaways"]:
            lines = found["parts"][1]["lines"]
            break
    assert page.locator("section.takeaways li > p").count() == len(points) > 0
    page.close()
    assert lines == [f"• {told(point)}" for point in points]


def test_a_set_is_readable_without_a_script(browser):
    page = browser.new_page(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page.goto((SITE / FOLDER / "pooling.html").as_uri())
    for kind in ("takeaways li", "caution li", "figure svg", "question .why"):
        expect(page.locator(f"section.{kind}").first).to_be_visible()
    page.close()


def test_links_of_slides_lead_to_places_of_the_chapters(slides_name):
    for link in soup_of(slides_name).find_all("a", href=re.compile(r"^\.\./.*#")):
        name, place = link["href"].removeprefix("../../").split("#")
        assert place in ids_of(SITE / name), (slides_name, link["href"])


def test_the_plan_for_teachers_leads_into_the_site():
    """Links of the plans in the zip for teachers, whose ``site`` is this site."""
    made = lesson_plan(read_plans()) + longer_plans(read_plans())
    links = {a["href"] for a in BeautifulSoup(made, "html.parser")("a")}
    places = [link.partition("site/")[2] for link in links if "site/" in link]
    assert len(places) > 30
    assert any(place.startswith("labs.html#") for place in places)
    for place in places:
        name, _, anchor = place.partition("#")
        assert (SITE / name).is_file(), place
        assert not anchor or anchor in ids_of(SITE / name), place


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_list_of_sets_is_not_pushed_to_and_fro(visit, width):
    page = visit("downloads/slides/index.html", width=width).page
    box = page.locator(".table-scroll")
    assert box.evaluate("(e) => e.scrollWidth - e.clientWidth") <= 1
    label = "(e) => getComputedStyle(e, '::before').content"
    shown = box.locator("tbody td").first.evaluate(label)
    assert ("Slides" in shown) == (width < 640)
