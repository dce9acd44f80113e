"""Posterior, shrinkage and ranking plots: marks at the values, words that do not collide."""

from itertools import combinations

import numpy as np
import pytest
from nightly import nightly

from helpers import posterior
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.bayes import rank_probabilities
from helpers.review import palette
from helpers.review.plots import posterior as draw_posterior
from helpers.review.plots import ranking, show, shrinkage
from helpers.views.plots.note import note_of

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}


@pytest.fixture(scope="module")
def post(cohorts):
    return posterior(cohorts, **COLUMNS)


@pytest.fixture(scope="module")
def products(cohorts):
    names = ("axi-cel", "tisa-cel", "cilta-cel")
    return {name: posterior(cohorts[cohorts["product"] == name], **COLUMNS) for name in names}


def overlaps(ax):
    ax.figure.draw_without_rendering()
    texts = [*ax.texts, ax.xaxis.label, *ax.get_xticklabels(), *ax.get_yticklabels()]
    legend = ax.get_legend()
    texts += legend.get_texts() if legend else []
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text().strip()]
    return [(a, b) for (a, x), (b, y) in combinations(boxes, 2) if x.overlaps(y)]


def marked(ax, gid):
    return [line for line in ax.lines if line.get_gid() == gid]


def test_intervals_and_medians_stand_at_the_posterior(post):
    ax = draw_posterior(post, thresholds=[0.05, 0.1])
    intervals = [np.asarray(line.get_xdata()) for line in marked(ax, "interval")]
    assert intervals[0] == pytest.approx(list(post.ci))
    assert intervals[1] == pytest.approx(list(post.prediction_interval()))
    medians = [line.get_xdata()[0] for line in marked(ax, "median")]
    assert medians == pytest.approx([post.estimate, post.new_rate.median])


def test_each_density_has_its_shape(post):
    ax = draw_posterior(post)
    for line, shown in zip(marked(ax, "density"), (post.rate, post.new_rate), strict=True):
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        height = y - np.round(y.min())
        expected = shown.density(x)
        assert height / height.max() == pytest.approx(expected / expected.max(), abs=1e-9)


def test_probabilities_beyond_thresholds_are_written(post):
    ax = draw_posterior(post, thresholds=[0.05, 0.1, 0.15])
    words = [text.get_text() for text in ax.texts]
    assert words[3:] == ["above: 75%", "above: 20%", "above: 4%"]  # of a new study, the second row
    note = note_of(ax)
    assert "75% above 5%" in note.alt
    assert "0.039" in note.table.text


@pytest.mark.parametrize("thresholds", [(), (0.05,), (0.05, 0.1, 0.15)])
def test_words_of_posteriors_stay_apart(post, products, thresholds):
    for ax in (
        draw_posterior(post, thresholds=thresholds),
        draw_posterior(products, thresholds=thresholds),
    ):
        assert not overlaps(ax)
        assert show(ax, "posterior").alt


def test_several_posteriors_have_their_colours(products):
    ax = draw_posterior(products)
    for name, line in zip(products, marked(ax, "density"), strict=True):
        assert line.get_color() == palette.PRODUCT[name].light


def test_what_cannot_be_drawn_is_an_error(post):
    effects = posterior(yi=[0.1, 0.2, 0.3], vi=[0.1, 0.1, 0.1])
    with pytest.raises(UnsupportedError, match="plot needs a posterior of proportions"):
        draw_posterior(effects)
    with pytest.raises(MetaAnalysisError, match="between 0 and 1"):
        draw_posterior(post, thresholds=[5])
    with pytest.raises(MetaAnalysisError, match="no posterior"):
        draw_posterior({})
    with pytest.raises(UnsupportedError, match="need counts"):
        shrinkage(effects)


def test_shrinkage_shows_every_cohort_twice(post):
    ax = shrinkage(post)
    frame = (
        post.shrinkage().join(post.studies["n"]).sort_values("n", ascending=False, kind="stable")
    )
    found = {c.get_gid(): np.asarray(c.get_offsets()) for c in ax.collections if c.get_gid()}
    assert found["raw"][:, 0] == pytest.approx(frame["observed"].to_numpy())
    assert found["shrunken"][:, 0] == pytest.approx(frame["estimate"].to_numpy())
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert all(name.startswith(label) for name, label in zip(names, frame.index, strict=True))
    assert not overlaps(ax)
    far = (frame["estimate"] - frame["observed"]).abs().idxmax()
    assert far in note_of(ax).caption


def test_shrinkage_of_those_that_move_most(post):
    frame = post.shrinkage()
    moved = (frame["estimate"] - frame["observed"]).abs().sort_values(ascending=False)
    ax = shrinkage(post, most=4)
    names = {tick.get_text().rsplit("  ", 1)[0] for tick in ax.get_yticklabels()}
    assert names == set(moved.index[:4])
    assert note_of(ax).caption.startswith(f"{moved.index[0]} moves most")
    assert f"four of {len(frame)}" in note_of(ax).caption


@pytest.mark.parametrize("k", [1, 30, nightly(120)])
def test_shrinkage_of_few_and_many(k):
    rng = np.random.default_rng(k)
    n = rng.integers(5, 400, k)
    labels = [f"A study with a rather long name, number {i}" for i in range(k)]
    ax = shrinkage(posterior(events=rng.binomial(n, 0.1), n=n, study=labels))
    assert not overlaps(ax)
    assert show(ax, "shrinkage").alt


def test_bars_are_the_rank_probabilities(products):
    ranks = rank_probabilities(products)
    ax = ranking(ranks)
    bars = {p.get_gid(): p for p in ax.patches}
    tallest = max(abs(p.get_height()) for p in bars.values()) / ranks.probabilities.max()
    for i, name in enumerate(ranks.names):
        for rank in range(len(ranks.names)):
            height = abs(bars[f"bar-{name}-{rank + 1}"].get_height())
            assert height / tallest == pytest.approx(ranks.probabilities[i, rank])
    assert not overlaps(ax)
    rows = [tick.get_text() for tick in ax.get_yticklabels()]
    assert rows == [ranks.names[i] for i in np.argsort(ranks.mean_rank)]


def test_the_verdict_on_ranks_counts_the_sure_ones():
    low = posterior(events=[1, 2], n=[400, 300])
    high = posterior(events=[90, 80], n=[400, 300])
    sure = note_of(ranking(rank_probabilities({"A": low, "B": high}))).caption
    assert sure.startswith("Every group has a rank")
    tie = note_of(ranking(rank_probabilities({"A": low, "B": low}))).caption
    assert tie.startswith("No group has a rank")
