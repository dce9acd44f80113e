"""Reports that several files of tests read: each is made once."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from report_tools import COLUMNS

from helpers.evidence import data_folder
from helpers.reporting import report
from helpers.reporting.make import USUAL


@pytest.fixture(scope="session")
def ours():
    """Of the review's own cohorts."""
    return report(
        data_folder() / "cohorts.csv",
        **COLUMNS,
        by="entity",
        follow_up="median_follow_up_months",
        covariates="year",
        subject=replace(USUAL, outcome="Nonrelapse mortality", events="Deaths"),
    )


@pytest.fixture(scope="session")
def our_page(ours):
    """Its page, which is made anew each time it is asked for."""
    return ours.html


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """With every file, of a table whose names and labels could be formulas: no test changes it."""
    table = pd.DataFrame(
        {
            "study": ["=HYPERLINK(1)", "+b", "-c", "@d", "e\u2028f", "g"],
            "events": [3, 6, 2, 7, 5, 9],
            "n": [40, 50, 60, 55, 70, 45],
            "group": list("xxxyyy"),
            "=year": [2015.0, 2016, 2017, 2019, 2020, -1],
        }
    )
    made = report(table, covariates="=year", title="=1+1")
    return made, made.write(tmp_path_factory.mktemp("report") / "all")


@pytest.fixture
def undrawn(monkeypatch):
    """Give reports for their numbers alone: figures take most of their time."""
    monkeypatch.setattr("helpers.reporting.figures._wanted", lambda *_: ())
