"""The public calls: what they accept, refuse, return and say."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers import load_cohorts
from helpers.engine.effects import MEASURES
from helpers.engine.literature import REFERENCES
from helpers.engine.normal.intervals import Interval
from helpers.engine.options import MU_METHODS, TAU2_METHODS
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.pooling import pool, pool_effects

EVENTS, N = [3, 8, 0, 16], [40, 60, 25, 50]


def cohorts(**options: Any) -> Any:
    return pool(load_cohorts(), events="nonrelapse_deaths", n="patients", study="cohort", **options)


def test_the_published_estimate_is_found() -> None:
    fit = cohorts(model="glmm")
    assert (fit.k, fit.events, fit.n) == (52, 574, 7604)
    assert fit.estimate == pytest.approx(0.06822094, abs=5e-9)
    assert fit.ci == pytest.approx(Interval(0.05778214, 0.08038470), abs=5e-9)
    assert fit.converged
    assert fit.cautions == ()


def test_maximum_likelihood_results_carry_a_certificate() -> None:
    for options in ({"model": "glmm"}, {"tau2_method": "ML"}, {"tau2_method": "REML"}):
        margin = cohorts(**options).certificate
        assert margin is not None
        assert margin >= -1e-9
    assert cohorts(tau2_method="DL").certificate is None
    assert cohorts(model="common").certificate is None


def test_columns_and_arrays_give_the_same_result() -> None:
    data = load_cohorts()
    a = cohorts()
    b = pool(
        events=data["nonrelapse_deaths"].tolist(),
        n=data["patients"].to_numpy(),
        study=data["cohort"].tolist(),
    )
    assert (a.mu, a.se, a.tau2) == (b.mu, b.se, b.tau2)
    pd.testing.assert_frame_equal(a.studies, b.studies)


def test_a_result_cannot_be_changed() -> None:
    fit = pool(events=EVENTS, n=N)
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit.mu = 0.0  # type: ignore[misc]
    for values in (fit.weights, fit.data.yi, fit.data.included):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0
    table = fit.studies
    table.loc["Study 1", "events"] = 99
    assert fit.studies.loc["Study 1", "events"] == 3


@pytest.mark.parametrize("model", ["common", "random", "glmm"])
def test_the_table_of_studies_keeps_order_and_contract(model: str) -> None:
    table = pool(events=EVENTS, n=N, study=list("dbca"), model=model).studies
    assert table.index.name == "study"
    assert table.index.tolist() == list("dbca")
    assert table.columns.tolist() == [
        "events",
        "n",
        "yi",
        "vi",
        "estimate",
        "ci_lower",
        "ci_upper",
        "weight",
        "included",
        "reason",
    ]
    assert table["weight"].sum() == pytest.approx(100)
    assert table["estimate"].tolist() == pytest.approx([3 / 40, 8 / 60, 0.0, 16 / 50])
    assert (table["ci_lower"] <= table["estimate"]).all()


def test_rows_with_missing_counts_stay_visible_with_the_reason() -> None:
    data = pd.DataFrame(
        {
            "x": pd.array([3, None, 8, 4], dtype="Int64"),
            "n": [40.0, 30.0, np.nan, 50.0],
            "label": list("abcd"),
        }
    )
    for model in ("common", "random", "glmm"):
        fit = pool(data, events="x", n="n", study="label", model=model)
        table = fit.studies
        assert fit.k == 2
        assert table["included"].tolist() == [True, False, False, True]
        assert table["reason"].tolist() == ["", "events missing", "n missing", ""]
        assert table.loc["b", "weight"] == 0.0
        assert table.loc[["b", "c"], ["estimate", "ci_lower", "yi"]].isna().all(axis=None)
        alone = pool(events=[3, 4], n=[40, 50], model=model)
        assert fit.mu == pytest.approx(alone.mu, rel=1e-12)


def test_studies_without_a_finite_effect_are_left_out_only_where_it_is_needed() -> None:
    fit = pool(events=EVENTS, n=N, to="none")
    assert fit.k == 3
    assert "without a zero-cell correction" in fit.studies.loc["Study 3", "reason"]
    assert pool(events=EVENTS, n=N, to="none", model="glmm").k == 4


def test_effects_without_counts_have_no_counts_in_their_table() -> None:
    fit = pool_effects([0.1, 0.4, None], [0.02, 0.05, 0.03], study=["a", "b", "c"])
    table = fit.studies
    assert "events" not in table
    assert "n" not in table
    assert fit.events is None
    assert fit.n is None
    assert table.loc["c", "reason"] == "yi missing"
    assert table.loc["a", "estimate"] == 0.1
    z = 1.959963984540054
    assert table.loc["a", "ci_upper"] == pytest.approx(0.1 + z * 0.02**0.5)


def test_pooled_effects_equal_pooled_counts() -> None:
    for name in ("logit", "arcsine", "double-arcsine", "log", "raw"):
        yi, vi = MEASURES[name].effects(EVENTS, N)
        a = pool(events=EVENTS, n=N, measure=name, model="random")
        b = pool_effects(yi, vi, measure=name, n=N)
        assert (b.mu, b.tau2, b.estimate) == (a.mu, a.tau2, a.estimate)
        assert b.prediction_interval() == a.prediction_interval()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"events": [-1, 2], "n": [5, 5]}, "Study 1, events: -1, expected a whole number"),
        ({"events": [1.5, 2], "n": [5, 5]}, "Study 1, events: 1.5, expected a whole number"),
        ({"events": [6, 2], "n": [5, 5]}, "Study 1, events: 6 events exceed 5 patients"),
        ({"events": [0, 2], "n": [0, 5]}, "Study 1, n: 0, expected a whole number of at least 1"),
        ({"events": [np.inf, 2], "n": [5, 5]}, "Study 1, events: inf, expected"),
        ({"events": ["3", 2], "n": [5, 5]}, "Study 1, events: '3' is not a number"),
        ({"events": [True, 2], "n": [5, 5]}, "Study 1, events: True is not a number"),
        ({"events": [1, 2], "n": [5, 5, 5]}, "events has 2, n has 3"),
        ({"events": [1, 2], "n": [5, 5], "study": ["a", "a"]}, "repeated: a"),
        ({"events": [], "n": []}, "there is no study"),
        ({"events": [None], "n": [3]}, "no study is left to pool"),
        ({"events": "x", "n": [5, 5]}, "events='x' names a column, but no data were given"),
        ({"data": pd.DataFrame({"y": [1]}), "events": "x", "n": "y"}, "no column 'x'"),
    ],
)
def test_bad_input_is_refused_with_study_column_and_expectation(
    given: dict[str, Any], expected: str
) -> None:
    with pytest.raises(MetaAnalysisError) as caught:
        pool(**given)
    assert expected in str(caught.value)


def test_every_problem_is_listed_at_once() -> None:
    with pytest.raises(MetaAnalysisError) as caught:
        pool(events=[-1, 9, "x"], n=[5, 5, 5], study=["a", "b", "c"])
    assert "c, events: 'x' is not a number" in str(caught.value)
    with pytest.raises(MetaAnalysisError) as caught:
        pool(events=[-1, 9, 2], n=[5, 5, 0], study=["a", "b", "c"])
    for part in ("a, events: -1", "b, events: 9 events exceed 5", "c, n: 0"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"vi": [0.1, 0.0]}, "Study 2, vi: 0, expected a positive variance"),
        ({"vi": [0.1, -1.0]}, "Study 2, vi: -1, expected a positive variance"),
        ({"yi": [0.1, np.inf]}, "Study 2, yi: inf, expected a finite effect"),
        ({"model": "glmm"}, "needs counts"),
        ({"measure": "double-arcsine"}, "needs `n`"),
        ({"measure": "odds"}, "expected one of raw"),
    ],
)
def test_bad_effects_are_refused(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(MetaAnalysisError, match=expected.replace("(", r"\(")):
        pool_effects(**({"yi": [0.1, 0.2], "vi": [0.1, 0.2]} | given))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"model": "fixed"}, "expected one of common, random, glmm"),
        ({"tau2_method": "XX"}, "expected one of DL"),
        ({"ci_method": "score"}, "expected one of wald"),
        ({"model": "glmm", "ci_method": "knapp-hartung"}, "not defined for model='glmm'"),
        ({"model": "glmm", "measure": "arcsine"}, "defined for measure logit or log-rate"),
        ({"model": "glmm", "method": "inverse-variance"}, "fitted by likelihood"),
        ({"model": "random", "method": "likelihood"}, "fitted by inverse-variance"),
        ({"model": "common", "tau2_method": "DL"}, "cannot be combined with model='common'"),
        ({"model": "common", "tau2_method": "ML"}, "cannot be combined with model='common'"),
        ({"model": "glmm", "tau2_method": "REML"}, "cannot be combined with model='glmm'"),
        ({"model": "random", "ci_method": "profile"}, "needs tau2_method='ML'"),
        ({"ci_method": "henmi-copas"}, "belongs to the common-effect estimate"),
        ({"level": 95}, "a number between 0 and 1"),
        ({"study_ci": "score"}, "expected one of wilson"),
        ({"back_transform": "mean"}, "expected one of harmonic-mean"),
        ({"measure": "effect"}, "use pool_effects"),
        ({"measure": "log-rate"}, "give `time`, not `n`"),
        ({"time": [1.0] * 4}, "give `n`, not `time`"),
        ({"to": "zero"}, "expected one of only0"),
        ({"model": "glmm", "quad_points": 0}, "quad_points"),
        ({"tau2": -1.0}, "of at least 0"),
        ({"tau2": 0.1, "model": "common"}, "needs model='random'"),
    ],
)
def test_options_that_do_not_exist_or_go_together_are_refused(
    given: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UnsupportedError) as caught:
        pool(**({"events": EVENTS, "n": N} | given))
    assert expected in str(caught.value)


def test_views_that_do_not_exist_are_refused() -> None:
    common = pool(events=EVENTS, n=N, model="common")
    glmm = pool(events=EVENTS, n=N, model="glmm")
    reml = pool(events=EVENTS, n=N, model="random")
    one = pool(events=[3], n=[40])
    for call, expected in (
        (lambda: common.prediction_interval("normal"), "not defined for model='common'"),
        (lambda: common.tau2_ci(), "not defined for model='common'"),
        (lambda: glmm.tau2_ci("q-profile"), "not defined for model='glmm'"),
        (lambda: glmm.prediction_interval("bootstrap"), "not defined for model='glmm'"),
        (lambda: glmm.conf_int("henmi-copas"), "not defined for model='glmm'"),
        (lambda: reml.conf_int("profile"), "tau2_method='ML'"),
        (lambda: reml.conf_int(scale="odds"), "expected one of display, model"),
        (lambda: reml.conf_int(level=1.5), "between 0 and 1"),
        (lambda: reml.tau2_ci("generalised-q", weights="n"), "expected one of inverse-variance"),
        (lambda: one.prediction_interval(), "at least 2 studies"),
        (lambda: one.tau2_ci(), "at least 2 studies"),
        (lambda: one.conf_int("t"), "at least 2 studies"),
    ):
        with pytest.raises(UnsupportedError) as caught:
            call()
        assert expected in str(caught.value)
    two = pool(events=[3, 9], n=[40, 50])
    with pytest.raises(UnsupportedError, match="too few studies"):
        two.prediction_interval("t-k-2")
    dl = pool(events=EVENTS, n=N, tau2_method="DL")
    with pytest.raises(UnsupportedError, match="needs tau2_method 'ML' or 'REML'"):
        dl.tau2_ci("profile")


def test_a_fixed_tau2_is_used_as_given() -> None:
    fit = pool(events=EVENTS, n=N, tau2=0.4)
    assert fit.tau2 == 0.4
    w = 1 / (fit.data.vi + 0.4)
    assert fit.se_model == pytest.approx(w.sum() ** -0.5)
    assert pool(events=EVENTS, n=N, tau2=0.0).mu == pool(events=EVENTS, n=N, model="common").mu


def test_levels_and_scales_of_intervals_are_consistent() -> None:
    fit = pool(events=EVENTS, n=N, model="glmm", ci_method="wald", level=0.9)
    assert fit.ci == fit.conf_int("wald", scale="display", level=0.9)
    wide, narrow = fit.conf_int(level=0.99), fit.conf_int(level=0.5)
    assert wide.lower < fit.ci.lower < narrow.lower < fit.estimate < narrow.upper < wide.upper
    model = fit.conf_int(scale="model")
    assert fit.ci.lower == pytest.approx(1 / (1 + np.exp(-model.lower)))


def test_both_back_transformations_of_the_double_arcsine_are_offered() -> None:
    a = pool(events=EVENTS, n=N, measure="double-arcsine")
    b = pool(events=EVENTS, n=N, measure="double-arcsine", back_transform="inverse-variance")
    assert a.mu == b.mu
    assert a.back_size == pytest.approx(4 / sum(1 / n for n in N))
    assert b.back_size == pytest.approx(0.25 / b.se_model**2)
    assert a.estimate != b.estimate


def test_the_knapp_hartung_variants_are_never_narrower_than_what_they_promise() -> None:
    for events in ([5, 5, 6], [3, 12, 9]):
        fit = pool(events=events, n=[30] * 3, model="random")
        z, kh = fit.conf_int("wald"), fit.conf_int("knapp-hartung")
        t, most = fit.conf_int("t"), fit.conf_int("knapp-hartung-max1")
        wider = fit.conf_int("knapp-hartung-wider")
        assert most.lower <= min(t.lower, kh.lower) + 1e-12
        assert wider.upper - wider.lower == pytest.approx(
            max(z.upper - z.lower, kh.upper - kh.lower), rel=0.2
        )
        assert wider in (z, kh)


@pytest.mark.parametrize("model", ["common", "random", "glmm"])
def test_results_become_json_without_loss_of_the_headline(model: str) -> None:
    fit = pool(events=[*EVENTS, None], n=[*N, 9], model=model)
    plain = json.loads(json.dumps(fit.to_dict(), allow_nan=False))
    assert plain["estimate"] == fit.estimate
    assert plain["ci"] == list(fit.ci)
    assert plain["measure"] == "logit"
    assert len(plain["studies"]) == 5
    assert plain["studies"][4]["reason"] == "events missing"
    assert plain["studies"][4]["estimate"] is None
    assert plain["heterogeneity"]["I2"] == fit.heterogeneity.I2


@pytest.mark.parametrize(
    ("model", "said"),
    [("common", "common effect"), ("random", "random effects (REML)"), ("glmm", "GLMM")],
)
def test_the_first_line_names_an_estimator_of_tau2_where_there_is_a_choice(model, said) -> None:
    assert repr(pool(events=EVENTS, n=N, model=model)).startswith(f"PoolResult: {said}, logit")


def test_the_summary_is_one_row_of_the_same_numbers() -> None:
    fit = pool(events=[*EVENTS, 5], n=[*N, 70], model="glmm")
    row = fit.summary_frame().iloc[0]
    assert (row["events"], row["n"]) == (sum(EVENTS) + 5, sum(N) + 70)
    assert row["estimate"] == fit.estimate
    assert row["prediction_upper"] == fit.prediction_interval().upper
    assert row["I2"] == fit.heterogeneity.I2
    assert fit.summary_frame().index.tolist() == ["glmm"]


def test_every_choice_has_its_words_and_sources() -> None:
    said = set()
    for measure, model in itertools.product(MEASURES, MU_METHODS):
        kind = MEASURES[measure].kind
        if kind == "effect" or (model == "glmm" and measure not in ("logit", "log-rate")):
            continue
        size = {"n": N} if kind == "proportion" else {"time": N}
        fit = pool(events=EVENTS, **size, measure=measure, model=model)
        methods = fit.methods()
        assert str(methods) == methods.sentence
        assert methods.sentence.startswith(("Proportions of four", "Rates of four"))
        assert methods.sentence.endswith(".")
        assert all(r.doi == REFERENCES[r.key] for r in methods.references)
        said.add(methods.sentence)
    for tau2_method in TAU2_METHODS:
        said.add(str(pool(events=EVENTS, n=N, tau2_method=tau2_method).methods()))
    for ci_method in ("wald", "t", "knapp-hartung", "knapp-hartung-wider"):
        said.add(str(pool(events=EVENTS, n=N, model="random", ci_method=ci_method).methods()))
    # 5 + 5, 4 + 4 and 2 combinations of measure and model, 11 more estimators, 4 more intervals.
    assert len(said) == 20 + 11 + 4


def test_rates_are_shown_per_unit_of_time() -> None:
    fit = pool(events=[3, 8, 0], time=[120.5, 310.0, 40.0], measure="log-rate", model="glmm")
    table = fit.studies
    assert "time" in table
    assert "n" not in table
    assert table["estimate"].tolist() == pytest.approx([3 / 120.5, 8 / 310.0, 0.0])
    assert fit.time == 470.5
    assert fit.n is None
    assert fit.ci.lower < fit.estimate < fit.ci.upper
    assert fit.summary_frame().loc["glmm", "time"] == 470.5


def test_the_wider_interval_is_the_wider_one_where_the_standard_errors_are_equal() -> None:
    # Paule and Mandel's estimate makes the Knapp-Hartung factor one, up to rounding
    fit = pool_effects([0.1, 0.5, 0.9, 1.6], [0.02, 0.05, 0.01, 0.08], tau2_method="PM")
    wald, scaled = fit.conf_int("wald"), fit.conf_int("knapp-hartung")
    assert scaled.upper - scaled.lower > wald.upper - wald.lower
    assert fit.conf_int("knapp-hartung-wider") == pytest.approx(scaled, rel=1e-9)


def test_the_default_prediction_interval_needs_three_studies() -> None:
    fit = pool(events=[3, 8], n=[40, 60])
    with pytest.raises(UnsupportedError, match="too few studies"):
        fit.prediction_interval()
    assert fit.prediction_interval("t-k-1").lower < fit.estimate
    three = pool(events=[3, 8, 16], n=[40, 60, 50])
    assert three.prediction_interval() == three.prediction_interval("t-k-2")


@pytest.mark.parametrize("tau2", [-0.1, np.inf, np.nan, "0.1"])
def test_a_between_study_variance_that_is_none_is_refused(tau2: object) -> None:
    with pytest.raises(UnsupportedError, match="a fixed between-study variance of at least 0"):
        pool(events=[3, 8, 6], n=[40, 60, 50], model="random", tau2=tau2)
