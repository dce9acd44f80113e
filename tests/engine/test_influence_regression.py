"""Influence and the Baujat plot's coordinates of meta-regressions: R, single refits, properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from densities import log_likelihood, signed_root
from reference_values import COLUMNS, DIAGNOSTICS, Agreement, by_inverse_variance, load, study_table
from scipy import special, stats

from helpers import aftercare, meta_regression, pool
from helpers.errors import UnsupportedError
from helpers.models.regression_result import RegressionResult

CI_METHODS = {"z": "wald", "knha": "knapp-hartung", "adhoc": "knapp-hartung-max1"}
TABLE = pd.DataFrame(
    {
        "study": [f"S{i}" for i in range(12)],
        "x": [1, 3, 9, 14, 2, 4, 6, 5, 12, 17, 4, 3],
        "n": [60, 80, 70, 90, 50, 45, 75, 70, 66, 80, 75, 40],
        "group": list("aababbabbaba"),
        "year": [2018, 2019, 2018, 2021, 2022, 2020, 2021, 2019, 2023, 2022, 2020, 2021],
        "place": list("aaabbcccddee"),
    }
)
COUNTS: dict[str, Any] = {"events": "x", "n": "n", "study": "study"}
RATES: dict[str, Any] = {"events": "x", "time": "n", "study": "study", "measure": "log-rate"}
#: Every way to fit a regression, by the columns that it takes.
WAYS: dict[str, dict[str, Any]] = {
    "wald": {**COUNTS, "model": "random", "ci_method": "wald"},
    "t, ML": {**COUNTS, "model": "random", "ci_method": "t", "tau2_method": "ML"},
    "knapp-hartung": {**COUNTS, "model": "random", "ci_method": "knapp-hartung"},
    "knapp-hartung-max1": {**COUNTS, "model": "random", "ci_method": "knapp-hartung-max1"},
    "common": {**COUNTS, "model": "common", "ci_method": "wald"},
    "binomial": {**COUNTS, "model": "glmm"},
    "rates": {**RATES, "model": "glmm"},
    "rates, inverse variance": {**RATES, "model": "random", "ci_method": "wald"},
}
FORMULA = "group + year"


def regress(name: str, formula: str = FORMULA, table: pd.DataFrame = TABLE) -> RegressionResult:
    return meta_regression(table, formula, **WAYS[name])


def test_influence_of_regressions_is_that_of_r() -> None:
    agree, reference = Agreement(), load("influence_r.json")
    data = study_table().iloc[24:40].assign(late=lambda table: table["year"] - 2020)
    for name, theirs in reference.items():
        if name in ("versions", "subgroups") or name.startswith("levels"):  # tests of their own
            continue
        method, test = name.split("_")
        options = {"model": "common"} if method == "EE" else {"tau2_method": method}
        fit = by_inverse_variance(
            data, "Setting + late", ci_method=CI_METHODS[test], **options, **COLUMNS
        )
        kind = "tight" if method == "REML" else "closed"
        frame, moved = fit.influence().frame(), fit.baujat()
        agree.close(fit.estimates, theirs["coef"], kind, f"{name}/coef")
        for their_name, ours in DIAGNOSTICS.items():
            values = np.array(theirs[their_name], dtype=float)
            agree.close(frame[ours].astype(float), values, kind, f"{name}/{their_name}")
        for ours, values in zip(fit.names, theirs["dfbs"].values(), strict=True):
            agree.close(frame[f"dfbetas({ours})"], values, kind, f"{name}/dfbs")
        agree.close(moved["contribution"], theirs["contribution"], kind, f"{name}/contribution")
        # ours is over the model's variance, R's over that of the test
        factor = np.ones(len(data))
        if test != "z":
            factor = np.array(
                [
                    by_inverse_variance(
                        data.drop(index=i), "Setting + late", **options, **COLUMNS
                    ).knapp_hartung_factor
                    for i in data.index
                ]
            )
            factor = np.maximum(factor, 1.0) if test == "adhoc" else factor
        agree.close(moved["influence"] / factor, theirs["influence"], kind, f"{name}/influence")
        assert frame["flagged"].sum() == sum(theirs["flagged"]) > 0
    agree.finish(7 * (3 + 16 * (9 + 3 + 2)))


def sampling(fit: RegressionResult, mean: np.ndarray) -> np.ndarray:
    """Sampling variance of every study of the table, by the model at its mean."""
    n = TABLE["n"].to_numpy(float)
    if fit.model != "glmm":
        return np.asarray(fit.data.vi)
    if fit.measure == "log-rate":
        return 1.0 / (n * np.exp(mean))
    return 1.0 / (n * special.expit(mean) * special.expit(-mean))


def information(fit: RegressionResult, mean: np.ndarray) -> np.ndarray:
    """Weight of every study: the second derivative of its log-likelihood, by differences."""
    if fit.model != "glmm":
        return 1.0 / (sampling(fit, mean) + fit.tau2)
    family, h = "poisson" if fit.measure == "log-rate" else "binomial", 0.02
    steps = np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) / (12.0 * h * h)
    return np.array(
        [
            -sum(
                step * log_likelihood(x, n, eta + at * h, fit.tau2, family)
                for step, at in zip(steps, range(-2, 3), strict=True)
            )
            for x, n, eta in zip(TABLE["x"], TABLE["n"], mean, strict=True)
        ]
    )


@pytest.mark.parametrize("name", WAYS)
def test_influence_of_regressions_is_that_of_single_refits(name: str) -> None:
    fit = regress(name)
    result, moved = fit.influence(), fit.baujat()
    frame, X, V = result.frame(), fit.core.X, fit.covariance
    fitted = X @ fit.estimates
    W = np.diag(information(fit, fitted))
    hat = np.diagonal(X @ np.linalg.inv(X.T @ W @ X) @ X.T @ W)
    assert frame["leverage"].to_numpy() == pytest.approx(hat, rel=1e-5)
    assert frame["weight"].to_numpy() == pytest.approx(100.0 * np.diagonal(W) / W.trace(), 1e-5)
    assert result.dfbetas.shape == (12, 3)
    for i, study in enumerate(TABLE["study"]):
        rest, row = regress(name, table=TABLE.drop(index=i)), frame.loc[study]
        knapp_hartung = fit.ci_method.startswith("knapp")
        factor = rest.knapp_hartung_factor if knapp_hartung else 1.0
        factor = max(factor, 1.0) if fit.ci_method.endswith("max1") else factor
        mean = X @ rest.estimates
        spread = sampling(fit, mean) + rest.tau2
        variance, shift = X[i] @ rest.covariance @ X[i], fitted[i] - mean[i]
        change = fit.estimates - rest.estimates
        every = np.linalg.inv(X.T @ np.diag(1.0 / spread) @ X)
        x, n = TABLE.loc[i, ["x", "n"]].to_numpy(float)
        family = "poisson" if fit.measure == "log-rate" else "binomial"
        if fit.model == "glmm":
            residual = signed_root(x, n, mean[i], rest.tau2 + variance, family)
            part = signed_root(x, n, fitted[i], fit.tau2, family) ** 2
        else:
            residual = (fit.core.yi[i] - mean[i]) / np.sqrt(factor * spread[i] + variance)
            part = (fit.core.yi[i] - fitted[i]) ** 2 / (fit.core.vi[i] + fit.tau2)
        close = {"rel": 2e-5, "abs": 1e-5} if fit.model == "glmm" else {"rel": 1e-6}
        assert row["rstudent"] == pytest.approx(residual, **close)
        assert row["dffits"] == pytest.approx(shift / np.sqrt(factor * hat[i] * spread[i]), 1e-5)
        assert row["cook_d"] == pytest.approx(change @ np.linalg.solve(V, change), rel=1e-6)
        ratio = np.linalg.det(rest.covariance) / np.linalg.det(V)
        assert row["cov_ratio"] == pytest.approx(ratio, rel=1e-6)
        assert row["tau2_deleted"] == pytest.approx(rest.tau2, rel=1e-7, abs=1e-9)
        assert row["Q_deleted"] == pytest.approx(rest.heterogeneity.Q, rel=1e-7)
        dfbetas = change / np.sqrt(factor * np.diagonal(every))
        assert result.dfbetas[i] == pytest.approx(dfbetas, rel=1e-5, abs=1e-8)
        assert row[[f"dfbetas({c})" for c in fit.names]].to_list() == list(result.dfbetas[i])
        assert moved.loc[study, "influence"] == pytest.approx(shift**2 * factor / variance, 1e-6)
        assert moved.loc[study, "contribution"] == pytest.approx(part, **close)
    limits = {rule.statistic: rule.threshold for rule in result.rules}
    assert limits["dffits"] == pytest.approx(3.0 * np.sqrt(3 / 9))
    assert limits["cook_d"] == pytest.approx(stats.chi2.ppf(0.5, 3))
    assert limits["leverage"] == pytest.approx(9 / 12)


@pytest.mark.parametrize("name", WAYS)
def test_without_moderators_influence_is_that_of_the_pooled_result(name: str) -> None:
    options = {c: v for c, v in WAYS[name].items() if c not in ("events", "n", "time", "study")}
    columns = {c: TABLE[v] for c, v in WAYS[name].items() if c in ("events", "n", "time", "study")}
    fit = pool(**columns, **options)
    alone = regress(name, "1")
    for by in (None, TABLE["place"]):
        ours, pooled = alone.influence(by), fit.influence(by)
        assert ours.dfbetas.shape == pooled.dfbetas.shape
        assert ours.rules == pooled.rules
        pd.testing.assert_frame_equal(ours.frame(), pooled.frame(), rtol=2e-6, atol=1e-9)
        pd.testing.assert_frame_equal(alone.baujat(by), fit.baujat(by), rtol=2e-6, atol=1e-9)


@pytest.mark.parametrize("name", WAYS)
def test_the_order_of_studies_and_the_units_of_a_moderator_do_not_matter(name: str) -> None:
    here = regress(name)
    there = regress(name, "group + late", TABLE[::-1].assign(late=lambda t: 10.0 * (t.year - 2020)))
    ours, theirs = here.influence().frame(), there.influence().frame()[::-1]
    same = [c for c in ours if "Intercept" not in c and "year" not in c]
    pd.testing.assert_frame_equal(ours[same], theirs[same], rtol=1e-6, atol=1e-9)
    pd.testing.assert_frame_equal(here.baujat(), there.baujat()[::-1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", WAYS)
def test_a_cluster_is_left_out_of_a_regression_as_a_whole(name: str) -> None:
    fit = regress(name)
    result, moved, alone = fit.influence(TABLE["place"]), fit.baujat(TABLE["place"]), fit.baujat()
    single = fit.influence()
    for at, place in enumerate("abcde"):
        inside = (TABLE["place"] == place).to_numpy()
        rest = regress(name, table=TABLE[~inside])
        factor = rest.core.regress().cov[0] / rest.covariance
        change, own, X = fit.estimates - rest.estimates, rest.covariance * factor, fit.core.X
        cook = change @ np.linalg.solve(fit.covariance, change)
        assert result.cook_d[at] == pytest.approx(cook, rel=1e-6)
        ratio = np.linalg.det(rest.covariance) / np.linalg.det(fit.covariance)
        assert result.cov_ratio[at] == pytest.approx(ratio, rel=1e-6)
        assert result.leverage[at] == pytest.approx(single.leverage[inside].sum())
        assert result.weights[at] == pytest.approx(single.weights[inside].sum())
        assert np.isnan(result.rstudent[at])
        assert np.isnan(result.dffits[at])
        parts = alone["contribution"].to_numpy()[inside]
        assert moved.loc[place, "contribution"] == pytest.approx(parts.sum())
        rows = np.unique(X[inside], axis=0)
        if len(rows) == 3:  # then the shift of its fitted values is that of all coefficients
            expected = change @ np.linalg.solve(own, change)
        else:
            assert len(rows) == 2
            expected = rows @ change @ np.linalg.solve(rows @ own @ rows.T, rows @ change)
        assert moved.loc[place, "influence"] == pytest.approx(expected, rel=1e-6)
    assert {rule.statistic for rule in result.rules} == {"cook_d", "leverage", "dfbetas"}


def test_a_robust_regression_is_questioned_by_its_model() -> None:
    options = {**WAYS["wald"], "robust": "CR2", "cluster": "place"}
    robust = meta_regression(TABLE, FORMULA, **options)
    model = regress("wald")
    assert not np.allclose(robust.covariance, model.covariance)
    pd.testing.assert_frame_equal(robust.influence().frame(), model.influence().frame())
    by_cluster = model.influence(TABLE["place"]).frame().rename_axis("cluster")
    pd.testing.assert_frame_equal(robust.influence("cluster").frame(), by_cluster)
    pd.testing.assert_frame_equal(robust.baujat("group"), model.baujat("group"))


@pytest.mark.parametrize("name", WAYS)
def test_a_study_that_alone_tells_a_coefficient_has_no_diagnostics_but_a_flag(name: str) -> None:
    table = TABLE.assign(group=["c", *TABLE["group"][1:]])
    result = regress(name, "group", table).influence()
    frame = result.frame()
    first = frame.iloc[0]
    assert not first["converged"]
    assert first["leverage"] == pytest.approx(1.0)
    assert first["flagged"]
    lost = "rstudent dffits cook_d cov_ratio tau2_deleted Q_deleted".split()
    assert first[lost].isna().all()
    assert np.isnan(result.dfbetas[0]).all()
    assert frame.iloc[1:].notna().all(axis=None)
    assert frame["converged"].iloc[1:].all()
    moved = regress(name, "group", table).baujat()
    assert list(moved["influence"].isna()) == [True, *[False] * 11]
    assert moved["contribution"].notna().all()


@pytest.mark.parametrize("name", ["binomial", "rates"])
def test_a_study_whose_deletion_leaves_a_level_without_events_has_no_diagnostics(name: str) -> None:
    x = np.where(TABLE["group"] == "b", 0, TABLE["x"])
    x[2] = 9
    fit = regress(name, "group", TABLE.assign(x=x))
    frame = fit.influence().frame()
    assert list(frame.index[~frame["converged"].to_numpy(bool)]) == ["S2"]
    assert frame.loc["S2", ["rstudent", "dffits", "cook_d", "cov_ratio"]].isna().all()
    assert frame.drop("S2").notna().all(axis=None)
    assert np.isnan(fit.baujat().loc["S2", "influence"])


@pytest.mark.parametrize("name", WAYS)
def test_where_every_deletion_leaves_too_few_studies_nothing_is_said(name: str) -> None:
    fit = regress(name, "group", TABLE.iloc[:3])
    frame = fit.influence().frame()
    assert frame[["rstudent", "cook_d", "cov_ratio", "tau2_deleted"]].isna().all(axis=None)
    assert not frame["converged"].any()
    assert fit.baujat()["influence"].isna().all()


def test_methods_and_calls_are_one_and_the_result_is_plain() -> None:
    fit = regress("binomial")
    result = aftercare.influence(fit)
    pd.testing.assert_frame_equal(fit.influence().frame(), result.frame())
    pd.testing.assert_frame_equal(fit.baujat(), aftercare.baujat(fit))
    for by in (None, "group"):
        pd.testing.assert_frame_equal(fit.leave_one_out(by), aftercare.leave_one_out(fit, by))
        pd.testing.assert_frame_equal(fit.cumulative(by), aftercare.cumulative(fit, by))
    with pytest.raises(UnsupportedError, match="one pooled effect; this is a meta-regression"):
        aftercare.permutation_test(fit, 0.1)
    assert list(result.to_dict()["studies"][0])[:3] == ["study", "rstudent", "dffits"]
    assert "12" in repr(result)
