"""Small-study methods against a second, independent computation of each."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import integrate, optimize, stats

from helpers.checks.bias import (
    arcsine_test,
    begg,
    egger,
    excess_significance,
    fail_safe_n,
    limit_meta_analysis,
    macaskill,
    peters,
    selection_model,
    thompson_sharp,
    trim_and_fill,
)
from helpers.checks.bias.lines import egger_batch
from helpers.checks.bias.rank import kendall_exact_p, kendall_score
from helpers.checks.bias.selection_kernel import log_likelihood, steps


def effects(seed: int, k: int = 20, tau: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    vi = rng.uniform(0.02, 0.5, k)
    return rng.normal(0.3 + 0.8 * np.sqrt(vi), np.sqrt(vi + tau**2)), vi


def counts(seed: int, k: int = 15) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = rng.integers(20, 400, k)
    return rng.binomial(n, 0.12).astype(float), n.astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_egger_is_the_weighted_least_squares_of_statsmodels(seed: int) -> None:
    yi, vi = effects(seed)
    fit = sm.WLS(yi, sm.add_constant(np.sqrt(vi)), weights=1.0 / vi).fit()
    test = egger(yi, vi)
    assert test.bias == pytest.approx(fit.params[1], rel=1e-10)
    assert test.se == pytest.approx(fit.bse[1], rel=1e-10)
    assert test.p == pytest.approx(fit.pvalues[1], rel=1e-9)
    assert test.dispersion == pytest.approx(fit.mse_resid, rel=1e-10)
    np.testing.assert_allclose(test.limit_ci, fit.conf_int()[0], rtol=1e-10)


def test_egger_is_the_intercept_of_standardised_effects_on_precision() -> None:
    yi, vi = effects(5)
    precision = 1.0 / np.sqrt(vi)
    original = sm.OLS(yi * precision, sm.add_constant(precision)).fit()
    test = egger(yi, vi)
    assert test.bias == pytest.approx(original.params[0], rel=1e-10)
    assert test.p == pytest.approx(original.pvalues[0], rel=1e-9)


def test_peters_and_macaskill_are_weighted_least_squares() -> None:
    x, n = counts(1)
    assert x.min() > 0
    logit = np.log(x / (n - x))
    share = x.sum() / n.sum()
    for test, predictor, weights in (
        (peters(events=x, n=n, weights="events"), 1.0 / n, x * (n - x) / n),
        (peters(events=x, n=n), 1.0 / n, n * share * (1 - share)),
        (macaskill(events=x, n=n), n, n * share * (1 - share)),
    ):
        fit = sm.WLS(logit, sm.add_constant(predictor), weights=weights).fit()
        assert test.bias == pytest.approx(fit.params[1], rel=1e-9)
        assert test.se == pytest.approx(fit.bse[1], rel=1e-9)
        assert test.p == pytest.approx(fit.pvalues[1], rel=1e-9)
        assert test.dispersion == pytest.approx(fit.mse_resid, rel=1e-9)


@pytest.mark.parametrize("restricted", [True, False])
def test_random_effects_version_maximises_the_likelihood_on_a_brute_force_grid(
    restricted: bool,
) -> None:
    yi, vi = effects(3)
    design = sm.add_constant(np.sqrt(vi))

    def criterion(tau2: float) -> float:
        w = 1.0 / (vi + tau2)
        gram = design.T @ (w[:, None] * design)
        beta = np.linalg.solve(gram, design.T @ (w * yi))
        r = yi - design @ beta
        value = 0.5 * (np.log(w).sum() - (w * r * r).sum())
        return value - 0.5 * np.linalg.slogdet(gram)[1] if restricted else value

    test = thompson_sharp(yi, vi, tau2_method="REML" if restricted else "ML")
    assert test.tau2 is not None
    grid = np.linspace(0.0, 2.0, 4001)
    assert criterion(test.tau2) >= max(criterion(t) for t in grid) - 1e-12
    fit = sm.WLS(yi, design, weights=1.0 / (vi + test.tau2)).fit()
    se = fit.bse[1] / math.sqrt(fit.mse_resid)
    assert test.bias == pytest.approx(fit.params[1], rel=1e-10)
    assert test.se == pytest.approx(se, rel=1e-10)
    assert test.p == pytest.approx(2 * stats.t.sf(abs(fit.params[1] / se), yi.size - 2), rel=1e-10)


def test_arcsine_tests_by_hand() -> None:
    x, n = counts(2)
    plain = np.arcsin(np.sqrt(x / n))
    double = 0.5 * (np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1))))
    for measure, yi, vi in (
        ("arcsine", plain, 0.25 / n),
        ("double-arcsine", double, 1 / (4 * n + 2)),
    ):
        fit = sm.WLS(yi, sm.add_constant(np.sqrt(vi)), weights=1.0 / vi).fit()
        test = arcsine_test(events=x, n=n, measure=measure, model="multiplicative")
        assert test.bias == pytest.approx(fit.params[1], rel=1e-10)
        assert test.p == pytest.approx(fit.pvalues[1], rel=1e-9)


@pytest.mark.parametrize("k", [3, 8, 25, 60])
def test_begg_is_kendalls_tau_of_scipy(k: int) -> None:
    yi, vi = effects(k, k)
    w = 1.0 / vi
    standardised = (yi - (w * yi).sum() / w.sum()) / np.sqrt(vi - 1.0 / w.sum())
    exact = stats.kendalltau(standardised, vi, method="exact")
    normal = stats.kendalltau(standardised, vi, method="asymptotic")
    assert begg(yi, vi).tau == pytest.approx(exact.statistic, rel=1e-12)
    assert begg(yi, vi).p == pytest.approx(exact.pvalue, rel=1e-9)
    assert begg(yi, vi, method="normal").p == pytest.approx(normal.pvalue, rel=1e-10)


def test_begg_with_ties_is_kendalls_tau_b_of_scipy() -> None:
    yi, vi = effects(9, 30)
    vi = np.round(vi, 1) + 0.05
    w = 1.0 / vi
    standardised = (yi - (w * yi).sum() / w.sum()) / np.sqrt(vi - 1.0 / w.sum())
    expected = stats.kendalltau(standardised, vi, method="asymptotic")
    result = begg(yi, vi)
    assert result.tau == pytest.approx(expected.statistic, rel=1e-12)
    assert result.p == pytest.approx(expected.pvalue, rel=1e-10)
    assert "normal approximation" in result.sentence


def test_continuity_correction_moves_the_score_by_one() -> None:
    yi, vi = effects(4)
    plain = begg(yi, vi, method="normal")
    moved = begg(yi, vi, method="normal", continuity=True)
    step = abs(plain.statistic) - abs(moved.statistic)
    assert step == pytest.approx(1.0 / plain.se, rel=1e-12)
    assert moved.p > plain.p


@pytest.mark.parametrize("k", [3, 4, 5, 6, 7])
def test_exact_distribution_of_kendalls_score_by_enumeration(k: int) -> None:
    pairs = list(itertools.combinations(range(k), 2))
    scores = [
        sum(1 if order[i] < order[j] else -1 for i, j in pairs)
        for order in itertools.permutations(range(k))
    ]
    total = len(scores)
    for score in set(scores):
        tail = sum(s >= abs(score) for s in scores) / total
        assert kendall_exact_p(score, k) == pytest.approx(min(1.0, 2 * tail), rel=1e-12)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1, 2], [1, 2]),
        ([1, 1, 1, 2, 3, 3], [1, 2, 3, 4, 5, 6]),
        ([1, 1, 1, 2, 3, 3], [4, 4, 4, 4, 5, 6]),
        ([1, 1, 1, 1, 2, 3], [1, 1, 1, 2, 2, 2]),
        ([1, 1, 1, 1], [1, 2, 2, 3]),
    ],
)
def test_the_variance_of_kendalls_score_with_ties_by_enumeration(
    a: list[int], b: list[int]
) -> None:
    def score(order: tuple[int, ...]) -> int:
        pairs = itertools.combinations(range(len(a)), 2)
        return sum(np.sign(a[i] - a[j]) * np.sign(order[i] - order[j]) for i, j in pairs)

    scores = [score(order) for order in itertools.permutations(b)]
    found = kendall_score(np.array(a, float), np.array(b, float))
    assert found[0] == score(tuple(b))
    assert found[1] == pytest.approx(np.var(scores), abs=1e-12)
    assert found[3] == (len(set(a)) < len(a) or len(set(b)) < len(b))


def brute_force_trim_and_fill(
    yi: np.ndarray, vi: np.ndarray, estimator: str
) -> tuple[int, np.ndarray]:
    """Common effect, missing on the left, in plain Python."""
    data = sorted(zip(yi, vi, strict=True))
    k, k0, seen = len(data), 0, -1
    while k0 != seen:
        seen = k0
        kept = data[: k - k0]
        center = sum(y / v for y, v in kept) / sum(1 / v for _, v in kept)
        by_distance = sorted(range(k), key=lambda i: abs(data[i][0] - center))
        rank = {i: position + 1 for position, i in enumerate(by_distance)}
        above = sum(rank[i] for i in range(k) if data[i][0] > center)
        if estimator == "R0":
            raw = k - max(rank[i] for i in range(k) if data[i][0] < center) - 1
        elif estimator == "L0":
            raw = (4 * above - k * (k + 1)) / (2 * k - 1)
        else:
            raw = k - 0.5 - math.sqrt(2 * k * k - 4 * above + 0.25)
        k0 = max(0, round(raw))
    return k0, np.array([2 * center - y for y, _ in data[k - k0 :]])


@pytest.mark.parametrize("estimator", ["L0", "R0", "Q0"])
@pytest.mark.parametrize("seed", range(4))
def test_trim_and_fill_in_plain_python(estimator: str, seed: int) -> None:
    yi, vi = effects(seed, 25, 0.0)
    k0, mirrored = brute_force_trim_and_fill(yi, vi, estimator)
    result = trim_and_fill(yi, vi, model="common", side="left", estimator=estimator)
    assert result.k0 == k0
    filled = [y for y, f in zip(result.yi, result.filled, strict=True) if f]
    np.testing.assert_allclose(filled, mirrored, rtol=1e-10)
    w = 1.0 / np.array(result.vi)
    assert result.mu == pytest.approx((w * result.yi).sum() / w.sum(), rel=1e-10)
    assert result.se == pytest.approx(w.sum() ** -0.5, rel=1e-10)


def test_limit_meta_analysis_is_a_regression_on_the_generalised_radial_plot() -> None:
    yi, vi = effects(7)
    result = limit_meta_analysis(yi, vi)
    total = np.sqrt(vi + result.tau2)
    tau = math.sqrt(result.tau2)
    radial = sm.GLM(yi / total, sm.add_constant(1.0 / total)).fit(scale=1.0)
    assert result.bias == pytest.approx(radial.params[0], rel=1e-9)
    assert result.slope == pytest.approx(radial.params[1], rel=1e-9)
    contrast = np.array([tau, 1.0])
    assert result.mu == pytest.approx(contrast @ radial.params, rel=1e-9)
    assert result.se == pytest.approx(
        math.sqrt(contrast @ radial.cov_params() @ contrast), rel=1e-9
    )
    se = np.sqrt(vi)
    plot = sm.OLS(np.array(result.limits) / se, sm.add_constant(1.0 / se)).fit()
    unexplained = 100.0 * (1.0 - plot.rsquared)
    assert unexplained == pytest.approx(result.G2, rel=1e-8)
    straight = sm.WLS(yi, sm.add_constant(se), weights=1 / vi).fit()
    pooled = sm.WLS(yi, np.ones(yi.size), weights=1 / vi).fit()
    assert result.Q_residual == pytest.approx(straight.ssr, rel=1e-9)
    assert result.Q_small == pytest.approx(pooled.ssr - straight.ssr, rel=1e-8)


def brute_force_selection(
    theta: np.ndarray, yi: np.ndarray, vi: np.ndarray, cuts: tuple[float, ...], alternative: str
) -> float:
    """Negative log-likelihood with the normalising constants by numerical integration."""
    mu, tau2, delta = theta[0], math.exp(theta[1]), np.exp(np.concatenate([[0.0], theta[2:]]))

    def weight(y: float, se: float) -> float:
        # the normal by its formula: `stats.norm` takes 30 times as long for one number
        below = math.erfc(-y / se / math.sqrt(2)) / 2
        above = math.erfc(y / se / math.sqrt(2)) / 2
        p = {"greater": above, "less": below, "two-sided": 2 * min(above, below)}[alternative]
        return float(delta[int(np.searchsorted(cuts, p, side="left"))])

    total = 0.0
    for y, v in zip(yi, vi, strict=True):
        se, sd = math.sqrt(v), math.sqrt(v + tau2)
        quantiles = [stats.norm.isf(c) for c in cuts]
        half = [stats.norm.isf(c / 2) for c in cuts]
        breaks = sorted(
            se * q
            for q in {
                "greater": quantiles,
                "less": [-q for q in quantiles],
                "two-sided": half + [-q for q in half],
            }[alternative]
        )
        edges = [mu - 12 * sd, *(b for b in breaks if abs(b - mu) < 12 * sd), mu + 12 * sd]
        mass = sum(
            integrate.quad(
                lambda t, s=se, d=sd: weight(t, s) * math.exp(-(((t - mu) / d) ** 2) / 2) / d,
                low,
                high,
                epsabs=1e-11,
                epsrel=1e-11,
            )[0]
            / math.sqrt(2 * math.pi)
            for low, high in itertools.pairwise(edges)
        )
        total += math.log(weight(y, se)) + stats.norm.logpdf(y, mu, sd) - math.log(mass)
    return -total


@pytest.mark.parametrize(
    ("cuts", "alternative"),
    [((0.025,), "greater"), ((0.2,), "less"), ((0.05,), "two-sided"), ((0.05, 0.5), "greater")],
)
def test_selection_likelihood_equals_numerical_integration(
    cuts: tuple[float, ...], alternative: str
) -> None:
    yi, vi = effects(11, 12)
    rng = np.random.default_rng(1)
    for _ in range(3):
        mu, tau2 = rng.normal(), rng.uniform(0.01, 0.5)
        delta = np.concatenate([[1.0], rng.uniform(0.1, 2.0, len(cuts))])
        ours = log_likelihood(steps(yi, vi, np.array(cuts), 0.0, alternative), mu, tau2, delta)[0]
        theta = np.concatenate([[mu, math.log(tau2)], np.log(delta[1:])])
        assert ours == pytest.approx(
            -brute_force_selection(theta, yi, vi, cuts, alternative), rel=1e-9
        )


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_selection_gradient_and_hessian_are_derivatives(alternative: str) -> None:
    yi, vi = effects(13)
    problem = steps(yi, vi, np.array([0.05, 0.4]), 0.1, alternative)
    point = np.array([0.2, 0.15, 0.6, 0.3])

    def at(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        return log_likelihood(problem, theta[0], theta[1], np.concatenate([[1.0], theta[2:]]))

    _, gradient, hessian = at(point)
    for i in range(4):
        h = 1e-6 * np.eye(4)[i]
        above, below = at(point + h), at(point - h)
        assert gradient[i] == pytest.approx((above[0] - below[0]) / 2e-6, rel=1e-6, abs=1e-7)
        np.testing.assert_allclose(hessian[i], (above[1] - below[1]) / 2e-6, rtol=1e-6, atol=1e-6)


def test_selection_model_is_the_maximum_found_without_derivatives() -> None:
    rng = np.random.default_rng(3)
    vi = rng.uniform(0.02, 0.2, 120)
    yi = rng.normal(0.2, np.sqrt(vi + 0.05))
    seen = (stats.norm.sf(yi / np.sqrt(vi)) < 0.025) | (rng.uniform(size=yi.size) < 0.4)
    yi, vi = yi[seen], vi[seen]
    result = selection_model(yi, vi)
    problem = steps(yi, vi, np.array([0.025]), 0.0, "greater")

    def minus(theta: np.ndarray) -> float:
        delta = np.array([1.0, math.exp(theta[2])])
        return -log_likelihood(problem, theta[0], math.exp(theta[1]), delta)[0]

    best = min(
        (
            optimize.minimize(
                minus,
                [mu, math.log(0.05), start],
                method="Nelder-Mead",
                options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000},
            )
            for mu in (0.0, 0.4)
            for start in (0.0, -2.0)
        ),
        key=lambda end: end.fun,
    )
    assert result.loglik >= -best.fun - 1e-9
    assert result.mu == pytest.approx(best.x[0], abs=1e-5)
    assert result.delta[1] == pytest.approx(math.exp(best.x[2]), rel=1e-4)
    # Without selection the likelihood is that of the ordinary model.
    plain = log_likelihood(problem, result.mu_unadjusted, result.tau2_unadjusted, np.ones(2))[0]
    assert plain == pytest.approx(result.loglik_unadjusted, rel=1e-12)


def test_fail_safe_numbers_do_what_they_say() -> None:
    yi, vi = effects(21, 12, 0.1)
    z = yi / np.sqrt(vi)
    many = fail_safe_n(yi, vi, method="rosenthal").fail_safe
    assert stats.norm.sf(z.sum() / math.sqrt(12 + many)) >= 0.05
    assert stats.norm.sf(z.sum() / math.sqrt(12 + many - 1)) < 0.05
    weighted = fail_safe_n(yi, vi, method="rosenberg").fail_safe
    w = 1.0 / vi
    for extra, significant in ((weighted, False), (weighted - 1, True)):
        z_all = (w * yi).sum() / math.sqrt(w.sum() + extra * w.mean())
        assert bool(2 * stats.norm.sf(abs(z_all)) < 0.05) is significant
    orwin = fail_safe_n(yi, vi, method="orwin", target=0.1, weighted=False)
    assert 12 * yi.mean() / (12 + orwin.fail_safe) <= 0.1
    assert 12 * yi.mean() / (12 + orwin.fail_safe - 1) > 0.1


def test_power_and_exact_excess_by_enumeration() -> None:
    yi, vi = effects(2, 8)
    result = excess_significance(yi, vi)
    se = np.sqrt(vi)
    z = stats.norm.isf(0.025)
    power = stats.norm.sf(z, result.mu / se) + stats.norm.cdf(-z, result.mu / se)
    np.testing.assert_allclose(result.power, power, rtol=1e-10)
    tail = 0.0
    for outcome in itertools.product((0, 1), repeat=8):
        if sum(outcome) >= result.observed:
            tail += np.prod(np.where(outcome, power, 1 - power))
    assert result.p_exact == pytest.approx(tail, rel=1e-10)


@pytest.mark.parametrize("model", ["multiplicative", "random"])
def test_a_batch_is_the_same_as_one_at_a_time(model: str) -> None:
    rng = np.random.default_rng(2)
    vi = rng.uniform(0.02, 0.5, (30, 12))
    yi = rng.normal(0.0, np.sqrt(vi + 0.1))
    lines = egger_batch(yi, vi, model=model)
    for i in range(30):
        one = egger(yi[i], vi[i], model=model, ci_method="t")
        assert lines.slope[i] == pytest.approx(one.bias, rel=1e-10)
        assert lines.p[i] == pytest.approx(one.p, rel=1e-9)
