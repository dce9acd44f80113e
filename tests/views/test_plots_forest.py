import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from nightly import nightly
from plot_tools import assert_all_words_inside, assert_no_words_collide

from helpers import pool, printing, subgroups
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.review import palette
from helpers.review.plots import forest, show, subgroup_forest
from helpers.views.plots.note import note_of

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}


@pytest.fixture(scope="module")
def by_entity(cohorts):
    return subgroups(cohorts, by="entity", **COLUMNS, measure="logit", model="random")


def made_up(k, label="Study {}"):
    rng = np.random.default_rng(k)
    n = rng.integers(5, 1500, k)
    return pool(
        events=rng.binomial(n, 0.1),
        n=n,
        study=[label.format(i) for i in range(k)],
        measure="logit",
        model="random",
    )


def squares(ax):
    return next(c for c in ax.collections if c.get_gid() == "studies")


@pytest.mark.parametrize("k", [2, 5, 52, nightly(200)])
def test_words_neither_collide_nor_leave_the_figure_for_any_number_of_rows(k):
    ax = forest(made_up(k))
    assert_no_words_collide(ax)
    assert_all_words_inside(ax)


def test_words_of_groups_neither_collide_nor_leave_the_figure(by_entity):
    ax = forest(by_entity)
    assert_no_words_collide(ax)
    assert_all_words_inside(ax)


@pytest.mark.parametrize(
    "label", ["{} " + "very long label " * 12, "{} $x_1$ & <b> \\alpha", "Ж {}"]
)
def test_long_and_odd_labels_fit(label):
    ax = forest(made_up(5, label))
    assert_no_words_collide(ax)
    assert_all_words_inside(ax)
    table = note_of(ax).table
    assert label.format(3).strip() in re.sub(r"\s+", " ", table.text.replace("\\\\", "\\"))


@pytest.mark.parametrize("k", [1, 2])
def test_one_study_is_not_all_of_them(k):
    words = [text.get_text() for text in forest(made_up(k)).texts]
    assert [word for word in words if "ooled" in word] == ["All 2 pooled" if k > 1 else "Pooled"]


def test_the_figure_is_as_tall_as_its_rows():
    heights = {k: forest(made_up(k)).figure.get_size_inches()[1] * 72 for k in (5, 52, 200)}
    assert (heights[200] - heights[52]) / 148 == pytest.approx(19)
    assert (heights[52] - heights[5]) / 47 == pytest.approx(19)


def test_squares_stand_at_the_estimates_and_lines_span_the_intervals(whole):
    ax = forest(whole, order="input", xlim=(0, 1))
    studies = whole.studies
    places = np.asarray(squares(ax).get_offsets())
    assert places[:, 0] == pytest.approx(studies["estimate"].to_numpy())
    assert np.all(np.diff(places[:, 1]) > 0)
    spans = {
        round(float(line.get_ydata()[0]), 6): list(line.get_xdata())
        for line in ax.lines
        if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]
    }
    for (_, row), y in zip(studies.iterrows(), places[:, 1], strict=True):
        assert spans[round(float(y), 6)] == pytest.approx([row["ci_lower"], row["ci_upper"]])


def test_squares_grow_with_weight(whole):
    ax = forest(whole, order="input")
    areas, weight = squares(ax).get_sizes(), whole.studies["weight"].to_numpy()
    assert np.all(np.diff(areas[np.argsort(weight, kind="stable")]) >= 0)
    big = areas > areas.min()
    assert areas[big] / weight[big] == pytest.approx(areas.max() / weight.max())


def test_diamonds_span_the_pooled_intervals(by_entity):
    ax = forest(by_entity)
    shown = [
        np.unique(patch.get_xy()[:, 0])
        for patch in ax.patches
        if hasattr(patch, "get_closed") and len(patch.get_xy()) == 5
    ]
    fits = [*by_entity.groups.values(), by_entity.overall]
    assert len(shown) == len(fits)
    for corners, fit in zip(shown, fits, strict=True):
        assert corners == pytest.approx(sorted({fit.ci.lower, fit.estimate, fit.ci.upper}))


def test_the_bar_spans_the_prediction_interval(whole):
    ax = forest(whole)
    bar = ax.patches[-1]
    low, high = whole.prediction_interval()
    assert (bar.get_x(), bar.get_x() + bar.get_width()) == pytest.approx((low, high))


def test_estimates_are_always_in_view_and_cut_intervals_end_in_an_arrow(whole):
    ax = forest(whole)
    low, high = ax.get_xlim()
    studies = whole.studies
    assert len(squares(ax).get_offsets()) == len(studies)
    assert low == 0
    assert studies["estimate"].max() <= high
    arrows = [line for line in ax.lines if line.get_marker() == ">"]
    assert len(arrows) == (studies["ci_upper"] > high).sum() > 0


def test_an_axis_chosen_by_the_author_is_kept(whole):
    ax = forest(whole, xlim=(0, 0.1))
    assert ax.get_xlim() == (0, 0.1)
    outside = (whole.studies["estimate"] > 0.1).sum()
    assert len(squares(ax).get_offsets()) == whole.k - outside


@pytest.mark.parametrize("order", ["estimate", "weight", "label", "input"])
def test_rows_follow_the_order_asked_for(whole, order):
    ax = forest(whole, order=order)
    names = set(whole.studies.index)
    shown = [text.get_text() for text in ax.texts if text.get_text() in names]
    studies = whole.studies
    expected = {
        "estimate": studies.sort_values("estimate", kind="stable").index,
        "weight": studies.sort_values("weight", ascending=False, kind="stable").index,
        "label": studies.sort_index().index,
        "input": studies.index,
    }[order]
    assert shown == list(expected)


def test_an_unknown_order_is_an_error(whole):
    with pytest.raises(UnsupportedError, match="order"):
        forest(whole, order="shoe size")


def test_printed_numbers_are_the_numbers_of_the_result(whole):
    ax = forest(whole, order="input")
    words = {text.get_text().strip("\N{FIGURE SPACE}\N{THIN SPACE}") for text in ax.texts}
    for row in whole.studies.itertuples():
        assert f"{printing.count(row.events)}/{printing.count(row.n)}" in words
        bounds = printing.between(100 * row.ci_lower, 100 * row.ci_upper)
        assert f"{printing.number(100 * row.estimate, 1)} ({bounds})" in words
        assert printing.number(row.weight, 1) in words


def test_weights_compare_across_groups_and_add_up_to_a_hundred(by_entity):
    table = note_of(forest(by_entity)).table.text
    for label, weight in by_entity.overall.studies["weight"].items():
        line = next(line for line in table.splitlines() if label in line)
        assert printing.number(weight, 1) in line.split()
    sizes = squares(forest(by_entity)).get_sizes()
    assert len(sizes) == by_entity.overall.k


def test_groups_have_the_colour_of_their_disease(by_entity):
    ax = forest(by_entity)
    fills = [patch.get_facecolor() for patch in ax.patches if len(patch.get_xy()) == 5]
    wanted = [palette.ENTITY[level].light for level in by_entity.groups]
    assert [plt.matplotlib.colors.to_hex(fill) for fill in fills[:-1]] == wanted


def test_excluded_studies_stay_in_view_with_their_reason():
    fit = pool(
        pd.DataFrame({"events": [3, 8, np.nan], "n": [40, 60, 90], "study": ["A", "B", "Lost"]}),
        events="events",
        n="n",
        study="study",
        model="random",
    )
    reason = fit.studies.loc["Lost", "reason"]
    assert reason
    ax = forest(fit)
    words = [text.get_text() for text in ax.texts]
    assert "Not pooled" in words
    assert "Lost" in words
    assert any(
        word and reason.startswith(word.rstrip("…")) and word[0] == reason[0] for word in words
    )
    assert reason in note_of(ax).table.text
    assert_no_words_collide(ax)
    assert_all_words_inside(ax)


def test_a_common_effect_shows_no_prediction_interval():
    fit = pool(events=[3, 8, 6], n=[40, 60, 90], model="common")
    words = " ".join(text.get_text() for text in forest(fit).texts)
    assert "prediction" not in words


def test_other_effects_are_plain_numbers_and_may_be_negative():
    from helpers import pool_effects

    fit = pool_effects([-1.2, 0.1, 0.6], [0.1, 0.2, 0.05])
    ax = forest(fit)
    assert ax.get_xlabel() == "Estimate"
    assert ax.get_xlim()[0] < -1.2
    assert not any("/" in text.get_text() for text in ax.texts)
    assert_no_words_collide(ax)


def test_alt_text_and_caption_state_the_values_and_the_conclusion(by_entity):
    note = note_of(forest(by_entity))
    for text in (note.alt, note.caption):
        assert printing.estimate(by_entity.overall) in text
        assert f"calibrated {printing.p_value(by_entity.calibrated_test().p)}" in text
    for level, fit in by_entity.groups.items():
        assert f"{level} {printing.estimate(fit)}" in note.alt
    # three cohorts of one disease cannot tell their variance, whatever the p-value
    assert "more than chance" not in note.caption
    assert printing.p_value(by_entity.test.p) in note.table.html


def test_axes_of_the_author_are_used_and_too_small_ones_refused(whole):
    figure, axes = plt.subplots(1, 2, figsize=(27, 21), dpi=72)
    ax = forest(whole, ax=axes[0])
    assert ax is axes[0]
    assert figure.get_size_inches()[0] == 27
    assert_no_words_collide(ax)
    _, small = plt.subplots(figsize=(3, 3))
    with pytest.raises(MetaAnalysisError, match="this forest plot needs"):
        forest(whole, ax=small)
    _, flat = plt.subplots(figsize=(14, 0.5))
    with pytest.raises(MetaAnalysisError, match="this forest plot needs"):
        forest(whole, ax=flat)


def test_a_forest_of_groups_is_light(by_entity):
    # 135,500 with two drawings, of which the one for phones takes 53,500
    assert len(show(forest(by_entity), "forest")._repr_html_()) < 140_000


def test_a_forest_of_groups_has_one_diamond_a_group_at_its_interval(by_entity, cohorts):
    by_setting = subgroups(cohorts, by="setting", **COLUMNS, measure="logit", model="random")
    ax = subgroup_forest({"Disease": by_entity, "Setting": by_setting})
    assert_no_words_collide(ax)
    assert_all_words_inside(ax)
    diamonds = [p.get_xy() for p in ax.patches if len(p.get_xy()) == 5]
    fits = [*by_entity.groups.values(), *by_setting.groups.values(), by_entity.overall]
    assert len(diamonds) == len(fits)
    for corners, fit in zip(diamonds, fits, strict=True):
        assert corners[:, 0].min() == pytest.approx(fit.ci.lower)
        assert corners[:, 0].max() == pytest.approx(fit.ci.upper)
        assert corners[1, 0] == pytest.approx(fit.estimate)
    note = note_of(ax)
    for name, fit in by_setting.groups.items():
        assert f"{name} {printing.estimate(fit)}" in note.alt
    # the test of each grouping is in the picture, in the line under its groups
    drawn = " ".join(text.get_text() for text in ax.texts)
    for result in (by_entity, by_setting):
        assert printing.p_value(result.test.p) in drawn


def test_the_groups_are_the_finding_of_a_forest_of_one_grouping(by_entity):
    ends = sorted(fit.estimate for fit in by_entity.groups.values())
    low, high = (f"{100 * rate:.1f}%" for rate in (ends[0], ends[-1]))
    first = note_of(subgroup_forest({"Disease": by_entity})).caption
    assert first.startswith(f"Nonrelapse mortality by disease ranged from {low} (")
    assert f" to {high} (" in first.partition(".  ")[0]


def test_a_forest_of_groups_refuses_results_of_other_studies(by_entity, cohorts):
    other = subgroups(cohorts[:20], by="setting", **COLUMNS, measure="logit", model="random")
    with pytest.raises(MetaAnalysisError, match="same studies"):
        subgroup_forest({"Disease": by_entity, "Setting": other})
    with pytest.raises(MetaAnalysisError, match="at least one"):
        subgroup_forest({})
