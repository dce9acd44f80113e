"""The book on paper, printed from the built pages."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml
from browser import find_browser
from built import ROOT, SITE
from pdf import ON_SCREEN, PrintedBook, paper_pages, toc_pages

from helpers.review import SUBJECT

WHOLE = yaml.safe_load((SITE.parents[1] / "_toc.yml").read_text(encoding="utf-8"))
#: Pages of every kind: all of the book takes a minute to print, and `make audit` prints it.
SOME = {"data_extraction", "pooling", "causes_of_death", "codebook", "glossary", "references"}


def shortened(toc: dict) -> dict:
    parts = [
        {"caption": part["caption"], "chapters": kept}
        for part in toc["parts"]
        if (kept := [one for one in part["chapters"] if one["file"] in SOME])
    ]
    return {**toc, "parts": parts}


@pytest.fixture(scope="module")
def toc(request) -> dict:
    return request.param


@pytest.fixture(scope="module")
def book(toc, tmp_path_factory) -> PrintedBook:
    folder = tmp_path_factory.mktemp("paper")
    contents, output = folder / "_toc.yml", folder / "book.pdf"
    contents.write_text(yaml.safe_dump(toc), encoding="utf-8")
    options = ["--site", SITE, "--toc", contents, "--output", output, find_browser()]
    script = ROOT / "build_tools" / "pdf.py"
    subprocess.run([sys.executable, script, *options], check=True, capture_output=True)
    return PrintedBook(output.read_bytes())


def pages(toc: dict) -> list[str]:
    return [name for _, name in paper_pages(toc)]


printed = pytest.mark.parametrize(
    "toc",
    [
        pytest.param(shortened(WHOLE), id="some"),
        pytest.param(WHOLE, id="all", marks=pytest.mark.nightly),
    ],
    indirect=True,
    scope="module",
)


def test_all_but_the_reference_is_on_paper():
    assert set(pages(shortened(WHOLE))) == {"index", *SOME}
    every = list(toc_pages(WHOLE))
    left = {name for _, name in every} - set(pages(WHOLE))
    assert left == {name for part, name in every if part == ON_SCREEN}
    assert all(name == "helpers_reference" or name.startswith("reference/") for name in left)


@printed
def test_every_page_of_the_contents_begins_a_sheet_of_its_own(book, toc):
    begins = [book.destinations[name] for name in pages(toc)]
    assert begins == sorted(begins)
    assert len(set(begins)) == len(begins)
    assert begins[0] > 2  # after the cover and the contents
    assert len(book.sheets) >= begins[-1]


@printed
def test_it_is_tagged_outlined_and_in_english(book, toc):
    kinds = {kind for body in book.objects.values() for kind in re.findall(rb"/Type /(\w+)", body)}
    assert {b"Outlines", b"StructTreeRoot"} <= kinds
    assert b"/Lang (en)" in book.data
    assert book.data.count(b"/Title (") >= len(pages(toc))


@printed
def test_links_lead_within_the_book_or_to_the_web(book):
    links = [body for body in book.objects.values() if b"/Subtype /Link" in body]
    assert len(links) > 100
    addresses = re.findall(rb"/URI \((.*?)\)", book.data)
    assert all(a.startswith((b"http://", b"https://", b"mailto:")) for a in addresses), addresses
    inner = {m[1] for b in links if (m := re.search(rb"/Dest /([^\s/>]+)", b))}
    names = {
        re.sub(rb"#([0-9A-Fa-f]{2})", lambda m: bytes.fromhex(m[1].decode()), n).decode()
        for n in inner
    }
    assert len(names) > 50
    assert names <= set(book.destinations)


@printed
def test_paper_is_light(book):
    """White sheets, and no colour of the dark theme on any of them."""
    pairs = SUBJECT.variables().values()
    dark = {colour.dark for colour in pairs} - {colour.light for colour in pairs}
    parts = {tuple(round(int(c[k : k + 2], 16) / 255, 4) for k in (1, 3, 5)) for c in dark}
    for sheet in range(1, len(book.sheets) + 1):
        fills = re.findall(r"([\d.]+) ([\d.]+) ([\d.]+) rg$", book.content(sheet), flags=re.M)
        colours = [tuple(map(float, fill)) for fill in fills]
        assert colours[0] == (1.0, 1.0, 1.0), sheet
        assert not parts & set(colours), sheet


@printed
def test_sheets_carry_figures(book):
    """Figures are drawings: curves and lines, not pictures of them."""
    strokes = sum(book.content(s).count("\nS\n") for s in range(1, len(book.sheets) + 1))
    assert strokes > 200
