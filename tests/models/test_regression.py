"""Meta-regression: formulas, excluded rows, predictions, cautions, errors, invariances."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples
from scipy import stats

from helpers.engine.counts.optimise import FitStatus
from helpers.engine.distributions import expit
from helpers.engine.model import Model
from helpers.engine.normal.fit import fit_regression
from helpers.errors import ConvergenceError, MetaAnalysisError, UnsupportedError
from helpers.models.regression import meta_regression
from helpers.models.regression_result import RegressionResult


def table(seed: int = 0, k: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = rng.integers(20, 300, k)
    product = rng.choice(["axi", "cilta", "ide"], k)
    product[:6] = ["axi", "cilta", "ide"] * 2
    setting = rng.choice(["trial", "registry"], k)
    setting[:4] = ["trial", "registry"] * 2
    follow_up = rng.uniform(3, 40, k)
    p = expit(-2.5 + 0.6 * (product == "cilta") + 0.01 * follow_up + rng.normal(0, 0.4, k))
    return pd.DataFrame(
        {
            "cohort": [f"c{i}" for i in range(k)],
            "deaths": rng.binomial(n, p),
            "patients": n,
            "product": product,
            "setting": setting,
            "follow_up": follow_up,
            "study": rng.integers(0, 12, k),
        }
    )


def fitted(formula: str, data: pd.DataFrame | None = None, **options: Any) -> RegressionResult:
    named = {"model": "random", "ci_method": "wald"}
    choices = {"events": "deaths", "n": "patients", "study": "cohort", **named, **options}
    return meta_regression(table() if data is None else data, formula, **choices)


# --- formulas ----------------------------------------------------------------------------------


def test_terms_references_interactions_and_splines() -> None:
    fit = fitted("product * setting + bs(follow_up, df=4)")
    assert fit.names[0] == "Intercept"
    assert fit.terms == ("product", "setting", "bs(follow_up, df=4)", "product:setting")
    assert fit.test_terms("product:setting").df == 2
    assert fit.test_terms("bs(follow_up, df=4)").df == 4
    assert fit.test_terms().df == fit.omnibus.df == fit.p - 1
    assert fit.test_terms().statistic == pytest.approx(fit.omnibus.statistic)
    other = fitted("C(product, contr.treatment('cilta'))")
    assert other.names[1:] == (
        "C(product, contr.treatment('cilta'))[T.axi]",
        "C(product, contr.treatment('cilta'))[T.ide]",
    )
    assert other.test_terms("product").statistic == other.test_terms().statistic


def test_an_ordered_categorical_sets_the_reference_and_unused_levels_vanish() -> None:
    data = table()
    kind = pd.CategoricalDtype(["ide", "never", "cilta", "axi"], ordered=True)
    data["product"] = data["product"].astype(kind)
    fit = fitted("product", data)
    assert fit.names == ("Intercept", "product[T.cilta]", "product[T.axi]")
    assert fit.design.levels == {"product": ("ide", "cilta", "axi")}


def test_a_leading_tilde_and_no_intercept() -> None:
    assert fitted("~ product").names == fitted("product").names
    means = fitted("product - 1")
    assert means.design.intercept is None
    assert means.R2 is None
    assert means.omnibus.label == "all coefficients"
    assert means.omnibus.df == 3


def test_columns_with_spaces_and_functions_of_numpy() -> None:
    data = table()
    data["median follow-up"] = data["follow_up"]
    plain = fitted("log(follow_up)", data)
    for formula in ("log(`median follow-up`)", "np.log(follow_up)", "{np.log(follow_up)}"):
        np.testing.assert_allclose(fitted(formula, data).estimates, plain.estimates, rtol=1e-12)
    # names of coefficients have the columns bare where they are a whole factor, as R has them
    data["its product"] = data["product"]
    names = fitted("`its product` + `median follow-up` + log(`median follow-up`)", data).names
    plain_names = fitted("product + follow_up + log(follow_up)", data).names
    assert names == tuple(
        one.replace("product", "its product").replace("log(follow_up)", "log(`median follow-up`)")
        .replace("follow_up", "median follow-up")
        for one in plain_names
    )  # fmt: skip
    data.loc[2, "median follow-up"] = np.nan
    assert fitted("bs(`median follow-up`, df=4)", data).studies["reason"].iloc[2] == (
        "median follow-up missing"
    )


def test_columns_that_cannot_be_told_apart_are_named() -> None:
    data = table()
    data["twice"] = 2 * data["follow_up"]
    data["copy"] = data["product"]
    data["one"] = 1.0
    for formula, words in {
        "follow_up + twice": r"twice is a linear combination of follow_up",
        "product + copy": r"copy\[T.cilta\] is a linear combination of product\[T.cilta\]",
        "one": r"one value of 'one' \(always 1.0\)",
        "cr(follow_up, df=3)": r"cr\(.*constraints='center'",
        "I(follow_up * 0)": r"is 0 in every row",
    }.items():
        with pytest.raises(MetaAnalysisError, match=words):
            fitted(formula, data)
    assert fitted("cr(follow_up, df=3, constraints='center')", data).p == 4


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("produkt", "no column 'produkt'; the columns are cohort"),
        ("product +* setting", "formula"),
        ("deaths ~ product", "without a left-hand side"),
        ("  ", "empty"),
        ("log(follow_up - 100)", "expected a finite number"),
        ("C(product, contr.treatment('tisa'))", "formula"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in log:RuntimeWarning")
def test_bad_formulas_get_one_clear_error(formula: str, words: str) -> None:
    with pytest.raises(MetaAnalysisError, match=words):
        fitted(formula)


# --- rows ---------------------------------------------------------------------------------------


def test_rows_without_moderators_are_excluded_and_visible() -> None:
    data = table()
    data.loc[3, "follow_up"] = np.nan
    data.loc[5, "product"] = None
    data["deaths"] = data["deaths"].astype(float)
    data.loc[7, "deaths"] = np.nan
    fit = fitted("product + follow_up", data)
    assert fit.k == 27
    rows = fit.studies
    assert rows.index.tolist() == data["cohort"].tolist()
    assert rows.loc[["c3", "c5", "c7"], "reason"].tolist() == [
        "follow_up missing",
        "product missing",
        "events missing",
    ]
    assert (rows["included"] == (rows["reason"] == "")).all()
    assert rows["weight"].sum() == pytest.approx(100)
    assert (rows.loc[~rows["included"], "weight"] == 0).all()
    assert "excluded-studies" in [c.code for c in fit.cautions]
    complete = data.drop(index=[3, 5, 7])
    np.testing.assert_allclose(
        fit.estimates, fitted("product + follow_up", complete).estimates, rtol=1e-12
    )


def test_counts_effects_and_arrays_are_the_same_door() -> None:
    data = table()
    fit = fitted("setting", data)
    arrays = meta_regression(
        data, "setting", events=data["deaths"], n=data["patients"].to_numpy(), model="random"
    )
    effects = meta_regression(
        data, "setting", yi=fit.studies["yi"].to_numpy(), vi=fit.studies["vi"].to_numpy()
    )
    np.testing.assert_array_equal(fit.estimates, arrays.estimates)
    np.testing.assert_allclose(fit.estimates, effects.estimates, rtol=1e-14)
    assert effects.measure == "effect"


# --- tests and intervals -----------------------------------------------------------------------


def test_distributions_of_the_four_tests() -> None:
    z, t = fitted("product"), fitted("product", ci_method="t")
    kh, wide = (
        fitted("product", ci_method="knapp-hartung"),
        fitted("product", ci_method="knapp-hartung-max1"),
    )
    np.testing.assert_allclose(z.covariance, t.covariance)
    np.testing.assert_allclose(kh.covariance, kh.knapp_hartung_factor * z.covariance, rtol=1e-13)
    np.testing.assert_allclose(
        wide.covariance, max(1, kh.knapp_hartung_factor) * z.covariance, rtol=1e-13
    )
    for fit, q in ((z, stats.norm.ppf(0.975)), (t, stats.t.ppf(0.975, 27))):
        c = fit.coefficients
        np.testing.assert_allclose(c["ci_upper"] - c["estimate"], q * c["se"], rtol=1e-12)
    assert z.omnibus.kind == "chi2"
    assert t.omnibus.statistic == pytest.approx(z.omnibus.statistic / 2)
    assert (t.omnibus.df, t.omnibus.df2) == (2, 27)
    assert kh.omnibus.p == pytest.approx(stats.f.sf(kh.omnibus.statistic, 2, 27), rel=1e-12)


@examples(30)
@given(st.integers(0, 10**6))
def test_an_empty_interval_of_tau2_has_a_caution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, v = np.arange(6.0), rng.uniform(0.05, 0.2, 6)
    y = 0.1 * x + np.sqrt(v) * rng.normal(size=6) * rng.choice([0.2, 1.0])
    fit = meta_regression(pd.DataFrame({"y": y, "v": v, "x": x}), "x", yi="y", vi="v", level=0.9)
    design = np.column_stack([np.ones(6), x]) / np.sqrt(v)[:, None]
    residuals = np.linalg.lstsq(design, y / np.sqrt(v), rcond=None)[1]
    empty = float(residuals[0]) < stats.chi2.ppf(0.05, 4)
    assert bool(np.isnan(fit.tau2_ci().lower)) == empty
    assert ("empty-tau2-interval" in {c.code for c in fit.cautions}) == empty


def test_a_prediction_with_few_residual_degrees_of_freedom_says_so() -> None:
    data = pd.DataFrame({"y": [0.1, 0.4, 0.2, 0.9, 0.5], "v": [0.1] * 5, "x": [0, 1, 3, 2, 4]})
    for k, expected in ((3, True), (4, True), (5, False)):
        fit = meta_regression(data[:k], "x", yi="y", vi="v")
        assert ("few-prediction-df" in {c.code for c in fit.cautions}) == expected


def test_a_narrow_knapp_hartung_factor_raises_a_caution_and_max1_cures_it() -> None:
    data = pd.DataFrame({"y": [0.0, 0.01, 0.02, 0.0, 0.03], "v": [0.2] * 5, "x": [0, 1, 2, 3, 4]})
    narrow = meta_regression(data, "x", yi="y", vi="v", ci_method="knapp-hartung")
    cured = meta_regression(data, "x", yi="y", vi="v", ci_method="knapp-hartung-max1")
    assert narrow.knapp_hartung_factor < 1
    codes = [c.code for c in narrow.cautions]
    assert {"knapp-hartung-narrow", "boundary", "few-studies-per-coefficient"} <= set(codes)
    assert "knapp-hartung-narrow" not in [c.code for c in cured.cautions]
    np.testing.assert_allclose(
        cured.covariance * narrow.knapp_hartung_factor, narrow.covariance, rtol=1e-12
    )


def test_contrasts_and_wald_tests_agree_with_refitting_another_reference() -> None:
    fit = fitted("product", ci_method="t")
    contrast = fit.contrast({"product[T.ide]": 1, "product[T.cilta]": -1})
    assert list(contrast.index) == ["-1 product[T.cilta] +1 product[T.ide]"]
    other = fitted("C(product, contr.treatment('cilta'))", ci_method="t").coefficients
    again = other.loc["C(product, contr.treatment('cilta'))[T.ide]"]
    for column in ("estimate", "se", "statistic", "df", "p", "ci_lower", "ci_upper"):
        assert contrast[column].iloc[0] == pytest.approx(again[column], rel=1e-9)
    assert fit.wald([0, -1, 1]).p == pytest.approx(again["p"], rel=1e-9)
    with pytest.raises(MetaAnalysisError, match="no coefficient 'x'"):
        fit.contrast({"x": 1})
    with pytest.raises(MetaAnalysisError, match="expected 3"):
        fit.contrast([1.0])
    with pytest.raises(MetaAnalysisError, match="linearly dependent"):
        fit.wald([[0, 1, 0], [0, 2, 0]])
    with pytest.raises(MetaAnalysisError, match="no term"):
        fit.test_terms("setting")


def test_predictions_on_both_scales() -> None:
    fit = fitted("product + follow_up", ci_method="knapp-hartung")
    new = {"product": ["axi", "ide"], "follow_up": [10.0, 20.0]}
    p = fit.predict(new)
    by_hand = fit.estimates @ np.array([[1, 0, 0, 10.0], [1, 0, 1, 20.0]]).T
    np.testing.assert_allclose(p["mu"], by_hand, rtol=1e-12)
    q = stats.t.ppf(0.975, fit.k - fit.p)
    np.testing.assert_allclose(p["mu_upper"] - p["mu"], q * p["se"], rtol=1e-12)
    half = q * np.sqrt(p["se"] ** 2 + fit.tau2)
    np.testing.assert_allclose(p["mu_prediction_upper"] - p["mu"], half, rtol=1e-12)
    np.testing.assert_allclose(p["prediction_lower"], expit(p["mu_prediction_lower"]), rtol=1e-12)
    narrow = fit.predict(new, prediction_method="normal")
    wide = fit.predict(new, prediction_method="t-k-p-1")
    assert (narrow["prediction_upper"] < p["prediction_upper"]).all()
    assert (wide["prediction_upper"] > p["prediction_upper"]).all()
    np.testing.assert_allclose(fit.predict()["mu"], fit.residuals["fitted"], rtol=1e-12)
    common = fitted("product", model="common")
    assert common.predict(new)["prediction_lower"].isna().all()
    spline = fitted("bs(follow_up, df=4)")
    one = spline.predict({"follow_up": [float(table()["follow_up"][4])]})
    assert one["mu"].iloc[0] == pytest.approx(spline.residuals["fitted"].iloc[4], rel=1e-10)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ({"product": ["tisa"], "follow_up": [1.0]}, "tisa not seen"),
        ({"product": ["axi"]}, "no column 'follow_up'"),
        ({"product": ["axi"], "follow_up": [np.nan]}, "row 1: follow_up is nan"),
    ],
)
def test_predictions_of_unknown_rows_are_refused(new: dict[str, Any], words: str) -> None:
    with pytest.raises(MetaAnalysisError, match=words):
        fitted("product + follow_up").predict(new)


def test_freeman_tukey_predictions_need_a_size_and_find_it() -> None:
    fit = fitted("setting", measure="double-arcsine")
    inside = fit.predict()
    values = inside[["ci_lower", "estimate", "ci_upper"]].to_numpy()
    assert ((values >= 0) & (values <= 1)).all()
    other = fit.predict(size=50.0)
    assert not np.allclose(other["estimate"], inside["estimate"])
    effects = meta_regression(
        table(),
        "setting",
        yi=fit.studies["yi"].to_numpy(),
        vi=fit.studies["vi"].to_numpy(),
        measure="double-arcsine",
    )
    with pytest.raises(MetaAnalysisError, match="size="):
        effects.predict()


def test_tau2_intervals_by_method() -> None:
    fit = fitted("setting")
    low, high = fit.tau2_ci()
    assert low <= fit.tau2 <= high
    y, v, x = fit.core.yi, fit.core.vi, fit.core.X
    for limit, p in ((low, 0.975), (high, 0.025)):
        q = fit_regression(y, v, x, tau2=limit).scale[0] * (fit.k - fit.p)
        if limit > 0:
            assert stats.chi2.cdf(q, fit.k - fit.p) == pytest.approx(p, abs=1e-9)
    inner = fit.tau2_ci("profile", level=0.5)
    outer = fit.tau2_ci("profile")
    assert outer.lower <= inner.lower < inner.upper < outer.upper
    with pytest.raises(UnsupportedError, match="ML"):
        fitted("setting", tau2_method="DL").tau2_ci("profile")
    with pytest.raises(UnsupportedError, match="not defined for model='common'"):
        fitted("setting", model="common").tau2_ci()
    with pytest.raises(UnsupportedError, match="profile"):
        fitted("setting", model="glmm").tau2_ci("q-profile")


# --- the GLMM ----------------------------------------------------------------------------------


def test_separation_is_named() -> None:
    data = table()
    data.loc[data["product"] == "ide", "deaths"] = 0
    with pytest.raises(ConvergenceError, match=r"product = ide no study has an event \(0 of"):
        fitted("product", data, model="glmm")
    # inverse variance goes on, with its correction, and says so
    corrected = fitted("product", data)
    assert "zero-cells-corrected" in [c.code for c in corrected.cautions]


def test_glmm_results_have_the_same_views() -> None:
    fit = fitted("product + follow_up", model="glmm", ci_method="t")
    assert fit.tau2_method == "ML"
    assert fit.df.tolist() == [26.0] * 4
    assert fit.heterogeneity.test == "likelihood ratio"
    assert fit.residuals["leverage"].sum() == pytest.approx(fit.p)
    deleted = fit.leave_one_out()
    assert len(deleted) == fit.k
    rest = table().drop(index=0)
    alone = fitted("product + follow_up", rest, model="glmm")
    assert deleted["tau2"].iloc[0] == pytest.approx(alone.tau2, rel=1e-6, abs=1e-10)
    assert deleted["Q"].iloc[0] == pytest.approx(alone.heterogeneity.Q, rel=1e-8)
    first = deleted[list(fit.names)].iloc[0].astype(float)
    np.testing.assert_allclose(first, alone.estimates, rtol=1e-7)
    assert fit.test_terms("product").df == 2
    assert "mixed model" in str(fit.methods())
    with pytest.raises(UnsupportedError, match="CR2"):
        fitted("product", model="glmm", cluster="study", robust="CR2")


# --- result ------------------------------------------------------------------------------------


def test_the_result_is_frozen_and_serialises() -> None:
    for options in ({}, {"model": "glmm"}, {"cluster": "study"}, {"ci_method": "knapp-hartung"}):
        fit = fitted("product", **options)
        with pytest.raises(FrozenInstanceError):
            fit.tau2 = 0.0  # type: ignore[misc]
        with pytest.raises(ValueError, match="read-only"):
            fit.estimates[0] = 0.0
        copy = fit.covariance_frame()
        copy.iloc[0, 0] = 99.0
        assert fit.covariance[0, 0] != 99.0
        content = fit.to_dict()
        assert json.loads(json.dumps(content, allow_nan=False)) == content
        assert content["formula"] == "product"
        assert len(content["studies"]) == 30
        assert fit.summary_frame().loc["product", "k"] == 30
        said = fit.methods()
        assert "product" in said.sentence
        assert all(r.doi.startswith("10.") for r in said.references)


def test_unsupported_choices_are_refused() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"model": "bayes"}, "common, random, glmm"),
        ({"tau2_method": "XX"}, "expected one of"),
        ({"ci_method": "F"}, "expected one of wald"),
        ({"level": 95}, "between 0 and 1"),
        ({"model": "glmm", "ci_method": "knapp-hartung"}, "not defined for the GLMM"),
        ({"model": "glmm", "measure": "arcsine"}, "logit"),
        ({"robust": "CR2"}, "needs cluster"),
        ({"cluster": "study", "robust": "HC1"}, "CR0"),
        ({"cluster": "nowhere"}, "no column 'nowhere'"),
        ({"n": None}, "needs events and n"),
        ({"yi": "follow_up"}, "give either"),
        ({"measure": "odds"}, "expected one of"),
    ]
    for options, words in cases:
        with pytest.raises(MetaAnalysisError, match=words):
            fitted("product", **options)
    with pytest.raises(MetaAnalysisError, match="more clusters than coefficients"):
        fitted("product", cluster=table()["setting"])
    with pytest.raises(MetaAnalysisError, match="more studies than coefficients"):
        fitted("product", table().iloc[:3])


def test_a_perfect_fit_is_refused_by_knapp_hartung() -> None:
    data = pd.DataFrame({"y": [0.0, 1.0, 2.0, 3.0], "v": [0.1] * 4, "x": [0.0, 1, 2, 3]})
    with pytest.raises(MetaAnalysisError, match="perfectly"):
        meta_regression(data, "x", yi="y", vi="v", ci_method="knapp-hartung")
    fit = meta_regression(data, "x", yi="y", vi="v", ci_method="knapp-hartung-max1")
    np.testing.assert_allclose(fit.estimates, [0.0, 1.0], atol=1e-14)


def test_importing_the_core_loads_neither_pandas_nor_formulaic() -> None:
    code = (
        "import sys; from helpers.engine.normal.fit import fit_regression; "
        "fit_regression([0.0, 1, 2], [0.1] * 3, [[1.0]] * 3); "
        "print(sorted({'pandas', 'formulaic', 'matplotlib', 'statsmodels'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# --- what must always hold ----------------------------------------------------------------------


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    k = draw(st.integers(6, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** draw(st.integers(-3, 3))
    y = scale * rng.normal(size=k)
    v = scale**2 * np.exp(rng.normal(-1.0, draw(st.floats(0.0, 2.5)), k))
    x = np.column_stack([np.ones(k), rng.normal(size=k), rng.integers(0, 2, k)])
    x[:2, 2] = [0.0, 1.0]
    return y, v, x


@examples(60)
@given(problems(), st.sampled_from(["REML", "ML", "DL", "PM", "SJ", "HE"]))
def test_order_scale_and_parametrisation_do_not_matter(
    problem: tuple[np.ndarray, np.ndarray, np.ndarray], method: str
) -> None:
    y, v, x = problem
    fit = fit_regression(y, v, x, tau2_method=method)
    unit = float(v.min())
    assert fit.tau2[0] >= 0
    assert np.isfinite(fit.beta).all()
    assert (np.linalg.eigvalsh(fit.cov[0]) > 0).all()
    flip = np.arange(len(y))[::-1]
    turned = fit_regression(y[flip], v[flip], x[flip], tau2_method=method)
    # another reference level, another unit and another origin of the covariate
    change = np.array([[1.0, 3.0, 1.0], [0.0, 50.0, 0.0], [0.0, 0.0, -1.0]])
    coded = fit_regression(y, v, x @ change, tau2_method=method)
    for other in (turned, coded):
        assert other.tau2[0] == pytest.approx(fit.tau2[0], rel=1e-6, abs=1e-7 * unit)
        assert other.loglik[0] == pytest.approx(fit.loglik[0], abs=1e-7)
    back = coded.cov[0]
    np.testing.assert_allclose(change @ back @ change.T, fit.cov[0], rtol=1e-5, atol=1e-9 * unit)
    larger = fit_regression(7 * y, 49 * v, x, tau2_method=method)
    assert larger.tau2[0] == pytest.approx(49 * fit.tau2[0], rel=1e-6, abs=1e-6 * unit)
    moved = fit_regression(y + x @ [5.0, -1.0, 2.0], v, x, tau2_method=method)
    if method != "SJ":  # its starting value uses the raw variance of the effects
        assert moved.tau2[0] == pytest.approx(fit.tau2[0], rel=1e-5, abs=1e-6 * unit)
        np.testing.assert_allclose(
            moved.beta[0] - [5.0, -1.0, 2.0], fit.beta[0], rtol=1e-5, atol=1e-7
        )


@examples(40)
@given(problems(), st.integers(0, 5))
def test_a_masked_study_might_as_well_be_absent(
    problem: tuple[np.ndarray, np.ndarray, np.ndarray], out: int
) -> None:
    y, v, x = problem
    keep = np.arange(len(y)) != out
    if np.linalg.matrix_rank(x[keep]) < 3:
        return
    absent = fit_regression(y[keep], v[keep], x[keep])
    y, v = y.copy(), v.copy()
    y[out], v[out] = np.nan, -1.0
    masked = fit_regression(y, v, x, keep.astype(float))
    np.testing.assert_allclose(masked.beta[0], absent.beta[0], rtol=1e-7, atol=1e-12)
    assert masked.tau2[0] == pytest.approx(absent.tau2[0], rel=1e-7, abs=1e-9 * v[keep].min())
    assert masked.loglik_restricted[0] == pytest.approx(absent.loglik_restricted[0], abs=1e-8)
    twice = keep + (np.arange(len(y)) == (out + 1) % len(y))
    index = np.repeat(np.arange(len(y)), twice)
    doubled = fit_regression(y[index], v[index], x[index], tau2_method="ML")
    counted = fit_regression(y, v, x, twice.astype(float), tau2_method="ML")
    np.testing.assert_allclose(counted.beta[0], doubled.beta[0], rtol=1e-7, atol=1e-12)


@examples(15)
@given(st.integers(0, 2**32 - 1))
def test_the_glmm_mirrors_when_deaths_and_survivors_change_places(seed: int) -> None:
    data = table(seed % 1000, k=15)
    if data.groupby("setting")["deaths"].sum().min() == 0:
        return
    data["survivors"] = data["patients"] - data["deaths"]
    fit = fitted("setting + follow_up", data, model="glmm")
    mirror = fitted("setting + follow_up", data, model="glmm", events="survivors")
    np.testing.assert_allclose(mirror.estimates, -fit.estimates, rtol=1e-6, atol=1e-8)
    assert mirror.tau2 == pytest.approx(fit.tau2, rel=1e-6, abs=1e-9)
    data["months"] = 30 * data["follow_up"] + 11
    scaled = fitted("setting + months", data, model="glmm")
    assert scaled.estimates[2] == pytest.approx(fit.estimates[2] / 30, rel=1e-6)
    assert scaled.loglik == pytest.approx(fit.loglik, abs=1e-9)


@pytest.mark.parametrize("factor", [1e-8, 1.0, 1e8])
def test_extreme_precision_and_extreme_heterogeneity(factor: float) -> None:
    """n = 10**7 beside n = 10, and effects far apart, leave finite and sensible numbers."""
    rng = np.random.default_rng(0)
    v = factor * np.array([1e-7, 1e-7, 1e-6, 0.1, 0.2, 1.0, 0.5, 1e-3])
    x = np.column_stack([np.ones(8), np.arange(8.0)])
    for spread in (1e-6, 1.0, 1e3):
        y = np.sqrt(factor) * spread * rng.normal(size=8)
        for method in ("REML", "ML"):
            fit = fit_regression(y, v, x, tau2_method=method)
            assert fit.converged[0]
            assert np.isfinite(fit.loglik[0])
            assert fit.slack[0] > -1e-8
            if spread == 1e3:
                ols = fit_regression(y, np.full(8, 1.0), x, tau2=0.0)
                divisor = 1.0 if method == "REML" else 6 / 8
                assert fit.tau2[0] == pytest.approx(ols.scale[0] * divisor, rel=1e-3)


def test_several_maxima_of_thousands_of_studies_stay_linear_in_memory() -> None:
    rng = np.random.default_rng(3)
    k = 3000
    x = np.column_stack([np.ones(k), rng.normal(size=k)])
    v = rng.uniform(0.05, 0.5, k)
    y = x @ [0.2, 0.3] + rng.normal(0, np.sqrt(v + 0.4))
    fit = fit_regression(y, v, x)
    assert fit.tau2[0] == pytest.approx(0.4, abs=0.1)
    np.testing.assert_allclose(fit.beta[0], [0.2, 0.3], atol=0.06)


# --- moderators without a comparison, tests without enough clusters ------------------------------


@pytest.mark.parametrize("formula", ["arm", "C(arm)", "0 + arm", "product + arm", "arm:product"])
def test_a_moderator_with_one_level_is_named_and_never_a_test_of_the_mean(formula: str) -> None:
    data = table().assign(arm="a")
    with pytest.raises(MetaAnalysisError, match=r"one value of 'arm' \(always a\)"):
        fitted(formula, data)
    # the other level goes with the only row that has it
    data.loc[7, ["arm", "deaths"]] = ["b", None]
    with pytest.raises(MetaAnalysisError, match=r"29 included .*left out: c7: events missing"):
        fitted(formula, data)


def test_a_factor_made_in_the_formula_needs_two_levels_too() -> None:
    for formula in ("C(follow_up > 0)", "0 + C(follow_up > 0)"):
        with pytest.raises(MetaAnalysisError, match="has one level in the 30 included studies"):
            fitted(formula)


def test_a_model_of_the_mean_is_asked_for_by_name() -> None:
    fit = fitted("1")
    assert fit.omnibus.label == "all coefficients"
    assert fit.vif().empty
    with pytest.raises(MetaAnalysisError, match="no moderators to test"):
        fit.test_terms()


@pytest.mark.parametrize("robust", ["CR0", "CR1", "CR2"])
def test_coefficients_come_back_where_their_joint_test_is_impossible(robust: str) -> None:
    """Two levels of one study each fit perfectly: the scores have rank 1, and so has the test."""
    y, v = np.array([1.28, 0.34, 1.02, -1.16, 0.64]), np.array([0.14, 0.23, 0.26, 0.34, 0.28])
    level = np.array(list("uvwuu"))
    data = pd.DataFrame({"y": y, "v": v, "level": level, "cluster": range(5)})
    fit = meta_regression(
        data, "level", yi="y", vi="v", cluster="cluster", robust=robust, model="common"
    )
    w = 1 / v[level == "u"]
    mean = w @ y[level == "u"] / w.sum()
    assert fit.coefficients["estimate"].tolist() == pytest.approx([mean, y[1] - mean, y[2] - mean])
    scores = w * (y[level == "u"] - mean) / w.sum()
    if robust == "CR0":
        assert fit.coefficients["se"].tolist() == pytest.approx([np.linalg.norm(scores)] * 3)
    assert np.isnan(fit.omnibus.p)
    assert fit.omnibus.kind == "not defined"
    assert "too few clusters" in {c.code: c.message for c in fit.cautions}["no-omnibus"]
    assert json.loads(json.dumps(fit.to_dict()))["omnibus"]["p"] is None
    with pytest.raises(MetaAnalysisError, match="too few clusters to test 2 coefficients at once"):
        fit.test_terms("level")


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("follow_up", "meta-regression on follow-up with"),
        ("care_quality + follow_up", "meta-regression on care quality and follow-up with"),
        ("log(follow_up)", "meta-regression on `log(follow_up)` with"),
    ],
)
def test_methods_name_moderators_in_words_and_a_formula_as_it_is(formula, said):
    table = pd.DataFrame(
        {
            "events": [3, 8, 16, 2, 5, 12],
            "n": [40, 60, 50, 90, 80, 70],
            "care_quality": [1.0, 2, 3, 1, 2, 4],
            "follow_up": [5.0, 9, 7, 12, 20, 30],
        }
    )
    fit = meta_regression(table, formula, events="events", n="n", model="random")
    assert str(fit.methods()).startswith(f"Six studies were analysed by {said}")


@pytest.mark.parametrize(
    ("model", "why"),
    [("random", "the estimate of tau2."), ("glmm", "the iteration limit was reached")],
)
def test_a_fit_that_did_not_converge_says_why(
    model: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    regress = Model.regress

    def stopped(self: Model, *args: Any, **options: Any) -> Any:
        fit = regress(self, *args, **options)
        if fit.source is not None:
            short = np.full_like(fit.source.status, FitStatus.NOT_CONVERGED)
            source = replace(fit.source, status=short)
            fit = replace(fit, source=source)
        return replace(fit, converged=np.zeros_like(fit.converged))

    monkeypatch.setattr(Model, "regress", stopped)
    fit = fitted("follow_up", model=model)
    assert not fit.converged
    said = [c.message for c in fit.cautions if c.code == "not-converged"]
    assert len(said) == 1
    assert said[0].startswith("The fit did not converge: ")
    assert why in said[0]
