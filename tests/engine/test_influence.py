"""Batched refits equal physically dropping rows and pooling again; orders and edges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples
from reference_values import counts, load

from helpers.engine.aftercare import baujat, cumulative, gosh, influence, leave_one_out
from helpers.engine.aftercare.resampled import bootstrap
from helpers.engine.aftercare.sign_flips import permutation_test
from helpers.engine.options import TAU2_METHODS
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.pooling import pool, pool_effects
from helpers.models.result import PoolResult

MODELS: dict[str, dict[str, Any]] = {
    **{method: {"tau2_method": method, "ci_method": "wald"} for method in TAU2_METHODS},
    "t": {"model": "random", "ci_method": "t"},
    "Knapp-Hartung": {"ci_method": "knapp-hartung"},
    "Knapp-Hartung max1": {"ci_method": "knapp-hartung-max1"},
    "Knapp-Hartung wider": {"ci_method": "knapp-hartung-wider"},
    "profile": {"tau2_method": "ML", "ci_method": "profile"},
    "fixed tau2": {"tau2": 0.3, "ci_method": "wald"},
    "common": {"model": "common"},
    "Henmi-Copas": {"model": "common", "ci_method": "henmi-copas"},
    "common rate": {"model": "common", "method": "likelihood"},
    "common rate, profile": {"model": "common", "method": "likelihood", "ci_method": "profile"},
    "GLMM": {"model": "glmm", "ci_method": "wald"},
    "GLMM, t": {"model": "glmm", "ci_method": "t"},
    "GLMM, profile": {"model": "glmm", "ci_method": "profile"},
    "Laplace": {"model": "glmm", "quad_points": 1},
    "double arcsine": {"measure": "double-arcsine", "ci_method": "wald"},
    "double arcsine, inverse variance": {
        "measure": "double-arcsine",
        "back_transform": "inverse-variance",
    },
    "log": {"measure": "log"},
}


def drop(keep: np.ndarray, size: str = "n", **options: Any) -> PoolResult:
    x, n = counts()
    labels = np.array([f"Study {i + 1}" for i in range(52)])
    return pool(events=x[keep], study=labels[keep], **{size: n[keep]}, **options)


def same(row: pd.Series, fit: PoolResult) -> None:
    """One row of a table against a fit of its own."""
    het = fit.heterogeneity
    assert row["k"] == fit.k
    # The likelihood iterations may start elsewhere: their own stopping rules bound the difference.
    for column, value, rel in (
        ("mu", fit.mu, 1e-10),
        ("se", fit.se, 1e-9),
        ("tau2", fit.tau2, 1e-8),
        ("Q", het.Q, 1e-10),
        ("p", het.p, 1e-9),
        ("I2", het.I2, 1e-8),
        ("H2", het.H2, 1e-8),
        ("loglik", fit.loglik, 1e-11),
        ("estimate", fit.estimate, 1e-10),
        ("ci_lower", fit.ci.lower, 1e-8),
        ("ci_upper", fit.ci.upper, 1e-8),
    ):
        assert row[column] == pytest.approx(value, rel=rel, abs=1e-12), column


@pytest.mark.parametrize("name", MODELS)
def test_leaving_out_equals_dropping_the_row(name: str) -> None:
    options = MODELS[name]
    rows = np.arange(12)
    table = leave_one_out(drop(rows, **options))
    assert len(table) == 12
    for left in (0, 5, 9):
        fit = drop(np.delete(rows, left), **options)
        same(table.loc[f"Study {left + 1}"], fit)


@pytest.mark.parametrize("name", ["log-rate", "sqrt-rate", "freeman-tukey-rate"])
def test_rates_go_the_same_way(name: str) -> None:
    rows = np.arange(10)
    glmm = {"measure": "log-rate", "model": "glmm", "ci_method": "wald"}
    for options in ({"measure": name, "model": "random"}, glmm):
        table = leave_one_out(drop(rows, size="time", **options))
        same(table.iloc[4], drop(np.delete(rows, 4), size="time", **options))
        assert np.isfinite(influence(drop(rows, size="time", **options)).rstudent).all()


@pytest.mark.parametrize("name", ["REML", "DL", "common", "common rate", "GLMM", "double arcsine"])
def test_accumulating_equals_pooling_the_first_rows(name: str) -> None:
    rows = np.arange(9)
    fit = drop(rows, **MODELS[name])
    table = cumulative(fit)
    assert list(table["k"]) == list(range(1, 10))
    for last in (0, 1, 2, 5, 8):
        same(table.iloc[last], drop(rows[: last + 1], **MODELS[name]))


def test_excluded_studies_do_not_take_part() -> None:
    fit = pool(events=[3, None, 8, 6], n=[40, 50, 60, 90], study=list("abcd"))
    assert list(leave_one_out(fit).index) == ["a", "c", "d"]
    assert list(cumulative(fit, by=[4, 3, 2, 1]).index) == ["d", "c", "a"]
    assert gosh(fit).labels == ("a", "c", "d")


def test_ways_to_say_the_order() -> None:
    fit = pool(events=[3, 8, 6], n=[40, 60, 90], study=["a", "b", "c"])
    assert list(cumulative(fit, "n", ascending=False).index) == ["c", "b", "a"]
    assert list(cumulative(fit, ["2021", "2019", "2020"]).index) == ["b", "c", "a"]
    assert list(cumulative(fit, pd.Series({"c": 1, "a": 2, "b": 3})).index) == ["c", "a", "b"]
    assert list(cumulative(fit, ["c", "b", "a"]).index) == ["c", "b", "a"]
    assert list(cumulative(fit, [1, 1, 0], ascending=False).index) == ["a", "b", "c"]
    with pytest.raises(MetaAnalysisError, match="not a column"):
        cumulative(fit, "year")
    with pytest.raises(MetaAnalysisError, match="2 values; expected one for each of the 3"):
        cumulative(fit, [1, 2])
    with pytest.raises(MetaAnalysisError, match="no value for b"):
        cumulative(fit, [1, None, 2])


# --- properties and edges ------------------------------------------------------------------


@st.composite
def studies(draw: st.DrawFn, smallest: int = 2) -> tuple[list[int], list[int]]:
    k = draw(st.integers(smallest, 7))
    n = [draw(st.one_of(st.integers(1, 60), st.just(10**6))) for _ in range(k)]
    return [draw(st.integers(0, m)) for m in n], n


@examples(40)
@given(studies(), st.sampled_from(["REML", "Knapp-Hartung", "common", "common rate", "GLMM"]))
def test_nothing_is_wrong_in_silence(given_: tuple[list[int], list[int]], name: str) -> None:
    try:
        fit = pool(events=given_[0], n=given_[1], **MODELS[name])
    except MetaAnalysisError:
        return
    if not fit.converged:
        with pytest.raises(UnsupportedError, match="converged"):
            leave_one_out(fit)
        return
    table = leave_one_out(fit)
    exact = np.isinf(table["mu"])
    assert (table["note"] == "").tolist() == (table["converged"] & ~exact).tolist()
    assert table.loc[exact, "converged"].all()
    for at in np.flatnonzero(exact):
        x, n = (sum(column[:at] + column[at + 1 :]) for column in given_)
        assert x in (0, n)
        low = scipy.stats.beta.ppf(0.025, x, n - x + 1) if x else 0.0
        high = scipy.stats.beta.ppf(0.975, x + 1, n - x) if x < n else 1.0
        limits = table[["estimate", "ci_lower", "ci_upper"]].iloc[at]
        assert limits.tolist() == pytest.approx([x / n, low, high], abs=1e-12)
    if fit.one_sided:
        for ask in (influence, baujat):
            with pytest.raises(UnsupportedError, match="is not defined where"):
                ask(fit)
        return
    sound = table[table["converged"] & ~exact]
    numbers = sound.drop(columns=["converged", "note"]).to_numpy(dtype=float)
    assert np.isfinite(numbers).all()
    assert (sound["ci_lower"] <= sound["estimate"]).all()
    assert (sound["estimate"] <= sound["ci_upper"]).all()
    assert (sound["ci_lower"] >= 0).all()
    assert (sound["ci_upper"] <= 1).all()
    assert sound["I2"].between(0, 100).all()
    diagnostics = influence(fit).frame()
    assert not diagnostics.loc[sound.index].isna().any(axis=None)
    assert not baujat(fit).loc[sound.index].isna().any(axis=None)


@examples(25)
@given(studies(3), st.randoms(), st.sampled_from(["REML", "DL", "common rate", "GLMM"]))
def test_order_of_studies_does_not_matter(
    given_: tuple[list[int], list[int]], random: Any, name: str
) -> None:
    x, n = given_
    order = list(range(len(x)))
    random.shuffle(order)
    labels = [f"s{i}" for i in range(len(x))]
    try:
        first = pool(events=x, n=n, study=labels, **MODELS[name])
    except MetaAnalysisError:
        return
    if not first.converged:
        return
    again = pool(
        events=[x[i] for i in order],
        n=[n[i] for i in order],
        study=[labels[i] for i in order],
        **MODELS[name],
    )
    a, b = leave_one_out(first), leave_one_out(again).loc[labels]
    assert (a["converged"] == b["converged"]).all()
    sound = a["converged"].to_numpy()
    for column in ("mu", "se", "tau2", "Q"):
        assert a[column].to_numpy()[sound] == pytest.approx(
            b[column].to_numpy()[sound], rel=1e-6, abs=1e-9, nan_ok=True
        )


def test_twins_have_the_same_diagnostics() -> None:
    x, n = [3, 8, 6, 8, 1], [40, 60, 90, 60, 30]
    for options in ({}, {"model": "glmm"}):
        frame = influence(pool(events=x, n=n, **options)).frame().astype(float)
        twins = frame.loc[["Study 2", "Study 4"]].to_numpy()
        assert twins[0] == pytest.approx(twins[1], rel=1e-9)


def test_two_studies_leave_one_which_speaks_for_itself() -> None:
    for options in ({}, {"model": "glmm"}, {"model": "common"}):
        table = leave_one_out(pool(events=[3, 8], n=[40, 60], **options))
        assert list(table["k"]) == [1, 1]
        assert table["estimate"].to_numpy() == pytest.approx([8 / 60, 3 / 40])
        assert (table["tau2"] == 0).all()
        same(table.iloc[0], pool(events=[8], n=[60], study=["b"], **options))


def test_one_study_is_refused() -> None:
    fit = pool(events=[3], n=[40])
    for call in (leave_one_out, influence, baujat, gosh):
        with pytest.raises(UnsupportedError, match="at least 2 studies; there is 1"):
            call(fit)
    assert len(cumulative(fit)) == 1


def test_deletion_that_leaves_no_event_is_flagged() -> None:
    fit = pool(events=[0, 6, 0], n=[30, 60, 20], model="common", method="likelihood")
    table = leave_one_out(fit)
    # what is left, 0 of 50, has an exact interval (Clopper and Pearson) and no other number
    assert table["estimate"].iloc[1] == table["ci_lower"].iloc[1] == 0.0
    assert table["ci_upper"].iloc[1] == pytest.approx(1 - 0.025 ** (1 / 50))
    assert table.loc[table.index[1], ["se", "tau2", "I2", "p"]].isna().all()
    assert "no event is left" in table["note"].iloc[1]
    diagnostics = influence(fit).frame()
    assert np.isnan(diagnostics["cook_d"].iloc[1])
    assert not diagnostics["converged"].iloc[1]
    result = gosh(fit)
    assert sum(result.failures.values()) == 1
    # Study 2 is in every subset that has an estimate: nothing to compare it with
    empty = result.summary_frame()["difference"].isna()
    assert list(empty) == [False, True, False]


def test_known_tau2_stays_known() -> None:
    fit = pool_effects([0.1, 0.5, 0.9], [0.1, 0.2, 0.1], tau2=0.7)
    assert fit.core.options.tau2 == 0.7
    assert (leave_one_out(fit)["tau2"] == 0.7).all()
    assert pool_effects([0.1, 0.5, 0.9], [0.1, 0.2, 0.1]).core.options.tau2 is None


def test_an_unconverged_fit_is_refused() -> None:
    fit = replace(pool(events=[3, 5], n=[10, 10], model="glmm"), converged=False)
    for call in (leave_one_out, influence, baujat, gosh, cumulative):
        with pytest.raises(UnsupportedError, match="converged"):
            call(fit)


def test_deletion_without_a_maximum_is_flagged_in_the_glmm() -> None:
    # without the third study only a zero and a full one are left: tau2 would be infinite
    fit = pool(events=[0, 10, 5, 4], n=[10, 10, 10, 10], model="glmm")
    result = gosh(fit)
    lost = ~result.converged
    assert lost.any()
    assert np.isnan(result.mu[lost]).all()
    assert np.isfinite(result.mu[~lost]).all()
    for row in np.flatnonzero(lost):
        keep = result.member[row]
        with pytest.raises(MetaAnalysisError):
            pool(
                events=np.array([0, 10, 5, 4])[keep],
                n=np.array([10, 10, 10, 10])[keep],
                model="glmm",
            )


def test_reference_and_cohorts_have_the_same_rows() -> None:
    x, n = counts()
    assert len(x) == len(n) == len(load()["influence"]["GLMM_leave1out_exact"]["estimate"]) == 52


def test_results_offer_their_aftercare_as_methods() -> None:
    for options in ({}, {"model": "glmm"}):
        fit = pool(events=[3, 8, 6, 2], n=[40, 60, 90, 30], **options)
        pd.testing.assert_frame_equal(fit.leave_one_out(), leave_one_out(fit))
        pd.testing.assert_frame_equal(fit.baujat(), baujat(fit))
        pd.testing.assert_frame_equal(fit.cumulative(by="n"), cumulative(fit, "n"))
        pd.testing.assert_frame_equal(fit.influence().frame(), influence(fit).frame())
        assert np.array_equal(fit.gosh(min_size=3).mu, gosh(fit, min_size=3).mu)
        assert fit.bootstrap(40, seed=3).conf_int() == bootstrap(fit, 40, seed=3).conf_int()
        test = fit.permutation_test(0.1, conf_int=False)
        assert test.p == permutation_test(fit, 0.1, conf_int=False).p
