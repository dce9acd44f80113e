"""The tables of this review: the toolkit's, with its words, and that of the cohorts."""

from __future__ import annotations

from typing import Any

import pandas as pd

from .. import printing
from ..views.tables import MISSING, Table, comparison_table, require, table
from ..views.tables import pooled_table as any_pooled_table
from .evidence_tables import (
    coverage_table,
    definitions_table,
    forecasts_table,
    later_table,
    reporting_items_table,
    review_methods_table,
    rules_table,
    studies_table,
    update_table,
)
from .subject import worded

__all__ = [
    "Table",
    "cohort_table",
    "comparison_table",
    "coverage_table",
    "definitions_table",
    "forecasts_table",
    "later_table",
    "pooled_table",
    "reporting_items_table",
    "review_methods_table",
    "rules_table",
    "studies_table",
    "table",
    "update_table",
]

pooled_table = worded(any_pooled_table)

_COHORT_COLUMNS = {
    "cohort": ("Cohort", "text"),
    "entity": ("Disease", "text"),
    "product": ("Product", "text"),
    "setting": ("Setting", "text"),
    "phase": ("Phase", "text"),
    "treatment_line": ("Line", "text"),
    "enrolment_ended": ("Enrolment ended", "text"),
    "patients": ("Patients", "count"),
    "nonrelapse_deaths": ("Nonrelapse deaths", "count"),
    "crude": (f"Deaths{printing.IN_PERCENT}", "percent"),
    "median_follow_up_months": ("Median follow-up, months", "number1"),
    "reported_nrm": (f"Reported NRM{printing.IN_PERCENT}", "percent"),
    "reported_nrm_month": ("at month", "count"),
}


def cohort_table(
    cohorts: pd.DataFrame, caption: str | None = None, *, name: str | None = None, **options: Any
) -> Table:
    """Print the cohorts: who was treated, with what, how many died without relapse.

    A part of the rows and columns of ``load_cohorts()`` that still has cohort, patients and
    nonrelapse_deaths. The caption is a sentence with the totals by default; the rest is as in
    :func:`table`.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> cohort_table(load_cohorts()).caption
    '52 cohorts: 7,604 patients, 574 nonrelapse deaths'
    """
    require(cohorts, ["cohort", "patients", "nonrelapse_deaths"])
    shown = cohorts.assign(crude=cohorts["nonrelapse_deaths"] / cohorts["patients"])
    columns = [column for column in _COHORT_COLUMNS if column in shown.columns]
    usual = (
        f"{printing.counted(len(shown), 'cohort').capitalize()}: "
        f"{printing.count(shown['patients'].sum())} patients, "
        f"{printing.count(shown['nonrelapse_deaths'].sum())} nonrelapse deaths"
    )
    notes = (
        [f"{MISSING} not reported or not applicable"]
        if shown[columns].isna().any(axis=None)
        else []
    )
    return table(
        shown[columns],
        caption or usual,
        name=name,
        **{
            "formats": {column: _COHORT_COLUMNS[column][1] for column in columns},
            "labels": {column: _COHORT_COLUMNS[column][0] for column in columns},
            "notes": notes,
            **options,
        },
    )
