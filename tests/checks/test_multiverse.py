"""Tests of the multiverse: every row is what the engine gives for its choices."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples

from helpers import pool
from helpers.checks.multiverse.analysis import multiverse
from helpers.engine.effects import get_measure
from helpers.engine.normal import intervals, tau2_intervals
from helpers.engine.normal.intervals import first
from helpers.engine.normal.inverse_variance import fit_inverse_variance
from helpers.engine.normal.weighted import prepare
from helpers.engine.options import TAU2_METHODS
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.subgroup_analysis import subgroups

CI_METHODS = [
    "wald",
    "t",
    "knapp-hartung",
    "knapp-hartung-max1",
    "knapp-hartung-wider",
    "profile",
    "henmi-copas",
]
COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}


@pytest.fixture(scope="module")
def everything(cohorts):
    """Every measure of proportions, model, estimator and interval, with two data choices."""
    choices = {
        "measure": ["raw", "log", "logit", "arcsine", "double-arcsine"],
        "model": ["common", "random", "glmm"],
        "method": ["inverse-variance", "likelihood"],
        "tau2_method": list(TAU2_METHODS),
        "ci_method": CI_METHODS,
        "quad_points": [1, 7],
        "add": [0.5, 0.1],
        "to": ["only0", "if0all"],
        "back_transform": ["harmonic-mean", "inverse-variance"],
        "setting": {"all": None, "real-world": (cohorts["setting"] == "trial").to_numpy()},
        "denominators": {
            "as published": None,
            "corrected": {
                "Bethge 2022 A": {"patients": 173},
                "Bethge 2022 B": {"patients": 183},
            },
        },
    }
    return multiverse(cohorts, choices, **COLUMNS)


def refitted(result, specification, inside=True):
    """Do one specification again by `pool`, of all studies or of those inside."""
    row, variants = specification - 1, result.variants
    v = int(result.version[row])
    if variants.problem[v]:
        raise MetaAnalysisError(variants.problem[v])
    options = {name: one for name, one in result.grid.options[row].items() if one is not None}
    options.pop("group_tau2", None)
    keep = variants.keep[v] & inside
    if not keep.any():
        raise MetaAnalysisError("no study is left to pool")
    kind = get_measure(options["measure"]).kind
    return pool(
        study=np.array(variants.labels)[keep].tolist(),
        events=variants.events[v][keep],
        **{{"proportion": "n", "rate": "time"}[kind]: variants.sizes[kind][v][keep]},
        level=result.level,
        **options,
    )


def agrees(result, specification):
    """Compare a row with a fresh `pool`; returns what was compared."""
    one, row = refitted(result, specification), result.frame().loc[specification]
    limits = one.ci
    if one.ci_method == "knapp-hartung-wider":
        limits = max((one.conf_int(m) for m in ("wald", "knapp-hartung")), key=np.ptp)
    expected = {
        "mu": one.mu,
        "se": one.se,
        "tau2": one.tau2,
        "estimate": one.estimate,
        "ci_lower": limits.lower,
        "ci_upper": limits.upper,
        "k": one.k,
        "events": one.events,
        "n": one.n,
    }
    if one.one_sided:  # no finite mean: exact limits, no prediction interval
        assert np.isnan(row["se"])
        del expected["se"]
        if one.model != "common":
            assert np.isnan(row["tau2"])
            del expected["tau2"]
    if one.model != "common" and one.k > 2 and not one.one_sided:
        new = one.prediction_interval()
        expected |= {"prediction_lower": new.lower, "prediction_upper": new.upper}
    else:
        assert np.isnan(row["prediction_lower"])
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-11), (specification, name)
    return one


def test_a_random_sample_of_rows_equals_pool(everything):
    frame = everything.frame()
    ok = frame[frame["status"] == "ok"]
    by = ["model", "method", "tau2_method", "ci_method"]
    picks = ok.groupby(by, dropna=False).sample(1, random_state=4).index
    more = ok.sample(25, random_state=5).index
    seen = [agrees(everything, s) for s in picks.union(more)]
    assert {f.tau2_method for f in seen if f.model == "random"} == set(TAU2_METHODS)
    assert {f.measure for f in seen} == {"raw", "log", "logit", "arcsine", "double-arcsine"}
    assert {f.ci_method for f in seen} == set(CI_METHODS)
    assert {f.options.method for f in seen if f.model == "common"} == {
        "inverse-variance",
        "likelihood",
    }


def test_undefined_rows_stay_with_the_words_of_pool(everything):
    frame = everything.frame()
    bad = frame[frame["status"] != "ok"]
    assert set(bad["status"]) == {"undefined"}
    assert bad["estimate"].isna().all()
    for s in bad.groupby("reason").sample(1, random_state=1).index:
        with pytest.raises(MetaAnalysisError) as error:
            refitted(everything, s)
        assert str(error.value) == bad.loc[s, "reason"]


def test_combinations_that_differ_only_in_idle_options_are_one_specification(everything):
    frame = everything.frame()
    assert everything.combinations == 5 * 3 * 2 * 12 * 7 * 2 * 2 * 2 * 2 * 2 * 2
    assert frame["multiplicity"].sum() == everything.combinations
    assert not frame.drop(columns=["multiplicity"]).duplicated().any()
    glmm = frame[frame["model"] == "glmm"]
    assert glmm[["tau2_method", "add", "to", "method"]].isna().all(axis=None)
    assert frame.loc[frame["model"] != "glmm", "quad_points"].isna().all()


def test_a_correction_does_what_changing_the_data_does(cohorts):
    fixed = cohorts.set_index("cohort")
    fixed.loc["Bethge 2022 A", "patients"] = 173
    choices = {"denominators": {"corrected": {"Bethge 2022 A": {"n": 173}}}}
    row = multiverse(cohorts, choices, model="glmm", **COLUMNS).frame().iloc[0]
    fit = pool(fixed.reset_index(), model="glmm", **COLUMNS)
    assert row["estimate"] == pytest.approx(fit.estimate, rel=1e-12)


def test_corrections_that_contradict_each_other_are_named(cohorts):
    choices = {
        "one": {"a": {"Bethge 2022 A": {"n": 173}}},
        "two": {"b": {"Bethge 2022 A": {"n": 170}}, "c": {"Bethge 2022 A": {"n": 173}}},
    }
    frame = multiverse(cohorts, choices, **COLUMNS).frame()
    assert frame["status"].tolist() == ["undefined", "ok"]
    assert "one and two give different n for Bethge 2022 A" in frame["reason"].iloc[0]


def test_rates_and_proportions_side_by_side(cohorts):
    years = cohorts["patients"] * cohorts["median_follow_up_months"] / 12
    result = multiverse(
        cohorts.assign(years=years),
        {"measure": ["logit", "log-rate", "sqrt-rate"], "model": ["common", "random", "glmm"]},
        time="years",
        **COLUMNS,
    )
    frame = result.frame()
    assert frame.loc[frame["measure"] == "logit", "time"].isna().all()
    for s in frame.index[frame["status"] == "ok"]:
        fit = refitted(result, s)
        assert frame.loc[s, "estimate"] == pytest.approx(fit.estimate, rel=1e-10)
        assert frame.loc[s, "k"] == fit.k


counts = st.lists(
    st.tuples(st.integers(0, 12), st.integers(1, 60)).map(lambda c: (min(c), c[1])),
    min_size=1,
    max_size=5,
)


@examples(8)
@given(studies=counts)
def test_small_and_degenerate_sets_agree_with_pool(studies):
    """One study, no events, only events: the row is the fit, or both refuse in the same words."""
    x, n = zip(*studies, strict=True)
    result = multiverse(
        None,
        {
            "model": ["common", "random", "glmm"],
            "measure": ["logit", "double-arcsine"],
            "method": ["inverse-variance", "likelihood"],
            "tau2_method": ["DL", "ML"],
            "ci_method": ["wald", "knapp-hartung", "knapp-hartung-max1"],
            "to": [None, "if0all"],
            "first": {"kept": None, "left out": [True] + [False] * (len(x) - 1)},
        },
        events=x,
        n=n,
    )
    frame = result.frame()
    for s in frame.index:
        row = frame.loc[s]
        if row["status"] == "ok":
            agrees(result, s)
            assert 0 <= row["ci_lower"] <= row["estimate"] <= row["ci_upper"] <= 1
        else:
            with pytest.raises(MetaAnalysisError) as error:
                _ = refitted(result, s).ci
            if "not defined for model" not in row["reason"] and row["k"] is not pd.NA:
                assert row["reason"].split(" (")[0] in str(error.value)


# --- contrasts ------------------------------------------------------------------------------

PAIR = {"by": "product", "levels": ("axi-cel", "tisa-cel")}


def test_wald_contrast_is_the_test_between_two_subgroups(cohorts):
    result = multiverse(
        cohorts,
        {"measure": ["logit", "arcsine"], "model": ["common", "random", "glmm"]},
        ci_method="wald",
        contrast=PAIR,
        **COLUMNS,
    )
    two = cohorts[cohorts["product"].isin(PAIR["levels"])]
    for _, row in result.frame()[result.frame()["status"] == "ok"].iterrows():
        options = {"measure": row["measure"], "model": row["model"], "ci_method": "wald"}
        groups = subgroups(two, by="product", **options, **COLUMNS)
        a, b = (groups.groups[level] for level in PAIR["levels"])
        assert row["p"] == pytest.approx(groups.test.p, rel=1e-10)
        assert row["difference"] == pytest.approx(a.mu - b.mu, rel=1e-10)
        assert row["estimate_difference"] == pytest.approx(a.estimate - b.estimate, rel=1e-9)
        assert (row["k_1"], row["k_2"]) == (a.k, b.k)
        assert np.isinf(row["df"])


def test_knapp_hartung_contrast_is_welch_on_the_two_fits(cohorts):
    from scipy import stats

    result = multiverse(
        cohorts, {"tau2_method": ["REML", "DL"]}, contrast=PAIR, ci_method="t", **COLUMNS
    )
    for s in result.frame().index:
        groups = (result.contrast.first, result.contrast.second)
        a, b = (refitted(result, s, inside) for inside in groups)
        exact = stats.ttest_ind_from_stats(
            a.mu, a.se * a.k**0.5, a.k, b.mu, b.se * b.k**0.5, b.k, equal_var=False
        )
        row = result.frame().loc[s]
        assert row["p"] == pytest.approx(exact.pvalue, rel=1e-10)
        assert row["difference"] / row["se"] == pytest.approx(exact.statistic, rel=1e-10)


def test_common_tau2_contrast_is_weighted_least_squares_on_the_group(cohorts):
    import statsmodels.api as sm

    choices = {"group_tau2": ["common"], "ci_method": ["wald", "knapp-hartung"]}
    frame = multiverse(cohorts, choices, contrast=PAIR, **COLUMNS).frame()
    two = cohorts[cohorts["product"].isin(PAIR["levels"])]
    y, v = get_measure("logit").effects(two["nonrelapse_deaths"], two["patients"])
    X = sm.add_constant((two["product"] == "axi-cel").to_numpy(dtype=float))
    tau2 = frame["tau2_1"].iloc[0]
    wls = sm.WLS(y, X, weights=1 / (v + tau2)).fit()
    assert frame["difference"].to_numpy() == pytest.approx(wls.params[1], rel=1e-9)
    assert frame["se"].iloc[1] == pytest.approx(wls.bse[1], rel=1e-9)
    assert frame["p"].iloc[1] == pytest.approx(wls.pvalues[1], rel=1e-9)
    assert frame["se"].iloc[0] == pytest.approx(wls.bse[1] / wls.scale**0.5, rel=1e-9)


def test_contrast_changes_sign_with_the_order_of_the_groups(cohorts):
    choices = {"model": ["random", "glmm"], "group_tau2": ["separate", "common"]}
    there = multiverse(cohorts, choices, contrast=PAIR, **COLUMNS).frame()
    back = {"by": "product", "levels": PAIR["levels"][::-1]}
    again = multiverse(cohorts, choices, contrast=back, **COLUMNS).frame()
    assert there["difference"].to_numpy() == pytest.approx(-again["difference"], rel=1e-7)
    assert there["p"].to_numpy() == pytest.approx(again["p"], rel=1e-6)


def test_contrast_without_studies_in_a_group_is_undefined(cohorts):
    nobody = (cohorts["product"] == "tisa-cel").to_numpy()
    choices = {"who": {"all": None, "none": nobody}, "group_tau2": ["separate", "common"]}
    frame = multiverse(cohorts, choices, contrast=PAIR, **COLUMNS).frame()
    assert frame["status"].tolist() == ["ok", "ok", "undefined", "undefined"]
    assert frame["reason"].iloc[2] == "tisa-cel: no study is left to pool"


@pytest.mark.parametrize("model", ["random", "glmm"])
def test_a_common_variance_of_two_groups_needs_three_studies(model):
    table = pd.DataFrame({"events": [3, 9, 5], "n": [40, 50, 60], "arm": ["a", "b", "b"]})
    which = {"three": None, "two": np.array([False, False, True])}
    pair = {"by": "arm", "levels": ("a", "b")}
    choices = {"who": which, "group_tau2": ["common"]}
    columns = {"events": "events", "n": "n", "model": model}
    frame = multiverse(table, choices, contrast=pair, **columns).frame().set_index("who")
    assert frame["status"].to_dict() == {"three": "ok", "two": "undefined"}
    assert frame.loc["two", "reason"].endswith("needs at least 3 studies")


# --- views ----------------------------------------------------------------------------------


def test_share_counts_what_it_leaves_out():
    result = multiverse(
        None,
        {"model": ["common", "random", "glmm"], "measure": ["logit", "arcsine"]},
        events=[3, 8, 16],
        n=[40, 60, 50],
    )
    everywhere = result.share("estimate > 0")
    assert (everywhere.count, everywhere.of, everywhere.left_out) == (5, 5, 1)
    assert everywhere.fraction == 1.0
    predicted = result.share("prediction_upper > 0.5")
    assert predicted.of == 3  # a common effect has no prediction interval
    by_hand = result.share(lambda frame: frame["measure"] == "arcsine")
    assert (by_hand.count, by_hand.of) == (2, 5)
    with pytest.raises(MetaAnalysisError, match="columns are"):
        result.share("risk > 0")
    with pytest.raises(MetaAnalysisError, match="true or false"):
        result.share("estimate + 1")


def test_influence_finds_the_choice_that_matters_and_ignores_the_idle_one():
    result = multiverse(
        None,
        {
            "tau2_method": ["DL", "REML"],
            "ci_method": ["wald", "t"],
            "worst": {"kept": None, "left out": ["C"]},
        },
        events=[3, 5, 40],
        n=[60, 70, 90],
        study=["A", "B", "C"],
    )
    table = result.influence_of_choices()
    assert table.index[0] == "worst"
    assert table.loc["worst", "highest"] == "kept"
    assert table.loc["ci_method", ["share", "range", "largest_switch"]].tolist() == [0, 0, 0]
    frame = result.frame()
    by = ["tau2_method", "ci_method"]
    switch = frame.pivot_table(index=by, columns="worst", values="estimate")
    assert table.loc["worst", "mean_switch"] == pytest.approx(
        (switch["kept"] - switch["left out"]).mean()
    )


def test_shares_of_an_additive_grid_add_up_to_everything():
    """Without interactions the total index is the share of an analysis of variance."""
    result = multiverse(
        None,
        {"model": ["common", "random", "glmm"], "method": ["inverse-variance", "likelihood"]},
        events=[3, 8, 16],
        n=[40, 60, 50],
    )
    columns = dict(result.columns)
    codes = result.grid.codes
    value = np.zeros(len(result))
    value[result.grid.row] = np.array([0.0, 1.0, 5.0])[codes[:, 0]]
    columns["mu"] = value
    table = dataclasses.replace(result, columns=columns).influence_of_choices("mu")
    assert table.loc["model", "share"] == pytest.approx(100.0)
    assert table.loc["method", "share"] == 0.0


def test_summary_and_dictionary_hold_the_counts(everything):
    summary = everything.summary_frame().iloc[0]
    assert summary["ok"] + summary["undefined"] + summary["failed"] == summary["specifications"]
    assert summary["lowest"] <= summary["median"] <= summary["highest"]
    assert (everything.frame()["reason"] != "").sum() == summary["undefined"]


def test_dictionary_is_json():
    result = multiverse(None, {"ci_method": ["wald", "t"]}, events=[3, 8], n=[40, 60])
    out = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert len(out["specifications"]) == 2
    assert out["choices"] == {"ci_method": ["wald", "t"]}


def test_result_cannot_be_changed():
    result = multiverse(None, {"ci_method": ["wald", "t"]}, events=[3, 8], n=[40, 60])
    with pytest.raises(ValueError, match="read-only"):
        result.columns["mu"][0] = 1.0
    frame = result.frame()
    frame.loc[1, "mu"] = 99.0
    assert result.frame().loc[1, "mu"] != 99.0


def test_order_of_studies_does_not_matter(cohorts):
    choices = {"model": ["common", "random", "glmm"], "measure": ["logit", "double-arcsine"]}
    there = multiverse(cohorts, choices, **COLUMNS).frame()
    again = multiverse(cohorts.iloc[::-1], choices, **COLUMNS).frame()
    for name in ("estimate", "se", "tau2"):
        assert there[name].to_numpy() == pytest.approx(again[name], rel=1e-8, nan_ok=True)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "nothing to choose from"),
        ({"measure": ["logitt"]}, "measure='logitt'"),
        ({"measure": "logit"}, "expected a list"),
        ({"tau2_method": ["DL", "DL"]}, "distinct levels"),
        ({"quad_points": [0]}, "1 to 100"),
        ({"add": [-1]}, "at least 0"),
        ({"eligibility": ["all"]}, "not an option"),
        ({"eligibility": {"a": [True]}}, "expected 2 booleans"),
        ({"eligibility": {"a": ["Nobody"]}}, "no study 'Nobody'"),
        ({"fix": {"a": {"Nobody": {"n": 3}}}}, "no study 'Nobody'"),
        ({"fix": {"a": {"Study 1": {"age": 3}}}}, "expected new values by field"),
        ({"fix": {"a": {"Study 1": {"events": 300}}}}, r"choices\['fix'\]\['a'\].*exceed"),
        ({"group_tau2": ["common"]}, "needs a contrast"),
        ({"k": {"a": None}}, "name of a column of results"),
    ],
)
def test_bad_choices_get_a_clear_error(choices, message):
    with pytest.raises(MetaAnalysisError, match=message):
        multiverse(None, choices, events=[3, 8], n=[40, 60])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau2": 1.0}, "not an option"),
        ({"ci_method": "wald"}, "fixed and a choice"),
        ({"level": 95}, "level"),
        ({"contrast": {"by": [1, 2]}}, "expected"),
        ({"contrast": {"by": "x", "levels": (1, 2)}}, "no column"),
        ({"contrast": {"by": [1, 2], "levels": (1, 3)}}, "no study with"),
        ({"contrast": {"by": [1, 2], "levels": (1, 1)}}, "both levels"),
    ],
)
def test_bad_options_get_a_clear_error(options, message):
    with pytest.raises(MetaAnalysisError, match=message):
        multiverse(None, {"ci_method": ["wald", "t"]}, events=[3, 8], n=[40, 60], **options)


# --- the batched intervals ------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3, 9])
def test_batched_intervals_equal_those_of_single_fits(k):
    rng = np.random.default_rng(k)
    v = rng.lognormal(-2, 1, (3, k))
    y = rng.normal(0, 1, (3, k)) * np.sqrt(v + rng.choice([0.0, 0.5], (3, 1)))
    v[0] = 0.1  # equal variances
    pairs = []
    for method in ("ML", "REML"):
        fit = fit_inverse_variance(y, v, method=method)
        ones = [fit_inverse_variance(a, b, method=method) for a, b in zip(y, v, strict=True)]
        single = [first(tau2_intervals.profile_tau2_limits(f, 0.9)) for f in ones]
        pairs.append((tau2_intervals.profile_tau2_limits(fit, 0.9), single))
        if method == "ML":
            single = [first(intervals.profile_mu_limits(f, 0.9)) for f in ones]
            pairs.append((intervals.profile_mu_limits(fit, 0.9), single))
    single = [first(tau2_intervals.q_profile_limits(f.batch, 0.9)) for f in ones]
    pairs.append((tau2_intervals.q_profile_limits(fit.batch, 0.9), single))
    single = [first(intervals.henmi_copas_limits(f.batch, 0.9)) for f in ones]
    pairs.append((intervals.henmi_copas_limits(fit.batch, 0.9), single))
    for weights in tau2_intervals.GENERALISED_Q_WEIGHTS if k == 3 else ():
        limits = tau2_intervals.generalised_q_limits
        single = [first(limits(f.batch, 0.9, weights=weights)) for f in ones]
        pairs.append((limits(fit.batch, 0.9, weights=weights), single))
    for found, expected in pairs:
        assert np.column_stack(found) == pytest.approx(np.array(expected), rel=1e-8, abs=1e-9)


def test_batched_sets_of_tau2_are_empty_where_q_is_too_small():
    from scipy import stats

    rng = np.random.default_rng(8)
    y, v = 0.3 * rng.normal(size=(60, 5)), np.ones((60, 5))
    batch = fit_inverse_variance(y, v, method="common").batch
    q = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    empty = q < stats.chi2.ppf(0.05, 4)
    assert 5 < empty.sum() < 55
    for method in (tau2_intervals.q_profile_limits, tau2_intervals.generalised_q_limits):
        limits = method(batch, 0.9)
        for limit in limits:
            assert (np.isnan(limit) == empty).all()


def test_batched_intervals_with_masks_equal_those_of_the_smaller_sets():
    rng = np.random.default_rng(3)
    y, v = rng.normal(0, 1, (1, 6)), rng.lognormal(-1, 1, (1, 6))
    masks = np.array([[1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 1, 0], [1, 1, 1, 1, 1, 1]])
    fit = fit_inverse_variance(y, v, masks, method="ML")
    found = np.column_stack(
        [
            *intervals.profile_mu_limits(fit, 0.95),
            *tau2_intervals.profile_tau2_limits(fit, 0.95),
            *intervals.henmi_copas_limits(fit.batch, 0.95),
        ]
    )
    for row, mask in zip(found, masks.astype(bool), strict=True):
        one = fit_inverse_variance(y[0, mask], v[0, mask], method="ML")
        expected = [
            *first(intervals.profile_mu_limits(one, 0.95)),
            *first(tau2_intervals.profile_tau2_limits(one, 0.95)),
            *first(intervals.henmi_copas_limits(one.batch, 0.95)),
        ]
        assert row == pytest.approx(expected, rel=1e-8, abs=1e-9)


def test_batched_intervals_refuse_what_they_are_not_for():
    fit = fit_inverse_variance([0.0, 1.0, 2.0], [0.1, 0.1, 0.1], method="DL")
    with pytest.raises(UnsupportedError, match="Knapp-Hartung"):
        intervals.mu_limits(fit, "exact", 0.95)
    with pytest.raises(UnsupportedError, match="ML or REML"):
        tau2_intervals.profile_tau2_limits(fit, 0.95)
    with pytest.raises(UnsupportedError, match="every study"):
        tau2_intervals.generalised_q_limits(prepare([0.0, 1.0], [1.0, 1.0], [1, 0]), 0.95)


def test_frame_types_do_not_depend_on_missing_results():
    frame = multiverse(
        None, {"model": ["random", "glmm"], "measure": ["arcsine"]}, events=[3, 8], n=[40, 60]
    ).frame()
    assert frame["status"].tolist() == ["ok", "undefined"]
    assert frame["k"].tolist()[0] == 2
    assert pd.isna(frame["k"].iloc[1])
    assert str(frame["k"].dtype) == "Int64"
