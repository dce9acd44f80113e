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

TOC = SITE.parents[1] / "_toc.yml"


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> PrintedBook:
    output = tmp_path_factory.mktemp("paper") / "book.pdf"
    options = ["--site", SITE, "--toc", TOC, "--output", output, find_browser()]
    script = ROOT / "build_tools" / "pdf.py"
    subprocess.run([sys.executable, script, *options], check=True, capture_output=True)
    return PrintedBook(output.read_bytes())


def pages() -> list[str]:
    return [name for _, name in paper_pages(yaml.safe_load(TOC.read_text(encoding="utf-8")))]


def test_all_but_the_reference_is_on_paper():
    every = list(toc_pages(yaml.safe_load(TOC.read_text(encoding="utf-8"))))
    left = {name for _, name in every} - set(pages())
    assert left == {name for part, name in every if part == ON_SCREEN}
    assert all(name == "helpers_reference" or name.startswith("reference/") for name in left)


def test_every_page_of_the_contents_begins_a_sheet_of_its_own(book):
    begins = [book.destinations[name] for name in pages()]
    assert begins == sorted(begins)
    assert len(set(begins)) == len(begins)
    assert begins[0] > 2  # after the cover and the contents
    assert len(book.sheets) >= begins[-1]


def test_it_is_tagged_outlined_and_in_english(book):
    kinds = {kind for body in book.objects.values() for kind in re.findall(rb"/Type /(\w+)", body)}
    assert {b"Outlines", b"StructTreeRoot"} <= kinds
    assert b"/Lang (en)" in book.data
    assert book.data.count(b"/Title (") >= len(pages())


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


def test_sheets_carry_figures(book):
    """Figures are drawings: curves and lines, not pictures of them."""
    strokes = sum(book.content(s).count("\nS\n") for s in range(1, len(book.sheets) + 1))
    assert strokes > 200
