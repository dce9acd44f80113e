"""Leaving out single studies or whole clusters is calling again on the studies that are left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers import (
    aftercare,
    meta_regression,
    pool,
    pool_beta_binomial,
    pool_effects,
    pool_multilevel,
    pool_rates,
    subgroups,
)
from helpers.engine.model.units import values_of
from helpers.engine.options import TAU2_METHODS
from helpers.errors import MetaAnalysisError, UnsupportedError

X = [3, 8, 6, 16, 2, 9, 0, 11, 5, 7]
N = [40, 60, 90, 50, 90, 70, 35, 80, 66, 58]
REGISTRY = list("aabbccadbd")
TABLE = pd.DataFrame(
    {
        "study": [f"S{i}" for i in range(10)],
        "events": X,
        "n": N,
        "months": [12.0, 10, 18, 7, 9, 14, 20, 11, 16, 13],
        "registry": REGISTRY,
        "year": [2017, 2018, 2018, 2019, 2020, 2020, 2021, 2022, 2022, 2023],
    }
)
COUNTS = {"events": "events", "n": "n", "study": "study"}
BY = {"study": None, "registry": TABLE["registry"]}

#: What is fitted: a call on rows of the table.
POOLED: dict[str, Callable[[pd.DataFrame], Any]] = {
    "REML, Knapp-Hartung": lambda rows: pool(rows, **COUNTS, model="random", to="all"),
    "DL, Wald": lambda rows: pool(
        rows, **COUNTS, model="random", tau2_method="DL", ci_method="wald", to="all"
    ),
    "given variance": lambda rows: pool(rows, **COUNTS, model="random", tau2=0.4, to="all"),
    "GLMM, Wald": lambda rows: pool(rows, **COUNTS, model="glmm", ci_method="wald"),
    "GLMM, t": lambda rows: pool(rows, **COUNTS, model="glmm", ci_method="t"),
    "GLMM, profile": lambda rows: pool(rows, **COUNTS, model="glmm", ci_method="profile"),
    "one rate for all": lambda rows: pool(rows, **COUNTS, model="common", method="likelihood"),
    "rates": lambda rows: pool_rates(rows, **COUNTS, follow_up="months", ci_method="wald"),
}


def left(by: str) -> dict[str, pd.DataFrame]:
    """Rows that are left without each study or registry, in order of appearance."""
    return {unit: TABLE[TABLE[by] != unit] for unit in dict.fromkeys(TABLE[by])}


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("name", POOLED)
def test_pooling_without_each_is_pooling_the_rest(name: str, by: str) -> None:
    table = POOLED[name](TABLE).leave_one_out(BY[by])
    rest = left(by)
    assert list(table.index) == list(rest)
    assert table.index.name == by
    for unit, rows in rest.items():
        alone, row = POOLED[name](rows), table.loc[unit]
        assert row["k"] == len(rows)
        assert row["estimate"] == pytest.approx(alone.estimate, rel=1e-8)
        assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(alone.ci, rel=1e-6)
        assert row["se"] == pytest.approx(alone.se, rel=1e-7)
        assert row["tau2"] == pytest.approx(alone.tau2, rel=1e-6, abs=1e-10)
        assert row["I2"] == pytest.approx(alone.heterogeneity.I2, rel=1e-6, abs=1e-7)
        assert row["Q"] == pytest.approx(alone.heterogeneity.Q, rel=1e-8)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("model", ["random", "glmm"])
def test_a_regression_without_each_is_a_regression_on_the_rest(model: str, by: str) -> None:
    def call(rows: pd.DataFrame) -> Any:
        options = {} if model == "glmm" else {"to": "all"}
        return meta_regression(rows, "year", **COUNTS, model=model, ci_method="t", **options)

    table = call(TABLE).leave_one_out(BY[by])
    for unit, rows in left(by).items():
        alone, row = call(rows), table.loc[unit]
        assert row["year"] == pytest.approx(alone.estimates[1], rel=1e-5)
        assert row["se(year)"] == pytest.approx(alone.covariance[1, 1] ** 0.5, rel=1e-5)
        assert row["tau2"] == pytest.approx(alone.tau2, rel=1e-5, abs=1e-9)
        assert row["Q"] == pytest.approx(alone.heterogeneity.Q, rel=1e-6)
        assert row["estimable"]


def test_the_clusters_of_a_regression_are_known_to_it() -> None:
    fit = meta_regression(TABLE, "year", **COUNTS, cluster="registry", model="random")
    own, given = fit.leave_one_out("cluster"), fit.leave_one_out(TABLE["registry"])
    np.testing.assert_array_equal(own.to_numpy(), given.to_numpy())
    assert (own.index.name, given.index.name) == ("cluster", "registry")
    assert list(fit.leave_one_out("year").index) == [str(y) for y in dict.fromkeys(TABLE["year"])]


def test_a_moderator_that_the_rest_does_not_show_is_said_to_be_inestimable() -> None:
    rows = TABLE.assign(trial=[1, 1, 0, 0, 0, 0, 1, 0, 0, 0], house=list("xxyyyyxzzz"))
    fit = meta_regression(rows, "trial", **COUNTS, model="random")
    table = fit.leave_one_out(rows["house"])
    assert table["estimable"].tolist() == [False, True, True]
    assert table.loc["x", ["trial", "tau2"]].isna().all()
    # so few studies are left that none is spare for the variance
    few = fit.leave_one_out([*["most"] * 8, "other", "other"])
    assert few["estimable"].tolist() == [False, True]


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_three_levels_without_each_are_three_levels_of_the_rest(method: str, by: str) -> None:
    def call(rows: pd.DataFrame) -> Any:
        return pool_multilevel(rows, **COUNTS, cluster="registry", tau2_method=method, to="all")

    fit = call(TABLE)
    table = fit.leave_one_out("cluster" if by == "registry" else None)
    assert sorted(table.index) == sorted(left(by))
    for unit, rows in left(by).items():
        alone, row = call(rows), table.loc[unit]
        assert row["estimate"] == pytest.approx(alone.estimate, rel=1e-7)
        assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(alone.ci, rel=1e-6)
        assert row["mu"] == pytest.approx(alone.mu, rel=1e-7)
        assert row["se"] == pytest.approx(alone.se, rel=1e-6)
        assert (row["k"], row["Q"]) == pytest.approx((alone.k, alone.heterogeneity.Q))
        variances = (alone.sigma2_between, alone.sigma2_within)
        assert (row["sigma2_between"], row["sigma2_within"]) == pytest.approx(
            variances, rel=1e-5, abs=1e-8
        )


def test_sizes_of_the_rest_turn_double_arcsines_back() -> None:
    def call(rows: pd.DataFrame) -> Any:
        return pool_multilevel(rows, **COUNTS, cluster="registry", measure="double-arcsine")

    fit = call(TABLE)
    table, subsets = fit.leave_one_out(), fit.gosh(30, min_size=8)
    for unit, rows in left("study").items():
        assert table.loc[unit, "estimate"] == pytest.approx(call(rows).estimate, rel=1e-7)
    own = call(TABLE[subsets.member[0]])
    assert subsets.estimate[0] == pytest.approx(own.estimate, rel=1e-7)


def test_variances_that_the_rest_cannot_tell_apart_are_not_estimated() -> None:
    fit = pool_multilevel(events=X[:5], n=N[:5], cluster=list("aabcd"))
    table = fit.leave_one_out("cluster")
    assert table["converged"].to_dict() == {"a": False, "b": True, "c": True, "d": True}
    assert np.isnan(table.loc["a", "estimate"])
    assert "cannot be told apart" in table.loc["a", "note"]


@pytest.mark.parametrize("by", BY)
def test_the_beta_binomial_model_without_each_is_that_of_the_rest(by: str) -> None:
    table = pool_beta_binomial(TABLE, **COUNTS).leave_one_out(BY[by])
    for unit, rows in left(by).items():
        alone, row = pool_beta_binomial(rows, **COUNTS), table.loc[unit]
        assert row["k"] == len(rows)
        assert row["estimate"] == pytest.approx(alone.estimate, rel=1e-8)
        assert (row["ci_lower"], row["ci_upper"]) == pytest.approx(alone.ci, rel=1e-7)
        assert row["rho"] == pytest.approx(alone.rho, rel=1e-6, abs=1e-10)
        assert row["loglik"] == pytest.approx(alone.loglik, rel=1e-9)
        assert row["converged"]


def test_clusters_are_read_by_label_by_row_or_by_included_study() -> None:
    fit = pool(events=[3, None, *X[2:]], n=N, study=list(TABLE["study"]), model="random", to="all")
    by_row = fit.leave_one_out(REGISTRY)
    indexed = TABLE.set_index("study")["registry"].iloc[::-1]
    included = [r for i, r in enumerate(REGISTRY) if i != 1]
    for by in (indexed, included):
        np.testing.assert_array_equal(fit.leave_one_out(by)["mu"], by_row["mu"])
    assert by_row.loc["a", "k"] == 7


def test_what_is_no_clustering_is_refused() -> None:
    fit = pool(TABLE, **COUNTS)
    with pytest.raises(UnsupportedError, match="at least two clusters"):
        fit.leave_one_out(["one"] * 10)
    with pytest.raises(MetaAnalysisError, match="by has 3 values; expected one for each of the 10"):
        fit.leave_one_out(list("aab"))
    with pytest.raises(MetaAnalysisError, match="no value for S4"):
        fit.leave_one_out([*REGISTRY[:4], None, *REGISTRY[5:]])
    with pytest.raises(MetaAnalysisError, match="'centre' is not a column"):
        fit.leave_one_out("centre")


def test_clusters_of_one_study_are_single_studies() -> None:
    fit = pool_effects([0.1, 0.5, 0.9, 0.3], [0.1, 0.2, 0.1, 0.3])
    alone, clusters = aftercare.leave_one_out(fit), aftercare.leave_one_out(fit, list("wxyz"))
    np.testing.assert_array_equal(alone["mu"], clusters["mu"])


@pytest.mark.parametrize("tau2", ["separate", "common"])
@pytest.mark.parametrize("model", ["glmm", "random"])
@pytest.mark.parametrize("by", BY)
def test_groups_without_each_are_the_groups_of_the_rest(tau2: Any, model: str, by: str) -> None:
    def call(rows: pd.DataFrame) -> Any:
        options = {} if model == "glmm" else {"to": "all"}
        return subgroups(
            rows, by="era", **COUNTS, model=model, group_tau2=tau2, ci_method="wald", **options
        )

    rows = TABLE.assign(era=np.where(TABLE["year"] < 2020, "early", "late"))
    table = call(rows).leave_one_out(BY[by])
    for unit in left(by):
        alone, row = call(rows[rows[by] != unit]), table.loc[unit]
        assert row["k"] == alone.overall.k
        assert (row["statistic"], row["df"], row["p"]) == pytest.approx(
            (alone.test.statistic, alone.test.df, alone.test.p), rel=1e-7
        )
        for level, group in alone:
            assert row[f"estimate({level})"] == pytest.approx(group.estimate, rel=1e-8)
            limits = (row[f"ci_lower({level})"], row[f"ci_upper({level})"])
            assert limits == pytest.approx(group.ci, rel=1e-7)


def test_a_group_keeps_its_interval_and_may_be_left_without_a_study() -> None:
    groups = ["one", *["many"] * 9]
    result = subgroups(events=[*X, 4], n=[*N, 44], by=[*groups, "many"], model="glmm")
    many = result.groups["many"]
    assert (many.k, many.ci_method) == (10, "wald")
    table = result.leave_one_out()
    assert table["note"].tolist() == ["no study is left in one", *[""] * 10]
    assert np.isnan(table.loc["Study 1", "estimate(one)"])
    assert (table.loc["Study 1", "df"], np.isnan(table.loc["Study 1", "p"])) == (0, True)
    rest = pool(events=[*X[2:], 4], n=[*N[2:], 44], model="glmm", ci_method="wald")
    assert table.loc["Study 2", "ci_upper(many)"] == pytest.approx(rest.ci.upper, rel=1e-8)


@pytest.mark.parametrize("name", ["REML, Knapp-Hartung", "GLMM, Wald"])
def test_the_influence_of_a_registry_is_what_its_absence_changes(name: str) -> None:
    fit = POOLED[name](TABLE)
    found, moved = fit.influence(TABLE["registry"]), fit.baujat(TABLE["registry"])
    frame, alone = found.frame(), fit.baujat()
    assert (found.k, frame.index.name, list(frame.index)) == (10, "registry", list("abcd"))
    assert [rule.statistic for rule in found.rules] == ["cook_d", "leverage", "dfbetas"]
    assert frame[["rstudent", "dffits"]].isna().all(axis=None)
    for unit, rows in left("registry").items():
        rest, inside = POOLED[name](rows), np.array(REGISTRY) == unit
        shift = fit.mu - rest.mu
        row = frame.loc[unit]
        assert row["cook_d"] == pytest.approx(shift**2 / fit.se**2, rel=1e-6)
        assert row["cov_ratio"] == pytest.approx(rest.se**2 / fit.se**2, rel=1e-6)
        assert row["weight"] == pytest.approx(fit.weights[inside].sum())
        assert row["tau2_deleted"] == pytest.approx(rest.tau2, rel=1e-6, abs=1e-10)
        if name.startswith("GLMM"):
            p = rest.estimate
            v = 1 / (np.array(N) * p * (1 - p))
            scale = 1.0
        else:
            v, scale = fit.data.vi, rest.se**2 / rest.se_model**2
        se = np.sqrt(scale / np.sum(1 / (v + rest.tau2)))
        assert row["dfbetas"] == pytest.approx(shift / se, rel=1e-6)
        assert moved.loc[unit, "influence"] == pytest.approx((shift / rest.se_model) ** 2, rel=1e-6)
        parts = alone["contribution"].to_numpy()[inside]
        assert moved.loc[unit, "contribution"] == pytest.approx(parts.sum())
    np.testing.assert_array_equal(
        fit.influence([f"c{i}" for i in range(10)]).rstudent, fit.influence().rstudent
    )


@pytest.mark.parametrize("tau2_method", [*TAU2_METHODS, None])
def test_without_each_of_many_studies_is_linear_and_equals_single_fits(
    tau2_method: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpers.engine.model.core.ONE_BY_ONE", 10)
    rng = np.random.default_rng(4)
    for spread, far in ((0.5, 0.0), (2.5, 0.0), (1.0, 40.0)):
        v = np.exp(rng.normal(0, spread, 60))
        y = rng.normal(0, 1, 60) * np.sqrt(v + 0.5)
        y[3] += far  # an outlier: its part of the sums is large
        v[7] = 1e-7  # a study that outweighs all others
        options = {"model": "common"} if tau2_method is None else {"tau2_method": tau2_method}
        table = aftercare.leave_one_out(pool_effects(y, v, ci_method="wald", **options))
        for i in (0, 3, 7, 20, 59):
            rest = np.arange(60) != i
            one = pool_effects(y[rest], v[rest], ci_method="wald", **options)
            row = table.iloc[i]
            assert row["mu"] == pytest.approx(one.mu, rel=1e-10, abs=1e-12)
            assert row["se"] == pytest.approx(one.se, rel=1e-10)
            assert row["tau2"] == pytest.approx(one.tau2, rel=1e-9, abs=1e-11)
            assert row["Q"] == pytest.approx(one.heterogeneity.Q, rel=1e-9)
            assert row["I2"] == pytest.approx(one.heterogeneity.I2, rel=1e-9, abs=1e-9)
            assert row["loglik"] == pytest.approx(one.loglik, rel=1e-10)


def test_leave_one_out_of_fifty_thousand_studies_takes_seconds() -> None:
    rng = np.random.default_rng(5)
    v = np.exp(rng.normal(0, 1, 50_000))
    y = rng.normal(0, 1, 50_000) * np.sqrt(v + 0.5)
    fit = pool_effects(y, v, ci_method="wald")
    start = time.process_time()
    table = aftercare.leave_one_out(fit)
    assert time.process_time() - start < 20.0
    rest = np.arange(50_000) != 17
    one = pool_effects(y[rest], v[rest], ci_method="wald")
    assert table["mu"].iloc[17] == pytest.approx(one.mu, abs=1e-10)
    assert table["tau2"].iloc[17] == pytest.approx(one.tau2, rel=1e-9)


@pytest.mark.parametrize("events", [40, 59])
def test_single_patients_have_one_rate_without_each(events: int) -> None:
    """No variance between studies of one patient each can be told: binomial, in closed form."""
    x = np.repeat([1, 0], [events, 120 - events])
    table = pool(events=x, n=np.ones(120), model="glmm").leave_one_out()
    p = (events - x) / 119
    assert (table["tau2"] == 0.0).all()
    np.testing.assert_allclose(table["estimate"], p, rtol=1e-9)
    np.testing.assert_allclose(table["se"], (119 * p * (1 - p)) ** -0.5, rtol=1e-9)


@pytest.mark.parametrize("ci_method", ["wald", "t"])
def test_limits_of_three_levels_without_a_study_are_those_of_the_rest(ci_method: str) -> None:
    given = {"events": "events", "n": "n", "model": "random", "ci_method": ci_method}
    fit = pool_multilevel(TABLE, cluster="registry", **given)
    gone = aftercare.leave_one_out(fit)
    rest = pool_multilevel(TABLE.iloc[1:], cluster="registry", **given)
    found = gone.iloc[0][["ci_lower", "ci_upper"]].tolist()
    assert found == pytest.approx(list(rest.conf_int()), rel=1e-5)


def test_profile_limits_of_the_one_study_that_is_left_are_its_own() -> None:
    y, v = np.array([0.1, 0.5]), np.array([0.1, 0.2])
    fit = pool_effects(y, v, tau2_method="ML", ci_method="profile")
    gone = aftercare.leave_one_out(fit)
    assert gone["mu"].tolist() == y[::-1].tolist()
    for side, name in ((-1.0, "ci_lower"), (1.0, "ci_upper")):
        limits = y + side * 1.959963984540054 * np.sqrt(v)
        assert gone[name].tolist() == pytest.approx(limits[::-1].tolist(), rel=1e-12)


def test_one_study_cannot_be_left_out() -> None:
    with pytest.raises(UnsupportedError, match=r"needs at least 2 studies; there is 1$"):
        aftercare.leave_one_out(pool(events=[1], n=[10]))


def test_a_column_that_is_none_is_refused_with_those_that_are() -> None:
    fit = pool(events=X, n=N)
    with pytest.raises(MetaAnalysisError, match=r"'site' is not a column .* \(events, n, yi, "):
        aftercare.leave_one_out(fit, by="site")
    for columns in (None, pd.DataFrame()):
        with pytest.raises(MetaAnalysisError, match=r"not a column of the studies \(there is none"):
            values_of(fit.data, "site", columns)
    twice = pd.Series([*REGISTRY, "a"], index=[*fit.core.labels, fit.core.labels[0]])
    with pytest.raises(MetaAnalysisError, match="the index of the Series repeats study labels"):
        aftercare.leave_one_out(fit, by=twice)
