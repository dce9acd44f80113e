"""Permutation tests of moderators."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from reference_values import COLUMNS, by_inverse_variance, load, study_table
from scipy import stats

from helpers.engine.aftercare.coefficient_permutation import arrangements, number_of_arrangements
from helpers.engine.aftercare.sign_flips import permutation_test
from helpers.engine.normal.fit import fit_regression
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.pooling import pool_effects
from helpers.models.regression import meta_regression
from helpers.models.regression_result import RegressionResult


def myeloma(key: str) -> pd.DataFrame:
    names = load()["meta_regression"]["published_MM"][key]["cohorts"]
    frame = study_table()[study_table()["Study_Name"].isin(names)]
    return frame.assign(F=(frame["FU"] > 13.3).astype(float))


EXACT = {
    "MM_product_exact_REML_z": ("product", "Product", {}),
    "MM_product_exact_ML_knha": (
        "product",
        "Product",
        {"tau2_method": "ML", "ci_method": "knapp-hartung"},
    ),
    "MM_setting_exact_REML_knha": ("setting", "Setting", {"ci_method": "knapp-hartung"}),
}


def test_exact_permutation_p_values_equal_those_of_r() -> None:
    compared = 0
    for name, (key, formula, options) in EXACT.items():
        ref = load()["permutation_tests"][name]
        fit = by_inverse_variance(myeloma(key), formula, **COLUMNS, **options)
        result = fit.permutation_test("exact")
        assert result.exact
        assert result.failed == 0
        assert result.draws == ref["n.permutations"]
        assert result.p == pytest.approx(ref["QMp"], abs=1e-12)
        np.testing.assert_allclose(result.coefficient_p, ref["pval"], atol=1e-12)
        # R's tau2 stops at its default rule
        np.testing.assert_allclose(fit.coefficients["statistic"], ref["obs.stat"], rtol=1e-5)
        assert fit.omnibus.statistic == pytest.approx(ref["QM"], rel=1e-5)
        compared += 1 + len(ref["pval"])
    ref = load()["permutation_tests"]["IL_MCL_exact_REML"]
    rows = study_table().iloc[np.array(ref["rows"]) - 1]
    result = by_inverse_variance(rows, "Entity", **COLUMNS).permutation_test("exact")
    assert result.draws == ref["n.permutations"]
    assert result.p == pytest.approx(ref["QMp"], abs=1e-12)
    np.testing.assert_allclose(result.coefficient_p, ref["pval"], atol=1e-12)
    assert compared + 1 + len(ref["pval"]) == 12


def test_exact_sign_flips_equal_those_of_r() -> None:
    ref = load()["permutation_tests"]["MM_intercept_only_sign_flips_against_8_percent"]
    fit = by_inverse_variance(myeloma("product"), "1", **COLUMNS)
    result = fit.permutation_test("exact", null=ref["reference"])
    assert result.draws == ref["n.permutations"] == 2**12
    assert result.coefficient_p[0] == pytest.approx(ref["pval"][0], abs=1e-12)
    assert result.p == pytest.approx(ref["QMp"], abs=1e-12)
    assert (result.p_mcse, *result.coefficient_mcse, *result.term_mcse.values()) == (0.0, 0.0)


def test_random_permutation_p_values_agree_with_r_within_monte_carlo_error() -> None:
    """Both sides are random: differences in units of their joint standard error."""
    both = []
    ref = load()["permutation_tests"]["MM_all_covariates_random_20000"]
    fit = by_inverse_variance(
        myeloma("all"),
        "Product + F + Setting + Inclusion_end_until_20 + Line",
        tau2_method="ML",
        ci_method="knapp-hartung",
        **COLUMNS,
    )
    both.append((fit.permutation_test(20_000, seed=3), ref))
    ref = load()["permutation_tests"]["setting_all_cohorts_random_10000"]
    both.append(
        (by_inverse_variance(study_table(), "Setting", **COLUMNS).permutation_test(10_000), ref)
    )
    scaled = []
    for ours, theirs in both:
        pairs = [(ours.p, ours.p_mcse, theirs["QMp"], theirs["QMp.mcse"])]
        pairs += zip(
            ours.coefficient_p,
            ours.coefficient_mcse,
            theirs["pval"],
            theirs["pval.mcse"],
            strict=True,
        )
        scaled += [(a - b) / np.hypot(ea, eb) for a, ea, b, eb in pairs]
        shares = np.array([ours.p, *ours.coefficient_p, *ours.term_p.values()])
        errors = [ours.p_mcse, *ours.coefficient_mcse, *ours.term_mcse.values()]
        assert errors == pytest.approx(stats.binom.std(ours.draws, shares) / ours.draws)
    assert len(scaled) == 10
    # ten standard normal differences: beyond 3.3 once in a hundred such tests
    assert np.abs(scaled).max() < 3.3


def test_arrangements_are_all_the_distinct_orders_once() -> None:
    for labels in ([0, 0, 1], [0, 1, 2, 2], [3, 1, 3, 1, 2], [0, 1, 2, 3]):
        x = np.column_stack([np.ones(len(labels)), labels])
        found = {tuple(x[order, 1]) for order in arrangements(x)}
        assert found == {tuple(map(float, p)) for p in permutations(labels)}
        assert len(list(arrangements(x))) == number_of_arrangements(x) == len(found)


def brute_force(fit: RegressionResult) -> tuple[float, np.ndarray]:
    """Every permutation by its own fit, one after the other."""
    problem = fit.core
    index = list(fit.design.moderators)
    statistics, omnibus = [], []
    for order in permutations(range(len(problem.yi))):
        one = fit_regression(problem.yi, problem.vi, problem.X[list(order)])
        beta, cov = one.beta[0], one.cov[0]
        statistics.append(np.abs(beta) / np.sqrt(np.diagonal(cov)))
        part = beta[index]
        omnibus.append(part @ np.linalg.solve(cov[np.ix_(index, index)], part))
    t, q = np.array(statistics), np.array(omnibus)
    return (q >= q[0] - 1e-7).mean(), (t >= t[0] - 1e-7).mean(axis=0)


def test_exact_test_equals_brute_force_over_all_orders() -> None:
    rng = np.random.default_rng(5)
    data = pd.DataFrame(
        {"y": rng.normal(size=6), "v": rng.uniform(0.1, 0.5, 6), "x": [0.0, 1, 1, 2, 4, 0]}
    )
    fit = by_inverse_variance(data, "x", yi="y", vi="v")
    result = fit.permutation_test("exact")
    p, coefficients = brute_force(fit)
    assert result.p == pytest.approx(p, abs=1e-12)
    np.testing.assert_allclose(result.coefficient_p, coefficients, atol=1e-12)
    assert result.draws == 720 // (2 * 2)  # two zeros and two ones among six


def test_terms_have_their_own_p_values() -> None:
    fit = by_inverse_variance(
        study_table(), "Entity + Setting", ci_method="knapp-hartung", **COLUMNS
    )
    result = fit.permutation_test(499, seed=2)
    assert set(result.term_p) == {"Entity", "Setting"}
    # a term with one column is its coefficient
    at = result.names.index("Setting[T.RW]")
    assert result.term_p["Setting"] == result.coefficient_p[at]
    frame = result.summary_frame()
    assert len(frame) == 1 + 2 + 5
    assert frame.loc[("omnibus", "all moderators"), "p"] == result.p
    assert result.draws == 500


def test_the_same_seed_gives_the_same_p_values_however_large_the_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit = by_inverse_variance(study_table(), "Setting", **COLUMNS)
    whole = fit.permutation_test(300, seed=7)
    monkeypatch.setattr("helpers.engine.aftercare.coefficient_permutation._CELLS", 1)
    parts = fit.permutation_test(300, seed=7)
    np.testing.assert_allclose(whole.statistics, parts.statistics, rtol=1e-9)
    assert whole.to_dict() == parts.to_dict()


def test_the_glmm_is_permuted_too_and_agrees_with_one_fit_at_a_time() -> None:
    fit = by_inverse_variance(myeloma("product"), "Product", model="glmm", **COLUMNS)
    result = fit.permutation_test("exact")
    assert result.draws + result.failed == 495
    z = []
    for order in arrangements(fit.core.X):
        one = fit.core.regress(fit.core.X[order])
        if one.converged[0]:
            z.append(abs(one.beta[0, 1]) / one.se[0, 1])
    assert len(z) == result.draws
    observed = abs(fit.coefficients["statistic"].iloc[1])
    assert result.coefficient_p[1] == pytest.approx(np.mean(np.array(z) >= observed - 1e-7))


def test_permutation_p_is_uniform_when_no_moderator_matters() -> None:
    """5,000 data sets without an effect: the observed statistic has every rank equally often.

    As it is, and divided by the scale of Knapp and Hartung: two statistics of the same fits.
    """
    rng = np.random.default_rng(0)
    sets, k, draws = 5000, 12, 20
    v = rng.uniform(0.05, 0.6, (sets, k))
    y = rng.normal(0.0, np.sqrt(v + 0.2))
    x = rng.normal(size=(sets, k))
    rank = np.zeros((2, sets), dtype=int)
    observed = np.zeros((2, sets))
    for draw in range(draws):
        moved = x if draw == 0 else rng.permuted(x, axis=1)
        fit = fit_regression(y, v, np.stack([np.ones_like(x), moved], axis=-1))
        t = np.abs(fit.beta[:, 1]) / fit.se[:, 1]
        t = np.stack([t, t / np.sqrt(fit.scale)])
        observed = t if draw == 0 else observed
        rank += t >= observed - 1e-9
    for one in rank:
        counts = np.bincount(one, minlength=draws + 1)[1:]
        assert counts.sum() == sets
        assert stats.chisquare(counts).pvalue > 0.001


def test_what_cannot_be_permuted_is_refused() -> None:
    fit = by_inverse_variance(study_table(), "Setting", **COLUMNS)
    with pytest.raises(UnsupportedError, match="arrangements"):
        fit.permutation_test("exact")
    with pytest.raises(MetaAnalysisError, match="at least 19"):
        fit.permutation_test(5)
    with pytest.raises(UnsupportedError, match="whole number"):
        fit.permutation_test("all")
    with pytest.raises(UnsupportedError, match="without moderators only"):
        fit.permutation_test(99, null=-2.0)
    clustered = by_inverse_variance(study_table(), "Setting", cluster="study", **COLUMNS)
    with pytest.raises(UnsupportedError, match="clusters"):
        clustered.permutation_test(99)
    glmm = by_inverse_variance(myeloma("product"), "1", model="glmm", **COLUMNS)
    with pytest.raises(UnsupportedError, match="signs of counts"):
        glmm.permutation_test(99)


def test_a_result_says_how_its_arrangements_were_chosen() -> None:
    data = pd.DataFrame({"y": [0.1, 0.4, 0.9, 1.1, 1.4], "v": [0.1] * 5, "x": range(5)})
    fit = meta_regression(data, "x", yi="y", vi="v")
    assert "120 (all arrangements)" in str(fit.permutation_test("exact"))
    assert "30 (random arrangements, seed 7)" in str(fit.permutation_test(29, seed=7))


SLOPE = pd.DataFrame(
    {
        "y": [0.1, 0.4, -0.2, 0.3, 0.6, 0.8],
        "v": [0.1, 0.2, 0.1, 0.1, 0.1, 0.2],
        "x": [1.0, 2.0, 3.0, 4.0, 5.0, 7.0],
    }
)


def test_without_moderators_signs_are_flipped_as_of_a_pooled_mean() -> None:
    fit = meta_regression(SLOPE, "1", yi="y", vi="v", ci_method="wald")
    exact = fit.permutation_test("exact")
    pooled = pool_effects(SLOPE["y"], SLOPE["v"], ci_method="wald")
    flips = permutation_test(pooled, 0.0, draws="exact", conf_int=False)
    assert exact.p == pytest.approx(flips.p, rel=1e-12)
    assert "64 (all arrangements)" in repr(exact)
    drawn = fit.permutation_test(1999, seed=2)
    assert drawn.p == pytest.approx(exact.p, abs=4.0 * (exact.p * (1.0 - exact.p) / 2000) ** 0.5)
    assert "2,000 (random arrangements, seed 2)" in repr(drawn)
    assert "seed 2; 3 failed)" in repr(replace(drawn, failed=3))
    counted = SLOPE.assign(e=[1, 2, 3, 4, 5, 6], n=50)
    with pytest.raises(UnsupportedError, match="signs of counts cannot be flipped"):
        meta_regression(counted, "1", events="e", n="n", model="glmm").permutation_test(99)


def test_a_slope_without_an_intercept_is_permuted_and_not_flipped() -> None:
    fit = meta_regression(SLOPE, "0 + x", yi="y", vi="v", model="common", ci_method="wald")
    y, w, x = SLOPE["y"].to_numpy(), 1.0 / SLOPE["v"].to_numpy(), SLOPE["x"].to_numpy()

    def z(order: tuple[int, ...]) -> float:
        moved = x[list(order)]
        return abs((w * moved) @ y) / np.sqrt((w * moved) @ moved)

    share = np.mean([z(order) >= z(tuple(range(6))) - 1e-9 for order in permutations(range(6))])
    assert fit.permutation_test("exact").p == pytest.approx(share, rel=1e-12)
    with pytest.raises(UnsupportedError, match="without moderators only"):
        fit.permutation_test(99, null=0.1)


def test_without_a_seed_arrangements_differ_each_time() -> None:
    fit = meta_regression(SLOPE, "x", yi="y", vi="v")
    one, other = (fit.permutation_test(99, seed=None) for _ in range(2))
    assert one.seed is None
    assert (one.omnibus_statistics != other.omnibus_statistics).any()
