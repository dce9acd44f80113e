"""Aftercare of three-level models with moderators: R, dense matrices, single refits, properties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from densities import signed_root
from reference_values import COLUMNS, Agreement, by_inverse_variance, load, study_table
from scipy import special

from helpers import aftercare, pool_multilevel
from helpers.errors import MetaAnalysisError, UnsupportedError

TABLE = pd.DataFrame(
    {
        "study": [f"S{i}" for i in range(12)],
        "x": [1, 3, 9, 14, 2, 4, 6, 5, 12, 17, 4, 3],
        "n": [60, 80, 70, 90, 50, 45, 75, 70, 66, 80, 75, 40],
        "place": list("aaabbcccddee"),
        "late": [0, 1, 0, 1, 0, 0, 0, 1, 1, 0, 1, 0],
    }
)
COUNTS: dict[str, Any] = {"events": "x", "n": "n", "study": "study", "cluster": "place"}
WAYS: dict[str, dict[str, Any]] = {
    "REML": {"tau2_method": "REML", "to": "all"},
    "robust": {"tau2_method": "REML", "to": "all", "robust": "CR1"},
    "binomial": {"model": "glmm"},
}
NAMES = ["Intercept", "late"]


def levels(name: str, rows: pd.DataFrame = TABLE, formula: str = "late") -> Any:
    return pool_multilevel(rows, formula, **COUNTS, **WAYS[name])


# --- R -----------------------------------------------------------------------------------------


def cohorts(cluster: list[int]) -> pd.DataFrame:
    return study_table().iloc[24:40].assign(late=lambda t: t["year"] - 2020, place=cluster)


@pytest.mark.parametrize("name", ["flat", "clustered"])
def test_influence_is_that_of_rs_multivariate_model(name: str) -> None:
    theirs = load("influence_r.json")[f"levels_{name}"]
    fit = pool_multilevel(
        cohorts(theirs["cluster"]), "Setting + late", cluster="place", **COLUMNS,
        tau2_method="REML", ci_method="wald",
    )  # fmt: skip
    frame, agree = fit.influence().frame(), Agreement()
    assert (fit.sigma2_between > 0.0) == (name == "clustered")
    # R's optimiser stops at 1e-8 of the variance
    agree.close(fit.estimates, theirs["coef"], "default", "coef")
    agree.close(frame["leverage"], theirs["hat"], "default", "hat")
    agree.close(frame["cook_d"], theirs["cook.d"], "lme4", "cook.d")
    for ours, values in zip(fit.names, theirs["dfbs"].values(), strict=True):
        agree.close(frame[f"dfbetas({ours})"], values, "lme4", "dfbs")
    if name == "flat":
        agree.close(frame["rstudent"], theirs["rstudent"], "lme4", "rstudent")
    else:  # R leaves out that a residual and the mean of the others share their cluster
        assert (frame["rstudent"].abs() > np.abs(theirs["rstudent"])).all()
        np.testing.assert_array_equal(np.sign(frame["rstudent"]), np.sign(theirs["rstudent"]))
    agree.finish(3 + 16 * (5 + (name == "flat")))


def test_without_variance_between_clusters_it_is_the_regression() -> None:
    data = cohorts(load("influence_r.json")["levels_flat"]["cluster"])
    nested = pool_multilevel(
        data, "Setting + late", cluster="place", **COLUMNS, tau2_method="REML", ci_method="wald"
    )
    flat = by_inverse_variance(data, "Setting + late", tau2_method="REML", **COLUMNS)
    exact: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-7}
    pd.testing.assert_frame_equal(nested.influence().frame(), flat.influence().frame(), **exact)
    pd.testing.assert_frame_equal(nested.baujat(), flat.baujat(), **exact)
    steps = nested.cumulative()
    assert (steps["sigma2_between"] + steps["sigma2_within"]).equals(steps["tau2"])


# --- dense matrices ----------------------------------------------------------------------------


def parts(fit: Any, name: str, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Design of all cohorts, and their covariance given coefficients and the variances of a fit."""
    X = np.column_stack([np.ones(12), TABLE["late"]])
    place, n = TABLE["place"].to_numpy(), TABLE["n"].to_numpy(float)
    v = np.asarray(levels(name).data.vi)
    if name == "binomial":
        p = special.expit(X @ beta)
        v = 1.0 / (n * p * (1.0 - p))
    shared = (place[:, None] == place).astype(float) * fit.sigma2_between
    return X, shared + np.diag(v + fit.sigma2_within)


@pytest.mark.parametrize("name", WAYS)
def test_influence_with_moderators_is_generalised_least_squares(name: str) -> None:
    fit = levels(name)
    assert min(fit.sigma2_between, fit.sigma2_within) > 0.0  # else clusters would say nothing
    frame, moved = fit.influence().frame(), fit.baujat()
    X, here = parts(fit, name, fit.estimates)
    inverse, full = np.linalg.inv(here), fit.joint_covariance[:2, :2]
    hat = np.diag(X @ np.linalg.inv(X.T @ inverse @ X) @ X.T @ inverse)
    np.testing.assert_allclose(frame["leverage"], hat, rtol=1e-8)
    assert frame["leverage"].sum() == pytest.approx(2.0)
    np.testing.assert_allclose(
        frame["weight"], 100 * inverse.sum(axis=0) / inverse.sum(), rtol=1e-8
    )
    for i, study in enumerate(TABLE["study"]):
        rest, row, others = levels(name, TABLE.drop(index=i)), frame.loc[study], np.arange(12) != i
        X, matrix = parts(rest, name, rest.estimates)
        change, cov = fit.estimates - rest.estimates, rest.joint_covariance[:2, :2]
        left = np.linalg.inv(matrix[np.ix_(others, others)])
        share = X[i] @ cov @ X[others].T @ left @ matrix[others, i]
        mean, variance = X[i] @ rest.estimates, X[i] @ cov @ X[i] - 2.0 * share
        if name == "binomial":
            residual = signed_root(TABLE["x"][i], TABLE["n"][i], mean, rest.tau2 + variance)
        else:
            residual = (fit.data.yi[i] - mean) / np.sqrt(matrix[i, i] + variance)
        assert row["rstudent"] == pytest.approx(residual, rel=3e-5, abs=1e-5)
        shift = X[i] @ change
        assert row["dffits"] == pytest.approx(shift / np.sqrt(hat[i] * matrix[i, i]), rel=1e-4)
        assert row["cook_d"] == pytest.approx(change @ np.linalg.inv(full) @ change, rel=1e-4)
        ratio = np.linalg.det(cov) / np.linalg.det(full)
        assert row["cov_ratio"] == pytest.approx(ratio, rel=1e-4)
        se = np.sqrt(np.diag(np.linalg.inv(X.T @ np.linalg.inv(matrix) @ X)))
        np.testing.assert_allclose(
            row[["dfbetas(Intercept)", "dfbetas(late)"]].astype(float), change / se, rtol=1e-4
        )
        assert row["tau2_deleted"] == pytest.approx(rest.tau2, rel=1e-4, abs=1e-8)
        assert row["Q_deleted"] == pytest.approx(rest.heterogeneity.Q, rel=1e-7)
        moving = shift**2 / (X[i] @ cov @ X[i])
        assert moved.loc[study, "influence"] == pytest.approx(moving, rel=1e-4)


@pytest.mark.parametrize("name", WAYS)
def test_a_cluster_is_left_out_as_a_whole(name: str) -> None:
    fit = levels(name)
    frame, moved = fit.influence("cluster").frame(), fit.baujat("cluster")
    every, alone = fit.influence().frame(), fit.baujat()["contribution"].to_numpy()
    table = fit.leave_one_out("cluster")
    for unit in "abcde":
        rest, inside = levels(name, TABLE[TABLE["place"] != unit]), (TABLE["place"] == unit).array
        X, matrix = parts(rest, name, rest.estimates)
        change, cov = fit.estimates - rest.estimates, rest.joint_covariance[:2, :2]
        row = frame.loc[unit]
        distance = change @ np.linalg.inv(fit.joint_covariance[:2, :2]) @ change
        assert row["cook_d"] == pytest.approx(distance, rel=1e-4)
        se = np.sqrt(np.diag(np.linalg.inv(X.T @ np.linalg.inv(matrix) @ X)))
        assert row["dfbetas(late)"] == pytest.approx(change[1] / se[1], rel=1e-4)
        assert row["leverage"] == pytest.approx(every["leverage"][inside].sum())
        assert moved.loc[unit, "contribution"] == pytest.approx(alone[inside].sum())
        # every cluster has both levels of the factor, so that both coefficients move its values
        distance = change @ np.linalg.solve(cov, change)
        assert moved.loc[unit, "influence"] == pytest.approx(distance, rel=1e-4)
        np.testing.assert_allclose(table.loc[unit, NAMES].astype(float), rest.estimates, rtol=1e-6)
        errors = table.loc[unit, ["se(Intercept)", "se(late)"]].astype(float)
        np.testing.assert_allclose(errors, np.sqrt(np.diag(cov)), rtol=1e-5)


# --- single refits -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["REML", "binomial"])
def test_every_subset_and_step_is_a_fit_of_its_own(name: str) -> None:
    some = TABLE.iloc[:9]
    result, steps = levels(name, some).gosh(60, min_size=5, seed=3), levels(name).cumulative()
    chosen = [(result.member[row], result.effects, row) for row in range(0, 60, 4)]
    lost = 0
    for member, effects, row in chosen:
        values = [effects[n][row] for n in NAMES]
        try:
            own = levels(name, some[member])
        except MetaAnalysisError:
            assert np.isnan(values).all()
            assert not result.converged[row]
            lost += 1
            continue
        np.testing.assert_allclose(values, own.estimates, rtol=1e-5, atol=1e-7)
        assert result.tau2[row] == pytest.approx(own.tau2, rel=1e-4, abs=1e-7)
        assert result.Q[row] == pytest.approx(own.heterogeneity.Q, rel=1e-7)
        assert result.I2[row] == pytest.approx(own.heterogeneity.I2, rel=1e-4, abs=1e-4)
    assert lost < 8
    for step in range(5, 12):
        own, row = levels(name, TABLE.iloc[: step + 1]), steps.iloc[step]
        np.testing.assert_allclose(row[NAMES].astype(float), own.estimates, rtol=1e-6, atol=1e-8)
        both = row[["sigma2_between", "sigma2_within"]].astype(float)
        np.testing.assert_allclose(both, [own.sigma2_between, own.sigma2_within], atol=1e-6)
    assert steps["estimable"].tolist()[:3] == [False] * 3


# --- properties --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WAYS)
def test_a_constant_moderator_is_one_mean_in_other_units(name: str) -> None:
    """Twice the coefficient of a column of twos is the mean, and nothing else depends on it."""
    mean = levels(name, formula="1")
    half = replace(
        mean,
        core=replace(mean.core, design=np.full((12, 1), 2.0)),
        names=("two",),
        estimates=mean.estimates / 2.0,
        covariance=mean.covariance / 4.0,
        joint_covariance=mean.joint_covariance / 4.0,
    )
    assert half.core.moderated
    assert not mean.core.moderated
    exact: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-8}
    for by in (None, "cluster"):
        pd.testing.assert_frame_equal(
            half.influence(by).frame(), mean.influence(by).frame(), **exact
        )
        pd.testing.assert_frame_equal(half.baujat(by), mean.baujat(by), **exact)
        ours, theirs = half.leave_one_out(by), mean.leave_one_out(by)
        np.testing.assert_allclose(2 * ours["two"], theirs["mu"], **exact)
        for column in ("tau2", "Q", "sigma2_between", "sigma2_within"):
            np.testing.assert_allclose(ours[column], theirs[column], **exact)
    subsets = half.gosh(40), mean.gosh(40)
    np.testing.assert_allclose(2 * subsets[0].effects["two"], subsets[1].mu, **exact)
    np.testing.assert_allclose(subsets[0].I2, subsets[1].I2, rtol=1e-5, atol=1e-6)
    for kind in ("parametric", "nonparametric"):
        drawn = half.bootstrap(30, kind, seed=3), mean.bootstrap(30, kind, seed=3)
        np.testing.assert_allclose(2 * drawn[0].drawn["two"], drawn[1].drawn["mu"], **exact)
        np.testing.assert_allclose(2 * drawn[0].se["two"], drawn[1].se["mu"], **exact)
        assert 2 * drawn[0].observed_se["two"] == pytest.approx(drawn[1].observed_se["mu"])


@pytest.mark.parametrize("name", ["REML", "binomial"])
def test_the_order_of_cohorts_does_not_matter(name: str) -> None:
    order = np.random.default_rng(2).permutation(12)
    fit, other = levels(name), levels(name, TABLE.iloc[order])
    exact: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-8}
    for ask in (aftercare.baujat, aftercare.leave_one_out, lambda f: f.influence().frame()):
        pd.testing.assert_frame_equal(ask(other).loc[list(fit.labels)], ask(fit), **exact)


def test_moderators_that_leave_no_variance_to_tell_apart_are_refused() -> None:
    """Three cohorts, two coefficients: one contrast has both variances in it."""
    with pytest.raises(UnsupportedError, match="cannot tell the variances"):
        levels("REML", TABLE.iloc[[0, 1, 3]])
    # a level for each cluster: nothing is left between them
    with pytest.raises(UnsupportedError, match="cannot tell the variances"):
        levels("REML", formula="place")
    reasons = levels("REML", TABLE.iloc[:5]).gosh().failures
    assert any("cannot be told apart" in reason for reason in reasons)


def test_an_oblique_leverage_below_zero_leaves_dffits_undefined() -> None:
    # the precise cohort of the first cluster lies further out than the other one
    table = pd.DataFrame(
        {
            "y": [2.0, 2.2, -1.5, -1.4, 0.3, 0.4],
            "v": [0.02, 1.0, 0.02, 0.02, 0.02, 0.02],
            "z": [3.0, 1.0, -1.0, -2.0, 0.0, -1.0],
            "place": list("aabbcc"),
        }
    )
    fit = pool_multilevel(table, "z", yi="y", vi="v", cluster="place")
    frame = fit.influence().frame()
    assert (frame["leverage"] < 0).tolist() == [False, True, True, False, False, False]
    assert frame["dffits"].isna().equals(frame["leverage"] < 0)
    assert frame["leverage"].sum() == pytest.approx(2.0)
    assert frame["cook_d"].notna().all()
