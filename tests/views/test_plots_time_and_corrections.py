"""The plots of the audit and of time at risk: positions, words, odd input."""

import numpy as np
import pandas as pd
import pytest
from plot_tools import assert_all_words_inside, assert_no_words_collide

from helpers import printing
from helpers.errors import MetaAnalysisError
from helpers.evidence import load_corrections
from helpers.review import SUBJECT, palette
from helpers.review.corrected_results import (
    AS_PUBLISHED,
    EVERY,
    CorrectionEffects,
    correction_effects,
)
from helpers.review.plots import before_after, corrections, follow_up
from helpers.review.time_at_risk.contrast import time_contrast
from helpers.views.plots import show, style
from helpers.views.plots.note import note_of


@pytest.fixture(scope="module")
def effects():
    return correction_effects()


@pytest.fixture(scope="module")
def contrasts(cohorts):
    pairs = (("cilta-cel", "ide-cel"), ("axi-cel", "tisa-cel"))
    return [time_contrast(cohorts, by="product", levels=pair) for pair in pairs]


def named(ax, start):
    found = {c.get_gid(): c for c in [*ax.collections, *ax.lines, *ax.patches] if c.get_gid()}
    return {gid: c for gid, c in found.items() if gid.startswith(start)}


def test_corrections_stand_at_their_shifts(effects):
    ax = corrections(effects)
    levels = effects.estimates.query("scenario == @AS_PUBLISHED")["level"].tolist()
    shifts = effects.shifts().set_index(["scenario", "level"])["shift"]
    single = set(load_corrections()["id"])
    order = ["all", *palette.ENTITY, *palette.PRODUCT]  # that of all pictures
    moved = sorted((x for x in levels if abs(shifts[EVERY, x]) > 1e-12), key=order.index)
    assert len(moved) == len(named(ax, "all-"))  # what does not move is not drawn, but named
    assert all(level in note_of(ax).caption for level in set(levels) - set(moved))
    for i, level in enumerate(moved):
        whole = named(ax, "all-")[f"all-{i}"]
        assert tuple(whole.get_offsets()[0]) == pytest.approx((100 * shifts[EVERY, level], i))
        alone = named(ax, f"alone-{i}")[f"alone-{i}"].get_offsets()
        assert sorted(alone[:, 0]) == pytest.approx(sorted(100 * shifts[s, level] for s in single))
    base = effects.estimate("all")
    bar = named(ax, "interval-0")["interval-0"]
    assert bar.get_x() == pytest.approx(100 * (base["ci_lower"] - base["estimate"]))
    assert bar.get_width() == pytest.approx(100 * (base["ci_upper"] - base["ci_lower"]))


def test_words_of_the_corrections_hold_the_values(effects):
    ax = corrections(effects)
    note = note_of(ax)
    for scenario in (AS_PUBLISHED, EVERY):
        shown = printing.percent(effects.estimate("all", scenario)["estimate"], 2)
        assert shown in note.alt
        assert shown in [text.get_text() for text in ax.texts]
    assert "inside its published confidence interval" in note.caption
    assert "percentage points" in ax.get_xlabel()


def test_an_estimate_outside_its_interval_is_named(effects):
    moved = effects.estimates.copy()
    far = (moved["scenario"] == EVERY) & (moved["level"] == "MM")
    moved.loc[far, "estimate"] = 0.5
    note = note_of(corrections(CorrectionEffects(effects.scenarios, moved, effects.tests)))
    assert "Outside the published confidence interval: MM" in note.caption


def test_no_corrections_is_an_error(effects):
    rows = effects.estimates.query("scenario in (@AS_PUBLISHED, @EVERY)")
    with pytest.raises(MetaAnalysisError, match="at least one correction"):
        corrections(CorrectionEffects({}, rows, effects.tests))


def test_every_followed_cohort_has_a_mark_and_each_row_its_weighted_mean(cohorts):
    ax = follow_up(cohorts)
    known = cohorts.dropna(subset="median_follow_up_months")
    marks = np.vstack([c.get_offsets() for c in named(ax, "marks-").values()])
    assert sorted(marks[:, 0]) == pytest.approx(sorted(known["median_follow_up_months"]))
    means = sorted(c.get_segments()[0][0, 0] for c in named(ax, "mean-").values())
    groups = known.groupby(["product", "setting"], observed=True)
    person = (known["median_follow_up_months"] * known["patients"]).groupby(
        [known["product"], known["setting"]], observed=True
    )
    want = person.sum() / groups["patients"].sum()
    assert means == pytest.approx(sorted(want))
    assert "months" in ax.get_xlabel()


def test_trials_are_filled(cohorts):
    trials = cohorts[cohorts["setting"] == "trial"]
    others = cohorts[cohorts["setting"] != "trial"]
    assert all(len(c.get_facecolor()) for c in named(follow_up(trials), "marks-").values())
    assert not any(len(c.get_facecolor()) for c in named(follow_up(others), "marks-").values())


def test_words_of_follow_up_count_the_cohorts_that_are_not_shown(cohorts):
    note = note_of(follow_up(cohorts))
    assert "One cohort without a follow-up time is not shown." in note.caption
    assert "the mean of the median follow-ups" in note.caption
    whole = note_of(follow_up(cohorts.dropna(subset="median_follow_up_months")))
    assert "not shown" not in whole.caption


def test_the_line_runs_through_the_fitted_ratios(contrasts):
    panels = before_after(contrasts).get_figure(root=True).axes
    assert len(panels) == len(contrasts)
    for i, (one, ax) in enumerate(zip(contrasts, panels, strict=True)):
        assert ax.get_ylim() == panels[0].get_ylim()
        line = named(ax, f"line-{i}")[f"line-{i}"]
        assert line.get_xdata() == pytest.approx(one.exponents)
        assert line.get_ydata() == pytest.approx(one.ratio)
        diamond = tuple(named(ax, f"adjusted-{i}")[f"adjusted-{i}"].get_offsets()[0])
        assert diamond == pytest.approx((one.exponent()[0], one.adjusted()["ratio"]))
        low, high = ax.get_ylim()
        assert low < one.ci_lower.min() < one.ci_upper.max() < high
        assert ax.get_yscale() == "log"


def test_words_of_the_comparison_hold_the_ratios(contrasts):
    note = note_of(before_after(contrasts))
    for one in contrasts:
        for g in (0.0, 1.0):
            assert printing.number(one.at(g)["ratio"]) in note.alt
    assert "closer to one" in note.caption
    assert "further from one" in note.caption


def test_number_of_comparisons_is_limited(contrasts):
    with pytest.raises(MetaAnalysisError, match="1 to 4"):
        before_after([])
    assert show(before_after(contrasts[:1]), "one").alt
    four = before_after([*contrasts, *contrasts])
    assert_no_words_collide(four)


def test_words_do_not_collide_and_stay_inside(effects, cohorts, contrasts):
    for ax in (
        corrections(effects),
        follow_up(cohorts),
        follow_up(cohorts.head(1)),
        before_after(contrasts),
    ):
        assert_no_words_collide(ax)
        assert_all_words_inside(ax)


def test_two_hundred_cohorts_and_other_products_can_be_drawn(cohorts):
    many = pd.concat([cohorts] * 4, ignore_index=True).assign(product="another product")
    ax = follow_up(many)
    assert len(np.vstack([c.get_offsets() for c in named(ax, "marks-").values()])) == 204
    assert SUBJECT.colours(["another product"])["another product"] == style.INK


def test_missing_columns_and_follow_up_are_errors(cohorts):
    with pytest.raises(MetaAnalysisError, match="no column 'setting'"):
        follow_up(cohorts.drop(columns="setting"))
    with pytest.raises(MetaAnalysisError, match="follow-up time"):
        follow_up(cohorts.assign(median_follow_up_months=np.nan))
