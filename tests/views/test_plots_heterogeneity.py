"""Baujat, GOSH, influence, profile and prediction: marks stand where the results say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from plot_tools import assert_all_words_inside, assert_no_words_collide

from helpers import meta_regression, pool, pool_effects, printing, subgroups
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.profiles import profile_curve
from helpers.review.plots import (
    baujat,
    gosh,
    influence_panel,
    leave_one_out_strip,
    median_mean,
    prediction,
    profile,
    show,
)
from helpers.views.plots.note import note_of

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
DRAW = {
    "baujat": baujat,
    "gosh": lambda fit: gosh(fit.gosh(300), percent=fit.n is not None),
    "influence_panel": influence_panel,
    "profile": profile,
    "prediction": prediction,
}


def made_up(k, label="Study {}"):
    rng = np.random.default_rng(k)
    n = rng.integers(20, 1500, k)
    return pool(
        events=rng.binomial(n, rng.uniform(0.05, 0.15, k)),
        n=n,
        study=[label.format(i) for i in range(k)],
        measure="logit",
        model="random",
    )


def marks(ax, gid):
    found = [line for line in ax.lines if line.get_gid() == gid]
    return np.vstack([np.column_stack(line.get_data()) for line in found])


# --- every kind --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DRAW)
@pytest.mark.parametrize("k", [4, 52, 200])
def test_words_neither_collide_nor_leave_the_figure(kind, k):
    ax = DRAW[kind](made_up(k))
    assert_no_words_collide(ax)
    assert_all_words_inside(ax)


@pytest.mark.parametrize("kind", DRAW)
def test_long_and_odd_labels_fit(kind):
    ax = DRAW[kind](made_up(4, "{} $x_1$ & <b> " + "very long label " * 6))
    assert_no_words_collide(ax)
    assert_all_words_inside(ax)


@pytest.mark.parametrize("kind", DRAW)
def test_plain_effects_are_not_printed_as_percentages(kind):
    rng = np.random.default_rng(3)
    fit = pool_effects(rng.normal(-0.3, 0.5, 8), rng.uniform(0.02, 0.2, 8))
    ax = DRAW[kind](fit)
    assert "mortality" not in note_of(ax).alt or kind == "gosh"
    assert_no_words_collide(ax)
    assert show(ax, "effects").alt


# --- Baujat ------------------------------------------------------------------------------------


def test_baujat_marks_stand_at_contribution_and_influence(whole):
    ax = baujat(whole)
    frame = whole.baujat()
    (drawn,) = (c for c in ax.collections if c.get_gid() == "studies")
    expected = frame[["contribution", "influence"]].to_numpy()
    assert np.asarray(drawn.get_offsets()) == pytest.approx(expected)
    names = [t.get_text() for t in ax.texts]
    assert {frame["contribution"].idxmax(), frame["influence"].idxmax()} <= set(names)
    note = note_of(ax)
    share = frame["contribution"].max() / frame["contribution"].sum()
    assert printing.percent(share, 0) in note.caption
    assert frame["influence"].idxmax() in note.alt


# --- GOSH --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def subsets(cohorts):
    return pool(cohorts, **COLUMNS, model="common", method="likelihood").gosh(2000)


def test_gosh_histograms_count_every_subset_once(subsets):
    ax = gosh(subsets)
    (top,) = ax.child_axes
    steps = {patch.get_gid(): patch.get_data() for patch in top.patches}
    study = subsets.summary_frame()["separation"].abs().idxmax()
    held = subsets.member[:, subsets.labels.index(study)]
    assert steps["subsets-with"].values.sum() == held.sum()
    assert steps["subsets-without"].values.sum() == (~held).sum()
    assert study in note_of(ax).caption


def test_gosh_marks_lie_where_the_subsets_lie_and_grow_with_their_number(subsets):
    ax = gosh(subsets)
    drawn = np.vstack([np.column_stack(line.get_data()) for line in ax.lines])
    assert drawn[:, 0].min() >= ax.get_xlim()[0]
    cell = np.diff(ax.get_xlim())[0] / 44, np.diff(ax.get_ylim())[0] / 26
    points = np.column_stack([subsets.estimate, subsets.I2])
    distance = np.abs(points[:, None] - drawn[None]) <= 0.5001 * np.array(cell)
    assert distance.all(axis=2).any(axis=1).all()
    sizes = [line.get_markersize() for line in ax.lines if line.get_gid().startswith("with-")]
    assert np.all(np.diff(sizes) > 0)


def test_gosh_sees_two_clouds_where_one_study_makes_them():
    fit = pool(events=[60, 5, 6, 4, 5, 6], n=[100] * 6, model="common", method="likelihood")
    two = note_of(gosh(fit.gosh())).caption
    assert ", more than the 2 above which" in two
    assert "Study 1" in two
    even = pool(events=[5, 5, 6, 4, 5, 6], n=[100] * 6, model="common", method="likelihood")
    assert ", not more than the 2 above which" in note_of(gosh(even.gosh())).caption


def test_gosh_refuses_unknown_studies(subsets):
    with pytest.raises(MetaAnalysisError, match="not among the studies"):
        gosh(subsets, study="nobody")


# --- influence ---------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [760, 340])
def test_influence_panels_hold_every_diagnostic_at_its_study(whole, width):
    ax = influence_panel(whole, width=width)
    frame = whole.influence().frame()
    panels = {inset.get_label(): inset for inset in ax.child_axes}
    assert set(panels) == {"rstudent", "dffits", "cook_d", "cov_ratio", "tau2_deleted", "weight"}
    for column, inset in panels.items():
        drawn = np.vstack([marks(inset, "inside"), marks(inset, "beyond")])
        drawn = drawn[np.argsort(drawn[:, 1])]
        assert drawn[:, 0] == pytest.approx(frame[column].to_numpy())
    outside = marks(panels["rstudent"], "beyond")
    assert list(frame.index[outside[:, 1].astype(int)]) == list(frame.index[frame["outlier"]])


def test_an_influential_study_is_named(whole):
    fit = pool(events=[3, 4, 5, 4, 30], n=[60] * 5, study=list("ABCDE"), model="glmm")
    note = note_of(influence_panel(fit))
    assert "E is influential" in note.caption
    assert "No cohort is influential" in note_of(influence_panel(whole)).caption


def test_a_regression_shows_leverage_and_speaks_of_its_coefficients(cohorts):
    fit = meta_regression(cohorts, "setting", **COLUMNS)
    ax, frame = influence_panel(fit), fit.influence().frame()
    panels = {inset.get_label(): inset for inset in ax.child_axes}
    drawn = np.vstack([marks(panels["leverage"], gid) for gid in ("inside", "beyond")])
    assert np.sort(drawn[:, 0]) == pytest.approx(np.sort(frame["leverage"].to_numpy()))
    assert "weight" not in panels
    assert "The coefficients move most without" in note_of(ax).alt
    assert "2 degrees of freedom" in str(note_of(ax).table.html)
    spread = note_of(baujat(fit))
    assert "moves the value that is fitted to it most" in spread.alt.replace("; ", " and ")
    assert_no_words_collide(ax)
    assert_all_words_inside(ax)


@pytest.mark.parametrize("group_tau2", ["separate", "common"])
def test_a_comparison_of_groups_has_both_pictures(cohorts, group_tau2):
    fit = subgroups(cohorts, by="setting", **COLUMNS, group_tau2=group_tau2)
    ax = influence_panel(fit)
    panels = {inset.get_label() for inset in ax.child_axes}
    # each group has a variance of its own, so that there is none to be told from
    assert ("tau2_deleted" in panels) == (group_tau2 == "common")
    assert {"leverage", "cook_d"} <= panels
    spread = note_of(baujat(fit))
    assert "moves the value that is fitted to it most" in spread.alt.replace("; ", " and ")
    assert_no_words_collide(ax)
    assert_all_words_inside(ax)


def test_a_regression_of_which_no_study_can_be_left_out_is_refused(cohorts):
    fit = meta_regression(cohorts.head(3), "setting", **COLUMNS, model="random")
    for draw in (influence_panel, baujat):
        with pytest.raises(MetaAnalysisError, match="nothing to draw"):
            draw(fit)


def test_influence_panel_needs_room(whole):
    _, ax = plt.subplots(figsize=(3, 3))
    with pytest.raises(MetaAnalysisError, match="this panel needs"):
        influence_panel(whole, ax=ax)


# --- profile -----------------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ["tau2", "mu"])
def test_the_profile_is_drawn_through_the_curve(whole, parameter):
    ax = profile(whole, parameter)
    curve = profile_curve(whole, parameter)
    (line,) = (line for line in ax.lines if line.get_gid() == "profile")
    x = curve.values
    if parameter == "mu":
        x = 1 / (1 + np.exp(-x))
    assert line.get_xdata() == pytest.approx(x)
    assert line.get_ydata() == pytest.approx(curve.drop)
    low, high = ax.get_xlim()
    limits = whole.tau2_ci("profile") if parameter == "tau2" else whole.conf_int("profile")
    assert low < limits.lower < limits.upper < high


def test_the_profile_says_whether_zero_is_inside():
    alike = pool(events=[5, 6, 5, 6], n=[100] * 4, model="glmm")
    assert "The interval contains zero" in note_of(profile(alike)).caption
    unlike = pool(events=[2, 30, 5, 60], n=[100] * 4, model="glmm")
    assert "The interval excludes zero" in note_of(profile(unlike)).caption


# --- prediction --------------------------------------------------------------------------------


def test_prediction_shows_studies_mean_and_new_study(whole):
    ax = prediction(whole)
    (dots,) = (c for c in ax.collections if c.get_gid() == "studies")
    places = np.asarray(dots.get_offsets())
    assert sorted(places[:, 0]) == pytest.approx(sorted(whole.studies["estimate"]))
    pixels = ax.transData.transform(places)
    gaps = np.hypot(*(pixels[:, None] - pixels[None]).T)
    assert gaps[~np.eye(len(gaps), dtype=bool)].min() >= 8.5
    shapes = {patch.get_gid(): patch for patch in ax.patches}
    bar = shapes["prediction"]
    expected = whole.prediction_interval()
    assert (bar.get_x(), bar.get_x() + bar.get_width()) == pytest.approx(expected)
    assert shapes["mean"].get_xy()[:, 0].min() == pytest.approx(whole.ci.lower)
    note = note_of(ax)
    assert printing.prediction(whole) in note.alt
    assert printing.estimate(whole) in note.caption


def test_the_caption_gives_the_level_of_the_range_of_a_new_study():
    """Without its level, "may lie from 2 to 16%" reads as if nothing could lie beyond."""
    fit = pool(events=[3, 9, 5, 14, 2], n=[60] * 5, model="glmm", level=0.9)
    assert "the 90% prediction interval for the true value" in note_of(prediction(fit)).caption


def test_a_common_effect_has_nothing_to_predict():
    fit = pool(events=[3, 4, 5], n=[50, 60, 70], model="common")
    with pytest.raises(UnsupportedError):
        prediction(fit)


# --- median and mean ---------------------------------------------------------------------------


def test_median_and_mean_stand_where_the_model_has_them(whole):
    ax = median_mean(whole)
    at = {gid: marks(ax, gid)[0, 0] for gid in ("median", "mean")}
    draws = np.random.default_rng(2).normal(whole.mu, whole.tau2**0.5, 300_000)
    rates = 1 / (1 + np.exp(-draws))
    assert at["median"] == pytest.approx(np.median(rates), abs=3e-4)
    assert at["mean"] == pytest.approx(rates.mean(), abs=3e-4)
    curve = marks(ax, "density")
    seen, edges = np.histogram(rates, bins=60, range=(0.01, 0.2), density=True)
    drawn = np.interp((edges[1:] + edges[:-1]) / 2, curve[:, 0], curve[:, 1])
    assert drawn / drawn.max() == pytest.approx(seen / seen.max(), abs=0.05)
    note = note_of(ax)
    for value in (whole.estimate, whole.mean_estimate):
        assert printing.percent(value) in note.alt
        assert printing.percent(value) in note.caption


def test_without_variance_there_are_no_two_numbers_to_draw():
    same = pool(events=[4, 5, 6, 5, 4], n=[60, 70, 80, 75, 62], model="glmm")
    with pytest.raises(UnsupportedError, match="median and mean are the same"):
        median_mean(same)


def test_the_strip_has_a_line_for_every_deletion_and_names_both_ends(whole):
    ax = leave_one_out_strip(whole)
    table, deleted = whole.studies, []
    for label in table.index:
        kept = table.drop(index=label)
        one = pool(events=kept["events"].astype(int), n=kept["n"].astype(int), model="glmm")
        deleted.append(one.estimate)
    lines = next(c for c in ax.collections if c.get_gid() == "without").get_segments()
    assert [line[0, 0] for line in lines] == pytest.approx(deleted, abs=1e-5)
    words = " ".join(text.get_text() for text in ax.texts)
    for place in (int(np.argmin(deleted)), int(np.argmax(deleted))):
        assert f"Without {table.index[place]}" in words
    named = sorted(line.get_xdata()[0] for line in ax.lines if line.get_gid() == "named")
    assert named == pytest.approx([min(deleted), whole.estimate, max(deleted)], abs=1e-5)
