"""The audit as corrections: what is changed, and what that does to the results."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from helpers import load_audit, load_cohorts, load_published, load_sources, meta_regression, pool
from helpers.errors import MetaAnalysisError
from helpers.evidence import load_corrections
from helpers.evidence.corrections import apply_corrections, audit_trail, checked_against_sources
from helpers.review.corrected_results import AS_PUBLISHED, EVERY, FACTS, correction_effects
from helpers.review.decimals import prints_as
from helpers.review.published.models import (
    published_analyses,
    published_fits,
    published_models,
    published_regression,
    published_subgroup,
    regression_definition,
)

COHORTS = load_cohorts()


@pytest.fixture(scope="module")
def effects():
    return correction_effects()


def test_nothing_else_than_the_listed_cells_changes():
    corrected = apply_corrections(COHORTS)
    assert corrected.data.dtypes.equals(COHORTS.dtypes)
    gone = {change.cohort for change in corrected.changes if change.kind == "exclude"}
    assert set(COHORTS["cohort"]) - set(corrected.data["cohort"]) == gone
    before = COHORTS[~COHORTS["cohort"].isin(gone)].set_index("cohort")
    after = corrected.data.set_index("cohort")
    listed = {(c.cohort, c.column): c.after for c in corrected.changes if c.kind != "exclude"}
    for column in before.columns:
        same = (before[column] == after[column]) | (before[column].isna() & after[column].isna())
        assert set(same.index[~same]) == {name for name, cell in listed if cell == column}
    for (cohort, column), value in listed.items():
        cell = after.loc[cohort, column]
        assert pd.isna(cell) if value is None else cell == value
    assert len(corrected.changes) == len(load_corrections())


def test_the_table_given_is_left_alone_and_no_correction_means_a_copy():
    before = COHORTS.copy()
    untouched = apply_corrections(COHORTS, [])
    apply_corrections(COHORTS)
    pd.testing.assert_frame_equal(COHORTS, before)
    pd.testing.assert_frame_equal(untouched.data, COHORTS)
    assert untouched.changes == () == untouched.ids
    with pytest.raises(dataclasses.FrozenInstanceError):
        untouched.ids = ("x",)


def test_rows_of_one_correction_go_together():
    swap = apply_corrections(COHORTS, ["bethge-arms"])
    assert [(c.before, c.after) for c in swap.changes] == [(183, 173), (173, 183)]
    assert swap.data["patients"].sum() == COHORTS["patients"].sum()
    frame = swap.changes_frame()
    assert frame["after"].tolist() == [173, 183]


def test_a_table_that_does_not_hold_the_published_value_is_refused():
    once = apply_corrections(COHORTS, ["kamdar-infused"]).data
    with pytest.raises(MetaAnalysisError, match=r"Kamdar 2022, patients is 89, expected .* 92"):
        apply_corrections(once, ["kamdar-infused"])
    with pytest.raises(MetaAnalysisError, match="occurs 0 times"):
        apply_corrections(COHORTS.head(3), ["kamdar-infused"])
    with pytest.raises(MetaAnalysisError, match="no correction 'kamdar'"):
        apply_corrections(COHORTS, ["kamdar"])
    with pytest.raises(MetaAnalysisError, match="expected a list"):
        apply_corrections(COHORTS, "kamdar-infused")


def test_every_finding_of_the_audit_has_an_outcome():
    trail = audit_trail()
    assert len(trail) == len(load_audit())
    has = trail["correction"] != ""
    assert (trail.loc[has, "outcome"].isin(["corrected", "left out"])).all()
    assert (trail.loc[~has, "outcome"].isin(["open", "confirmed"])).all()
    assert set(trail.loc[has, "correction"]) == set(load_corrections()["id"])
    # what is open has no other value, so nothing could have been corrected
    open_ = trail[trail["outcome"] == "open"]
    assert set(open_["kind"]) == {"denominator", "subset", "definition"}
    assert open_.loc[open_["kind"] == "denominator", "source_value"].tolist() == ["not stated"]


def test_checks_are_counted_from_the_sources():
    counted = checked_against_sources()
    assert (counted.sum(axis=1) == len(COHORTS)).all()
    sources = load_sources()
    assert counted.loc["patients", "confirmed"] == (sources["patients_check"] == "confirmed").sum()
    assert (
        counted.loc["nonrelapse_deaths", "not checked"]
        == (sources["deaths_check"] == "not checked").sum()
    )


def test_as_published_meets_the_published_results(effects):
    printed = load_published("pooled").set_index(["analysis", "level"])
    rows = effects.estimates[effects.estimates["scenario"] == AS_PUBLISHED]
    assert len(rows) == 11
    for row in rows.itertuples():
        want = printed.loc[(row.analysis, row.level), "random_estimate"]
        assert row.estimate == pytest.approx(want, rel=1e-5)
    tests = effects.tests[effects.tests["scenario"] == AS_PUBLISHED]
    models = load_published("regressions").set_index("model")["f_p_printed"]
    for row in tests[tests["kind"] == "model"].itertuples():
        assert prints_as(row.p, models[row.analysis])


def test_each_scenario_is_the_analysis_of_its_own_table(effects):
    assert effects.scenarios[AS_PUBLISHED] == ()
    assert set(effects.scenarios[FACTS]) < set(effects.scenarios[EVERY])
    data = apply_corrections(COHORTS, effects.scenarios[EVERY]).data
    fit = pool(data, events="nonrelapse_deaths", n="patients", study="cohort", model="glmm")
    ours = effects.estimate("all", EVERY)
    assert ours["estimate"] == pytest.approx(fit.estimate, rel=1e-10)
    assert ours["n"] == data["patients"].sum()
    lbcl = data[(data["entity"] == "LBCL") & ~data["product"].str.contains("+", regex=False)]
    model = meta_regression(
        lbcl.astype({"product": "object"}), "product", events="nonrelapse_deaths", n="patients",
        study="cohort", tau2_method="ML", ci_method="knapp-hartung",
    )  # fmt: skip
    found = effects.tests.query("scenario == @EVERY and analysis == 'LBCL: product'")
    p = found.loc[found["kind"] == "model", "p"].item()
    assert p == pytest.approx(model.omnibus.p, rel=1e-6)


def test_corrections_of_follow_up_alone_leave_pooled_estimates_alone(effects):
    columns = load_corrections().astype({"column": str}).groupby("id")["column"].agg(set)
    alone = columns.index[columns == {"median_follow_up_months"}]
    shifts = effects.shifts()
    assert len(alone) == 3
    assert shifts.loc[shifts["scenario"].isin(alone), "shift"].abs().max() < 1e-12


def test_changed_conclusions_are_those_that_cross_the_level(effects):
    compared, changed = effects.compared_tests(), effects.changed_conclusions()
    crossed = (compared["p"] < effects.alpha) ^ (compared["p_as_published"] < effects.alpha)
    assert len(changed) == int(crossed.sum())
    # both p-values are on the two sides of the level
    assert (
        np.sign(changed["p"] - effects.alpha) == -np.sign(changed["p_as_published"] - effects.alpha)
    ).all()
    assert correction_effects(alpha=1e-12).changed_conclusions().empty
    with pytest.raises(MetaAnalysisError, match="alpha"):
        correction_effects(alpha=0.0)
    with pytest.raises(MetaAnalysisError, match="no estimate"):
        effects.estimate("none")


@pytest.mark.parametrize("scenario", [AS_PUBLISHED, "kwon-infused", EVERY])
def test_each_set_of_corrections_gives_what_its_own_table_gives(effects, scenario):
    """Analyses that a correction leaves alone are not run again: the frames are the same."""
    data = apply_corrections(COHORTS, effects.scenarios[scenario]).data
    rows = []
    for analysis in published_analyses():
        rows.append(("groups", analysis, "", published_subgroup(analysis, data).test.p))
    for model in published_models():
        fit = published_regression(model, data)
        names = regression_definition(model).terms
        rows.append(("model", model, "", fit.omnibus.p))
        lines = fit.coefficients.drop(index="Intercept")
        rows += [("coefficient", model, names[t], p) for t, p in lines["p"].items()]
    expected = pd.DataFrame(rows, columns=["kind", "analysis", "term", "p"])
    got = effects.tests[effects.tests["scenario"] == scenario].reset_index(drop=True)
    pd.testing.assert_frame_equal(got[list(expected)], expected, check_exact=True)
    pooled = [
        (analysis, level, fit.k, fit.events, fit.estimate, fit.ci.lower, fit.ci.upper)
        for analysis in ("all cohorts", "entity", "single product")
        for level, fit in published_fits(analysis, data).items()
    ]
    names = ["analysis", "level", "k", "events", "estimate", "ci_lower", "ci_upper"]
    expected = pd.DataFrame(pooled, columns=names)
    got = effects.estimates[effects.estimates["scenario"] == scenario].reset_index(drop=True)
    pd.testing.assert_frame_equal(got[names], expected, check_exact=True)
