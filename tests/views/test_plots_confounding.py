"""The grid of combinations counts every cohort once and leaves empty ones empty."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers import load_cohorts
from helpers.errors import MetaAnalysisError
from helpers.review.plots import confounding
from helpers.review.published.models import regression_cohorts
from helpers.views.plots.note import note_of


@pytest.fixture(scope="module")
def lymphoma():
    return regression_cohorts("LBCL: all factors")


def pixels(ax):
    cells = [p for p in ax.patches if p.get_gid() and p.get_gid().startswith("cell-")]
    return {p.get_gid(): p.get_window_extent() for p in cells}


def test_areas_are_proportional_to_the_patients(lymphoma):
    ax = confounding(lymphoma)
    table = lymphoma.assign(follow_up=lymphoma["follow_up"].astype(object).fillna("not reported"))
    sums = table.groupby(["product", "setting", "follow_up"], observed=True)["patients"].sum()
    squares = sorted(box.width * box.height for box in pixels(ax).values())
    expected = np.sort(sums.to_numpy())
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


def test_its_table_counts_every_cohort_once_and_names_what_is_not_reported():
    cohorts = load_cohorts().assign(follow_up=load_cohorts()["enrolment_ended"])
    text = note_of(confounding(cohorts)).table.text
    rows = [line.split() for line in text.splitlines()[1:]]
    assert len(rows) == 8 * 2 * 3
    sums = [sum(int(row[i].replace(",", "")) for row in rows) for i in (-3, -2, -1)]
    assert sums == [len(cohorts), *cohorts[["patients", "nonrelapse_deaths"]].sum()]
    assert "not reported" in text


def test_one_cohort_is_drawn():
    note = note_of(confounding(load_cohorts().head(1).assign(follow_up="long")))
    assert "Every combination" in note.caption
    assert "one cohort" in note.alt


def test_what_cannot_be_drawn_is_an_error(lymphoma):
    with pytest.raises(MetaAnalysisError, match="no column 'setting'"):
        confounding(lymphoma.drop(columns="setting"))
    with pytest.raises(MetaAnalysisError, match="at least one cohort"):
        confounding(pd.DataFrame(lymphoma).head(0))
