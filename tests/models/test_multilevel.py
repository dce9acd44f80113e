"""Three-level models against R, a second computation, and what must always hold."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples
from reference_values import COLUMNS, load, study_table
from scipy import optimize, stats

from helpers.engine.normal.nested import grid_values, maximise_nested, prepare_nested, solve_nested
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.multilevel import pool_multilevel
from helpers.models.multilevel_result import MultilevelResult
from helpers.models.regression import meta_regression


def fitted(formula: str = "1", **options: Any) -> MultilevelResult:
    return pool_multilevel(
        study_table(), formula, cluster="study", **COLUMNS, model="random", **options
    )


def dense(y: Any, v: Any, x: Any, codes: Any, s: Any, restricted: bool) -> float:
    """Log-likelihood with the full covariance matrix and all constants."""
    codes = np.asarray(codes)
    sigma = s[0] * (codes[:, None] == codes[None, :]) + np.diag(np.asarray(v) + s[1])
    inverse = np.linalg.inv(sigma)
    gram = x.T @ inverse @ x
    r = y - x @ np.linalg.solve(gram, x.T @ inverse @ y)
    value = np.linalg.slogdet(sigma)[1] + r @ inverse @ r + len(y) * np.log(2 * np.pi)
    if restricted:
        value += np.linalg.slogdet(gram)[1] - np.linalg.slogdet(x.T @ x)[1]
        value -= x.shape[1] * np.log(2 * np.pi)
    return -0.5 * float(value)


def test_three_level_fits_agree_with_r() -> None:
    count: dict[str, int] = defaultdict(int)
    worst: dict[str, float] = defaultdict(float)

    def add(name: str, ours: Any, theirs: Any, scale: Any = None) -> None:
        a, b = np.atleast_1d(ours).astype(float), np.atleast_1d(theirs).astype(float)
        assert a.shape == b.shape
        unit = np.abs(b) if scale is None else scale
        count[name] += a.size
        worst[name] = max(worst[name], float((np.abs(a - b) / unit).max()))

    models = {
        "REML": fitted(ci_method="wald"),
        "ML": fitted(tau2_method="ML", ci_method="wald"),
        "REML_test_t": fitted(),
        "REML_mods_setting": fitted("Setting", ci_method="wald"),
    }
    for name, fit in models.items():
        ref = load()["multilevel"][name]
        se = np.atleast_1d(ref["se"]).astype(float)
        table = fit.coefficients
        add("coefficient (in se)", table["estimate"], ref["coef"], se)
        add("se", table["se"], se)
        add("ci (in se)", table["ci_lower"], ref["ci.lb"], se)
        add("ci (in se)", table["ci_upper"], ref["ci.ub"], se)
        add("statistic", table["statistic"], ref["stat"])
        add("p", table["p"], ref["pval"])
        add("sigma2 within", fit.sigma2_within, ref["sigma2"][1])
        add("loglik", fit.loglik, ref["fitstats.ML"]["ll"])
        add("restricted loglik", fit.loglik_restricted, ref["fitstats.REML"]["ll"])
        add("QE", fit.heterogeneity.Q, ref["QE"])
        assert [fit.clusters, fit.k] == ref["s.nlevels"]
        # R reports 1e-9 for the variance whose estimate is 0
        assert fit.sigma2_between == 0.0
        assert 0 < ref["sigma2"][0] < 1e-8
        objective = "loglik_restricted" if fit.tau2_method == "REML" else "loglik"
        assert getattr(fit, objective) >= ref[f"fitstats.{fit.tau2_method}"]["ll"] - 1e-12
    ref = load()["multilevel"]["REML_mods_setting"]
    add("omnibus", models["REML_mods_setting"].omnibus.statistic, ref["QM"])
    add("omnibus", models["REML_mods_setting"].omnibus.p, ref["QM.p"])
    ref = load()["multilevel"]["REML_predict"]
    limits = models["REML"].prediction_interval("model")
    theirs = np.array([ref["pi.lb"], ref["pi.ub"]])
    add("prediction (in half widths)", limits, theirs, np.diff(theirs) / 2)
    # The optimiser behind R's values stops 5e-7 (relative) from the maximum: our likelihood is
    # never lower (above), and the tightly iterated two-level fit, which is the same model where
    # sigma2_between = 0, has our variance to 1e-10. A statistic of 29 amplifies this in its p.
    for name, fit in (("REML", models["REML"]), ("ML", models["ML"])):
        exact = load()["PLO_fits"][name]["z"]
        assert fit.sigma2_within == pytest.approx(exact["tau2"], rel=1e-10)
        assert fit.mu == pytest.approx(exact["coef"], rel=1e-12)
        assert fit.se == pytest.approx(exact["se"], rel=1e-10)
    tolerance = dict.fromkeys(count, 1e-6) | {"p": 1e-3}
    print(dict(worst))
    assert dict(count) == {
        "coefficient (in se)": 5,
        "se": 5,
        "ci (in se)": 10,
        "statistic": 5,
        "p": 5,
        "sigma2 within": 4,
        "loglik": 4,
        "restricted loglik": 4,
        "QE": 4,
        "omnibus": 2,
        "prediction (in half widths)": 2,
    }
    assert not {n: w for n, w in worst.items() if w > tolerance[n]}


def test_variance_intervals_agree_with_r() -> None:
    ref = load()["multilevel"]["REML_confint"]
    fit = fitted()
    between, within = fit.sigma2_ci("between"), fit.sigma2_ci("within")
    # R's roots have a tolerance of 1e-4 (its default for these intervals)
    np.testing.assert_allclose(between, ref["sigma2_1"][1:], atol=2e-4)
    np.testing.assert_allclose(within, ref["sigma2_2"][1:], atol=2e-4)
    assert between.lower == 0.0


def test_robust_intervals_of_three_level_fits_agree_with_r() -> None:
    compared = 0
    cases = [("robust_CR0", "1", "CR0"), ("robust_CR1", "1", "CR1")]
    cases += [("robust_CR2_clubSandwich", "1", "CR2")]
    cases += [(f"robust_mods_setting_{kind}", "Setting", kind) for kind in ("CR1", "CR2")]
    for name, formula, kind in cases:
        ref = load()["multilevel"][name]
        fit = fitted(formula, robust=kind)
        table = fit.coefficients
        assert fit.clusters == ref["n.clusters"]
        np.testing.assert_allclose(table["se"], ref["se"], rtol=1e-7)
        np.testing.assert_allclose(fit.covariance, ref["vcov"], rtol=1e-6)
        df = np.broadcast_to(ref["ddf"], table["df"].shape)
        np.testing.assert_allclose(table["df"], df, rtol=1e-7)
        np.testing.assert_allclose(table["ci_lower"], ref["ci.lb"], rtol=1e-7)
        np.testing.assert_allclose(table["ci_upper"], ref["ci.ub"], rtol=1e-6)
        np.testing.assert_allclose(fit.omnibus.statistic, ref["QM"], rtol=1e-6)
        np.testing.assert_allclose(fit.omnibus.p, ref["QM.p"], rtol=1e-4)
        compared += 4 * len(table) + fit.covariance.size + 2
    assert compared == 49


def example(seed: int, clusters: int = 8, size: int = 4, between: float = 0.5) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(clusters), rng.integers(1, size + 1, clusters))
    v = rng.uniform(0.02, 0.3, codes.size)
    u = rng.normal(0, np.sqrt(between), clusters)[codes]
    y = u + rng.normal(0, np.sqrt(0.1 + v))
    return {"yi": y, "vi": v, "cluster": codes}


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("seed", range(6))
def test_the_maximum_equals_that_of_a_general_optimiser(seed: int, method: str) -> None:
    data = example(seed)
    fit = pool_multilevel(**data, tau2_method=method)
    y, v, codes = (np.asarray(data[k]) for k in ("yi", "vi", "cluster"))
    x = np.ones((len(y), 1))
    restricted = method == "REML"

    def loss(s: Any) -> float:
        return -dense(y, v, x, codes, s, restricted)

    starts = [(a, b) for a in (0.0, 0.1, 1.0) for b in (0.0, 0.1, 1.0)]
    found = [
        optimize.minimize(
            loss, s, bounds=[(0, None)] * 2, method="L-BFGS-B", options={"ftol": 1e-15}
        )
        for s in starts
    ]
    best = min(found, key=lambda f: f.fun)
    ours = fit.loglik_restricted if restricted else fit.loglik
    here = (fit.sigma2_between, fit.sigma2_within)
    assert ours == pytest.approx(dense(y, v, x, codes, here, restricted), abs=1e-10)
    assert ours >= -best.fun - 1e-9
    np.testing.assert_allclose(here, best.x, atol=2e-4)
    assert fit.converged


def test_gradient_and_hessian_are_derivatives_and_the_grid_is_the_likelihood() -> None:
    data = example(3)
    y, v, codes = (np.asarray(data[k]) for k in ("yi", "vi", "cluster"))
    x = np.column_stack([np.ones_like(y), np.arange(y.size)])
    nested = prepare_nested(y, v, np.linalg.qr(x)[0], codes)
    at, h = np.array([0.3, 0.2]), 1e-5
    for restricted in (True, False):
        s = solve_nested(nested, at, restricted=restricted)
        for i in range(2):
            step = np.eye(2)[i] * h
            up = solve_nested(nested, at + step, restricted=restricted)
            down = solve_nested(nested, at - step, restricted=restricted)
            assert (up.value - down.value) / (2 * h) == pytest.approx(s.gradient[i], rel=1e-7)
            numeric = (up.gradient - down.gradient) / (2 * h)
            np.testing.assert_allclose(numeric, s.hessian[i], rtol=1e-6)
        grid = grid_values(nested, at[:1], at[1:], restricted=restricted)
        assert grid[0] == pytest.approx(s.value, abs=1e-11)


def test_profile_limits_cut_the_likelihood_at_half_a_chi_squared_quantile() -> None:
    data = example(2, clusters=15)
    fit = pool_multilevel(**data)
    y, v, codes = (np.asarray(data[k]) for k in ("yi", "vi", "cluster"))
    x = np.ones((len(y), 1))
    for at, name in enumerate(("between", "within")):
        for limit in fit.sigma2_ci(name):

            def loss(other: float, at: int = at, limit: float = limit) -> float:
                s = (limit, other) if at == 0 else (other, limit)
                return -dense(y, v, x, codes, s, True)

            best = optimize.minimize_scalar(loss, bounds=(0, 20), options={"xatol": 1e-10}).fun
            drop = fit.loglik_restricted + min(best, loss(0.0))
            if limit > 0:
                assert drop == pytest.approx(3.841458820694124 / 2, abs=1e-6)
            else:
                assert drop < 3.841458820694124 / 2


def test_without_a_between_variance_the_model_is_the_two_level_one() -> None:
    fit = fitted("Setting", ci_method="t")
    two = meta_regression(study_table(), "Setting", model="random", ci_method="t", **COLUMNS)
    np.testing.assert_allclose(fit.estimates, two.estimates, rtol=1e-9)
    np.testing.assert_allclose(fit.covariance, two.covariance, rtol=1e-9)
    assert fit.sigma2_within == pytest.approx(two.tau2, rel=1e-9)
    assert fit.I2_within == pytest.approx(two.heterogeneity.I2, rel=1e-9)
    assert fit.between_test.p == 1.0
    assert [c.code for c in fit.cautions].count("boundary") == 1


def test_several_maxima_are_all_climbed() -> None:
    """Two precise clusters that agree and one that does not: one hump for each explanation."""
    y = np.array([0.0, 0.0, 5.0, 5.1, -5.0, 0.1])
    v = np.array([1e-4, 1.0, 1e-4, 1.0, 1e-4, 1.0])
    codes = np.array([0, 0, 1, 1, 2, 2])
    nested = prepare_nested(y, v, np.full((6, 1), 6**-0.5), codes)
    best = maximise_nested(nested, restricted=True)
    rng = np.random.default_rng(1)
    others = rng.exponential(10.0, (500, 2)) * rng.integers(0, 2, (500, 2))
    heights = grid_values(nested, others[:, 0], others[:, 1], restricted=True)
    assert best.value >= heights.max() - 1e-10


@examples(25)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_order_labels_and_location_do_not_matter(seed: int, random: Any) -> None:
    data = example(seed, clusters=5)
    if np.unique(data["cluster"]).size == data["cluster"].size:
        return
    fit = pool_multilevel(**data)
    index = list(range(len(data["yi"])))
    random.shuffle(index)
    moved = pool_multilevel(
        yi=data["yi"][index] + 7.0,
        vi=data["vi"][index],
        cluster=[f"centre {9 - c}" for c in data["cluster"][index]],
    )
    assert moved.mu == pytest.approx(fit.mu + 7.0, rel=1e-9)
    assert moved.se == pytest.approx(fit.se, rel=1e-7)
    assert moved.sigma2_between == pytest.approx(fit.sigma2_between, rel=1e-6, abs=1e-9)
    assert moved.sigma2_within == pytest.approx(fit.sigma2_within, rel=1e-6, abs=1e-9)
    assert min(fit.sigma2_between, fit.sigma2_within) >= 0
    doubled = pool_multilevel(yi=2 * data["yi"], vi=4 * data["vi"], cluster=data["cluster"])
    assert doubled.mu == pytest.approx(2 * fit.mu, rel=1e-7, abs=1e-9)
    assert doubled.tau2 == pytest.approx(4 * fit.tau2, rel=1e-6, abs=1e-9)


def test_the_between_test_keeps_its_level() -> None:
    """300 data sets without a cluster effect: 5% rejected, within three standard errors."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(15), 3)
    rejected = 0
    for i in range(300):
        v = rng.uniform(0.05, 0.3, codes.size)
        y = rng.normal(0, np.sqrt(v + 0.2))
        nested = prepare_nested(y, v, np.full((codes.size, 1), codes.size**-0.5), codes)
        best = maximise_nested(nested, restricted=True)
        none = maximise_nested(nested, restricted=True, fixed=(0.0, None))
        # half of the distribution lies at zero
        p = 0.5 * stats.chi2.sf(2 * (best.value - none.value), 1) if best.variances[0] > 0 else 1.0
        rejected += p <= 0.05
        if i < 10:  # the same search, without what a result holds beside it
            assert pool_multilevel(yi=y, vi=v, cluster=codes).between_test.p == pytest.approx(p)
    assert abs(rejected / 300 - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 300)


def test_the_result_is_frozen_and_its_views_agree() -> None:
    fit = fitted(ci_method="t", robust="CR2")
    with pytest.raises(FrozenInstanceError):
        fit.k = 5  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        fit.estimates[0] = 1.0
    assert fit.ci.lower < fit.estimate < fit.ci.upper
    assert fit.prediction_interval().lower < fit.ci.lower
    row = fit.summary_frame().iloc[0]
    assert row["sigma2_within"] == fit.sigma2_within
    content = fit.to_dict()
    assert json.loads(json.dumps(content)) == content
    assert "CR2" in str(fit.methods())
    for model, did in ((fit, "pooled"), (fitted("Setting"), "regressed on Setting")):
        said = f"from {model.clusters} clusters was {did} with a three-level model"
        assert said in str(model.methods())
    assert fit.correlation == 0.0
    contrast = fit.contrast({"Intercept": 1.0})
    assert contrast["se"].iloc[0] == pytest.approx(fit.se)
    assert fit.wald([1.0]).statistic == pytest.approx((fit.mu / fit.se) ** 2)


def test_bad_input_gets_one_clear_error() -> None:
    data = example(0)
    single = {**data, "cluster": np.arange(len(data["yi"]))}
    with pytest.raises(UnsupportedError, match="one cohort"):
        pool_multilevel(**single)
    with pytest.raises(MetaAnalysisError, match="two clusters"):
        pool_multilevel(**{**data, "cluster": ["a"] * len(data["yi"])})
    with pytest.raises(UnsupportedError, match="REML, ML"):
        pool_multilevel(**data, tau2_method="DL")
    with pytest.raises(UnsupportedError, match="wald, t"):
        pool_multilevel(**data, ci_method="knapp-hartung")
    with pytest.raises(UnsupportedError, match="CR0, CR1, CR2"):
        pool_multilevel(**data, robust="HC3")
    with pytest.raises(UnsupportedError, match="use predict"):
        _ = fitted("Setting").mu
    with pytest.raises(UnsupportedError, match="between, within"):
        fitted().sigma2_ci("total")
    with pytest.raises(UnsupportedError, match="display, model"):
        fitted().conf_int("percent")
