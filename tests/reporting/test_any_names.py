"""Names of columns and labels of studies are data, whatever else they could mean."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from report_tools import case

from helpers import printing, subgroups
from helpers.errors import MetaAnalysisError
from helpers.reporting import report, sentences
from helpers.reporting.analysis import ColumnNames, analyse
from helpers.reporting.make import USUAL
from helpers.reporting.tables import frames, groups_table
from helpers.views import plots

ROWS = 8

COUNTS = {
    "cohort": [f"s{i}" for i in range(ROWS)],
    "deaths": [1, 2, 3, 4, 5, 6, 7, 8],
    "patients": [30, 33, 36, 39, 42, 45, 48, 51],
}

SQUARES = [0.0, 1.0, 4.0, 9.0, 16.0, 25.0, 36.0, 49.0]


# what formulas, tables of results or pictures could take for their own
NAMES = [
    *("0", "1", "-1", "", " ", ".", "~", "a~b", "a+b", "a:b", "a b", "a`b", "`", "``", "(x)"),
    *("Q", "C", "I", "log", "bs", "np", "class", "None", "Intercept", "(Intercept)", "x\ny"),
    *("study", "events", "n", "k", "p", "df", "I2", "tau2", "estimate", "ci_lower", "weight"),
    *("yi", "vi", "included", "reason", "group", "moderator", "term", "column_0", "{x}", "<b>"),
]


def slope_by_hand(x, events, n):
    """Maximum likelihood slope of a logistic regression, by Newton steps (tau2 is 0 here)."""
    X, events, n = np.column_stack([np.ones(len(x)), x]), np.asarray(events), np.asarray(n)
    beta = np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-X @ beta))
        beta += np.linalg.solve(X.T * (n * p * (1 - p)) @ X, X.T @ (events - n * p))
    return beta[1]


READABLE = [name for name in NAMES if name and name.strip() == name]


@pytest.fixture(scope="module")
def any_names():
    """Covariates of all names, each another multiple of the same values."""
    values = {name: np.multiply(SQUARES, i) for i, name in enumerate(READABLE, start=1)}
    columns = ColumnNames("cohort", "deaths", "patients", covariates=tuple(READABLE))
    return analyse(pd.DataFrame(COUNTS | values), columns, draws=20)


def test_a_covariate_may_have_any_name(any_names):
    assert list(any_names.regressions) == READABLE
    expected = slope_by_hand(SQUARES, COUNTS["deaths"], COUNTS["patients"])
    for i, (name, fit) in enumerate(any_names.regressions.items(), start=1):
        slopes = fit.coefficients["estimate"].tolist()[1:]
        assert slopes == pytest.approx([expected / i], rel=1e-6), name
        assert printing.number(expected / i, 3) in sentences.regression(any_names, name, USUAL)
        studies = fit.studies.reset_index()
        assert len(studies) == ROWS
    table = frames(any_names)["meta_regression"]
    assert table["moderator"].tolist() == [name for name in READABLE for _ in range(2)]


@pytest.mark.parametrize("name", ["1", "Intercept", "weight", "estimate", "yi", "study", "a`b"])
def test_the_picture_of_a_covariate_shows_its_values_whatever_its_name(name, any_names):
    fit = any_names.regressions[name]
    picture = plots.show(plots.bubble(fit), "bubble")
    values = np.multiply(SQUARES, READABLE.index(name) + 1)
    shown = re.findall(r">([\d,.]+)</td>", picture.table.body)
    assert {printing.number(value, 0) for value in values} <= set(shown)


def test_a_group_may_have_any_name(any_names):
    for name in READABLE:
        table = pd.DataFrame(COUNTS | {name: list("abab" * 2)})
        made = subgroups(
            table, by=name, events="deaths", n="patients", study="cohort", model="common"
        )
        found = replace(any_names, groups=made)
        assert list(frames(found)["groups"].iloc[:, 0]) == ["a", "b"]
        assert frames(found)["groups"]["k"].tolist() == [4, 4]
        body = groups_table(found, USUAL, made).body
        assert re.findall(r'class="gt_row gt_left[^"]*">(\w)</t', body) == ["a", "b"], name


def test_a_whole_report_is_made_of_odd_names():
    made = report(case(7), by="p", covariates=("1", "weight"))
    assert {"forest", "subgroup-forest", "regression-1", "regression-2"} <= set(made.pictures)
    page = re.sub(r"<[^>]+>", " ", made.html)
    table = pd.read_csv(case(7))
    for name in ("1", "weight"):
        slope = slope_by_hand(table[name], table["events"], table["n"])
        said = f"each additional unit of {name} is associated with a higher value: "
        assert f"{said}{printing.number(slope, 3)} " in page


def test_a_name_that_no_table_may_have_is_refused():
    for name in set(NAMES) - set(READABLE):
        with pytest.raises(MetaAnalysisError):
            report(pd.DataFrame(COUNTS | {name: SQUARES}), study="cohort", covariates=name)


def test_covariates_with_blanks_and_columns_not_used():
    table = pd.DataFrame(
        {
            "study": list("abcdef"),
            "events": [1, 4, 6, 3, 5, 9],
            "n": [40, 50, 60, 30, 50, 70],
            "Age (years)": [50.0, 60, 61, 70, 55, 58],
            "note": "x",
        }
    )
    made = report(table, covariates="Age (years)")
    assert list(made.analysis.regressions) == ["Age (years)"]
    assert made.analysis.unused == ("note",)
    assert made.sha256 == ""


def test_a_control_character_in_a_label_does_not_lose_the_report():
    codes = [*range(1, 32), 0x7F, 0x85, 0x9F, 0x2028, 0xFFFE]
    rows = range(len(codes))
    table = pd.DataFrame(
        {
            "study": [f"A{i}{chr(code)}2019 $x_$ $\\frac$" for i, code in enumerate(codes)],
            "events": [3 + i % 7 for i in rows],
            "n": [40 + i for i in rows],
        }
    )
    made = report(table.to_csv(index=False).encode())
    assert {"forest", "without-each", "funnel"} <= set(made.pictures)
    for picture in made.pictures.values():
        ElementTree.fromstring(picture.svg)
    assert {chr(code) for code in codes} & set(made.html) == {"\n"}


def test_labels_that_differ_in_control_characters_alone_are_refused():
    table = pd.DataFrame({"study": ["A\x01", "A\x02"], "events": [3, 5], "n": [40, 60]})
    with pytest.raises(MetaAnalysisError, match="column 'study'"):
        report(table)
