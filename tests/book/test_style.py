"""Words that a native editor would not print: in no chapter, page, caption or table head."""

from __future__ import annotations

import ast
import csv
import tomllib
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from prose_check import REFUSED, refused, spoken, texts

BOOK = Path(__file__).resolve().parents[2] / "book"
#: The history of the book quotes what it said.
PAGES = sorted(
    path
    for pattern in ("*.ipynb", "*.md", "_data/*.toml")
    for path in BOOK.glob(pattern)
    if path.stem != "changelog"
)


def shown(code: str) -> Iterator[str]:
    """Texts that code shows, such as captions: every string with a space in it."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.JoinedStr):
            parts = [one.value if isinstance(one, ast.Constant) else "x" for one in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value


def said(path: Path) -> Iterator[str]:
    if path.suffix == ".toml":
        yield from texts(tomllib.loads(path.read_text(encoding="utf-8")))
    elif path.suffix == ".md":
        yield path.read_text(encoding="utf-8")
    else:
        for cell in nbformat.read(path, as_version=4).cells:
            yield from (spoken if cell.cell_type == "markdown" else shown)(cell.source)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_says_nothing_that_an_editor_would_change(path):
    found = [(word, REFUSED[word], text) for text in said(path) for word in refused(text)]
    assert found == []


def test_tables_of_facts_say_nothing_that_an_editor_would_change():
    quoted = {"quote", "printed", "title"}  # as their sources say it
    found = []
    for path in sorted((BOOK.parent / "data").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            cells = [(name, text) for row in csv.DictReader(file) for name, text in row.items()]
        texts = [(name, text) for name, text in cells if " " in text and name not in quoted]
        found += [(path.name, name, word, text) for name, text in texts for word in refused(text)]
    assert found == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Nonrelapse mortality was 7.5% (95% CI 6.9-8.1).",
        "All patients in one pot.",
        "Tests on the other side of the line after correction",
        "LBCL, all factors: tisa-cel against axi-cel",
        "Its t interval held the truth in most data sets.",
        "The characteristics are dealt anew to the studies.",
        "It takes heterogeneity for nothing.",
        "What else goes together with the group?",
        "So many of a\nthousand patients.",
        "A region that chance alone would fill 95 times in a hundred.",
        "The claim asks for more than one half.",
        "Cohorts as unlike as fitted.",
        "Where nothing is to be found, the test rejects.",
        "A share of all deaths supposes that no unknown cause was an infection.",
        "Values were turned back with the harmonic mean.",
        "Diamonds are pooled estimates, each from a model of its own.",
        "The mean over cohorts is 7.4%.",
        "The ratio comes nearer to one: 1.54 in place of 2.41.",
        "The form turns it back with the size that fits.",
        "It gives the p-value of a Monte-Carlo test.",
        "CAR-T-specific side effects",
        "With 95 per cent probability.",
        "None of these studies tested whether it saves lives.",
        "No study in this review tested it.",
        "A t distribution with two degrees of freedom fewer than there are studies.",
    ],
)
def test_an_odd_phrase_is_seen(sentence):
    assert refused(sentence)


def test_plain_english_passes():
    assert not refused("The interval contains the true rate in 95% of cohorts, as it should.")
    assert not refused("We compared tisa-cel with axi-cel, and tested against the null hypothesis.")
    assert not refused("Suppose that no cohort differs, and compare like with like.")
    assert not refused("The study table keeps the values; household registers withhold theirs.")
