"""Slides of the chapters: what they say, what they hide, and what goes with them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from bs4 import BeautifulSoup
from by_hand_sheet import SHEETS
from chapter_pages import for_the_site
from slide_content import Context, html_of, plain, slides_of, sources
from slides import FOLDER, INDEX, _build, decks_of, write

from helpers import load_cohorts
from helpers.review import five_cohorts
from helpers.views.tables import CARDS

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
REVEAL = BOOK / "_ext" / "slide_deck" / "reveal"
CONTEXT = Context("../../pooling.html", sources((BOOK / "references.bib").read_text("utf-8")))
BESIDE = {INDEX, *SHEETS.values()}  # pages that are no set


@cache
def stored():
    """Every chapter as the site has it. Not at import: every worker imports."""
    pages = sorted(BOOK.glob("*.ipynb"))
    return {p.stem: for_the_site(nbformat.read(p, as_version=4)) for p in pages}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("slides")
    assert write(made, stored(), "../..")
    return made


@pytest.fixture(scope="module")
def sets(folder):
    return {
        p.stem: BeautifulSoup(p.read_text("utf-8"), "html.parser")
        for p in folder.glob("*.html")
        if p.stem not in BESIDE
    }


def kinds(page):
    return [section["class"][1] for section in page.find_all("section")]


def outputs(name):
    return [o.data for c in stored()[name].cells for o in c.get("outputs", []) if "data" in o]


def test_reveal_is_the_pinned_package_with_its_licence_and_small():
    lock = json.loads((REVEAL / "lock.json").read_text("utf-8"))
    for name, digest in lock["files"].items():
        assert hashlib.sha256((REVEAL / name).read_bytes()).hexdigest() == digest, name
    assert {p.name for p in REVEAL.iterdir()} == {*lock["files"], "lock.json"}
    assert "Permission is hereby granted" in (REVEAL / "LICENSE.txt").read_text("utf-8")
    assert len(base64.b64decode(lock["integrity"].removeprefix("sha512-"))) == 64
    assert sum(p.stat().st_size for p in REVEAL.iterdir()) < 250_000


def test_every_chapter_with_takeaways_has_slides(sets):
    wanted = {name for name, book in stored().items() if "box-takeaways" in nbformat.writes(book)}
    assert set(sets) == wanted
    assert "pooling" in wanted


def test_a_guess_comes_before_the_answer_and_the_first_slide_has_no_number(sets):
    for name, page in sets.items():
        title, asked, answer, takeaways, *_ = kinds(page)
        assert (title, asked, answer, takeaways) == ("title", "question", "answer", "takeaways"), (
            name
        )
        assert not re.search(r"\d%", page.section.get_text()), name


def test_slides_say_what_the_chapter_says(sets, folder):
    found = kinds(sets["pooling"])
    assert found[-2:] == ["report", "caution"]
    assert {"formula", "by-hand", "figure"} <= set(found)
    assert sets["pooling"].h1.get_text() == "Pooling: one number for all cohorts?"
    figure = next(d["text/html"] for d in outputs("pooling") if "<svg" in d.get("text/html", ""))
    drawing = re.search(r"<svg.*?</svg>", figure, re.S)[0]
    assert drawing in (folder / "pooling.html").read_text("utf-8")
    caption = re.search(r"<figcaption>(.*?)</figcaption>", figure, re.S)[1]
    slide = sets["pooling"].select_one("section.figure")
    assert caption.startswith(slide.h2.get_text())  # the finding is the title
    assert caption[:200] in slide.select_one("aside.notes").get_text()  # and all of it is told


def test_every_box_of_a_chapter_is_a_slide(sets):
    """Wherever the box stands: in a cell of its own, or in one with the text that follows."""
    for name, page in sets.items():
        written = set(
            re.findall(r"box-(takeaways|report|caution)\b", nbformat.writes(stored()[name]))
        )
        assert written <= set(kinds(page)), name


def test_every_picture_and_displayed_formula_before_the_exercises_is_on_a_slide(sets):
    for name, page in sets.items():
        told = []
        for cell in stored()[name].cells:
            told.append(cell)
            if "## Exercises" in cell.source:
                break
        prose = "\n".join(c.source for c in told if c.cell_type == "markdown")
        latex = re.findall(r"\$\$(.*?)\$\$", prose.partition("## Exercises")[0], re.S)
        assert len(page.select("section.formula .latex math")) == len(latex), name
        shown = [
            picture
            for cell in told
            for o in cell.get("outputs", [])
            for picture in BeautifulSoup(
                o.get("data", {}).get("text/html", ""), "html.parser"
            ).select("figure.picture")
        ]
        forms = sum(max(1, len(picture.select(".picture-slide"))) for picture in shown)
        assert len(page.select("section.figure .drawing > svg")) == forms, name


def test_questions_are_those_of_the_page_and_hide_their_answer(sets):
    asked = [
        fieldset
        for data in outputs("self_check")
        for fieldset in BeautifulSoup(data.get("text/html", ""), "html.parser")("fieldset")
    ]
    slides = {s.h2.get_text(): s for page in sets.values() for s in page.select("section.question")}
    assert slides.keys() <= {one.legend.get_text() for one in asked}
    assert len(slides) > len(sets)
    for one in asked:
        slide = slides.get(one.legend.get_text())
        if slide is None:
            continue
        options = one.select("details")
        assert len(slide.select(".options > li")) == len(options)
        assert bool(one.svg) == bool(slide.select_one(".drawing > svg"))  # what is to be read
        right = next(i for i, option in enumerate(options) if "quiz-right" in option["class"])
        reason = slide.select(".options > li")[right].select_one(".why")
        assert "fragment" in reason["class"]
        assert options[right].p.get_text() == reason.get_text()
        assert len(slide.select(".why")) == 1  # the other options look alike
        told = slide.select_one("aside.notes").get_text()
        assert told.count("(right)") == 1
        assert f"{'ABCDEFGH'[right]} (right): " in told


def test_solutions_of_exercises_are_not_shown():
    book = nbformat.from_dict(stored()["pooling"])
    before = len(slides_of(book, CONTEXT))
    book.cells = [c for c in book.cells if not c.id.startswith("solution")]
    assert len(slides_of(book, CONTEXT)) == before


def test_points_and_worked_columns_come_one_after_the_other(sets):
    page = sets["pooling"]
    for item in page.select("section.takeaways li, section.caution li"):
        assert "fragment" in item["class"]
    table = page.select_one("section.by-hand table")
    heads = [th.get_text() for th in table.thead("th")]
    assert heads == ["cohort", "events", "n", "logit", "variance", "weight"]
    for row in table.tbody("tr"):
        steps = [td.get("data-fragment-index") for td in row("td")]
        assert steps == [None, None, "0", "1", "2"]


def test_a_slide_by_hand_shows_how_its_numbers_come_about(sets):
    """A result without its sums is for the hand-out, where it is worked out."""
    shown = [s for page in sets.values() for s in page.select("section.by-hand")]
    assert len(shown) >= 10
    for section in shown:
        assert section.select(".sums td.fragment"), section.h2.get_text()
    parts = [float(td.get_text()) for td in sets["subgroups"].select(".sums td:last-child")]
    assert len(parts) > 1  # each product's part of Q, which the chapter adds up
    chapter = " ".join(c.source for c in stored()["subgroups"].cells)
    assert f"Q = {sum(parts):.2f}" in chapter


def test_what_leads_to_a_formula_names_what_it_speaks_of(sets):
    """A slide has no page before it: "Its limits are" needs to say of what."""
    leads = {
        section.select_one(".words").get_text(" ", strip=True)
        for page in sets.values()
        for section in page.select("section.formula")
        if section.select_one(".words")
    }
    assert len(leads) >= 15
    assert [lead for lead in leads if re.match(r"(It|Its|They|Such)\b", lead)] == []
    (wilson,) = [lead for lead in leads if lead.endswith("Its limits are")]
    assert wilson.startswith("Wilson's interval")


def test_a_word_is_not_broken_behind_or_before_a_few_letters(sets):
    short = re.compile(r"\b([^\W\d]{1,4}-[^\W\d]+|[^\W\d]+-[^\W\d]{1,4})\b")
    seen = set()
    for page in sets.values():
        for one in page.select(":is(h1, h2, .words, .options p)"):
            for piece in one.find_all(string=short):
                assert piece.parent["class"] == ["whole"], piece
                seen.add(str(piece))
    assert {"p-value", "ide-cel"} <= seen


def test_a_function_stands_apart_from_what_it_is_of():
    assert "<mi>sin</mi><mspace" in html_of(r"$\sin 2y$")
    assert "<mi>log</mi><mspace" in html_of(r"$\log\frac{x}{n}$")
    assert "<mspace" not in html_of(r"$\log(x) + \max x_i$")


def test_a_board_rounds_and_leaves_words_in_view():
    from slide_content import board

    frame = five_cohorts(load_cohorts())[["cohort", "events"]].assign(
        way="by hand", rate=[-0.0532405, 0.1, 0.2, 0.3, 0.4]
    )
    cells = BeautifulSoup(board(frame.to_html()), "html.parser").tbody.tr("td")
    assert [cell.get_text() for cell in cells] == ["9", "by hand", "−0.0532"]
    assert [cell.get("class") for cell in cells] == [None, None, ["fragment"]]


def test_every_slide_has_number_heading_source_and_licence(sets):
    for name, page in sets.items():
        assert page.html["lang"] == "en"
        assert len(page.find_all("h1")) == 1, name
        assert len(page.find_all("main")) == 1
        for number, section in enumerate(page.find_all("section"), start=1):
            assert section["id"] == f"slide-{number}"
            assert page.find(id=section["aria-labelledby"]).get_text(strip=True), name
            source = section.select_one("footer.origin")
            assert source.select_one("[rel=license]")["href"].endswith("licenses/by/4.0/")
            assert source.a["href"].startswith(f"../../{name}.html")
        # marks inside a drawing may share a name; what is referred to may not
        ids = [tag["id"] for tag in page.find_all(id=True)]
        named = [
            tag["aria-labelledby"].split() for tag in page.find_all(attrs={"aria-labelledby": True})
        ]
        used = [tag["href"][1:] for tag in page.find_all("use")]
        outside = [tag["id"] for tag in page.find_all(id=True) if not tag.find_parent("svg")]
        for target in {*used, *outside, *(one for names in named for one in names)}:
            assert ids.count(target) == 1, (name, target)
        for drawing in page.find_all("svg"):
            assert drawing.get("role") == "img"


def test_no_title_says_the_same_twice(sets):
    for name, page in sets.items():
        titles = [heading.get_text() for heading in page.find_all(["h1", "h2"])]
        assert len(titles) == len(set(titles)), name


def test_scripts_and_styles_are_those_of_the_site(sets):
    for name, page in sets.items():
        loaded = [t["src"] for t in page.find_all(["script", "img"], src=True)]
        loaded += [t["href"] for t in page.find_all("link")]
        for address in loaded:
            assert address.startswith("../../_static/"), name
            file = address.removeprefix("../../_static/")
            folders = (BOOK / "_static", BOOK / "_ext" / "slide_deck", CARDS.parent)
            homes = [folder / file for folder in folders]
            assert sum(home.is_file() for home in homes) == 1, address


def test_nothing_of_the_markup_is_left_over(folder):
    for path in folder.glob("*.html"):
        page = BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for code in page.select("pre, code"):
            code.decompose()
        text = page.get_text()
        assert not re.search(r"\{\w+(?::\w+)?\}`|:::|\]\(|\$\\|\$\$|\x02|\x03", text), path.name


def test_links_lead_back_to_pages_of_the_book(sets, folder):
    for name, page in sets.items():
        for link in page.find_all("a", href=True):
            address = link["href"]
            if address.startswith("http") or address == "?print-pdf":
                continue
            if link.find_parent(class_="ways") and not address.startswith("../"):
                assert (folder / address).is_file(), address
                continue
            target = re.fullmatch(r"\.\./\.\./([\w-]+)\.html(#[\w-]+)?", address)
            assert target, (name, address)
            assert (BOOK / f"{target[1]}.ipynb").exists() or (BOOK / f"{target[1]}.md").exists()


def test_the_source_has_every_slide_its_notes_and_pictures_that_stand_alone(folder, sets):
    for name, page in sets.items():
        text = (folder / f"{name}.md").read_text("utf-8")
        titles = re.findall(r"^## (.+)$", text, re.M)
        assert titles[:-1] == [heading.get_text() for heading in page.find_all(["h1", "h2"])], name
        assert text.count("::: notes") == len(page.select("aside.notes")), name
        pictures = re.findall(r"!\[\]\(([\w/-]+\.svg)\)", text)
        assert len(pictures) == len(page.select(".drawing > svg"))
        for picture in pictures:
            drawn = (folder / picture).read_text("utf-8")
            assert re.match(r"<svg [^>]*viewBox=", drawn), picture
            assert "var(" not in drawn, picture


def test_the_index_lists_the_sets_with_questions_and_pictures(folder, sets):
    page = BeautifulSoup((folder / f"{INDEX}.html").read_text("utf-8"), "html.parser")
    heads = [th.get_text() for th in page.thead("th")]
    rows = {row.a["href"].removesuffix(".html"): row("td") for row in page.tbody("tr")}
    assert rows.keys() == sets.keys()
    assert list(rows)[:2] == ["question", "data_extraction"]  # the order of the book
    for name, cells in rows.items():
        counted = {head: cells[i].get_text() for i, head in enumerate(heads[1:6])}
        assert int(counted["Slides"]) == len(kinds(sets[name]))
        assert int(counted["Questions"]) == kinds(sets[name]).count("question")
        assert int(counted["Pictures"]) == kinds(sets[name]).count("figure")


def test_the_hand_out_has_the_five_cohorts_and_the_sums_of_the_chapters(folder, sets):
    page = BeautifulSoup((folder / f"{SHEETS[False]}.html").read_text("utf-8"), "html.parser")
    first = [[c.get_text() for c in row(["th", "td"])] for row in page.table.tbody("tr")]
    five = five_cohorts(load_cohorts())
    assert [row[0] for row in first] == five["cohort"].tolist()
    assert [int(row[2]) for row in first] == five["events"].tolist()
    text = page.get_text(" ", strip=True)
    methods = {
        name
        for name, book in stored().items()
        if any("by-hand" in c.id and "five_cohorts(" in c.source for c in book.cells)
    }
    assert len(methods) >= 10
    for name in methods:
        assert sets[name].h1.get_text() in text
        for table in sets[name].select("section.by-hand table"):
            assert table.get_text(" ", strip=True) in text
    assert not page.select(".fragment, .blank")


def test_the_blank_hand_out_asks_for_what_is_worked_out(folder):
    full, blank = (
        BeautifulSoup((folder / f"{SHEETS[one]}.html").read_text("utf-8"), "html.parser")
        for one in (False, True)
    )
    assert len(blank("table")) == len(full("table"))
    assert len(blank.select("td.blank")) > 100
    assert not any(cell.get_text() for cell in blank.select("td.blank"))
    assert "−2.766" in full.get_text()
    assert "−2.766" not in blank.get_text()
    assert "15.8" in full.get_text()  # Q of the five
    assert "15.8" not in blank.get_text()


def test_roles_become_words():
    context = Context("../../p.html", {"knapp2003": "Knapp & Hartung 2003"})
    text = "{cite:p}`knapp2003`, {term}`I2`, {term}`a word <term>`, [x](heterogeneity.ipynb#q)"
    assert plain(text, context) == (
        "(Knapp & Hartung 2003), I2, a word, [x](../../heterogeneity.html#q)"
    )
    assert "<math" in html_of("so $x^2$ is")
    assert 'display="block"' in html_of("so\n\n$$\nx^2\n$$")


def test_no_name_of_a_source_keeps_its_latex():
    assert not [name for name in CONTEXT.cited.values() if re.search(r'[\\{}"`]', name)]


def test_a_page_without_takeaways_has_no_slides():
    assert slides_of(stored()["method_menu"], CONTEXT) == []
    assert [deck.name for deck in decks_of({"method_menu": stored()["method_menu"]}, "..")] == []


def test_the_build_writes_slides_of_the_pages_in_the_contents(tmp_path):
    app = SimpleNamespace(
        builder=SimpleNamespace(format="html"),
        outdir=tmp_path,
        env=SimpleNamespace(found_docs={"question", "method_menu"}),
        chapters={name: nbformat.writes(stored()[name]) for name in ("pooling", "question")},
    )
    _build(app, RuntimeError("the build failed"))
    assert not (tmp_path / FOLDER).exists()
    _build(app, None)
    (tmp_path / FOLDER / "method_menu.html").touch()  # it had slides in a former build
    _build(app, None)
    names = {path.name for path in (tmp_path / FOLDER).iterdir() if path.is_file()}
    assert names == {"question.html", "question.md", *(f"{name}.html" for name in BESIDE)}
