"""Accumulation, bootstrap and subsets of meta-regressions: every row against a fit of its own."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference_values import COLUMNS, by_inverse_variance, counts, load, study_table

from helpers import printing
from helpers.engine.aftercare.resampled import BOOTSTRAP_METHODS, _draw, bootstrap
from helpers.engine.distributions import expit
from helpers.engine.model import Model
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.pooling import pool
from helpers.models.regression import meta_regression
from helpers.models.regression_result import RegressionResult
from helpers.views import plots

#: Both families, three estimators of tau2 and each kind of standard error.
MODELS: dict[str, dict[str, Any]] = {
    "REML": {"model": "random", "ci_method": "wald"},
    "DL, Knapp-Hartung": {
        "model": "random",
        "tau2_method": "DL",
        "ci_method": "knapp-hartung-max1",
    },
    "PM, Knapp-Hartung": {"model": "random", "tau2_method": "PM", "ci_method": "knapp-hartung"},
    "common": {"model": "common"},
    "GLMM": {"model": "glmm", "ci_method": "t"},
}


def cohorts(k: int = 12) -> pd.DataFrame:
    """Cohorts with a continuous moderator and a factor."""
    x, n = counts()
    z = np.random.default_rng(5).normal(size=k)
    names = [f"c{i}" for i in range(k)]
    factor = np.resize(["a", "b", "b", "a"], k)
    return pd.DataFrame({"x": x[:k], "n": n[:k], "z": z, "group": factor, "name": names})


def fitted(data: pd.DataFrame, formula: str = "z + group", **options: Any) -> RegressionResult:
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
    data = cohorts().sort_values("z", ascending=False)
    table = fitted(cohorts(), **MODELS[name]).cumulative("z", ascending=False)
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
    pd.testing.assert_frame_equal(fit.cumulative(by="z"), fit.cumulative(by=cohorts()["z"]))
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


# --- bootstrap ---------------------------------------------------------------------------------

KINDS = ("parametric", "nonparametric")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_every_replicate_is_a_fit_of_its_own(name: str, kind: Any) -> None:
    data = cohorts()
    fit = fitted(data, **MODELS[name])
    result = fit.bootstrap(40, kind, seed=5)
    drawn = _draw(fit.core, fit, 40, kind, np.random.default_rng(5))
    refits = fit.core.fit_coefficients(drawn.weights, y=drawn.y, events=drawn.events)
    found, lost = 0, 0
    for row in range(40):
        if drawn.weights is not None:
            again = data.iloc[np.repeat(np.arange(12), drawn.weights[row])].reset_index(drop=True)
            again["name"] = [f"r{i}" for i in range(12)]
        else:
            again = data.copy()
        if drawn.events is not None:
            again["x"] = drawn.events[row]
        try:
            if drawn.y is None:
                own = fitted(again, **MODELS[name])
            else:
                again = again.assign(y=drawn.y[row], v=fit.core.vi)
                own = meta_regression(again, "z + group", yi="y", vi="v", **MODELS[name])
        except MetaAnalysisError:
            lost += 1
            continue
        assert own.converged
        assert refits.Q[row] == pytest.approx(own.heterogeneity.Q, rel=1e-8, abs=1e-10)
        assert refits.I2[row] == pytest.approx(own.heterogeneity.I2, rel=1e-4, abs=1e-5)
        values = [result.drawn[name][found] for name in own.names]
        np.testing.assert_allclose(values, own.estimates, rtol=1e-6, atol=1e-8)
        errors = [result.se[name][found] for name in own.names]
        np.testing.assert_allclose(errors, own.coefficients["se"], rtol=1e-5)
        assert result.drawn["tau2"][found] == pytest.approx(own.tau2, rel=1e-5, abs=1e-8)
        found += 1
    assert (found, lost) == (40 - result.failed, result.failed)
    assert found >= 35


def test_draws_that_do_not_tell_the_coefficients_apart_are_counted_with_the_reason() -> None:
    """One study alone has level b: about one draw of studies in three is without it."""
    data = cohorts().assign(group=["b"] + ["a"] * 11)
    for model in ("random", "glmm"):
        fit = fitted(data, "group", model=model)
        result = fit.bootstrap(300, "nonparametric", seed=2)
        drawn = _draw(fit.core, fit, 300, "nonparametric", np.random.default_rng(2)).weights
        assert drawn is not None
        without = int((drawn[:, 0] == 0).sum())
        assert result.failures == {
            "the design has linearly dependent columns in these studies": without
        }
        assert result.failed == without > 60
        assert len(result.drawn["tau2"]) == 300 - without


def test_fits_that_stop_early_are_counted_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, original = fitted(cohorts(), **MODELS["REML"]), Model.regress

    def stopped(model: Model, **choices: Any) -> Any:
        found = original(model, **choices)
        return replace(found, converged=np.arange(len(found.k)) % 3 > 0)

    monkeypatch.setattr(Model, "regress", stopped)
    for result in (fit.bootstrap(60), fit.gosh(60)):
        assert result.failures == {"the iteration limit was reached before the stopping rule": 20}


def test_parametric_draws_have_a_mean_for_each_study() -> None:
    fit = fitted(cohorts(), **MODELS["REML"])
    y = _draw(fit.core, fit, 20_000, "parametric", np.random.default_rng(1)).y
    assert y is not None
    sd = np.sqrt(fit.core.vi + fit.tau2)
    mean = fit.residuals["fitted"].to_numpy()
    assert (np.abs(y.mean(axis=0) - mean) < 5 * sd / np.sqrt(20_000)).all()
    assert y.std(axis=0) == pytest.approx(sd, rel=0.03)
    glmm = fitted(cohorts(), **MODELS["GLMM"])
    x = _draw(glmm.core, glmm, 20_000, "parametric", np.random.default_rng(1)).events
    z, w = np.polynomial.hermite_e.hermegauss(60)
    centre = glmm.residuals["fitted"].to_numpy()[:, None]
    share = expit(centre + np.sqrt(glmm.tau2) * z) @ w / w.sum()
    assert x is not None
    assert x.mean(axis=0) / cohorts()["n"].to_numpy() == pytest.approx(share, rel=0.04)


def test_intervals_of_coefficients_follow_their_definitions() -> None:
    fit = fitted(cohorts(), **MODELS["REML"])
    result = fit.bootstrap(1999, "nonparametric", seed=2)
    assert result.quantities == (*fit.names, "tau2")
    centre, se = fit.coefficients.loc["z", ["estimate", "se"]]
    assert (result.observed["z"], result.observed_se["z"]) == (centre, se)
    values = result.drawn["z"]
    ends = np.quantile(values, [0.025, 0.975], method="weibull")
    assert result.conf_int("z") == pytest.approx(ends)
    assert result.conf_int("z", "basic") == pytest.approx(2 * centre - ends[::-1])
    t = np.quantile((values - centre) / result.se["z"], [0.975, 0.025], method="weibull")
    assert result.conf_int("z", "studentised") == pytest.approx(centre - se * t)
    # the acceleration of BCa is that of the public table of deletion
    gone = fit.leave_one_out()["z"]
    spread = gone.mean() - gone
    cubes = float((spread**3).sum() / (6 * (spread**2).sum() ** 1.5))
    assert result.acceleration is not None
    assert result.acceleration["z"] == pytest.approx(cubes, rel=1e-9)
    table = result.summary_frame()
    for name in fit.names:
        assert list(table.loc[name].index) == list(BOOTSTRAP_METHODS)
    assert "studentised" not in table.loc["tau2"].index
    assert table[["display_lower", "display_upper"]].isna().all(axis=None)
    # there is no scale of display for a coefficient
    assert result.conf_int("z", scale="display") == result.conf_int("z", scale="model")
    assert result.conf_int("tau2", "basic").lower >= 0.0
    assert result.to_dict()["draws"] == 1999
    assert "z" in repr(result)


def test_bca_needs_studies_that_can_be_left_out() -> None:
    """Four studies with three coefficients: without any of them there is nothing to fit."""
    drawn = fitted(cohorts(4), model="common").bootstrap(400, "nonparametric", seed=1)
    assert np.isnan(drawn.acceleration["z"])
    assert drawn.failed > 0
    with pytest.raises(UnsupportedError, match="no study can be left out"):
        drawn.conf_int("z", "bca")
    assert "bca" not in drawn.summary_frame().loc["z"].index


def test_the_regression_of_one_mean_draws_as_a_pooled_result_does() -> None:
    data = cohorts()
    for options in ({"model": "random", "ci_method": "wald"}, {"model": "glmm"}):
        pooled = pool(events=data["x"], n=data["n"], study=data["name"], **options)
        regression = fitted(data, "1", **options)
        for kind in KINDS:
            theirs, ours = (
                pooled.bootstrap(60, kind, seed=3),
                bootstrap(regression, 60, kind, seed=3),
            )
            for name, of in {"Intercept": "mu", "tau2": "tau2"}.items():
                np.testing.assert_allclose(ours.drawn[name], theirs.drawn[of], rtol=1e-5, atol=1e-7)
            same = theirs.conf_int("mu", scale="model")
            assert ours.conf_int("Intercept") == pytest.approx(same, rel=1e-6)


def test_the_same_seed_draws_the_same_coefficients_and_rates_take_part() -> None:
    data = cohorts().assign(t=cohorts()["n"] / 2)
    fit = meta_regression(data, "z", events="x", time="t", measure="log-rate")
    assert fit.model == "glmm"
    first, again, other = (fit.bootstrap(30, seed=s) for s in (4, 4, 5))
    assert np.array_equal(first.drawn["z"], again.drawn["z"])
    assert not np.array_equal(first.drawn["z"], other.drawn["z"])
    assert first.failed == 0


def test_what_the_bootstrap_of_a_regression_cannot_give() -> None:
    data = cohorts().assign(centre=np.arange(12) // 2)
    with pytest.raises(UnsupportedError, match="draws whole clusters"):
        fitted(data, cluster="centre", **MODELS["REML"]).bootstrap(50)
    with pytest.raises(UnsupportedError, match="another name"):
        fitted(data.rename(columns={"z": "tau2"}), "tau2", **MODELS["REML"]).bootstrap(50)
    drawn = fitted(data, **MODELS["REML"]).bootstrap(50)
    for arguments in ({}, {"quantity": "I2"}, {"quantity": "z", "method": "bca"}):
        with pytest.raises(UnsupportedError):
            drawn.conf_int(**arguments)
    common = fitted(data, **MODELS["common"]).bootstrap(50)
    assert common.quantities == ("Intercept", "z", "group[T.b]")
    with pytest.raises(UnsupportedError, match="common-effect"):
        common.conf_int("tau2")


# --- subsets -----------------------------------------------------------------------------------


def test_subsets_agree_with_metafor() -> None:
    """R gives nothing for the same subsets: one level of the factor, or one year in a level."""
    reference = load("gosh_r.json")
    data, compared = study_table().iloc[26:34], 0
    for method in ("REML", "DL", "EE"):
        options: dict[str, Any] = {"model": "common"} if method == "EE" else {"tau2_method": method}
        fit = by_inverse_variance(data, "Setting + I(year - 2020)", **COLUMNS, **options)
        found = fit.gosh()
        table = found.frame().set_axis(["".join(map(str, row)) for row in found.member.astype(int)])
        theirs = pd.DataFrame(reference[method]).set_index("member").reindex(table.index)
        assert len(table) == 163
        assert (theirs["tau2"].notna() == found.converged).all()
        assert sum(found.failures.values()) == 10
        sound = found.converged
        pairs = {"intrcpt": "Intercept", "SettingRW": "Setting[T.RW]"}
        pairs |= {"I.year...2020.": "I(year - 2020)", "QE": "Q", "tau2": "tau2", "I2": "I2"}
        for r, ours in pairs.items():
            a, b = table.loc[sound, ours].to_numpy(), theirs.loc[sound, r].to_numpy(dtype=float)
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10, err_msg=f"{method} {r}")
            compared += a.size
        assert (table["size"] == theirs["k"]).all()
    assert compared == 3 * 6 * 153


@pytest.mark.parametrize("name", MODELS)
def test_every_subset_is_a_fit_of_its_own(name: str) -> None:
    data = cohorts(6)
    fit = fitted(data, **MODELS[name])
    result = fit.gosh()
    table = result.frame()
    assert list(table) == ["size", *fit.names, "tau2", "I2", "Q", "converged"]
    assert result.min_size == 4  # one more than the coefficients
    assert len(table) == result.total == 15 + 6 + 1
    seen = 0
    for size in (4, 5, 6):
        for subset in combinations(range(6), size):
            (at,) = np.flatnonzero((result.member == np.isin(np.arange(6), subset)).all(axis=1))
            row = table.iloc[at]
            seen += 1
            try:
                own = fitted(data.iloc[list(subset)], **MODELS[name])
            except MetaAnalysisError:
                assert not row["converged"]
                continue
            assert row["converged"]
            found = row[list(own.names)].astype(float)
            np.testing.assert_allclose(found, own.estimates, rtol=1e-6, atol=1e-8)
            assert row["tau2"] == pytest.approx(own.tau2, rel=1e-5, abs=1e-8)
            assert row["Q"] == pytest.approx(own.heterogeneity.Q, rel=1e-8, abs=1e-10)
            assert row["I2"] == pytest.approx(own.heterogeneity.I2, rel=1e-5, abs=1e-6)
    assert seen == 22
    assert sum(result.failures.values()) == int((~result.converged).sum())


def test_the_regression_of_one_mean_has_the_subsets_of_a_pooled_result() -> None:
    data = cohorts(7)
    for options in ({"model": "random", "ci_method": "wald"}, {"model": "glmm"}):
        theirs = pool(events=data["x"], n=data["n"], study=data["name"], **options).gosh()
        ours = fitted(data, "1", **options).gosh()
        assert (ours.member == theirs.member).all()
        np.testing.assert_allclose(theirs.displayed["mu"], expit(theirs.effects["mu"]))
        assert list(ours.frame()) == ["size", "Intercept", "tau2", "I2", "Q", "converged"]
        for name in ("mu", "tau2", "Q", "I2"):
            a, b = getattr(ours, name), getattr(theirs, name)
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
        expected = theirs.summary_frame()["separation"]
        np.testing.assert_allclose(ours.summary_frame()["separation"], expected, rtol=1e-6)


def test_the_order_of_studies_does_not_matter_to_subsets() -> None:
    data = cohorts(7)
    for name in ("REML", "GLMM"):
        forth, back = (fitted(one, **MODELS[name]).gosh() for one in (data, data.iloc[::-1]))
        mirrored = {tuple(row): at for at, row in enumerate(back.member[:, ::-1].tolist())}
        at = [mirrored[tuple(row)] for row in forth.member.tolist()]
        again = back.frame().iloc[at]
        np.testing.assert_array_equal(forth.converged, again["converged"])
        for column in ("z", "tau2", "Q"):
            np.testing.assert_allclose(forth.frame()[column], again[column], rtol=1e-6, atol=1e-8)


def test_chunks_do_not_matter_to_coefficients(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = {name: fitted(cohorts(8), **MODELS[name]) for name in ("REML", "GLMM")}
    whole = {name: fit.gosh() for name, fit in fits.items()}
    monkeypatch.setattr("helpers.engine.model.core._CELLS", 100)
    seen: list[tuple[int, int]] = []
    for name, fit in fits.items():
        parts = fit.gosh(progress=lambda done, of: seen.append((done, of)))
        assert parts.failures == whole[name].failures
        pd.testing.assert_frame_equal(parts.frame(), whole[name].frame(), rtol=1e-7, atol=1e-9)
    assert seen[-1] == (163, 163)
    assert len(seen) == 2 * -(-163 // (100 // 8))


def test_one_coefficient_of_the_subsets_is_summarised_and_drawn() -> None:
    fit = fitted(cohorts(8), **MODELS["REML"])
    result = fit.gosh(60, min_size=5, seed=3)
    assert (result.sampled, len(result), result.total) == (True, 60, 93)
    for refused in (result.summary_frame, result.clouds, lambda: plots.gosh(result)):
        with pytest.raises(UnsupportedError, match=r"choose one of Intercept, z and group"):
            refused()
    one = result.coefficient("z")
    assert one.mu is one.estimate is result.effects["z"]
    assert not one.pooled
    held = result.member[:, 2] & result.converged
    expected = result.effects["z"][held].mean()
    assert one.summary_frame()["estimate_with"].iloc[2] == pytest.approx(expected)
    assert set(result.to_dict()["coefficients"]) == set(fit.names)
    axes = plots.gosh(one)
    assert axes.get_xlabel() == "z of the subset"
    with pytest.raises(UnsupportedError, match="name"):
        result.coefficient("year")
    low, high = result.effects["z"].min(), result.effects["z"].max()
    assert f"z                 {printing.between(low, high, 1)}" in repr(result)


def test_what_subsets_of_a_regression_refuse() -> None:
    fit = fitted(cohorts(8), **MODELS["REML"])
    for small in (2, 3, 9):
        with pytest.raises(UnsupportedError, match="expected a number from 4 to 8"):
            fit.gosh(min_size=small)
    with pytest.raises(UnsupportedError, match="another name"):
        fitted(cohorts(8).rename(columns={"z": "size"}), "size", model="random").gosh()
    # coefficients do not depend on clusters, and the errors of a robust fit do not enter
    data = cohorts(8).assign(centre=np.arange(8) // 2)
    robust = fitted(data, cluster="centre", **MODELS["REML"]).gosh()
    pd.testing.assert_frame_equal(robust.frame(), fit.gosh().frame())
