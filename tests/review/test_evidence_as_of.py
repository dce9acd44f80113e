"""The day to which the evidence was looked up: one home, and on every page that needs it."""

import csv
from datetime import date
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from helpers import review
from helpers.evidence import data_folder
from helpers.review.tables import DATED

BOOK = Path(__file__).resolve().parents[2] / "book"


def dated() -> dict[str, list[str]]:
    found = {}
    for path in data_folder().glob("*.csv"):
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        if rows and "looked_up" in rows[0]:
            found[path.stem] = [row["looked_up"] for row in rows if row["looked_up"]]
    return found


def test_no_dated_table_is_forgotten():
    assert set(dated()) == set(DATED)


def test_it_is_the_last_day_of_all():
    last = date.fromisoformat(max(day for days in dated().values() for day in days))
    assert review.evidence_as_of() == f"{last.day}\N{NO-BREAK SPACE}{last:%B %Y}"


def test_of_one_table_only_its_own_days_count_and_empty_cells_do_not():
    frame = pd.DataFrame({"looked_up": ["2025-01-31", None, "2024-12-31"]})
    assert review.evidence_as_of(frame) == "31\N{NO-BREAK SPACE}January 2025"


@pytest.mark.parametrize(
    "page", ["index", "question", "data_extraction", "preventing_infection", "since_then"]
)
def test_each_page_that_needs_the_day_says_it(page):
    cells = nbformat.read(BOOK / f"{page}.ipynb", as_version=4).cells
    prose = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    code = " ".join(cell.source for cell in cells if cell.cell_type == "code")
    assert "vidence as of {eval}`" in prose
    assert "review.evidence_as_of(" in prose + code
