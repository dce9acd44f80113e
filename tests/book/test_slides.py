"""Slides of the chapters: complete, alone in one file, readable without a script."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from bs4 import BeautifulSoup
from chapter_pages import for_the_site
from slides import FOLDER, _build, html_of, plain, slides_of, sources, write

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
CITED = sources((BOOK / "references.bib").read_text(encoding="utf-8"))
STORED = {
    p.stem: for_the_site(nbformat.read(p, as_version=4)) for p in sorted(BOOK.glob("*.ipynb"))
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("slides")
    assert write(made, STORED, "../..")
    return made


def pages(folder):
    return [(p.stem, BeautifulSoup(p.read_text("utf-8"), "html.parser")) for p in folder.iterdir()]


def test_every_chapter_with_takeaways_has_slides(folder):
    wanted = {name for name, book in STORED.items() if "box-takeaways" in nbformat.writes(book)}
    assert {name for name, _ in pages(folder)} == wanted
    assert "pooling" in wanted


def test_slides_say_what_the_chapter_says(folder):
    page = dict(pages(folder))["pooling"]
    kinds = [section["class"][1] for section in page.find_all("section")]
    assert kinds[:2] == ["title", "takeaways"]
    assert kinds[-2:] == ["report", "caution"]
    assert "figure" in kinds
    outputs = [o.data for c in STORED["pooling"].cells for o in c.get("outputs", []) if "data" in o]
    figure = next(d["text/html"] for d in outputs if "<svg" in d.get("text/html", ""))
    drawing = re.search(r"<svg.*?</svg>", figure, re.S)[0]
    assert drawing in (folder / "pooling.html").read_text("utf-8")
    assert page.h1.get_text() == "Pooling: one number for all cohorts?"


def test_every_box_of_a_chapter_is_a_slide(folder):
    """Wherever the box stands: in a cell of its own, or in one with the text that follows."""
    for name, page in pages(folder):
        shown = {section["class"][1] for section in page.find_all("section")}
        written = set(
            re.findall(r"box-(takeaways|report|caution)\b", nbformat.writes(STORED[name]))
        )
        assert written <= shown, name


def test_solutions_of_exercises_are_not_shown():
    book = nbformat.from_dict(STORED["pooling"])
    before = len(slides_of(book, CITED, "../../pooling.html"))
    book.cells = [c for c in book.cells if not c.id.startswith("solution")]
    assert len(slides_of(book, CITED, "../../pooling.html")) == before


def test_a_set_of_slides_is_one_file_from_no_other_host(folder):
    for name, page in pages(folder):
        for tag, attribute in (("script", "src"), ("img", "src"), ("link", "href")):
            loaded = [t[attribute] for t in page.find_all(tag) if t.has_attr(attribute)]
            assert all(address.startswith("data:") for address in loaded), name
        styles = " ".join(style.get_text() for style in page.find_all("style"))
        assert "url(" not in styles
        assert "@import" not in styles


def test_slides_are_a_page_with_headings_and_names(folder):
    for name, page in pages(folder):
        assert page.html["lang"] == "en"
        assert len(page.find_all("h1")) == 1, name
        assert len(page.find_all("main")) == 1
        sections = page.find_all("section")
        for section in sections:
            heading = page.find(id=section["aria-labelledby"])
            assert heading.get_text(strip=True), name
            assert section["tabindex"] == "-1"
        assert sections[-1].select_one(".number").get_text() == f"{len(sections)} / {len(sections)}"
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


def test_nothing_of_the_markup_is_left_over(folder):
    for name, page in pages(folder):
        for script in page.find_all(["script", "style"]):
            script.decompose()
        text = page.get_text()
        assert not re.search(r"\{\w+(?::\w+)?\}`|:::|\]\(|\$\\|\x02|\x03", text), name


def test_links_lead_back_to_pages_of_the_book(folder):
    for name, page in pages(folder):
        for link in page.find_all("a", href=True):
            if link["href"].startswith("http"):
                continue
            target = re.fullmatch(r"\.\./\.\./([\w-]+)\.html(#[\w-]+)?", link["href"])
            assert target, (name, link["href"])
            assert (BOOK / f"{target[1]}.ipynb").exists() or (BOOK / f"{target[1]}.md").exists()


def test_roles_become_words():
    cited = {"knapp2003": "Knapp & Hartung 2003"}
    text = "{cite:p}`knapp2003`, {term}`I2`, {term}`a word <term>`, [x](heterogeneity.ipynb#q)"
    assert plain(text, cited, "../../p.html") == (
        "(Knapp & Hartung 2003), I2, a word, [x](../../heterogeneity.html#q)"
    )
    assert "<math" in html_of("so $x^2$ is", {}, "p.html")


def test_a_page_without_takeaways_has_no_slides():
    assert slides_of(STORED["method_menu"], CITED, "../../method_menu.html") == []


def test_the_build_writes_slides_of_the_pages_in_the_contents(tmp_path):
    app = SimpleNamespace(
        builder=SimpleNamespace(format="html"),
        outdir=tmp_path,
        env=SimpleNamespace(found_docs={"pooling", "method_menu"}),
        chapters={name: nbformat.writes(STORED[name]) for name in ("pooling", "question")},
    )
    _build(app, RuntimeError("the build failed"))
    assert not (tmp_path / FOLDER).exists()
    _build(app, None)
    (tmp_path / FOLDER / "method_menu.html").touch()  # it had slides in a former build
    _build(app, None)
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["pooling.html"]
