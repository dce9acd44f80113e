"""Probability of a new study beyond a bound, and intervals of I2 and H2, by other computations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers import meta_regression, pool, pool_effects, pool_rates, subgroups
from helpers.errors import MetaAnalysisError, UnsupportedError

EVENTS = [3, 0, 8, 12, 2, 7, 1, 9, 15, 4]
N = [40, 25, 60, 55, 48, 60, 40, 50, 62, 90]
Y = np.array([0.1, 0.9, 0.5, 1.4, -0.3, 0.7, 0.2, 1.1])
V = np.array([0.05, 0.1, 0.08, 0.12, 0.06, 0.2, 0.1, 0.07])


def test_the_estimate_is_the_normal_share_beyond_the_bound() -> None:
    fit = pool_effects(Y, V)
    for bound in (-0.2, 0.4, 1.3):
        wanted = stats.norm.sf(bound, fit.mu, fit.tau2**0.5)
        above, below = fit.probability_beyond(bound), fit.probability_beyond(bound, "below")
        assert above.estimate == pytest.approx(wanted, abs=1e-12)
        assert below.estimate == pytest.approx(1 - wanted, abs=1e-12)
        assert below.ci == pytest.approx((1 - above.ci.upper, 1 - above.ci.lower), abs=1e-12)


@pytest.mark.parametrize("ci_method", ["wald", "t", "knapp-hartung"])
def test_delta_by_numerical_slopes(ci_method: str) -> None:
    fit = pool_effects(Y, V, ci_method=ci_method)
    found = fit.probability_beyond(1.0, level=0.9)
    assert (found.ci_method, found.level) == ("delta", 0.9)

    def z(mu: float, tau2: float) -> float:
        return (mu - 1.0) / tau2**0.5

    step = 1e-6
    by_mu = (z(fit.mu + step, fit.tau2) - z(fit.mu - step, fit.tau2)) / (2 * step)
    by_tau2 = (z(fit.mu, fit.tau2 + step) - z(fit.mu, fit.tau2 - step)) / (2 * step)
    se = np.hypot(by_mu * fit.se, by_tau2 * fit.tau2_se)
    q = stats.norm.ppf(0.95) if ci_method == "wald" else stats.t.ppf(0.95, len(Y) - 1)
    centre = z(fit.mu, fit.tau2)
    assert found.ci == pytest.approx(stats.norm.cdf([centre - q * se, centre + q * se]), rel=1e-6)


def glmm_loglik(mu: float | np.ndarray, tau: float | np.ndarray) -> np.ndarray:
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    t = np.asarray(mu)[..., None] + np.asarray(tau)[..., None] * nodes
    total = np.zeros(t.shape[:-1])
    for x, n in zip(EVENTS, N, strict=True):
        total += np.log(np.exp(x * t - n * np.logaddexp(0.0, t)) @ weights)
    return total


def test_delta_of_the_glmm_takes_the_covariance_of_mean_and_spread() -> None:
    fit = pool(events=EVENTS, n=N, model="glmm", ci_method="wald", quad_points=21)
    at, h = np.array([fit.mu, fit.tau2**0.5]), 1e-3
    hessian = np.empty((2, 2))
    for i in range(2):
        for j in range(2):
            moves = [
                (si * sj, at + h * (si * np.eye(2)[i] + sj * np.eye(2)[j]))
                for si in (1, -1)
                for sj in (1, -1)
            ]
            hessian[i, j] = sum(s * glmm_loglik(*x) for s, x in moves) / (4 * h * h)
    cov = np.linalg.inv(-hessian)
    bound = np.log(0.2 / 0.8)
    z = (at[0] - bound) / at[1]
    slope = np.array([1 / at[1], -z / at[1]])
    se, q = np.sqrt(slope @ cov @ slope), stats.norm.ppf(0.975)
    found = fit.probability_beyond(0.2, method="delta")
    assert found.ci == pytest.approx(stats.norm.cdf([z - q * se, z + q * se]), rel=1e-4)


def test_profile_of_the_glmm_by_a_grid_over_both_parameters() -> None:
    fit = pool(events=EVENTS, n=N, model="glmm", quad_points=21)
    found = fit.probability_beyond(0.2, level=0.8)
    assert found.ci_method == "profile"
    bound, drop = np.log(0.2 / 0.8), 0.5 * stats.chi2.ppf(0.8, 1)
    top = glmm_loglik(fit.mu, fit.tau2**0.5)
    taus, mus = np.linspace(0.2, 1.8, 61), np.linspace(-3.2, -1.2, 101)
    high = glmm_loglik(mus[None, :], taus[:, None]) > top - drop
    assert not high[[0, -1]].any()
    assert not high[:, [0, -1]].any()
    shares = stats.norm.sf(bound, mus[None, :], taus[:, None])[high]
    assert found.ci == pytest.approx((shares.min(), shares.max()), abs=0.01)
    # a grid misses the edge: the extremes over it lie inside
    assert found.ci.lower <= shares.min()
    assert found.ci.upper >= shares.max()
    below = fit.probability_beyond(0.2, "below", level=0.8)
    shares = stats.norm.cdf(bound, mus[None, :], taus[:, None])[high]
    assert below.ci == pytest.approx((shares.min(), shares.max()), abs=0.01)


def test_profile_of_normal_effects_by_a_grid_over_both_parameters() -> None:
    fit = pool_effects(Y, V, tau2_method="ML")
    found = fit.probability_beyond(1.0, method="profile")
    taus, mus = np.linspace(0, 1.8, 721)[1:], np.linspace(-0.5, 1.6, 701)

    def height(mu: np.ndarray, tau: np.ndarray) -> np.ndarray:
        sd = np.sqrt(V + tau[..., None] ** 2)
        return stats.norm.logpdf(Y, mu[..., None], sd).sum(axis=-1)

    grid = height(mus[None, :], taus[:, None])
    top = height(np.array(fit.mu), np.array(fit.tau2**0.5))
    shares = stats.norm.sf(1.0, mus[None, :], taus[:, None])[
        grid > top - 0.5 * stats.chi2.ppf(0.95, 1)
    ]
    assert found.ci == pytest.approx((shares.min(), shares.max()), abs=2e-3)


def test_profile_reaches_all_or_none_where_the_studies_may_share_one_rate() -> None:
    fit = pool(events=[4, 5, 6], n=[50, 50, 50], model="glmm")
    assert fit.tau2 == 0.0
    assert fit.probability_beyond(0.5).ci == pytest.approx((0.0, 0.0), abs=0.05)
    assert fit.probability_beyond(0.5).estimate == 0.0
    assert fit.probability_beyond(0.1).ci == (0.0, 1.0)
    assert np.isnan(fit.probability_beyond(0.1, method="delta").ci).all()


def test_the_interval_keeps_its_level_where_that_of_the_share_itself_does_not() -> None:
    rng = np.random.default_rng(20)
    k, tau, share = 20, 0.5, 0.05
    v = rng.uniform(0.05, 0.3, k)
    bound = float(stats.norm.isf(share) * tau)
    kept, naive, draws = 0, 0, 400
    for y in rng.standard_normal((draws, k)) * np.sqrt(v + tau**2):
        fit = pool_effects(y, v, ci_method="wald")
        found = fit.probability_beyond(bound)
        kept += bool(np.isnan(found.ci.lower)) or found.ci.lower <= share <= found.ci.upper
        if fit.tau2 > 0:
            z = (fit.mu - bound) / fit.tau2**0.5
            se = np.hypot(fit.se / fit.tau2**0.5, z * fit.tau2_se / (2 * fit.tau2))
            naive += abs(stats.norm.cdf(z) - share) <= 1.96 * se * stats.norm.pdf(z)
    assert kept / draws > 0.93
    assert naive / draws < 0.90


def test_rates_and_groups_have_it_in_their_own_unit() -> None:
    fit = pool_rates(events=EVENTS, n=N, follow_up=[12.0] * 10, ci_method="wald")
    wanted = stats.norm.sf(np.log(15.0), fit.mu, fit.tau2**0.5)
    assert fit.probability_beyond(15.0).estimate == pytest.approx(wanted, abs=1e-12)
    groups = subgroups(events=EVENTS, n=N, by=list("aaaaabbbbb"), group_tau2="common")
    for group in groups.groups.values():
        found = group.probability_beyond(0.1)
        wanted = stats.norm.sf(np.log(0.1 / 0.9), group.mu, group.tau2**0.5)
        assert found.estimate == pytest.approx(wanted, abs=1e-12)
        assert found.ci.lower < found.estimate < found.ci.upper


def test_what_has_no_such_probability_says_so() -> None:
    with pytest.raises(UnsupportedError, match="common effect"):
        pool_effects(Y, V, model="common").probability_beyond(0.5)
    with pytest.raises(UnsupportedError, match="at least 2 studies"):
        pool_effects([0.1], [0.1]).probability_beyond(0.5)
    with pytest.raises(UnsupportedError, match="side='over'"):
        pool_effects(Y, V).probability_beyond(0.5, "over")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="not 'REML'"):
        pool_effects(Y, V).probability_beyond(0.5, method="profile")
    with pytest.raises(MetaAnalysisError, match="expected a proportion"):
        pool(events=EVENTS, n=N).probability_beyond(10)
    with pytest.raises(UnsupportedError, match="no study has an event"):
        pool(events=[0, 0], n=[9, 9]).probability_beyond(0.1)
    groups = subgroups(yi=Y, vi=V, by=list("aaaabbbb"), group_tau2="common", tau2_method="ML")
    with pytest.raises(UnsupportedError, match="shared by all groups"):
        groups.groups["a"].probability_beyond(0.5, method="profile")


def test_a_bound_at_the_end_of_the_scale_is_beyond_all_or_none() -> None:
    fit = pool(events=EVENTS, n=N, model="random")
    assert fit.probability_beyond(0.0).ci == (1.0, 1.0)
    assert fit.probability_beyond(1.0).ci == (0.0, 0.0)


@pytest.mark.parametrize("model", ["glmm", "random"])
def test_intervals_of_i2_and_h2_are_those_of_tau2(model: str) -> None:
    fit = pool(events=EVENTS, n=N, model=model)
    low, high = fit.tau2_ci()
    zero = np.array(EVENTS) == 0
    x, n = np.where(zero, 0.5, EVENTS), np.where(zero, np.array(N) + 1.0, N)
    w = 1 / (1 / x + 1 / (n - x))
    vt = (len(N) - 1) / (w.sum() - (w**2).sum() / w.sum())
    found = fit.heterogeneity_ci()
    i2 = [100 * t / (t + vt) for t in (low, high)]
    h2 = [(t + vt) / vt for t in (low, high)]
    assert list(found.I2) == pytest.approx(i2, rel=1e-12)
    assert list(found.H2) == pytest.approx(h2, rel=1e-12)
    assert found.tau == pytest.approx([low**0.5, high**0.5], rel=1e-12)
    assert found.I2.lower < fit.heterogeneity.I2 < found.I2.upper
    row = fit.row()
    assert (row["I2_lower"], row["I2_upper"]) == found.I2
    assert list(found.frame().loc["H2"]) == list(found.H2)


def test_a_wider_level_holds_the_narrower_one() -> None:
    fit = pool_effects(Y, V)
    wide, narrow = fit.heterogeneity_ci(level=0.99), fit.heterogeneity_ci("profile", 0.8)
    assert narrow.level == 0.8
    assert wide.I2.lower < narrow.I2.lower < narrow.I2.upper < wide.I2.upper


def test_tables_are_silent_where_there_is_no_interval_of_i2() -> None:
    for fit in (
        pool_effects(Y, V, model="common"),
        pool_effects([0.1], [0.1]),
        pool_effects(Y, V, tau2=0.1),
        pool(events=[0, 0], n=[9, 9]),
        pool_effects([0.0, 0.01, 0.02], [0.1, 0.1, 0.1]),
    ):
        row = fit.row()
        assert np.isnan([row["I2_lower"], row["I2_upper"]]).all()


def test_a_regression_has_the_interval_of_its_residual_i2() -> None:
    data = pd.DataFrame({"y": Y, "v": V, "x": np.arange(8.0)})
    fit = meta_regression(data, "x", yi="y", vi="v")
    X, W = np.column_stack([np.ones(8), data["x"]]), np.diag(1 / V)
    P = W - W @ X @ np.linalg.inv(X.T @ W @ X) @ X.T @ W
    vt, tau2 = 6 / np.trace(P), fit.tau2_ci()
    row = fit.summary_frame().iloc[0]
    wanted = [100 * t / (t + vt) for t in tau2]
    assert [row["I2_lower"], row["I2_upper"]] == pytest.approx(wanted, rel=1e-9)
