"""Pictures of causes: positions are the result's values, words never collide."""

import re

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from plot_tools import assert_all_words_inside, assert_no_words_collide
from statsmodels.stats.proportion import proportion_confint

from helpers import printing
from helpers.errors import MetaAnalysisError
from helpers.review import palette
from helpers.review.causes import cause_rates, cause_table, homogeneity_test
from helpers.review.plots import causes_dots, causes_heatmap, causes_shares, rate_dots
from helpers.review.plots.causes_heatmap_plot import OPACITY, STEPS
from helpers.views.plots import show, style
from helpers.views.plots.note import note_of


@pytest.fixture(scope="module")
def tested():
    return {g: homogeneity_test(g, draws=499) for g in ("setting", "entity", "product")}


def assert_legible(ax):
    assert_all_words_inside(ax)
    assert_no_words_collide(ax)


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


def drawn(ax):
    """Give values and ends of the lines of dots with intervals."""
    (dots,) = [line for line in ax.lines if line.get_marker() == "o"]
    (ends,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    return dots.get_xdata(), np.array([segment[:, 0] for segment in ends.get_segments()])


@pytest.mark.parametrize("width", [340, 720])
def test_dots_of_causes_are_shares_of_the_known_causes_with_wilson_intervals(width):
    order = {"entity": ["LBCL", "MCL", "MM", "IL"], "product": list(palette.PRODUCT)[:6]}
    tables = {by: cause_table(by) for by in order}
    ax = causes_dots(tables, width=width)
    shares, ends = drawn(ax)
    expected = [
        (tables[by].count("infection", group), int(tables[by].counts[tables[by].row(group)].sum()))
        for by, groups in order.items()
        for group in groups
    ]
    assert shares == pytest.approx([100 * x / n for x, n in expected])
    wilson = [proportion_confint(x, n, method="wilson") for x, n in expected]
    assert ends == pytest.approx(100 * np.array(wilson))
    words = [text.get_text() for text in (*ax.texts, *ax.get_yticklabels())]
    assert {f"LBCL ({expected[0][1]})", "entity", "product"} <= set(words)
    assert_legible(ax)


@pytest.mark.parametrize("width", [340, 720])
def test_dots_of_rates_are_deaths_per_1000_treated(width):
    rates = {by: cause_rates(by=by) for by in ("entity", "setting")}
    ax = rate_dots(rates, width=width)
    values, ends = drawn(ax)
    rows = [rates["entity"][g] for g in ("LBCL", "MCL", "MM", "IL")]
    rows += [rates["setting"][g] for g in ("trial", "real-world", "all")]
    assert values == pytest.approx([1000 * row.estimate for row in rows])
    assert ends == pytest.approx(np.array([[1000 * x for x in row.ci] for row in rows]))
    assert_legible(ax)


def test_the_caption_of_dots_is_true_of_the_table():
    said = note_of(causes_dots({"Setting": cause_table("setting")})).caption
    assert "59% (trial) to 64% (real-world)" in said
    assert "largest class in every group" in said
    other = cause_table(
        "centre", counts=[[3, 1], [2, 5]], groups=["A", "B"], causes=["infection", "CRS"]
    )
    assert "largest class" not in note_of(causes_dots({"Centre": other})).caption


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


@pytest.mark.parametrize("grouping", ["setting", "entity", "product"])
def test_a_phone_has_a_map_of_six_groups_whole_with_their_names_as_they_are(tested, grouping):
    ax = style.phone_form(causes_heatmap(tested[grouping]))
    assert ax is not None
    heads = [label.get_text().replace("\n", " ") for label in ax.get_xticklabels()]
    assert heads == list(tested[grouping].table.groups)
    assert_legible(ax)


def test_frames_mark_the_cells_that_differ_among_all_cells(tested):
    test = tested["setting"]
    heavy = [patch for patch in causes_heatmap(test).patches if patch.get_linewidth() > 1]
    assert len(heavy) == (test.p_residuals < 0.05).sum() > 0


def test_words_and_tables_hold_the_values(tested):
    table = cause_table("setting")
    for ax in (
        causes_dots({"Setting": table}),
        causes_heatmap(tested["setting"]),
        causes_shares(table, "trial"),
    ):
        note = note_of(ax)
        assert note.alt
        assert note.caption
        for count in table.counts[0]:
            assert str(count) in note.table.text
    assert "59.1%" in note_of(causes_dots({"Setting": table})).alt
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
    assert_legible(causes_dots({"Centre": table}))
    assert_legible(causes_dots({"Centre": table}, width=340))
    assert_legible(causes_shares(table, table.groups[0]))
    if groups > 1:
        assert_legible(causes_heatmap(homogeneity_test(table, draws=9)))


def test_pictures_follow_the_page_in_every_colour(tested):
    for ax in (causes_dots({"Disease": cause_table("entity")}), causes_heatmap(tested["entity"])):
        svg = show(ax, "a-picture").svg
        fixed = re.sub(r"var\((?:[^()]|\([^()]*\))*\)", "", svg)
        assert "var(--picture-" in svg
        assert re.findall(r"#[0-9a-fA-F]{6}\b", fixed) == []


def test_what_cannot_be_drawn_is_an_error():
    none = cause_table(counts=[[0, 0]], groups=["a"], causes=["infection", "CRS"])
    with pytest.raises(MetaAnalysisError, match="no deaths, no share"):
        causes_dots({"None": none})
    with pytest.raises(MetaAnalysisError, match="at least one group"):
        causes_dots({})
    with pytest.raises(MetaAnalysisError, match="group="):
        causes_shares(cause_table("setting"))
