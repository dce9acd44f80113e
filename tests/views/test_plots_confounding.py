"""The grid of combinations counts every cohort once and leaves empty ones empty."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers import load_cohorts
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.review.plots import confounding
from helpers.review.published.models import regression_cohorts
from helpers.views.plots import show
from helpers.views.plots.note import note_of


@pytest.fixture(scope="module")
def lymphoma():
    return regression_cohorts("LBCL: all factors")


def pixels(ax):
    cells = [p for p in ax.patches if p.get_gid() and p.get_gid().startswith("cell-")]
    return {p.get_gid(): p.get_window_extent() for p in cells}


@pytest.mark.parametrize("area", ["patients", "cohorts"])
def test_areas_are_proportional_to_what_they_count(lymphoma, area):
    ax = confounding(lymphoma, area=area)
    table = lymphoma.assign(follow_up=lymphoma["follow_up"].astype(object).fillna("not reported"))
    sums = table.groupby(["product", "setting", "follow_up"], observed=True).agg(
        patients=("patients", "sum"), cohorts=("patients", "size")
    )
    squares = sorted(box.width * box.height for box in pixels(ax).values())
    expected = np.sort(sums[area].to_numpy())
    assert len(squares) == len(sums)
    assert np.array(squares) / max(squares) == pytest.approx(expected / expected.max(), rel=1e-6)
    for box in pixels(ax).values():
        assert box.width == pytest.approx(box.height)


def test_each_cell_says_its_cohorts_or_that_there_are_none(lymphoma):
    ax = confounding(lymphoma)
    texts = [t.get_text() for t in ax.texts]
    counts = [int(t.split()[0]) for t in texts if "cohort" in t]
    assert sum(counts) == len(lymphoma)
    assert texts.count("none") == 15 - len(counts)


def test_no_text_lies_on_another(lymphoma):
    for frame in (lymphoma, regression_cohorts("MM: all factors")):
        ax = confounding(frame)
        ax.figure.draw_without_rendering()
        words = (*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels())
        boxes = [t.get_window_extent() for t in words if t.get_text()]
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:i])


def test_one_characteristic_all_cohorts_and_one_cohort_are_drawn():
    cohorts = load_cohorts()
    assert show(confounding(cohorts, "entity", ["setting"]), "one").alt
    note = note_of(confounding(cohorts.head(1), "product", ["setting"]))
    assert "Every combination" in note.caption
    assert "one cohort" in note.alt


def test_other_requests_are_errors(lymphoma):
    with pytest.raises(UnsupportedError, match="expected one of patients, cohorts"):
        confounding(lymphoma, area="deaths")
    with pytest.raises(UnsupportedError, match="expected 1 or 2"):
        confounding(lymphoma, columns=())
    with pytest.raises(MetaAnalysisError, match="misses column colour"):
        confounding(lymphoma, "colour")
    with pytest.raises(MetaAnalysisError, match="at least one cohort"):
        confounding(pd.DataFrame(lymphoma).head(0))
