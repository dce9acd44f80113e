"""The published tests computed again: printed digits, R's values, errors that name the cause."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reference_values import PATH
from scipy import stats

from helpers import load_cohorts, load_published
from helpers.review.published.tests import (
    CORRELATION,
    EGGER,
    INFERRED,
    RANK_SUM,
    egger_comparison,
    egger_subset,
    recompute,
    recomputed_tests,
)

REFERENCE = json.loads(PATH.read_text(encoding="utf-8"))


def test_every_printed_number_of_these_tests_comes_out_prints_as():
    rows = recomputed_tests()
    assert rows["agrees"].all(), rows[~rows["agrees"]]
    published = load_published("tests")
    ours = published[published["test"].isin([EGGER, RANK_SUM, CORRELATION])]
    columns = ["cohorts", "statistic", "df1", "p", "estimate", "estimate_se"]
    assert len(rows) == int(ours[columns].notna().to_numpy().sum()) == 62


def test_only_the_choice_of_cohorts_without_overlap_is_marked_as_inferred():
    rows = recomputed_tests()
    assert set(rows.loc[rows["inferred"], "subset"]) == {INFERRED}


def test_another_choice_of_cohorts_does_not_agree():
    """The comparison can fail: one death more in one cohort changes a printed digit."""
    cohorts = load_cohorts()
    cohorts.loc[0, "nonrelapse_deaths"] += 1
    rows = recomputed_tests(cohorts)
    assert not rows.loc[rows["subset"] == "all cohorts", "agrees"].all()


@pytest.mark.parametrize(
    ("subset", "key"),
    [
        ("all cohorts", "overall"),
        ("LBCL", "LBCL"),
        ("MCL", "MCL"),
        ("MM", "MM"),
        ("IL", "IL"),
        ("real-world", "RW"),
        ("trial", "CT"),
        ("more than 80 patients", "n_over_80"),
        (INFERRED, "overlap_excluded_INFERRED_rows"),
    ],
)
def test_egger_tests_are_those_of_r(subset, key):
    chosen = egger_subset(subset, load_cohorts())
    x, n = chosen["nonrelapse_deaths"].to_numpy(float), chosen["patients"].to_numpy(float)
    add = np.where(x == 0, 0.5, 0.0)
    se = np.sqrt(1 / (x + add) + 1 / (n - x + add))
    # Egger's own form, the standardised effect on precision, as a second computation.
    z = np.log((x + add) / (n - x + add)) / se
    design = np.column_stack([np.ones_like(se), 1 / se])
    bias = np.linalg.lstsq(design, z, rcond=None)[0][0]
    found = recompute({"test": EGGER, "subset": subset})
    assert found["estimate"] == pytest.approx(bias, rel=1e-10)
    reference = REFERENCE["small_study"]["egger_published_subsets"][key]
    assert found["p"] in [pytest.approx(value, rel=1e-9) for value in _numbers(reference)]


def _numbers(tree):
    if isinstance(tree, dict):
        return [n for value in tree.values() for n in _numbers(value)]
    if isinstance(tree, list):
        return [n for value in tree for n in _numbers(value)]
    return [tree] if isinstance(tree, (int, float)) else []


def test_rank_sum_counts_the_pairs_won_by_the_crude_rates():
    pairs = load_cohorts().dropna(subset="reported_nrm")
    crude = (pairs["nonrelapse_deaths"] / pairs["patients"]).to_numpy(float)
    reported = pairs["reported_nrm"].to_numpy(float)
    won = (crude[:, None] > reported).sum() + 0.5 * (crude[:, None] == reported).sum()
    line = {"test": RANK_SUM, "subset": "reported vs crude NRM"}
    assert recompute(line)["statistic"] == won


def test_correlation_is_that_of_a_regression():
    known = load_cohorts().dropna(subset="median_follow_up_months")
    crude = (known["nonrelapse_deaths"] / known["patients"]).to_numpy(float)
    line = stats.linregress(known["median_follow_up_months"].to_numpy(float), crude)
    found = recompute({"test": CORRELATION, "subset": "follow-up and crude NRM"})
    assert found["estimate"] == pytest.approx(line.rvalue, rel=1e-10)
    assert found["statistic"] == pytest.approx(line.slope / line.stderr, rel=1e-10)
    assert found["p"] == pytest.approx(line.pvalue, rel=1e-9)


def test_what_a_table_does_not_hold_is_not_computed():
    for line in load_published("tests").to_dict("records"):
        if line["test"] not in (EGGER, RANK_SUM, CORRELATION):
            assert recompute(line) == {}
    without = load_cohorts().iloc[10:]  # "Akthar 2023" is one of those that were left out
    assert recompute({"test": EGGER, "subset": INFERRED}, without) == {}
    assert recompute({"test": EGGER, "subset": "IL"}, without.query("entity != 'IL'")) == {}


def test_the_comparison_has_every_published_egger_test_in_order():
    frame = egger_comparison()
    printed = load_published("tests").query("test == @EGGER")
    assert list(frame["published_bias"]) == list(printed["estimate_printed"])
    assert list(frame["cohorts"]) == list(printed["cohorts"])
    assert list(frame["subset"].str.contains("(inferred)", regex=False)) == list(
        printed["subset"] == INFERRED
    )
    assert np.allclose(frame["bias"], printed["estimate"], atol=5.001e-5)
