"""Meta-regression by a second computation: statsmodels, scipy, brute force, the pooling engine."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import linalg, optimize, stats

from helpers.engine.distributions import expit
from helpers.engine.model.counts import regress_counts
from helpers.engine.normal.fit import fit_regression
from helpers.engine.normal.tau2 import estimate_tau2
from helpers.engine.normal.weighted import prepare
from helpers.engine.options import TAU2_METHODS
from helpers.errors import MetaAnalysisError
from helpers.models.pooling import pool
from helpers.models.regression import meta_regression

Array = NDArray[np.float64]


def sample(seed: int, k: int = 18, tau2: float = 0.3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.05, 0.6, k)
    x = rng.normal(size=k)
    group = rng.choice(list("abc"), k)
    group[:3] = list("abc")
    y = 0.5 * x + (group == "b") + rng.normal(0, np.sqrt(v + tau2))
    return pd.DataFrame(
        {"y": y, "v": v, "x": x, "g": group, "c": rng.integers(0, 7, k), "s": range(k)}
    )


def design(data: pd.DataFrame) -> Array:
    g = data["g"].to_numpy()
    return np.column_stack([np.ones(len(g)), data["x"], g == "b", g == "c"]).astype(float)


def loglik(y: Array, v: Array, x: Array, tau2: float, restricted: bool) -> float:
    """Dense normal log-likelihood with all constants."""
    w = 1 / (v + tau2)
    gram = (x.T * w) @ x
    r = y - x @ linalg.solve(gram, (x.T * w) @ y)
    value = stats.norm.logpdf(r, scale=w**-0.5).sum()
    if restricted:
        value += 0.5 * (np.linalg.slogdet(x.T @ x)[1] - np.linalg.slogdet(gram)[1])
        value += 0.5 * x.shape[1] * np.log(2 * np.pi)
    return float(value)


def test_weighted_least_squares_at_a_fixed_tau2_equals_statsmodels() -> None:
    for seed in range(5):
        data = sample(seed)
        y, v, x = data["y"].to_numpy(), data["v"].to_numpy(), design(data)
        for tau2 in (0.0, 0.2, 5.0):
            fit = fit_regression(y, v, x, tau2=tau2)
            other = sm.WLS(y, x, weights=1 / (v + tau2)).fit()
            np.testing.assert_allclose(fit.beta[0], other.params, rtol=1e-11)
            np.testing.assert_allclose(fit.cov[0], other.normalized_cov_params, rtol=1e-11)
            assert fit.scale[0] == pytest.approx(other.scale, rel=1e-12)
            # Knapp-Hartung is WLS with an estimated scale
            np.testing.assert_allclose(np.sqrt(fit.scale[0]) * fit.se[0], other.bse, rtol=1e-11)


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_likelihood_maxima_equal_those_of_a_general_optimiser(method: str) -> None:
    restricted = method == "REML"
    for seed in range(12):
        data = sample(seed, tau2=[0.0, 0.02, 0.3, 3.0][seed % 4])
        y, v, x = data["y"].to_numpy(), data["v"].to_numpy(), design(data)
        fit = fit_regression(y, v, x, tau2_method=method)
        grid = np.concatenate([[0.0], np.geomspace(1e-6, 100, 500)])
        heights = [loglik(y, v, x, t, restricted) for t in grid]
        best = int(np.argmax(heights))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        found = optimize.minimize_scalar(
            lambda t, y=y, v=v, x=x: -loglik(y, v, x, t, restricted),
            bounds=(low, high),
            method="bounded",
            options={"xatol": 1e-12},
        )
        ours = (fit.loglik_restricted if restricted else fit.loglik)[0]
        assert ours == pytest.approx(loglik(y, v, x, fit.tau2[0], restricted), abs=1e-10)
        assert ours >= max(heights) - 1e-12
        assert ours >= -found.fun - 1e-12
        if best > 0:
            assert fit.tau2[0] == pytest.approx(found.x, rel=1e-5)
        else:
            assert fit.tau2[0] == 0.0
            assert fit.boundary[0]
        assert fit.converged[0]
        assert fit.slack[0] >= -1e-12


def test_the_highest_of_two_maxima_is_found() -> None:
    """A profile with two humps: precise studies agree, imprecise ones are far away."""
    found_two = 0
    for gap in np.linspace(2.0, 8.0, 13):
        y = np.array([0.0, 0.02, -0.02, gap, -gap, 0.01])
        v = np.array([1e-4, 1e-4, 1e-4, 0.5, 0.5, 1e-4])
        x = np.ones((6, 1))
        grid = np.concatenate([[0.0], np.geomspace(1e-7, 50, 800)])
        heights = np.array([loglik(y, v, x, t, False) for t in grid])
        inner = (heights[1:-1] > heights[:-2]) & (heights[1:-1] > heights[2:])
        found_two += int(inner.sum() + (heights[0] > heights[1]) >= 2)
        fit = fit_regression(y, v, x, tau2_method="ML")
        assert fit.loglik[0] >= heights.max() - 1e-12
    assert found_two > 0


def test_every_estimator_equals_the_pooling_engine() -> None:
    rng = np.random.default_rng(1)
    r, k = 40, 15
    y, v = rng.normal(size=(r, k)), rng.uniform(0.05, 1.0, (r, k))
    x = np.stack([np.ones((r, k)), rng.normal(size=(r, k)), rng.normal(size=(r, k))], axis=-1)
    counts = rng.integers(0, 3, (r, k)).astype(float)
    counts[:, :6] = 1
    for method in TAU2_METHODS:
        fit = fit_regression(y, v, x, counts, tau2_method=method)
        engine = estimate_tau2(prepare(y, v, counts, x), method)
        np.testing.assert_allclose(fit.tau2, engine.tau2, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(fit.tau2_se, engine.se, rtol=1e-8)


def test_a_batch_equals_its_single_fits() -> None:
    rng = np.random.default_rng(2)
    data = sample(3)
    y, v, x = data["y"].to_numpy(), data["v"].to_numpy(), design(data)
    counts = np.ones((10, len(y)))
    counts[np.arange(10), np.arange(10) + 4] = 0
    order = np.array([rng.permutation(len(y)) for _ in range(10)])
    for method in ("REML", "ML", "DL"):
        masked = fit_regression(y, v, x, counts, tau2_method=method)
        permuted = fit_regression(y, v, x, order=order, tau2_method=method)
        for i in range(10):
            keep = counts[i] > 0
            if masked.estimable[i]:
                one = fit_regression(y[keep], v[keep], x[keep], tau2_method=method)
                np.testing.assert_allclose(masked.beta[i], one.beta[0], rtol=1e-9)
                np.testing.assert_allclose(masked.cov[i], one.cov[0], rtol=1e-9)
                assert masked.tau2[i] == pytest.approx(one.tau2[0], rel=1e-9, abs=1e-13)
                assert masked.loglik[i] == pytest.approx(one.loglik[0], abs=1e-10)
                restricted = masked.loglik_restricted[i]
                assert restricted == pytest.approx(one.loglik_restricted[0], abs=1e-10)
            one = fit_regression(y, v, x[order[i]], tau2_method=method)
            np.testing.assert_allclose(permuted.beta[i], one.beta[0], rtol=1e-9)
            assert permuted.tau2[i] == pytest.approx(one.tau2[0], rel=1e-9, abs=1e-13)


def test_a_level_that_loses_its_only_study_is_flagged_not_guessed() -> None:
    data = sample(4, k=8)
    data["g"] = list("aaaaabbc")
    fit = meta_regression(data, "g", yi="y", vi="v", study="s")
    table = fit.leave_one_out()
    assert table["estimable"].tolist() == [True] * 7 + [False]
    assert table.iloc[7][["Intercept", "tau2"]].isna().all()
    rest = data.iloc[[1, 2, 3, 4, 5, 6, 7]]
    alone = meta_regression(rest, "g", yi="y", vi="v", study="s")
    np.testing.assert_allclose(
        table.iloc[0][["Intercept", "g[T.b]", "g[T.c]"]].astype(float), alone.estimates, rtol=1e-9
    )
    assert "single-study-level" in [c.code for c in fit.cautions]
    with pytest.raises(MetaAnalysisError, match="more studies than coefficients"):
        fit_regression([1.0, 2.0], [0.1, 0.1], [[1, 0], [1, 1]])


def test_vif_equals_the_ratio_of_variances_at_the_same_weights() -> None:
    data = sample(5)
    fit = meta_regression(data, "x + g", yi="y", vi="v")
    w = 1 / (data["v"].to_numpy() + fit.tau2)
    x = design(data)[:, 1:]
    centred = x - np.average(x, axis=0, weights=w)
    gram = (centred.T * w) @ centred
    vif = np.diagonal(gram) * np.diagonal(np.linalg.inv(gram))
    table = fit.vif()
    ours = table.loc[table["kind"] == "coefficient", "gvif"]
    np.testing.assert_allclose(ours, vif, rtol=1e-11)
    x_row = table[(table.index == "x") & (table["kind"] == "term")]
    assert x_row["gvif"].iloc[0] == pytest.approx(ours.iloc[0])


def test_a_likelihood_ratio_test_equals_twice_the_difference_of_scipy_maxima() -> None:
    data = sample(6)
    y, v, x = data["y"].to_numpy(), data["v"].to_numpy(), design(data)

    def top(columns: Array) -> float:
        found = optimize.minimize_scalar(
            lambda t: -loglik(y, v, columns, t, False),
            bounds=(0, 10),
            method="bounded",
            options={"xatol": 1e-12},
        )
        return max(-found.fun, loglik(y, v, columns, 0.0, False))

    fit = meta_regression(data, "x + g", yi="y", vi="v")
    test = fit.likelihood_ratio_test("x")
    assert test.statistic == pytest.approx(2 * (top(x) - top(x[:, :2])), abs=1e-9)
    assert test.df == 2
    assert test.p == pytest.approx(stats.chi2.sf(test.statistic, 2))
    same = fit.likelihood_ratio_test(meta_regression(data, "x", yi="y", vi="v"))
    assert same.statistic == test.statistic
    # nested in another parametrisation too
    coded = meta_regression(data, "C(g, contr.treatment('c')) + x", yi="y", vi="v")
    assert coded.likelihood_ratio_test("x").statistic == pytest.approx(test.statistic, abs=1e-9)
    for formula in ("x + g", "c"):
        with pytest.raises(MetaAnalysisError, match=r"not nested|no column"):
            meta_regression(data, "x", yi="y", vi="v").likelihood_ratio_test(formula)


def dense_cr2(x: Array, y: Array, phi: Array, clusters: Array) -> tuple[Array, list[Array], Array]:
    """CR2 by full matrices: I - H, symmetric square roots of the definition."""
    w = np.linalg.inv(phi)
    m = np.linalg.inv(x.T @ w @ x)
    eye_h = np.eye(len(y)) - x @ m @ x.T @ w
    e = eye_h @ y
    parts = []
    for c in np.unique(clusters):
        i = np.flatnonzero(clusters == c)
        d = np.linalg.cholesky(phi[np.ix_(i, i)]).T
        b = d @ eye_h[i] @ phi @ eye_h[i].T @ d.T
        a = d.T @ linalg.fractional_matrix_power(b, -0.5).real @ d
        parts.append(eye_h[i].T @ a.T @ w[np.ix_(i, i)] @ x[i] @ m)
    scores = np.array([g.T @ y for g in parts])
    del e
    return scores.T @ scores, parts, m


def test_cr2_its_degrees_of_freedom_and_hotelling_equal_dense_matrices() -> None:
    data = sample(7, k=24)
    fit = meta_regression(data, "x + g", yi="y", vi="v", cluster="c")
    y, x = data["y"].to_numpy(), design(data)
    phi = np.diag(data["v"].to_numpy() + fit.tau2)
    cov, parts, _ = dense_cr2(x, y, phi, data["c"].to_numpy())
    np.testing.assert_allclose(fit.covariance, cov, rtol=1e-9)
    for j in range(4):
        p = np.array([g[:, j] for g in parts])
        omega = p @ phi @ p.T
        df = np.trace(omega) ** 2 / (omega**2).sum()
        assert fit.df[j] == pytest.approx(df, rel=1e-9)
    # Hotelling: variance of every element of the standardised covariance, term by term
    L = np.eye(4)[1:]
    expected = sum(L @ g.T @ phi @ g @ L.T for g in parts)
    root = np.linalg.inv(linalg.sqrtm(expected).real)
    g = np.array([h @ L.T @ root.T for h in parts])
    pieces = np.einsum("ias,ab,jbt->ijst", g, phi, g)
    total = 0.0
    for s in range(3):
        for t in range(3):
            total += (pieces[:, :, s, s] * pieces[:, :, t, t]).sum()
            total += (pieces[:, :, s, t] * pieces[:, :, t, s]).sum()
    eta = 3 * 4 / total
    q = fit.estimates[1:] @ np.linalg.solve(cov[1:, 1:], fit.estimates[1:])
    assert fit.omnibus.kind == "HTZ"
    assert fit.omnibus.df2 == pytest.approx(eta - 2, rel=1e-9)
    assert fit.omnibus.statistic == pytest.approx((eta - 2) / (eta * 3) * q, rel=1e-9)


def test_cr2_is_unbiased_under_its_working_model() -> None:
    """The expectation is linear in Phi, so it can be computed instead of simulated."""
    data = sample(8, k=20)
    x = design(data)
    phi = np.diag(data["v"].to_numpy() + 0.4)
    _, parts, m = dense_cr2(x, np.zeros(20), phi, data["c"].to_numpy())
    np.testing.assert_allclose(sum(g.T @ phi @ g for g in parts), m, rtol=1e-8, atol=1e-12)


def counts_sample(seed: int, k: int = 20) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = rng.integers(20, 200, k)
    x = rng.normal(size=k)
    p = expit(-2.0 + 0.5 * x + rng.normal(0, 0.5, k))
    return pd.DataFrame(
        {"e": rng.binomial(n, p), "n": n, "x": x, "c": rng.integers(0, 8, k), "t": n / 3.0}
    )


def quadrature_loglik(data: pd.DataFrame, theta: Array, rows: bool = False) -> Array:
    """Marginal binomial log-likelihood on a fine grid of the random effect."""
    u = np.linspace(-9, 9, 4001)
    x = np.column_stack([np.ones(len(data)), data["x"]])
    eta = (x @ theta[:-1])[:, None] + theta[-1] * u
    inner = stats.binom.pmf(
        data["e"].to_numpy()[:, None], data["n"].to_numpy()[:, None], expit(eta)
    )
    value = np.log((inner * stats.norm.pdf(u)).sum(axis=1) * (u[1] - u[0]))
    return value if rows else value.sum()


def test_glmm_regression_equals_a_general_optimiser_on_a_fine_grid() -> None:
    data = counts_sample(1)
    fit = meta_regression(data, "x", events="e", n="n", model="glmm", quad_points=40)
    found = optimize.minimize(
        lambda th: -quadrature_loglik(data, th),
        [-2.0, 0.3, 0.6],
        method="BFGS",
        options={"gtol": 1e-6},
    )
    np.testing.assert_allclose(fit.estimates, found.x[:2], atol=2e-6)
    assert fit.tau2 == pytest.approx(found.x[2] ** 2, abs=5e-6)
    assert fit.loglik >= -found.fun - 1e-8
    test = fit.likelihood_ratio_test()
    null = meta_regression(data, "1", events="e", n="n", model="glmm", quad_points=40)
    assert test.statistic == pytest.approx(2 * (fit.loglik - null.loglik), abs=1e-8)
    explained = 100 * max(0, 1 - fit.tau2 / null.tau2)
    assert explained == pytest.approx(fit.R2, rel=1e-6)


def test_the_profile_interval_of_the_glmm_cuts_the_likelihood() -> None:
    data = counts_sample(2)
    fit = meta_regression(data, "x", events="e", n="n", model="glmm", quad_points=40)
    for limit in fit.tau2_ci():
        assert limit > 0
        found = optimize.minimize(
            lambda b, t=limit: -quadrature_loglik(data, np.append(b, np.sqrt(t))),
            fit.estimates,
            method="BFGS",
        )
        assert fit.loglik + found.fun == pytest.approx(stats.chi2.ppf(0.95, 1) / 2, abs=1e-5)


def test_robust_glmm_equals_a_numerical_sandwich() -> None:
    data = counts_sample(3)
    fit = meta_regression(
        data, "x", events="e", n="n", model="glmm", quad_points=40, cluster="c", robust="CR0"
    )
    theta, h = np.append(fit.estimates, np.sqrt(fit.tau2)), 1e-4

    def scores(at: Array) -> Array:
        return np.column_stack(
            [
                (quadrature_loglik(data, at + d, True) - quadrature_loglik(data, at - d, True))
                / (2 * h)
                for d in np.eye(3) * h
            ]
        )

    s = scores(theta)
    hessian = np.array(
        [(scores(theta + d).sum(0) - scores(theta - d).sum(0)) / (2 * h) for d in np.eye(3) * h]
    )
    total = np.array([s[data["c"] == c].sum(axis=0) for c in np.unique(data["c"])])
    bread = np.linalg.inv(-hessian)
    expected = (bread @ total.T @ total @ bread)[:2, :2]
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-4)
    j = data["c"].nunique()
    corrected = meta_regression(
        data, "x", events="e", n="n", model="glmm", quad_points=40, cluster="c"
    )
    assert corrected.robust == "CR1"
    np.testing.assert_allclose(corrected.covariance, fit.covariance * j / (j - 2), rtol=1e-12)
    assert corrected.df.tolist() == [j - 2.0] * 2


def test_without_heterogeneity_the_glmm_is_the_glm_of_statsmodels() -> None:
    data = counts_sample(4)
    data["e"] = np.round(data["n"] * expit(-2 + 0.5 * data["x"])).astype(int)
    x = sm.add_constant(data["x"].to_numpy())
    fit = meta_regression(data, "x", events="e", n="n", model="glmm")
    both = np.column_stack([data["e"], data["n"] - data["e"]])
    other = sm.GLM(both, x, family=sm.families.Binomial()).fit(tol=1e-14)
    assert fit.tau2 == 0.0
    np.testing.assert_allclose(fit.estimates, other.params, rtol=1e-9)
    np.testing.assert_allclose(fit.covariance, other.cov_params(), rtol=1e-8)
    assert fit.heterogeneity.Q_lrt == pytest.approx(other.deviance, rel=1e-9)
    rate = meta_regression(data, "x", events="e", time="t", measure="log-rate", model="glmm")
    poisson = sm.GLM(data["e"], x, family=sm.families.Poisson(), offset=np.log(data["t"])).fit(
        tol=1e-14
    )
    assert rate.tau2 == 0.0
    np.testing.assert_allclose(rate.estimates, poisson.params, rtol=1e-8)


def test_a_batch_of_glmm_designs_equals_its_single_fits() -> None:
    data = counts_sample(5, k=12)
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(12), data["x"]])
    order = np.array([rng.permutation(12) for _ in range(8)])
    batch = regress_counts(data["e"], data["n"], x[order])
    for i in range(8):
        one = regress_counts(data["e"], data["n"], x[order[i]])
        np.testing.assert_allclose(batch.beta[i], one.beta[0], rtol=1e-8)
        assert batch.tau2[i] == pytest.approx(one.tau2[0], rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("method", ["REML", "DL"])
def test_a_batch_in_chunks_is_the_whole_batch(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    data = sample(3)
    y, v, x = data["y"].to_numpy(), data["v"].to_numpy(), design(data)
    order = np.array([rng.permutation(len(y)) for _ in range(23)])
    masks = np.ones((23, len(y)))
    masks[np.arange(23), np.arange(23) % len(y)] = 0
    for choice in ({"order": order}, {"counts": masks}):
        whole = fit_regression(y, v, x, tau2_method=method, **choice)
        with monkeypatch.context() as patch:
            patch.setattr("helpers.engine.normal.fit._CELLS", 5 * len(y) * 20)
            parts = fit_regression(y, v, x, tau2_method=method, **choice)
        for name in ("beta", "cov", "tau2", "tau2_se", "loglik", "loglik_restricted", "scale"):
            expected = getattr(whole, name)
            np.testing.assert_allclose(getattr(parts, name), expected, rtol=1e-9, atol=1e-12)
        assert (parts.estimable == whole.estimable).all()


def test_glmm_weights_are_the_observed_information_of_each_study() -> None:
    rng = np.random.default_rng(8)
    n, x = rng.integers(20, 200, 14), rng.normal(size=14)
    events = rng.binomial(n, expit(-2.5 + 0.4 * x + rng.normal(0.0, 0.7, 14)))
    data = pd.DataFrame({"events": events, "n": n, "x": x})
    fit = meta_regression(data, "x", events="events", n="n", model="glmm")
    tau, step = fit.tau2**0.5, 1e-3
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)

    def value(place: NDArray[np.float64]) -> NDArray[np.float64]:
        chance = expit(place[:, None] + tau * nodes)
        return np.log(stats.binom.pmf(events[:, None], n[:, None], chance) @ weights)

    fitted = fit.estimates[0] + fit.estimates[1] * x
    bend = value(fitted + step) - 2.0 * value(fitted) + value(fitted - step)
    information = -bend / step**2
    np.testing.assert_allclose(fit.weights, 100 * information / information.sum(), rtol=1e-4)
    X = np.column_stack([np.ones(14), x])
    inverse = linalg.inv((X.T * information) @ X)
    hat = information * np.einsum("kp,pq,kq->k", X, inverse, X)
    np.testing.assert_allclose(fit.residuals["leverage"], hat, rtol=1e-4)
    np.testing.assert_allclose(fit.influence().leverage, hat, rtol=1e-4)
    one = meta_regression(data, "1", events="events", n="n", model="glmm")
    pooled = pool(data, events="events", n="n", model="glmm")
    np.testing.assert_allclose(one.weights, pooled.weights, rtol=1e-9)
