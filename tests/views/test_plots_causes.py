"""Pictures of causes: positions are the result's values, words never collide."""

import re
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from helpers import printing
from helpers.errors import MetaAnalysisError
from helpers.review import palette
from helpers.review.causes import cause_table, homogeneity_test
from helpers.review.plots import causes_heatmap, causes_shares, causes_stacked
from helpers.review.plots.causes_heatmap_plot import OPACITY, STEPS
from helpers.views.plots import show, style
from helpers.views.plots.note import note_of


@pytest.fixture(scope="module")
def tested():
    return {g: homogeneity_test(g, draws=499) for g in ("setting", "entity", "product")}


def boxes(ax):
    figure = ax.figure
    figure.draw_without_rendering()
    texts = [*ax.texts, ax.xaxis.label, *ax.get_xticklabels(), *ax.get_yticklabels()]
    if ax.get_legend():
        texts += [*ax.get_legend().get_texts(), ax.get_legend().get_title()]
    return [
        (text.get_text(), text.get_window_extent().extents * 72 / figure.dpi)
        for text in texts
        if text.get_text().strip() and text.get_visible()
    ]


def assert_legible(ax):
    across, up = 72 * ax.figure.get_size_inches()
    found = boxes(ax)
    for word, box in found:
        assert box[0] >= -0.5, word
        assert box[1] >= -0.5, word
        assert box[2] <= across + 0.5, word
        assert box[3] <= up + 0.5, word
    for (one, a), (other, b) in combinations(found, 2):
        apart = a[2] <= b[0] + 0.5 or b[2] <= a[0] + 0.5 or a[3] <= b[1] + 0.5 or b[3] <= a[1] + 0.5
        assert apart, (one, other)


def lines(ax, gid):
    found = next(c for c in ax.collections if c.get_gid() == gid)
    return np.array([path.vertices[:, 0] for path in found.get_paths()])


def bars(ax, j):
    return [patch for patch in ax.patches if patch.get_gid() == f"cause-{j}"]


@pytest.mark.parametrize("grouping", ["all, eleven causes", "all, eight causes"])
def test_dots_and_lines_of_shares_are_the_values_in_percent(grouping):
    table = cause_table(grouping)
    ax, shares = causes_shares(table), table.shares()
    dots = next(c for c in ax.collections if c.get_gid() == "shares").get_offsets()
    assert np.asarray(dots)[:, 0] == pytest.approx(100 * shares["share"].to_numpy())
    assert lines(ax, "goodman") == pytest.approx(100 * shares[["lower", "upper"]].to_numpy())
    assert lines(ax, "wilson") == pytest.approx(
        100 * shares[["wilson_lower", "wilson_upper"]].to_numpy()
    )
    assert "%" in ax.get_xlabel()
    assert_legible(ax)


def test_counts_that_are_not_exact_say_so():
    table = cause_table("all, eleven causes")
    words = {text.get_text() for text in causes_shares(table).texts}
    for cause, count, doubt in zip(table.causes, table.counts[0], table.within_one[0], strict=True):
        assert f"{printing.count(count)}{' ±1' if doubt else ''}" in words, cause


@pytest.mark.parametrize("grouping", ["setting", "entity", "product"])
@pytest.mark.parametrize("diverging", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_parts_of_a_bar_are_as_long_as_the_shares_and_touch(grouping, diverging, whole):
    table = cause_table(grouping)
    table = table.with_unknown() if whole else table
    ax = causes_stacked(table, diverging=diverging, noun="known causes")
    shares = 100 * table.counts / table.counts.sum(axis=1)[:, None]
    ends = None
    for j, cause in enumerate(table.causes):
        parts = bars(ax, j)
        assert [part.get_width() for part in parts] == pytest.approx(shares[:, j])
        starts = [part.get_x() for part in parts]
        if ends is not None:
            assert starts == pytest.approx(ends, abs=1e-9)
        ends = [part.get_x() + part.get_width() for part in parts]
        assert {to_hex(part.get_facecolor()) for part in parts} == {palette.CAUSE[cause].light}
        if diverging and j == 0:
            assert ends == pytest.approx(np.zeros(len(ends)), abs=1e-9)
    low, high = ax.get_xlim()
    assert low <= min(part.get_x() for part in bars(ax, 0))
    assert high >= max(ends) - 1e-9
    assert "%" in ax.get_xlabel()
    assert_legible(ax)


def test_ticks_of_diverging_bars_count_from_the_line_in_both_directions():
    ax = causes_stacked(cause_table("product"), diverging=True)
    low, high = ax.get_xlim()
    for place, label in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True):
        assert low <= place <= high
        assert float(label.get_text()) == abs(place)
    assert 0 in ax.get_xticks()


@pytest.mark.parametrize("grouping", ["setting", "entity", "product"])
def test_cells_hold_deaths_residual_and_its_shade(tested, grouping):
    test = tested[grouping]
    ax = causes_heatmap(test)
    words = [text.get_text() for text in ax.texts]
    (mesh,) = ax.collections
    ax.figure.canvas.draw()  # a mesh has its colours once it is drawn
    shades = dict(zip(np.ndindex(test.residuals.shape), mesh.get_facecolors(), strict=True))
    cells = test.residuals.size
    assert len(words) == 2 * cells
    for (i, j), residual in np.ndenumerate(test.residuals):
        place = i * test.residuals.shape[1] + j
        assert words[place] == printing.count(int(test.table.counts[i, j]))
        printed = float(words[cells + place].replace("−", "-"))
        assert printed == pytest.approx(residual, abs=0.0501)
        for text in (ax.texts[place], ax.texts[cells + place]):  # in their own cell
            x, y = text.get_position()
            assert (int(y), int(x)) == (i, j)
        steps = sum(abs(printed) >= step for step in STEPS)
        assert shades[i, j][3] == pytest.approx(OPACITY[steps - 1] if steps else 0)
        kind = "more" if residual > 0 else "fewer"
        if steps:
            assert to_hex(shades[i, j]) == style.RESIDUAL[kind].light
    assert_legible(ax)


def test_frames_mark_the_cells_that_differ_among_all_cells(tested):
    test = tested["setting"]
    heavy = [patch for patch in causes_heatmap(test).patches if patch.get_linewidth() > 1]
    assert len(heavy) == (test.p_residuals < 0.05).sum() > 0


def test_words_and_tables_hold_the_values(tested):
    table = cause_table("setting")
    for ax in (
        causes_stacked(table),
        causes_heatmap(tested["setting"]),
        causes_shares(table, "trial"),
    ):
        note = note_of(ax)
        assert note.alt
        assert note.caption
        for count in table.counts[0]:
            assert str(count) in note.table.text
    assert "59%" in note_of(causes_stacked(table)).alt
    assert (
        printing.p_value(tested["setting"].p_monte_carlo)
        in note_of(causes_heatmap(tested["setting"])).caption
    )


@pytest.mark.parametrize("groups", [1, 25])
def test_one_group_and_many_groups_with_long_names_are_legible(groups):
    rng = np.random.default_rng(groups)
    table = cause_table(
        "centre",
        counts=rng.integers(1, 9, (groups, 7)),
        groups=[f"A centre with a long name {i}" for i in range(groups)],
        causes=cause_table("setting").causes,
    )
    assert_legible(causes_stacked(table))
    assert_legible(causes_stacked(table, diverging=True))
    assert_legible(causes_shares(table, table.groups[0]))
    if groups > 1:
        assert_legible(causes_heatmap(homogeneity_test(table, draws=9)))


def test_pictures_follow_the_page_in_every_colour(tested):
    for ax in (causes_stacked(cause_table("entity")), causes_heatmap(tested["entity"])):
        svg = show(ax, "a-picture").svg
        fixed = re.sub(r"var\((?:[^()]|\([^()]*\))*\)", "", svg)
        assert "var(--picture-" in svg
        assert re.findall(r"#[0-9a-fA-F]{6}\b", fixed) == []


def test_what_cannot_be_drawn_is_an_error():
    with pytest.raises(MetaAnalysisError, match="no colour for boredom"):
        causes_stacked(cause_table(counts=[[1, 2]], groups=["a"], causes=["infection", "boredom"]))
    with pytest.raises(MetaAnalysisError, match="deaths in every group"):
        causes_stacked(cause_table(counts=[[0, 0]], groups=["a"], causes=["infection", "CRS"]))
    with pytest.raises(MetaAnalysisError, match="group="):
        causes_shares(cause_table("setting"))
