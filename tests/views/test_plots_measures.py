"""Exact coverage, mean and lowest, and relative variances as lines."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.checks.interval_coverage import exact_coverage, relative_variance
from helpers.errors import MetaAnalysisError
from helpers.review import plots
from helpers.views.plots.note import note_of

GRID = np.linspace(0.005, 0.3, 120)


def overlaps(ax):
    ax.figure.draw_without_rendering()
    texts = [ax.xaxis.label, ax.yaxis.label, *ax.texts, *ax.get_xticklabels()]
    texts += ax.get_yticklabels()
    if ax.get_legend() is not None:
        texts += ax.get_legend().get_texts()
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text()]
    return [(a, b) for (a, x), (b, y) in combinations(boxes, 2) if x.overlaps(y)]


def lines(ax, prefix):
    return [line for line in ax.lines if str(line.get_gid()).startswith(prefix)]


def test_dots_stand_at_the_mean_and_the_lowest_coverage():
    cover = exact_coverage(16, GRID)
    found = {c.get_gid(): c for c in plots.coverage_range(cover).collections}
    mean, lowest = (np.asarray(found[gid].get_offsets())[:, 0] for gid in ("mean", "lowest"))
    assert mean == pytest.approx(cover.to_numpy().mean(axis=0))
    assert np.all(lowest <= cover.to_numpy().min(axis=0) + 1e-12)
    # Clopper and Pearson's limits are quantiles of beta distributions; a fine grid of proportions.
    fine, x = np.linspace(GRID[0], GRID[-1], 20_001), np.arange(17)
    low = np.nan_to_num(stats.beta.ppf(0.025, x, 17 - x), nan=0.0)
    high = np.nan_to_num(stats.beta.ppf(0.975, x + 1, 16 - x), nan=1.0)
    inside = (low[:, None] <= fine) & (fine <= high[:, None])
    least = (stats.binom.pmf(x[:, None], 16, fine) * inside).sum(axis=0).min()
    assert lowest[list(cover.columns).index("Clopper-Pearson")] == pytest.approx(least, abs=1e-3)


@pytest.mark.parametrize("n", [1, 16, 1297])
def test_no_text_of_the_rows_overlaps(n):
    assert not overlaps(plots.coverage_range(exact_coverage(n, GRID)))
    assert not overlaps(plots.coverage_range(exact_coverage(n, GRID, ["Wilson"])))


def test_the_note_names_the_worst_and_the_best():
    cover = exact_coverage(16, GRID)
    note = note_of(plots.coverage_range(cover))
    assert "Wald, raw" in note.caption
    assert "Clopper-Pearson" in note.caption
    for name in cover.columns:
        assert name in note.alt
        assert name in note.table.text


def test_the_curves_are_the_variances():
    found = relative_variance(50, GRID, ["raw", "log", "logit", "arcsine", "double-arcsine"])
    ax = plots.variance_curves(found)
    for line in lines(ax, "measure-"):
        assert np.array_equal(line.get_ydata(), found[line.get_gid().removeprefix("measure-")])
    assert not overlaps(ax)
    note = note_of(ax)
    assert "variance of the proportion changes by" in note.caption
    assert "50 patients" in note.alt


def test_frames_of_another_kind_are_refused():
    other = pd.DataFrame({"Wilson": [0.9]})
    for draw in (plots.coverage_range, plots.variance_curves):
        with pytest.raises(MetaAnalysisError, match="needs the frame"):
            draw(other)
