import re

import numpy as np
import pandas as pd
import pytest
from plot_tools import assert_all_words_inside, assert_no_words_collide

from helpers.errors import MetaAnalysisError
from helpers.views.plots import estimates, show
from helpers.views.plots.note import note_of


@pytest.fixture
def ratios():
    return pd.DataFrame(
        {
            "group": ["one", "one", "other"],
            "label": ["naive", "robust", "naive"],
            "estimate": [1.8, 1.8, 0.9],
            "lower": [1.1, 0.9, 0.5],
            "upper": [2.9, 3.6, 1.6],
        }
    )


def test_dots_and_lines_are_the_values(ratios):
    ax = estimates(ratios, quantity="Odds ratio", unit="ratio", null=1.0)
    (dots,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert dots.get_xdata().tolist() == ratios["estimate"].tolist()
    assert dots.get_ydata().tolist() == [1, 2, 4]
    ends = [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()]
    assert ends == ratios[["lower", "upper"]].to_numpy().tolist()
    assert ax.get_xscale() == "log"


def test_percent_are_drawn_in_percent():
    frame = pd.DataFrame({"label": ["a"], "estimate": [0.07], "lower": [0.05], "upper": [0.09]})
    ax = estimates(frame, quantity="Nonrelapse mortality")
    assert ax.lines[0].get_xdata()[0] == pytest.approx(7.0)
    assert "%" in ax.get_xlabel()
    assert note_of(ax).alt.endswith("a: 7.0% (5.0 to 9.0).")


def test_the_caption_counts_intervals_without_the_null(ratios):
    note = note_of(estimates(ratios, quantity="Odds ratio", unit="ratio", null=1.0))
    assert "one of three intervals excludes no difference" in note.caption
    assert "one, robust: 1.80 (0.90 to 3.60)" in note.alt


@pytest.mark.parametrize("k", [1, 200])
def test_words_do_not_meet(k):
    rng = np.random.default_rng(1)
    middle = rng.uniform(0.05, 0.1, k)
    frame = pd.DataFrame(
        {"label": [f"A way to analyse, {i}" for i in range(k)], "estimate": middle}
    ).assign(lower=middle - 0.02, upper=middle + 0.02)
    ax = estimates(frame, quantity="Rate")
    ax.figure.draw_without_rendering()
    labels = [text.get_window_extent() for text in ax.get_yticklabels()]
    values = [text.get_window_extent() for text in ax.texts]
    width = ax.figure.get_window_extent().x1
    assert all(box.x0 >= 0 for box in labels)
    assert all(box.x1 <= width for box in values)
    assert not any(a.overlaps(b) for a in labels for b in values)
    assert show(ax, "many").svg


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lower": np.nan}, "both limits"),
        ({"lower": -1.0}, "positive"),
    ],
)
def test_bad_rows_are_errors(ratios, change, message):
    with pytest.raises(MetaAnalysisError, match=message):
        estimates(ratios.assign(**change), quantity="x", unit="ratio")


def test_unknown_units_and_missing_columns_are_errors(ratios):
    with pytest.raises(MetaAnalysisError, match="percent"):
        estimates(ratios, quantity="x", unit="months")
    with pytest.raises(MetaAnalysisError, match="no column 'upper'"):
        estimates(ratios.drop(columns="upper"), quantity="x")


@pytest.mark.parametrize(("unit", "factor"), [("percent", 100), ("per_1000", 1000)])
@pytest.mark.parametrize("width", [340, 720])
def test_marks_stand_at_the_values_in_both_forms(unit, factor, width):
    rng = np.random.default_rng(3)
    middle = rng.uniform(0.02, 0.08, 8)
    frame = pd.DataFrame(
        {"group": ["Disease"] * 3 + ["Product"] * 5, "label": [f"Name {i}" for i in range(8)]}
    ).assign(estimate=middle, lower=middle - 0.01, upper=middle + 0.02)
    ax = estimates(frame, quantity="Deaths", unit=unit, width=width)
    (dots,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert dots.get_xdata() == pytest.approx(factor * middle)
    words = [text.get_text() for text in ax.texts]
    digits = 1 if unit == "percent" else 0
    assert sum(f"{factor * middle[0]:.{digits}f}" in word for word in words) >= 1
    assert_all_words_inside(ax)
    assert_no_words_collide(ax)
    if width == 340:  # labels above the marks, none to the left of the axes
        assert not [t for t in ax.get_yticklabels() if t.get_text()]
        assert {"Name 0", "Name 7", "Disease", "Product"} <= set(words)


def test_a_long_label_of_the_narrow_form_is_cut_beside_its_value():
    frame = pd.DataFrame(
        {"label": ["A very long name of a cohort " * 4], "estimate": 0.07, "lower": 0.05,
         "upper": 0.09}
    )  # fmt: skip
    ax = estimates(frame, quantity="Rate", width=340)
    assert any(text.get_text().endswith("…") for text in ax.texts)
    assert_all_words_inside(ax)
    assert_no_words_collide(ax)


def test_a_picture_has_a_form_for_narrow_screens(ratios):
    wide, narrow = (estimates(ratios, quantity="Ratio", unit="ratio", width=w) for w in (720, 340))
    made = show(wide, "forms", narrow=narrow)
    assert 'viewBox="0 0 340 ' in made.narrow
    assert 'class="picture-narrow" style="display: none"' in made._repr_html_()
    ids = re.findall(r'\bid="([^"]+)"', made._repr_html_())
    assert len(ids) == len(set(ids))


def test_the_form_for_narrow_screens_is_drawn_without_being_asked_for(ratios):
    wide, narrow = (
        show(estimates(ratios, quantity="Ratio", unit="ratio", width=w), "own") for w in (720, 340)
    )
    assert 'viewBox="0 0 340 ' in wide.narrow
    assert 'class="picture-narrow" style="display: none"' in wide._repr_html_()
    # What is narrow itself needs no second drawing.
    assert not narrow.narrow
    assert "picture-narrow" not in narrow._repr_html_()
