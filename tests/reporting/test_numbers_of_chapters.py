"""The report of our own table has the numbers of the chapters."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from report_tools import COLUMNS, written

from helpers import load_cohorts, meta_regression, pool, pool_rates, subgroups
from helpers.checks import bias

FOLLOW_UP = "median_follow_up_months"


def test_the_pooled_estimate_is_that_of_the_chapters(ours):
    fit = pool(load_cohorts(), **COLUMNS, model="glmm")
    found = ours.to_dict()["pooled"]
    assert found["estimate"] == fit.estimate
    assert found["ci"] == list(fit.ci)
    assert found["tau2"] == fit.tau2
    beside = pool(load_cohorts(), **COLUMNS, model="random")
    assert ours.to_dict()["beside"]["estimate"] == beside.estimate
    row = ours.frames()["pooled"].iloc[0]
    assert (row["prediction_lower"], row["prediction_upper"]) == fit.prediction_interval()


def test_groups_regression_and_rates_are_those_of_the_chapters(ours):
    data = load_cohorts()
    groups = subgroups(data, by="entity", **COLUMNS, model="glmm")
    made = ours.frames()["groups"].set_index("entity")["estimate"].to_dict()
    assert made == pytest.approx({name: fit.estimate for name, fit in groups}, rel=1e-12)
    assert pytest.approx(groups.test.statistic, rel=1e-12) == ours.analysis.groups.test.statistic
    slope = meta_regression(data, FOLLOW_UP, **COLUMNS, model="glmm", ci_method="t")
    assert ours.analysis.regressions[FOLLOW_UP].estimates.tolist() == slope.estimates.tolist()
    rate = pool_rates(data, **COLUMNS, follow_up=FOLLOW_UP, model="glmm")
    assert ours.analysis.rates.estimate == rate.estimate


def test_deletion_and_small_study_tests_are_those_of_the_chapters(ours):
    fit = pool(load_cohorts(), **COLUMNS, model="glmm")
    without = fit.leave_one_out()["estimate"].tolist()
    assert ours.frames()["leave_one_out"]["estimate"].tolist() == without
    assert ours.analysis.tests["Egger (logit)"].p == bias.egger(fit).p
    null = bias.simulate_null(fit, draws=2000, seed=1).summary_frame()
    tests = ours.frames()["small_study_tests"].set_index("test")
    assert tests["calibrated_p"].to_dict() == null.loc[tests.index, "calibrated_p"].to_dict()


def test_the_numbers_on_the_page_are_printed_from_the_result(ours, our_page):
    text = re.sub(r"<[^>]+>", "", our_page)
    fit = ours.analysis.fit
    assert f"{100 * fit.estimate:.1f}" in text
    assert ours.answer in text
    assert "574" in text
    assert "7,604" in text


def test_csv_files_hold_the_numbers_unrounded(tmp_path, ours):
    folder = written(ours, tmp_path / "mine")
    row = pd.read_csv(folder / "pooled.csv").iloc[0]
    assert row["estimate"] == pytest.approx(ours.analysis.fit.estimate, rel=1e-14)
