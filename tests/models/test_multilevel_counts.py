"""The three-level model of counts against sums over a fine grid, the two-level model and truth."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, special, stats

from helpers.engine.counts import nested
from helpers.engine.counts.fit import fit_glmm
from helpers.engine.counts.kernel import gauss_hermite
from helpers.engine.counts.nested import NestedCounts, _distinct, fit_nested_counts
from helpers.engine.counts.studies import prepare
from helpers.engine.counts.variation import NormalVariation
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.multilevel import pool_multilevel
from helpers.models.multilevel_result import MultilevelResult
from helpers.models.pooling import pool

X = np.array([1, 3, 9, 14, 2, 0, 6, 5, 12, 17, 4, 3])
N = np.array([60, 80, 70, 90, 50, 45, 75, 70, 66, 80, 75, 40])
CODES = np.arange(12) // 2
ONES = np.ones((12, 1))


def probability(x: float, n: float, at: Any, rate: bool = False) -> Any:
    """Of x events at a logit (log rate)."""
    if rate:
        return np.exp(x * (at + np.log(n)) - n * np.exp(at) - special.gammaln(x + 1))
    known = special.gammaln([n + 1, x + 1, n - x + 1]) @ [1, -1, -1]
    return np.exp(known + x * at - n * np.logaddexp(0.0, at))


def fine(
    mu: float, between: float, within: float, x: Any, n: Any, codes: Any, *, rate: bool = False
) -> float:
    """Log-likelihood by the trapezoidal rule over both effects, far out and close together."""
    z = np.linspace(-7.5, 7.5, 121)
    density = stats.norm.pdf(z) * (z[1] - z[0])
    at = mu + np.sqrt(between) * z[:, None] + np.sqrt(within) * z
    total = 0.0
    for code in np.unique(codes):
        given = np.ones(z.size)
        for events, size in zip(x[codes == code], n[codes == code], strict=True):
            f = probability(events, size, at, rate)
            given *= f @ density
        total += np.log(given @ density)
    return float(total)


def problem(x: Any = X, n: Any = N) -> NestedCounts:
    basis = np.full((len(x), 1), len(x) ** -0.5)
    starts = np.flatnonzero(np.r_[True, np.diff(CODES) > 0])
    return NestedCounts(prepare("binomial", x[None], n[None]), basis, None, CODES, starts)


def at(mu: float, between: float, within: float) -> Any:
    return np.array([[mu * np.sqrt(len(X)), between, within]])


@pytest.mark.parametrize("pair", [(0.4, 0.2), (0.0, 0.3), (0.6, 0.0), (2.0, 0.01)])
def test_the_likelihood_is_the_double_integral(pair: tuple[float, float]) -> None:
    one, model = problem(), NormalVariation(gauss_hermite(40))
    value = one.evaluate(at(-2.3, *pair), 61, model)[0] + one.saturated()
    assert value[0] == pytest.approx(fine(-2.3, *pair, X, N, CODES), abs=1e-9)


def test_the_likelihood_is_scipys_nested_quadrature() -> None:
    x, n = X[2:4], N[2:4]

    def normal(u: float, sd: float) -> float:
        return math.exp(-0.5 * (u / sd) ** 2) / (sd * math.sqrt(2 * math.pi))

    def seen(e: float, s: float, t: float) -> float:
        p = 1 / (1 + math.exp(-t))
        return math.comb(int(s), int(e)) * p**e * (1 - p) ** (s - e)

    def given(a: float) -> float:
        whole = normal(a, 0.6)
        for e, s in zip(x.tolist(), n.tolist(), strict=True):
            whole *= integrate.quad(
                lambda u, e=e, s=s: seen(e, s, u - 2.0 + a) * normal(u, 0.4),
                -3.0,
                3.0,
                epsabs=0,
                epsrel=1e-11,
            )[0]
        return float(whole)

    expected = np.log(integrate.quad(given, -4.5, 4.5, epsabs=0, epsrel=1e-10)[0])
    basis = np.full((2, 1), 2**-0.5)
    one = NestedCounts(
        prepare("binomial", x[None], n[None]), basis, None, np.zeros(2, int), np.zeros(1, int)
    )
    theta = np.array([[-2.0 * 2**0.5, 0.36, 0.16]])
    value = one.evaluate(theta, 41, NormalVariation(gauss_hermite(30)))[0] + one.saturated()
    assert value[0] == pytest.approx(expected, abs=1e-9)


def test_gradient_and_hessian_are_derivatives() -> None:
    one, model, step = problem(), NormalVariation(gauss_hermite(30)), 1e-4
    theta = at(-2.2, 0.3, 0.15)
    _, gradient, hessian = one.evaluate(theta, 41, model)
    for place in range(3):
        move = np.eye(3)[[place]] * step
        up, down = (one.evaluate(theta + side * move, 41, model) for side in (1, -1))
        assert (up[0] - down[0]) / (2 * step) == pytest.approx(gradient[:, place], abs=1e-6)
        np.testing.assert_allclose((up[1] - down[1]) / (2 * step), hessian[:, place], atol=1e-4)
    # at zero the slope is one-sided
    low, high = (one.evaluate(at(-2.2, b, 0.15), 41, model) for b in (0.0, 1e-5))
    assert (high[0] - low[0]) / 1e-5 == pytest.approx(low[1][:, 1], rel=1e-3)


def test_the_fit_is_the_maximum_of_the_double_integral() -> None:
    fit = fit_nested_counts(X, N, ONES, CODES, quad_points=30)

    def loss(parameters: Any) -> float:
        return -fine(parameters[0], *np.square(parameters[1:]), X, N, CODES)

    options = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 2000}
    best = optimize.minimize(loss, [-2.3, 0.7, 0.3], method="Nelder-Mead", options=options)
    assert best.success
    assert fit.converged[0]
    assert fit.loglik[0] == pytest.approx(-best.fun, abs=1e-8)
    assert fit.beta[0, 0] == pytest.approx(best.x[0], abs=1e-5)
    assert fit.variances[0] == pytest.approx(np.square(best.x[1:]), abs=1e-4)
    # the covariance is the inverse of the curvature there, by differences
    place = np.array([fit.beta[0, 0], *fit.variances[0]])
    free = np.flatnonzero(place != 0)
    steps = np.eye(3)[free] * 1e-3

    def value(move: Any) -> float:
        return fine(*(place + move), X, N, CODES)

    curve = np.array(
        [[value(a + b) - value(a - b) - value(b - a) + value(-a - b) for b in steps] for a in steps]
    ) / (4 * 1e-6)
    np.testing.assert_allclose(
        fit.cov[0][np.ix_(free, free)], np.linalg.inv(-curve), rtol=2e-3, atol=1e-4
    )


def test_the_ascent_begins_where_the_mean_is_nearly_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the variances of each candidate the mean is within a hundredth of a standard error."""
    seen = []
    search = nested._candidates

    def watched(problem: NestedCounts, *given: Any) -> Any:
        owner, theta = search(problem, *given)
        model = NormalVariation(gauss_hermite(1))
        _, gradient, hessian = problem.take(owner).evaluate(theta, 61, model)
        seen.extend(np.abs(gradient[:, 0]) / np.sqrt(-hessian[:, 0, 0]))
        return owner, theta

    monkeypatch.setattr(nested, "_candidates", watched)
    result()
    assert seen
    assert max(seen) < 0.01


@pytest.mark.parametrize(
    ("x", "n"),
    [
        # a step of Newton's method that ends just beside zero, where derivatives are rounding
        ([3, 5, 12, 6, 6, 4, 3, 8, 0, 4, 4, 6], [57, 41, 62, 70, 46, 45, 48, 88, 21, 24, 51, 28]),
        # one in which a variance is held back, so that the others alone would lead down
        (
            [20, 25, 10, 7, 52, 36, 22, 27, 4, 25, 23, 47],
            [48, 45, 48, 23, 84, 38, 87, 83, 57, 34, 25, 86],
        ),
        (
            [31, 27, 41, 11, 13, 3, 45, 23, 2, 2, 24, 12],
            [46, 56, 72, 40, 88, 72, 50, 82, 42, 86, 84, 50],
        ),
    ],
)
def test_without_any_cohort_the_ascent_ends_at_the_top(x: list[int], n: list[int]) -> None:
    rest = 1 - np.eye(12, dtype=int)
    fit = fit_nested_counts(x, n, ONES, CODES, rest, quad_points=30)
    assert fit.converged.all()
    for row, (mu, pair) in enumerate(zip(fit.beta[:, 0], fit.variances, strict=True)):
        left = rest[row] > 0
        given = np.array(x)[left], np.array(n)[left], CODES[left]
        top = fine(mu, *pair, *given)
        assert fit.loglik[row] == pytest.approx(top, abs=1e-7)
        for move in np.vstack([np.eye(3), -np.eye(3)]) * 0.02:
            beside = np.maximum([-np.inf, 0.0, 0.0], np.array([mu, *pair]) + move)
            assert fine(*beside, *given) <= top + 1e-9


def test_one_cohort_in_each_cluster_is_the_two_level_model() -> None:
    two = fit_glmm(X, N, quad_points=40)
    alone = np.arange(len(X))
    for fixed, place in (((None, 0.0), 0), ((0.0, None), 1)):
        fit = fit_nested_counts(X, N, ONES, alone, fixed=fixed, quad_points=40)
        assert fit.loglik[0] == pytest.approx(two.loglik[0], abs=1e-8)
        assert fit.beta[0, 0] == pytest.approx(two.beta[0, 0], abs=1e-8)
        assert fit.variances[0, place] == pytest.approx(two.tau2[0], abs=1e-7)
        assert fit.cov[0, 0, 0] ** 0.5 == pytest.approx(two.se[0, 0], rel=1e-6)
    # the same by halves: only the sum of both variances is known
    half = 0.5 * float(two.tau2[0])
    fit = fit_nested_counts(X, N, ONES, alone, fixed=(half, half), quad_points=40)
    assert fit.loglik[0] == pytest.approx(two.loglik[0], abs=1e-8)


def test_rates_have_the_same_model() -> None:
    time = N * 1.7
    fit = fit_nested_counts(X, time, ONES, CODES, family="poisson", quad_points=30)
    mu, pair = float(fit.beta[0, 0]), fit.variances[0]
    assert fit.loglik[0] == pytest.approx(fine(mu, *pair, X, time, CODES, rate=True), abs=1e-8)
    for move in ((0.02, 0, 0), (-0.02, 0, 0), (0, 0.02, 0), (0, 0, 0.02)):
        other = fine(mu + move[0], *(pair + move[1:]), X, time, CODES, rate=True)
        assert other < fit.loglik[0]


def test_many_rows_are_each_their_own_fit() -> None:
    keep = np.array([[True] * 12, [False] + [True] * 11, [True] * 6 + [False, False] + [True] * 4])
    batch = fit_nested_counts(X, N, ONES, CODES, keep)
    for row, taken in enumerate(keep):
        one = fit_nested_counts(X[taken], N[taken], ONES[taken], CODES[taken])
        assert batch.loglik[row] == pytest.approx(one.loglik[0], abs=1e-8)
        assert batch.beta[row, 0] == pytest.approx(one.beta[0, 0], abs=1e-7)
        np.testing.assert_allclose(batch.variances[row], one.variances[0], atol=1e-6)


def test_simulated_clusters_give_the_truth_back() -> None:
    rng = np.random.default_rng(5)
    sets, groups, each = 60, 30, 4
    codes = np.repeat(np.arange(groups), each)
    n = rng.integers(60, 200, codes.size)
    shared = rng.normal(0.0, 0.5, (sets, groups))[:, codes]
    logit = -1.5 + shared + rng.normal(0.0, 0.3, (sets, codes.size))
    fit = fit_nested_counts(
        rng.binomial(n, special.expit(logit)), n, np.ones((codes.size, 1)), codes
    )
    assert fit.converged.all()
    estimates = np.column_stack([fit.beta, fit.variances])
    truth = np.array([-1.5, 0.25, 0.09])
    error = estimates.std(axis=0, ddof=1) / np.sqrt(sets)
    # maximum likelihood takes the variance between clusters too small by about 1 in `groups`
    assert (np.abs(estimates.mean(axis=0) - truth) < 3.0 * error + np.array([0, 0.02, 0])).all()
    se = np.sqrt(fit.cov[:, 0, 0])
    inside = np.abs(fit.beta[:, 0] + 1.5) < 1.96 * se
    assert 0.87 <= inside.mean() <= 1.0
    assert se.mean() == pytest.approx(estimates[:, 0].std(ddof=1), rel=0.3)


def result(**options: Any) -> MultilevelResult:
    return pool_multilevel(events=X, n=N, cluster=CODES.tolist(), **options)


def test_the_model_of_counts_is_the_default_as_in_pool() -> None:
    fit = result()
    assert (fit.model, fit.tau2_method, fit.ci_method) == ("glmm", "ML", "t")
    assert result(tau2_method="REML").model == result(robust="CR2").model == "random"
    with pytest.raises(UnsupportedError, match="robust='CR2' needs model='random'"):
        result(model="glmm", robust="CR2")
    with pytest.raises(UnsupportedError, match="logit or log-rate"):
        pool_multilevel(yi=[0.1] * 4, vi=[0.1] * 4, cluster=list("aabb"), model="glmm")
    many = pool_multilevel(
        events=np.tile(X, 2), n=np.tile(N, 2), cluster=[*CODES.tolist(), *(CODES + 6).tolist()]
    )
    assert many.ci_method == "wald"  # twelve clusters


def test_numbers_of_a_result_come_from_its_likelihood() -> None:
    fit = result(quad_points=30)
    pair = fit.sigma2_between, fit.sigma2_within
    assert fit.loglik == pytest.approx(fine(fit.mu, *pair, X, N, CODES), abs=1e-8)
    assert fit.between_test.statistic == pytest.approx(
        2 * (fit.loglik - fit_glmm(X, N, quad_points=60).loglik[0]), abs=1e-6
    )
    assert fit.between_test.p == pytest.approx(
        0.5 * stats.chi2.sf(fit.between_test.statistic, 1), rel=1e-9
    )
    t = stats.t.ppf(0.975, 11)
    np.testing.assert_allclose(
        fit.ci, special.expit([fit.mu - t * fit.se, fit.mu + t * fit.se]), rtol=1e-9
    )
    z = np.linspace(-10, 10, 4001)
    mean = special.expit(fit.mu + np.sqrt(fit.tau2) * z) @ stats.norm.pdf(z) * (z[1] - z[0])
    assert fit.mean_estimate == pytest.approx(mean, rel=1e-9)
    low, high = fit.mean_conf_int()
    assert low < fit.mean_estimate < high
    new = fit.prediction_interval()
    assert new.lower < fit.ci.lower < fit.ci.upper < new.upper
    vt = fit.heterogeneity.typical_variance
    assert pytest.approx(100 * fit.tau2 / (fit.tau2 + vt)) == fit.heterogeneity.I2
    assert fit.I2_between + fit.I2_within == pytest.approx(fit.heterogeneity.I2)


def test_intervals_of_the_variances_cut_the_profile() -> None:
    fit = result(quad_points=20)

    for name in ("between", "within"):

        def height(value: float, name: str = name) -> float:
            def loss(p: Any) -> float:
                pair = (value, p[1] ** 2) if name == "between" else (p[1] ** 2, value)
                return -fine(p[0], *pair, X, N, CODES)

            options = {"xatol": 1e-5, "fatol": 1e-9}
            start = [[fit.mu, 0.4], [fit.mu + 0.1, 0.4], [fit.mu, 0.1]]
            return -optimize.minimize(
                loss, start[0], method="Nelder-Mead", options=options | {"initial_simplex": start}
            ).fun

        limits = fit.sigma2_ci(name)
        assert limits.lower <= getattr(fit, f"sigma2_{name}") < limits.upper
        drop = stats.chi2.ppf(0.95, 1) / 2
        assert fit.loglik - height(limits.upper) == pytest.approx(drop, abs=1e-5)
        if limits.lower > 0:
            assert fit.loglik - height(limits.lower) == pytest.approx(drop, abs=1e-5)
        else:
            assert fit.loglik - height(0.0) <= drop + 1e-6


@pytest.mark.parametrize("by", [None, "cluster"])
def test_leaving_out_is_fitting_the_rest(by: str | None) -> None:
    table = result().leave_one_out(by)
    for place, label in enumerate(table.index):
        keep = np.arange(12) != place if by is None else int(label) != CODES
        rest = pool_multilevel(
            events=X[keep], n=N[keep], cluster=CODES[keep].tolist(), ci_method="t"
        )
        row = table.loc[label]
        assert row["estimate"] == pytest.approx(rest.estimate, rel=1e-6)
        assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(rest.ci, rel=1e-6)
        assert row["sigma2_between"] == pytest.approx(rest.sigma2_between, abs=1e-6)
        assert row["sigma2_within"] == pytest.approx(rest.sigma2_within, abs=1e-6)
        assert row["converged"]


@pytest.mark.parametrize("options", [{}, {"model": "random"}])
def test_cohorts_are_added_one_by_one_and_drawn_anew(options: dict[str, Any]) -> None:
    fit = result(**options)
    steps = fit.cumulative()
    assert steps["k"].tolist() == list(range(1, 13))
    assert steps["estimate"].iloc[-1] == pytest.approx(fit.estimate, rel=1e-8)
    assert steps["tau2"].iloc[-1] == pytest.approx(fit.tau2, rel=1e-6)
    # two cohorts of the first cluster do not tell the variances apart
    assert not steps["converged"].iloc[1]
    assert "cannot be told apart" in steps["note"].iloc[1]
    drawn = fit.bootstrap(60, seed=2)
    low, high = drawn.conf_int()
    assert low < fit.estimate < high
    assert drawn.drawn["mu"].std() == pytest.approx(fit.se, rel=0.4)


def test_draws_share_the_effect_of_their_cluster() -> None:
    model = result().core
    drawn = model.simulate(-1.0, 0.9, np.random.default_rng(1), 4000, between=0.6)
    assert drawn.events is not None
    logit = special.logit((drawn.events + 0.5) / (N + 1.0))
    within = np.corrcoef(logit[:, 2], logit[:, 3])[0, 1]
    across = np.corrcoef(logit[:, 2], logit[:, 4])[0, 1]
    assert within == pytest.approx(0.6 / (0.9 + 1 / 15), abs=0.06)
    assert abs(across) < 0.06


def test_moderators_have_their_own_coefficients() -> None:
    table = pd.DataFrame({"x": X, "n": N, "g": CODES, "late": np.arange(12) % 2})
    fit = pool_multilevel(table, "late", cluster="g", events="x", n="n", quad_points=20)

    def loss(p: Any) -> float:
        mu = p[0] + p[1] * np.asarray(table["late"])
        z = np.linspace(-8.0, 8.0, 121)
        density = stats.norm.pdf(z) * (z[1] - z[0])
        total = 0.0
        for code in range(6):
            given = np.ones(z.size)
            for i in np.flatnonzero(code == CODES):
                where = mu[i] + abs(p[2]) * z[:, None] + abs(p[3]) * z
                given *= probability(X[i], N[i], where) @ density
            total += np.log(given @ density)
        return -float(total)

    place = [*fit.estimates, fit.sigma2_between**0.5, fit.sigma2_within**0.5]
    assert fit.loglik == pytest.approx(-loss(place), abs=1e-7)
    for direction in range(4):
        for side in (0.02, -0.02):
            moved = np.array(place)
            moved[direction] += side
            assert loss(moved) >= loss(place) - 1e-9
    with pytest.raises(UnsupportedError, match="use predict"):
        _ = fit.mu
    left = fit.leave_one_out()
    assert left["estimable"].all()


def test_a_boundary_is_said_and_the_result_is_plain_data() -> None:
    flat = pool_multilevel(
        events=[5, 9, 4, 10, 6, 8], n=[50, 60, 50, 60, 55, 58], cluster=list("aabbcc")
    )
    assert flat.sigma2_between == 0.0
    assert flat.between_test.p == 1.0
    two = pool(events=[5, 9, 4, 10, 6, 8], n=[50, 60, 50, 60, 55, 58])
    assert (flat.mu, flat.tau2) == pytest.approx((two.mu, two.tau2), abs=1e-7)
    assert flat.se == pytest.approx(two.se_model, rel=1e-6)
    assert "boundary" in [c.code for c in flat.cautions]
    content = flat.to_dict()
    assert json.loads(json.dumps(content)) == content
    assert content["model"] == "glmm"
    assert content["loglik_restricted"] is None
    assert "binomial-normal generalised linear mixed model" in str(flat.methods())


def test_no_event_at_all_is_said() -> None:
    with pytest.raises(MetaAnalysisError, match="no study has an event"):
        pool_multilevel(events=[0, 0, 0, 0], n=[9, 9, 9, 9], cluster=list("aabb"))


@pytest.mark.parametrize("options", [{"model": "random"}, {}])
def test_weights_are_those_of_the_inverse_covariance(options: dict[str, Any]) -> None:
    fit = result(**options)
    rate = special.expit(fit.mu)
    v = fit.core.vi if options else 1 / (N * rate * (1 - rate))
    same = CODES[:, None] == CODES
    inverse = np.linalg.inv(np.diag(v + fit.sigma2_within) + fit.sigma2_between * same)
    share = inverse.sum(axis=0)
    np.testing.assert_allclose(fit.weights, 100 * share / share.sum(), rtol=1e-9)
    assert fit.studies["weight"].tolist() == pytest.approx(fit.weights)
    assert fit.cumulative("events")["k"].iloc[-1] == 12


def test_maxima_are_counted_for_each_row_and_once() -> None:
    variances = np.array([[0.1, 0.2], [0.5, 0.0], [0.1, 0.2 + 1e-8], [0.3, 0.3], [0.1, 0.21]])
    owner = np.array([0, 0, 0, 1, 0])
    assert _distinct(owner, variances, 3).tolist() == [3, 1, 0]
    events, n = [3, 5, 9, 14, 2, 6], [60, 80, 70, 90, 50, 75]
    fit = pool_multilevel(events=events, n=n, cluster=list("aabbcc"), model="glmm")
    assert fit.maxima == 1
