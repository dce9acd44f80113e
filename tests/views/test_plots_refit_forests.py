"""Forest plots of refits: rows, counts and words are those of the refits."""

import numpy as np
import pytest
from nightly import nightly
from plot_tools import assert_all_words_inside, assert_no_words_collide

from helpers import pool, pool_effects, printing
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.review.plots import cumulative_forest, leave_one_out_forest, show
from helpers.views.plots.note import note_of

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}


@pytest.fixture(scope="module")
def years(cohorts):
    return cohorts.set_index("cohort")["year"]


def squares(ax):
    (found,) = (c for c in ax.collections if c.get_gid() == "studies")
    return found


def made_up(k):
    rng = np.random.default_rng(k)
    n = rng.integers(20, 1500, k)
    return pool(events=rng.binomial(n, 0.1), n=n, measure="logit", model="random")


def test_rows_are_the_estimates_without_each_study(whole):
    ax = leave_one_out_forest(whole)
    expected = whole.leave_one_out()["estimate"]
    assert np.asarray(squares(ax).get_offsets())[:, 0] == pytest.approx(np.sort(expected))
    assert len(set(squares(ax).get_sizes())) == 1
    note = note_of(ax)
    assert expected.idxmin() in note.caption
    assert expected.idxmax() in note.alt


def test_counts_are_those_of_the_studies_left(whole):
    ax = leave_one_out_forest(whole)
    words = {text.get_text().strip() for text in ax.texts}
    for _, row in whole.studies.iterrows():
        left = (
            f"{printing.count(whole.events - row['events'])}/{printing.count(whole.n - row['n'])}"
        )
        assert left in words


def test_estimates_rise_from_row_to_row_by_default(whole):
    places = np.asarray(squares(leave_one_out_forest(whole)).get_offsets())
    assert np.all(np.diff(places[np.argsort(places[:, 1]), 0]) >= 0)


def test_a_row_for_each_year_pools_all_studies_up_to_it(whole, cohorts, years):
    ax = cumulative_forest(whole, years)
    places = np.asarray(squares(ax).get_offsets())
    assert len(places) == years.nunique()
    for x, year in zip(places[:, 0], sorted(years.unique()), strict=True):
        part = cohorts[cohorts["year"] <= year]
        alone = pool(part, **COLUMNS, measure="logit", model="glmm")
        assert x == pytest.approx(alone.estimate, rel=1e-6)
        assert any(t.get_text().startswith(f"to {year}, {alone.k} cohort") for t in ax.texts)


@pytest.mark.parametrize("k", [2, 5, 52, nightly(200)])
def test_words_neither_collide_nor_leave_the_figure(k):
    fit = made_up(k)
    labels = list(fit.studies.index)
    for ax in (
        leave_one_out_forest(fit),
        cumulative_forest(fit, {label: i for i, label in enumerate(labels)}),
    ):
        assert_no_words_collide(ax)
        assert_all_words_inside(ax)


def test_one_study_can_be_accumulated_but_not_left_out():
    one = pool(events=[5], n=[60], study=["A"], model="random")
    assert show(cumulative_forest(one, {"A": 2020}), "one").alt
    with pytest.raises(UnsupportedError):
        leave_one_out_forest(one)


def test_plain_effects_have_no_counts():
    fit = pool_effects([0.1, 0.4, -0.2, 0.3], [0.02, 0.03, 0.02, 0.05], study=list("ABCD"))
    for ax in (leave_one_out_forest(fit), cumulative_forest(fit, dict.fromkeys("ABCD", 1))):
        assert not any("/" in text.get_text() for text in ax.texts)
        assert "%" not in ax.get_xlabel()
        assert_no_words_collide(ax)


def test_missing_years_are_named(whole, years):
    with pytest.raises(MetaAnalysisError, match="no value for Abramson 2020"):
        cumulative_forest(whole, years.drop("Abramson 2020"))
