"""Numbers of the models that readers see, each beside a computation that shares no code with it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from densities import binomial, normal
from scipy import integrate, optimize, stats
from scipy.special import expit

from helpers import (
    meta_regression,
    pool,
    pool_beta_binomial,
    pool_multilevel,
    posterior,
    subgroups,
)
from helpers.models.bayes import rank_probabilities

X = np.array([1, 2, 9, 12, 30, 8, 5, 21, 3, 14], dtype=float)
N = np.array([20, 60, 90, 200, 220, 150, 90, 120, 75, 110], dtype=float)
GROUP = np.array(list("aabbaabbab"))


def maximum(log_likelihood, start) -> tuple[np.ndarray, float]:
    """Where a function is highest, and how high, without a derivative."""
    found = optimize.minimize(
        lambda theta: -log_likelihood(theta), start, method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 10_000, "maxfev": 10_000},
    )  # fmt: skip
    return found.x, -found.fun


def curvature(log_likelihood, at: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Minus the matrix of second differences."""
    p = len(at)
    found = np.empty((p, p))
    for i, j in itertools.product(range(p), repeat=2):
        e, f = np.eye(p)[i] * step, np.eye(p)[j] * step
        ends = [(e + f, 1), (e - f, -1), (f - e, -1), (-e - f, 1)]
        value = sum(sign * log_likelihood(at + move) for move, sign in ends)
        found[i, j] = -value / (4 * step[i] * step[j])
    return found


def logits(x: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.log(x / (n - x)), 1 / x + 1 / (n - x)


def marginal(mu: float, tau: float) -> float:
    """Log-likelihood of the counts with normal logits, by adaptive quadrature."""

    def one(x: float, n: float) -> float:
        def height(u: float) -> float:
            return binomial(x, n, mu + tau * u) * normal(u)

        return integrate.quad(height, -9, 9, epsabs=0, epsrel=1e-11, limit=200)[0]

    return sum(math.log(one(x, n)) for x, n in zip(X, N, strict=True))


def test_shrinkage_of_the_glmm_is_the_share_of_tau2_that_the_counts_leave() -> None:
    fit = pool(events=X, n=N, model="glmm")
    tau = math.sqrt(fit.tau2)
    left = []
    for x, n in zip(X, N, strict=True):
        u = np.linspace(-10, 10, 8001)
        weight = stats.binom.pmf(x, n, expit(fit.mu + tau * u)) * stats.norm.pdf(u)
        mean = np.average(u, weights=weight)
        left.append(100 * np.average((u - mean) ** 2, weights=weight))
    table = fit.shrunken_estimates()
    np.testing.assert_allclose(table["shrinkage"], left, rtol=1e-7)
    z = stats.norm.ppf(0.975)
    low, high = (expit(table["mu"] + sign * z * table["se"]) for sign in (-1, 1))
    np.testing.assert_allclose(table["ci_lower"], low, rtol=1e-12)
    np.testing.assert_allclose(table["ci_upper"], high, rtol=1e-12)


@pytest.mark.parametrize("model", ["random", "common"])
def test_shrinkage_by_inverse_variance_is_the_share_of_a_study_s_own_variance(model: str) -> None:
    fit = pool(events=X, n=N, model=model)
    _, v = logits(X, N)
    share = 100 * v / (v + fit.tau2) if model == "random" else np.full(len(X), 100.0)
    np.testing.assert_allclose(fit.shrunken_estimates()["shrinkage"], share, rtol=1e-12)


def test_the_test_of_tau2_in_the_glmm_is_half_a_chi_squared_tail() -> None:
    """Seven nodes in the fit, adaptive quadrature here: equal to a few digits more than shown."""
    found = pool(events=X, n=N, model="glmm", tau2_method="ML")
    none = stats.binom.logpmf(X, N, X.sum() / N.sum()).sum()
    ratio = 2 * (marginal(found.mu, math.sqrt(found.tau2)) - none)
    assert found.heterogeneity.tau2_lrt == pytest.approx(ratio, rel=1e-5)
    assert found.heterogeneity.tau2_p == pytest.approx(
        0.5 * stats.chi2.sf(found.heterogeneity.tau2_lrt, 1), rel=1e-10
    )


def test_the_beta_binomial_has_the_curvature_and_the_heights_of_scipy_s() -> None:
    fit = pool_beta_binomial(events=X, n=N)

    def height(theta: np.ndarray) -> float:
        p, rho = expit(theta[0]), theta[1]
        a, b = (share * (1 - rho) / rho for share in (p, 1 - p))
        return stats.betabinom.logpmf(X, N, a, b).sum()

    best, top = maximum(height, np.array([fit.mu + 0.1, 0.05]))
    cov = np.linalg.inv(curvature(height, best, np.array([1e-3, 1e-4])))
    assert (fit.mu, fit.rho) == pytest.approx(tuple(best), rel=1e-5)
    assert (fit.se, fit.rho_se) == pytest.approx(tuple(np.sqrt(np.diag(cov))), rel=1e-3)
    none = stats.binom.logpmf(X, N, X.sum() / N.sum()).sum()
    assert fit.loglik == pytest.approx(top, abs=1e-8)
    assert fit.loglik_binomial == pytest.approx(none, abs=1e-9)
    assert fit.heterogeneity_p == pytest.approx(0.5 * stats.chi2.sf(2 * (top - none), 1), rel=1e-6)


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_three_levels_have_the_curvature_of_the_multivariate_normal(method: str) -> None:
    rng = np.random.default_rng(3)
    cluster = np.repeat(np.arange(9), 4)
    v = rng.uniform(0.02, 0.2, cluster.size)
    y = -1 + rng.normal(0, 0.5, 9)[cluster] + rng.normal(0, np.sqrt(v + 0.1))
    fit = pool_multilevel(
        yi=y, vi=v, measure="logit", cluster=cluster, tau2_method=method, ci_method="wald"
    )
    same = cluster[:, None] == cluster

    def profile(sigma: np.ndarray, free: bool = False) -> float:
        if min(sigma) < 0:
            return -math.inf
        full = np.diag(v + sigma[1]) + sigma[0] * same
        inverse = np.linalg.inv(full)
        information = inverse.sum()
        rest = y - (inverse @ y).sum() / information
        constant = (len(y) - (0 if method == "ML" else 1)) * math.log(2 * math.pi)
        terms = constant + np.linalg.slogdet(full)[1] + rest @ inverse @ rest
        return -0.5 * (terms + (0 if method == "ML" else math.log(information)))

    best, top = maximum(profile, np.array([0.2, 0.1]))
    assert (fit.sigma2_between, fit.sigma2_within) == pytest.approx(tuple(best), rel=1e-5)
    none = max(
        -optimize.minimize_scalar(
            lambda within: -profile(np.array([0.0, within])), bounds=(0, 3), method="bounded",
            options={"xatol": 1e-12},
        ).fun, profile(np.zeros(2)),
    )  # fmt: skip
    assert fit.between_test.statistic == pytest.approx(2 * (top - none), rel=1e-6)
    row = fit.summary_frame().iloc[0]
    assert row["between_p"] == pytest.approx(0.5 * stats.chi2.sf(2 * (top - none), 1), rel=1e-6)
    mean = np.average(y, weights=1 / v)
    q = ((y - mean) ** 2 / v).sum()
    assert (row["Q"], row["Q_df"]) == pytest.approx((q, len(y) - 1))
    assert row["Q_p"] == pytest.approx(stats.chi2.sf(q, len(y) - 1), rel=1e-9)
    assert fit.correlation == pytest.approx(best[0] / best.sum(), rel=1e-5)
    # I2 against the typical sampling variance (Higgins and Thompson 2002)
    w = 1 / v
    typical = (len(y) - 1) * w.sum() / (w.sum() ** 2 - (w**2).sum())
    total = best.sum() + typical
    assert fit.I2_between == pytest.approx(100 * best[0] / total, rel=1e-5)
    assert fit.I2_within == pytest.approx(100 * best[1] / total, rel=1e-5)
    full = np.diag(v + best[1]) + best[0] * same
    assert fit.joint_covariance[0, 0] == pytest.approx(1 / np.linalg.inv(full).sum(), rel=1e-4)
    block = np.linalg.inv(curvature(profile, best, np.array([1e-4, 1e-4])))
    np.testing.assert_allclose(fit.joint_covariance[1:, 1:], block, rtol=2e-3)
    assert fit.tau2_se == pytest.approx(math.sqrt(block.sum()), rel=2e-3)


def test_both_heights_of_a_likelihood_ratio_test_are_maxima() -> None:
    result = subgroups(
        events=X, n=N, by=GROUP, model="random", tau2_method="ML", ci_method="wald"
    ).likelihood_ratio_test()  # fmt: skip
    y, v = logits(X, N)

    def best(part: np.ndarray) -> float:
        def height(theta: np.ndarray) -> float:
            if theta[1] < 0:
                return -math.inf
            return stats.norm.logpdf(y[part], theta[0], np.sqrt(v[part] + theta[1])).sum()

        return maximum(height, np.array([-2.0, 0.2]))[1]

    each = sum(best(name == GROUP) for name in "ab")
    whole = best(np.full(len(X), True))
    assert result.loglik_groups == pytest.approx(each, abs=1e-7)
    assert result.loglik_overall == pytest.approx(whole, abs=1e-7)
    assert result.p == pytest.approx(stats.chi2.sf(2 * (each - whole), 2), rel=1e-5)


def test_monte_carlo_errors_of_a_permutation_are_binomial_and_one_column_is_squared() -> None:
    data = pd.DataFrame({"x": X, "n": N, "group": GROUP, "year": np.arange(10) % 7})
    fit = meta_regression(data, "year", events="x", n="n", model="random")
    run = fit.permutation_test(199, seed=3)
    assert run.draws == 200
    # one column: the omnibus statistic is the square of that of the coefficient
    np.testing.assert_allclose(run.omnibus_statistics, run.statistics[:, 1] ** 2, rtol=1e-9)
    for p, error in [
        (run.p, run.p_mcse),
        *zip(run.coefficient_p, run.coefficient_mcse, strict=True),
        *((run.term_p[name], run.term_mcse[name]) for name in run.term_p),
    ]:
        assert 0 < p <= 1
        assert error == pytest.approx(math.sqrt(p * (1 - p) / 200))
    assert run.p == np.mean(run.omnibus_statistics >= run.omnibus_statistics[0] - 1e-9)
    assert set(run.term_p) == {"year"}


def test_inflation_of_coefficients_is_that_of_a_weighted_regression_on_the_others() -> None:
    years = np.array([0, 1, 3, 3, 4, 6, 7, 8, 8, 9.0])
    size = years + np.array([0, 1, -1, 2, 0, -2, 1, 0, 2, -1])
    data = pd.DataFrame({"x": X, "n": N, "year": years, "size": size})
    fit = meta_regression(data, "year + size", events="x", n="n", model="random")
    _, v = logits(X, N)
    w = 1 / (v + fit.tau2)

    def centred(values: np.ndarray) -> np.ndarray:
        return np.sqrt(w) * (values - np.average(values, weights=w))

    a, b = centred(years), centred(size)
    vif = 1 / (1 - (a @ b) ** 2 / ((a @ a) * (b @ b)))
    table = fit.vif()
    np.testing.assert_allclose(table.loc["year", "gvif"], vif, rtol=1e-9)
    np.testing.assert_allclose(table.loc["year", "sif"], math.sqrt(vif), rtol=1e-9)
    row = fit.summary_frame().iloc[0]
    design = np.column_stack([np.ones(10), years, size])
    y, _ = logits(X, N)
    weights = np.diag(1 / v)
    beta = np.linalg.solve(design.T @ weights @ design, design.T @ weights @ y)
    q = ((y - design @ beta) ** 2 / v).sum()
    assert (row["Q"], row["Q_df"]) == pytest.approx((q, 7))
    assert row["Q_p"] == pytest.approx(stats.chi2.sf(q, 7), rel=1e-9)
    assert (row["omnibus_df1"], row["omnibus_df2"]) == (2, 7)
    assert row["omnibus_p"] == pytest.approx(stats.f.sf(row["omnibus"], 2, 7), rel=1e-9)


def test_the_surface_under_a_ranking_is_the_mean_chance_to_be_lower() -> None:
    made = {
        name: posterior(yi=[at - 0.1, at, at + 0.2], vi=[0.1, 0.2, 0.1], measure="logit")
        for name, at in (("A", -2.0), ("B", -1.8), ("C", -1.5))
    }
    ranking = rank_probabilities(made)
    np.testing.assert_allclose(
        ranking.frame()["sucra"], ranking.pairwise().mean(axis=1), rtol=0, atol=1e-8
    )
    low, high = made["A"].mu, made["B"].mu
    grid = np.linspace(-8, 5, 20_001)
    chance = integrate.simpson(low.density(grid) * (1 - high.cdf(grid)), x=grid)
    assert ranking.pairwise().loc["A", "B"] == pytest.approx(chance, abs=1e-6)


def test_calibrated_errors_of_subgroups_are_binomial() -> None:
    result = subgroups(events=X, n=N, by=GROUP, model="random", ci_method="wald")
    for one in (result, result.with_group_tau2("common")):
        found = one.calibrated_test(99, seed=2)
        assert found.p_mcse == pytest.approx(math.sqrt(found.p * (1 - found.p) / 100), rel=0.02)
        assert one.test.p == pytest.approx(stats.chi2.sf(one.test.statistic, one.test.df), rel=1e-9)


def test_a_study_s_posterior_rate_is_its_own_likelihood_times_that_of_the_others() -> None:
    """Study by study on a grid of true logits, mean and tau, with the priors of the call."""
    made = posterior(yi=[-2.0, -1.4, -0.9], vi=[0.1, 0.05, 0.2], measure="logit")
    summary = made.studies
    rate = made.study_rate("Study 2")
    theta = made.study("Study 2")
    grid = np.linspace(-5, 2, 4001)
    density = theta.density(grid)
    assert integrate.simpson(density, x=grid) == pytest.approx(1, abs=1e-6)
    mean = integrate.simpson(density * grid, x=grid)
    assert summary.loc["Study 2", "mean"] == pytest.approx(mean, abs=1e-6)
    assert rate.median == pytest.approx(expit(theta.median), rel=1e-9)
    share = integrate.simpson(density * expit(grid), x=grid)
    assert rate.mean == pytest.approx(share, rel=1e-6)
