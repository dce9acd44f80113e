"""Every method has a second, independent computation: brute force, integration, statsmodels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from densities import binomial, normal
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples
from quadratic_forms import quadratic_sf
from scipy import integrate, optimize, stats

from helpers.engine.normal.intervals import first, henmi_copas_limits
from helpers.engine.normal.inverse_variance import fit_inverse_variance
from helpers.engine.normal.tau2 import estimate_tau2, quadratic_form_variance
from helpers.engine.normal.tau2_intervals import generalised_q_limits
from helpers.engine.normal.weighted import moments, prepare
from helpers.engine.roots import bracketed_root
from helpers.models.pooling import pool, pool_effects

RNG = np.random.default_rng(20)
Y = RNG.normal(0.2, 0.5, 9)
V = RNG.uniform(0.01, 0.3, 9)


def projection(v: np.ndarray, x: np.ndarray) -> np.ndarray:
    w = np.diag(1.0 / v)
    return w - w @ x @ np.linalg.inv(x.T @ w @ x) @ x.T @ w


def multivariate_loglik(y: np.ndarray, v: np.ndarray, x: np.ndarray, restricted: bool) -> float:
    """From the multivariate normal density; the restricted one from error contrasts."""
    if not restricted:
        w = 1.0 / v
        beta = np.linalg.solve(x.T @ (w[:, None] * x), x.T @ (w * y))
        return float(stats.norm.logpdf(y, x @ beta, np.sqrt(v)).sum())
    basis = np.linalg.qr(x, mode="complete")[0][:, x.shape[1] :]
    return float(stats.multivariate_normal.logpdf(basis.T @ y, cov=basis.T @ np.diag(v) @ basis))


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_moments_agree_with_their_matrix_definitions(columns: int) -> None:
    x = np.column_stack([np.ones(9), RNG.normal(size=9), RNG.normal(size=9)])[:, :columns]
    tau2 = 0.07
    p = projection(V + tau2, x)
    for design in [x] if columns > 1 else [None, x]:
        m = moments(prepare(Y, V, design=design), np.array([tau2]))
        assert m.rss[0] == pytest.approx(Y @ p @ Y, rel=1e-11)
        assert m.trace_p[0] == pytest.approx(np.trace(p), rel=1e-11)
        assert m.trace_pp[0] == pytest.approx(np.trace(p @ p), rel=1e-11)
        assert m.y_pp_y[0] == pytest.approx(Y @ p @ p @ Y, rel=1e-11)
        assert m.y_ppp_y[0] == pytest.approx(Y @ p @ p @ p @ Y, rel=1e-10)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("columns", [1, 2])
def test_likelihoods_agree_with_the_multivariate_normal_density(
    restricted: bool, columns: int
) -> None:
    from helpers.engine.normal.likelihood import log_likelihood

    x = np.column_stack([np.ones(9), RNG.normal(size=9)])[:, :columns]
    batch = prepare(Y, V, design=x)
    ours = log_likelihood(batch, moments(batch, np.array([0.11])), restricted=restricted)
    theirs = multivariate_loglik(Y, V + 0.11, x, restricted)
    assert ours[0] == pytest.approx(theirs, rel=1e-11)


@st.composite
def small_sets(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Few studies of very different precision, where local maxima are common."""
    k = draw(st.integers(2, 5))
    y = [draw(st.floats(-3, 3)) for _ in range(k)]
    v = [10.0 ** draw(st.floats(-4, 1)) for _ in range(k)]
    return np.array(y), np.array(v)


@pytest.mark.parametrize("method", ["ML", "REML"])
@examples(150)
@given(data=small_sets())
def test_no_value_on_a_fine_grid_is_more_likely_than_the_maximum(
    method: str, data: tuple[np.ndarray, np.ndarray]
) -> None:
    y, v = data
    grid = np.concatenate([[0.0], np.geomspace(1e-8, 100.0, 3000)])
    w = 1.0 / (v + grid[:, None])
    mu = (w @ y) / w.sum(axis=1)
    rss = (w * (y - mu[:, None]) ** 2).sum(axis=1)
    ll = 0.5 * (np.log(w).sum(axis=1) - rss)
    if method == "REML":
        ll = ll - 0.5 * np.log(w.sum(axis=1))
    fit = estimate_tau2(prepare(y, v), method)
    t = float(fit.tau2[0])
    w1 = 1.0 / (v + t)
    mu1 = w1 @ y / w1.sum()
    best = 0.5 * (np.log(w1).sum() - w1 @ (y - mu1) ** 2)
    best -= 0.5 * np.log(w1.sum()) if method == "REML" else 0.0
    assert best >= ll.max() - 1e-9
    assert fit.converged[0]
    assert fit.scan is not None
    assert fit.scan.slack[0] >= -1e-9


def test_a_likelihood_with_two_maxima_returns_the_higher_and_says_so() -> None:
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(4000):
        y, v = rng.normal(0, 1, 3), 10.0 ** rng.uniform(-4, 1, 3)
        scan = estimate_tau2(prepare(y, v), "REML").scan
        assert scan is not None
        if scan.maxima[0] < 2:
            continue
        found += 1
        fit = pool_effects(y, v)
        assert "several-maxima" in [c.code for c in fit.cautions]
        assert scan.gap[0] >= 0
    assert found >= 3


def test_moment_estimators_solve_their_moment_equation() -> None:
    x = np.ones((9, 1))
    for method, weights in (("DL", 1 / V), ("HE", np.ones(9))):
        tau2 = float(estimate_tau2(prepare(Y, V), method).tau2[0])
        a = np.diag(weights)
        p = a - a @ x @ np.linalg.inv(x.T @ a @ x) @ x.T @ a
        assert Y @ p @ Y == pytest.approx(np.trace(p @ np.diag(V + tau2)), rel=1e-11)
    for method, target in (("PM", 8.0), ("EB", 8.0), ("PMM", stats.chi2.ppf(0.5, 8))):
        tau2 = float(estimate_tau2(prepare(Y, V), method).tau2[0])
        assert Y @ projection(V + tau2, x) @ Y == pytest.approx(target, rel=1e-10)


def test_two_step_estimators_use_the_weights_of_the_first_step() -> None:
    x = np.ones((9, 1))
    for method, before in (("DL2", "DL"), ("HE2", "HE")):
        start = float(estimate_tau2(prepare(Y, V), before).tau2[0])
        a = np.diag(1 / (V + start))
        p = a - a @ x @ np.linalg.inv(x.T @ a @ x) @ x.T @ a
        expected = (Y @ p @ Y - np.trace(p @ np.diag(V))) / np.trace(p)
        assert estimate_tau2(prepare(Y, V), method).tau2[0] == pytest.approx(expected, rel=1e-10)


def test_variance_of_a_quadratic_form_agrees_with_its_trace() -> None:
    x = np.column_stack([np.ones(9), RNG.normal(size=9)])
    s = np.diag(V + 0.2)
    for columns in (1, 2):
        xs = x[:, :columns]
        batch = prepare(Y, V, design=None if columns == 1 else xs)
        for start in (0.0, 0.05, 1.5):
            a = np.diag(1 / (V + start))
            p = a - a @ xs @ np.linalg.inv(xs.T @ a @ xs) @ xs.T @ a
            m = moments(batch, np.array([start]))
            ours = quadratic_form_variance(m, batch.k - columns, np.array([0.2 - start]))
            assert ours[0] == pytest.approx(2 * np.trace(p @ s @ p @ s), rel=1e-10)
        p, alike = np.eye(9) - xs @ np.linalg.inv(xs.T @ xs) @ xs.T, batch.unweighted()
        assert alike.variance(np.array([0.2]))[0] == pytest.approx(2 * np.trace(p @ s @ p @ s))
        assert alike.rss[0] == pytest.approx(Y @ p @ Y, rel=1e-11)
        assert alike.trace_pv[0] == pytest.approx(np.trace(p @ np.diag(V)), rel=1e-11)
        assert alike.trace_p[0] == pytest.approx(9 - columns)


@pytest.mark.parametrize("method", ["DL", "DL2", "HE", "HE2", "HS", "HSk", "SJ"])
def test_standard_errors_of_moment_estimators_agree_with_traces(method: str) -> None:
    """The square root of 2 tr(PSPS), over the slope, with matrices."""
    fit = estimate_tau2(prepare(Y, V), method)
    tau2, one = float(fit.tau2[0]), np.ones((9, 1))
    start = {
        "DL2": float(estimate_tau2(prepare(Y, V), "DL").tau2[0]),
        "HE2": float(estimate_tau2(prepare(Y, V), "HE").tau2[0]),
        "SJ": float(np.var(Y)),
    }.get(method, 0.0)
    a = np.eye(9) if method == "HE" else np.diag(1 / (V + start))
    p = a - a @ one @ np.linalg.inv(one.T @ a @ one) @ one.T @ a
    slope = {"HS": (1 / V).sum(), "HSk": (1 / V).sum() * 8 / 9, "SJ": 8 / np.var(Y)}
    s = np.diag(V + tau2)
    expected = np.sqrt(2 * np.trace(p @ s @ p @ s)) / slope.get(method, np.trace(p))
    assert tau2 > 0
    assert fit.se[0] == pytest.approx(expected, rel=1e-10)


def test_one_study_that_outweighs_all_others_costs_no_digits() -> None:
    y, v = [0.5, 0.25, 1.0, 0.125], [2.0**-60, 0.5, 0.25, 1.0]
    w = [1 / Fraction(value) for value in v]
    total = sum(w)
    mean = sum(a * Fraction(b) for a, b in zip(w, y, strict=True)) / total
    q = sum(a * (Fraction(b) - mean) ** 2 for a, b in zip(w, y, strict=True))
    trace = total - sum(a * a for a in w) / total
    trace_pp = sum(a * a for a in w) - 2 * sum(a**3 for a in w) / total
    trace_pp += (sum(a * a for a in w) / total) ** 2
    y_pp_y = sum((a * (Fraction(b) - mean)) ** 2 for a, b in zip(w, y, strict=True))
    m = moments(prepare(y, v), np.zeros(1))
    assert m.rss[0] == pytest.approx(float(q), rel=1e-13)
    assert m.trace_p[0] == pytest.approx(float(trace), rel=1e-13)
    assert m.trace_pp[0] == pytest.approx(float(trace_pp), rel=1e-13)
    assert m.y_pp_y[0] == pytest.approx(float(y_pp_y), rel=1e-13)
    fit = fit_inverse_variance(y, v, method="DL")
    assert fit.tau2.tau2[0] == pytest.approx(float((q - 3) / trace if q > 3 else 0), rel=1e-12)


def test_dersimonian_laird_agrees_with_statsmodels() -> None:
    from statsmodels.stats.meta_analysis import combine_effects

    for seed in range(20):
        rng = np.random.default_rng(seed)
        y, v = rng.normal(0, 0.7, 8), rng.uniform(0.01, 0.2, 8)
        theirs = combine_effects(y, v, method_re="dl")
        fit = pool_effects(y, v, tau2_method="DL", ci_method="wald")
        common = pool_effects(y, v, model="common")
        assert fit.tau2 == pytest.approx(max(0.0, theirs.tau2), rel=1e-10)
        assert common.mu == pytest.approx(theirs.mean_effect_fe, rel=1e-12)
        assert pytest.approx(theirs.q, rel=1e-11) == fit.heterogeneity.Q
        if theirs.tau2 > 0:
            assert fit.mu == pytest.approx(theirs.mean_effect_re, rel=1e-12)
            assert fit.se == pytest.approx(theirs.sd_eff_w_re, rel=1e-12)
            scaled = pool_effects(y, v, tau2_method="DL", ci_method="knapp-hartung")
            assert scaled.se == pytest.approx(theirs.sd_eff_w_re_hksj, rel=1e-12)


def test_paule_mandel_agrees_with_statsmodels() -> None:
    from statsmodels.stats.meta_analysis import combine_effects

    theirs = combine_effects(Y, V, method_re="iterated", atol=1e-12)
    assert pool_effects(Y, V, tau2_method="PM").tau2 == pytest.approx(theirs.tau2, rel=1e-6)


def test_knapp_hartung_is_weighted_least_squares() -> None:
    import statsmodels.api as sm

    fit = pool_effects(Y, V, tau2_method="REML", ci_method="knapp-hartung")
    wls = sm.WLS(Y, np.ones(9), weights=1 / (V + fit.tau2)).fit()
    assert fit.mu == pytest.approx(wls.params[0], rel=1e-12)
    assert fit.se == pytest.approx(wls.bse[0], rel=1e-12)
    assert list(fit.ci) == pytest.approx(wls.conf_int()[0], rel=1e-10)
    test = fit.effect_test()
    assert (test.statistic, test.p) == pytest.approx((wls.tvalues[0], wls.pvalues[0]), rel=1e-9)


def test_common_effect_likelihood_is_a_generalised_linear_model() -> None:
    import statsmodels.api as sm

    x, n = np.array([3, 8, 0, 5]), np.array([40, 60, 20, 90])
    fit = pool(events=x, n=n, model="common", method="likelihood")
    glm = sm.GLM(np.column_stack([x, n - x]), np.ones(4), family=sm.families.Binomial())
    done = glm.fit(tol=1e-14)
    assert fit.mu == pytest.approx(done.params[0], rel=1e-10)
    assert fit.se == pytest.approx(done.bse[0], rel=1e-8)
    assert fit.loglik == pytest.approx(done.llf, rel=1e-10)
    assert fit.heterogeneity.Q_lrt == pytest.approx(done.deviance, rel=1e-9)


def test_glmm_likelihood_is_the_integral_at_the_estimate_and_smaller_around_it() -> None:
    x, n = np.array([3, 8, 0, 5, 21]), np.array([40, 60, 20, 90, 100])
    fit = pool(events=x, n=n, model="glmm", quad_points=60)

    def loglik(mu: float, tau: float) -> float:
        total = 0.0
        for a, b in zip(x, n, strict=True):
            value, _ = integrate.quad(
                lambda u, a=a, b=b: binomial(a, b, mu + tau * u) * normal(u),
                -12,
                12,
                epsabs=0,
                epsrel=1e-11,
            )
            total += np.log(value)
        return total

    tau = fit.tau2**0.5
    assert fit.loglik == pytest.approx(loglik(fit.mu, tau), rel=1e-9)
    for d_mu, d_tau in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)):
        assert loglik(fit.mu + d_mu, tau + d_tau) < fit.loglik


def test_profile_interval_for_mu_agrees_with_a_direct_search() -> None:
    fit = pool_effects(Y, V, tau2_method="ML", ci_method="profile")

    def height(mu: float) -> float:
        def lost(t: float) -> float:
            return -stats.norm.logpdf(Y, mu, np.sqrt(V + np.exp(t))).sum()

        inner = [optimize.minimize_scalar(lost, bounds=(a, a + 4)).fun for a in (-16, -8, -4, -1)]
        return -min(*inner, -stats.norm.logpdf(Y, mu, np.sqrt(V)).sum())

    threshold = height(fit.mu) - 0.5 * stats.chi2.ppf(0.95, 1)
    for limit in fit.conf_int(scale="model"):
        assert height(limit) == pytest.approx(threshold, abs=1e-6)


def test_profile_interval_for_tau2_agrees_with_a_direct_search() -> None:
    x = np.ones((9, 1))
    for method, restricted in (("ML", False), ("REML", True)):
        fit = pool_effects(Y, V, tau2_method=method, ci_method="wald")
        best = multivariate_loglik(Y, V + fit.tau2, x, restricted)
        low, high = fit.tau2_ci("profile")
        drop = 0.5 * stats.chi2.ppf(0.95, 1)
        at_high = multivariate_loglik(Y, V + high, x, restricted)
        assert at_high == pytest.approx(best - drop, abs=1e-9)
        if low > 0:
            at_low = multivariate_loglik(Y, V + low, x, restricted)
            assert at_low == pytest.approx(best - drop, abs=1e-9)


def test_q_profile_limits_give_chi_squared_quantiles() -> None:
    x = np.ones((9, 1))
    low, high = pool_effects(Y, V).tau2_ci("q-profile", level=0.9)
    assert Y @ projection(V + low, x) @ Y == pytest.approx(stats.chi2.ppf(0.95, 8), rel=1e-10)
    assert Y @ projection(V + high, x) @ Y == pytest.approx(stats.chi2.ppf(0.05, 8), rel=1e-10)


@pytest.mark.parametrize("df", [1, 2, 5, 51])
@pytest.mark.parametrize("q", [1e-3, 0.3, 2.0, 20.0, 120.0])
def test_equal_coefficients_give_the_chi_squared_distribution(df: int, q: float) -> None:
    ones, at = np.full((1, df), 0.5), np.array([0.5 * q])
    assert quadratic_sf(ones, at)[0] == pytest.approx(stats.chi2.sf(q, df), rel=1e-11)


@given(
    lambdas=st.lists(st.floats(1e-4, 1e3), min_size=2, max_size=5, unique=True),
    q=st.floats(1e-3, 1e4),
)
@examples(100)
def test_pairs_of_coefficients_give_a_mixture_of_exponentials(
    lambdas: list[float], q: float
) -> None:
    # Two equal coefficients make an exponential variable; their sums have a closed form.
    lam = np.array(sorted(lambdas))
    if (lam[1:] / lam[:-1]).min() < 1.5:
        return
    weights = np.array([np.prod([a / (a - b) for b in lam if b != a]) for a in lam])
    exact = float(weights @ np.exp(-q / (2 * lam)))
    ours = float(quadratic_sf(np.repeat(lam, 2)[None], np.array([q]))[0])
    assert ours == pytest.approx(exact, rel=1e-9, abs=1e-11 * np.abs(weights).max())


def generalised_q_eigenvalues(v: np.ndarray, a: np.ndarray, tau2: np.ndarray) -> np.ndarray:
    """Coefficients of Q with fixed weights a, by their definition, for each tau2."""
    matrix = np.diag(a) - np.outer(a, a) / a.sum()
    root = np.sqrt(v + np.atleast_1d(tau2)[:, None])
    return np.linalg.eigvalsh(root[:, :, None] * matrix * root[:, None, :])[:, 1:]


def test_generalised_q_limits_agree_with_imhof_integration() -> None:
    for weights, a in (("inverse-variance", 1 / V), ("inverse-se", V**-0.5), ("equal", V**0)):
        q = float(a @ (Y - a @ Y / a.sum()) ** 2)
        limits = first(generalised_q_limits(prepare(Y, V), 0.95, weights=weights))
        for limit, target in zip(limits, (0.025, 0.975), strict=True):
            if limit == 0.0:
                continue
            lam = generalised_q_eigenvalues(V, a, np.array([limit]))[0]

            def integrand(u: float, lam: np.ndarray = lam, q: float = q) -> float:
                theta = 0.5 * np.arctan(lam * u).sum() - 0.5 * q * u
                return np.sin(theta) / (u * np.prod((1 + (lam * u) ** 2) ** 0.25))

            value, _ = integrate.quad(integrand, 1e-12, np.inf, limit=2000, epsabs=1e-11)
            assert 0.5 + value / np.pi == pytest.approx(target, abs=1e-7)


def test_henmi_copas_quantile_agrees_with_adaptive_integration() -> None:
    w = 1 / V
    w1, w2 = w.sum(), (w**2).sum()
    tau2 = pool_effects(Y, V, tau2_method="DL").tau2
    low, high = first(henmi_copas_limits(prepare(Y, V), 0.95))
    sd = np.sqrt(1 + tau2 * w2 / w1)
    t = 0.5 * (high - low) * np.sqrt(w1) / sd
    a = np.diag(w) - np.outer(w, w) / w1
    total = np.diag(V + tau2)
    u = w / np.sqrt(w1)
    slope = total @ u / (u @ total @ u)
    conditional = total - np.outer(total @ u, total @ u) / (u @ total @ u)

    def inside(r: float) -> float:
        mean = np.trace(a @ conditional) + r**2 * slope @ a @ slope
        var = 2 * np.trace(a @ conditional @ a @ conditional)
        var += 4 * r**2 * slope @ a @ conditional @ a @ slope
        limit = 8 + (w1**2 / w2 - 1) * (r**2 / t**2 - 1)
        return stats.gamma.cdf(limit, mean**2 / var, scale=var / mean) * stats.norm.pdf(r, 0, sd)

    miss, _ = integrate.quad(inside, t, 40 * sd, epsabs=1e-12, limit=500)
    assert 2 * miss == pytest.approx(0.05, abs=1e-9)


def test_bootstrap_prediction_agrees_with_direct_sampling() -> None:
    fit = pool_effects(Y, V)
    ours = fit.prediction_interval("bootstrap", scale="model", draws=40_000, seed=3)
    rng = np.random.default_rng(11)
    # The confidence distribution of tau2, sampled by solving P(Q >= q; tau2) = u for each draw.
    a = 1 / V
    q = float(a @ (Y - a @ Y / a.sum()) ** 2)
    u = rng.random(2000)

    def gap(tau2: np.ndarray) -> np.ndarray:
        return quadratic_sf(generalised_q_eigenvalues(V, a, tau2), np.full(tau2.shape, q)) - u

    at_zero = gap(np.zeros(2000)) >= 0
    high = np.full(2000, 1e4)
    low = np.where(at_zero, high, 0.0)
    tau2 = np.where(
        at_zero, 0.0, bracketed_root(lambda t: np.where(at_zero, 0.0, gap(t)), low, high)
    )
    w = 1 / (V + tau2[:, None])
    mu = (w @ Y) / w.sum(axis=1)
    spread = np.sqrt((w * (Y - mu[:, None]) ** 2).sum(axis=1) / 8 / w.sum(axis=1))
    draws = [
        mu + np.sqrt(tau2) * rng.standard_normal(2000) - spread * rng.standard_t(8, 2000)
        for _ in range(50)
    ]
    theirs = np.quantile(np.concatenate(draws), [0.025, 0.975])
    assert list(ours) == pytest.approx(theirs, abs=0.06 * (ours.upper - ours.lower))


def test_the_bootstrap_is_reproducible() -> None:
    fit = pool_effects(Y, V)
    first = fit.prediction_interval("bootstrap", draws=2000)
    assert fit.prediction_interval("bootstrap", draws=2000) == first
    assert fit.prediction_interval("bootstrap", draws=2000, seed=2) != first


def test_roots_agree_with_brent() -> None:
    rng = np.random.default_rng(3)
    c = rng.uniform(0.1, 50, 200)
    ours = bracketed_root(lambda x: np.expm1(x) - c, np.zeros(200), np.full(200, 60.0))
    np.testing.assert_allclose(ours, np.log1p(c), rtol=1e-13)
