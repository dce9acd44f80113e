"""Forest plots in the manner of journals: columns in order, printed forms, totals."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex
from nightly import nightly
from plot_tools import assert_all_words_inside, assert_no_words_collide, word_boxes

from helpers import load_cohorts, pool, pool_effects, printing, subgroups
from helpers.errors import UnsupportedError
from helpers.review.plots import forest
from helpers.views.plots import style
from helpers.views.plots.forest.layouts import LAYOUTS, statistics
from helpers.views.plots.note import note_of

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
JOURNALS = ("jama", "bmj", "revman")
ALL = ("book", *JOURNALS)


@pytest.fixture(scope="module")
def myeloma():
    cohorts = load_cohorts()
    return pool(cohorts[cohorts["entity"] == "MM"], **COLUMNS, measure="logit", model="glmm")


@pytest.fixture(scope="module")
def by_entity():
    return subgroups(load_cohorts(), by="entity", **COLUMNS, measure="logit", model="random")


@pytest.fixture(scope="module")
def effects():
    return pool_effects([-1.2, 0.1, -0.6, -0.3], [0.1, 0.2, 0.05, 0.1], study=list("ABCD"))


def made_up(k):
    rng = np.random.default_rng(k)
    n = rng.integers(5, 1500, k)
    return pool(events=rng.binomial(n, 0.1), n=n, measure="logit", model="random")


def texts(ax):
    return [text.get_text().strip("\N{FIGURE SPACE}\N{THIN SPACE}") for text in ax.texts]


@pytest.mark.parametrize("layout", ALL)
@pytest.mark.parametrize("k", [1, 2, 52, nightly(200)])
def test_rows_of_any_number_neither_collide_nor_leave_empty_bands(layout, k):
    ax = forest(made_up(k), layout=layout)
    words = word_boxes(ax)
    assert_all_words_inside(ax, words)
    assert_no_words_collide(ax, words)
    boxes = np.array([box[[1, 3]] for box in words.values()])
    spans = boxes[np.argsort(boxes[:, 0])]
    top = np.maximum.accumulate(spans[:, 1])
    assert np.max(spans[1:, 0] - top[:-1]) <= 22
    assert spans[0, 0] <= 14
    assert ax.figure.get_size_inches()[1] * 72 - top[-1] <= 14


@pytest.mark.parametrize("layout", ALL)
def test_groups_and_effects_do_not_collide(layout, by_entity, effects):
    for ax in (
        forest(by_entity, layout=layout),
        forest(effects, layout=layout),
    ):
        assert_no_words_collide(ax)
        assert_all_words_inside(ax)


@pytest.mark.parametrize(
    ("layout", "order"),
    [
        ("jama", ["Source", "No. of deaths/", "Proportion", "<plot>", "Weight"]),
        ("bmj", ["Study", "No of deaths/", "<plot>", "Weight", "Proportion"]),
        ("revman", ["Study or", "Events", "Total", "Weight", "Proportion", "<plot>"]),
    ],
)
def test_columns_stand_in_the_order_of_the_journal(layout, order, myeloma):
    ax = forest(myeloma, layout=layout)
    plot = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    middle = 72 * (plot.x0 + plot.x1) / 2
    boxes = word_boxes(ax)
    heads = [(t.get_text(), b) for t, b in boxes.items() if t.get_weight() == "bold"]
    for before, after in pairwise(order):
        places = []
        for name in (before, after):
            if name == "<plot>":
                places.append(middle)
                continue
            ours = [b for text, b in heads if text.startswith(name)]
            # A heading over the plotting area repeats that of the column.
            ours = [b for b in ours if not plot.x0 * 72 < (b[0] + b[2]) / 2 < plot.x1 * 72]
            places.append((ours[0][0] + ours[0][2]) / 2)
        assert places[0] < places[1], (before, after)


@pytest.mark.parametrize(
    ("layout", "form"),
    [
        ("jama", "{} ({}-{})"),
        ("bmj", "{} ({} to {})"),
        ("revman", "{} [{}, {}]"),
    ],
)
def test_numbers_are_printed_as_the_journal_prints_them(layout, form, myeloma):
    words = texts(forest(myeloma, layout=layout))
    rows = [*myeloma.studies.itertuples()]
    for row in rows:
        shown = (printing.number(100 * v, 1) for v in (row.estimate, row.ci_lower, row.ci_upper))
        assert form.format(*shown) in words
        assert printing.number(row.weight, 1) + ("%" if layout == "revman" else "") in words
        counts = (printing.count(row.events), printing.count(row.n))
        if layout == "revman":
            assert set(counts) <= set(words)
        else:
            assert "/".join(counts) in words
    pooled = (printing.number(100 * v, 1) for v in (myeloma.estimate, *myeloma.ci))
    assert form.format(*pooled) in words


@pytest.mark.parametrize("layout", JOURNALS)
def test_lines_of_statistics_hold_the_values_of_every_pool(layout, by_entity):
    ax = forest(by_entity, layout=layout)
    whole = " ".join(texts(ax)).replace(printing.HARD, " ")
    for fit in (*by_entity.groups.values(), by_entity.overall):
        line = statistics(fit, LAYOUTS[layout])
        assert printing.number(fit.heterogeneity.I2, 0) in line
        assert str(fit.heterogeneity.df) in line
        assert line in whole
    assert printing.number(by_entity.test.statistic, 2) in whole


def test_revman_counts_the_events_below_each_total(by_entity):
    ax = forest(by_entity, layout="revman")
    words = texts(ax)
    for fit in (*by_entity.groups.values(), by_entity.overall):
        assert printing.count(fit.events) in words
        assert printing.count(fit.n) in words
    assert words.count("Total events") == len(by_entity.groups) + 1
    narrow = forest(by_entity, layout="revman", width=style.PHONE)
    lines = {text.get_text(): round(text.get_position()[1], 2) for text in narrow.texts}
    assert lines[printing.count(by_entity.overall.events)] == lines["Total events"]


@pytest.mark.parametrize("layout", JOURNALS)
def test_squares_and_diamonds_stand_at_the_values_in_ink(layout, by_entity):
    ax = forest(by_entity, layout=layout, xlim=(0, 1), order="input")
    squares = next(c for c in ax.collections if c.get_gid() == "studies")
    expected = np.concatenate([f.studies["estimate"] for f in by_entity.groups.values()])
    assert np.asarray(squares.get_offsets())[:, 0] == pytest.approx(expected)
    assert {to_hex(c) for c in squares.get_facecolors()} == {style.INK.light}
    shown = [p.get_xy()[:, 0] for p in ax.patches if len(p.get_xy()) == 5]
    fits = [*by_entity.groups.values(), by_entity.overall]
    for corners, fit in zip(shown, fits, strict=True):
        assert sorted(set(corners)) == pytest.approx([fit.ci.lower, fit.estimate, fit.ci.upper])


def test_unknown_layouts_are_errors(myeloma):
    with pytest.raises(UnsupportedError, match="layout='lancet': expected one of book"):
        forest(myeloma, layout="lancet")


@pytest.mark.parametrize("layout", JOURNALS)
def test_words_for_those_who_do_not_see_it_are_those_of_the_book(layout, myeloma):
    ours, theirs = (note_of(forest(myeloma, layout=each)) for each in ("book", layout))
    assert (ours.alt, ours.caption, ours.table.text) == (
        theirs.alt,
        theirs.caption,
        theirs.table.text,
    )


def test_the_axis_reaches_to_the_ends_of_a_long_prediction_interval():
    effects = pool_effects([-1.2, 0.1, -0.6, -0.3, 0.4], [0.1, 0.2, 0.05, 0.1, 0.1])
    ax = forest(effects)
    low, high = effects.prediction_interval()
    assert ax.get_xlim()[0] < low
    assert high < ax.get_xlim()[1]
