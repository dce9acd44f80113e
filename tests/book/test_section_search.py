"""The index of the search, made from pages; what goes with it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import dependencies
import pytest
import section_search
from dependencies import Remembered
from downloads import data_package, formulas, whole_book
from section_search import index_of, read_synonyms, sections_of
from term_links import definitions

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"
PAGE = """<body><h2>Aside</h2><article>
<section id="top"><h1><span class="section-number">1. </span>Top<a class="headerlink">#</a></h1>
<div class="page-facts"><p>3 min read</p></div><p>First <b>words</b>.</p><p>More.</p>
<section id="part"><h2><em>I</em><sup>2</sup> &amp; more</h2>
<div class="cell_input"><div><p>code()</p></div></div>
<table><tr><th>Jacobson</th><td>8</td></tr></table>
<svg><text>drawn</text></svg>
<p><math display="inline"><msup><mi>I</mi><mn>2</mn></msup></math> is a share<br>of it.</p>
<section id="deep"><h4>Deeper</h4><p>Below.</p></section></section>
<section id="words"><h2>Words</h2><dl><dt id="term-q">Q</dt><dd><p>A sum.</p></dd></dl>
<p>After the list.</p></section></section></article></body>"""


def test_a_page_is_cut_at_its_headings_and_terms():
    assert sections_of(PAGE) == [
        ("top", 1, "Top", "First words. More."),
        ("part", 2, "I2 & more", "Jacobson 8 I2 is a share of it. Deeper Below."),
        ("words", 2, "Words", "After the list."),
        ("term-q", 4, "Q", "A sum."),
    ]


def test_a_page_without_an_article_has_no_sections():
    assert sections_of("<body><h1>Lost</h1></body>") == []


def test_words_for_a_place_that_no_page_has_are_refused(tmp_path):
    (tmp_path / "index.html").write_text(PAGE, encoding="utf-8")
    with pytest.raises(ValueError, match="places that no page has"):
        index_of(tmp_path, ["index"], Remembered("sections"))


def test_a_page_that_is_as_it_was_is_not_cut_again(tmp_path, monkeypatch):
    monkeypatch.setattr(dependencies, "REMEMBERED", tmp_path / "remembered")
    monkeypatch.setattr(section_search, "read_synonyms", lambda: ([], {}))
    cut_now = []
    cut = section_search.sections_of
    monkeypatch.setattr(
        section_search, "sections_of", lambda html: cut_now.append(html) or cut(html)
    )
    for name in ("a", "b"):
        (tmp_path / f"{name}.html").write_text(PAGE, encoding="utf-8")
    found = []
    for changed in (None, "b", None):
        if changed:
            (tmp_path / "b.html").write_text(PAGE.replace("First", "Other"), encoding="utf-8")
        pages = Remembered("sections", "this code")
        found.append(index_of(tmp_path, ["a", "b"], pages))
        pages.keep()
    assert len(cut_now) == 2 + 1
    assert found[1] == found[2] != found[0]
    assert json.dumps(found[2]) == json.dumps(
        index_of(tmp_path, ["a", "b"], Remembered("sections", "other code"))
    )
    assert len(cut_now) == 3 + 2


def test_a_name_stands_once_in_a_group_and_every_group_has_two():
    groups, places = read_synonyms()
    for names in groups:
        assert len({name.lower() for name in names}) == len(names) >= 2
    assert all(re.fullmatch(r"[\w/]+\.html(#[\w.-]+)?", place) for place in places)


def test_the_engine_of_the_search_is_the_pinned_one_with_its_licence():
    lock = json.loads((STATIC / "minisearch" / "lock.json").read_text(encoding="utf-8"))
    content = (STATIC / "minisearch" / "minisearch.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == lock["sha256"]
    assert "Permission is hereby granted" in (STATIC / "minisearch" / "LICENSE.txt").read_text()


def test_a_definition_belongs_to_each_of_its_terms_and_holds_no_link():
    glossary = (
        '<dt id="term-a">a<a class="headerlink" href="#term-a">#</a></dt>\n'
        '<dt id="term-b">b<a class="headerlink" href="#term-b">#</a></dt>'
        '<dd><p id="x">See <a class="y" href="#term-c">c</a>.</p>\n</dd>'
    )
    assert definitions(glossary) == {
        "term-a": "<p><b>a</b></p><p>See c.</p>",
        "term-b": "<p><b>b</b></p><p>See c.</p>",
    }


@pytest.mark.parametrize("cell", ["=1+1", "+44 20", "-x", "@name", "--1"])
def test_a_cell_that_a_spreadsheet_would_compute_is_found(cell):
    assert formulas(f'a,b\n"{cell}",1\n') == [cell]


@pytest.mark.parametrize("cell", ["-0.5", "+2", "-1e-3", "a=b", "", "1-2"])
def test_a_number_or_a_text_is_no_formula(cell):
    assert formulas(f"a,b\n{cell},1\n") == []


def test_the_tables_are_copied_with_their_description(tmp_path):
    data_package(tmp_path / "data")
    package = json.loads((tmp_path / "data" / "datapackage.json").read_text(encoding="utf-8"))
    for one in package["resources"]:
        content = (tmp_path / "data" / one["path"]).read_bytes()
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == one["hash"]


def test_the_same_site_gives_the_same_zip(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    (tmp_path / "engine").mkdir()
    for name in ("index.html", "engine/pack.js"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    made = []
    for _ in range(2):
        whole_book(tmp_path, tmp_path / "book.zip")
        made.append((tmp_path / "book.zip").read_bytes())
    assert made[0] == made[1]
    assert b"nrm-book/index.html" in made[0]
    assert b"pack.js" not in made[0]
