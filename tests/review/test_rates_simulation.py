"""Simulated person-time against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples
from scipy import integrate
from statsmodels.duration.survfunc import SurvfuncRight

from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.review.time_at_risk.simulation import (
    FOLLOW_UP_MEDIANS,
    FollowUpScenario,
    _median_where,
    _reverse_kaplan_meier_median,
    simulate_person_time,
)

STILL = FollowUpScenario(
    n=200,
    accrual_months=0.0,
    minimum_follow_up_months=24.0,
    nrm_rate=0.0,
    relapse_rate=0.0,
    death_after_relapse_rate=0.0,
    dropout_rate=0.0,
)


def _within_four_errors(result, expected):
    assert abs(result.factor - expected) < 4.0 * result.mcse


@pytest.mark.parametrize("median", FOLLOW_UP_MEDIANS)
def test_without_events_and_staggered_entry_nothing_is_lost(median):
    assert simulate_person_time(STILL, median=median, draws=5).factor == 1.0


def test_constant_hazard_with_one_cut_off_has_the_exponential_mean():
    hazard = 0.3 / 12.0
    result = simulate_person_time(replace(STILL, nrm_rate=30.0, nrm_shape=1.0), draws=3000)
    expected = (1.0 - np.exp(-24.0 * hazard)) / (24.0 * hazard)
    _within_four_errors(result, expected)
    assert result.mcse < 1e-3
    # a reverse Kaplan-Meier median is the cut-off itself: all censoring happens there
    assert (result.median_follow_up == 24.0).all()


def test_weibull_relapse_ends_the_time_at_risk():
    result = simulate_person_time(replace(STILL, relapse_rate=70.0, relapse_shape=0.7), draws=2000)
    mean = integrate.quad(lambda t: np.exp(-0.7 * (t / 12.0) ** 0.7), 0.0, 24.0)[0]
    _within_four_errors(result, mean / 24.0)


def test_even_accrual_alone_brings_no_bias():
    result = simulate_person_time(replace(STILL, accrual_months=36.0), draws=4000)
    # mean and median of a uniform variable agree; of an even number of patients the curve falls
    # to one half at the lower of the two middle ones, the 100th of 200
    _within_four_errors(result, 42.0 / (24.0 + 36.0 * 100.0 / 201.0))


def test_true_rate_is_the_hazard():
    result = simulate_person_time(
        replace(STILL, nrm_rate=12.0, nrm_shape=1.0, relapse_rate=50.0), draws=3000
    )
    row = result.row()
    assert row["true_rate"] == pytest.approx(12.0, rel=0.02)
    assert row["computed_rate"] == pytest.approx(12.0 * result.factor, rel=0.02)
    # nobody is lost before the 24 months: 200 patients are taken to be at risk for two years each
    assert result.assumed == pytest.approx(np.full(3000, 400.0))
    assert row["computed_rate"] == pytest.approx(100.0 * result.events.mean() / 400.0)
    assert row["computed_rate"] / row["true_rate"] == pytest.approx(result.factor)
    assert row["factor_lower"] < row["factor"] < row["factor_upper"] < 1.0


@examples(60)
@given(
    st.lists(
        st.tuples(st.floats(0.125, 60.0, width=32), st.booleans()), min_size=1, max_size=30,
        unique_by=lambda pair: pair[0],
    )
)  # fmt: skip
def test_reverse_kaplan_meier_median_agrees_with_statsmodels(pairs):
    time, censored = (np.array(column) for column in zip(*pairs, strict=True))
    got = _reverse_kaplan_meier_median(time[None], censored[None])[0]
    curve = SurvfuncRight(time, censored.astype(int))
    # statsmodels: smallest time with survival at most one half; nan if the curve stays above
    if not censored.any() or curve.surv_prob.min() > 0.5 + 1e-12:
        assert got == time.max()
    else:
        below = curve.surv_times[curve.surv_prob <= 0.5 + 1e-12]
        assert got == below.min()


@examples(60)
@given(st.lists(st.tuples(st.floats(0.1, 60.0), st.booleans()), min_size=1, max_size=30))
def test_median_of_survivors_is_their_median(pairs):
    time, keep = (np.array(column) for column in zip(*pairs, strict=True))
    want = np.median(time[keep]) if keep.any() else time.max()
    assert _median_where(time[None], keep[None])[0] == pytest.approx(want, rel=1e-15)


def test_a_seed_and_chunks_reproduce_the_cohorts(monkeypatch):
    first = simulate_person_time(draws=50, seed=3)
    again = simulate_person_time(draws=50, seed=3)
    other = simulate_person_time(draws=50, seed=4)
    assert (first.observed == again.observed).all()
    assert (first.observed != other.observed).any()
    monkeypatch.setattr("helpers.review.time_at_risk.simulation._BLOCK", 700)
    chunked = simulate_person_time(draws=2000, seed=3)
    whole = simulate_person_time(draws=2000, seed=5)
    gap = abs(chunked.factor - whole.factor)
    assert gap < 4.0 * np.hypot(chunked.mcse, whole.mcse)


def test_more_loss_lowers_the_factor():
    base = simulate_person_time(draws=300)
    more = simulate_person_time(FollowUpScenario(relapse_rate=140.0), draws=300)
    still = simulate_person_time(FollowUpScenario(relapse_rate=0.0), draws=300)
    assert more.factor < base.factor < still.factor


def test_impossible_assumptions_are_refused():
    with pytest.raises(MetaAnalysisError, match="n=0"):
        FollowUpScenario(n=0)
    with pytest.raises(MetaAnalysisError, match="dropout_rate"):
        FollowUpScenario(dropout_rate=-1.0)
    with pytest.raises(MetaAnalysisError, match="nrm_shape"):
        FollowUpScenario(nrm_shape=0.0)
    with pytest.raises(MetaAnalysisError, match="no patient is followed up"):
        FollowUpScenario(accrual_months=0.0, minimum_follow_up_months=0.0)
    with pytest.raises(UnsupportedError, match="median='mean'"):
        simulate_person_time(median="mean")
    with pytest.raises(MetaAnalysisError, match="draws"):
        simulate_person_time(draws=1)
    with pytest.raises(MetaAnalysisError, match="level"):
        simulate_person_time(draws=5).interval(95)
