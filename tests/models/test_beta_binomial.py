"""The beta-binomial model through its public call."""

from __future__ import annotations

import json

import numpy as np
import pytest
from densities import log_beta_binomial
from scipy import optimize, special, stats

from helpers import load_cohorts, pool
from helpers.errors import ConvergenceError, MetaAnalysisError, UnsupportedError
from helpers.models.beta_binomial import pool_beta_binomial

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}


@pytest.fixture(scope="module")
def fit():
    return pool_beta_binomial(load_cohorts(), **COLUMNS)


def test_the_maximum_is_that_of_a_general_optimiser_on_scipys_density(fit):
    data = load_cohorts()
    x, n = data["nonrelapse_deaths"].to_numpy(), data["patients"].to_numpy()

    def minus(theta):
        mean, rho = 1 / (1 + np.exp(-theta))
        size = 1 / rho - 1
        return -log_beta_binomial(x, n, mean * size, (1 - mean) * size).sum()

    best = optimize.minimize(minus, [-2.5, -3.5], method="Nelder-Mead", tol=1e-10)
    assert fit.loglik == pytest.approx(-best.fun, rel=1e-10)
    assert fit.mu == pytest.approx(best.x[0], abs=1e-5)
    assert fit.rho == pytest.approx(1 / (1 + np.exp(-best.x[1])), rel=1e-4)


def test_the_prediction_interval_adds_the_squares_of_both_uncertainties(fit):
    size = 1 / fit.rho - 1
    beta = stats.beta(fit.estimate * size, (1 - fit.estimate) * size)
    for level in (0.5, 0.8, 0.95):
        tail = 0.5 * (1 - level)
        for limit, share in zip(fit.prediction_interval(level), (tail, 1 - tail), strict=True):
            spread = special.logit(beta.ppf(share)) - fit.mu
            mean = stats.norm.ppf(share) * fit.se
            assert (special.logit(limit) - fit.mu) ** 2 == pytest.approx(spread**2 + mean**2)


def test_little_correlation_leaves_the_interval_of_the_mean():
    fit = pool_beta_binomial(events=[8, 9, 28, 9], n=[50, 100, 200, 110])
    assert 0 < fit.rho < 0.01
    low, high = fit.prediction_interval()
    assert low <= fit.ci.lower < fit.ci.upper <= high


def test_the_mean_lies_above_the_median_of_the_glmm(fit):
    glmm = pool(load_cohorts(), **COLUMNS, model="glmm")
    assert fit.estimate > glmm.estimate
    assert fit.ci.lower < fit.estimate < fit.ci.upper
    assert fit.heterogeneity_p < 1e-6
    # two models of the same counts with the same number of parameters: neither is far off
    assert abs(fit.loglik - glmm.loglik) < 2.5


def test_homogeneous_counts_stand_at_the_boundary_and_equal_the_binomial():
    fit = pool_beta_binomial(events=[5, 10, 20], n=[50, 100, 200])
    assert fit.boundary
    assert fit.rho == 0
    assert fit.estimate == pytest.approx(35 / 350, rel=1e-12)
    assert fit.heterogeneity_p == 1
    with pytest.raises(UnsupportedError, match="nothing to predict"):
        fit.prediction_interval()


def test_excluded_studies_stay_and_impossible_data_are_refused():
    fit = pool_beta_binomial(events=[3, None, 16, 4], n=[40, 60, 50, 70])
    assert fit.k == 3
    assert fit.data.reason[1]
    with pytest.raises(MetaAnalysisError, match="at least 2 studies"):
        pool_beta_binomial(events=[3], n=[40])
    with pytest.raises(MetaAnalysisError):
        pool_beta_binomial(events=[50, 2], n=[40, 10])
    # exact limits for 0 of 70: 1 - 0.025^(1/70) = 5.13%, mirrored for 70 of 70
    with pytest.raises(ConvergenceError, match=r"pool\(events.* 0 of 70 .* 0\.0 to 5\.1"):
        pool_beta_binomial(events=[0, 0, 0], n=[40, 10, 20])
    with pytest.raises(ConvergenceError, match=r"pool\(events.* 70 of 70 .* 94\.9 to 100\.0"):
        pool_beta_binomial(events=[40, 10, 20], n=[40, 10, 20])
    with pytest.raises(UnsupportedError, match="level"):
        pool_beta_binomial(events=[3, 5], n=[40, 10], level=95)


def test_views_are_plain_and_name_their_sources(fit):
    assert json.loads(json.dumps(fit.to_dict()))["estimate"] == fit.estimate
    assert "beta-binomial" in str(fit.methods())
    assert len(fit.methods().references) == 2


def test_what_is_asked_afterwards_goes_through_the_model() -> None:
    x, n = [3, 0, 8, 12, 2, 7], [40, 25, 60, 55, 48, 66]
    fit = pool_beta_binomial(events=x, n=n)
    steps = fit.cumulative()
    assert steps["k"].tolist() == [1, 2, 3, 4, 5, 6]
    assert steps["estimate"].iloc[-1] == pytest.approx(fit.estimate, rel=1e-9)
    assert steps["rho"].iloc[-1] == pytest.approx(fit.rho, rel=1e-8)
    four = pool_beta_binomial(events=x[:4], n=n[:4])
    assert steps["ci_upper"].iloc[3] == pytest.approx(four.ci.upper, rel=1e-8)
    assert {"tau2", "I2", "H2"}.isdisjoint(steps.columns)
    drawn = fit.bootstrap(300, seed=3)
    low, high = drawn.conf_int()
    assert low < fit.estimate < high
    assert drawn.drawn["mu"].std() == pytest.approx(fit.se, rel=0.4)
    with pytest.raises(UnsupportedError, match="it has rho"):
        drawn.conf_int("tau2")
    again = fit.bootstrap(40, kind="nonparametric", seed=3)
    assert again.quantities == ("mu",)
    assert fit.weights.sum() == pytest.approx(100.0)


def test_draws_have_the_moments_of_the_beta_binomial_distribution() -> None:
    x, n = [3, 0, 8, 12], np.array([40, 25, 60, 55])
    model = pool_beta_binomial(events=x, n=n).core
    drawn = model.simulate(-1.5, 0.1, np.random.default_rng(4), 20_000).events
    assert drawn is not None
    p = 1 / (1 + np.exp(1.5))
    np.testing.assert_allclose(drawn.mean(axis=0), n * p, rtol=0.02)
    np.testing.assert_allclose(drawn.var(axis=0), n * p * (1 - p) * (1 + (n - 1) * 0.1), rtol=0.05)
    same = model.simulate(-1.5, 0.0, np.random.default_rng(4), 20_000).events
    np.testing.assert_allclose(same.var(axis=0), n * p * (1 - p), rtol=0.05)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_likelihood_falls_by_half_the_quantile_at_the_limits_of_the_profile(level):
    x, n = np.array([3, 0, 8, 12, 2, 1]), np.array([40, 25, 60, 55, 48, 70])
    fit = pool_beta_binomial(events=x, n=n)

    def highest(mean):
        def minus(logit):
            rho = special.expit(logit)
            size = 1.0 / rho - 1.0
            return -log_beta_binomial(x, n, mean * size, (1.0 - mean) * size).sum()

        found = optimize.minimize_scalar(minus, bounds=(-9.0, 2.0), options={"xatol": 1e-10})
        return -found.fun

    for limit in fit.mean_conf_int("profile", level=level):
        fall = 2.0 * (fit.loglik - highest(limit))
        assert fall == pytest.approx(stats.chi2.ppf(level, 1), rel=1e-7)
