"""Diseases and products stand in one order, and have one colour each, in all pictures and tables.

The order is that of the data (the levels of the columns) and of the palette. Read are the tables
and the pictures that chapters store: what a reader gets.
"""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import nbformat
import pytest

from helpers import load_cohorts
from helpers.review import SUBJECT
from helpers.review.palette import ENTITY, PRODUCT

BOOK = Path(__file__).resolve().parents[2] / "book"
KINDS = (list(ENTITY), list(PRODUCT))
#: Pictures and tables that rank their rows by a result, and say so.
RANKED = (
    "Rank probabilities",
    "Posterior distributions",
    "Probability of every rank",
)
_ROW, _CELL = re.compile(r"<tr\b.*?</tr>", re.S), re.compile(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", re.S)
_TEXT = re.compile(r"<text\b[^>]*>(.*?)</text>", re.S)


def plain(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def level_of(text: str) -> str | None:
    """Give the disease or product that a text is about, such as "MM, 13 cohorts"."""
    for level in sorted((name for kind in KINDS for name in kind), key=len, reverse=True):
        if text == level or re.match(rf"{re.escape(level)}(?:, \w+ cohorts?| \([\d,]+\))", text):
            return level
    return None


def shuffled(texts: list[str]) -> list[list[str]]:
    """Runs of three or more levels of one kind, one below the other, that are out of order."""
    found, run = [], []
    for text in [*texts, ""]:
        level = level_of(text)
        kind = next((kind for kind in KINDS if level in kind), None)
        if run and (kind is None or run[0] not in kind):
            seen = list(dict.fromkeys(run))
            if len(seen) > 2 and seen != SUBJECT.in_order(seen):
                found.append(seen)
            run = []
        if level:
            run.append(level)
    return found


def listed(html: str) -> Iterator[list[str]]:
    """First cells of the rows of each table, its headings, and the texts of each picture."""
    for table in re.findall(r"<table\b.*?</table>", html, re.S):
        if any(name in plain(table) for name in RANKED):
            continue
        rows = [[plain(cell) for cell in _CELL.findall(row)] for row in _ROW.findall(table)]
        yield [row[0] for row in rows if row]
        yield from rows[:1]
    for picture in re.findall(r"<svg\b.*?</svg>", html, re.S):
        if not any(name in plain(html) for name in RANKED):
            yield [plain(text) for text in _TEXT.findall(picture)]


def test_the_palette_has_the_order_of_the_data():
    cohorts = load_cohorts()
    for column, palette in (("entity", ENTITY), ("product", PRODUCT)):
        assert list(cohorts[column].cat.categories) == list(palette)


@pytest.mark.parametrize("path", sorted(BOOK.glob("*.ipynb")), ids=lambda path: path.stem)
def test_diseases_and_products_stand_in_one_order(path):
    outputs = [
        "".join(output.get("data", {}).get("text/html", ""))
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    assert [run for html in outputs for texts in listed(html) for run in shuffled(texts)] == []


def test_another_order_is_seen():
    rows = "".join(f"<tr><td>{name}</td><td>1</td></tr>" for name in ("LBCL", "IL", "MCL", "MM"))
    (texts, _) = listed(f"<table>{rows}</table>")
    assert shuffled(texts) == [["LBCL", "IL", "MCL", "MM"]]
    drawn = "".join(f"<text x='1'>{name}</text>" for name in ("liso-cel", "axi-cel", "tisa-cel"))
    (texts,) = listed(f"<svg>{drawn}</svg>")
    assert shuffled(texts) == [["liso-cel", "axi-cel", "tisa-cel"]]


def test_one_colour_for_each_disease_and_product():
    colours = [colour.light for palette in (ENTITY, PRODUCT) for colour in palette.values()]
    assert len(set(colours)) == len(colours)
    for palette in (ENTITY, PRODUCT):
        assert SUBJECT.colours(list(palette)) == dict(palette)
