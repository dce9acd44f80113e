"""Cautions about what a reader sees: empty sets, clipped limits, collapsed estimates, tau2 of 0."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm

from helpers import meta_regression, pool, pool_effects
from helpers.engine.normal.tau2_intervals import is_empty
from helpers.models.result import PoolResult
from helpers.reporting import sentences
from helpers.reporting.analysis import ColumnNames
from helpers.reporting.analysis import analyse as analyse_report
from helpers.reporting.in_browser import analyse
from helpers.reporting.make import USUAL

ALIKE = ([10, 20, 15, 30, 25], [100, 200, 150, 300, 250])


def codes(fit: PoolResult) -> list[str]:
    return [caution.code for caution in fit.cautions]


def message(fit: PoolResult, code: str) -> str:
    return next(caution.message for caution in fit.cautions if caution.code == code)


# --- the empty Q-profile set ----------------------------------------------------------------------


def test_the_q_profile_set_is_empty_exactly_where_q_is_too_small() -> None:
    rng = np.random.default_rng(3)
    empty = 0
    for number in range(300):
        k = int(rng.integers(2, 9))
        v = rng.uniform(0.05, 0.4, k)
        y = rng.standard_normal(k) * np.sqrt(v) * rng.choice([0.2, 1.0])
        q = float((y**2 / v).sum() - (y / v).sum() ** 2 / (1 / v).sum())
        small = q < chi2.ppf(0.025, k - 1)
        fit = pool_effects(y, v, ci_method="wald")
        assert is_empty(fit.tau2_ci()) == small
        if number % 4 == 0:  # it takes 30 times as long
            # with weights 1/v the generalised Q is the same statistic at tau2 = 0
            assert is_empty(fit.tau2_ci("generalised-q")) == small
        assert ("empty-tau2-interval" in codes(fit)) == small
        empty += small
    assert 30 < empty < 250


def test_an_empty_set_is_never_zero_to_zero() -> None:
    fit = pool(events=ALIKE[0], n=ALIKE[1], model="random")
    low, high = fit.tau2_ci()
    assert np.isnan(low)
    assert np.isnan(high)
    assert "empty" in message(fit, "empty-tau2-interval")
    # where the upper limit is above zero, a lower limit of zero is a limit
    some = pool(events=[14, 3, 12, 19, 23], n=[156, 91, 105, 204, 192], model="random")
    low, high = some.tau2_ci()
    assert low == 0.0 < high
    # the profile likelihood has no empty set
    assert fit.tau2_ci("profile").lower == 0.0 < fit.tau2_ci("profile").upper


def test_pages_and_reports_name_the_empty_set() -> None:
    rows = [(f"S{i}", x, n) for i, (x, n) in enumerate(zip(*ALIKE, strict=True))]
    content = "study,events,n\n" + "".join(f"{s},{x},{n}\n" for s, x, n in rows)
    shown = analyse(content.encode(), model="random")
    assert "empty" in dict(shown["rows"])["τ² (between studies)"]
    assert shown["fit"]["tau2_ci"] is None
    json.dumps(shown, allow_nan=False)
    table = pd.DataFrame(rows, columns=["study", "events", "n"])
    said = sentences.heterogeneity(analyse_report(table, ColumnNames(), model="random"), USUAL)
    assert "Q-profile interval is empty" in said


# --- limits beyond the ends of the scale ----------------------------------------------------------


def test_limits_that_are_clipped_carry_a_caution() -> None:
    x, n = np.array([1, 0, 2, 1]), np.array([40, 25, 60, 33])
    fit = pool(events=x, n=n, measure="raw", model="random", ci_method="wald")
    p = (x + np.where(x == 0, 0.5, 0)) / (n + np.where(x == 0, 1, 0))
    v = p * (1 - p) / (n + np.where(x == 0, 1, 0))
    assert fit.tau2 == 0.0
    mu, se = np.average(p, weights=1 / v), (1 / v).sum() ** -0.5
    lower = mu - norm.ppf(0.975) * se
    assert ("limits-clipped" in codes(fit)) == (lower < 0 or mu < 4.3 * se)
    assert fit.prediction_interval().lower == 0.0
    assert "lower limit of the prediction interval" in message(fit, "limits-clipped")
    high = pool(events=[39, 25, 58], n=[40, 25, 60], measure="log", model="random")
    assert "upper limit of the confidence interval" in message(high, "limits-clipped")
    assert high.ci.upper == 1.0


def test_limits_inside_carry_none() -> None:
    x, n = [30, 25, 28, 31, 27], [100, 90, 95, 98, 97]
    for measure in ("raw", "log", "logit", "arcsine", "double-arcsine"):
        fit = pool(events=x, n=n, measure=measure, model="random")
        assert "limits-clipped" not in codes(fit)
        assert 0 < fit.ci.lower < fit.ci.upper < 1
    for measure in ("raw-rate", "log-rate", "sqrt-rate", "freeman-tukey-rate"):
        fit = pool(events=x, time=n, measure=measure, model="random")
        assert "limits-clipped" not in codes(fit)


def test_every_clipped_limit_is_found() -> None:
    """A limit is displayed at an end of the scale if, and only if, there is a caution."""
    rng = np.random.default_rng(8)
    seen = 0
    for _ in range(150):
        k = int(rng.integers(2, 6))
        n = rng.integers(8, 60, k)
        x = rng.binomial(n, rng.choice([0.03, 0.5, 0.97]))
        if not 0 < x.sum() < n.sum():
            continue
        measure = str(rng.choice(["raw", "log", "arcsine", "double-arcsine"]))
        fit = pool(events=x, n=n, measure=measure, model="random", ci_method="wald")
        shown = [*fit.ci, *(fit.prediction_interval() if fit.k > 2 else ())]
        at_the_end = any(min(limit, 1 - limit) < 1e-15 for limit in shown)
        assert ("limits-clipped" in codes(fit)) == at_the_end, (measure, x, n)
        seen += at_the_end
    assert seen > 30


# --- a double arcsine that collapses --------------------------------------------------------------


def test_a_collapsed_double_arcsine_says_so() -> None:
    """Many small studies without events beside one large one: 0% with 39 events."""
    x, n = [0] * 12 + [39], [3] * 12 + [4000]
    fit = pool(events=x, n=n, measure="double-arcsine", model="common")
    assert fit.events == 39
    assert fit.estimate == 0.0
    said = message(fit, "double-arcsine-collapse")
    assert "39 of 4,036" in said
    # the pooled value is below that of 0 events in the harmonic mean of the sizes
    size = len(n) / sum(1 / np.array(n))
    assert fit.mu < 0.5 * np.arcsin(np.sqrt(1 / (size + 1)))
    other = pool(
        events=x, n=n, measure="double-arcsine", model="common", back_transform="inverse-variance"
    )
    assert other.estimate > 0
    assert "double-arcsine-collapse" not in codes(other)


def test_no_collapse_is_claimed_where_there_is_none() -> None:
    none = pool(events=[0, 0, 0], n=[20, 30, 25], measure="double-arcsine", model="common")
    assert none.estimate < 1e-15
    assert "double-arcsine-collapse" not in codes(none)
    usual = pool(events=[3, 5, 2], n=[40, 60, 50], measure="double-arcsine", model="random")
    assert "double-arcsine-collapse" not in codes(usual)


# --- tau2 of zero ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["random", "glmm"])
def test_a_variance_of_zero_says_what_it_does_to_the_prediction_interval(model: str) -> None:
    fit = pool(events=ALIKE[0], n=ALIKE[1], model=model)
    assert fit.tau2 == 0.0
    assert "prediction interval" in message(fit, "boundary")
    two = pool(events=[10, 20], n=[100, 200], model=model)
    assert "prediction" not in message(two, "boundary")


def test_a_regression_has_the_same_empty_set() -> None:
    table = pd.DataFrame({"x": ALIKE[0], "n": ALIKE[1], "year": range(5), "study": range(5)})
    fit = meta_regression(table, "year", events="x", n="n", study="study", model="random")
    assert chi2.ppf(0.025, 3) > fit.heterogeneity.Q
    assert is_empty(fit.tau2_ci())


@pytest.mark.parametrize(("model", "few"), [("common", 0), ("random", 1), ("glmm", 1)])
def test_few_studies_are_a_caution_where_a_variance_is_estimated(model: str, few: int) -> None:
    fit = pool(events=[3, 8, 5], n=[40, 60, 50], model=model)
    assert [one.code for one in fit.cautions].count("few-studies") == few
