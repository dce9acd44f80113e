"""Accumulation, bootstrap and subsets of meta-regressions: every row against a fit of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference_values import counts

from helpers.errors import MetaAnalysisError
from helpers.models.pooling import pool
from helpers.models.regression import meta_regression
from helpers.models.regression_result import RegressionResult

#: Both families, two estimators of tau2 and three tests.
MODELS: dict[str, dict[str, Any]] = {
    "REML": {"model": "random", "ci_method": "wald"},
    "DL, Knapp-Hartung": {
        "model": "random",
        "tau2_method": "DL",
        "ci_method": "knapp-hartung-max1",
    },
    "common": {"model": "common"},
    "GLMM": {"model": "glmm", "ci_method": "t"},
}


def cohorts(k: int = 12) -> pd.DataFrame:
    """Cohorts with a continuous moderator and a factor."""
    x, n = counts()
    size = np.random.default_rng(5).normal(size=k)
    names = [f"c{i}" for i in range(k)]
    factor = np.resize(["a", "b", "b", "a"], k)
    return pd.DataFrame({"x": x[:k], "n": n[:k], "size": size, "group": factor, "name": names})


def fitted(data: pd.DataFrame, formula: str = "size + group", **options: Any) -> RegressionResult:
    return meta_regression(data, formula, events="x", n="n", study="name", **options)


def same(row: pd.Series, own: RegressionResult, *, robust: bool = False) -> None:
    """A row of deletion or accumulation is the fit of its studies."""
    found = row[list(own.names)].astype(float)
    np.testing.assert_allclose(found, own.estimates, rtol=1e-7, atol=1e-9)
    assert row["tau2"] == pytest.approx(own.tau2, rel=1e-6, abs=1e-9)
    assert row["Q"] == pytest.approx(own.heterogeneity.Q, rel=1e-8)
    if not robust:
        se = row[[f"se({name})" for name in own.names]].astype(float)
        np.testing.assert_allclose(se, own.coefficients["se"], rtol=1e-6)


# --- accumulation ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_every_step_of_an_accumulation_is_a_fit_of_its_own(name: str) -> None:
    data = cohorts().sort_values("size", ascending=False)
    table = fitted(cohorts(), **MODELS[name]).cumulative("size", ascending=False)
    assert table.index.to_list() == data["name"].to_list()
    for step in range(len(data)):
        first, row = data.iloc[: step + 1], table.iloc[step]
        if row["estimable"]:
            same(row, fitted(first, **MODELS[name]))
        else:  # too few studies, one level of the factor, a level without an event
            with pytest.raises(MetaAnalysisError):
                fitted(first, **MODELS[name])
            assert row.drop(["converged", "estimable"]).isna().all()
            assert not row["converged"]
    assert table["estimable"].sum() >= 8
    assert not table["estimable"].iloc[:3].any()


def test_the_order_of_an_accumulation() -> None:
    fit = fitted(cohorts(), **MODELS["REML"])
    plain, named = fit.cumulative(), fit.cumulative(by=list(fit.labels)[::-1])
    assert plain.index.to_list() == list(fit.labels) == named.index.to_list()[::-1]
    # the last step holds all studies, in whatever order they came
    pd.testing.assert_series_equal(plain.iloc[-1], named.iloc[-1], check_names=False)
    pd.testing.assert_frame_equal(fit.cumulative(by="size"), fit.cumulative(by=cohorts()["size"]))
    with pytest.raises(MetaAnalysisError, match="not a column of the studies"):
        fit.cumulative(by="year")


def test_a_robust_fit_accumulates_with_errors_of_the_model() -> None:
    data = cohorts().assign(centre=np.arange(12) // 2)
    robust = fitted(data, cluster="centre", **MODELS["REML"])
    table = robust.cumulative("cluster")
    pd.testing.assert_frame_equal(table, fitted(data, **MODELS["REML"]).cumulative())
    same(table.iloc[-1], robust, robust=True)


def test_a_separated_step_is_flagged() -> None:
    """Until a study of group b has an event the GLMM has no finite maximum."""
    data = cohorts().assign(x=[4, 0, 0, 6, 7, 5, 3, 9, 8, 6, 4, 5])
    table = fitted(data, "group", model="glmm").cumulative()
    early = table.iloc[2:5]
    assert not early["converged"].any()
    assert early.drop(columns=["converged", "estimable"]).isna().all(axis=None)
    assert table["converged"].iloc[6:].all()


def test_one_mean_accumulates_as_a_pooled_result_does() -> None:
    data = cohorts()
    for options in ({"model": "random", "ci_method": "wald"}, {"model": "glmm"}):
        regression = fitted(data, "1", **options).cumulative().iloc[1:]
        pooled = pool(events=data["x"], n=data["n"], study=data["name"], **options).cumulative()
        for ours, theirs in {"Intercept": "mu", "se(Intercept)": "se", "tau2": "tau2"}.items():
            expected = pooled[theirs].to_numpy()[1:]
            np.testing.assert_allclose(regression[ours], expected, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(regression["Q"], pooled["Q"].iloc[1:], rtol=1e-9)
