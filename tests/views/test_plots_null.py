"""Pictures of what chance does: paths by construction, and false alarms of the tests."""

from __future__ import annotations

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.transforms import Bbox
from plot_tools import word_boxes
from scipy import stats

from helpers import printing
from helpers.checks.bias import simulate_null
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.review.plots import construction, rejection, show
from helpers.views.plots.construction_plot import paths
from helpers.views.plots.note import note_of


@pytest.fixture(scope="module")
def runs():
    counts = {"events": [1, 2, 9, 12, 30, 8, 5], "n": [20, 60, 90, 200, 400, 150, 50]}
    return {
        "unlike": simulate_null(**counts, tau2=0.2, draws=200),
        "alike": simulate_null(**counts, tau2=0.0, draws=200),
    }


def overlaps(ax) -> list[tuple[str, str]]:
    # Labels of ticks beyond the limits are not drawn: `word_boxes` leaves them out.
    boxes = [(t.get_text(), Bbox.from_extents(b)) for t, b in word_boxes(ax, whole=True).items()]
    return [(a, b) for (a, x), (b, y) in combinations(boxes, 2) if x.overlaps(y)]


@pytest.mark.parametrize(("n", "rate"), [(25, 0.068), (400, 0.3), (1, 0.5)])
def test_paths_hold_the_middle_of_the_binomial_distribution(n, rate):
    table = paths(rate, [n])
    assert np.allclose(table["probability"], stats.binom.pmf(table["events"], n, rate))
    assert table["probability"].sum() >= 0.95
    low, high = stats.binom.interval(0.95, n, rate)
    assert (table["events"].min(), table["events"].max()) == (low, high)


def test_a_path_is_the_formula_of_logit_and_standard_error():
    table = paths(0.068, [100]).query("events > 0")
    x = table["events"].to_numpy()
    assert np.allclose(table["yi"], np.log(x / (100 - x)))
    assert np.allclose(table["se"], np.sqrt(1 / x + 1 / (100 - x)))


def test_logits_fall_as_their_standard_errors_rise_and_double_arcsines_do_not():
    logit, wide = (paths(0.068, [80], measure) for measure in ("logit", "double-arcsine"))
    assert (np.diff(logit["yi"]) > 0).all()
    assert (np.diff(logit["se"]) < 0).all()
    assert np.ptp(wide["se"]) < 1e-12


def test_construction_draws_the_paths():
    ax = construction(0.068, sizes=(25, 100))
    assert [a.get_title(loc="left") for a in ax.figure.axes] == [
        "Logit proportion",
        "Double arcsine proportion",
    ]
    shown = next(c for c in ax.collections if c.get_gid() == "marks-logit-100").get_offsets()
    assert np.allclose(shown, paths(0.068, [100])[["yi", "se"]])
    assert not overlaps(ax)
    assert "25 and 100" in note_of(ax).alt
    assert show(ax, "paths").table is not None


def test_construction_draws_one_measure_on_given_axes():
    _, ax = plt.subplots()
    assert construction(0.5, measure="arcsine", sizes=[40], ax=ax) is ax
    assert "depends on size alone" in note_of(ax).caption


def test_the_said_correlation_is_that_of_simulated_cohorts():
    rng = np.random.default_rng(8)
    x = rng.binomial(250, 0.068, 40_000)
    x = x[stats.binom.ppf(0.025, 250, 0.068) <= x]
    x = x[x <= stats.binom.ppf(0.975, 250, 0.068)]
    r = np.corrcoef(np.log(x / (250 - x)), np.sqrt(1 / x + 1 / (250 - x)))[0, 1]
    assert f"at {printing.number(r, 2)}" in note_of(construction(0.068, sizes=[250])).caption


def test_construction_refuses_what_is_no_proportion():
    for options, words in [
        ({"rate": 0.0}, "between 0 and 1"),
        ({"rate": 0.1, "sizes": []}, "at least one size"),
        ({"rate": 0.1, "measure": "log-rate"}, "make a proportion"),
    ]:
        with pytest.raises(UnsupportedError, match=words):
            construction(**options)


def test_marks_stand_at_the_shares_that_reject(runs):
    ax = rejection(runs)
    for i, run in enumerate(runs.values()):
        marks = next(c for c in ax.collections if c.get_gid() == f"marks-{i}")
        assert np.allclose(marks.get_offsets()[:, 0], run.rejection)
    assert [t.get_text() for t in ax.get_yticklabels()] == list(runs["alike"].tests)
    assert "%" in ax.get_xticklabels()[0].get_text()
    assert not overlaps(ax)


def test_words_and_table_hold_the_shares(runs):
    note = note_of(rejection(runs))
    for name, run in runs.items():
        assert f"{name.capitalize()}: " in note.alt
        for share in run.rejection:
            assert printing.percent(share, 0) in note.alt
    assert note.table.text.count("Egger (logit)") == len(runs)


def test_one_simulation_needs_no_name(runs):
    ax = rejection(runs["alike"])
    assert len(ax.get_legend().get_texts()) == 1
    assert show(ax, "one").caption


def test_simulations_that_cannot_be_compared_are_errors(runs):
    with pytest.raises(MetaAnalysisError, match="one to three"):
        rejection({})
    other = simulate_null(events=[9, 12, 30, 8], n=[90, 200, 400, 150], draws=20, alpha=0.1)
    with pytest.raises(MetaAnalysisError, match="same tests and level"):
        rejection({**runs, "other": other})
