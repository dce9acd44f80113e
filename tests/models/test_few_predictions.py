"""No display shows a prediction interval below five studies, and each says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers import load_cohorts, meta_regression, pool, printing, subgroups
from helpers.engine.normal.prediction import displayed_prediction
from helpers.engine.options import shows_prediction
from helpers.errors import UnsupportedError
from helpers.reporting import report as make_report
from helpers.reporting import sentences
from helpers.reporting.analysis import ColumnNames
from helpers.reporting.analysis import analyse as analyse_report
from helpers.reporting.in_browser import analyse
from helpers.reporting.make import USUAL
from helpers.review import interactive, plots, tables
from helpers.review.choices import COLUMNS
from helpers.review.findings import new_cohort
from helpers.views.plots.note import note_of

EVENTS, SIZES = [3, 8, 16, 5, 2, 11, 4], [40, 60, 50, 70, 65, 80, 30]
REASON = "none is shown below five studies"


def counts(k: int) -> dict[str, list[int]]:
    return {"events": EVENTS[:k], "n": SIZES[:k]}


def fit_of(k: int, model: str = "glmm") -> Any:
    return pool(**counts(k), model=model)


@dataclass
class Seen:
    shown: bool
    reason: str


def _seen(ax: Any) -> Seen:
    note = note_of(ax)
    said = " ".join([note.alt, note.caption, *(text.get_text() for text in ax.texts)])
    return Seen("95% prediction interval" in said.replace("\u00a0", " "), said)


def _forest(k: int) -> Seen:
    return _seen(plots.forest(fit_of(k)))


def _subgroup_forest(k: int) -> Seen:
    by = subgroups(**counts(k), by=(["a", "b"] * k)[:k], model="random")
    return _seen(plots.subgroup_forest({"Kind": by}))


def _prediction(k: int) -> Seen:
    ax = plots.prediction(fit_of(k))
    note = note_of(ax)
    return Seen("prediction" in {patch.get_gid() for patch in ax.patches}, note.caption)


def _drapery(k: int) -> Seen:
    ax = plots.drapery(fit_of(k, "random"))
    legend = ax.get_legend()
    names = [text.get_text() for text in legend.get_texts()] if legend else []
    return Seen("prediction interval" in names, note_of(ax).caption)


def _pooled_table(k: int) -> Seen:
    html = tables.pooled_table({"these": fit_of(k)}).html
    return Seen(printing.between(*(100 * x for x in limits(k))) in html, html)


def _sentence(k: int) -> Seen:
    try:
        return Seen(bool(printing.prediction(fit_of(k))), "")
    except UnsupportedError as error:
        return Seen(False, str(error))


def _browser(k: int) -> Seen:
    lines = "".join(f"S{i},{EVENTS[i]},{SIZES[i]}\n" for i in range(k))
    made = analyse(f"study,events,n\n{lines}".encode())
    row = dict(made["rows"])[f"{printing.level_text(0.95)} prediction interval"]
    assert (made["fit"]["prediction_interval"] is None) == ("Prediction" not in made["svg"])
    return Seen(made["fit"]["prediction_interval"] is not None, row)


def _report_words(k: int) -> Seen:
    table = pd.DataFrame({"study": [f"S{i}" for i in range(k)], **counts(k)})
    done = analyse_report(table, ColumnNames("study", "events", "n"))
    text = sentences.heterogeneity(done, USUAL)
    return Seen("The prediction interval, " in text, text)


def limits(k: int) -> tuple[float, float]:
    return tuple(fit_of(k).prediction_interval())


DISPLAYS = [
    _forest,
    _subgroup_forest,
    _prediction,
    _drapery,
    _pooled_table,
    _sentence,
    _browser,
    _report_words,
]


@pytest.mark.parametrize("k", [3, 4, 5, 7])
@pytest.mark.parametrize("display", DISPLAYS, ids=lambda one: one.__name__.strip("_"))
def test_a_display_shows_a_prediction_interval_from_five_studies_or_says_why_not(display, k):
    seen = display(k)
    assert seen.shown == (k >= 5)
    assert (REASON in seen.reason) == (k < 5)
    low, high = limits(k)  # the number is there for whoever calls it
    assert 0 < low < high < 1


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 7])
def test_the_headline_row_is_empty_where_none_is_shown(k):
    row = fit_of(k).summary_frame().iloc[0]
    shown = np.isfinite([row["prediction_lower"], row["prediction_upper"]])
    assert shown.tolist() == [k >= 5] * 2


@pytest.mark.parametrize("k", [2, 3, 4, 5, 7])
def test_the_caution_speaks_of_a_prediction_where_one_is_shown(k):
    (said,) = [one.message for one in fit_of(k).cautions if one.code == "few-studies"]
    assert ("prediction" in said) == (k >= 5)


def test_the_summary_of_findings_obeys_the_same_rule():
    assert displayed_prediction(fit_of(4))[0] is None
    assert new_cohort(fit_of(4)) is None
    assert new_cohort(fit_of(7)) == pytest.approx(limits(7))


def test_a_regression_shows_none_with_fewer_than_three_residual_degrees_of_freedom():
    for k in (3, 4, 5, 7):
        data = pd.DataFrame({**counts(k), "x": np.arange(k) ** 2.0})
        ax = plots.bubble(meta_regression(data, "x", events="events", n="n", model="random"))
        gids = {artist.get_gid() for artist in ax.collections}
        assert ("prediction" in gids) == (k - 2 >= 3)
        assert ("No prediction interval: none is shown" in note_of(ax).caption) == (k - 2 < 3)


def test_the_report_draws_no_prediction_and_prints_a_dash(tmp_path):
    for k in (3, 6):
        table = pd.DataFrame({"study": [f"S{i}" for i in range(k)], **counts(k)})
        path = tmp_path / f"{k}.csv"
        table.to_csv(path, index=False)
        made = make_report(path)
        assert ("prediction" in made.pictures) == (k >= 5)
        low, high = limits(k)
        assert (printing.between(100 * low, 100 * high) in made.html) == (k >= 5)
        assert (f"No prediction interval: {REASON}" in made.html) == (k < 5)


def test_the_laboratory_page_has_the_threshold_of_the_engine():
    cohorts = load_cohorts()
    fit = pool(cohorts, **COLUMNS, model="glmm", ci_method="wald")
    made = interactive.laboratory(fit, name="lab")
    least = made.data["prediction"]
    assert [shows_prediction(k - 2) for k in (least - 1, least)] == [False, True]
