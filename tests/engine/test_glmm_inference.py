"""Profile intervals, tests, shrunken estimates and weights of the GLMM by second computations."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special
import scipy.stats
from densities import binomial, normal
from reference_values import PATH

from helpers.engine.counts.fit import fit_glmm
from helpers.engine.counts.inference import heterogeneity_tests
from helpers.engine.counts.kernel import gauss_hermite, posterior_nodes, study_terms
from helpers.engine.counts.profile import (
    profile_ci_mu,
    profile_ci_tau2,
    profile_loglik,
)
from helpers.engine.counts.studies import prepare
from helpers.engine.counts.weights import empirical_bayes, information_weights
from helpers.errors import MetaAnalysisError

REFERENCE = json.loads((PATH).read_text(encoding="utf-8"))
EVENTS = np.array(REFERENCE["data"]["deaths"], dtype=float)
N = np.array(REFERENCE["data"]["Patient_number"], dtype=float)
SETTING = np.array(REFERENCE["meta_regression"]["setting_plus_entity"]["X"])
CHI2 = scipy.stats.chi2.ppf(0.95, 1)


def scipy_profile(parameter: str, value: float) -> float:
    """Profile log-likelihood (relative to saturated) by scipy's bounded scalar search."""
    s, nodes = prepare("binomial", EVENTS, N), gauss_hermite(7)

    def minus(free: float) -> float:
        mu, tau = (value, free) if parameter == "mu" else (free, np.sqrt(value))
        terms = study_terms(s, np.full(52, mu), np.array(tau**2), nodes)
        return -float(terms.value.sum())

    bounds = (0.0, 3.0) if parameter == "mu" else (-5.0, 0.0)
    best = scipy.optimize.minimize_scalar(
        minus, bounds=bounds, method="bounded", options={"xatol": 1e-11}
    )
    return -float(best.fun)


@pytest.mark.parametrize("parameter", ["mu", "tau2"])
def test_profile_limits_are_where_scipy_finds_them(parameter: str) -> None:
    fit = fit_glmm(EVENTS, N)
    top = fit.loglik[0] - fit.loglik_saturated[0]
    ci = profile_ci_mu(fit) if parameter == "mu" else profile_ci_tau2(fit)
    centre = fit.beta[0, 0] if parameter == "mu" else fit.tau2[0]
    for limit, far in ((ci[0][0], 0.35), (ci[1][0], 2.0)):
        end = centre + np.sign(limit - centre) * (0.6 if parameter == "mu" else 0)
        end = end if parameter == "mu" else centre * far if limit < centre else centre * 2.5
        root = scipy.optimize.brentq(
            lambda at: 2 * (top - scipy_profile(parameter, at)) - CHI2, centre, end, xtol=1e-12
        )
        assert limit == pytest.approx(root, rel=1e-8)


def test_profile_falls_by_exactly_half_the_quantile_at_the_limits() -> None:
    for x, n, X in (
        (EVENTS, N, None),
        (EVENTS, N, SETTING),
        ([3, 0, 8, 12, 2], [40, 25, 60, 55, 48], None),
        ([10**6, 1_200_000, 900_000, 1_100_000], [10**7] * 4, None),
    ):
        fit = fit_glmm(x, n, X)
        for level in (0.5, 0.95, 0.999):
            half = scipy.stats.chi2.ppf(level, 1) / 2
            for j in range(fit.beta.shape[1]):
                ci = profile_ci_mu(fit, level, j)
                curve = profile_loglik(fit, mu=[ci[0][0], ci[1][0]], coefficient=j)
                np.testing.assert_allclose(fit.loglik[0] - curve, half, rtol=1e-9)
            ci2 = profile_ci_tau2(fit, level)
            ends = [limit[0] for limit in ci2 if 0 < limit[0] < np.inf]
            curve = profile_loglik(fit, tau2=ends)
            np.testing.assert_allclose(fit.loglik[0] - curve, half, rtol=1e-9)


def test_profile_intervals_of_a_batch_are_those_of_its_rows() -> None:
    rng = np.random.default_rng(2)
    n = rng.integers(15, 200, 12)
    x = rng.binomial(n, scipy.special.expit(-2 + 0.4 * rng.normal(size=(25, 12))))
    x[3] = 0
    fit = fit_glmm(x, n)
    mu, tau2 = profile_ci_mu(fit), profile_ci_tau2(fit)
    assert np.isnan([limit[3] for limit in (*mu, *tau2)]).all()
    for row in (0, 1, 7, 24):
        alone = fit_glmm(x[row], n)
        one = profile_ci_mu(alone)
        assert mu[0][row] == pytest.approx(one[0][0], rel=1e-9)
        assert mu[1][row] == pytest.approx(one[1][0], rel=1e-9)
        two = profile_ci_tau2(alone)
        assert tau2[0][row] == pytest.approx(two[0][0], rel=1e-8, abs=1e-12)
        assert tau2[1][row] == pytest.approx(two[1][0], rel=1e-8)


def test_profile_interval_holds_the_estimate_and_grows_with_the_level() -> None:
    rng = np.random.default_rng(4)
    n = rng.integers(10, 100, 8)
    fit = fit_glmm(rng.binomial(n, 0.2, (40, 8)), n)
    assert fit.converged.all()
    narrow, wide = profile_ci_mu(fit, 0.8), profile_ci_mu(fit, 0.95)
    assert (wide[0] < narrow[0]).all()
    assert (narrow[0] < fit.beta[:, 0]).all()
    assert (fit.beta[:, 0] < narrow[1]).all()
    assert (narrow[1] < wide[1]).all()
    narrow, wide = profile_ci_tau2(fit, 0.8), profile_ci_tau2(fit, 0.95)
    assert (wide[0] <= narrow[0]).all()
    assert (narrow[0] <= fit.tau2).all()
    assert (fit.tau2 < narrow[1]).all()
    assert (narrow[1] < wide[1]).all()
    at_zero = fit.boundary
    assert at_zero.any()
    assert (wide[0][at_zero] == 0).all()


def test_profile_of_complementary_events_mirrors() -> None:
    a, b = profile_ci_mu(fit_glmm(EVENTS, N)), profile_ci_mu(fit_glmm(N - EVENTS, N))
    assert a[0][0] == pytest.approx(-b[1][0], rel=1e-10)
    assert a[1][0] == pytest.approx(-b[0][0], rel=1e-10)


def test_profile_curve_touches_the_maximum_and_the_fit_at_zero() -> None:
    fit = fit_glmm(EVENTS, N, mask=~np.eye(52, dtype=bool)[:3])
    curve = profile_loglik(fit, tau2=[0.0, 0.2, 1.0])
    assert curve.shape == (3, 3)
    np.testing.assert_allclose(curve[:, 0], fit.loglik_tau0, rtol=1e-12)
    assert (curve <= fit.loglik[:, None] + 1e-10).all()
    for row in range(3):
        top = profile_loglik(fit, mu=[fit.beta[row, 0]])[row, 0]
        assert top == pytest.approx(fit.loglik[row], rel=1e-12)
    with pytest.raises(MetaAnalysisError, match="level"):
        profile_ci_mu(fit, 95.0)


def test_interval_of_tau2_without_an_upper_end_is_infinite() -> None:
    ci = profile_ci_tau2(fit_glmm([1, 0], [3, 2]), 0.999)
    assert ci[1][0] == np.inf


def test_posterior_moments_are_the_integrals() -> None:
    fit = fit_glmm(EVENTS, N)
    means, sds = empirical_bayes(fit)
    mu, tau = fit.beta[0, 0], fit.tau[0]
    for i in (0, 2, 9, 22, 24):

        def density(t: float, i: int = i) -> float:
            return binomial(EVENTS[i], N[i], t) * normal(t, mu, tau)

        def integral(f, i: int = i, density=density) -> float:
            return scipy.integrate.quad(
                lambda t: f(t) * density(t), -9, 4, points=[means[0, i]], epsrel=1e-12
            )[0]

        total = integral(lambda t: 1.0)
        mean = integral(lambda t: t) / total
        assert means[0, i] == pytest.approx(mean, rel=1e-9)
        sd = np.sqrt(integral(lambda t, mean=mean: (t - mean) ** 2) / total)
        assert sds[0, i] == pytest.approx(sd, rel=1e-8)


def test_shrunken_estimates_lie_between_the_study_and_the_mean() -> None:
    fit = fit_glmm(EVENTS, N)
    known = prepare("binomial", EVENTS, N), np.full(len(N), fit.beta[0, 0]), fit.tau2
    modes, sds, _, _ = posterior_nodes(*known, gauss_hermite(7))
    own = np.log((EVENTS + 1e-9) / (N - EVENTS))
    pull = (modes - fit.beta[0, 0]) / (own - fit.beta[0, 0])
    assert ((pull > 0) & (pull < 1)).all()
    assert (sds < fit.tau[0]).all()


def test_at_the_boundary_all_studies_share_one_rate() -> None:
    fit = fit_glmm([5, 10, 20], [50, 100, 200])
    means, sds = empirical_bayes(fit)
    np.testing.assert_allclose(scipy.special.expit(means), 0.1, rtol=1e-12)
    np.testing.assert_array_equal(sds, 0.0)
    np.testing.assert_allclose(information_weights(fit)[0], 100 * np.array([1, 2, 4]) / 7)


def test_masked_studies_have_no_estimate_and_no_weight() -> None:
    mask = ~np.eye(52, dtype=bool)
    fit = fit_glmm(EVENTS, N, mask=mask)
    means, _ = empirical_bayes(fit)
    assert np.isnan(np.diag(means)).all()
    assert np.isfinite(means[mask]).all()
    weights = information_weights(fit)
    np.testing.assert_array_equal(np.diag(weights), 0.0)
    np.testing.assert_allclose(weights.sum(axis=1), 100.0)
    alone = fit_glmm(EVENTS[1:], N[1:])
    np.testing.assert_allclose(weights[0, 1:], information_weights(alone)[0], rtol=1e-8)


def test_weights_are_shares_of_the_numerical_information() -> None:
    fit = fit_glmm(EVENTS, N, SETTING)
    s, nodes = prepare("binomial", EVENTS, N), gauss_hermite(7)
    eta = SETTING @ fit.beta[0]
    h = 1e-3

    def value(shift: float) -> np.ndarray:
        return study_terms(s, eta + shift, fit.tau2, nodes).value

    J = -(-value(2 * h) + 16 * value(h) - 30 * value(0.0) + 16 * value(-h) - value(-2 * h)) / (
        12 * h**2
    )
    V = np.linalg.inv(SETTING.T @ (J[:, None] * SETTING))
    for j in range(5):
        share = 100 * J * (SETTING @ V[:, j]) ** 2 / V[j, j]
        np.testing.assert_allclose(information_weights(fit, j)[0], share, rtol=1e-5, atol=1e-7)


def test_weights_of_large_studies_are_inverse_variance_weights() -> None:
    n = np.array([10**6, 3 * 10**6, 10**7])
    x = np.array([10**5, 330_000, 900_000])
    fit = fit_glmm(x, n)
    w = 1 / (n / (x * (n - x)) + fit.tau2[0])
    np.testing.assert_allclose(information_weights(fit)[0], 100 * w / w.sum(), rtol=1e-4)


def test_tests_of_heterogeneity_by_hand() -> None:
    x, n = np.array([3, 8, 12, 2]), np.array([40, 60, 55, 48])
    fit = fit_glmm(x, n)
    y, w = np.log(x / (n - x)), x * (n - x) / n
    Q = (w * (y - (w * y).sum() / w.sum()) ** 2).sum()
    p = x.sum() / n.sum()
    G = 2 * (x * np.log(x / n / p) + (n - x) * np.log((n - x) / n / (1 - p))).sum()
    test = heterogeneity_tests(fit)
    assert test.Q_wald[0] == pytest.approx(Q, rel=1e-12)
    assert test.Q_lrt[0] == pytest.approx(G, rel=1e-12)
    assert test.df[0] == 3
    assert test.p_lrt[0] == pytest.approx(scipy.stats.chi2.sf(G, 3), rel=1e-12)
    lrt = 2 * (fit.loglik[0] - fit.loglik_tau0[0])
    assert test.lrt_tau2[0] == pytest.approx(lrt, rel=1e-10)
    assert test.p_tau2[0] == pytest.approx(0.5 * scipy.stats.chi2.sf(lrt, 1), rel=1e-10)


def test_a_study_without_events_adds_to_the_likelihood_ratio_but_not_to_the_wald_test() -> None:
    x, n = np.array([3, 8, 12, 2, 0]), np.array([40, 60, 55, 48, 30])
    with_, without = fit_glmm(x, n), fit_glmm(x[:4], n[:4])
    a, b = heterogeneity_tests(with_), heterogeneity_tests(without)
    assert a.Q_wald[0] == pytest.approx(b.Q_wald[0], rel=1e-12)
    assert a.Q_lrt[0] > b.Q_lrt[0]
    assert a.df[0] == b.df[0] + 1
    assert a.df_wald[0] == b.df_wald[0] == 3


def test_boundary_gives_the_p_value_one() -> None:
    test = heterogeneity_tests(fit_glmm([5, 10, 20], [50, 100, 200]))
    assert test.lrt_tau2[0] == 0.0
    assert test.p_tau2[0] == 1.0


def test_lrt_of_tau2_follows_its_mixture_under_the_null() -> None:
    """Homogeneous data: about half of the statistics are zero, the rest chi-squared."""
    rng = np.random.default_rng(11)
    n = np.full(30, 200)
    fit = fit_glmm(rng.binomial(n, 0.15, (1500, 30)), n)
    p = heterogeneity_tests(fit).p_tau2
    assert fit.converged.all()
    # a share of boundary fits above one half is the known small-sample departure
    assert 0.48 < fit.boundary.mean() < 0.62
    rejected = (p < 0.05).mean()
    assert abs(rejected - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 1500) + 0.01
