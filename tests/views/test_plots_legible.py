"""Words of a picture of any kind can be read: no mark lies on them, no line runs through them."""

from __future__ import annotations

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from plot_cases import CASES

from helpers import posterior
from helpers.views import plots
from helpers.views.plots import style
from helpers.views.plots.note import note_of


def ratios():
    """Draw rows whose line of no difference runs where a phone has their names."""
    rows = {"label": ["independent", "all models"], "estimate": [1.8, 1.9]}
    frame = pd.DataFrame(rows | {"lower": [0.97, 1.2], "upper": [3.5, 3.1]})
    return plots.estimates(frame, quantity="Odds ratio", unit="ratio", null=1.0)


def without_events():
    """Draw a mark at the end of the axis, beside a name."""
    return plots.shrinkage(posterior(events=[3, 8, 0], n=[40, 60, 9], study=["A", "B", "C"]))


DRAWN = [
    *(
        pytest.param(case.draw["real"], id=name)
        for name, case in CASES.items()
        if "real" in case.draw
    ),
    pytest.param(ratios, id="ratios"),
    pytest.param(without_events, id="without events"),
]
#: Words for a colour that another theme turns into its opposite.
THEMED = re.compile(r"\b(black|white|dark|pale|light)\b")


def forms(draw):
    """Give the picture and its form for a phone, with all that they say."""
    drawn = draw()
    narrow = style.phone_form(drawn)
    for one in (drawn, narrow):
        if one is not None:
            figure = one if hasattr(one, "axes") and not hasattr(one, "figure") else one.figure
            figure.canvas.draw()
            yield figure
    plt.close("all")


def marks(ax):
    """Boxes of the marks of points, in pixels."""
    for dots in ax.collections:
        sizes = getattr(dots, "get_sizes", list)()
        if len(sizes) and len(dots.get_offsets()):
            radius = np.sqrt(np.resize(sizes, len(dots.get_offsets()))) / 2
            at = dots.get_offset_transform().transform(dots.get_offsets())
            yield from zip(at[:, 0], at[:, 1], radius, strict=True)


@pytest.mark.parametrize("draw", DRAWN)
def test_no_mark_lies_on_the_name_of_a_row(draw):
    for figure in forms(draw):
        for ax in figure.axes:
            boxes = [one.get_window_extent() for one in ax.get_yticklabels() if one.get_text()]
            for x, y, radius in marks(ax):
                for box in boxes:
                    beside = box.x1 + 2 < x - radius or x + radius < box.x0
                    assert beside or not box.y0 < y < box.y1


@pytest.mark.parametrize("draw", DRAWN)
def test_no_line_from_top_to_bottom_runs_through_words(draw):
    for figure in forms(draw):
        for ax in figure.axes:
            whole = [
                line for line in ax.lines
                if len(set(line.get_xdata())) == 1 and list(line.get_ydata()) == [0, 1]
            ]  # fmt: skip
            for text in ax.texts:
                box = text.get_window_extent()
                for line in whole:
                    x = line.get_transform().transform((line.get_xdata()[0], 0))[0]
                    clear = not box.x0 < x < box.x1 or not box.width
                    inside = ax.bbox.y0 < (box.y0 + box.y1) / 2 < ax.bbox.y1
                    over = text.get_bbox_patch() is not None and text.zorder > line.zorder
                    assert clear or over or not inside, text.get_text()


@pytest.mark.parametrize("draw", DRAWN)
def test_a_caption_names_no_colour_that_the_dark_turns_round(draw):
    note = note_of(draw())
    plt.close("all")
    assert note is not None
    assert not THEMED.search(note.caption), note.caption
