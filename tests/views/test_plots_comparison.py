"""Plots that set two numbers side by side: agreement and dumbbell."""

import itertools

import pandas as pd
import pytest

from helpers.errors import MetaAnalysisError
from helpers.review.plots import agreement, dumbbell, show
from helpers.review.published import compare
from helpers.views.plots.note import note_of


@pytest.fixture
def comparisons():
    return [
        compare("s", "a", "", "x", "0.25", 0.2504),
        compare("s", "b", "", "x", "52", 52),
        compare("s", "c", "", "x", "0.123456789", 0.1234561),
        compare("s", "d", "", "x", "0.5", 0.7, reason="known"),
    ]


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "group": ["disease", "disease", "product"],
            "label": ["LBCL", "MM", "axi-cel"],
            "first": [0.06, 0.08, 0.07],
            "second": [0.061, 0.08, 0.075],
            "lower": [0.05, 0.06, 0.06],
            "upper": [0.07, 0.1, 0.09],
        }
    )


def test_bars_count_the_numbers_by_digits_and_status(comparisons):
    ax = agreement(comparisons)
    heights = {}
    for bar in ax.patches:
        if bar.get_height():
            digit = round(bar.get_x() + bar.get_width() / 2)
            heights[bar.get_gid(), digit] = int(bar.get_height())
    assert heights == {
        ("bar-identical-as-printed", comparisons[0].digits): 1,
        ("bar-identical-as-printed", 10): 1,
        ("bar-same-to-rounding", comparisons[2].digits): 1,
        ("bar-differs", 0): 1,
    }


def test_words_say_how_many(comparisons):
    note = note_of(agreement(comparisons))
    assert "4 published numbers" in note.alt
    assert "2 are identical as printed, 1 is the same to rounding and one differs" in note.caption
    with pytest.raises(MetaAnalysisError, match="at least one"):
        agreement([])


def test_ends_of_a_dumbbell_are_the_values_and_groups_have_heads(frame):
    ax = dumbbell(frame)
    second, first = (line.get_xdata().tolist() for line in ax.lines)
    assert first == pytest.approx([6.0, 8.0, 7.0])
    assert second == pytest.approx([6.1, 8.0, 7.5])
    labels = {t.get_text(): y for t, y in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)}
    assert labels == {"disease": 0, "LBCL": 1, "MM": 2, "product": 3, "axi-cel": 4}


def test_the_largest_difference_is_named(frame):
    note = note_of(dumbbell(frame))
    assert "0.5 percentage points (axi-cel)" in note.caption
    assert "6.1" in note.table.text
    assert show(dumbbell(frame), "both").alt == note.alt


@pytest.mark.parametrize("k", [1, 200])
def test_labels_never_meet(k):
    rows = pd.DataFrame({"label": [f"A rather long name {i}" for i in range(k)]})
    ax = dumbbell(rows.assign(first=0.1, second=0.2))
    ax.figure.draw_without_rendering()
    boxes = [t.get_window_extent() for t in ax.get_yticklabels()]
    assert all(box.x0 >= 0 for box in boxes)
    boxes.sort(key=lambda box: box.y0)
    assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))


def test_missing_values_and_columns_are_errors(frame):
    with pytest.raises(MetaAnalysisError, match="misses column second"):
        dumbbell(frame.drop(columns="second"))
    with pytest.raises(MetaAnalysisError, match="both values"):
        dumbbell(frame.assign(first=float("nan")))
