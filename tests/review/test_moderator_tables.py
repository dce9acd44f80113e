"""The tables print what the computations hold."""

from __future__ import annotations

import pandas as pd

from helpers import printing
from helpers.review.moderator_tables import (
    regressions_table,
    subgroup_rows_table,
    subgroup_tests_table,
    variants_table,
)
from helpers.review.moderators import (
    coefficient_variants,
    regression_overview,
    regression_variants,
    subgroup_rows,
    subgroup_tests,
)


def test_every_group_is_a_row_with_its_counts_and_estimate() -> None:
    rows = subgroup_rows()
    made = subgroup_rows_table(rows)
    for row in rows.itertuples():
        line = next(
            text
            for text in made.text.splitlines()
            if f" {row.level} " in text
            and f"{printing.count(row.events)}/{printing.count(row.n)}" in text
        )
        assert printing.number(100 * row.estimate, 1) in line.split()
    assert "disease" in made.html


def test_tests_and_regressions_print_their_p_values() -> None:
    tests = subgroup_tests(["entity", "MM: setting"])
    lines = subgroup_tests_table(tests).text.splitlines()
    for row, line in zip(tests.itertuples(), lines[1:], strict=True):
        assert printing.p_value(row.separate, symbol="") in line
        assert printing.p_value(row.common, symbol="") in line
    overview = regression_overview(draws=19)
    lines = regressions_table(overview).text.splitlines()
    for row, line in zip(overview.itertuples(), lines[1:], strict=True):
        assert row.model in line
        assert f"{printing.number(row.F)} ({row.df1}, {row.df2})" in line


def test_a_variant_that_is_impossible_keeps_its_line_and_its_reason() -> None:
    frame = coefficient_variants(regression_variants("MM: all factors"), "product[T.ide-cel]")
    made = variants_table(frame, "Ide-cel", "ide")
    lost = frame[pd.isna(frame["omnibus"])]
    assert len(lost) == 1
    assert lost["variant"].iloc[0] in made.text
    assert "too few clusters" in made.html
