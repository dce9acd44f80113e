"""Specification curve: values of the analyses, shares in the dashboard, light, no overlap."""

from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers import printing, ties
from helpers.checks.multiverse.analysis import multiverse
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.review.claim_analyses import CLAIMS, PUBLISHED, claim_multiverse, judge
from helpers.views.plots import show, specification_curve, specification_panels
from helpers.views.plots.note import note_of

MOST_BYTES = 250_000


@pytest.fixture(scope="module")
def every(cohorts):
    return {key: claim_multiverse(cohorts, key) for key in CLAIMS}


def line(ax):
    return next(one for one in ax.lines if one.get_gid() == "estimates")


def levels(ax):
    board = next(one for one in ax.figure.axes if one is not ax)
    return {p.get_gid(): p.get_path() for p in board.patches if p.get_gid()}


def overlaps(ax):
    ax.figure.draw_without_rendering()
    found = []
    for one in ax.figure.axes:
        ticks = [*one.get_yticklabels()] if one.axison else []
        for text in [*one.texts, one.xaxis.label, *ticks]:
            if text.get_text().strip() and text.get_visible():
                found.append((text.get_text(), text.get_window_extent()))
    return [(a, b) for (a, x), (b, y) in combinations(found, 2) if x.overlaps(y)]


def test_few_analyses_are_drawn_one_by_one(every):
    result = every["infection-half"]
    ax = specification_curve(result)
    assert line(ax).get_ydata() == pytest.approx(np.sort(result.value[result.ok]))
    order = np.flatnonzero(result.ok)
    order = order[np.argsort(result.value[order], kind="stable")]
    drawn = next(c for c in ax.collections if c.get_gid() == "intervals").get_segments()
    assert [s[0][1] for s in drawn] == pytest.approx(result.lower[order])
    assert [s[1][1] for s in drawn] == pytest.approx(result.upper[order])


def test_thousands_are_drawn_as_medians_of_neighbours(every):
    result = every["mcl-lbcl"]
    drawn = np.asarray(line(specification_curve(result)).get_ydata())
    ordered = np.sort(result.value[result.ok])
    assert np.all(np.diff(drawn) >= 0)
    assert ordered[0] <= drawn[0] <= drawn[-1] <= ordered[-1]
    place = np.linspace(0, len(ordered), len(drawn) + 1).round().astype(int)
    pieces = [np.median(ordered[a:b]) for a, b in pairwise(place)]
    assert drawn == pytest.approx(pieces)


@pytest.mark.parametrize("key", list(CLAIMS))
def test_the_picture_stays_light_and_its_words_apart(every, key):
    result = every[key]
    ax = specification_curve(result, mark=result.find(PUBLISHED))
    assert not overlaps(ax)
    assert len(show(ax, "curve").svg) < MOST_BYTES


def test_bars_cover_the_analyses_that_have_the_level(every):
    result = every["infection-half"]
    for label, path in levels(specification_curve(result)).items():
        corners = path.vertices
        x, y = corners[:, 0], corners[:, 1]
        # every bar is closed downwards: its area is the sum of trapezes
        starts = np.flatnonzero(path.codes == path.MOVETO)
        stops = np.append(starts[1:], len(x))
        area = sum(
            abs(np.trapezoid(y[a:b] - y[a], x[a:b])) for a, b in zip(starts, stops, strict=True)
        )
        tall = y.max() - y.min()
        name = label.removeprefix("level-")
        expected = {
            "estimate supports it": result.supports.sum(),
            "whole interval supports it": result.certain.sum(),
        }.get(name)
        if expected is None:
            table = result.by_choice().set_index("level")["analyses"]
            expected = table[name]
        assert area / tall == pytest.approx(expected, rel=1e-9)


def test_the_marked_analysis_stands_at_its_value(every):
    result = every["overall"]
    number = result.find(PUBLISHED)
    ax = specification_curve(result, mark=number)
    mark = next(one for one in ax.lines if one.get_gid() == "mark")
    assert mark.get_ydata()[0] == result.value[number - 1]
    rank = (result.value[result.ok] < result.value[number - 1]).sum()
    assert mark.get_xdata()[0] >= rank
    assert any("published analysis: 6.8" in text.get_text() for text in ax.texts)


def test_words_and_table_hold_the_shares(every):
    result = every["axi-tisa"]
    note = note_of(specification_curve(result))
    assert result.sentence in note.caption
    assert result.sentence in note.alt
    assert str(result.influence().index[0]) in note.caption
    for label in result.choices["follow-up"]:
        assert label in note.table.text


def test_a_symbol_keeps_its_case_at_the_head_of_its_levels(every):
    result = every["mcl-lbcl"]
    assert any(name.startswith("τ²") for name in result.choices)
    ax = specification_curve(result)
    texts = {text.get_text() for one in ax.figure.axes for text in one.texts}
    assert {printing.capital(name) for name in result.choices} <= texts
    assert not any(text.startswith("\N{GREEK CAPITAL LETTER TAU}") for text in texts)


def test_a_multiverse_of_one_and_of_ones_own(cohorts):
    columns = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
    for measures in (["logit"], ["logit", "arcsine"]):
        own = judge(multiverse(cohorts, {"measure": measures}, **columns), CLAIMS["overall"])
        ax = specification_curve(own)
        assert len(line(ax).get_ydata()) == len(measures)
        assert not overlaps(ax)


def test_axes_of_ones_own_need_room(every):
    _, ax = plt.subplots(figsize=(4, 4))
    with pytest.raises(MetaAnalysisError, match="this specification curve needs"):
        specification_curve(every["infection-half"], ax=ax)
    _, ax = plt.subplots(figsize=(14, 14))
    assert specification_curve(every["infection-half"], ax=ax) is ax


def test_a_mark_without_a_result_is_an_error(every):
    result = every["infection-half"]
    missing = int(np.flatnonzero(~result.ok)[0]) + 1
    for number in (0, missing, len(result.value) + 1):
        with pytest.raises(MetaAnalysisError, match="no specification with a result"):
            specification_curve(result, mark=number)


# --- a multiverse without a claim -------------------------------------------------------------

TREATED = {"events": [3, 8, 5, 2, 9, 1], "n": [40, 60, 50, 30, 70, 40]}
WAYS = {"measure": ["logit", "arcsine"], "model": ["random", "common"]}


def test_a_multiverse_is_drawn_as_it_is():
    result = multiverse(**TREATED, choices=WAYS)
    ax = specification_curve(result)
    frame = result.frame()
    line = next(one for one in ax.get_lines() if one.get_gid() == "estimates")
    assert line.get_ydata() == pytest.approx(np.sort(frame["estimate"]))
    note = note_of(ax)
    low, middle, high = (
        printing.percent(value) for value in np.quantile(frame["estimate"], [0, 0.5, 1])
    )
    assert f"Proportion ranges from {low} to {high}, median {middle}" in note.alt
    assert "laim" not in note.alt + note.caption + note.table.html
    by_measure = frame.groupby("measure")["estimate"].median()
    shown = {line.split()[1]: line.split()[2:] for line in note.table.text.splitlines()[1:]}
    for name, median in by_measure.items():
        assert shown[name] == ["2", printing.number(100 * median, 1)]
    words = {text.get_text() for board in ax.figure.axes for text in board.texts}
    assert {"analyses", "median", "logit", "arcsine", "random", "common"} <= words
    assert "Support, %" not in words
    plt.close(ax.figure)


def test_a_difference_of_groups_has_its_line_at_zero_on_one_scale():
    data = pd.DataFrame(TREATED | {"arm": list("aaabbb")})
    options = {"events": "events", "n": "n", "contrast": {"by": "arm", "levels": ("a", "b")}}
    result = multiverse(data, {"model": ["random", "common"]}, **options)
    ax = specification_curve(result)
    assert any(np.array_equal(one.get_ydata(), [0, 0]) for one in ax.get_lines())
    assert note_of(ax).alt.count("Difference of a and b (logit scale)") == 1
    plt.close(ax.figure)
    with pytest.raises(UnsupportedError, match="no axis in common"):
        specification_curve(multiverse(data, WAYS, **options))


def test_small_panels_hold_the_sorted_estimates_of_each_claim_and_count_the_support(every):
    shown = {key: every[key] for key in ("overall", "infection-half", "cilta-ide")}
    ax = specification_panels(shown, marks={"overall": every["overall"].find(PUBLISHED)})
    panels = ax.figure.axes
    assert len(panels) == len(shown)
    for result, panel in zip(shown.values(), panels, strict=True):
        values = np.sort(result.value[result.ok])
        drawn = line(panel).get_ydata()
        # A bin shows the median of its neighbours.
        cuts = np.round(np.arange(1, len(drawn)) * len(values) / len(drawn)).astype(int)
        assert drawn == pytest.approx([np.median(part) for part in np.split(values, cuts)])
        # Estimates equal to nine digits are ties and stay in the order of the analyses.
        assert np.all(np.diff(ties.steady(drawn)) >= 0)
    whole = sum(bool(result.supports[result.ok].all()) for result in shown.values())
    assert f"{printing.of_total(whole, 3)} claims by its" in note_of(ax).caption
    plt.close(ax.figure)
    for key, result in shown.items():
        supports = result.supports[result.ok].all()
        caption = note_of(specification_panels({key: result})).caption
        assert caption.startswith("Every" if supports else "Not every")
        assert "analysis supports the claim by its estimate, and " in caption
    with pytest.raises(MetaAnalysisError, match="needs claims"):
        specification_panels({})
