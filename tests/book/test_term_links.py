"""Terms of the glossary: linked once a page, and a glossary that can be read."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from term_links import find_terms, split_text

BOOK = Path(__file__).resolve().parents[2] / "book"
GLOSSARY = """# Words

A weight here is no link, because this page is the glossary.

```{glossary}
Q
  A sum.

forest plot
  A figure.

standard error
  A spread.

error
  A mistake.

study
  A unit.

weight
  A share.

unit
  A thing, of a {term}`study`.
```
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A book of three pages."""
    source = tmp_path_factory.mktemp("book")
    (source / "conf.py").write_text(
        "extensions = ['myst_parser', 'term_links']\n"
        "myst_enable_extensions = ['dollarmath']\n"
        "html_math_renderer = 'mathjax'\nnitpicky = True\nsuppress_warnings = ['myst.header']\n"
        "term_links_by_hand = ['unit']\n",
        encoding="utf-8",
    )
    (source / "words.md").write_text(GLOSSARY, encoding="utf-8")
    (source / "index.md").write_text(
        "# A forest plot in a title\n\n```{toctree}\nwords\nsecond\n```\n\n"
        "`forest plot` [a forest plot](words.md) $Q$ and <a href='words.html'>forest plot</a>\n\n"
        "```python\nforest plot\n```\n\n"
        "| weight |\n|---|\n| forest plot |\n\n"
        "Forest plots show standard errors. A forest plot again, with an error and q and Q.\n"
        "Studies have no hand-forest plot; a unit stays.\n",
        encoding="utf-8",
    )
    (source / "second.md").write_text(
        "# Second\n\nThe weight, then {term}`weights <weight>`, weight.py and studying.\n\n"
        "* A **forest\n  plot** in bold\n",
        encoding="utf-8",
    )
    warnings = io.StringIO()
    app = Sphinx(
        source, source, source / "out", source / "tree", "html", status=None, warning=warnings
    )
    app.build()
    assert warnings.getvalue() == ""
    return {
        name: BeautifulSoup(
            (source / "out" / f"{name}.html").read_text(encoding="utf-8"), "html.parser"
        )
        for name in ("index", "second", "words")
    }


def linked(page) -> list[str]:
    return [" ".join(link.get_text().split()) for link in page.select("a .std-term")]


def test_the_first_plain_mention_is_linked_and_no_other(built):
    assert linked(built["index"]) == ["Forest plots", "standard errors", "error", "Q", "Studies"]
    targets = [a["href"] for a in built["index"].select("a:has(.std-term)")]
    assert targets[:2] == ["words.html#term-forest-plot", "words.html#term-standard-error"]


def test_headings_links_code_formulas_and_tables_stay_as_they_are(built):
    body = built["index"].select_one("div.body")
    for closed in ("h1", "pre", "code", "table", ".math"):
        assert not body.select(f"{closed} .std-term"), closed
    assert not body.select("a a")


def test_a_page_that_links_a_term_itself_gets_no_second_link(built):
    assert linked(built["second"]) == ["weights"]


def test_the_glossary_links_only_what_its_authors_linked(built):
    assert linked(built["words"]) == ["study"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("random-effects model, random effects model", ["random-effects model"]),
        ("an ML estimate, REML, ml", ["ML"]),
        ("R2=3 and weight(x), “logit”", []),
        ("heterogeneities; I2.", ["heterogeneities", "I2"]),
        ("book/weight.csv is the weight's file", ["weight"]),
    ],
)
def test_what_counts_as_a_mention(text, found):
    terms = sorted(
        ["random-effects model", "ML", "R2", "I2", "weight", "heterogeneity"],
        key=lambda term: (-len(term), term),
    )
    pieces = split_text(text, terms, find_terms(terms), set())
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, term in pieces if term] == found


def test_a_long_page_takes_little_time():
    terms = sorted((name for name, _ in entries()), key=lambda term: (-len(term), term))
    text = "The deaths of a year, and what they say about patients elsewhere. " * 2000
    start = time.process_time()
    split_text(text, terms, find_terms(terms), set())
    assert time.process_time() - start < 5


# --- the glossary of the book --------------------------------------------------------------------


def entries() -> list[tuple[str, str]]:
    text = (BOOK / "glossary.md").read_text(encoding="utf-8")
    body = text.split("```{glossary}")[1].split("```")[0]
    return re.findall(r"^(\S.*)\n((?:[ \t]+\S.*\n?)+)", body, re.M)


def texts() -> dict[str, str]:
    pages = {p.name: p.read_text(encoding="utf-8") for p in BOOK.glob("*.md")}
    for path in BOOK.glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        outputs = [
            o.get("data", {}).get("text/markdown", "") for c in cells for o in c.get("outputs", [])
        ]
        pages[path.name] = "\n".join([*(c.source for c in cells), *outputs])
    return pages


def used(text: str) -> set[str]:
    found = re.findall(r"\{term\}`([^`]+)`", text)
    return {(re.search(r"<([^>]+)>\s*$", name) or [name, name])[1].strip() for name in found}


def test_every_term_that_a_page_links_is_in_the_glossary():
    known = {name.lower() for name, _ in entries()}
    missing = {
        f"{page}: {name}"
        for page, text in texts().items()
        for name in used(text)
        if name.lower() not in known and "{" not in name
    }
    assert not missing


def test_entries_are_alphabetical_and_single():
    names = [re.sub(r"[^a-z0-9]", "", name.lower()) for name, _ in entries()]
    assert names == sorted(names)
    assert len(set(names)) == len(names)


def test_no_entry_defines_a_term_by_itself():
    for name, text in entries():
        assert name.lower() not in {term.lower() for term in used(text)}, name
        first = re.split(r"(?<=[.;:])\s", text.strip())[0].lower()
        assert not re.match(rf"(an?|the)?\s*{re.escape(name.lower())}\b", first), name


def test_no_two_entries_only_point_at_each_other():
    """Two definitions that link each other must both say something without the link."""
    known = {name.lower(): text for name, text in entries()}
    for name, text in known.items():
        for other in {term.lower() for term in used(text)}:
            if name in {term.lower() for term in used(known[other])}:
                for one in (text, known[other]):
                    assert len(re.sub(r"\{term\}`[^`]*`", "", one).split()) > 8, (name, other)
