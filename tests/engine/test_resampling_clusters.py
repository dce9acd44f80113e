"""Clusters drawn, or their signs flipped, as a whole; scores of the beta-binomial model."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from densities import log_beta_binomial
from scipy import optimize, special, stats

from helpers import (
    aftercare,
    meta_regression,
    pool,
    pool_beta_binomial,
    pool_effects,
    pool_multilevel,
)
from helpers.engine.aftercare.resampled import _draw
from helpers.engine.aftercare.sign_flips import _scores
from helpers.errors import MetaAnalysisError, UnsupportedError

X = np.array([1, 3, 9, 14, 2, 4, 6, 5, 12, 17, 4, 3])
N = np.array([60, 80, 70, 90, 50, 45, 75, 70, 66, 80, 75, 40])
TABLE = pd.DataFrame(
    {
        "study": [f"S{i}" for i in range(12)],
        "x": X,
        "n": N,
        "place": list("aaabbcccddee"),
        "late": [0, 1, 0, 1, 0, 0, 0, 1, 1, 0, 1, 0],
    }
)
COUNTS: dict[str, Any] = {"events": "x", "n": "n", "study": "study"}
CODES = np.unique(TABLE["place"], return_inverse=True)[1]
WAYS: dict[str, dict[str, Any]] = {
    "REML": {"tau2_method": "REML", "to": "all"},
    "ML": {"tau2_method": "ML", "to": "all"},
    "binomial": {"model": "glmm"},
}


def levels(name: str, formula: str = "1", rows: pd.DataFrame = TABLE) -> Any:
    return pool_multilevel(rows, formula, cluster="place", **COUNTS, **WAYS[name])


def copied(times: np.ndarray) -> pd.DataFrame:
    """Cohorts as often as they were drawn, each copy of a cluster under a name of its own."""
    rounds = [TABLE[times > n].assign(place=lambda t, n=n: t["place"] + str(n)) for n in range(6)]
    again = pd.concat(rounds, ignore_index=True)
    return again.assign(study=[f"R{i}" for i in range(len(again))])


# --- the bootstrap -----------------------------------------------------------------------------


@pytest.mark.parametrize("formula", ["1", "late"])
@pytest.mark.parametrize("name", WAYS)
def test_each_copy_of_a_cluster_is_a_cluster_of_its_own(name: str, formula: str) -> None:
    fit = levels(name, formula)
    result = fit.bootstrap(24, "nonparametric", seed=5)
    drawn = _draw(fit.core, fit, 24, "nonparametric", np.random.default_rng(5)).weights
    assert drawn is not None
    found = 0
    quantities = list(result.se)
    for times in drawn:
        assert all(len(set(times[code == CODES])) == 1 for code in range(5))
        assert sum(times[code == CODES][0] for code in range(5)) == 5
        try:
            own = levels(name, formula, copied(times))
        except MetaAnalysisError:  # one cluster, or one level of the factor
            continue
        values = [result.drawn[quantity][found] for quantity in quantities]
        np.testing.assert_allclose(values, own.estimates, rtol=1e-5, atol=1e-6)
        errors = [result.se[quantity][found] for quantity in quantities]
        np.testing.assert_allclose(errors, np.sqrt(np.diag(own.joint_covariance))[: own.p], 1e-4)
        assert result.drawn["tau2"][found] == pytest.approx(own.tau2, rel=1e-4, abs=1e-6)
        found += 1
    assert found == 24 - result.failed > 20
    gone = fit.leave_one_out("cluster")
    spread = gone["mu" if formula == "1" else "late"].to_numpy()
    spread = spread.mean() - spread
    expected = (spread**3).sum() / (6.0 * (spread**2).sum() ** 1.5)
    assert result.acceleration is not None
    assert result.acceleration[quantities[-1]] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["REML", "binomial"])
def test_parametric_draws_of_a_regression_share_the_effect_of_their_cluster(name: str) -> None:
    fit = levels(name, "late")
    drawn = _draw(fit.core, fit, 20_000, "parametric", np.random.default_rng(1))
    fitted = fit.core.X @ fit.estimates
    if name == "binomial":
        assert drawn.events is not None
        # the mean of a logit-normal proportion, by Gauss and Hermite
        nodes, weights = np.polynomial.hermite_e.hermegauss(40)
        at = special.expit(fitted[:, None] + np.sqrt(fit.tau2) * nodes)
        mean = at @ weights / weights.sum()
        np.testing.assert_allclose((drawn.events / N).mean(axis=0), mean, rtol=0.03)
        return
    assert drawn.y is not None
    np.testing.assert_allclose(drawn.y.mean(axis=0), fitted, atol=0.03)
    shared = (CODES[:, None] == CODES) * fit.sigma2_between
    expected = shared + np.diag(fit.core.vi + fit.sigma2_within)
    np.testing.assert_allclose(np.cov(drawn.y.T), expected, atol=0.05)


def test_a_regression_with_clusters_draws_them_as_a_whole() -> None:
    fit = meta_regression(TABLE, "late", **COUNTS, model="random", cluster="place")
    result = fit.bootstrap(40, "nonparametric", seed=2)
    drawn = _draw(fit.core, fit, 40, "nonparametric", np.random.default_rng(2)).weights
    assert drawn is not None
    plain = meta_regression(TABLE, "late", **COUNTS, model="random")
    refits = plain.core.fit_coefficients(drawn)
    np.testing.assert_array_equal(result.drawn["late"], refits.beta[refits.converged, 1])
    assert all(len(set(times[code == CODES])) == 1 for times in drawn for code in range(5))
    # replicates have the standard errors of the model; what they are set against has them too
    assert result.observed_se["late"] == pytest.approx(plain.coefficients.loc["late", "se"])
    assert result.observed_se["late"] != pytest.approx(fit.coefficients.loc["late", "se"])
    with pytest.raises(UnsupportedError, match="draws whole clusters"):
        fit.bootstrap(40)


def test_robust_errors_do_not_enter_the_bootstrap() -> None:
    robust = pool_multilevel(
        TABLE, cluster="place", **COUNTS, tau2_method="REML", to="all", robust="CR2", ci_method="t"
    )
    for kind in ("parametric", "nonparametric"):
        ours, plain = (fit.bootstrap(40, kind) for fit in (robust, levels("REML")))
        assert ours.observed_se == plain.observed_se
        assert ours.conf_int("mu", "studentised") == plain.conf_int("mu", "studentised")


def test_clusters_drawn_as_a_whole_show_the_spread_of_the_mean() -> None:
    """Few cohorts would do if they were independent; drawing them one by one would say they are."""
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(24), 3)
    y = rng.normal(0.0, 1.0, 24)[codes] + rng.normal(0.0, 0.2, 72)
    fit = pool_multilevel(yi=y, vi=np.full(72, 0.02), cluster=codes.tolist())
    drawn = fit.bootstrap(300, "nonparametric").drawn["mu"]
    assert drawn.std(ddof=1) == pytest.approx(fit.se, rel=0.15)
    one_by_one = pool_effects(y, np.full(72, 0.02)).bootstrap(300, "nonparametric").drawn["mu"]
    assert one_by_one.std(ddof=1) < 0.7 * fit.se


# --- sign flips --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["REML", "ML"])
def test_effects_of_a_cluster_change_their_sign_together(name: str) -> None:
    fit, null = levels(name), -2.6
    test = fit.permutation_test(null, scale="model", draws="exact", conf_int=False)
    statistics = []
    for signs in product((1.0, -1.0), repeat=5):
        flipped = null + np.array(signs)[CODES] * (fit.core.yi - null)
        own = pool_multilevel(
            yi=flipped, vi=fit.core.vi, cluster=TABLE["place"].tolist(), tau2_method=name
        )
        statistics.append(abs(own.mu - null) / own.se)
    assert abs(test.statistic) == pytest.approx(statistics[0], rel=1e-6)
    assert test.p == np.mean(np.array(statistics) >= statistics[0] * (1.0 - 1e-7))
    assert (test.draws, test.exact, test.kind) == (32, True, "refit")
    assert 2 / 32 <= test.p < 1.0


def likelihood(mu: float, between: float, within: float, x: Any, n: Any) -> float:
    """Log-likelihood of one cluster of counts, by sums over both effects."""
    z = np.linspace(-7.5, 7.5, 161)
    density = stats.norm.pdf(z) * (z[1] - z[0])
    at = special.expit(mu + np.sqrt(between) * z[:, None] + np.sqrt(within) * z)
    each = [stats.binom.pmf(a, b, at) @ density for a, b in zip(x, n, strict=True)]
    return float(np.log(np.prod(each, axis=0) @ density))


def test_the_scores_of_clusters_are_slopes_of_their_likelihood() -> None:
    null, step = -2.6, 1e-3
    fit = pool_multilevel(TABLE, cluster="place", **COUNTS, quad_points=20)

    def whole(roots: np.ndarray, mu: float = null) -> np.ndarray:
        pairs = [(X[code == CODES], N[code == CODES]) for code in range(5)]
        return np.array([likelihood(mu, *np.square(roots), *pair) for pair in pairs])

    best = optimize.minimize(
        lambda roots: -whole(roots).sum(), [0.5, 0.3], method="Nelder-Mead",
        options={"xatol": 1e-5, "fatol": 1e-9},
    ).x  # fmt: skip
    slopes = (whole(best, null + step) - whole(best, null - step)) / (2.0 * step)
    scores = _scores(fit.core, null)
    assert scores is not None
    np.testing.assert_allclose(scores, slopes, rtol=1e-3, atol=1e-3)
    test = fit.permutation_test(null, scale="model", draws="exact", conf_int=False)
    assert abs(test.statistic) == pytest.approx(abs(slopes.sum()) / np.sqrt(slopes @ slopes), 1e-3)
    patterns = [abs(np.dot(s, slopes)) for s in product((1, -1), repeat=5)]
    assert test.p == np.mean(np.array(patterns) >= abs(slopes.sum()) * (1 - 1e-6))
    assert test.kind == "score"


def test_the_scores_of_the_beta_binomial_model_are_slopes_of_its_likelihood() -> None:
    fit, null, step = pool_beta_binomial(TABLE, **COUNTS), -2.6, 1e-4

    def each(mu: float, rho: float) -> np.ndarray:
        size, p = 1.0 / rho - 1.0, special.expit(mu)
        return np.asarray(log_beta_binomial(X, N, p * size, (1.0 - p) * size))

    rho = optimize.minimize_scalar(
        lambda rho: -each(null, rho).sum(), bounds=(1e-4, 0.5), method="bounded",
        options={"xatol": 1e-9},
    ).x  # fmt: skip
    slopes = (each(null + step, rho) - each(null - step, rho)) / (2.0 * step)
    scores = _scores(fit.core, null)
    np.testing.assert_allclose(scores, slopes, rtol=1e-4, atol=1e-4)
    test = fit.permutation_test(null, scale="model", draws="exact", conf_int=False)
    assert abs(test.statistic) == pytest.approx(abs(slopes.sum()) / np.sqrt(slopes @ slopes), 1e-4)
    assert (test.draws, test.kind) == (4096, "score")


def test_without_extra_variance_all_models_of_counts_have_one_test() -> None:
    """Rates more alike than chance: every variance is 0 under the null near the mean."""
    table = TABLE.assign(n=100, x=[9, 10, 11, 10, 9, 11, 10, 10, 9, 11, 10, 10])
    tests = [
        fit.permutation_test(0.095, draws="exact", conf_int=False)
        for fit in (pool(table, **COUNTS), pool_beta_binomial(table, **COUNTS))
    ]
    assert tests[0].statistic == pytest.approx(tests[1].statistic, rel=1e-8)
    assert tests[0].p == tests[1].p
    nested = pool_multilevel(table, cluster="place", **COUNTS)
    sums = np.bincount(CODES, (table["x"] - 9.5) / 9.5)
    statistic = nested.permutation_test(0.095, draws="exact", conf_int=False).statistic
    assert statistic == pytest.approx(sums.sum() / np.sqrt(sums @ sums), rel=1e-6)


@pytest.mark.parametrize("name", ["REML", "binomial", "beta"])
def test_the_interval_holds_the_means_that_are_not_rejected(name: str) -> None:
    if name == "beta":
        fit: Any = pool_beta_binomial(TABLE, **COUNTS)
        given: dict[str, Any] = {"draws": 400}
    else:
        rows = TABLE.assign(place=list("aabbccddefgg"))
        fit, given = levels(name, rows=rows), {"draws": "exact"}
    test = fit.permutation_test(0.06, **given)
    assert test.ci_model is not None
    assert np.isfinite(test.ci_model).all()
    edge = 2e-4 * fit.se_model
    for end, inward in zip(test.ci_model, (edge, -edge), strict=True):
        inside, outside = (
            fit.permutation_test(at, scale="model", conf_int=False, **given).p
            for at in (end + inward, end - inward)
        )
        assert inside > 0.05 >= outside


def test_flipping_clusters_keeps_the_level_where_flipping_studies_does_not() -> None:
    """60 data sets under the null, six clusters of four cohorts that have much in common."""
    rng = np.random.default_rng(6)
    codes = np.repeat(np.arange(6), 4)
    together = apart = 0
    for _ in range(60):
        y = rng.normal(0.0, 0.5, 6)[codes] + rng.normal(0.0, 0.2, 24)
        fit = pool_multilevel(yi=y, vi=np.full(24, 0.02), cluster=codes.tolist())
        together += fit.permutation_test(0.0, draws="exact", conf_int=False).p <= 0.05
        flat = pool_effects(y, np.full(24, 0.02))
        apart += flat.permutation_test(0.0, draws=99, conf_int=False).p <= 0.05
    # 5% of 60 is 3 with a standard deviation of 1.7
    assert together <= 3 + 3 * 1.7
    assert apart > 12


def test_moderators_of_three_levels_are_not_permuted() -> None:
    for name in ("REML", "binomial"):
        with pytest.raises(UnsupportedError, match="breaks their clusters apart; test them with"):
            levels(name, "late").permutation_test(0.1)
    regression: Any = meta_regression(TABLE, "late", **COUNTS)
    with pytest.raises(UnsupportedError, match="whose own permutation_test"):
        aftercare.permutation_test(regression, 0.1)
    codes = np.repeat(np.arange(24), 2).tolist()
    many = pool_multilevel(yi=np.arange(48.0) % 7, vi=[1.0] * 48, cluster=codes)
    with pytest.raises(UnsupportedError, match="up to 20 clusters; there are 24"):
        many.permutation_test(0.0, draws="exact")
