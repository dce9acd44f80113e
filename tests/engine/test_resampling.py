"""Bootstrap and sign flips: replicates against single fits, intervals against definitions."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from reference_values import counts
from scipy import stats

from helpers.engine.aftercare import leave_one_out, sign_flips
from helpers.engine.aftercare.resampled import BOOTSTRAP_METHODS, _draw, bootstrap
from helpers.engine.aftercare.sign_flips import _score_statistics, _signs, permutation_test
from helpers.engine.counts.kernel import gauss_hermite, study_terms
from helpers.engine.counts.studies import prepare as prepare_counts
from helpers.engine.distributions import expit
from helpers.engine.normal.tau2 import estimate_tau2
from helpers.engine.normal.weighted import prepare
from helpers.errors import ConvergenceError, UnsupportedError
from helpers.models.pooling import pool, pool_effects
from helpers.models.result import PoolResult

MODELS: dict[str, dict[str, Any]] = {
    "REML": {"model": "random", "ci_method": "wald"},
    "Knapp-Hartung": {"model": "random"},
    "DL": {"tau2_method": "DL"},
    "common": {"model": "common"},
    "common rate": {"model": "common", "method": "likelihood"},
    "GLMM": {"model": "glmm"},
}
KINDS = ("parametric", "nonparametric")


def cohorts(k: int = 10, **options: Any) -> PoolResult:
    x, n = counts()
    return pool(events=x[:k], n=n[:k], **{"model": "random", **options})


# --- bootstrap -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_replicate_equals_a_single_fit(name: str, kind: str) -> None:
    fit = cohorts(**MODELS[name])
    result = bootstrap(fit, 60, kind, seed=5)  # type: ignore[arg-type]
    drawn = _draw(fit.core, fit, 60, kind, np.random.default_rng(5))
    assert result.failed == 0
    for row in range(60):
        if kind == "nonparametric":
            pick = np.repeat(np.arange(10), drawn.weights[row])
            if fit.options.method == "likelihood":
                x, n = fit.data.events, fit.data.size
                assert x is not None
                assert n is not None
                own = pool(events=x[pick], n=n[pick], **MODELS[name])
            else:
                own = pool_effects(fit.data.yi[pick], fit.data.vi[pick], **MODELS[name])
        elif drawn.y is not None:
            own = pool_effects(drawn.y[row], fit.data.vi, **MODELS[name])
        else:
            own = pool(events=drawn.events[row], n=fit.data.size, **MODELS[name])
        assert result.drawn["mu"][row] == pytest.approx(own.mu, rel=1e-9)
        assert result.se["mu"][row] == pytest.approx(own.se, rel=1e-8)
        assert result.drawn["tau2"][row] == pytest.approx(own.tau2, rel=1e-7, abs=1e-12)
        assert result.drawn["I2"][row] == pytest.approx(own.heterogeneity.I2, rel=1e-7, abs=1e-8)


def test_global_maximum_is_found_in_every_one_of_two_thousand_replicates() -> None:
    # metafor-like hill climbing from one start is not enough: compare with the engine's scan.
    fit = cohorts(52, ci_method="wald")
    for kind in KINDS:
        result = bootstrap(fit, 2000, kind, seed=9)  # type: ignore[arg-type]
        drawn = _draw(fit.core, fit, 2000, kind, np.random.default_rng(9))
        batch = prepare(
            fit.data.yi[None] if drawn.y is None else drawn.y, fit.data.vi[None], drawn.weights
        )
        engine = estimate_tau2(batch, "REML")
        assert result.failed == 0
        assert result.drawn["tau2"] == pytest.approx(engine.tau2, rel=1e-8, abs=1e-12)


def test_parametric_draws_have_the_moments_of_the_model() -> None:
    fit = cohorts(ci_method="wald")
    y = _draw(fit.core, fit, 20_000, "parametric", np.random.default_rng(1)).y
    sd = np.sqrt(fit.data.vi + fit.tau2)
    assert np.abs(y.mean(axis=0) - fit.mu).max() < (5 * sd / np.sqrt(20_000)).max()
    assert y.std(axis=0) == pytest.approx(sd, rel=0.03)
    fit = cohorts(model="glmm")
    x = _draw(fit.core, fit, 20_000, "parametric", np.random.default_rng(1)).events
    z, w = np.polynomial.hermite_e.hermegauss(60)
    p = float(w @ expit(fit.mu + np.sqrt(fit.tau2) * z)) / w.sum()
    assert fit.data.size is not None
    assert x.mean(axis=0) / fit.data.size == pytest.approx(np.full(10, p), rel=0.03)
    x, t = counts()
    rate = pool(events=x[:10], time=t[:10], measure="log-rate", model="glmm")
    x = _draw(rate.core, rate, 20_000, "parametric", np.random.default_rng(1)).events
    mean = np.exp(rate.mu + rate.tau2 / 2)
    assert x.mean(axis=0) / t[:10] == pytest.approx(np.full(10, mean), rel=0.04)


def test_intervals_follow_their_definitions() -> None:
    fit = cohorts(ci_method="wald")
    result = bootstrap(fit, 1999, "nonparametric", seed=2)
    ordered = np.sort(result.drawn["mu"])
    # 0.025 * (1999 + 1) = 50: exactly the 50th and the 1950th of the ordered replicates
    low, high = result.conf_int("mu", "percentile", scale="model")
    assert (low, high) == pytest.approx((ordered[49], ordered[1949]), rel=1e-12)
    assert result.conf_int("mu", "basic", scale="model") == pytest.approx(
        (2 * fit.mu - ordered[1949], 2 * fit.mu - ordered[49]), rel=1e-12
    )
    t = np.sort((result.drawn["mu"] - fit.mu) / result.se["mu"])
    assert result.conf_int("mu", "studentised", scale="model") == pytest.approx(
        (fit.mu - fit.se * t[1949], fit.mu - fit.se * t[49]), rel=1e-12
    )
    for quantity in ("tau2", "I2"):  # without a scale of display
        ordered = np.sort(result.drawn[quantity])
        assert result.conf_int(quantity, "percentile") == pytest.approx(
            (ordered[49], ordered[1949]), rel=1e-12
        )
    shown = result.conf_int("mu", "percentile")
    assert shown == pytest.approx((expit(low), expit(high)), rel=1e-12)
    table = result.summary_frame()
    assert set(table.loc["mu"].index) == set(BOOTSTRAP_METHODS)
    assert table.loc[("mu", "percentile"), "se"] == pytest.approx(result.drawn["mu"].std(ddof=1))
    assert result.to_dict()["draws"] == 1999


def test_bca_agrees_with_scipy() -> None:
    # A weighted mean with equal variances is a plain mean, which scipy bootstraps too.
    rng = np.random.default_rng(8)
    y = rng.exponential(1.0, 25)
    result = bootstrap(
        pool_effects(y, np.full(25, 1.0), model="common"), 9999, "nonparametric", seed=3
    )
    ours = result.conf_int("mu", "bca", scale="model")
    theirs = stats.bootstrap(
        (y,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(4)
    ).confidence_interval
    # two independent sets of draws: within Monte Carlo error of the quantiles
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03)
    influence = y.mean() - leave_one_out(pool_effects(y, np.full(25, 1.0), model="common"))["mu"]
    cubes = float((influence**3).sum() / (6 * (influence**2).sum() ** 1.5))
    assert result.acceleration is not None
    assert result.acceleration["mu"] == pytest.approx(cubes, rel=1e-9)


def test_failed_replicates_are_counted_and_left_out() -> None:
    fit = pool(events=[0, 1, 0, 1], n=[12, 15, 9, 14], model="glmm")
    for kind in KINDS:
        result = bootstrap(fit, 400, kind, seed=1)  # type: ignore[arg-type]
        assert 0 < result.failed < 400
        assert sum(result.failures.values()) == result.failed
        assert len(result.drawn["mu"]) == 400 - result.failed
        assert np.isfinite(result.drawn["mu"]).all()
        low, high = result.conf_int()
        assert 0 <= low <= high <= 1


def test_what_a_bootstrap_cannot_give() -> None:
    fit = cohorts(ci_method="wald")
    parametric = bootstrap(fit, 100)
    for arguments in (
        {"quantity": "mu", "method": "bca"},
        {"quantity": "tau2", "method": "studentised"},
        {"quantity": "Q"},
        {"method": "normal"},
        {"level": 1.0},
        {"scale": "odds"},
    ):
        with pytest.raises(UnsupportedError):
            parametric.conf_int(**arguments)  # type: ignore[arg-type]
    assert set(parametric.summary_frame().loc["mu"].index) == {"percentile", "basic", "studentised"}
    common = bootstrap(cohorts(model="common"), 100)
    assert list(common.summary_frame().index.get_level_values("quantity").unique()) == ["mu"]
    with pytest.raises(UnsupportedError, match="common-effect"):
        common.conf_int("tau2")
    for bad in ({"draws": 5}, {"kind": "wild"}):
        with pytest.raises(UnsupportedError):
            bootstrap(fit, **bad)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="at least 2 studies"):
        bootstrap(cohorts(1))
    with pytest.raises(UnsupportedError, match="converged"):
        bootstrap(replace(fit, converged=False))


def test_the_same_seed_gives_the_same_replicates() -> None:
    for name in ("REML", "GLMM"):
        first, again = (bootstrap(cohorts(**MODELS[name]), 50, seed=4) for _ in range(2))
        assert np.array_equal(first.drawn["mu"], again.drawn["mu"])
        assert not np.array_equal(
            first.drawn["mu"], bootstrap(cohorts(**MODELS[name]), 50, seed=5).drawn["mu"]
        )


def test_bootstrap_intervals_cover() -> None:
    """With 15 studies 95% intervals of mu cover in about 95% of 300 data sets."""
    rng = np.random.default_rng(6)
    v = rng.uniform(0.05, 0.3, 15)
    hits = {"percentile": 0, "studentised": 0}
    for s in range(300):
        y = rng.normal(0.0, np.sqrt(v + 0.1))
        result = bootstrap(pool_effects(y, v, ci_method="wald"), 199, seed=s)
        for method in hits:
            low, high = result.conf_int("mu", method)
            hits[method] += low <= 0.0 <= high
    # The binomial standard error is 1.3 points; percentile intervals are a little narrow.
    assert 270 <= hits["percentile"] <= 297
    assert 275 <= hits["studentised"] <= 297


# --- sign flips ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["REML", "Knapp-Hartung", "DL", "common"])
def test_exact_sign_flips_by_brute_force(name: str) -> None:
    fit = cohorts(7, **MODELS[name])
    test = permutation_test(fit, 0.06, draws="exact", conf_int=False)
    y = fit.data.yi - test.null_model
    statistics = []
    for signs in product((1.0, -1.0), repeat=7):
        own = pool_effects(np.array(signs) * y, fit.data.vi, **MODELS[name])
        statistics.append(abs(own.mu) / own.se)
    observed = statistics[0]
    assert abs(test.statistic) == pytest.approx(observed, rel=1e-9)
    assert test.p == np.mean(np.array(statistics) >= observed * (1 - 1e-9))
    assert test.draws == 128
    assert test.p_mcse == 0.0


def test_common_effect_sign_flips_in_closed_form() -> None:
    # With equal variances and a common effect the statistic is the sum of the deviations.
    y = np.array([0.3, 1.2, -0.4, 0.9, 0.5])
    test = permutation_test(
        pool_effects(y, np.full(5, 0.2), model="common"), 0.0, draws="exact", conf_int=False
    )
    sums = [abs(np.dot(s, y)) for s in product((1, -1), repeat=5)]
    assert test.p == np.mean(np.array(sums) >= abs(y.sum()) - 1e-12)


def test_the_score_of_the_glmm_is_the_slope_of_its_likelihood() -> None:
    x, n = counts()
    fit = pool(events=x[:8], n=n[:8], model="glmm")
    null, step = -2.2, 1e-5
    nodes = gauss_hermite(7)
    # tau2 under the null by a grid, the score by differences: no code shared with the test
    grid = np.linspace(0.01, 1.5, 15_000)[:, None]
    eta = np.full((len(grid), 8), null)
    studies = prepare_counts("binomial", x[None, :8], n[None, :8])
    tau2 = grid[study_terms(studies, eta, grid, nodes).value.sum(axis=1).argmax()]
    ends = [
        study_terms(studies, np.full((1, 8), null + d), tau2[None], nodes).value[0]
        for d in (-step, step)
    ]
    score = (ends[1] - ends[0]) / (2 * step)
    signs = _signs(8, "exact", 1).flips
    ours, failed = _score_statistics(fit.core, null, signs)
    theirs = np.abs(signs @ score) / np.sqrt(score @ score)
    assert failed == 0
    assert ours == pytest.approx(theirs, abs=2e-3)


@pytest.mark.parametrize("name", ["REML", "common", "GLMM", "common rate"])
def test_interval_holds_the_means_that_are_not_rejected(name: str) -> None:
    fit = cohorts(9, **MODELS[name])
    test = permutation_test(fit, 0.06, draws="exact")
    assert test.ci_model is not None
    assert test.ci is not None
    low, high = test.ci_model
    assert low < fit.mu < high
    assert test.ci == pytest.approx((expit(low), expit(high)))
    assert test.seed is None

    def p(mean: float) -> float:
        return permutation_test(fit, mean, draws="exact", scale="model", conf_int=False).p

    edge = 2e-4 * fit.se_model
    assert p(low + edge) > 0.05 >= p(low - edge)
    assert p(high - edge) > 0.05 >= p(high + edge)
    assert p(fit.mu) > 0.05


def test_random_flips_approach_the_exact_p_value() -> None:
    fit = cohorts(12, ci_method="wald")
    exact = permutation_test(fit, 0.05, draws="exact", conf_int=False)
    some = permutation_test(fit, 0.05, draws=1500, seed=2, conf_int=False)
    assert not some.exact
    assert some.draws == 1500
    assert abs(some.p - exact.p) < 4 * some.p_mcse
    assert some.p_mcse == pytest.approx(stats.binom.std(1500, some.p) / 1500)
    again = permutation_test(fit, 0.05, draws=1500, seed=2, conf_int=False)
    assert again.p == some.p
    # few enough patterns: all of them, whatever number is asked for
    assert permutation_test(fit, 0.05, draws=2048, conf_int=False).exact


def test_too_few_studies_give_the_whole_line_not_an_error() -> None:
    # five studies: the smallest p-value is 2/32 > 0.05, so that nothing can be rejected
    test = permutation_test(cohorts(5, ci_method="wald"), 0.06, draws="exact")
    assert test.ci == (0.0, 1.0)
    assert test.ci_model == (-np.inf, np.inf)
    assert test.to_dict()["ci_model"] is None
    lower_level = permutation_test(cohorts(5, ci_method="wald"), 0.06, draws="exact", level=0.8)
    assert lower_level.ci_model is not None
    assert np.isfinite(lower_level.ci_model).all()
    assert lower_level.summary_frame().loc[lower_level.null, "draws"] == 32


def test_what_a_sign_flip_test_refuses() -> None:
    fit = cohorts(8)
    for arguments in (
        {"null": 0.0},
        {"null": 1.2},
        {"null": 0.1, "draws": 3},
        {"null": 0.1, "draws": "all"},
        {"null": 0.1, "scale": "odds"},
        {"null": 0.1, "level": 0.0},
    ):
        with pytest.raises(UnsupportedError):
            permutation_test(fit, **arguments)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="up to 20 studies; there are 52"):
        permutation_test(cohorts(52), 0.1, draws="exact")


def test_the_null_is_read_on_the_scale_of_the_measure() -> None:
    x, t = counts()
    for measure in ("log-rate", "sqrt-rate", "freeman-tukey-rate"):
        test = permutation_test(
            pool(events=x[:8], time=t[:8], measure=measure, model="random"), 0.07, conf_int=False
        )
        assert test.null == pytest.approx(0.07, rel=1e-9)
    for measure in ("raw", "log", "arcsine", "double-arcsine"):
        test = permutation_test(cohorts(8, measure=measure), 0.07, conf_int=False)
        assert test.null == pytest.approx(0.07, rel=1e-9)
    effects = pool_effects([-0.2, 0.4, 0.1, 0.6], [0.1] * 4)
    assert permutation_test(effects, -1.0, conf_int=False).null_model == -1.0


@pytest.mark.parametrize(("k", "tau2"), [(8, 0.3), (12, 0.2)])
def test_score_flips_keep_their_level_with_few_studies(k: int, tau2: float) -> None:
    """250 data sets under the null: rejections at 5% within simulation error, or fewer."""
    rng = np.random.default_rng(3)
    n = rng.integers(20, 200, k)
    rejected = total = 0
    for s in range(250):
        x = rng.binomial(n, expit(-2.3 + np.sqrt(tau2) * rng.standard_normal(k)))
        if x.sum() == 0:
            continue
        fit = pool(events=x, n=n, model="glmm")
        test = permutation_test(fit, -2.3, scale="model", draws=400, seed=s, conf_int=False)
        rejected += test.p <= 0.05
        total += 1
    assert total > 245
    # 5% of 250 is 12.5 with a standard deviation of 3.4
    assert rejected <= 12.5 + 3 * 3.4


def test_the_sign_flip_interval_takes_few_batches_and_ends_where_the_test_rejects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit = cohorts(ci_method="wald")
    batches = []

    def counted(*arguments: object) -> object:
        batches.append(1)
        return original(*arguments)

    original = sign_flips._refit_statistics
    monkeypatch.setattr(sign_flips, "_refit_statistics", counted)
    test = permutation_test(fit, 0.06, draws=1000)
    assert len(batches) <= 22
    assert test.ci_model is not None
    for end, side in zip(test.ci_model, (-1.0, 1.0), strict=True):
        for step, inside in ((-2e-4, True), (2e-4, False)):
            mean = end + side * step * fit.se_model
            p = permutation_test(fit, mean, draws=1000, scale="model", conf_int=False).p
            assert (p > 0.05) == inside


# --- what is missing, and what is refused --------------------------------------------------


EFFECTS = pool_effects([0.1, 0.4, -0.2, 0.3, 0.6, 0.2], [0.1, 0.2, 0.1, 0.1, 0.1, 0.3])


def test_a_sign_flip_test_without_an_interval_has_none() -> None:
    test = permutation_test(EFFECTS, 0.1, draws="exact", conf_int=False)
    assert test.ci is None
    assert test.ci_model is None
    plain = test.to_dict()
    assert (plain["ci"], plain["ci_model"], plain["seed"]) == (None, None, None)
    assert test.summary_frame()[["ci_lower", "ci_upper"]].isna().all().all()
    assert repr(test).splitlines()[3].split(maxsplit=1)[1].endswith("CI –")


def test_a_sign_flip_test_says_how_its_patterns_were_made_and_how_many_failed() -> None:
    every = permutation_test(EFFECTS, 0.1, draws="exact", conf_int=False)
    assert repr(every).endswith("64 (all patterns of signs)")
    some = permutation_test(EFFECTS, 0.1, draws=30, seed=3, conf_int=False)
    assert repr(some).endswith("30 (random patterns, seed 3)")
    assert repr(replace(some, failed=2)).endswith("30 (random patterns, seed 3; 2 failed)")


@pytest.mark.parametrize(
    ("fit", "null", "scale", "expected"),
    [
        (EFFECTS, np.inf, "model", "a finite number"),
        (EFFECTS, -np.inf, "display", "a finite number"),
        (cohorts(8), np.inf, "model", "a finite number"),
        (cohorts(8), 1.2, "display", "a proportion above 0 and below 1"),
    ],
)
def test_a_null_that_is_no_mean_is_refused_by_the_scale(
    fit: PoolResult, null: float, scale: str, expected: str
) -> None:
    with pytest.raises(UnsupportedError, match=f"null={null}: expected {expected}"):
        permutation_test(fit, null, scale=scale)


def test_a_mean_that_no_study_can_have_has_no_fit_to_flip() -> None:
    fit = cohorts(8, model="glmm")
    with pytest.raises(ConvergenceError, match="no fit under the null"):
        permutation_test(fit, 800.0, draws="exact", scale="model")


def test_a_bootstrap_without_variation_between_studies_says_why() -> None:
    y, v = EFFECTS.core.yi, EFFECTS.core.vi
    for fit, why in (
        (pool_effects(y, v, model="common"), "a common-effect model"),
        (pool_effects(y, v, tau2=0.1), "a known tau2"),
    ):
        with pytest.raises(UnsupportedError, match=f"^{why} has no bootstrap interval of tau2"):
            bootstrap(fit, 50).conf_int("tau2")


def test_intervals_that_the_replicates_do_not_define_are_refused() -> None:
    alike = pool_effects([0.1] * 5 + [0.9], [0.1] * 6, ci_method="knapp-hartung")
    with pytest.raises(UnsupportedError, match="in which all effects are equal have none"):
        bootstrap(alike, 200, kind="nonparametric").conf_int(method="studentised")
    made = bootstrap(EFFECTS, 50, kind="nonparametric")
    low, high = made.conf_int(method="bca")
    assert low < EFFECTS.estimate < high
    for side in (-9.0, 9.0):
        aside = replace(made, drawn={**made.drawn, "mu": made.drawn["mu"] + side})
        with pytest.raises(UnsupportedError, match="every replicate lies on one side"):
            aside.conf_int(method="bca")


def test_a_bootstrap_of_few_fits_is_refused_with_their_reasons() -> None:
    fit = pool(events=[0, 0, 0, 0, 0, 1], n=[10, 12, 14, 20, 11, 10], model="glmm")
    with pytest.raises(ConvergenceError, match=r"only (\d+) of 20 .* \((\d+) x no finite max") as e:
        bootstrap(fit, 20, kind="nonparametric")
    fitted, _, failed = map(int, re.findall(r"\b\d+\b", str(e.value)))
    assert fitted + failed == 20
