"""The bubble plot shows the values of its regression."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers import Subject
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.regression import meta_regression
from helpers.review.plots import bubble, show
from helpers.review.published.models import published_regression, regression_cohorts
from helpers.views.plots.note import note_of

MONTHS = "median_follow_up_months"


@pytest.fixture(scope="module")
def by_months():
    return published_regression("LBCL: product", formula=MONTHS)


def found(ax, gid):
    return next(a for a in (*ax.collections, *ax.lines) if a.get_gid() == gid)


def test_bubbles_stand_at_the_studies_with_areas_of_their_weights(by_months):
    marks = found(bubble(by_months), "bubbles")
    studies = by_months.studies[by_months.studies["included"]].sort_values(
        "weight", ascending=False, kind="stable"
    )
    places = np.asarray(marks.get_offsets())
    assert places[:, 0] == pytest.approx(studies[MONTHS].to_numpy())
    assert places[:, 1] == pytest.approx(100 * studies["estimate"].to_numpy())
    share = marks.get_sizes() / marks.get_sizes().sum()
    assert 100 * share == pytest.approx(studies["weight"].to_numpy())


def test_line_and_bands_are_the_predictions(by_months):
    ax = bubble(by_months)
    x, y = found(ax, "mean").get_data()
    expected = by_months.predict({MONTHS: list(x)})
    assert y == pytest.approx(100 * expected["estimate"].to_numpy())
    for gid, name in (("prediction", "prediction"), ("confidence", "ci")):
        drawn = found(ax, gid).get_paths()[0].vertices[:, 1]
        assert drawn.min() == pytest.approx(100 * expected[f"{name}_lower"].min())
        assert drawn.max() == pytest.approx(100 * expected[f"{name}_upper"].max())
    assert ax.get_ylabel().endswith("%")


def heaviest(fit, count):
    return fit.studies["weight"].nlargest(count).index


def test_names_and_ticks_do_not_overlap(by_months):
    ax = bubble(by_months, name=heaviest(by_months, 8))
    ax.figure.draw_without_rendering()
    boxes = [t.get_window_extent() for t in (*ax.texts, *ax.get_xticklabels()) if t.get_text()]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize("width", [720, 340])
def test_no_name_lies_on_the_line_and_the_studies_of_the_text_are_named(by_months, width):
    longest = by_months.moderators[MONTHS].idxmax()
    ax = bubble(by_months, name=[longest, *heaviest(by_months, 8)], width=width)
    ax.figure.draw_without_rendering()
    names = [text for text in ax.texts if text.get_text() in by_months.studies.index]
    assert longest in [text.get_text() for text in names]
    x, y = ax.transData.transform(np.column_stack(found(ax, "mean").get_data())).T
    for box in (text.get_window_extent() for text in names):
        across = np.linspace(box.x0, box.x1, 50)
        height = np.interp(across, x, y, left=np.nan, right=np.nan)
        assert not ((box.y0 < height) & (height < box.y1)).any()


def test_groups_colour_every_bubble_and_a_missing_one_is_an_error(by_months):
    cohorts = regression_cohorts("LBCL: product")
    groups = dict(zip(cohorts["cohort"], cohorts["product"].astype(str), strict=True))
    ax = bubble(by_months, groups=groups)
    assert {t.get_text() for t in ax.get_legend().get_texts()} == set(groups.values())
    with pytest.raises(MetaAnalysisError, match="no group for"):
        bubble(by_months, groups={})


def test_words_hold_the_test_and_the_ends_of_the_line(by_months):
    note = note_of(bubble(by_months, xlabel="months"))
    assert "26 cohorts" in note.alt
    assert f"{by_months.R2:.0f}" in note.caption
    assert "mean" not in note.caption  # transformed back, the line is that of the median study
    assert all(name in note.table.text for name in by_months.labels)


def test_plain_effects_a_transformed_moderator_and_a_common_effect_are_drawn():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.normal(size=200), "v": 0.1, "x": rng.uniform(1, 9, 200)})
    fit = meta_regression(data, "log(x)", yi="y", vi="v", model="common")
    ax = bubble(fit, subject=Subject(outcome="Effect"))
    assert ax.get_ylabel() == "Effect"
    assert not [a for a in ax.collections if a.get_gid() == "prediction"]
    assert show(ax, "effect").alt


def test_several_moderators_and_levels_are_refused():
    with pytest.raises(UnsupportedError, match="one numeric moderator"):
        bubble(published_regression("MM: all factors"))
    with pytest.raises(UnsupportedError, match=r"'product' has levels: .* subgroup_forest"):
        bubble(published_regression("LBCL: product"))


def test_the_study_that_the_text_is_about_is_named(by_months):
    studies = by_months.studies[by_months.studies["included"]]
    longest = str(studies["median_follow_up_months"].idxmax())
    assert longest not in {t.get_text() for t in bubble(by_months).texts}
    assert longest in {t.get_text() for t in bubble(by_months, name=[longest]).texts}
    with pytest.raises(MetaAnalysisError, match="no such study"):
        bubble(by_months, name=["Nobody 2020"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([2012, 2015, 2018, 2024, 2020, 2021], "is 2012, and"),  # years have no separator
        ([12, 1500, 40, 60, 80, 90], "is 12, and"),
        ([0.12, 0.45, 0.2, 0.3, 0.4, 0.41], "is 0.12, and"),
        ([12.5, 30.0, 20.0, 18.0, 40.0, 50.0], "is 12.5, and"),
    ],
)
def test_a_moderator_is_printed_as_it_was_given(values, said):
    rows = pd.DataFrame({
        "study": list("abcdef"), "events": [3, 5, 9, 4, 8, 7], "n": 80, "given": values,
    })  # fmt: skip
    fit = meta_regression(rows, "given", study="study", events="events", n="n")
    picture = show(bubble(fit), "bubble")
    assert said in picture.caption
    cell = said.removeprefix("is ").removesuffix(", and")
    assert f">{cell}</td>" in picture.table.body
