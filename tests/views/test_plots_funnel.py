"""Funnel, radial and drapery plots: marks at the values, regions at the quantiles, no overlap."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from helpers import load_cohorts, pool, pool_effects, printing
from helpers.checks.bias import egger, trim_and_fill
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.review.plots import funnel, show
from helpers.views.plots import drapery, radial
from helpers.views.plots.note import note_of

PLOTS = {"funnel": funnel, "radial": radial, "drapery": drapery}


@pytest.fixture(scope="module")
def fit():
    return pool(load_cohorts(), events="nonrelapse_deaths", n="patients", study="cohort")


def many(k: int):
    rng = np.random.default_rng(5)
    vi = rng.uniform(0.01, 0.6, k)
    return pool_effects(rng.normal(0.2, np.sqrt(vi + 0.05)), vi, study=[f"S{i}" for i in range(k)])


def drawn(ax, gid):
    return next(a for a in [*ax.collections, *ax.lines] if a.get_gid() == gid)


def overlaps(ax) -> list[tuple[str, str]]:
    """Pairs of texts whose boxes share pixels; ticks and labels of both axes, texts, legend."""
    ax.figure.draw_without_rendering()
    legend = ax.get_legend()
    texts = [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
    texts += [*ax.get_xticklabels(), *ax.get_yticklabels()]
    texts += list(legend.get_texts()) if legend else []
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text()]
    return [(a, b) for (a, x), (b, y) in combinations(boxes, 2) if x.overlaps(y)]


def test_funnel_marks_stand_at_effects_and_standard_errors(fit):
    shown = drawn(funnel(fit), "marks-studies").get_offsets()
    frame = fit.studies
    assert np.allclose(shown, np.column_stack([frame["yi"], np.sqrt(frame["vi"])]))


def test_the_axis_of_sizes_holds_the_patients(fit):
    ax = funnel(fit, vertical="n")
    assert np.allclose(drawn(ax, "marks-studies").get_offsets()[:, 1], fit.studies["n"])
    assert ax.get_yscale() == "log"
    assert "Patients" in ax.get_ylabel()


def test_limits_on_the_axis_of_sizes_use_the_variance_at_the_pooled_rate(fit):
    line = drawn(funnel(fit, vertical="n"), "limit-upper")
    x, n = line.get_xdata(), line.get_ydata()
    expected = fit.mu + stats.norm.ppf(0.975) / np.sqrt(n * fit.estimate * (1 - fit.estimate))
    assert np.allclose(x, expected)


def test_limits_are_the_normal_quantiles(fit):
    line = drawn(funnel(fit), "limit-lower")
    assert np.allclose(line.get_xdata(), fit.mu - stats.norm.ppf(0.975) * line.get_ydata())


def test_contours_end_at_their_p_values():
    ax = funnel(many(12), contours=True)
    corners = drawn(ax, "contour-1-upper").get_paths()[0].vertices
    rows = corners[corners[:, 1] > 0.3]
    p = 2 * stats.norm.sf(rows[:, 0] / rows[:, 1])  # effects have the null 0
    assert p.min() == pytest.approx(0.05, rel=1e-6)
    assert p.max() == pytest.approx(0.1, rel=1e-6)


def test_contours_of_proportions_stand_around_the_pooled_rate(fit):
    corners = drawn(funnel(fit, contours=True), "contour-0-upper").get_paths()[0].vertices
    assert corners[:, 0].min() == pytest.approx(fit.mu)


def test_filled_studies_are_those_of_trim_and_fill(fit):
    filled = trim_and_fill(fit)
    ax = funnel(fit, filled=filled)
    frame = filled.studies
    frame = frame[frame["filled"]]
    shown = drawn(ax, "marks-filled").get_offsets()
    assert filled.k0 == len(shown) > 0
    assert np.allclose(shown, np.column_stack([frame["yi"], np.sqrt(frame["vi"])]))
    assert printing.counted(filled.k0, "cohort", "cohorts") in note_of(ax).caption


def test_the_regression_line_starts_at_the_limit(fit):
    test = egger(fit)
    line = drawn(funnel(fit, line=test), "regression-line")
    assert line.get_xdata()[0] == pytest.approx(test.limit)
    slope = np.diff(line.get_xdata()) / np.diff(line.get_ydata())
    assert slope == pytest.approx(test.bias)


def test_the_caption_counts_the_studies_outside(fit):
    frame = fit.studies
    outside = (np.abs(frame["yi"] - fit.mu) > stats.norm.ppf(0.975) * np.sqrt(frame["vi"])).sum()
    for plot in (funnel, radial):
        assert printing.word(int(outside)) in note_of(plot(fit)).caption.lower()


def test_percent_ticks_stand_where_their_proportions_are(fit):
    ax = funnel(fit)
    for place, label in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True):
        share = float(label.get_text().rstrip("%")) / 100
        assert place == pytest.approx(np.log(share / (1 - share)))


def test_radial_marks_are_standardised_distances(fit):
    shown = drawn(radial(fit), "marks-studies").get_offsets()
    frame = fit.studies
    se = np.sqrt(frame["vi"])
    assert np.allclose(shown, np.column_stack([1 / se, (frame["yi"] - fit.mu) / se]))


def test_a_ray_leads_to_the_value_that_it_names(fit):
    ax = radial(fit)
    named = [t for t in ax.texts if "%" in t.get_text() and t.get_weight() != "bold"]
    assert named
    for text in named:
        x, y = text.xy
        value = 1 / (1 + np.exp(-(fit.mu + y / x)))
        assert value == pytest.approx(float(text.get_text().rstrip("%")) / 100)


def test_curves_of_the_drapery_cross_five_percent_at_the_wald_limits(fit):
    ax = drapery(fit)
    frame = fit.studies
    for gid, effect, error in [
        ("pooled", fit.mu, fit.se),
        ("study-3", frame["yi"].iloc[3], np.sqrt(frame["vi"].iloc[3])),
    ]:
        x, p = drawn(ax, gid).get_data()
        assert np.allclose(p, 2 * stats.norm.sf(np.abs(x - effect) / error))
        assert p.max() == pytest.approx(1.0, abs=1e-9)
    lower, upper = fit.conf_int(method="wald", scale="display")
    assert printing.percent(lower) in note_of(ax).alt
    assert printing.percent(upper) in note_of(ax).alt


@pytest.mark.parametrize("k", [1, 2, 200])
@pytest.mark.parametrize("name", PLOTS)
def test_one_and_two_hundred_studies_are_drawn_without_overlap(name, k):
    ax = PLOTS[name](many(k))
    assert not overlaps(ax)
    assert show(ax, "picture").alt


@pytest.mark.parametrize("vertical", ["se", "n"])
@pytest.mark.parametrize("contours", [True, False])
def test_no_text_of_a_funnel_hides_another(fit, vertical, contours):
    ax = funnel(fit, vertical=vertical, contours=contours)
    assert not overlaps(ax)
    assert ax.get_xlabel()
    assert ax.get_ylabel()


@pytest.mark.parametrize("name", ["radial", "drapery"])
def test_no_text_of_the_cohorts_plots_hides_another(fit, name):
    assert not overlaps(PLOTS[name](fit))


def test_excluded_studies_are_told_and_not_drawn():
    fit = pool(events=[np.nan, 3, 8, 5], n=[20, 30, 90, 40], study=list("abcd"), model="random")
    ax = funnel(fit)
    assert len(drawn(ax, "marks-studies").get_offsets()) == fit.k == 3
    assert "one excluded cohort" in note_of(ax).caption


def test_the_table_holds_every_study(fit):
    for plot in PLOTS.values():
        text = note_of(plot(fit)).table.text
        assert all(cohort in text for cohort in fit.studies.index)


def test_contradictions_are_errors(fit):
    with pytest.raises(UnsupportedError, match="expected one of"):
        funnel(fit, vertical="size")
    with pytest.raises(UnsupportedError, match="no sample size"):
        funnel(fit, vertical="n", filled=trim_and_fill(fit))
    with pytest.raises(UnsupportedError, match="needs vertical='se'"):
        funnel(fit, line=egger(fit), vertical="n")
    with pytest.raises(UnsupportedError, match="the fit pools"):
        funnel(fit, filled=trim_and_fill(many(12)))
    with pytest.raises(MetaAnalysisError, match="sample sizes"):
        funnel(many(5), vertical="n")
    for name, plot in PLOTS.items():
        with pytest.raises(MetaAnalysisError, match=f"{name}\\(\\) needs a fit"):
            plot([0.1, 0.2])
