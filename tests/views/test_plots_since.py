"""Later reports on their forecasts, and the flow of the review with its unknown boxes."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers import load_context, review
from helpers.errors import MetaAnalysisError
from helpers.review.since_then import check_forecasts

plots = review.plots


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("width", [760, 342])
def test_each_report_stands_on_its_own_forecast(width):
    checks = check_forecasts()
    ax = plots.later_reports(checks, width=width)
    lines = {line.get_gid(): line for line in ax.get_lines() if line.get_gid()}
    glmm = [one for one in checks if one.forecast.method == "GLMM"]
    dots = [line for name, line in lines.items() if name.startswith("report-")]
    assert len(dots) == len(glmm)
    # every band belongs to the report whose dot is on its row
    for name, line in lines.items():
        if name.startswith("glmm-"):
            row = name.removeprefix("glmm-")
            band, dot = line.get_xdata(), lines[f"report-{row}"].get_xdata()[0]
            own = [
                one
                for one in glmm
                if np.allclose([one.rate, *one.share], [dot, *band], rtol=0, atol=1e-12)
            ]
            assert own
            assert np.allclose(lines[f"true-{row}"].get_xdata(), own[0].forecast.interval)


def test_a_report_outside_is_in_another_colour_and_named():
    checks = [one for one in check_forecasts() if one.report == "TRANSCEND MCL"]
    far = [replace(one, fewest=40.0, most=40.0) for one in checks]
    colours = []
    for listed in (checks, far):
        ax = plots.later_reports(listed)
        (dot,) = (line for line in ax.get_lines() if line.get_gid() == "report-0")
        colours.append(dot.get_markeredgecolor())
    assert colours[0] != colours[1]
    assert "Outside: TRANSCEND MCL" in plots.show(ax, "later-reports").caption


def test_a_picture_needs_a_report():
    with pytest.raises(MetaAnalysisError, match="at least one report"):
        plots.later_reports([])


def test_review_flow_leaves_open_what_is_not_known():
    methods = load_context("review_methods")
    ax = plots.review_flow(methods)
    boxes = [patch for patch in ax.patches if (patch.get_gid() or "").startswith("box-")]
    dashed = [box for box in boxes if box.get_linestyle() not in ("-", "solid")]
    texts = [text.get_text() for text in ax.texts]
    assert (len(boxes), len(dashed)) == (7, 5)
    assert texts.count("not found") == len(dashed)
    found = methods.assign(known=methods["known"].fillna("1,234"))
    full = plots.review_flow(found)
    assert "not found" not in [text.get_text() for text in full.texts]
    assert "dashed" not in plots.show(full, "flow").caption


@pytest.mark.parametrize("width", [620, 342])
def test_boxes_of_the_flow_hold_their_words_and_keep_apart(width):
    ax = plots.review_flow(load_context("review_methods"), width=width)
    figure = ax.get_figure()
    renderer = figure.canvas.get_renderer()
    boxes = [
        patch.get_window_extent(renderer)
        for patch in ax.patches
        if (patch.get_gid() or "").startswith("box-")
    ]
    for words in (text.get_window_extent(renderer) for text in ax.texts if text.get_text()):
        assert any(
            box.x0 <= words.x0 and words.x1 <= box.x1 and box.y0 <= words.y0 and words.y1 <= box.y1
            for box in boxes
        )
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            assert one.x1 < other.x0 or other.x1 < one.x0 or one.y1 < other.y0 or other.y1 < one.y0


def test_an_item_that_is_missing_is_named():
    methods = load_context("review_methods").query("item != 'databases'")
    with pytest.raises(MetaAnalysisError, match="'databases'"):
        plots.review_flow(methods)
