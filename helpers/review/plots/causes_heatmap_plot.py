"""Heat map of a table of causes: deaths in every cell, shaded where groups differ."""

from __future__ import annotations

import textwrap

import numpy as np

from ... import printing
from ...views.plots import style
from ...views.plots.frame import Axes, axes_of, grid_below, room_of_axes
from ...views.plots.lettering import fit_names, legend_above
from ...views.plots.note import Note, numbers
from ..causes import HomogeneityTest
from ..subject import annotate

#: Absolute residuals from which a cell is shaded, and how strongly.
STEPS = (1.0, 2.0, 3.0)
OPACITY = (0.16, 0.36, 0.62)
ROW = 46.0  # pixels
ALPHA = 0.05  # for all cells at once
MOST_TURNED, LONGEST = 6, 24  # groups that stand side by side on a phone, and letters of one
LEAST_HEAD = 44.0  # pixels of a column below which its name stands upright


@style.themed
def causes_heatmap(test: HomogeneityTest, *, ax: Axes | None = None, width: float = 720.0) -> Axes:
    """Draw the cells of a homogeneity test.

    Parameters
    ----------
    test : HomogeneityTest
    ax, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Groups in rows, causes in columns; each cell holds the deaths and the adjusted residual with
        its sign, is shaded by the residual, and framed where its p-value for all cells at once is
        below 0.05.

    Examples
    --------
    >>> from helpers.review.causes import homogeneity_test
    >>> from helpers.views.plots import show
    >>> show(causes_heatmap(homogeneity_test("setting", draws=999)), "map")  # doctest: +ELLIPSIS
    Heat map of 464 deaths by setting and cause. ...
    """
    turned = width < style.NARROW  # causes go down where there is no room for them across
    across, down = [printing.capital(cause) for cause in test.table.causes], test.table.groups
    if turned:
        across, down = [*down], tuple(across)
    letters = int(0.58 * width / len(across) / 7.5) if turned else 14
    heads = [_folded(name, letters) for name in across]
    upright = turned and 0.58 * width / len(across) < LEAST_HEAD
    if upright:
        heads = across
    top = 16 + (7.5 * max(map(len, heads)) if upright else 16 * _most_lines(heads))
    left = min(18 + 6.9 * max(len(name) for name in down), (0.42 if turned else 0.24) * width)
    foot = 50
    ax = axes_of(ax, width, ROW * len(down) + top + foot + 4, left=left, right=10, bottom=foot,
                 top=top)  # fmt: skip
    if len(test.table.groups) > MOST_TURNED or max(map(len, test.table.groups)) > LONGEST:
        style.wide_only(ax)
    _cells(ax, test, turned=turned)
    ax.set_xticks(np.arange(len(across)) + 0.5, heads, rotation=90 if upright else 0)
    ax.xaxis.tick_top()
    names = [_folded(name) for name in down] if turned else list(down)
    ax.set_yticks(np.arange(len(down)) + 0.5, fit_names(ax, names))
    grid_below(ax, hide=("left", "right", "top", "bottom"))
    _key(ax, narrow=turned)
    annotate(ax, _note(test))
    return ax


def _most_lines(texts: list[str]) -> int:
    return max(1 + text.count("\n") for text in texts)


def _folded(cause: str, letters: int = 14) -> str:
    """Break a name where it has a blank, in lines of about so many letters."""
    return "\n".join(textwrap.wrap(cause, letters, break_long_words=False))


def _steps(residuals: np.ndarray) -> np.ndarray:
    """How strongly each cell is shaded, with its sign: residuals as they are printed."""
    printed = np.round(residuals, 1)
    return np.sign(printed) * np.searchsorted(STEPS, np.abs(printed), side="right")


def _key(ax: Axes, *, narrow: bool) -> None:
    """Explain the shades under the map."""
    from matplotlib.patches import Patch

    shades = [*zip(STEPS, OPACITY, strict=True)]
    fewer, more = (style.RESIDUAL[name].light for name in ("fewer", "more"))
    patches = [Patch(fc=fewer, alpha=a, lw=0) for _, a in shades[::-1]]
    patches += [Patch(fc="none", ec=style.GRID.light, lw=0.8)]
    patches += [Patch(fc=more, alpha=a, lw=0) for _, a in shades]
    names = [f"{printing.MINUS}{s:g}" for s in STEPS[::-1]] + ["0"] + [f"+{s:g}" for s in STEPS]
    legend_above(
        ax, patches, names, loc="upper left",
        bbox_to_anchor=(-room_of_axes(ax)[0] / room_of_axes(ax)[2], -5 / room_of_axes(ax)[3]),
        handlelength=1.2, handleheight=0.9, handletextpad=0.3, columnspacing=0.8,
        alignment="left", ncols=len(names),
        title="Deaths; under them the adjusted residual"
        f"{'' if narrow else '; shade from a residual of'}",
        title_fontproperties={"size": style.size("small")},
    ).get_title().set_color(style.QUIET.light)  # fmt: skip


def _note(test: HomogeneityTest) -> Note:
    frame = test.residual_frame()  # the cells that depart most come first
    cells = printing.listing(
        f"{row['cause']} in {row['group']} ({printing.count(row['deaths'])} deaths, "
        f"{printing.number(row['expected'], 1)} expected, residual "
        f"{printing.number(row['residual'], 1)})"
        for row in frame.head(3).to_dict("records")
    )
    p = printing.p_value(test.p_monte_carlo)
    tested = (
        f"(chi-squared = {printing.number(test.statistic, 1)}, df = {printing.count(test.df)}, "
        f"{p} by random tables)."
    )
    clear = frame[(frame["p"] < ALPHA) & (frame["residual"] > 0)]
    caption = (
        f"No cell differs from its expected number when all cells are tested together {tested}"
    )
    if len(clear):
        what = printing.listing(f"{row.cause} ({row.group})" for row in clear.itertuples())
        caption = (
            "Deaths are more frequent than expected under a common distribution in "
            f"{printing.of_total(len(clear), len(frame))} cells: {what}. Framed cells differ when "
            f"all cells are tested together {tested}"
        )
    return Note(
        "Heat map of causes",
        f"Heat map of {printing.count(int(test.table.counts.sum()))} deaths by "
        f"{test.table.grouping} and cause. The cells with the largest residuals: {cells}. "
        f"Chi-squared test with random tables: {p}.",
        caption,
        numbers(
            frame,
            f"Causes by {test.table.grouping}: deaths, expected deaths, adjusted residuals",
            {
                "cause": "", "group": "", "deaths": "count", "expected": "number1",
                "residual": ("Adjusted residual", "number"), "p": ("p, all cells at once", "p"),
            },
        ),
    )  # fmt: skip


def _cells(ax: Axes, test: HomogeneityTest, *, turned: bool) -> None:
    import seaborn as sns
    from matplotlib.colors import ListedColormap, to_rgba
    from matplotlib.patches import Rectangle

    fewer, more = (style.RESIDUAL[name].light for name in ("fewer", "more"))
    shades = [
        *(to_rgba(fewer, opacity) for opacity in reversed(OPACITY)),
        to_rgba(fewer, 0),
        *(to_rgba(more, opacity) for opacity in OPACITY),
    ]
    notable, residuals = test.p_residuals < ALPHA, test.residuals
    counts = test.table.counts
    if turned:
        notable, residuals, counts = notable.T, residuals.T, counts.T
    sns.heatmap(
        _steps(residuals),
        ax=ax,
        cmap=ListedColormap(shades),
        vmin=-len(STEPS) - 0.5,
        vmax=len(STEPS) + 0.5,
        annot=np.vectorize(printing.count, otypes=[object])(counts),
        fmt="",
        annot_kws={"color": style.INK.light, "size": style.size("text"), "va": "bottom"},
        linewidths=0.8,
        linecolor=style.GRID.light,
        cbar=False,
        xticklabels=False,
        yticklabels=False,
    )
    for (i, j), deaths in zip(np.ndindex(notable.shape), tuple(ax.texts), strict=True):
        residual = printing.number(float(residuals[i, j]), 1)
        sign = "+" if residuals[i, j] > 0 else ""
        small = style.size("small")
        ax.text(j + 0.5, i + 0.55, sign + residual, ha="center", va="top", size=small)
        if notable[i, j]:
            deaths.set_fontweight("bold")
            ax.add_patch(
                Rectangle((j + 0.02, i + 0.04), 0.96, 0.92, fc="none", ec=style.INK.light, lw=1.8)
            )
