"""The five cohorts of the sums by hand: those of the data, replaced where one is missing."""

from __future__ import annotations

import pytest

from helpers import load_cohorts, review
from helpers.errors import MetaAnalysisError
from helpers.review.by_hand import FIVE

RAW = ["nonrelapse_deaths", "patients", "median_follow_up_months"]


def test_the_five_are_those_of_the_file_in_their_order():
    table = load_cohorts().set_index("cohort").loc[list(FIVE)]
    five = review.five_cohorts(load_cohorts())
    assert five["cohort"].tolist() == list(FIVE)
    assert five[["events", "n", "months"]].to_numpy().tolist() == table[RAW].to_numpy().tolist()
    assert five["events"].between(1, five["n"] - 1).all()
    assert five["product"].value_counts().min() >= 2  # two groups that can be pooled


def test_an_edited_count_reaches_the_five():
    table = load_cohorts()
    table.loc[table["cohort"] == FIVE[2], "nonrelapse_deaths"] = 30
    assert review.five_cohorts(table)["events"].tolist() == [9, 5, 30, 13, 6]


def test_a_missing_cohort_is_replaced_and_one_without_deaths_is_not_used():
    table = load_cohorts()
    table = table[table["cohort"] != FIVE[1]]
    table.loc[table["cohort"] == FIVE[0], "nonrelapse_deaths"] = 0
    found = review.five_cohorts(table)
    assert found["cohort"].tolist()[:3] == list(FIVE[2:])
    assert len(found) == 5
    assert not {FIVE[0], FIVE[1]} & set(found["cohort"])
    assert not found["product"].str.contains("+", regex=False).any()


def test_fewer_than_three_are_refused_in_words():
    few = load_cohorts()
    few = few[few["cohort"].isin(FIVE[:2])]
    with pytest.raises(MetaAnalysisError, match=r"at least three cohorts.*there are 2"):
        review.five_cohorts(few)
