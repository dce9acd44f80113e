"""Exact statements about one proportion, against scipy's binomial and known values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from helpers import pool
from helpers.checks.interval_coverage import (
    INTERVALS,
    back_transforms,
    coverage_summary,
    exact_coverage,
    lowest_coverage,
    one_interval,
    relative_variance,
)
from helpers.errors import MetaAnalysisError, UnsupportedError

STATSMODELS = {
    "Wald, raw": "normal",
    "Wilson": "wilson",
    "Clopper-Pearson": "beta",
    "Agresti-Coull": "agresti_coull",
}


@pytest.mark.parametrize("name", STATSMODELS)
@pytest.mark.parametrize("n", [7, 30])
def test_coverage_is_the_sum_of_binomial_probabilities(name, n):
    p = np.array([0.003, 0.021, 0.0777, 0.31, 0.5])
    x = np.arange(n + 1)
    low, high = proportion_confint(x, n, method=STATSMODELS[name])
    expected = [
        stats.binom.pmf(x, n, true)[(low - 1e-12 <= true) & (true <= high + 1e-12)].sum()
        for true in p
    ]
    assert_allclose(exact_coverage(n, p, [name])[name], expected, atol=1e-12)


def test_wald_covers_0_639_at_one_in_twenty_with_twenty_patients():
    # no event: a point at zero; five of 20: 6.0% to 44%; only one to four events hold 5%
    cover = exact_coverage(20, [0.05], ["Wald, raw"]).iloc[0, 0]
    assert cover <= 1 - 0.95**20
    assert_allclose(cover, stats.binom.pmf(range(1, 5), 20, 0.05).sum(), rtol=1e-12)


def test_clopper_pearson_never_falls_below_its_level():
    grid = np.linspace(0.001, 0.999, 999)
    for n in (5, 16, 43):
        assert exact_coverage(n, grid)["Clopper-Pearson"].min() >= 0.95
        assert exact_coverage(n, grid, level=0.8)["Clopper-Pearson"].min() >= 0.8


def test_the_logit_interval_is_that_of_corrected_counts():
    low, high = one_interval("Wald, logit", [0, 4], 16)
    for x, n, a, b in [(0.5, 17, low[0], high[0]), (4, 16, low[1], high[1])]:
        half = stats.norm.ppf(0.975) * np.sqrt(1 / x + 1 / (n - x))
        centre = np.log(x / (n - x))
        assert_allclose([a, b], 1 / (1 + np.exp(-np.array([centre - half, centre + half]))))


@pytest.mark.parametrize(
    ("name", "method"),
    [("Wilson", "wilson"), ("Clopper-Pearson", "beta"), ("Agresti-Coull", "agresti_coull")],
)
@pytest.mark.parametrize("n", [5, 16, 40])
def test_the_lowest_coverage_is_found_beside_the_limits(name, method, n):
    """By brute force: statsmodels' limits, scipy's binomial, a step to either side of a limit."""
    x = np.arange(n + 1)
    low, high = proportion_confint(x, n, method=method)
    near = np.concatenate([low, high])
    p = np.concatenate([near - 1e-9, near + 1e-9, np.linspace(0.005, 0.25, 20_001)])
    p = p[(p >= 0.005) & (p <= 0.25)]
    holds = (low <= p[:, None]) & (p[:, None] <= high)
    cover = (stats.binom.pmf(x, n, p[:, None]) * holds).sum(axis=1)
    coverage, where = lowest_coverage(n, (0.005, 0.25), name)
    assert coverage == pytest.approx(cover.min(), abs=1e-6)
    # Clopper and Pearson's reaches its smallest value at several limits
    assert cover[np.abs(p - where) < 1e-8].min() == pytest.approx(cover.min(), abs=1e-6)


def test_the_summary_summarises_the_curves():
    grid = np.linspace(0.01, 0.3, 60)
    summary, cover = coverage_summary(25, grid), exact_coverage(25, grid)
    assert list(summary.index) == list(INTERVALS)
    assert_allclose(summary["mean"], cover.mean())
    assert (summary["lowest"] <= cover.min() + 1e-12).all()
    assert_allclose(summary["below"], (cover < 0.95).mean())
    low, high = one_interval("Wilson", np.arange(26), 25)
    width = np.mean([stats.binom.pmf(np.arange(26), 25, p) @ (high - low) for p in grid])
    assert_allclose(summary.loc["Wilson", "width"], width)
    # right beside the named proportion the coverage is the lowest
    x, where = np.arange(26), summary.loc["Wilson", "lowest_at"]
    low, high = proportion_confint(x, 25, method="wilson")
    beside = [
        stats.binom.pmf(x, 25, p)[(low <= p) & (p <= high)].sum()
        for p in (where - 1e-9, where + 1e-9)
    ]
    assert_allclose(min(beside), summary.loc["Wilson", "lowest"], atol=1e-6)


def test_relative_variances_tend_to_those_of_the_delta_method():
    p = np.array([0.2, 0.35, 0.5])
    found = relative_variance(4000, p, ["raw", "log", "logit", "arcsine", "double-arcsine"])
    assert_allclose(found["raw"], 4 * p * (1 - p), rtol=1e-10)  # log-gamma of 4,000
    assert_allclose(found["log"], (1 - p) / p, rtol=0.01)
    assert_allclose(found["logit"], 0.25 / (p * (1 - p)), rtol=0.01)
    assert_allclose(found[["arcsine", "double-arcsine"]], 1.0, rtol=0.01)


def test_the_size_taken_decides_what_a_double_arcsine_is_turned_back_to():
    # one large study with one event in a thousand among small ones: no size, no sense
    data = {"events": [0, 0, 1, 0, 20], "n": [10, 12, 15, 9, 20_000], "model": "common"}
    fit = pool(**data, measure="double-arcsine")
    table = back_transforms(fit, {"all": 20_046})
    assert fit.estimate == table.loc["harmonic mean", "estimate"] == 0.0
    assert tuple(fit.ci) == (0.0, 0.0)
    other = pool(**data, measure="double-arcsine", back_transform="inverse-variance")
    assert_allclose(table.loc["inverse of the variance", "estimate"], other.estimate)
    assert 0.0008 < table.loc["all", "estimate"] < 0.0012


def test_what_has_no_meaning_is_refused():
    with pytest.raises(MetaAnalysisError, match="whole number"):
        exact_coverage(0, [0.1])
    with pytest.raises(MetaAnalysisError, match="between 0 and 1"):
        exact_coverage(10, [0.0, 0.1])
    with pytest.raises(UnsupportedError, match="Wilson"):
        one_interval("Jeffreys", 1, 10)
    with pytest.raises(UnsupportedError, match="not a proportion"):
        relative_variance(10, [0.1], ["log-rate"])
    with pytest.raises(UnsupportedError, match="double-arcsine"):
        back_transforms(pool(events=[1, 2], n=[10, 20]))
